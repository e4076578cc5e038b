//! The messages of a caller's request.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use super::super::free_text::wrap_input;
use super::super::response::{read_arguments, read_call_signature, read_detail};
use super::super::wire::{Content as Wire, Function, Many, Str, list_of};
use super::content::{WireCache, read_cache, read_content};
use super::read::kept;
use crate::dialect::fault::read_text;
use crate::error::{Error, Result};
use crate::ir::{Content, Extra, Message, Part, Role, Source};

#[derive(Deserialize)]
pub(super) struct WireMessage<'a> {
    #[serde(borrow, default)]
    role: Option<Str<'a>>,
    #[serde(borrow, default)]
    content: Option<Wire<'a>>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    tool_call_id: Option<String>,
    #[serde(borrow, default)]
    tool_calls: Option<Many<WireCall<'a>>>,
    #[serde(borrow, default)]
    function_call: Option<Function<'a>>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    audio: Option<WireAudio>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(borrow, default)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(default)]
    cache_control: Option<WireCache>,
    /// Part of answers that come back; the text says it all.
    #[serde(default, rename = "annotations")]
    _annotations: Option<serde::de::IgnoredAny>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
    #[serde(default)]
    custom: Option<WireCustom>,
    #[serde(borrow, default)]
    extra_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireCustom {
    name: String,
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
struct WireAudio {
    id: String,
}

/// Reads a conversation. Results of tools that follow one another become parts of one message.
pub(super) fn read_messages(raw: &RawValue) -> Result<Vec<Message>> {
    let wire: Vec<WireMessage<'_>> = read_text(raw.get(), "messages")?;
    if wire.is_empty() {
        return Err(Error::bad_request("messages: at least one message is required").at("messages"));
    }
    let mut messages: Vec<Message> = Vec::with_capacity(wire.len());
    // The id that was made up for a call of the older `function_call` kind.
    let mut called = String::new();
    let mut after_result = false;
    for (index, message) in wire.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        let role = message.role.as_deref().unwrap_or_default().to_owned();
        let is_result = matches!(role.as_str(), "tool" | "function");
        match role.as_str() {
            "tool" | "function" => {
                let part = read_result(message, &at, &called)?;
                match messages.last_mut().filter(|_| after_result) {
                    Some(last) => last.parts.push(part),
                    None => messages.push(Message { role: Role::User, name: None, parts: vec![part], extra: Extra::default() }),
                }
            }
            "assistant" => {
                if message.function_call.is_some() {
                    called = format!("call_{index}");
                }
                messages.push(read_assistant(message, &at, index)?);
            }
            "system" | "developer" => messages.push(read_plain(message, Role::System, &at)?),
            "user" => messages.push(read_plain(message, Role::User, &at)?),
            "" => return Err(Error::bad_request(format!("{at}.role is required")).at(format!("{at}.role"))),
            other => {
                let what = format!("{at}.role: expected system, developer, user, assistant or tool, not {other:?}");
                return Err(Error::bad_request(what).at(format!("{at}.role")));
            }
        }
        after_result = is_result;
    }
    Ok(messages)
}

fn read_plain(message: WireMessage<'_>, role: Role, at: &str) -> Result<Message> {
    let at = format!("{at}.content");
    let Some(content) = message.content else {
        return Err(Error::bad_request(format!("{at} is required")).at(at));
    };
    let mut parts = read_content(content, &at)?;
    if let (Some(mark), Some(last)) = (message.cache_control, parts.last_mut()) {
        last.cache = Some(read_cache(mark));
    }
    Ok(Message { role, name: message.name, parts, extra: kept(message.extra) })
}

fn read_result(message: WireMessage<'_>, at: &str, called: &str) -> Result<Part> {
    let id = match message.tool_call_id {
        Some(id) => id,
        None if message.role.as_deref() == Some("function") => called.to_owned(),
        None => {
            let at = format!("{at}.tool_call_id");
            return Err(Error::bad_request(format!("{at} is required")).at(at));
        }
    };
    let parts = match message.content {
        Some(content) => read_content(content, &format!("{at}.content"))?,
        None => Vec::new(),
    };
    let content = Content::ToolResult { id, name: message.name, parts, failed: false };
    Ok(Part { content, cache: message.cache_control.map(read_cache), signature: None, extra: kept(message.extra) })
}

