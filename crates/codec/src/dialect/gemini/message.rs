//! Contents and their parts: a conversation, read and written.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Content, Extra, Message, Part, Raw, Request, Role, Signature, Source};
use crate::loss::Losses;

use super::config::knows_levels;
use super::media;
use super::text::{List, Object, nested, put};
use super::wire::{Outcome, Piece, Rest, Turn, value};
use super::{NAME, media::unseal};

/// Calls that were made and not answered yet, for results that name no id.
#[derive(Default)]
pub(super) struct Calls(Vec<(String, String)>);

impl Calls {
    fn answer(&mut self, id: Option<&str>, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(call, tool)| id.map_or(tool == name, |id| call == id))?;
        Some(self.0.remove(at).0)
    }
}

/// Marks an id that was made up here, because the wire had none: it is not written back.
pub(super) fn make_id(tag: &str, first: usize, second: usize) -> String {
    let tag: String = tag.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(32).collect();
    let gap = if tag.is_empty() { "" } else { "_" };
    format!("call_{tag}{gap}{first}_{second}")
}

fn is_made_up(id: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = id.rsplitn(3, '_');
    let (last, before) = (parts.next(), parts.next());
    id.starts_with("call_") && last.is_some_and(number) && before.is_some_and(number)
}

fn own<'a>(rest: impl IntoIterator<Item = (Cow<'a, str>, &'a RawValue)>, prefix: &str) -> Map<String, Value> {
    rest.into_iter().map(|(key, raw)| (format!("{prefix}{key}"), value(raw))).collect()
}

/// Reads one content as message `at` of `contents`.
pub(super) fn read(turn: Turn<'_>, at: usize, calls: &mut Calls) -> Result<Message> {
    let role = match turn.role.as_deref() {
        None | Some("" | "user" | "function" | "tool") => Role::User,
        Some("model") => Role::Assistant,
        Some("system") => Role::System,
        Some(other) => {
            let path = format!("contents[{at}].role");
            return Err(Error::bad_request(format!("{path}: `{other}` is neither `user` nor `model`")).at(path));
        }
    };
    let mut parts = Vec::new();
    let mut results = Vec::new();
    let mut made = 0;
    for (index, piece) in turn.parts.into_iter().flat_map(|list| list.0).enumerate() {
        let path = || format!("contents[{at}].parts[{index}]");
        let part = read_piece(piece, path, at, &mut made, calls)?;
        let list = if matches!(part.content, Content::ToolResult { .. }) { &mut results } else { &mut parts };
        list.push(part);
    }
    results.append(&mut parts);
    Ok(Message { role, name: None, parts: results, extra: Extra::new(NAME, own(turn.rest, "")) })
}

fn read_piece(piece: Piece<'_>, path: impl Fn() -> String, message: usize, made: &mut usize, calls: &mut Calls) -> Result<Part> {
    let need = |what: &str| Error::bad_request(format!("{}.{what} is required", path())).at(format!("{}.{what}", path()));
    let Some(call) = &piece.call else {
        if let Some(result) = piece.result {
            let name = result.name.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| need("functionResponse.name"))?;
            let id = result.id.as_deref().filter(|id| !id.is_empty());
            let id = calls.answer(id, name).or_else(|| id.map(str::to_owned)).unwrap_or_else(|| {
                *made += 1;
                make_id("", message, *made - 1)
            });
            return Ok(read_result(id, result, piece.rest));
        }
        if let Some(blob) = &piece.blob {
            blob.media_type.as_ref().ok_or_else(|| need("inlineData.mimeType"))?;
            blob.data.as_ref().ok_or_else(|| need("inlineData.data"))?;
        }
        if piece.file.as_ref().is_some_and(|file| file.uri.is_none()) {
            return Err(need("fileData.fileUri"));
        }
        return Ok(read_plain(piece));
    };
    let name = call.name.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| need("functionCall.name"))?;
    if call.args.is_some_and(|args| !args.get().starts_with('{')) {
        let path = format!("{}.functionCall.args", path());
        return Err(Error::bad_request(format!("{path}: expected an object")).at(path));
    }
    let id = call.id.as_deref().filter(|id| !id.is_empty()).map(str::to_owned).unwrap_or_else(|| {
        *made += 1;
        make_id("", message, *made - 1)
    });
    calls.0.push((id.clone(), name.to_owned()));
    let arguments = call.args.map(|args| args.get().to_owned()).unwrap_or_default();
    let content = Content::ToolCall { id, name: name.to_owned(), arguments };
    Ok(finish_part(content, piece.signature.as_deref(), own(piece.rest, "")))
}

