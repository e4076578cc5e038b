//! A block of a provider's stream between its start and its stop.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::super::media::{self, Kind};
use super::super::{NAME, own_extra};
use crate::error::{Error, Result};
use crate::ir::{Content, Delta, Event, Part, PartStart, Raw, Signature, Source};

/// Blocks that come in pieces but are told whole are gathered up to this many bytes.
const MOST_HELD: usize = 32 * 1024 * 1024;

/// The block.
pub(super) struct Open {
    /// The wire's number for it.
    pub(super) index: u64,
    pub(super) body: Body,
}

/// What it is, and what is kept of it.
pub(super) enum Body {
    Text {
        part: u32,
    },
    Reasoning {
        part: u32,
        /// The proof, which may come in pieces.
        signature: String,
    },
    Tool {
        part: u32,
        /// Whether arguments came.
        grown: bool,
    },
    /// Encrypted thinking, gathered.
    Redacted(Vec<u8>),
    /// A picture, gathered; `extra` are fields beside its format.
    Image {
        format: String,
        source: Option<Source>,
        extra: Map<String, Value>,
    },
    /// A call or a result of a tool that the provider runs itself, gathered.
    Foreign {
        kind: &'static str,
        fields: Map<String, Value>,
        input: String,
        content: Vec<Value>,
        size: usize,
    },
    /// A kind that we do not know: nothing is told.
    Unknown,
}

fn too_large() -> Error {
    Error::malformed("a block of the stream is too large")
}

impl Body {
    /// Takes more encrypted thinking.
    pub(super) fn push_redacted(&mut self, data: &str) -> Result<()> {
        let Body::Redacted(bytes) = self else { return Ok(()) };
        let more = STANDARD.decode(data).map_err(|_| Error::malformed("encrypted thinking is no base64"))?;
        if bytes.len() + more.len() > MOST_HELD {
            return Err(too_large());
        }
        bytes.extend(more);
        Ok(())
    }

    /// Takes more of what is gathered for a tool of the provider's own.
    pub(super) fn push_foreign(&mut self, more: &str, result: Vec<Value>) -> Result<()> {
        let Body::Foreign { input, content, size, .. } = self else { return Ok(()) };
        *size += more.len() + result.iter().map(|value| value.to_string().len()).sum::<usize>();
        if *size > MOST_HELD {
            return Err(too_large());
        }
        input.push_str(more);
        for piece in result {
            let text = piece.get("text").and_then(Value::as_str);
            match (content.last_mut().and_then(|last| last.get_mut("text")), text) {
                (Some(Value::String(last)), Some(text)) => last.push_str(text),
                _ => content.push(piece),
            }
        }
        Ok(())
    }

    /// Ends the part, telling first what was held back. `next` is the number of the next part.
    pub(super) fn close(self, next: &mut u32, out: &mut Vec<Event>) {
        let mut tell = |content: Part, signature: Option<Signature>, out: &mut Vec<Event>| {
            let part = *next;
            *next += 1;
            out.push(Event::PartStart { choice: 0, part, start: PartStart::Whole { content: Box::new(content) } });
            out.extend(signature.map(|signature| Event::Delta { choice: 0, part, delta: Delta::Signature(signature) }));
            out.push(Event::PartEnd { choice: 0, part });
        };
        match self {
            Body::Tool { part, grown } => {
                if !grown {
                    out.push(Event::Delta { choice: 0, part, delta: Delta::Arguments("{}".to_owned()) });
                }
                out.push(Event::PartEnd { choice: 0, part });
            }
            Body::Reasoning { part, signature } => {
                if !signature.is_empty() {
                    let signature = Signature { owner: NAME, value: signature };
                    out.push(Event::Delta { choice: 0, part, delta: Delta::Signature(signature) });
                }
                out.push(Event::PartEnd { choice: 0, part });
            }
            Body::Text { part } => out.push(Event::PartEnd { choice: 0, part }),
            Body::Redacted(bytes) => {
                let content = Content::Reasoning { text: String::new(), redacted: true };
                tell(content.into(), Some(Signature { owner: NAME, value: STANDARD.encode(bytes) }), out);
            }
            Body::Image { format, source: Some(source), extra } => {
                let source = match source {
                    Source::Base64 { data, .. } => Source::Base64 { media_type: media::media_type(Kind::Image, &format), data },
                    other => other,
                };
                let content = Content::Image { source, detail: None };
                tell(Part { extra: own_extra(extra), ..content.into() }, None, out);
            }
            Body::Foreign { kind, mut fields, input, content, .. } => {
                if kind == "toolUse" {
                    fields.insert("input".to_owned(), serde_json::from_str(&input).unwrap_or_else(|_| json!({})));
                } else {
                    fields.insert("content".to_owned(), Value::Array(content));
                }
                let value = Raw::of(&Map::from_iter([(kind.to_owned(), Value::Object(fields))]));
                tell(Content::Foreign { from: NAME, value }.into(), None, out);
            }
            Body::Image { source: None, .. } | Body::Unknown => {}
        }
    }
}
