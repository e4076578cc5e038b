//! A stream for a caller, written.
//!
//! Blocks stand one after the other on this wire, so one part is written at a time, and others wait. This dialect has one
//! answer: of several choices only the first is written.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::block::{write_carried, write_redacted};
use super::super::cite::write_citation;
use super::super::error::write_exception;
use super::super::finish::write_finish;
use super::super::media::Kind;
use super::super::reply::{self, write_source};
use super::super::response::write_stop_sequence;
use super::super::usage::write_usage;
use super::super::{NAME, out::Block};
use crate::dialect::WriteStream;
use crate::dialect::queue::{Queue, Step};
use crate::error::Error;
use crate::frame::event_stream::{Value as Header, write_header, write_message};
use crate::ir::{Content, Delta, Event, Finish, Part, PartStart, Signature, Usage};

/// The state of one stream.
pub(in super::super) struct Writer {
    wire: Wire,
    started: bool,
    over: bool,
    usage: Option<Usage>,
    finish: Option<Finish>,
    called: bool,
    refused: bool,
    queue: Queue,
}

/// A part between its start and its end.
struct Writing {
    body: Body,
    /// The front of a delta's payload, up to its text; empty until the block is begun.
    head: Vec<u8>,
    /// A signature that this block has no field for.
    carried: Option<Signature>,
}

enum Body {
    Text,
    Reasoning,
    Tool,
    Whole(Box<Part>),
}

/// Puts payloads into messages.
struct Wire {
    /// The headers of the message that nearly every one is.
    delta: Vec<u8>,
    /// The number of the next block.
    next: u32,
    open: Option<Writing>,
}

fn headers(event: &str) -> Vec<u8> {
    let mut headers = Vec::with_capacity(96);
    write_header(":event-type", Header::Text(event), &mut headers);
    write_header(":content-type", Header::Text("application/json"), &mut headers);
    write_header(":message-type", Header::Text("event"), &mut headers);
    headers
}

/// Writing to memory cannot fail, and these values are all JSON.
fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(out, value);
}

impl Wire {
    fn message(event: &str, payload: &impl Serialize, out: &mut Vec<u8>) {
        write_message(&headers(event), out, |out| put(out, payload));
    }

    /// A delta of the block begun last: `head`, a JSON value, `tail`.
    fn delta(&self, head: &[u8], value: &(impl Serialize + ?Sized), tail: &[u8], out: &mut Vec<u8>) {
        write_message(&self.delta, out, |out| {
            out.extend_from_slice(head);
            put(out, value);
            out.extend_from_slice(tail);
        });
    }

    /// A block of one delta.
    fn block(&mut self, delta: &impl Serialize, out: &mut Vec<u8>) {
        let head = format!("{{\"contentBlockIndex\":{},\"delta\":", self.next);
        self.delta(head.as_bytes(), delta, b"}", out);
        self.stop(self.next, out);
        self.next += 1;
    }

    fn start(&self, start: &Value, out: &mut Vec<u8>) {
        Self::message("contentBlockStart", &json!({"contentBlockIndex": self.next, "start": start}), out);
    }

    fn stop(&self, index: u32, out: &mut Vec<u8>) {
        Self::message("contentBlockStop", &json!({"contentBlockIndex": index}), out);
    }

    /// The part in front goes on.
    fn take(&mut self, step: Step<'_>, out: &mut Vec<u8>) {
        match (step, self.open.take()) {
            (Step::Open(start), _) => self.open = Some(Writing::open(start, self, out)),
            (Step::Grow(delta), Some(mut writing)) => {
                writing.grow(delta, self, out);
                self.open = Some(writing);
            }
            (Step::Close, Some(writing)) => writing.close(self, out),
            (Step::Grow(_) | Step::Close, None) => {}
        }
    }

    /// A part that comes whole.
    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        match &part.content {
            Content::Reasoning { redacted: true, .. } => {
                if let Some(signature) = &part.signature {
                    self.block(&json!({"reasoningContent": {"redactedContent": write_redacted(signature)}}), out);
                }
                return;
            }
            Content::Image { source, .. } => {
                let Some((format, source)) = write_source(Kind::Image, source) else { return };
                self.start(&json!({"image": {"format": format}}), out);
                self.block(&json!({"image": {"source": source}}), out);
            }
            Content::Text { text, .. } if !text.is_empty() => self.block(&json!({"text": text}), out),
            Content::Foreign { from, value } if *from == NAME => {
                let Value::Object(mut block) = value.value() else { return };
                let (call, result) = (block.remove("toolUse"), block.remove("toolResult"));
                if let Some(Value::Object(mut call)) = call {
                    let input = call.remove("input").unwrap_or_else(|| json!({}));
                    self.start(&json!({"toolUse": call}), out);
                    self.block(&json!({"toolUse": {"input": input.to_string()}}), out);
                } else if let Some(Value::Object(mut result)) = result {
                    let content = result.remove("content").unwrap_or_else(|| json!([]));
                    self.start(&json!({"toolResult": result}), out);
                    self.block(&json!({"toolResult": content}), out);
                }
            }
            _ => {
                // What has no form of its own in a stream, but one that is text.
                let text = reply::write_part(part).find_map(|block| match block {
                    Block::Text(text) => Some(text.into_owned()),
                    _ => None,
                });
                match text {
                    Some(text) => self.block(&json!({"text": text}), out),
                    None => return,
                }
            }
        }
        if let Some(signature) = &part.signature {
            self.carry(signature, out);
        }
    }

    fn carry(&mut self, signature: &Signature, out: &mut Vec<u8>) {
        self.block(&json!({"reasoningContent": {"redactedContent": write_carried(signature)}}), out);
    }
}

