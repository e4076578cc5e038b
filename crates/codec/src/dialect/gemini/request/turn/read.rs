//! A caller's contents.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::dialect::gemini::text::compact;
use crate::dialect::gemini::wire::{Call, Outcome, Piece, Turn, value};
use crate::dialect::gemini::{NAME, media};
use crate::error::{Error, Result};
use crate::ir::{Content, Extra, Message, Part, Raw, Role, Source};

use super::make_id;
use super::result::read_response;

/// Calls that were made and not answered yet, for results that name no id.
#[derive(Default)]
struct Calls {
    waiting: HashMap<String, VecDeque<String>>,
    answered: HashSet<String>,
}

impl Calls {
    fn ask(&mut self, id: &str, name: &str) {
        self.waiting.entry(name.to_owned()).or_default().push_back(id.to_owned());
    }

    /// The id of the call that a result answers: the one it names, or the oldest of the tool that waits.
    fn answer(&mut self, id: Option<&str>, name: &str) -> Option<String> {
        if let Some(id) = id {
            self.answered.insert(id.to_owned());
            return Some(id.to_owned());
        }
        let waiting = self.waiting.get_mut(name)?;
        std::iter::from_fn(|| waiting.pop_front()).find(|id| !self.answered.contains(id))
    }
}

/// Reads contents one after the other.
#[derive(Default)]
pub(crate) struct Conversation {
    calls: Calls,
    messages: Vec<Message>,
}

/// Where a part stands in the caller's words.
#[derive(Clone, Copy)]
struct Place(usize, usize);

impl Place {
    fn path(self, field: &str) -> String {
        format!("contents[{}].parts[{}].{field}", self.0, self.1)
    }

    fn require<T>(self, value: Option<T>, field: &str) -> Result<T> {
        value.ok_or_else(|| Error::bad_request(format!("{} is required", self.path(field))).at(self.path(field)))
    }
}

impl Conversation {
    /// Takes `systemInstruction`.
    pub(crate) fn push_system(&mut self, turn: Turn<'_>) {
        let parts = turn.parts.into_iter().flat_map(|list| list.0).map(read_plain).collect();
        self.messages.push(Message { role: Role::System, name: None, parts, extra: Extra::default() });
    }

    /// Takes the content number `at`. The chunks of a streamed answer, which SDKs keep as contents of their own, become
    /// one message again.
    pub(crate) fn push(&mut self, turn: Turn<'_>, at: usize) -> Result<()> {
        let role = match turn.role.as_deref() {
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model") => Role::Assistant,
            Some("system") => Role::System,
            Some(other) => {
                let path = format!("contents[{at}].role");
                return Err(Error::bad_request(format!("{path}: `{other}` is neither `user` nor `model`")).at(path));
            }
        };
        let mut results = Vec::new();
        let mut parts = Vec::new();
        let mut made = 0;
        for (index, piece) in turn.parts.into_iter().flat_map(|list| list.0).enumerate() {
            let part = self.read_piece(piece, Place(at, index), &mut made)?;
            let list = if matches!(part.content, Content::ToolResult { .. }) { &mut results } else { &mut parts };
            list.push(part);
        }
        results.append(&mut parts);
        let extra = own(turn.rest, "");
        if role != Role::Assistant {
            self.messages.push(Message { role, name: None, parts: results, extra: Extra::new(NAME, extra) });
            return Ok(());
        }
        if self.messages.last().is_none_or(|last| last.role != Role::Assistant) {
            self.messages.push(Message { role, name: None, parts: Vec::new(), extra: Extra::new(NAME, Map::new()) });
        }
        if let Some(message) = self.messages.last_mut() {
            message.extra.fields.extend(extra);
            results.into_iter().for_each(|part| join(&mut message.parts, part));
        }
        Ok(())
    }

    /// The messages so far.
    pub(crate) fn finish(self) -> Vec<Message> {
        self.messages
    }

    fn read_piece(&mut self, piece: Piece<'_>, place: Place, made: &mut usize) -> Result<Part> {
        let make = || {
            *made += 1;
            make_id("", place.0, *made - 1)
        };
        if let Some(call) = piece.call {
            let part = read_call(call, place, make)?;
            if let Content::ToolCall { id, name, .. } = &part {
                self.calls.ask(id, name);
            }
            return Ok(finish(part, piece.signature.as_deref(), own(piece.rest, "")));
        }
        if let Some(mut result) = piece.result {
            let name = result.name.take().filter(|name| !name.is_empty());
            let name = place.require(name, "functionResponse.name")?.0.into_owned();
            let id = result.id.as_deref().filter(|id| !id.is_empty());
            let id = self.calls.answer(id, &name).unwrap_or_else(make);
            let mut part = read_result(id, name, result);
            part.extra.fields.extend(own(piece.rest, ""));
            return Ok(part);
        }
        if let Some(blob) = &piece.blob {
            place.require(blob.media_type.as_ref(), "inlineData.mimeType")?;
            place.require(blob.data.as_ref(), "inlineData.data")?;
        }
        if let Some(file) = &piece.file {
            place.require(file.uri.as_ref(), "fileData.fileUri")?;
        }
        Ok(read_plain(piece))
    }
}

