//! Whole answers.

use serde::Serialize;
use serde_json::{Map, Value};

use super::request::CallOut;
use super::wire::{Line, Said, read_call, read_extra, read_image};
use super::{CHAT, GENERATE, Shape};
use crate::dialect::Cx;
use crate::dialect::time::{read_time, write_time};
use crate::error::{Error, Result};
use crate::ir::{Choice, Content, Extra, Finish, Part, Reason, Response, Source, TokenLogprob, TopLogprob, Usage};

/// Reads one; an error in it is an `Err`.
pub(super) fn read(shape: Shape, body: &[u8]) -> Result<Response> {
    let mut line = Line::read(body)?;
    if line.message.is_none() && line.response.is_none() && line.done.is_none() {
        return Err(Error::malformed("the answer has no message").with_raw(body));
    }
    let said = line.said();
    let calls = said.tool_calls.as_ref().is_some_and(|calls| !calls.0.is_empty());
    let choice = Choice {
        index: 0,
        parts: read_parts(said),
        finish: line.finish(calls),
        logprobs: line.logprobs(),
        extra: Extra::default(),
    };
    Ok(Response {
        id: String::new(),
        model: line.model.as_deref().unwrap_or_default().to_owned(),
        created: line.created_at.as_ref().and_then(|time| read_time(time.text()?)),
        choices: vec![choice],
        usage: line.usage(),
        extra: Extra::new(shape.name(), read_extra(body)),
    })
}

/// In the order in which models make them.
fn read_parts(said: Said<'_>) -> Vec<Part> {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut parts: Vec<Part> = said.thinking_details.iter().flatten().map(super::wire::Detail::part).collect();
    if parts.is_empty() {
        let thinking = said.thinking.as_deref().and_then(text);
        parts.extend(thinking.map(|text| Content::Reasoning { text, redacted: false }.into()));
    }
    parts.extend(said.content.as_deref().and_then(text).map(Part::text));
    parts.extend(said.images.unwrap_or_default().0.iter().map(|image| read_image(image).into()));
    parts.extend(said.tool_calls.unwrap_or_default().0.iter().enumerate().map(|(position, call)| read_call(call, position)));
    parts
}

/// What an answer says, gathered from its parts.
#[derive(Default, Serialize)]
struct MessageOut<'a> {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_details: Vec<DetailOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallOut<'a>>,
}

/// Thinking that its maker wants to see again, with its seal.
#[derive(Serialize)]
pub(super) struct DetailOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) thinking: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) redacted: bool,
}

/// How long things took, in nanoseconds: the provider's word, or 0 for what nobody measured.
#[derive(Serialize)]
pub(super) struct CountsOut {
    total_duration: u64,
    load_duration: u64,
    prompt_eval_count: u64,
    prompt_eval_duration: u64,
    eval_count: u64,
    eval_duration: u64,
}

const DURATIONS: [&str; 4] = ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"];

impl CountsOut {
    pub(super) fn new(usage: Option<Usage>, told: Option<&Map<String, Value>>) -> Self {
        let usage = usage.unwrap_or_default();
        let [total_duration, load_duration, prompt_eval_duration, eval_duration] =
            DURATIONS.map(|name| told.and_then(|told| told.get(name)?.as_u64()).unwrap_or(0));
        CountsOut {
            total_duration,
            load_duration,
            prompt_eval_count: usage.input,
            prompt_eval_duration,
            eval_count: usage.output,
            eval_duration,
        }
    }
}

#[derive(Serialize)]
struct ReplyOut<'a> {
    model: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_details: Option<Vec<DetailOut<'a>>>,
    done: bool,
    done_reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<LogprobOut<'a>>>,
    #[serde(flatten)]
    counts: CountsOut,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// Writes the first of an answer's choices; there is room for no other.
pub(super) fn write(shape: Shape, response: &Response, cx: &Cx) -> Vec<u8> {
    let nothing = Choice::default();
    let choice = response.choices.first().unwrap_or(&nothing);
    let own = response.extra.of(CHAT).or_else(|| response.extra.of(GENERATE));
    let mut said = write_parts(&choice.parts);
    let mut reply = ReplyOut {
        model: if response.model.is_empty() { &cx.model } else { &response.model },
        created_at: write_time(response.created.unwrap_or(cx.created)),
        message: None,
        response: None,
        thinking: None,
        thinking_details: None,
        done: true,
        done_reason: write_finish(&choice.finish),
        logprobs: write_logprobs(&choice.logprobs),
        counts: CountsOut::new(response.usage, own),
        extra: own.cloned().unwrap_or_default(),
    };
    reply.extra.retain(|key, _| !DURATIONS.contains(&key.as_str()));
    match shape {
        Shape::Chat => reply.message = Some(said),
        Shape::Generate => {
            reply.response = Some(std::mem::take(&mut said.content));
            reply.thinking = Some(std::mem::take(&mut said.thinking)).filter(|text| !text.is_empty());
            reply.thinking_details = Some(said.thinking_details).filter(|details| !details.is_empty());
        }
    }
    serde_json::to_vec(&reply).unwrap_or_default()
}

fn write_parts(parts: &[Part]) -> MessageOut<'_> {
    let mut said = MessageOut { role: "assistant", ..MessageOut::default() };
    let thoughts = || parts.iter().filter(|part| matches!(part.content, Content::Reasoning { .. }));
    let signed = thoughts().any(|part| part.signature.is_some());
    for part in parts {
        let sealed = part.signature.as_ref().map(|signature| signature.sealed(CHAT));
        match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => said.content.push_str(text),
            Content::Reasoning { text, redacted } => {
                said.thinking.push_str(text);
                if signed {
                    said.thinking_details.push(DetailOut { thinking: text, signature: sealed, redacted: *redacted });
                }
            }
            Content::ToolCall { id, name, arguments } => {
                said.tool_calls.push(CallOut::new(said.tool_calls.len(), id, name, arguments).signed(sealed));
            }
            Content::Image { source: Source::Base64 { data, .. }, .. } => said.images.push(data),
            Content::Audio { transcript: Some(text), .. } => said.content.push_str(text),
            _ => {}
        }
    }
    said
}

/// The word for why an answer ended. Filters are not known here; programs take any word.
pub(super) fn write_finish(finish: &Finish) -> &str {
    match finish.reason {
        Reason::Length | Reason::ContextFull => "length",
        Reason::Filtered | Reason::Refusal => "content_filter",
        Reason::Failed => "error",
        Reason::Stop => match finish.detail.as_deref() {
            Some(word @ ("load" | "unload")) => word,
            _ => "stop",
        },
        Reason::StopSequence | Reason::Pause | Reason::ToolCalls => "stop",
    }
}

/// The probability of one token.
#[derive(Serialize)]
pub(super) struct LogprobOut<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_logprobs: Vec<LogprobOut<'a>>,
}

pub(super) fn write_logprobs(tokens: &[TokenLogprob]) -> Option<Vec<LogprobOut<'_>>> {
    fn top(top: &TopLogprob) -> LogprobOut<'_> {
        let bytes = top.bytes.as_deref().unwrap_or(top.token.as_bytes());
        LogprobOut { token: &top.token, logprob: top.logprob, bytes, top_logprobs: Vec::new() }
    }
    fn one(token: &TokenLogprob) -> LogprobOut<'_> {
        let bytes = token.bytes.as_deref().unwrap_or(token.token.as_bytes());
        let top_logprobs = token.top.iter().map(top).collect();
        LogprobOut { token: &token.token, logprob: token.logprob, bytes, top_logprobs }
    }
    (!tokens.is_empty()).then(|| tokens.iter().map(one).collect())
}
