//! The messages of a request as a provider is sent them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::NAME;
use super::document;
use crate::catalog::Quirks;
use crate::dialect::openai_chat::response::DataUrl;
use crate::ir::{Content, Message, Part, Request, Role, Source};
use crate::loss::Losses;

#[derive(Default, Serialize)]
pub(super) struct MessageOut<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_plan: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

/// Writes the conversation, and gives back the documents that stood in it.
pub(super) fn write<'a>(request: &'a Request, quirks: &Quirks, losses: &mut Losses) -> (Vec<MessageOut<'a>>, Vec<Value>) {
    let mut documents = Vec::new();
    let mut out = Vec::with_capacity(request.messages.len());
    for (index, message) in request.messages.iter().enumerate() {
        let mut pen = Pen { at: format!("messages[{index}]"), quirks, losses, documents: &mut documents };
        let first = out.len();
        match message.role {
            Role::System => {
                out.push(MessageOut { role: "system", content: Some(pen.content(&message.parts, 0)), ..Default::default() })
            }
            Role::User => pen.user(message, &mut out),
            Role::Assistant => out.push(pen.assistant(message)),
        }
        if message.name.is_some() {
            pen.losses.add(format!("{}.name", pen.at), format!("{NAME} has no names of speakers"));
        }
        pen.losses.add_foreign(&pen.at, &message.extra, NAME);
        if let Some(last) = out.get_mut(first..).and_then(<[MessageOut<'_>]>::last_mut) {
            last.extra = last.extra.or(message.extra.of(NAME));
        }
    }
    (out, documents)
}

/// What the writing of a message needs to know and to tell.
struct Pen<'l> {
    at: String,
    quirks: &'l Quirks,
    losses: &'l mut Losses,
    documents: &'l mut Vec<Value>,
}

