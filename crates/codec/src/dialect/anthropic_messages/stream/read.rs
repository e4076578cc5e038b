//! A provider's stream, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::block::{read_citation, read_extra, read_reply_block};
use super::super::error::read_inband_error;
use super::super::finish::read_finish;
use super::super::response::read_usage;
use super::super::{NAME, wire};
use super::open::{Body, Open};
use super::quick::{Grows, read_delta};
use crate::dialect::ReadStream;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::ir::{Delta, Event, Extra, PartStart, Raw, Signature};

/// More blocks than this are not open at once in any sound stream (there is one).
const MOST_OPEN: usize = 256;
/// Events before the start that are kept for after it.
const MOST_EARLY: usize = 16;

/// The state of one stream.
#[derive(Default)]
pub(in super::super) struct Reader {
    started: bool,
    finished: bool,
    ended: bool,
    called: bool,
    usage: wire::Usage,
    next: u32,
    open: Vec<Open>,
    /// Events that we do not know and that came before the start, which must be first.
    early: Vec<Event>,
}

/// One frame's data, any event.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Step<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    index: u64,
    #[serde(borrow)]
    delta: Option<Grown<'a>>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// `delta` of `content_block_delta` and of `message_delta`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Grown<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    text: Option<String>,
    partial_json: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    stop_details: Option<wire::StopDetails>,
}

impl ReadStream for Reader {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        if self.ended || frame.data.is_empty() || frame.data == b"[DONE]" {
            return Ok(());
        }
        if self.grow_quickly(frame.data, out) {
            return Ok(());
        }
        let step = match serde_json::from_slice::<Step<'_>>(frame.data) {
            Ok(step) => step,
            Err(fault) => return self.read_unreadable(frame, out, &fault),
        };
        let kind = if step.kind.is_empty() { frame.event.unwrap_or_default() } else { &step.kind };
        match kind {
            "content_block_delta" => self.grow(step.index, step.delta.unwrap_or_default(), frame.data, out)?,
            "content_block_start" => self.open(step.index, step.content_block, out)?,
            "content_block_stop" => self.close(step.index, out),
            "message_start" => self.start(step.message, out),
            "message_delta" => self.end_message(step.delta.unwrap_or_default(), step.usage, out),
            "message_stop" => self.stop(out),
            "ping" => {}
            "error" => return Err(read_inband_error(frame.data)),
            "" if step.error.is_some() => return Err(read_inband_error(frame.data)),
            _ => self.push_foreign(frame, out),
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<Event>) -> Result<()> {
        if self.ended { Ok(()) } else { Err(Error::truncated("the stream ended before its message_stop")) }
    }
}

impl Reader {
    /// An event that cannot be read: raw if we do not know its kind, corrupt if we do.
    fn read_unreadable(&mut self, frame: Frame<'_>, out: &mut Vec<Event>, fault: &serde_json::Error) -> Result<()> {
        #[derive(Deserialize)]
        struct Typed {
            #[serde(rename = "type")]
            kind: String,
        }
        match serde_json::from_slice::<Typed>(frame.data) {
            Ok(Typed { kind }) if kind == "error" => Err(read_inband_error(frame.data)),
            Ok(Typed { kind }) if !kind.starts_with("message_") && !kind.starts_with("content_block_") => {
                self.push_foreign(frame, out);
                Ok(())
            }
            _ => Err(Error::malformed(format!("a frame of the stream cannot be read: {fault}")).with_raw(frame.data)),
        }
    }

    fn push_foreign(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) {
        let Ok(data) = serde_json::from_slice::<Raw>(frame.data) else { return };
        let event = Event::Foreign { from: NAME, name: frame.event.map(str::to_owned), data };
        if self.started {
            out.push(event);
        } else if self.early.len() < MOST_EARLY {
            self.early.push(event);
        }
    }

