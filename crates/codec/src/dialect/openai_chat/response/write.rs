//! A canonical answer as this dialect says it, with every field that its official types require.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::super::NAME;
use super::super::free_text::unwrap_input;
use crate::dialect::Cx;
use crate::ir::{Choice, Citation, Content, Finish, Part, Reason, Response, Signature, Source, TokenLogprob, TopLogprob, Usage};

#[derive(Serialize)]
struct ReplyOut<'a> {
    id: Cow<'a, str>,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<ChoiceOut<'a>>,
    usage: Option<UsageOut>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct ChoiceOut<'a> {
    index: u32,
    message: MessageOut<'a>,
    logprobs: Option<LogprobsOut<'a>>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<&'a str>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct MessageOut<'a> {
    role: &'static str,
    content: Option<Cow<'a, str>>,
    refusal: Option<Cow<'a, str>>,
    annotations: Vec<Annotation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<AudioOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<ImageOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallOut<'a>>,
}

#[derive(Serialize)]
struct AudioOut<'a> {
    id: &'a str,
    data: &'a str,
    expires_at: u64,
    transcript: &'a str,
}

#[derive(Serialize)]
struct ImageOut<'a> {
    r#type: &'static str,
    image_url: UrlOut<'a>,
}

#[derive(Serialize)]
struct UrlOut<'a> {
    url: DataUrl<'a>,
}

/// A tool call.
#[derive(Serialize)]
pub(crate) struct CallOut<'a> {
    id: &'a str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<CustomOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Value>,
}

#[derive(Serialize)]
struct FunctionOut<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct CustomOut<'a> {
    name: &'a str,
    input: String,
}

impl<'a> CallOut<'a> {
    /// A call of a function, or of a tool that takes free text.
    pub(crate) fn new(id: &'a str, name: &'a str, arguments: &'a str, is_custom: bool, extra_content: Option<Value>) -> Self {
        let written = if arguments.is_empty() { "{}" } else { arguments };
        CallOut {
            id,
            r#type: if is_custom { "custom" } else { "function" },
            function: (!is_custom).then_some(FunctionOut { name, arguments: written }),
            custom: is_custom.then(|| CustomOut { name, input: unwrap_input(arguments) }),
            extra_content,
        }
    }
}

/// Writes a whole answer.
pub(crate) fn write_response(response: &Response, cx: &Cx) -> Vec<u8> {
    let reply = ReplyOut {
        id: match response.id.as_str() {
            "" => Cow::Owned(format!("chatcmpl-{}", cx.id)),
            id => Cow::Borrowed(id),
        },
        object: "chat.completion",
        created: response.created.unwrap_or(cx.created),
        model: if response.model.is_empty() { &cx.model } else { &response.model },
        choices: response.choices.iter().map(|choice| choice_out(choice, cx)).collect(),
        usage: response.usage.as_ref().map(UsageOut::new),
        extra: response.extra.of(NAME),
    };
    serde_json::to_vec(&reply).unwrap_or_default()
}

fn choice_out<'a>(choice: &'a Choice, cx: &Cx) -> ChoiceOut<'a> {
    let message = message_out(&choice.parts, cx);
    ChoiceOut {
        index: choice.index,
        finish_reason: write_finish(&choice.finish, message.refusal.is_some()),
        message,
        logprobs: LogprobsOut::new(&choice.logprobs),
        native_finish_reason: choice.finish.detail.as_deref(),
        stop_reason: choice.finish.stop_sequence.as_deref(),
        extra: choice.extra.of(NAME),
    }
}

