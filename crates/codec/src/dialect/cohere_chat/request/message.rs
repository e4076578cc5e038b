//! The messages of a caller's request.

use serde_json::value::RawValue;

use super::super::NAME;
use super::super::wire::Block;
use super::document;
use crate::dialect::fault::read_text;
use crate::dialect::fields::Fields;
use crate::dialect::openai_chat::response::read_url;
use crate::dialect::openai_chat::wire::{Call, Content as Wire, Str};
use crate::error::{Error, Result};
use crate::ir::{Content, Message, Part, Raw, Role};

/// Reads a conversation. Results of tools that follow one another become parts of one message.
pub(super) fn read(raw: &RawValue) -> Result<Vec<Message>> {
    let list: Vec<&RawValue> = read_text(raw.get(), "messages")?;
    if list.is_empty() {
        return Err(Error::bad_request("messages: at least one message is required").at("messages"));
    }
    let mut messages: Vec<Message> = Vec::with_capacity(list.len());
    let mut after_result = false;
    for (index, raw) in list.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        let mut fields = Fields::of(raw, &at)?;
        let word: Str<'_> = fields.need("role")?;
        let is_result = &*word == "tool";
        let (role, parts) = match &*word {
            "system" | "developer" => (Role::System, read_content(&mut fields, true)?),
            "user" => (Role::User, read_content(&mut fields, true)?),
            "assistant" => (Role::Assistant, read_assistant(&mut fields, index)?),
            "tool" => {
                let id = fields.need("tool_call_id")?;
                let parts = read_content(&mut fields, false)?;
                let result = Content::ToolResult { id, name: None, parts, failed: false }.into();
                if let Some(last) = messages.last_mut().filter(|_| after_result) {
                    last.parts.push(Part { extra: fields.rest(NAME), ..result });
                    continue;
                }
                (Role::User, vec![result])
            }
            other => {
                let what = format!("{at}.role: expected system, user, assistant or tool, not {other:?}");
                return Err(Error::bad_request(what).at(format!("{at}.role")));
            }
        };
        after_result = is_result;
        messages.push(Message { role, name: None, parts, extra: fields.rest(NAME) });
    }
    Ok(messages)
}

/// A plan is what is said before tools are called.
fn read_assistant(fields: &mut Fields<'_>, index: usize) -> Result<Vec<Part>> {
    let plan: Option<String> = fields.take("tool_plan")?;
    let mut parts: Vec<Part> = plan.filter(|plan| !plan.is_empty()).map(Part::text).into_iter().collect();
    parts.extend(read_content(fields, false)?);
    parts.retain(|part| !matches!(&part.content, Content::Text { text, .. } if text.is_empty()));
    // Part of answers that come back; the text says it all.
    fields.raw("citations");
    let calls: Vec<Call<'_>> = fields.take("tool_calls")?.unwrap_or_default();
    for (position, call) in calls.into_iter().enumerate() {
        let name = call.name().to_owned();
        if name.is_empty() {
            let path = fields.path(&format!("tool_calls[{position}].function.name"));
            return Err(Error::bad_request(format!("{path} is required")).at(path));
        }
        let id = call.id().unwrap_or_else(|| format!("call_{index}_{position}"));
        let content = Content::ToolCall { id, name, arguments: call.arguments() };
        parts.push(Part { signature: call.signature(), ..content.into() });
    }
    Ok(parts)
}

fn read_content(fields: &mut Fields<'_>, needed: bool) -> Result<Vec<Part>> {
    let path = fields.path("content");
    match fields.take::<Wire<'_>>("content")? {
        None if needed => Err(Error::bad_request(format!("{path} is required")).at(path)),
        None => Ok(Vec::new()),
        Some(Wire::Text(text)) => Ok(vec![Part::text(text)]),
        Some(Wire::Parts(parts)) => {
            let parts = parts.iter().enumerate().map(|(index, raw)| read_part(raw, &format!("{path}[{index}]")));
            parts.collect()
        }
    }
}

fn read_part(raw: &RawValue, at: &str) -> Result<Part> {
    if raw.get().starts_with('"') {
        return Ok(Part::text(read_text::<String>(raw.get(), at)?));
    }
    let mut fields = Fields::of(raw, at)?;
    let kind: Str<'_> = fields.need("type")?;
    let part: Part = match &*kind {
        "text" => Part::text(fields.need::<String>("text")?),
        "thinking" => {
            let block: Block<'_> = read_text(raw.get(), at)?;
            return Ok(block.part().unwrap_or_else(|| Content::Reasoning { text: String::new(), redacted: false }.into()));
        }
        "image_url" => {
            let mut image = Fields::of(fields.need("image_url")?, &fields.path("image_url"))?;
            let url: Str<'_> = image.need("url")?;
            Content::Image { source: read_url(&url), detail: image.take("detail")? }.into()
        }
        "document" => {
            let path = fields.path("document");
            return document::read(fields.need("document")?, &path, None);
        }
        _ => return Ok(Content::Foreign { from: NAME, value: Raw(raw.to_owned()) }.into()),
    };
    Ok(Part { extra: fields.rest(NAME), ..part })
}