fn finish_part(content: Content, signature: Option<&str>, extra: Map<String, Value>) -> Part {
    let (signature, redacted) = match signature.filter(|text| !text.is_empty()) {
        Some(text) => {
            let (signature, redacted) = unseal(text);
            (Some(signature), redacted)
        }
        None => (None, false),
    };
    let content = match content {
        Content::Reasoning { text, .. } => Content::Reasoning { redacted: redacted && text.is_empty(), text },
        other => other,
    };
    Part { content, cache: None, signature, extra: Extra::new(NAME, extra) }
}

/// Reads a part that is no call and no result: text, thought, media, or a block that only gemini knows.
pub(super) fn read_plain(piece: Piece<'_>) -> Part {
    let signature = piece.signature.as_deref();
    let Piece { blob, file, text, .. } = piece;
    if let Some(blob) = blob {
        let media_type = blob.media_type.map(|text| text.0.into_owned()).unwrap_or_default();
        let data = blob.data.map(|data| media::standard(data.0)).unwrap_or_default();
        let content = media::content(&media_type.clone(), Source::Base64 { media_type, data });
        let mut extra = own(piece.rest, "");
        extra.extend(own(blob.rest, "inlineData."));
        return finish_part(content, signature, extra);
    }
    if let Some(file) = file {
        let media_type = file.media_type.map(|text| text.0.into_owned()).filter(|text| !text.is_empty());
        let url = file.uri.map(|uri| uri.0.into_owned()).unwrap_or_default();
        let kind = media_type.as_deref().or_else(|| media::guess(&url)).unwrap_or_default().to_owned();
        let content = media::content(&kind, Source::Url { url, media_type });
        let mut extra = own(piece.rest, "");
        extra.extend(own(file.rest, "fileData."));
        return finish_part(content, signature, extra);
    }
    let thought = piece.thought == Some(true);
    if text.is_none() && !piece.rest.is_empty() {
        let mut block = own(piece.rest, "");
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
    finish_part(content, signature, own(piece.rest, ""))
}

/// `{"result": "text"}` and `{"error": …}` are unwrapped, any other object is the result's JSON text.
fn read_result(id: String, result: Outcome<'_>, rest: Rest<'_>) -> Part {
    let response = result.response.map(value).unwrap_or_default();
    let only = response.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.iter().next());
    let text_of = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (text, failed) = match only {
        Some((key, error)) if key == "error" => (text_of(error), true),
        Some((key, Value::String(text))) if key == "result" => (text.clone(), false),
        _ => (result.response.map_or("{}", RawValue::get).to_owned(), false),
    };
    let mut parts = vec![Part::text(text)];
    parts.extend(result.parts.into_iter().flat_map(|list| list.0).map(read_plain));
    let name = result.name.map(|name| name.0.into_owned());
    let mut extra = own(rest, "");
    extra.extend(own(result.rest, "functionResponse."));
    let content = Content::ToolResult { id, name, parts, failed };
    Part { content, cache: None, signature: None, extra: Extra::new(NAME, extra) }
}

/// Writes `systemInstruction` and `contents`.
pub(super) fn write(request: &Request, body: &mut Object<'_>, losses: &mut Losses) -> Result<()> {
    write_system(request, body, losses);
    let mut bytes = Vec::new();
    let mut contents = List::new(&mut bytes);
    let mut writer = Turns { model: &request.model, request, losses, late: Vec::new() };
    let mut at = 0;
    let messages = &request.messages;
    while let Some(first) = messages.get(at) {
        let mut group = 1;
        while messages.get(at + group).is_some_and(|next| belongs(first, next)) {
            group += 1;
        }
        if first.role != Role::System {
            writer.write_turn(at, messages.get(at..at + group).unwrap_or_default(), &mut contents)?;
        }
        at += group;
    }
    let empty = contents.is_empty();
    contents.end();
    if empty {
        return Err(Error::new(Kind::Unsupported, Origin::Caller, "gemini needs at least one user message").at("messages"));
    }
    body.key("contents").extend_from_slice(&bytes);
    Ok(())
}