fn read_assistant(message: WireMessage<'_>, at: &str, index: usize) -> Result<Message> {
    let mut parts: Vec<Part> = list_of::<&RawValue>(message.reasoning_details).into_iter().filter_map(read_detail).collect();
    let text = message.reasoning_content.filter(|text| !text.is_empty()).or(message.reasoning);
    read_reasoning(text.unwrap_or_default(), &mut parts);
    let said = parts.len();
    if let Some(content) = message.content {
        parts.extend(read_content(content, &format!("{at}.content"))?);
    }
    parts.retain(|part| !is_empty_text(part));
    if let Some(text) = message.refusal {
        parts.push(Content::Refusal { text }.into());
    }
    if let Some(audio) = message.audio {
        let source = Source::File { id: audio.id.clone() };
        parts.push(Content::Audio { source, transcript: None, id: Some(audio.id) }.into());
    }
    if let (Some(mark), Some(last)) = (message.cache_control, parts.get_mut(said..).and_then(<[Part]>::last_mut)) {
        last.cache = Some(read_cache(mark));
    }
    for (position, call) in message.tool_calls.unwrap_or_default().0.into_iter().enumerate() {
        let at = format!("{at}.tool_calls[{position}]");
        parts.push(read_call(call, &at, format!("call_{index}_{position}"))?);
    }
    if let Some(function) = message.function_call {
        let call = WireCall { id: None, function: Some(function), custom: None, extra_content: None };
        parts.push(read_call(call, &format!("{at}.function_call"), format!("call_{index}"))?);
    }
    Ok(Message { role: Role::Assistant, name: message.name, parts, extra: kept(message.extra) })
}

/// The plain field holds the text of all details together; where those have texts of their own they know better.
fn read_reasoning(text: String, parts: &mut Vec<Part>) {
    if text.is_empty() || parts.iter().any(|part| matches!(&part.content, Content::Reasoning { text, .. } if !text.is_empty())) {
        return;
    }
    match parts.iter_mut().find_map(|part| match &mut part.content {
        Content::Reasoning { text, redacted: false } => Some(text),
        _ => None,
    }) {
        Some(empty) => *empty = text,
        None => parts.insert(0, Content::Reasoning { text, redacted: false }.into()),
    }
}

/// Clients send `""` where there was nothing to say beside a tool call; some providers reject such text.
fn is_empty_text(part: &Part) -> bool {
    matches!(&part.content, Content::Text { text, .. } if text.is_empty()) && part.cache.is_none()
}

fn read_call(call: WireCall<'_>, at: &str, made_up: String) -> Result<Part> {
    let mut extra = Map::new();
    let (name, arguments) = match (&call.function, call.custom) {
        (None, Some(custom)) => {
            extra.insert("type".to_owned(), "custom".into());
            (custom.name, wrap_input(&custom.input))
        }
        (Some(function), _) => {
            let name = function.name.as_ref().and_then(|name| name.text()).unwrap_or_default();
            if name.is_empty() {
                let at = format!("{at}.function.name");
                return Err(Error::bad_request(format!("{at} is required")).at(at));
            }
            (name.to_owned(), read_arguments(function))
        }
        (None, None) => {
            let at = format!("{at}.function");
            return Err(Error::bad_request(format!("{at} is required")).at(at));
        }
    };
    let id = call.id.filter(|id| !id.is_empty()).unwrap_or(made_up);
    let mut part: Part = Content::ToolCall { id, name, arguments }.into();
    if let Some(raw) = call.extra_content {
        part.signature = read_call_signature(raw);
        let is_ours = part.signature.as_ref().is_some_and(|_| raw.get().contains("\"trunkline\""));
        if !is_ours {
            extra.insert("extra_content".to_owned(), serde_json::from_str(raw.get()).unwrap_or_default());
        }
    }
    part.extra = Extra::new(NAME, extra);
    Ok(part)
}
