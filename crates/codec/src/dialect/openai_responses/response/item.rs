//! The items of an answer for a caller, as they grow.

use std::mem;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::super::{NAME, seal};
use crate::dialect::openai_chat::free_text::unwrap_input;
use crate::dialect::openai_chat::response::{LogprobOut, logprobs_out};
use crate::dialect::shared::compact;
use crate::dialect::{Asked, Cx};
use crate::ir::{Citation, Content, Finish, Part, Raw, Reason, Signature, Source, TokenLogprob};

/// One item.
#[derive(Debug)]
pub(crate) struct Item {
    /// Such as `msg_…`.
    pub(crate) id: String,
    /// What it is.
    pub(crate) body: Body,
    /// Fields that were this dialect's own.
    pub(crate) extra: Map<String, Value>,
}

/// The kinds of items.
#[derive(Debug)]
pub(crate) enum Body {
    Message(Vec<Said>),
    Reasoning {
        text: String,
        encrypted: Option<String>,
    },
    Call {
        call_id: String,
        name: String,
        arguments: String,
    },
    /// A call of a tool that takes free text.
    Custom {
        call_id: String,
        name: String,
        input: String,
    },
    Picture {
        data: String,
        format: String,
    },
    Own(Box<RawValue>),
}

/// A piece of a message.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) refusal: bool,
    pub(crate) text: String,
    pub(crate) annotations: Vec<Value>,
    pub(crate) logprobs: Vec<TokenLogprob>,
}

/// An item as it is told: begun or done.
pub(crate) struct ItemOut<'a> {
    item: &'a Item,
    done: bool,
}

impl Item {
    pub(crate) fn begun(&self) -> ItemOut<'_> {
        ItemOut { item: self, done: false }
    }

    pub(crate) fn done(&self) -> ItemOut<'_> {
        ItemOut { item: self, done: true }
    }
}

impl Serialize for ItemOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Item { id, body, extra } = self.item;
        if let Body::Own(raw) = body {
            return raw.serialize(serializer);
        }
        let status = if self.done { "completed" } else { "in_progress" };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        match body {
            Body::Message(pieces) => {
                map.serialize_entry("type", "message")?;
                map.serialize_entry("status", status)?;
                map.serialize_entry("role", "assistant")?;
                map.serialize_entry("content", if self.done { pieces.as_slice() } else { &[] })?;
            }
            Body::Reasoning { text, encrypted } => {
                map.serialize_entry("type", "reasoning")?;
                let told = self.done && !text.is_empty() && !extra.contains_key("content");
                if !(self.done && extra.contains_key("summary")) {
                    let summary = told.then(|| json!({ "type": "summary_text", "text": text }));
                    map.serialize_entry("summary", summary.as_slice())?;
                }
                map.serialize_entry("encrypted_content", &encrypted.as_ref().filter(|_| self.done))?;
            }
            Body::Call { call_id, name, arguments: text } | Body::Custom { call_id, name, input: text } => {
                let custom = matches!(body, Body::Custom { .. });
                map.serialize_entry("type", if custom { "custom_tool_call" } else { "function_call" })?;
                map.serialize_entry("status", status)?;
                map.serialize_entry("call_id", call_id)?;
                map.serialize_entry("name", name)?;
                map.serialize_entry(if custom { "input" } else { "arguments" }, if self.done { text.as_str() } else { "" })?;
            }
            Body::Picture { data, format } => {
                map.serialize_entry("type", "image_generation_call")?;
                map.serialize_entry("status", status)?;
                map.serialize_entry("output_format", format)?;
                map.serialize_entry("result", &self.done.then_some(data))?;
            }
            Body::Own(_) => {}
        }
        for (key, value) in extra.iter().filter(|(key, _)| self.done && !matches!(key.as_str(), "id" | "type")) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.refusal {
            map.serialize_entry("type", "refusal")?;
            map.serialize_entry("refusal", &self.text)?;
        } else {
            map.serialize_entry("type", "output_text")?;
            map.serialize_entry("text", &self.text)?;
            map.serialize_entry("annotations", &self.annotations)?;
            map.serialize_entry("logprobs", &self.logprobs())?;
        }
        map.end()
    }
}