/// The answers to parallel calls must stand in one content, and so must the calls.
fn belongs(first: &Message, next: &Message) -> bool {
    let has = |message: &Message, call: bool| {
        message.parts.iter().any(|part| match part.content {
            Content::ToolCall { .. } => call,
            Content::ToolResult { .. } => !call,
            _ => false,
        })
    };
    match (first.role, next.role) {
        (Role::Assistant, Role::Assistant) => has(first, true) || has(next, true),
        (Role::User, Role::User) => has(first, false) && has(next, false),
        _ => false,
    }
}

fn write_system(request: &Request, body: &mut Object<'_>, losses: &mut Losses) {
    let mut bytes = Vec::new();
    let mut parts = List::new(&mut bytes);
    let mut begun = false;
    for (at, message) in request.messages.iter().enumerate() {
        if message.role != Role::System {
            begun = true;
            continue;
        }
        if begun {
            losses.add(format!("messages[{at}].position"), "moved to the start: gemini takes instructions only there");
        }
        for (index, part) in message.parts.iter().enumerate() {
            if part.cache.is_some() {
                losses.add(format!("messages[{at}].parts[{index}].cache"), NO_MARKS);
            }
            match &part.content {
                Content::Text { text, .. } if text.is_empty() => {}
                Content::Text { text, .. } => {
                    let mut object = parts.object();
                    object.put("text", text);
                    object.end();
                }
                _ => losses.add(format!("messages[{at}].parts[{index}]"), "gemini takes only text as instructions"),
            }
        }
    }
    let empty = parts.is_empty();
    parts.end();
    if !empty {
        let mut system = body.object("systemInstruction");
        system.key("parts").extend_from_slice(&bytes);
        system.end();
    }
}

const NO_MARKS: &str = "gemini caches by itself or by a resource of its own";

/// Lets the service take calls that it did not make itself.
const FOREIGN_CALL: &str = "skip_thought_signature_validator";

struct Turns<'r> {
    model: &'r str,
    request: &'r Request,
    losses: &'r mut Losses,
    /// Parts of tool results that must stand beside them.
    late: Vec<&'r Part>,
}

impl<'r> Turns<'r> {
    /// Writes messages of one role as one content.
    fn write_turn(&mut self, at: usize, group: &'r [Message], contents: &mut List<'_>) -> Result<()> {
        let mut bytes = Vec::new();
        let mut parts = List::new(&mut bytes);
        let mut called = false;
        for (message, at) in group.iter().zip(at..) {
            if message.name.is_some() {
                self.losses.add(format!("messages[{at}].name"), "gemini has no names of speakers");
            }
            self.losses.add_foreign(&format!("messages[{at}]"), &message.extra, NAME);
            for (index, part) in message.parts.iter().enumerate() {
                let path = Path(at, index);
                if part.cache.is_some() {
                    self.losses.add(path.field("cache"), NO_MARKS);
                }
                let first_call = matches!(part.content, Content::ToolCall { .. }) && !std::mem::replace(&mut called, true);
                self.write_part(part, path, first_call, &mut parts)?;
            }
            for part in std::mem::take(&mut self.late) {
                self.write_part(part, Path(at, 0), false, &mut parts)?;
            }
        }
        let empty = parts.is_empty();
        parts.end();
        if let (false, Some(first)) = (empty, group.first()) {
            let mut content = contents.object();
            content.put("role", if first.role == Role::Assistant { "model" } else { "user" });
            content.key("parts").extend_from_slice(&bytes);
            content.put_all(nested(&first.extra, "", &[]));
            content.end();
        }
        Ok(())
    }