fn message_out<'a>(parts: &'a [Part], cx: &Cx) -> MessageOut<'a> {
    let mut message = MessageOut {
        role: "assistant",
        content: None,
        refusal: None,
        annotations: Vec::new(),
        reasoning_content: None,
        reasoning_details: Vec::new(),
        audio: None,
        images: Vec::new(),
        tool_calls: Vec::new(),
    };
    let has_details = parts.iter().any(needs_detail);
    for part in parts {
        match &part.content {
            Content::Text { text, citations } => {
                append(&mut message.content, text);
                message.annotations.extend(citations.iter().filter_map(citation_out));
            }
            Content::Refusal { text } => append(&mut message.refusal, text),
            Content::Reasoning { text, .. } => {
                if !text.is_empty() {
                    append(&mut message.reasoning_content, text);
                }
                if has_details {
                    let signature = part.signature.as_ref().map(|signature| signature.sealed(NAME));
                    let detail = detail_out(part, signature, message.reasoning_details.len());
                    message.reasoning_details.extend(detail.map(|detail| detail.into_value()));
                }
            }
            Content::Foreign { from, value } if *from == NAME && value.get().contains("\"reasoning.") => {
                message.reasoning_details.push(value.value());
            }
            Content::ToolCall { id, name, arguments } => {
                message.tool_calls.push(call_out(part, id, name, arguments, cx));
            }
            Content::Image { source, .. } => {
                message.images.extend(DataUrl::new(source).map(|url| ImageOut { r#type: "image_url", image_url: UrlOut { url } }))
            }
            Content::Audio { source: Source::Base64 { data, .. }, transcript, id } => {
                message.audio = Some(AudioOut {
                    id: id.as_deref().unwrap_or_default(),
                    data,
                    expires_at: part.extra.of(NAME).and_then(|extra| extra.get("expires_at")?.as_u64()).unwrap_or(0),
                    transcript: transcript.as_deref().unwrap_or_default(),
                });
            }
            _ => {}
        }
    }
    if message.tool_calls.is_empty() && message.refusal.is_none() && message.audio.is_none() {
        message.content.get_or_insert_default();
    }
    message
}

fn append<'a>(whole: &mut Option<Cow<'a, str>>, more: &'a str) {
    match whole {
        Some(whole) => whole.to_mut().push_str(more),
        None => *whole = Some(Cow::Borrowed(more)),
    }
}

/// Whether plain reasoning text would not say all of a part.
fn needs_detail(part: &Part) -> bool {
    matches!(part.content, Content::Reasoning { redacted, .. } if redacted || part.signature.is_some() || !part.extra.is_empty())
}

fn call_out<'a>(part: &'a Part, id: &'a str, name: &'a str, arguments: &'a str, cx: &Cx) -> CallOut<'a> {
    let own = part.extra.of(NAME);
    let is_custom = cx.is_custom(name) || own.is_some_and(|extra| extra.get("type").is_some_and(|kind| kind == "custom"));
    let extra_content = own.and_then(|extra| extra.get("extra_content").cloned());
    let extra_content = extra_content.or_else(|| part.signature.as_ref().map(seal_call));
    CallOut::new(id, name, arguments, is_custom, extra_content)
}

/// A signature of a tool call, as its `extra_content`.
fn seal_call(signature: &Signature) -> Value {
    serde_json::json!({ "trunkline": { "signature": signature.sealed(NAME) } })
}

/// One entry of `reasoning_details`.
#[derive(Debug, Serialize)]
pub(crate) struct DetailOut<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
    index: usize,
}

impl DetailOut<'_> {
    pub(crate) fn into_value(self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// A reasoning part as an entry of `reasoning_details`; `None` for an encrypted one without what was encrypted.
pub(crate) fn detail_out(part: &Part, signature: Option<String>, index: usize) -> Option<DetailOut<'_>> {
    let Content::Reasoning { text, redacted } = &part.content else { return None };
    let mut rest = part.extra.of(NAME).cloned().unwrap_or_default();
    let is_summary = rest.remove("type").is_some_and(|kind| kind == "reasoning.summary");
    let mut detail = DetailOut { r#type: "reasoning.text", text: None, summary: None, data: None, signature: None, rest, index };
    if *redacted {
        detail.r#type = "reasoning.encrypted";
        detail.data = Some(signature?);
    } else if is_summary {
        detail.r#type = "reasoning.summary";
        detail.summary = Some(text);
        detail.signature = signature;
    } else {
        detail.text = Some(text);
        detail.signature = signature;
    }
    Some(detail)
}

/// The word for why an answer ended. `told_refusal`: the answer says by itself that it is one.
pub(crate) fn write_finish(finish: &Finish, told_refusal: bool) -> &'static str {
    match finish.reason {
        Reason::Stop | Reason::StopSequence | Reason::Pause => "stop",
        Reason::Length | Reason::ContextFull => "length",
        Reason::ToolCalls => "tool_calls",
        Reason::Refusal if told_refusal => "stop",
        Reason::Refusal | Reason::Filtered => "content_filter",
        Reason::Failed => "error",
    }
}