impl Said {
    pub(crate) fn logprobs(&self) -> Vec<LogprobOut<'_>> {
        logprobs_out(&self.logprobs)
    }
}

/// The items of an answer so far.
#[derive(Debug)]
pub(crate) struct Items {
    pub(crate) all: Vec<Item>,
    /// Makes the ids of this answer's items its own.
    seed: String,
    asked: Option<Arc<Asked>>,
}

impl Serialize for Items {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.all.iter().map(Item::done))
    }
}

impl Items {
    pub(crate) fn new(cx: &Cx) -> Self {
        Items { all: Vec::new(), seed: cx.id.clone(), asked: cx.asked.clone() }
    }

    /// Whether a call is one of a tool that takes free text.
    pub(crate) fn is_custom(&self, tool: &str) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.is_custom(tool))
    }

    /// Adds an item and says where it stands.
    pub(crate) fn add(&mut self, body: Body, extra: Map<String, Value>) -> usize {
        let at = self.all.len();
        let prefix = match &body {
            Body::Message(_) => "msg",
            Body::Reasoning { .. } => "rs",
            Body::Call { .. } => "fc",
            Body::Custom { .. } => "ctc",
            Body::Picture { .. } => "ig",
            Body::Own(_) => "item",
        };
        let id = extra.get("id").and_then(Value::as_str).map(str::to_owned);
        let id = id.unwrap_or_else(|| format!("{prefix}_{}_{at}", self.seed));
        self.all.push(Item { id, body, extra });
        at
    }

    /// The message that the last item is, or a new one.
    fn message(&mut self) -> Option<&mut Vec<Said>> {
        if !matches!(self.all.last(), Some(Item { body: Body::Message(_), .. })) {
            self.add(Body::Message(Vec::new()), Map::new());
        }
        match self.all.last_mut() {
            Some(Item { body: Body::Message(pieces), .. }) => Some(pieces),
            _ => None,
        }
    }

    /// Adds a part of a whole answer.
    pub(crate) fn part(&mut self, part: &Part) {
        let own = || part.extra.of(NAME).cloned().unwrap_or_default();
        match &part.content {
            Content::Text { text, citations } => self.say(false, text, citations),
            Content::Refusal { text } => self.say(true, text, &[]),
            Content::Audio { transcript: Some(text), .. } => self.say(false, text, &[]),
            // An item of a picture has its bytes; where there are none, its address is told.
            Content::Image { source: Source::Url { url, .. }, .. } => self.say(false, url, &[]),
            Content::Reasoning { text, redacted } => {
                let at = self.add(Body::Reasoning { text: text.clone(), encrypted: None }, own());
                if let Some(signature) = &part.signature {
                    self.sign(at, signature, *redacted);
                }
                return;
            }
            Content::ToolCall { id, name, arguments } => {
                let (call_id, name) = (id.clone(), name.clone());
                let body = if self.is_custom(&name) || was_custom(part) {
                    Body::Custom { call_id, name, input: unwrap_input(arguments) }
                } else {
                    let arguments = if arguments.is_empty() { "{}" } else { arguments }.to_owned();
                    Body::Call { call_id, name, arguments }
                };
                self.add(body, Map::new());
            }
            Content::Image { source: Source::Base64 { media_type, data }, .. } => {
                let format = media_type.strip_prefix("image/").unwrap_or("png").to_owned();
                self.add(Body::Picture { data: data.clone(), format }, own());
            }
            Content::Foreign { from, value } if *from == NAME => {
                // A frame of a stream is one line.
                let raw = Raw::parse(compact(value.get())).unwrap_or_else(|| value.clone());
                self.add(Body::Own(raw.0), Map::new());
            }
            _ => return,
        }
        if let Some(signature) = &part.signature {
            let call = match &part.content {
                Content::ToolCall { id, .. } => Some(id.as_str()),
                _ => None,
            };
            self.carry(call, signature);
        }
    }

    fn say(&mut self, refusal: bool, text: &str, citations: &[Citation]) {
        let Some(pieces) = self.message() else { return };
        let mut said = Said { refusal, text: text.to_owned(), ..Said::default() };
        said.annotations = citations.iter().map(|citation| annotation(citation, &said.text)).collect();
        pieces.push(said);
    }

    /// Puts a signature into the item of thinking at `at`.
    pub(crate) fn sign(&mut self, at: usize, signature: &Signature, redacted: bool) {
        let Some(item) = self.all.get_mut(at) else { return };
        let Body::Reasoning { encrypted, .. } = &mut item.body else { return };
        *encrypted = Some(seal::write(signature, redacted));
        // Its maker checks its state against the id that it gave.
        if signature.owner == NAME && !seal::split(&signature.value).0.is_empty() {
            seal::split(&signature.value).0.clone_into(&mut item.id);
        }
    }

    /// Adds an item that carries the signature of a call, or of the text before.
    pub(crate) fn carry(&mut self, call: Option<&str>, signature: &Signature) -> usize {
        let encrypted = Some(seal::write_carried(call, signature));
        self.add(Body::Reasoning { text: String::new(), encrypted }, Map::new())
    }

    /// Puts probabilities to the first text, which is what they are of.
    pub(crate) fn put_logprobs(&mut self, tokens: &[TokenLogprob]) {
        let pieces = self.all.iter_mut().filter_map(|item| match &mut item.body {
            Body::Message(pieces) => Some(pieces),
            _ => None,
        });
        if let Some(said) = pieces.flatten().find(|said| !said.refusal) {
            said.logprobs.extend_from_slice(tokens);
        }
    }
}

