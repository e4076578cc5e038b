//! A canonical answer as this dialect says it.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::{NAME, citation};
use crate::dialect::Cx;
use crate::ir::{Choice, Content, Finish, Part, Reason, Response, TokenLogprob, Usage};

#[derive(Serialize)]
struct ReplyOut<'a> {
    id: &'a str,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_finish_reason: Option<&'a str>,
    message: MessageOut<'a>,
    usage: Option<UsageOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<Value>>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

#[derive(Default, Serialize)]
struct MessageOut<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Vec<BlockOut<'a>>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    tool_plan: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    citations: Vec<Value>,
}

#[derive(Default, Serialize)]
struct BlockOut<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    redacted: bool,
}

/// Writes the first of an answer's choices; there is room for no other.
pub(in super::super) fn write(response: &Response, cx: &Cx) -> Vec<u8> {
    let nothing = Choice::default();
    let choice = response.choices.first().unwrap_or(&nothing);
    let tokens = &choice.logprobs;
    let reply = ReplyOut {
        id: if response.id.is_empty() { &cx.id } else { &response.id },
        finish_reason: write_finish(&choice.finish),
        native_finish_reason: choice.finish.detail.as_deref(),
        message: write_parts(&choice.parts),
        usage: response.usage.as_ref().map(UsageOut::new),
        logprobs: (!tokens.is_empty()).then(|| tokens.iter().map(logprob_out).collect()),
        extra: response.extra.of(NAME),
    };
    serde_json::to_vec(&reply).unwrap_or_default()
}

fn write_parts(parts: &[Part]) -> MessageOut<'_> {
    let mut out = MessageOut { role: "assistant", ..MessageOut::default() };
    let mut blocks: Vec<BlockOut<'_>> = Vec::new();
    for part in parts {
        let signature = part.signature.as_ref().map(|signature| signature.sealed(NAME));
        let text = |text| BlockOut { r#type: "text", text: Some(text), ..BlockOut::default() };
        match &part.content {
            Content::Text { text, citations } if part.extra.of(NAME).is_some_and(|own| own.contains_key("tool_plan")) => {
                out.citations.extend(citations.iter().map(|cited| citation::write(cited, text, 0)));
                out.tool_plan.push_str(text);
            }
            Content::Text { text: words, citations } => {
                let index = blocks.len();
                out.citations.extend(citations.iter().map(|cited| citation::write(cited, words, index)));
                blocks.push(text(words));
            }
            Content::Refusal { text: words } => blocks.push(text(words)),
            Content::Audio { transcript: Some(words), .. } => blocks.push(text(words)),
            Content::Reasoning { text, redacted } => blocks.push(BlockOut {
                r#type: "thinking",
                thinking: Some(text),
                signature,
                redacted: *redacted,
                ..BlockOut::default()
            }),
            Content::ToolCall { id, name, arguments } => {
                let arguments = if arguments.is_empty() { "{}" } else { arguments };
                let mut call = json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
                if let (Some(object), Some(sealed)) = (call.as_object_mut(), signature) {
                    object.insert("extra_content".to_owned(), json!({ "trunkline": { "signature": sealed } }));
                }
                out.tool_calls.push(call);
            }
            _ => {}
        }
    }
    let only_calls = blocks.is_empty() && !out.tool_calls.is_empty();
    out.content = (!only_calls).then_some(blocks);
    out
}

/// The word for why an answer ended.
pub(in super::super) fn write_finish(finish: &Finish) -> &'static str {
    match finish.reason {
        Reason::Stop | Reason::Pause => "COMPLETE",
        Reason::StopSequence => "STOP_SEQUENCE",
        Reason::Length => "MAX_TOKENS",
        Reason::ContextFull => "ERROR_LIMIT",
        Reason::ToolCalls => "TOOL_CALL",
        // An older word; the newer ones do not say it.
        Reason::Refusal | Reason::Filtered => "ERROR_TOXIC",
        Reason::Failed => match finish.detail.as_deref() {
            Some("TIMEOUT") => "TIMEOUT",
            _ => "ERROR",
        },
    }
}

/// Tokens; what was billed is not known and taken to be the same.
#[derive(Debug, Serialize)]
pub(in super::super) struct UsageOut {
    billed_units: TokensOut,
    tokens: TokensOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct TokensOut {
    input_tokens: u64,
    output_tokens: u64,
}

impl UsageOut {
    pub(in super::super) fn new(usage: &Usage) -> Self {
        let tokens = TokensOut { input_tokens: usage.input, output_tokens: usage.output };
        UsageOut { billed_units: tokens, tokens, cached_tokens: usage.cache_read }
    }
}

/// The probability of a token. Its number in the model's vocabulary is not known.
pub(in super::super) fn logprob_out(token: &TokenLogprob) -> Value {
    json!({ "text": token.token, "token_ids": [], "logprobs": [token.logprob] })
}