/// One entry of `annotations`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Annotation<'a> {
    Own(Value),
    Url { r#type: &'static str, url_citation: UrlCitation<'a> },
}

#[derive(Debug, Serialize)]
pub(crate) struct UrlCitation<'a> {
    start_index: u64,
    end_index: u64,
    title: &'a str,
    url: &'a str,
}

/// A citation as an annotation; `None` for one that has no address.
pub(crate) fn citation_out(citation: &Citation) -> Option<Annotation<'_>> {
    if let Some(raw) = citation.raw.as_ref().filter(|_| citation.from == NAME) {
        return Some(Annotation::Own(raw.value()));
    }
    let url = citation.url.as_deref()?;
    let url_citation = UrlCitation {
        start_index: citation.start.unwrap_or(0),
        end_index: citation.end.unwrap_or(0),
        title: citation.title.as_deref().unwrap_or(url),
        url,
    };
    Some(Annotation::Url { r#type: "url_citation", url_citation })
}

/// Token probabilities.
#[derive(Debug, Serialize)]
pub(crate) struct LogprobsOut<'a> {
    content: Vec<LogprobOut<'a>>,
    refusal: Option<()>,
}

/// A token and how likely it was.
#[derive(Debug, Serialize)]
pub(crate) struct LogprobOut<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<LogprobOut<'a>>>,
}

impl<'a> LogprobsOut<'a> {
    pub(crate) fn new(tokens: &'a [TokenLogprob]) -> Option<Self> {
        (!tokens.is_empty()).then(|| LogprobsOut { content: logprobs_out(tokens), refusal: None })
    }
}

/// Token probabilities as a list.
pub(crate) fn logprobs_out(tokens: &[TokenLogprob]) -> Vec<LogprobOut<'_>> {
    tokens.iter().map(LogprobOut::new).collect()
}

impl<'a> LogprobOut<'a> {
    fn new(token: &'a TokenLogprob) -> Self {
        LogprobOut {
            token: &token.token,
            logprob: token.logprob,
            bytes: token.bytes.as_deref().unwrap_or(token.token.as_bytes()),
            top_logprobs: Some(token.top.iter().map(LogprobOut::top).collect()),
        }
    }

    fn top(top: &'a TopLogprob) -> Self {
        LogprobOut {
            token: &top.token,
            logprob: top.logprob,
            bytes: top.bytes.as_deref().unwrap_or(top.token.as_bytes()),
            top_logprobs: None,
        }
    }
}

/// Usage, told as far as it is known.
#[derive(Debug, Serialize)]
pub(crate) struct UsageOut {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens_details: Option<PromptOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<CompletionOut>,
}

#[derive(Debug, Serialize)]
struct PromptOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

#[derive(Debug, Serialize)]
struct CompletionOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

impl UsageOut {
    pub(crate) fn new(usage: &Usage) -> Self {
        let prompt =
            PromptOut { cached_tokens: usage.cache_read, cache_write_tokens: usage.cache_write, audio_tokens: usage.audio_input };
        let completion = CompletionOut { reasoning_tokens: usage.reasoning, audio_tokens: usage.audio_output };
        UsageOut {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: (usage.cache_read.is_some() || usage.cache_write.is_some() || usage.audio_input.is_some())
                .then_some(prompt),
            completion_tokens_details: (usage.reasoning.is_some() || usage.audio_output.is_some()).then_some(completion),
        }
    }
}

/// Media as an address: its own, or a `data:` one around its bytes, written without a copy of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DataUrl<'a> {
    Url(&'a str),
    Data { media_type: &'a str, data: &'a str },
}

impl<'a> DataUrl<'a> {
    /// `None` for a source that has neither address nor bytes.
    pub(crate) fn new(source: &'a Source) -> Option<Self> {
        match source {
            Source::Url { url, .. } => Some(DataUrl::Url(url)),
            Source::Base64 { media_type, data } => Some(DataUrl::Data { media_type, data }),
            Source::File { .. } | Source::Text { .. } => None,
        }
    }
}

impl Serialize for DataUrl<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            DataUrl::Url(url) => serializer.serialize_str(url),
            DataUrl::Data { media_type, data } => serializer.collect_str(&format_args!("data:{media_type};base64,{data}")),
        }
    }
}
