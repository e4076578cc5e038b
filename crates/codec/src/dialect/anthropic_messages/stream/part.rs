//! The block that is being written to a caller.

use std::io::Write;

use serde::Serialize;

use super::super::reply::{self, Block};
use crate::dialect::queue::Step;
use crate::ir::{Content, Delta, Part, PartStart, Signature};

/// Writes parts as blocks, one after the other.
#[derive(Default)]
pub(super) struct Blocks {
    /// The number of the next block.
    next: u32,
    open: Option<Writing>,
}

impl Blocks {
    pub(super) fn take(&mut self, step: Step<'_>, out: &mut Vec<u8>) {
        match (step, &mut self.open) {
            (Step::Open(start), _) => self.open = Some(Writing::open(start, &mut self.next, out)),
            (Step::Grow(delta), Some(writing)) => writing.grow(delta, &mut self.next, out),
            (Step::Close, open) => {
                if let Some(writing) = open.take() {
                    writing.close(&mut self.next, out);
                }
            }
            (Step::Grow(_), None) => {}
        }
    }
}

/// A part between its start and its end.
struct Writing {
    body: Body,
    /// Everything of a delta's frame before its text; empty until the block is begun.
    head: Vec<u8>,
    /// A signature that this block has no field for.
    carried: Option<Signature>,
}

enum Body {
    Text,
    Reasoning,
    Tool { grown: bool },
    Whole(Box<Part>),
}

const TEXT: &str = r#"{"type":"text","text":"","citations":null}"#;
const THINKING: &str = r#"{"type":"thinking","thinking":"","signature":""}"#;

impl Writing {
    /// Opens a part. Texts are begun with their first piece, because callers send back what they get, and an empty
    /// text is refused. `next` is the number of the next block.
    fn open(start: &PartStart, next: &mut u32, out: &mut Vec<u8>) -> Self {
        let mut writing = Writing { body: Body::Text, head: Vec::new(), carried: None };
        match start {
            PartStart::Text | PartStart::Refusal | PartStart::Audio { .. } => {}
            PartStart::Reasoning => writing.body = Body::Reasoning,
            PartStart::ToolCall { id, name } => {
                writing.body = Body::Tool { grown: false };
                let call = Part::from(Content::ToolCall { id: id.clone(), name: name.clone(), arguments: String::new() });
                if let Some(block) = reply::write_part(&call) {
                    writing.begin(&block, next, out);
                }
            }
            PartStart::Whole { content } => writing.body = Body::Whole(content.clone()),
        }
        writing
    }

    fn begin(&mut self, block: &impl Serialize, next: &mut u32, out: &mut Vec<u8>) {
        write_start(*next, block, out);
        let kind = match self.body {
            Body::Text => r#""text_delta","text":"#,
            Body::Reasoning => r#""thinking_delta","thinking":"#,
            Body::Tool { .. } | Body::Whole(_) => r#""input_json_delta","partial_json":"#,
        };
        self.head = delta_head(*next, kind);
        *next += 1;
    }

    /// Writes a delta of this part.
    fn grow(&mut self, delta: &Delta, next: &mut u32, out: &mut Vec<u8>) {
        match (delta, &mut self.body) {
            (Delta::Text(text) | Delta::Transcript(text), Body::Text) => self.push(text, TEXT, next, out),
            (Delta::Text(text), Body::Reasoning) => self.push(text, THINKING, next, out),
            (Delta::Arguments(text), Body::Tool { grown }) => {
                *grown |= !text.is_empty();
                self.push(text, "", next, out);
            }
            (Delta::Citation(citation), Body::Text) => {
                if let Some(citation) = reply::write_citation(citation) {
                    self.ensure_begun(TEXT, next, out);
                    write_delta(next.saturating_sub(1), r#""citations_delta","citation":"#, &citation, out);
                }
            }
            (Delta::Signature(signature), Body::Reasoning) => {
                self.ensure_begun(THINKING, next, out);
                let sealed = signature.sealed(super::super::NAME);
                write_delta(next.saturating_sub(1), r#""signature_delta","signature":"#, &sealed, out);
            }
            (Delta::Signature(signature), Body::Whole(part)) => part.signature = Some(signature.clone()),
            (Delta::Signature(signature), _) => self.carried = Some(signature.clone()),
            _ => {}
        }
    }

    fn ensure_begun(&mut self, start: &str, next: &mut u32, out: &mut Vec<u8>) {
        if self.head.is_empty()
            && let Ok(block) = serde_json::from_str::<&serde_json::value::RawValue>(start)
        {
            self.begin(&block, next, out);
        }
    }

    fn push(&mut self, text: &str, start: &str, next: &mut u32, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.ensure_begun(start, next, out);
        out.extend_from_slice(&self.head);
        write_json(out, text);
        out.extend_from_slice(b"}}\n\n");
    }

    /// Ends the part.
    fn close(mut self, next: &mut u32, out: &mut Vec<u8>) {
        match &self.body {
            Body::Tool { grown: false } => self.push("{}", "", next, out),
            Body::Whole(part) => {
                if let Some(block) = reply::write_part(part) {
                    write_start(*next, &block, out);
                    write_stop(*next, out);
                    *next += 1;
                    if !reply::signs_itself(&part.content) {
                        self.carried = part.signature.clone();
                    }
                }
            }
            _ => {}
        }
        if self.head.is_empty() && !matches!(self.body, Body::Whole(_)) {
            return;
        }
        if !self.head.is_empty() {
            write_stop(next.saturating_sub(1), out);
        }
        if let Some(signature) = &self.carried {
            let carrier: Block<'_> = reply::carry(signature);
            write_start(*next, &carrier, out);
            write_stop(*next, out);
            *next += 1;
        }
    }
}

fn write_start(index: u32, block: &impl Serialize, out: &mut Vec<u8>) {
    let _ =
        write!(out, "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":{index},\"content_block\":");
    write_json(out, block);
    out.extend_from_slice(b"}\n\n");
}

fn write_stop(index: u32, out: &mut Vec<u8>) {
    let _ = write!(out, "event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":{index}}}\n\n");
}

fn write_delta(index: u32, kind: &str, value: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(&delta_head(index, kind));
    write_json(out, value);
    out.extend_from_slice(b"}}\n\n");
}

fn delta_head(index: u32, kind: &str) -> Vec<u8> {
    format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":{kind}")
        .into_bytes()
}

/// JSON on one line. Raw pieces may hold line breaks between their tokens (never within a string), which would end
/// the line of `data:`.
pub(super) fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    // Writing to memory cannot fail, and these values are all JSON.
    let _ = serde_json::to_writer(&mut *out, value);
    if let Some(written) = out.get_mut(start..) {
        for byte in written {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
}