/// Pieces of one kind belong to one part, until a signature seals it; the same rule as for a stream.
fn join(parts: &mut Vec<Part>, part: Part) {
    if let Some(last) = parts.last_mut()
        && last.signature.is_none()
        && last.extra.is_empty()
        && part.extra.is_empty()
    {
        match (&mut last.content, &part.content) {
            (Content::Text { text, .. }, Content::Text { text: more, .. })
            | (Content::Reasoning { text, .. }, Content::Reasoning { text: more, redacted: false }) => {
                text.push_str(more);
                last.signature = part.signature;
                return;
            }
            _ => {}
        }
    }
    parts.push(part);
}

/// Fields that are not known, as ours, under `prefix`.
fn own<'a>(rest: impl IntoIterator<Item = (Cow<'a, str>, &'a RawValue)>, prefix: &str) -> Map<String, Value> {
    rest.into_iter().map(|(key, raw)| (format!("{prefix}{key}"), value(raw))).collect()
}

fn finish(content: Content, signature: Option<&str>, extra: Map<String, Value>) -> Part {
    let (signature, encrypted) = signature.filter(|text| !text.is_empty()).map(media::unseal).unzip();
    let content = match content {
        Content::Reasoning { text, .. } => Content::Reasoning { redacted: encrypted == Some(true) && text.is_empty(), text },
        other => other,
    };
    Part { content, cache: None, signature, extra: Extra::new(NAME, extra) }
}

fn read_call(call: Call<'_>, place: Place, make: impl FnOnce() -> String) -> Result<Content> {
    let name = place.require(call.name.filter(|name| !name.is_empty()), "functionCall.name")?;
    let arguments = call.args.map(RawValue::get).unwrap_or_default();
    if !arguments.is_empty() && !arguments.starts_with('{') {
        let path = place.path("functionCall.args");
        return Err(Error::bad_request(format!("{path}: expected an object")).at(path));
    }
    let id = call.id.map(|id| id.0.into_owned()).filter(|id| !id.is_empty()).unwrap_or_else(make);
    Ok(Content::ToolCall { id, name: name.0.into_owned(), arguments: compact(arguments) })
}

fn read_result(id: String, name: String, result: Outcome<'_>) -> Part {
    let (text, failed) = read_response(result.response);
    let mut parts = vec![Part::text(text)];
    parts.extend(result.parts.into_iter().flat_map(|list| list.0).map(read_plain));
    let content = Content::ToolResult { id, name: Some(name), parts, failed };
    Part { extra: Extra::new(NAME, own(result.rest, "functionResponse.")), ..content.into() }
}

/// Reads a part that is no call and no result: text, thought, media, or a block that only gemini knows.
pub(crate) fn read_plain(piece: Piece<'_>) -> Part {
    let Piece { blob, file, text, thought, signature, rest, .. } = piece;
    let signature = signature.as_deref();
    let thought = thought == Some(true);
    if let Some(blob) = blob {
        let media_type = blob.media_type.map(|text| text.0.into_owned()).unwrap_or_default();
        let data = blob.data.map(|data| media::standard(data.0)).unwrap_or_default();
        let mut extra = own(rest, "");
        extra.extend(own(blob.rest, "inlineData."));
        let content = media::content(&media_type.clone(), Source::Base64 { media_type, data });
        return finish(content, signature, extra);
    }
    if let Some(file) = file {
        let media_type = file.media_type.map(|text| text.0.into_owned()).filter(|text| !text.is_empty());
        let url = file.uri.map(|uri| uri.0.into_owned()).unwrap_or_default();
        let kind = media_type.as_deref().or_else(|| media::guess(&url)).unwrap_or_default().to_owned();
        let mut extra = own(rest, "");
        extra.extend(own(file.rest, "fileData."));
        return finish(media::content(&kind, Source::Url { url, media_type }), signature, extra);
    }
    if text.is_none() && !rest.is_empty() {
        let mut block = own(rest, "");
        if thought {
            block.insert("thought".to_owned(), Value::Bool(true));
        }
        if let Some(signature) = signature {
            block.insert("thoughtSignature".to_owned(), Value::from(signature));
        }
        return Content::Foreign { from: NAME, value: Raw::of(&block) }.into();
    }
    let text = text.map(|text| text.0.into_owned()).unwrap_or_default();
    let content = match thought {
        true => Content::Reasoning { text, redacted: false },
        false => Content::Text { text, citations: Vec::new() },
    };
    finish(content, signature, own(rest, ""))
}
