//! Contents for a provider.

use crate::catalog::Quirks;
use crate::dialect::gemini::NAME;
use crate::dialect::gemini::text::{Object, nested};
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Content, Message, Request, Role};
use crate::loss::Losses;

use super::part::{NO_MARKS, Parts, Path, outside};

/// Writes `systemInstruction` and `contents`.
pub(crate) fn write(request: &Request, quirks: &Quirks, body: &mut Object<'_>, losses: &mut Losses) -> Result<()> {
    let messages = &request.messages;
    // Instructions alone are no conversation to the service: the last of them is asked as a question.
    let lone = messages.iter().all(|message| message.role == Role::System);
    let asked = messages.len().checked_sub(1).filter(|_| lone);
    body.object_if("systemInstruction", |system| write_system(messages, asked, system, losses));
    if let Some(at) = asked {
        losses.add(format!("messages[{at}].role"), "sent as a user message, because gemini needs one");
    }
    let mut contents = body.list("contents");
    let mut parts = Parts::new(request, quirks, losses);
    let mut at = 0;
    while let Some(first) = messages.get(at) {
        let mut count = 1;
        while messages.get(at + count).is_some_and(|next| belongs(first, next)) {
            count += 1;
        }
        if first.role != Role::System || asked == Some(at) {
            let group = messages.get(at..at + count).unwrap_or_default();
            contents.object_if(|content| write_turn(at, group, content, &mut parts))?;
        }
        at += count;
    }
    if contents.is_empty() {
        return Err(Error::new(Kind::Unsupported, Origin::Caller, "gemini needs at least one message with something in it")
            .at("messages"));
    }
    contents.end();
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

/// False when there is nothing to say.
fn write_system(messages: &[Message], asked: Option<usize>, system: &mut Object<'_>, losses: &mut Losses) -> bool {
    let mut parts = system.list("parts");
    let mut begun = false;
    for (at, message) in messages.iter().enumerate() {
        if message.role != Role::System {
            begun = true;
            continue;
        }
        if asked == Some(at) {
            continue;
        }
        if begun {
            losses.add(format!("messages[{at}].position"), "moved to the start: gemini takes instructions only there");
        }
        for (index, part) in message.parts.iter().enumerate() {
            if part.cache.is_some() {
                losses.add(Path(at, index).field("cache"), NO_MARKS);
            }
            match &part.content {
                Content::Text { text, .. } if text.is_empty() => {}
                Content::Text { text, .. } => {
                    let mut object = parts.object();
                    object.put("text", text);
                    object.put_all(nested(&part.extra, "", &[]));
                    object.end();
                }
                _ => losses.add(Path(at, index).to_string(), "gemini takes only text as instructions"),
            }
        }
    }
    let any = !parts.is_empty();
    parts.end();
    any
}

/// Writes messages of one role as one content; false when nothing of them can be said.
fn write_turn(at: usize, group: &[Message], content: &mut Object<'_>, parts: &mut Parts<'_>) -> Result<bool> {
    let model = group.first().is_some_and(|first| first.role == Role::Assistant);
    content.put("role", if model { "model" } else { "user" });
    let mut list = content.list("parts");
    parts.begin();
    for (message, at) in group.iter().zip(at..) {
        if message.name.is_some() {
            parts.losses.add(format!("messages[{at}].name"), "gemini has no names of speakers");
        }
        parts.losses.add_foreign(&format!("messages[{at}]"), &message.extra, NAME);
        for (index, part) in message.parts.iter().enumerate() {
            let path = Path(at, index);
            if part.cache.is_some() {
                parts.losses.add(path.field("cache"), NO_MARKS);
            }
            list.object_if(|object| parts.write(part, path, object))?;
        }
    }
    // Media that cannot stand in a result stands behind all of them.
    for (message, at) in group.iter().zip(at..) {
        for (index, part) in message.parts.iter().enumerate() {
            for late in outside(part) {
                list.object_if(|object| parts.write(late, Path(at, index), object))?;
            }
        }
    }
    let any = !list.is_empty();
    list.end();
    for message in group {
        content.put_all(nested(&message.extra, "", &[]));
    }
    Ok(any)
}