/// Whether a part is told as a piece of a message.
pub(crate) fn is_piece(content: &Content) -> bool {
    match content {
        Content::Text { .. } | Content::Refusal { .. } | Content::Audio { transcript: Some(_), .. } => true,
        Content::Image { source, .. } => matches!(source, Source::Url { .. }),
        _ => false,
    }
}

/// Whether a call was one of a tool that takes free text.
fn was_custom(part: &Part) -> bool {
    let kind = part.extra.fields.get("type").and_then(Value::as_str);
    matches!((part.extra.from, kind), (NAME, Some("custom_tool_call")) | ("openai-chat", Some("custom")))
}

/// A citation as an annotation of `text`, as far as that has come.
pub(crate) fn annotation(citation: &Citation, text: &str) -> Value {
    if let Some(raw) = citation.raw.as_ref().filter(|_| citation.from == NAME) {
        return raw.value();
    }
    let title = citation.title.as_deref();
    let Some(url) = citation.url.as_deref() else {
        // A document that came with the request has no address.
        return json!({ "type": "file_citation", "file_id": "", "filename": title.unwrap_or_default(), "index": 0 });
    };
    let end = citation.end.unwrap_or_else(|| text.chars().count().try_into().unwrap_or(u64::MAX));
    json!({
        "type": "url_citation",
        "start_index": citation.start.unwrap_or(0).min(end),
        "end_index": end,
        "title": title.unwrap_or(url),
        "url": url,
    })
}

/// The status and, of an answer that is not complete, the reason.
pub(crate) fn write_finish(finish: &Finish, refused: bool) -> (&'static str, Value) {
    let incomplete = |reason: Option<&str>| ("incomplete", json!({ "reason": reason }));
    match finish.reason {
        Reason::Stop | Reason::StopSequence | Reason::ToolCalls => ("completed", Value::Null),
        Reason::Refusal if refused => ("completed", Value::Null),
        Reason::Refusal | Reason::Filtered => incomplete(Some("content_filter")),
        Reason::Length | Reason::ContextFull => incomplete(Some("max_output_tokens")),
        Reason::Pause => incomplete(finish.detail.as_deref().filter(|word| matches!(*word, "max_messages" | "steered"))),
        Reason::Failed => incomplete(None),
    }
}

impl Items {
    /// Whether some item says that it is a refusal.
    pub(crate) fn is_refusal(&self) -> bool {
        self.all.iter().any(|item| matches!(&item.body, Body::Message(pieces) if pieces.iter().any(|said| said.refusal)))
    }

    /// Gives the items away.
    pub(crate) fn take(&mut self) -> Items {
        Items { all: mem::take(&mut self.all), seed: self.seed.clone(), asked: None }
    }
}
