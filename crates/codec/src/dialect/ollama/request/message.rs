//! The messages of a caller's request.

use serde_json::Map;
use serde_json::value::RawValue;

use crate::dialect::fault::read_text;
use crate::dialect::fields::Fields;
use crate::dialect::ollama::CHAT;
use crate::dialect::ollama::wire::{Detail, read_image};
use crate::dialect::openai_chat::wire::{Call, Many, Str};
use crate::error::{Error, Result};
use crate::ir::{Content, Extra, Message, Part, Role};

/// Calls that wait for their results: id and tool, oldest first.
type Waiting = Vec<(String, String)>;

/// Reads a conversation. Results of tools that follow one another become parts of one message.
pub(super) fn read(raw: &RawValue) -> Result<Vec<Message>> {
    let list: Vec<&RawValue> = read_text(raw.get(), "messages")?;
    if list.is_empty() {
        // The server's way to load a model; there is nothing to load where requests are translated.
        return Err(Error::bad_request("messages: at least one message is required").at("messages"));
    }
    let mut messages: Vec<Message> = Vec::with_capacity(list.len());
    let mut waiting = Waiting::new();
    let mut after_result = false;
    for (index, raw) in list.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        let mut fields = Fields::of(raw, &at)?;
        let word: Str<'_> = fields.need("role")?;
        let word = word.to_ascii_lowercase();
        let role = match word.as_str() {
            "system" | "developer" => Role::System,
            "user" | "tool" => Role::User,
            "assistant" => Role::Assistant,
            other => {
                let what = format!("{at}.role: expected system, user, assistant or tool, not {other:?}");
                return Err(Error::bad_request(what).at(format!("{at}.role")));
            }
        };
        let is_result = word == "tool";
        if is_result {
            let part = read_result(&mut fields, &mut waiting, index)?;
            match messages.last_mut().filter(|_| after_result) {
                Some(last) => last.parts.push(Part { extra: fields.rest(CHAT), ..part }),
                None => messages.push(Message { role, name: None, parts: vec![part], extra: fields.rest(CHAT) }),
            }
        } else {
            let mut parts = if role == Role::Assistant { read_thinking(&mut fields)? } else { Vec::new() };
            parts.extend(read_content(&mut fields, role == Role::Assistant)?);
            if role == Role::Assistant {
                read_calls(&mut fields, index, &mut waiting, &mut parts)?;
            }
            messages.push(Message { role, name: None, parts, extra: fields.rest(CHAT) });
        }
        after_result = is_result;
    }
    Ok(messages)
}

/// Text and pictures. An assistant may have said nothing.
fn read_content(fields: &mut Fields<'_>, may_be_empty: bool) -> Result<Vec<Part>> {
    let text: Option<String> = fields.take("content")?;
    let images = read_images(fields)?;
    if text.is_none() && images.is_empty() && !may_be_empty {
        let path = fields.path("content");
        return Err(Error::bad_request(format!("{path} is required")).at(path));
    }
    let said = text.filter(|text| !text.is_empty() || (images.is_empty() && !may_be_empty));
    Ok(said.map(Part::text).into_iter().chain(images).collect())
}

/// `images` of a message or a prompt.
pub(super) fn read_images(fields: &mut Fields<'_>) -> Result<Vec<Part>> {
    let images: Option<Vec<Str<'_>>> = fields.take("images")?;
    Ok(images.unwrap_or_default().iter().map(|image| read_image(image).into()).collect())
}

fn read_thinking(fields: &mut Fields<'_>) -> Result<Vec<Part>> {
    let text: Option<String> = fields.take("thinking")?;
    let details: Vec<Detail<'_>> = fields.take("thinking_details")?.unwrap_or_default();
    if !details.is_empty() {
        return Ok(details.iter().map(Detail::part).collect());
    }
    let text = text.filter(|text| !text.is_empty());
    Ok(text.map(|text| Content::Reasoning { text, redacted: false }.into()).into_iter().collect())
}

fn read_calls(fields: &mut Fields<'_>, index: usize, waiting: &mut Waiting, parts: &mut Vec<Part>) -> Result<()> {
    let calls: Many<Call<'_>> = fields.take("tool_calls")?.unwrap_or_default();
    // Results belong to the calls just before them.
    if !calls.0.is_empty() {
        waiting.clear();
    }
    for (position, call) in calls.0.into_iter().enumerate() {
        let name = call.name().to_owned();
        if name.is_empty() {
            let path = fields.path(&format!("tool_calls[{position}].function.name"));
            return Err(Error::bad_request(format!("{path} is required")).at(path));
        }
        let id = call.id().unwrap_or_else(|| format!("call_{index}_{position}"));
        waiting.push((id.clone(), name.clone()));
        let content = Content::ToolCall { id, name, arguments: call.arguments() };
        parts.push(Part { signature: call.signature(), ..content.into() });
    }
    Ok(())
}

/// A result names its call by id, or by tool, or by its place.
fn read_result(fields: &mut Fields<'_>, waiting: &mut Waiting, index: usize) -> Result<Part> {
    let id: Option<String> = fields.take("tool_call_id")?.filter(|id: &String| !id.is_empty());
    let name: Option<String> = fields.take("tool_name")?;
    let name = if name.is_some() { name } else { fields.take("name")? }.filter(|name: &String| !name.is_empty());
    let parts = read_content(fields, true)?;
    let by_id = |(known, _): &(String, String)| id.as_ref() == Some(known);
    let by_name = |(_, known): &(String, String)| name.as_ref() == Some(known);
    let at = match (&id, &name) {
        (Some(_), _) => waiting.iter().position(by_id),
        (None, Some(_)) => waiting.iter().position(by_name),
        (None, None) => (!waiting.is_empty()).then_some(0),
    };
    let answered = at.map(|at| waiting.remove(at));
    let (known, tool) = answered.unzip();
    let id = id.or(known).unwrap_or_else(|| format!("call_{index}"));
    Ok(Content::ToolResult { id, name: name.or(tool), parts, failed: false }.into())
}

/// No fields.
pub(super) fn no_extra() -> Extra {
    Extra::new(CHAT, Map::new())
}