    fn write_part(&mut self, part: &'r Part, path: Path, first_call: bool, parts: &mut List<'_>) -> Result<()> {
        self.losses.add_foreign(&path.to_string(), &part.extra, NAME);
        let signature = self.signature(part, path);
        let mut bytes = Vec::new();
        let mut object = Object::new(&mut bytes);
        match &part.content {
            Content::Text { text, .. } if text.is_empty() && signature.is_none() => return Ok(()),
            Content::Text { text, .. } | Content::Refusal { text } => object.put("text", text),
            Content::Reasoning { text, redacted } => {
                let foreign = part.signature.is_some() && signature.is_none();
                if foreign || *redacted || (text.is_empty() && signature.is_none()) {
                    self.losses.add(path.to_string(), "only the model that thought it can read it");
                    return Ok(());
                }
                object.put("text", text);
                object.put("thought", &true);
            }
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|word| word != "auto") {
                    self.losses.add(path.field("detail"), "not every gemini model takes a resolution for one image");
                }
                self.write_media(source, "image/*", part, path, &mut object)?;
            }
            Content::Document { source, title, cite } => {
                if title.is_some() {
                    self.losses.add(path.field("title"), "gemini documents have no titles");
                }
                if *cite == Some(true) {
                    self.losses.add(path.field("cite"), "not supported by gemini");
                }
                self.write_media(source, "application/pdf", part, path, &mut object)?;
            }
            Content::Audio { source, .. } => self.write_media(source, "audio/*", part, path, &mut object)?,
            Content::Video { source } => self.write_media(source, "video/*", part, path, &mut object)?,
            Content::ToolCall { id, name, arguments } => {
                self.write_call((id, name, arguments), path, &mut object);
                if first_call && signature.is_none() && knows_levels(self.model) {
                    object.put("thoughtSignature", FOREIGN_CALL);
                }
            }
            Content::ToolResult { .. } => self.write_result(part, path, &mut object)?,
            Content::Foreign { from: NAME, value } => {
                parts.element().extend_from_slice(value.get().as_bytes());
                return Ok(());
            }
            Content::Foreign { from, .. } => {
                self.losses.add(path.to_string(), format!("only {from} knows this block"));
                return Ok(());
            }
        }
        object.put_some("thoughtSignature", &signature);
        object.put_all(nested(&part.extra, "", &["inlineData.", "fileData.", "functionResponse."]));
        object.end();
        parts.element().extend_from_slice(&bytes);
        Ok(())
    }

    fn signature(&mut self, part: &Part, path: Path) -> Option<String> {
        match &part.signature {
            Some(Signature { owner: NAME, value }) => Some(value.clone()),
            Some(_) => {
                self.losses.add(path.field("signature"), "belongs to another provider");
                None
            }
            None => None,
        }
    }

    fn write_media(
        &mut self,
        source: &Source,
        usual: &'static str,
        part: &Part,
        path: Path,
        object: &mut Object<'_>,
    ) -> Result<()> {
        match source {
            Source::Base64 { media_type, data } => {
                let mut blob = object.object("inlineData");
                blob.put("mimeType", if media_type.is_empty() { usual } else { media_type });
                blob.put("data", data);
                blob.put_all(nested(&part.extra, "inlineData.", &[]));
                blob.end();
            }
            Source::Text { text } => {
                let mut blob = object.object("inlineData");
                blob.put("mimeType", "text/plain");
                blob.put("data", &media::encode(text.as_bytes()));
                blob.end();
            }
            Source::Url { url, media_type } => {
                let known = media_type.as_deref().or_else(|| media::guess(url));
                if known.is_none() {
                    self.losses.add(path.field("source.media_type"), format!("approximated as {usual}"));
                }
                let mut file = object.object("fileData");
                file.put("mimeType", known.unwrap_or(usual));
                file.put("fileUri", url);
                file.put_all(nested(&part.extra, "fileData.", &[]));
                file.end();
            }
            Source::File { id } if id.starts_with("files/") || id.contains("://") => {
                let mut file = object.object("fileData");
                file.put("fileUri", id);
                file.end();
            }
            Source::File { id } => {
                let words =
                    format!("gemini has no file `{id}`: it was uploaded to another provider; send the bytes or an address");
                return Err(Error::new(Kind::Unsupported, Origin::Caller, words).at(path.to_string()));
            }
        }
        Ok(())
    }

    fn write_call(&mut self, (id, name, arguments): (&str, &str, &str), path: Path, object: &mut Object<'_>) {
        let mut call = object.object("functionCall");
        if !is_made_up(id) {
            call.put("id", id);
        }
        call.put("name", name);
        if !put_arguments(arguments, call.key("args")) {
            self.losses.add(path.field("arguments"), "wrapped into an object, because gemini takes nothing else");
        }
        call.end();
    }

    fn write_result(&mut self, part: &'r Part, path: Path, object: &mut Object<'_>) -> Result<()> {
        let Content::ToolResult { id, name, parts, failed } = &part.content else { return Ok(()) };
        let mut result = object.object("functionResponse");
        if !is_made_up(id) {
            result.put("id", id);
        }
        let name = name.as_deref().or_else(|| self.find_call(id));
        if name.is_none() {
            self.losses.add(path.field("name"), "no call has this id, so its id stands for the tool's name");
        }
        result.put("name", name.unwrap_or(id));
        put_outcome(parts, *failed, result.key("response"));
        let mut media = Vec::new();
        let mut list = List::new(&mut media);
        for part in parts {
            match &part.content {
                Content::Text { .. } => {}
                Content::Image { source: source @ Source::Base64 { .. }, .. }
                | Content::Document { source: source @ (Source::Base64 { .. } | Source::Text { .. }), .. }
                | Content::Audio { source: source @ Source::Base64 { .. }, .. } => {
                    let mut inner = list.object();
                    self.write_media(source, "application/octet-stream", part, path, &mut inner)?;
                    inner.end();
                }
                _ => self.late.push(part),
            }
        }
        let any = !list.is_empty();
        list.end();
        if any {
            result.key("parts").extend_from_slice(&media);
        }
        result.put_all(nested(&part.extra, "functionResponse.", &[]));
        result.end();
        Ok(())
    }

    fn find_call(&self, wanted: &str) -> Option<&'r str> {
        let parts = self.request.messages.iter().flat_map(|message| &message.parts);
        parts.rev().find_map(|part| match &part.content {
            Content::ToolCall { id, name, .. } if id == wanted => Some(name.as_str()),
            _ => None,
        })
    }
}

