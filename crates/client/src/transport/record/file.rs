//! One exchange as a file: JSON that people can read and compare.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::transport::{Failure, Phase};

/// The only version there is.
pub(super) const VERSION: u32 = 1;

/// An exchange.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recording {
    /// [`VERSION`].
    pub(super) trunkline_recording: u32,
    /// When the request was sent.
    pub(super) recorded: String,
    /// `provider/model`.
    pub(super) target: String,
    pub(super) dialect: String,
    /// The number of the recording that this is a second try of, with another credential, which whoever asked has not
    /// noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) instead_of: Option<u64>,
    pub(super) request: Asked,
    /// What came back; without it, `failed` says why nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<Told>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<Fault>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Where it went in full.
    pub(super) url: String,
    /// Path and query under the provider's address: what counts when a recording is looked for.
    pub(super) path: String,
    /// `name: value` each.
    pub(super) headers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Content>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    pub(super) status: u16,
    /// Milliseconds from the request to the head.
    pub(super) at_ms: f64,
    pub(super) headers: Vec<String>,
    pub(super) pieces: Vec<Piece>,
    /// Milliseconds from the request to the end.
    pub(super) end_ms: f64,
    pub(super) end: End,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<Fault>,
}

/// How a reply ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// With its end.
    Complete,
    /// It broke off.
    Failed,
    /// Whoever asked wanted no more of it.
    Left,
}

/// A request's body.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// JSON, byte for byte.
    Json(Box<RawValue>),
    Text(String),
    Base64(String),
}

/// Bytes of a reply that came at once.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Piece {
    /// Milliseconds from the request.
    pub(super) at_ms: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) base64: Option<String>,
}

/// A text: several lines are a list of them, which is easier to read and to compare.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Text {
    Line(String),
    Lines(Vec<String>),
}

impl Text {
    fn write(text: &str) -> Self {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        if lines.len() > 1 { Text::Lines(lines) } else { Text::Line(lines.pop().unwrap_or_default()) }
    }

    fn read(&self) -> Bytes {
        match self {
            Text::Line(line) => Bytes::copy_from_slice(line.as_bytes()),
            Text::Lines(lines) => Bytes::from(lines.concat()),
        }
    }
}

/// A failure of the wire.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    pub(super) at_ms: f64,
    pub(super) phase: At,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) timeout: bool,
    pub(super) message: String,
}

/// [`Phase`] in writing.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum At {
    Connect,
    Tls,
    Send,
    Head,
    Body,
}

impl Fault {
    pub(super) fn write(failure: &Failure, at: Duration) -> Self {
        let phase = match failure.phase {
            Phase::Connect => At::Connect,
            Phase::Tls => At::Tls,
            Phase::Send | Phase::Replay => At::Send,
            Phase::Head => At::Head,
            Phase::Body => At::Body,
        };
        Fault { at_ms: write_ms(at), phase, timeout: failure.timeout, message: failure.message.clone() }
    }

    pub(super) fn read(&self) -> Failure {
        let phase = match self.phase {
            At::Connect => Phase::Connect,
            At::Tls => Phase::Tls,
            At::Send => Phase::Send,
            At::Head => Phase::Head,
            At::Body => Phase::Body,
        };
        let failure = Failure::new(phase, self.message.clone());
        if self.timeout { failure.timed_out() } else { failure }
    }
}

impl Content {
    /// None for no bytes.
    pub(super) fn write(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Some(Content::Base64(STANDARD.encode(bytes))) };
        let raw: Result<Box<RawValue>, _> = serde_json::from_str(text);
        Some(match raw {
            // White space around it would be lost.
            Ok(raw) if raw.get().len() == text.len() => Content::Json(raw),
            _ => Content::Text(text.to_owned()),
        })
    }

    /// None when it is not what it says.
    pub(super) fn read(&self) -> Option<Bytes> {
        match self {
            Content::Json(raw) => Some(Bytes::copy_from_slice(raw.get().as_bytes())),
            Content::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            Content::Base64(text) => STANDARD.decode(text).ok().map(Bytes::from),
        }
    }
}

impl Piece {
    pub(super) fn write(at: Duration, bytes: &[u8]) -> Self {
        let at_ms = write_ms(at);
        match std::str::from_utf8(bytes) {
            Ok(text) => Piece { at_ms, text: Some(Text::write(text)), base64: None },
            Err(_) => Piece { at_ms, text: None, base64: Some(STANDARD.encode(bytes)) },
        }
    }

    /// None when it is not what it says.
    pub(super) fn read(&self) -> Option<Bytes> {
        match (&self.text, &self.base64) {
            (Some(text), None) => Some(text.read()),
            (None, Some(text)) => STANDARD.decode(text).ok().map(Bytes::from),
            _ => None,
        }
    }
}

/// Milliseconds, to a thousandth.
pub(super) fn write_ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// The time; none of it for what is no time.
pub(super) fn read_ms(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}

/// `name: value`, in the order in which they stand.
pub(super) fn write_headers(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    headers.iter().map(line).collect()
}

/// None when a line is no header.
pub(super) fn read_headers(lines: &[String]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        let bodies: [&[u8]; 6] =
            [b"{\"a\": 1.0, \"n\":12345678901234567890}", b" {\"a\":1}", b"plain", b"\xff\x00", b"\"\\u00e9\"", b"[1,\n 2]"];
        for body in bodies {
            let text = serde_json::to_string_pretty(&Content::write(body).unwrap()).unwrap();
            let content: Content = serde_json::from_str(&text).unwrap();
            assert_eq!(content.read().unwrap(), body, "{text}");
        }
        assert!(Content::write(b"").is_none());
        for piece in [&b"data: {}\n\n"[..], b"\xe4\xbd", b"", b"\r\n\0"] {
            let text = serde_json::to_string(&Piece::write(Duration::from_micros(1234), piece)).unwrap();
            let read: Piece = serde_json::from_str(&text).unwrap();
            assert_eq!((read.read().unwrap().as_ref(), read.at_ms), (piece, 1.234));
        }
        assert_eq!(read_ms(write_ms(Duration::from_micros(98_765_432))), Duration::from_micros(98_765_432));
        assert_eq!(read_ms(-1.0), Duration::ZERO);
    }
}
