//! A prompt: read as one message, and written from a conversation.

use std::borrow::Cow;

use crate::dialect::fields::Fields;
use crate::dialect::object::Object;
use crate::dialect::ollama::GENERATE;
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Content, Message, Part, Request, Role};
use crate::loss::Losses;

use super::message::read_images;
use super::write_message::{NO_CONTENT, image};

/// Reads `system`, `prompt` and `images`.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Vec<Message>> {
    let system: Option<String> = fields.take("system")?;
    let prompt: Option<String> = fields.take("prompt")?;
    let mut parts: Vec<Part> = prompt.filter(|text| !text.is_empty()).map(Part::text).into_iter().collect();
    parts.extend(read_images(fields)?);
    if parts.is_empty() {
        // The server's way to load a model; there is nothing to load where requests are translated.
        return Err(Error::bad_request("prompt is required").at("prompt"));
    }
    let system = system.filter(|text| !text.is_empty()).map(|text| Message::text(Role::System, text));
    let user = Message { role: Role::User, name: None, parts, extra: super::message::no_extra() };
    Ok(system.into_iter().chain([user]).collect())
}

/// Writes `system`, `prompt` and `images`: one turn of the person as it is, more with the speakers' roles before them.
pub(super) fn write(request: &Request, body: &mut Object, losses: &mut Losses) -> Result<()> {
    let mut system: Vec<Cow<'_, str>> = Vec::new();
    let mut turns: Vec<(Role, Cow<'_, str>)> = Vec::new();
    let mut images: Vec<&str> = Vec::new();
    for (index, message) in request.messages.iter().enumerate() {
        let at = format!("messages[{index}]");
        let text = write_turn(message, &at, &mut images, losses);
        match message.role {
            Role::System => system.push(text),
            role => turns.push((role, text)),
        }
    }
    // Instructions alone are what is asked.
    let lone = turns.is_empty();
    if !system.is_empty() {
        body.put(if lone { "prompt" } else { "system" }, &system.join("\n\n"));
    }
    match turns.as_slice() {
        [] => {}
        [(Role::User, prompt)] if prompt.is_empty() && images.is_empty() => {
            let what = format!("{GENERATE} needs a text or a picture to go on from");
            return Err(Error::new(Kind::Unsupported, Origin::Caller, what).at("messages"));
        }
        [(Role::User, prompt)] => body.put("prompt", prompt),
        turns => {
            let mut lines: Vec<String> = turns
                .iter()
                .map(|(role, text)| format!("{}: {text}", if *role == Role::Assistant { "Assistant" } else { "User" }))
                .collect();
            if turns.last().is_some_and(|(role, _)| *role != Role::Assistant) {
                lines.push("Assistant:".to_owned());
            }
            body.put("prompt", &lines.join("\n\n"));
        }
    }
    if !images.is_empty() {
        body.put("images", &images);
    }
    Ok(())
}

fn write_turn<'a>(message: &'a Message, at: &str, images: &mut Vec<&'a str>, losses: &mut Losses) -> Cow<'a, str> {
    let mut texts: Vec<&str> = Vec::new();
    for (index, part) in message.parts.iter().enumerate() {
        let at = format!("{at}.parts[{index}]");
        if part.cache.is_some() {
            losses.add(format!("{at}.cache"), "the provider caches by itself");
        }
        match (&part.content, image(part)) {
            (Content::Text { text, .. } | Content::Refusal { text }, _) => texts.push(text),
            (_, Some(data)) => images.push(data),
            _ => losses.add(at, format!("{GENERATE} {NO_CONTENT}")),
        }
    }
    if message.name.is_some() {
        losses.add(format!("{at}.name"), "a prompt has no names");
    }
    losses.add_foreign(at, &message.extra, GENERATE);
    match texts.as_slice() {
        [text] => Cow::Borrowed(text),
        texts => Cow::Owned(texts.concat()),
    }
}
