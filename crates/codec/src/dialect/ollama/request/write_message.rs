//! The messages of a request as a provider is sent them.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::dialect::ollama::CHAT;
use crate::ir::{Content, Message, Part, Request, Role, Source};
use crate::loss::Losses;

#[derive(Default, Serialize)]
pub(super) struct MessageOut<'a> {
    role: &'static str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

/// A tool call, as requests and answers have it.
#[derive(Debug, Serialize)]
pub(in super::super) struct CallOut<'a> {
    id: &'a str,
    function: FunctionOut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Value>,
}

#[derive(Debug, Serialize)]
struct FunctionOut<'a> {
    index: usize,
    name: &'a str,
    arguments: Cow<'a, RawValue>,
}

impl<'a> CallOut<'a> {
    pub(in super::super) fn new(index: usize, id: &'a str, name: &'a str, arguments: &'a str) -> Self {
        let (arguments, _) = object(arguments);
        CallOut { id, function: FunctionOut { index, name, arguments }, extra_content: None }
    }

    /// With state of another dialect's maker, sealed.
    pub(in super::super) fn signed(self, sealed: Option<String>) -> Self {
        CallOut { extra_content: sealed.map(|sealed| json!({ "trunkline": { "signature": sealed } })), ..self }
    }
}

/// Arguments as the object that they must be; false when they had to be wrapped to be one.
fn object(arguments: &str) -> (Cow<'_, RawValue>, bool) {
    let text = arguments.trim();
    let text = if text.is_empty() { "{}" } else { text };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if text.starts_with('{') => (Cow::Borrowed(raw), true),
        _ => {
            let wrapped = serde_json::value::to_raw_value(&json!({ "arguments": arguments }));
            (wrapped.map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned), false)
        }
    }
}

pub(super) const NO_CONTENT: &str = "has no such content";

/// A picture's bytes in base64; `None` for everything else, and for one that would have to be fetched.
pub(super) fn image(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Image { source: Source::Base64 { data, .. }, .. } => Some(data),
        _ => None,
    }
}

/// Writes the conversation.
pub(super) fn write<'a>(request: &'a Request, losses: &mut Losses) -> Vec<MessageOut<'a>> {
    let mut out = Vec::with_capacity(request.messages.len());
    for (index, message) in request.messages.iter().enumerate() {
        let mut pen = Pen { request, at: format!("messages[{index}]"), losses };
        pen.write(message, &mut out);
    }
    out
}

/// What the writing of a message needs to know and to tell.
struct Pen<'a, 'l> {
    request: &'a Request,
    at: String,
    losses: &'l mut Losses,
}

impl<'a> Pen<'a, '_> {
    /// Results of tools first, each a message of its own.
    fn write(&mut self, message: &'a Message, out: &mut Vec<MessageOut<'a>>) {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let mut said = MessageOut { role, ..MessageOut::default() };
        let (mut any, mut results) = (false, false);
        for (index, part) in message.parts.iter().enumerate() {
            let at = format!("{}.parts[{index}]", self.at);
            if let Content::ToolResult { .. } = part.content {
                out.push(self.result(part, &at));
                results = true;
            } else {
                self.part(part, &at, &mut said);
                any = true;
            }
        }
        if message.name.is_some() {
            self.losses.add(format!("{}.name", self.at), format!("{CHAT} has no names of speakers"));
        }
        self.losses.add_foreign(&self.at, &message.extra, CHAT);
        if any || !results {
            out.push(said);
        }
        if let Some(last) = out.last_mut() {
            last.extra = last.extra.or(message.extra.of(CHAT));
        }
    }

    fn part(&mut self, part: &'a Part, at: &str, said: &mut MessageOut<'a>) {
        if part.cache.is_some() {
            self.losses.add(format!("{at}.cache"), "the provider caches by itself");
        }
        let own = part.signature.as_ref().is_none_or(|signature| signature.owner == CHAT);
        if !own {
            self.losses.add(format!("{at}.signature"), "only its maker understands it");
        }
        self.losses.add_foreign(at, &part.extra, CHAT);
        // Several texts of a tool are several things; those of a speaker were cut for other reasons.
        let between = if said.role == "tool" { "\n" } else { "" };
        match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => join(&mut said.content, between, text),
            Content::Reasoning { text, redacted: false } => join(&mut said.thinking, between, text),
            Content::ToolCall { id, name, arguments } => {
                if !object(arguments).1 {
                    self.losses.add(format!("{at}.arguments"), "no object: sent as a member of one");
                }
                said.tool_calls.push(CallOut::new(said.tool_calls.len(), id, name, arguments));
            }
            Content::Document { source: Source::Text { text }, title, .. } => {
                if title.is_some() {
                    self.losses.add(format!("{at}.title"), "sent as plain text");
                }
                join(&mut said.content, between, text);
            }
            Content::Image { source: Source::Url { .. }, .. } => {
                self.losses.add(at.to_owned(), "a picture must come with the request: nothing is fetched");
            }
            _ => match image(part) {
                Some(data) => said.images.push(data),
                None => self.losses.add(at.to_owned(), format!("{CHAT} {NO_CONTENT}")),
            },
        }
    }

    fn result(&mut self, part: &'a Part, at: &str) -> MessageOut<'a> {
        let mut said = MessageOut { role: "tool", ..MessageOut::default() };
        let Content::ToolResult { id, name, parts, failed } = &part.content else { return said };
        for (index, part) in parts.iter().enumerate() {
            self.part(part, &format!("{at}.parts[{index}]"), &mut said);
        }
        if *failed {
            self.losses.add(format!("{at}.failed"), "said in the text instead");
            said.content = Cow::Owned(format!("Error: {}", said.content));
        }
        if part.cache.is_some() {
            self.losses.add(format!("{at}.cache"), "the provider caches by itself");
        }
        self.losses.add_foreign(at, &part.extra, CHAT);
        said.tool_call_id = Some(id);
        said.tool_name = name.as_deref().or_else(|| self.tool_of(id));
        said.extra = part.extra.of(CHAT);
        said
    }

    /// The tool that a call was of.
    fn tool_of(&self, wanted: &str) -> Option<&'a str> {
        let mut parts = self.request.messages.iter().flat_map(|message| &message.parts);
        parts.find_map(|part| match &part.content {
            Content::ToolCall { id, name, .. } if id == wanted => Some(name.as_str()),
            _ => None,
        })
    }
}

/// Texts that follow one another are one.
fn join<'a>(text: &mut Cow<'a, str>, between: &str, more: &'a str) {
    if text.is_empty() {
        *text = Cow::Borrowed(more);
    } else {
        text.to_mut().push_str(between);
        text.to_mut().push_str(more);
    }
}