impl Pen<'_> {
    /// Results of tools first, each a message of its own; then what the person says, and pictures that the results held.
    fn user<'a>(&mut self, message: &'a Message, out: &mut Vec<MessageOut<'a>>) {
        let results = message.parts.iter().take_while(|part| matches!(part.content, Content::ToolResult { .. })).count();
        let (answered, said) = message.parts.split_at_checked(results).unwrap_or((&[], &message.parts));
        let mut moved: Vec<Value> = Vec::new();
        for (index, part) in answered.iter().enumerate() {
            let at = format!("{}.parts[{index}]", self.at);
            out.push(self.result(part, &at, &mut moved));
        }
        if said.is_empty() && moved.is_empty() && !answered.is_empty() {
            return;
        }
        let mut content = self.content(said, results);
        if !moved.is_empty() {
            match content {
                Value::Array(parts) => moved.extend(parts),
                Value::String(text) if !text.is_empty() => moved.push(json!({ "type": "text", "text": text })),
                _ => {}
            }
            content = Value::Array(moved);
        }
        out.push(MessageOut { role: "user", content: Some(content), ..MessageOut::default() });
    }

    fn result<'a>(&mut self, part: &'a Part, at: &str, moved: &mut Vec<Value>) -> MessageOut<'a> {
        let Content::ToolResult { id, parts, failed, .. } = &part.content else { return MessageOut::default() };
        let (mut content, mut media) = (Vec::new(), Vec::new());
        for (index, part) in parts.iter().enumerate() {
            match (&part.content, document::write(part)) {
                (_, Some(document)) => content.push(json!({ "type": "document", "document": document })),
                (Content::Text { text, .. }, None) => content.push(json!({ "type": "text", "text": text })),
                _ => media.extend(self.part(part, &format!("{at}.parts[{index}]"))),
            }
        }
        if !media.is_empty() {
            moved.push(json!({ "type": "text", "text": format!("From tool call {id}:") }));
            moved.append(&mut media);
            if content.is_empty() {
                content.push(json!({ "type": "text", "text": "(see the next message)" }));
            }
        }
        if *failed {
            self.losses.add(format!("{at}.failed"), "said in the text instead");
            content.insert(0, json!({ "type": "text", "text": "Error:" }));
        }
        self.note(part, at);
        let content = match content.as_slice() {
            [] => Value::from(""),
            [Value::Object(only)] if only.get("type").is_some_and(|kind| kind == "text") => {
                only.get("text").cloned().unwrap_or_default()
            }
            _ => Value::Array(content),
        };
        let (tool_call_id, extra) = (Some(id.as_str()), part.extra.of(NAME));
        MessageOut { role: "tool", tool_call_id, content: Some(content), extra, ..MessageOut::default() }
    }

    /// What is said before tools are called is the plan.
    fn assistant<'a>(&mut self, message: &'a Message) -> MessageOut<'a> {
        let mut out = MessageOut { role: "assistant", ..MessageOut::default() };
        let calls = message.parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
        let mut content = Vec::new();
        for (index, part) in message.parts.iter().enumerate() {
            let at = format!("{}.parts[{index}]", self.at);
            match &part.content {
                Content::Text { text, .. } if calls && out.tool_plan.is_none() => {
                    self.note(part, &at);
                    out.tool_plan = Some(text);
                }
                Content::ToolCall { id, name, arguments } => {
                    self.note(part, &at);
                    let arguments = if arguments.is_empty() { "{}" } else { arguments };
                    let function = json!({ "name": name, "arguments": arguments });
                    out.tool_calls.push(json!({ "id": id, "type": "function", "function": function }));
                }
                Content::Reasoning { text, redacted: false } => {
                    self.note(part, &at);
                    content.push(json!({ "type": "thinking", "thinking": text }));
                }
                _ => content.extend(self.part(part, &at)),
            }
        }
        let text_only = content.iter().all(|part| part.get("type").is_some_and(|kind| kind == "text"));
        out.content = match content.len() {
            0 if calls => None,
            0 => Some(Value::from("")),
            _ if text_only => {
                let texts = content.iter().filter_map(|part| part.get("text")?.as_str());
                Some(Value::from(texts.collect::<String>()))
            }
            _ => Some(Value::Array(content)),
        };
        out
    }

    /// Text alone stays text; everything else is a list. `first` is the place of the first part in its message.
    fn content(&mut self, parts: &[Part], first: usize) -> Value {
        let mut list: Vec<Value> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            list.extend(self.part(part, &format!("{}.parts[{}]", self.at, first + index)));
        }
        match list.as_slice() {
            [] => Value::from(""),
            [Value::Object(only)] if only.len() == 2 && only.contains_key("text") => {
                only.get("text").cloned().unwrap_or_default()
            }
            _ => Value::Array(list),
        }
    }

    fn part(&mut self, part: &Part, at: &str) -> Option<Value> {
        let value = match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => json!({ "type": "text", "text": text }),
            Content::Image { source: Source::Url { .. }, .. } if self.quirks.refuses("image_url") => Value::Null,
            Content::Image { source, detail } => match DataUrl::new(source) {
                Some(url) => {
                    let mut image = json!({ "url": url });
                    if let (Some(object), Some(detail)) = (image.as_object_mut(), detail) {
                        object.insert("detail".to_owned(), detail.as_str().into());
                    }
                    json!({ "type": "image_url", "image_url": image })
                }
                None => Value::Null,
            },
            Content::Document { .. } => match document::write(part) {
                Some(document) => {
                    self.documents.push(document);
                    self.losses.add_foreign(at, &part.extra, NAME);
                    return None;
                }
                None => Value::Null,
            },
            Content::Foreign { from, value } if *from == NAME => value.value(),
            _ => Value::Null,
        };
        if value.is_null() {
            self.losses.add(at.to_owned(), format!("{NAME} has no such content"));
            return None;
        }
        self.note(part, at);
        let mut value = value;
        if let (Some(object), Some(own)) = (value.as_object_mut(), part.extra.of(NAME)) {
            object.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Some(value)
    }

    /// What goes along with a part and cannot be said.
    fn note(&mut self, part: &Part, at: &str) {
        if part.cache.is_some() {
            self.losses.add(format!("{at}.cache"), "the provider caches by itself");
        }
        if part.signature.as_ref().is_some_and(|signature| signature.owner != NAME) {
            self.losses.add(format!("{at}.signature"), "only its maker understands it");
        }
        self.losses.add_foreign(at, &part.extra, NAME);
    }
}