impl Writing {
    /// Opens a part. Texts are begun with their first piece, because an empty text says nothing.
    fn open(start: &PartStart, wire: &mut Wire, out: &mut Vec<u8>) -> Self {
        let mut writing = Writing { body: Body::Text, head: Vec::new(), carried: None };
        match start {
            PartStart::Text | PartStart::Refusal | PartStart::Audio { .. } => {}
            PartStart::Reasoning => writing.body = Body::Reasoning,
            PartStart::ToolCall { id, name } => {
                writing.body = Body::Tool;
                wire.start(&json!({"toolUse": {"toolUseId": id, "name": name}}), out);
                writing.begin(wire);
            }
            PartStart::Whole { content } => writing.body = Body::Whole(content.clone()),
        }
        writing
    }

    fn begin(&mut self, wire: &mut Wire) {
        if !self.head.is_empty() {
            return;
        }
        let kind = match self.body {
            Body::Text => "\"text\":",
            Body::Reasoning => "\"reasoningContent\":{\"text\":",
            Body::Tool | Body::Whole(_) => "\"toolUse\":{\"input\":",
        };
        self.head = format!("{{\"contentBlockIndex\":{},\"delta\":{{{kind}", wire.next).into_bytes();
        wire.next += 1;
    }

    /// A delta that is no text.
    fn push(&mut self, value: &impl Serialize, wire: &mut Wire, out: &mut Vec<u8>) {
        self.begin(wire);
        let head = format!("{{\"contentBlockIndex\":{},\"delta\":", wire.next.saturating_sub(1));
        wire.delta(head.as_bytes(), value, b"}", out);
    }

    fn grow(&mut self, delta: &Delta, wire: &mut Wire, out: &mut Vec<u8>) {
        let tail: &[u8] = if matches!(self.body, Body::Text) { b"}}" } else { b"}}}" };
        match (delta, &mut self.body) {
            (Delta::Text(text) | Delta::Transcript(text), Body::Text)
            | (Delta::Text(text), Body::Reasoning)
            | (Delta::Arguments(text), Body::Tool)
                if !text.is_empty() =>
            {
                self.begin(wire);
                wire.delta(&self.head, text, tail, out);
            }
            (Delta::Citation(citation), Body::Text) => {
                #[derive(Serialize)]
                struct Cited<T> {
                    citation: T,
                }
                self.push(&Cited { citation: write_citation(citation) }, wire, out);
            }
            (Delta::Signature(signature), Body::Reasoning) => {
                self.push(&json!({"reasoningContent": {"signature": signature.sealed(NAME)}}), wire, out);
            }
            (Delta::Signature(signature), Body::Whole(part)) => part.signature = Some(signature.clone()),
            (Delta::Signature(signature), _) => self.carried = Some(signature.clone()),
            _ => {}
        }
    }

    fn close(self, wire: &mut Wire, out: &mut Vec<u8>) {
        if let Body::Whole(part) = &self.body {
            wire.whole(part, out);
        } else if !self.head.is_empty() {
            wire.stop(wire.next.saturating_sub(1), out);
            if let Some(signature) = &self.carried {
                wire.carry(signature, out);
            }
        }
    }
}

impl WriteStream for Writer {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { .. } => self.ensure_started(out),
            Event::PartStart { choice: 0, part, start } => self.open(*part, start, out),
            Event::Delta { choice: 0, part, delta } => self.queue.grow(*part, delta, &mut |step| self.wire.take(step, out)),
            Event::PartEnd { choice: 0, part } => self.queue.close(*part, &mut |step| self.wire.take(step, out)),
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone()),
            Event::Usage { usage } => self.usage = Some(*usage),
            Event::Foreign { from, name: Some(name), data } if *from == NAME => Wire::message(name, data, out),
            _ => {}
        }
        if let Some(error) = self.queue.check() {
            self.fail(&error, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.over = true;
        self.ensure_started(out);
        self.queue.finish(&mut |step| self.wire.take(step, out));
        let finish = self.finish.take().unwrap_or_default();
        let mut stop = json!({"stopReason": write_finish(&finish, self.called, self.refused)});
        if let (Some(fields), Some(stop)) = (write_stop_sequence(&finish), stop.as_object_mut()) {
            stop.insert("additionalModelResponseFields".to_owned(), fields);
        }
        Wire::message("messageStop", &stop, out);
        Wire::message("metadata", &json!({"usage": write_usage(self.usage.as_ref()), "metrics": {"latencyMs": 0}}), out);
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        if !self.over {
            self.over = true;
            self.queue.tell_held(&mut |step| self.wire.take(step, out));
            write_exception(error, out);
        }
    }
}

impl Writer {
    pub(in super::super) fn new() -> Self {
        Writer {
            wire: Wire { delta: headers("contentBlockDelta"), next: 0, open: None },
            started: false,
            over: false,
            usage: None,
            finish: None,
            called: false,
            refused: false,
            queue: Queue::default(),
        }
    }

    fn ensure_started(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            Wire::message("messageStart", &json!({"role": "assistant"}), out);
        }
    }

    fn open(&mut self, part: u32, start: &PartStart, out: &mut Vec<u8>) {
        self.ensure_started(out);
        self.called |= matches!(start, PartStart::ToolCall { .. });
        self.refused |= matches!(start, PartStart::Refusal);
        self.queue.open(part, start, &mut |step| self.wire.take(step, out));
    }
}