    fn start(&mut self, message: Option<&RawValue>, out: &mut Vec<Event>) {
        if self.started {
            return;
        }
        self.started = true;
        let message = message.and_then(|raw| serde_json::from_str::<wire::Reply<'_>>(raw.get()).ok()).unwrap_or_default();
        let mut extra = message.extra;
        let usage = read_usage(message.usage, &mut extra);
        extra.retain(|_, value| !value.is_null());
        out.push(Event::Start {
            id: message.id.unwrap_or_default(),
            model: message.model.unwrap_or_default(),
            created: None,
            extra: read_extra(extra),
        });
        out.append(&mut self.early);
        if let Some(usage) = usage {
            self.usage.merge(usage);
            out.push(Event::Usage { usage: self.usage.read() });
        }
    }

    /// Some who imitate this dialect leave out its beginning.
    fn ensure_started(&mut self, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            out.push(Event::Start { id: String::new(), model: String::new(), created: None, extra: Extra::default() });
            out.append(&mut self.early);
        }
    }

    fn open(&mut self, index: u64, block: Option<&RawValue>, out: &mut Vec<Event>) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        self.ensure_started(out);
        self.close(index, out);
        let Some(raw) = block else { return Err(Error::malformed("a content_block_start has no content_block")) };
        let wire: wire::Block<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        let part = self.next;
        let (body, start) = match &*wire.kind {
            "text" => (Body::Text, PartStart::Text),
            "thinking" => (Body::Reasoning, PartStart::Reasoning),
            "tool_use" => {
                self.called = true;
                let input = wire.input.map(|input| input.get().to_owned()).filter(|input| input != "{}");
                let id = wire.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("toolu_{part}"));
                (Body::Tool { input, grown: false }, PartStart::ToolCall { id, name: wire.name.unwrap_or_default() })
            }
            "redacted_thinking" | "image" | "document" => {
                (Body::Whole, PartStart::Whole { content: Box::new(read_reply_block(raw, part as usize)) })
            }
            _ => {
                let block = serde_json::from_str(raw.get()).unwrap_or_default();
                return self.hold(Open { index, part: 0, body: Body::Foreign { block, input: String::new(), size: 0 } });
            }
        };
        out.push(Event::PartStart { choice: 0, part, start });
        let citations: Vec<&RawValue> = wire.citations.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        push_text(part, wire.text.filter(|_| body == Body::Text), out);
        push_text(part, wire.thinking.filter(|_| body == Body::Reasoning), out);
        push_signature(part, wire.signature.filter(|_| body == Body::Reasoning), out);
        out.extend(citations.into_iter().map(|raw| delta(part, Delta::Citation(read_citation(raw)))));
        self.add(Open { index, part, body })
    }

    /// Adds a block whose part has begun.
    fn add(&mut self, open: Open) -> Result<()> {
        self.next = open.part + 1;
        self.hold(open)
    }

    /// Adds a block; its part begins, and gets its number, when it is whole.
    fn hold(&mut self, open: Open) -> Result<()> {
        if self.open.len() >= MOST_OPEN {
            return Err(Error::malformed("the stream opens blocks and never closes them"));
        }
        self.open.push(open);
        Ok(())
    }

    /// Takes a delta in its usual spelling; false when the frame is anything else.
    fn grow_quickly(&mut self, data: &[u8], out: &mut Vec<Event>) -> bool {
        let Some((index, grows, text)) = read_delta(data) else { return false };
        let Some(open) = self.open.iter_mut().rfind(|open| open.index == index) else { return false };
        let change = match (&mut open.body, grows) {
            (Body::Text, Grows::Text) | (Body::Reasoning, Grows::Thinking) => Delta::Text,
            (Body::Tool { grown, .. }, Grows::Input) => {
                *grown |= !text.is_empty();
                Delta::Arguments
            }
            _ => return false,
        };
        if !text.is_empty() {
            out.push(delta(open.part, change(text)));
        }
        true
    }

    fn grow(&mut self, index: u64, grown: Grown<'_>, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        if !self.open.iter().any(|open| open.index == index) {
            self.open_unannounced(index, &grown.kind, out)?;
        }
        let Some(open) = self.open.iter_mut().rfind(|open| open.index == index) else { return Ok(()) };
        let part = open.part;
        match (&mut open.body, &*grown.kind) {
            (Body::Text, "text_delta") => push_text(part, grown.text, out),
            (Body::Text, "citations_delta") => {
                out.extend(grown.citation.map(|raw| delta(part, Delta::Citation(read_citation(raw)))));
            }
            (Body::Reasoning, "thinking_delta") => push_text(part, grown.thinking, out),
            (Body::Reasoning, "signature_delta") => push_signature(part, grown.signature, out),
            (Body::Tool { grown: has, .. }, "input_json_delta") => {
                if let Some(json) = grown.partial_json.filter(|json| !json.is_empty()) {
                    *has = true;
                    out.push(delta(part, Delta::Arguments(json)));
                }
            }
            (Body::Foreign { .. }, _) => open.merge(data)?,
            _ => {}
        }
        Ok(())
    }

    fn open_unannounced(&mut self, index: u64, kind: &str, out: &mut Vec<Event>) -> Result<()> {
        let (body, start) = match kind {
            _ if self.finished => return Ok(()),
            "text_delta" => (Body::Text, PartStart::Text),
            "thinking_delta" => (Body::Reasoning, PartStart::Reasoning),
            _ => return Ok(()),
        };
        self.ensure_started(out);
        out.push(Event::PartStart { choice: 0, part: self.next, start });
        self.add(Open { index, part: self.next, body })
    }

    fn close(&mut self, index: u64, out: &mut Vec<Event>) {
        if let Some(at) = self.open.iter().rposition(|open| open.index == index) {
            self.open.remove(at).close(&mut self.next, out);
        }
    }

    fn end_message(&mut self, grown: Grown<'_>, usage: Option<&RawValue>, out: &mut Vec<Event>) {
        self.ensure_started(out);
        if grown.stop_reason.is_some() {
            self.end_choice(grown, out);
        }
        let usage = usage.and_then(|raw| serde_json::from_str::<wire::Usage>(raw.get()).ok());
        if let Some(usage) = usage {
            self.usage.merge(usage);
            out.push(Event::Usage { usage: self.usage.read() });
        }
    }

    fn end_choice(&mut self, grown: Grown<'_>, out: &mut Vec<Event>) {
        if self.finished {
            return;
        }
        self.finished = true;
        for open in self.open.drain(..) {
            open.close(&mut self.next, out);
        }
        let finish = read_finish(grown.stop_reason.as_deref(), grown.stop_sequence, grown.stop_details, self.called);
        out.push(Event::Finish { choice: 0, finish });
    }

    fn stop(&mut self, out: &mut Vec<Event>) {
        self.ensure_started(out);
        self.end_choice(Grown::default(), out);
        self.ended = true;
        out.push(Event::End);
    }
}

fn delta(part: u32, delta: Delta) -> Event {
    Event::Delta { choice: 0, part, delta }
}

fn push_text(part: u32, text: Option<String>, out: &mut Vec<Event>) {
    out.extend(text.filter(|text| !text.is_empty()).map(|text| delta(part, Delta::Text(text))));
}

fn push_signature(part: u32, value: Option<String>, out: &mut Vec<Event>) {
    let signature = value.filter(|value| !value.is_empty()).map(|value| Signature { owner: NAME, value });
    out.extend(signature.map(|signature| delta(part, Delta::Signature(signature))));
}

/// The `delta` of a frame as a tree, for blocks that we do not know.
pub(super) fn delta_tree(data: &[u8]) -> Option<serde_json::Map<String, Value>> {
    #[derive(Deserialize)]
    struct Step {
        delta: serde_json::Map<String, Value>,
    }
    serde_json::from_slice::<Step>(data).ok().map(|step| step.delta)
}
