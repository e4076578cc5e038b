//! `POST /audio/speech`: JSON in, sound out, or events with pieces of it in base64.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::super::fields::Fields;
use super::super::super::object::Object;
use super::super::{OPENAI, Told, Wire};
use super::{outgoing, read_object, write_usage};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Operation, Outgoing};
use crate::error::{Error, Result};
use crate::frame::{ReadFrame, SseReader};
use crate::ir::{Raw, Sound, Speak};
use crate::loss::Losses;

/// Speech.
pub(in super::super) struct Speaks;

/// The media type of a format's name.
fn media(format: Option<&str>) -> &'static str {
    match format {
        Some("opus") => "audio/opus",
        Some("aac") => "audio/aac",
        Some("flac") => "audio/flac",
        Some("wav") => "audio/wav",
        Some("pcm") => "audio/pcm",
        _ => "audio/mpeg",
    }
}

fn read_events(body: &[u8]) -> Result<Sound> {
    let mut sound = Sound::default();
    let mut frames = SseReader::new(body.len() + 1);
    let mut rest = body;
    let wrong = || Error::malformed("an event of the provider's answer is not one of speech");
    while let Some(frame) = frames.next(&mut rest).map_err(|long| Error::malformed(long.to_string()))? {
        if frame.data == b"[DONE]" {
            continue;
        }
        let event: Value = serde_json::from_slice(frame.data).map_err(|_| wrong())?;
        if let Some(audio) = event.get("audio").and_then(Value::as_str) {
            sound.bytes.extend(STANDARD.decode(audio).map_err(|_| wrong())?);
        }
        sound.usage = event.get("usage").and_then(super::super::usage::read).or(sound.usage);
        if event.get("error").is_some() {
            read_object(frame.data)?;
        }
    }
    Ok(sound)
}

impl Wire<Speak> for Speaks {
    fn write_request(&self, wanted: &Speak, _: &Quirks) -> Result<Outgoing> {
        let mut body = Object::with_capacity(256 + wanted.input.len());
        body.put("model", &wanted.model);
        body.put("input", &wanted.input);
        // It must name one; this is what the first models had.
        let voice = wanted.voice.clone().unwrap_or_else(|| Raw::of(&"alloy"));
        body.put("voice", &voice);
        body.put_some("instructions", wanted.instructions.as_ref());
        body.put_some("response_format", wanted.format.as_ref());
        body.put_some("speed", wanted.speed.as_ref());
        if wanted.events {
            body.put("stream_format", "sse");
        }
        Ok(outgoing(Operation::Speak, body, &wanted.extra, Losses::default()))
    }

    fn read_answer(&self, media: &str, body: &[u8]) -> Result<Sound> {
        if media.starts_with("text/event-stream") {
            return read_events(body);
        }
        if media.starts_with("application/json") || media.starts_with("text/") {
            read_object(body)?;
            return Err(Error::malformed(format!("the provider answered with {media} instead of sound")).with_raw(body));
        }
        if body.is_empty() {
            return Err(Error::malformed("answered with no sound at all"));
        }
        Ok(Sound { media: media.to_owned(), bytes: body.to_vec(), usage: None })
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8]) -> Result<Speak> {
        let mut fields = Fields::read(body, "")?;
        Ok(Speak {
            model: fields.take("model")?.unwrap_or_default(),
            input: fields.need("input")?,
            voice: fields.take("voice")?,
            instructions: fields.take("instructions")?,
            format: fields.take("response_format")?,
            speed: fields.take("speed")?,
            events: fields.take::<String>("stream_format")?.as_deref() == Some("sse"),
            extra: fields.rest(OPENAI),
        })
    }

    fn write_answer(&self, wanted: &Speak, answer: &Sound, _: &Cx) -> Told {
        if wanted.events {
            let mut body = Vec::new();
            for piece in answer.bytes.chunks(3 * 4096) {
                let event = json!({ "type": "speech.audio.delta", "audio": STANDARD.encode(piece) });
                body.extend_from_slice(format!("data: {event}\n\n").as_bytes());
            }
            let done = json!({ "type": "speech.audio.done", "usage": write_usage(answer.usage.as_ref()) });
            body.extend_from_slice(format!("data: {done}\n\n").as_bytes());
            return Told { media: Cow::Borrowed("text/event-stream; charset=utf-8"), body };
        }
        let media = match answer.media.as_str() {
            "" => Cow::Borrowed(media(wanted.format.as_deref())),
            media => Cow::Owned(media.to_owned()),
        };
        Told { media, body: answer.bytes.clone() }
    }
}
