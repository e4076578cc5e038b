//! One item of a caller's conversation.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::seal::{self, Sealed};
use super::super::{NAME, response};
use super::content::read_content;
use super::input::rest;
use crate::dialect::fields::Fields;
use crate::dialect::openai_chat::free_text::wrap_input;
use crate::dialect::openai_chat::wire::Str;
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Content, Extra, Message, Part, Raw, Request, Role, Signature, ToolKind};

/// What an item is.
pub(super) enum Read {
    /// A turn, or a piece of the model's.
    Message(Message),
    /// Something else that the model made.
    Said(Part),
    /// What a tool gave back.
    Result(Part),
    /// The signature of an item before it.
    Carried { call: Option<String>, signature: Signature },
}

/// Reads the item that stands at `at`, such as `input[2]`.
pub(super) fn read_item(raw: &RawValue, at: &str, request: &Request) -> Result<Read> {
    let mut fields = Fields::of(raw, at)?;
    let kind: Option<Str<'_>> = fields.take("type")?;
    let kind = match kind.as_deref() {
        Some(kind) => kind.to_owned(),
        None if fields.get("role").is_some() => "message".to_owned(),
        None if fields.get("id").is_some() => "item_reference".to_owned(),
        None => return Err(Error::bad_request(format!("{at}.type is required")).at(format!("{at}.type"))),
    };
    match kind.as_str() {
        "message" => read_message(fields, at).map(Read::Message),
        "reasoning" => read_reasoning(fields),
        "function_call" => {
            let (id, name) = (fields.need("call_id")?, fields.need("name")?);
            let arguments = fields.take("arguments")?.unwrap_or_default();
            let part = Part { extra: rest(fields), ..Content::ToolCall { id, name, arguments }.into() };
            Ok(Read::Said(part))
        }
        "custom_tool_call" => read_custom(fields, request).map(Read::Said),
        "function_call_output" | "custom_tool_call_output" => read_result(fields, &kind).map(Read::Result),
        "image_generation_call" => Ok(Read::Said(response::read_whole(raw))),
        "item_reference" => {
            let what = format!(
                "{at}: the item that this refers to is stored by its provider and this model's cannot look it up; send the item itself instead"
            );
            Err(Error::new(Kind::Unsupported, Origin::Caller, what).at(at))
        }
        other => {
            let part: Part = Content::Foreign { from: NAME, value: Raw(raw.to_owned()) }.into();
            // What callers give back, or tell between turns.
            let given = ["_output", "_response", "_trigger", "_update"].iter().any(|end| other.ends_with(end));
            if given || other == "additional_tools" {
                let message = Message { role: Role::User, name: None, parts: vec![part], extra: Extra::default() };
                return Ok(Read::Message(message));
            }
            Ok(Read::Said(part))
        }
    }
}

fn read_message(mut fields: Fields<'_>, at: &str) -> Result<Message> {
    let role: Str<'_> = fields.need("role")?;
    let role = match &*role {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" | "developer" => Role::System,
        other => {
            let what = format!("{at}.role: expected user, assistant, system or developer, not {other:?}");
            return Err(Error::bad_request(what).at(format!("{at}.role")));
        }
    };
    let path = fields.path("content");
    let parts = read_content(fields.need("content")?, &path)?;
    Ok(Message { role, name: None, parts, extra: rest(fields) })
}

fn read_reasoning(mut fields: Fields<'_>) -> Result<Read> {
    let id: String = fields.take("id")?.unwrap_or_default();
    let state: Option<String> = fields.take("encrypted_content")?;
    let (text, extra) = response::read_thoughts(fields.raw("summary"), fields.raw("content"));
    let (signature, redacted) = match state.map(|state| seal::read(&id, &state)) {
        Some(Sealed::Carried { call, signature }) => return Ok(Read::Carried { call, signature }),
        Some(Sealed::Reasoning { signature, redacted }) => (Some(signature), redacted),
        None => (None, false),
    };
    let mut kept = rest(fields);
    kept.fields.extend(extra);
    let content = Content::Reasoning { text, redacted };
    Ok(Read::Said(Part { content, cache: None, signature, extra: kept }))
}

fn read_custom(mut fields: Fields<'_>, request: &Request) -> Result<Part> {
    let (id, name): (String, String) = (fields.need("call_id")?, fields.need("name")?);
    let input: String = fields.take("input")?.unwrap_or_default();
    let declared = request.tools.iter().any(|tool| tool.name == name && matches!(tool.kind, ToolKind::Custom { .. }));
    let mut extra = rest(fields);
    if !declared {
        // Nothing else tells what kind of a call it was.
        let kind: Map<String, Value> = Map::from_iter([("type".to_owned(), "custom_tool_call".into())]);
        extra.fields.extend(kind);
    }
    Ok(Part { extra, ..Content::ToolCall { id, name, arguments: wrap_input(&input) }.into() })
}

fn read_result(mut fields: Fields<'_>, kind: &str) -> Result<Part> {
    let id = fields.need("call_id")?;
    let name = if kind == "function_call_output" { fields.take("name")? } else { None };
    let path = fields.path("output");
    let parts = read_content(fields.need("output")?, &path)?;
    let content = Content::ToolResult { id, name, parts, failed: false };
    Ok(Part { extra: rest(fields), ..content.into() })
}