/// Writes the arguments of a call as an object; false when they had to be wrapped to be one.
pub(super) fn put_arguments(arguments: &str, out: &mut Vec<u8>) -> bool {
    let text = arguments.trim();
    if text.is_empty() {
        out.extend_from_slice(b"{}");
        return true;
    }
    let whole: Result<&RawValue, _> = serde_json::from_str(text);
    match whole {
        Ok(raw) if text.starts_with('{') => out.extend_from_slice(raw.get().as_bytes()),
        Ok(raw) => wrap("arguments", raw, out),
        Err(_) => wrap("arguments", arguments, out),
    }
    whole.is_ok_and(|_| text.starts_with('{'))
}

fn wrap(key: &str, value: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    object.put(key, value);
    object.end();
}

/// What a tool gave back, as the object that `response` must be.
fn put_outcome(parts: &[Part], failed: bool, out: &mut Vec<u8>) {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let text = texts.join("\n");
    let object: Option<&RawValue> = serde_json::from_str(text.trim()).ok().filter(|raw: &&RawValue| raw.get().starts_with('{'));
    match (object, failed) {
        (Some(object), false) => put(out, object),
        (Some(object), true) => wrap("error", object, out),
        (None, true) => wrap("error", &text, out),
        (None, false) => wrap("result", &text, out),
    }
}

/// A message and a part of it, in canonical words.
#[derive(Clone, Copy)]
struct Path(usize, usize);

impl Path {
    fn field(self, field: &str) -> String {
        format!("{self}.{field}")
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "messages[{}].parts[{}]", self.0, self.1)
    }
}
