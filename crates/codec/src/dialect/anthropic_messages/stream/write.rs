//! A stream for a caller, written.
//!
//! Blocks stand one after the other on this wire, while the canonical events may interleave parts (parallel tool
//! calls of other dialects). So one part is written at a time; those that begin meanwhile are held until it ends.
//! This dialect has one answer: of several choices only the first is written.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::super::error::write_error_frame;
use super::super::finish::{Stop, write_finish};
use super::super::usage::{self, write_delta_usage, write_usage};
use super::super::{NAME, reply};
use super::part::{Writing, write_json};
use crate::dialect::{Cx, WriteStream};
use crate::error::{Error, Kind, Origin};
use crate::ir::{Content, Delta, Event, Extra, Finish, PartStart, Source, Usage};

/// Parts that wait are held up to this many bytes, all together.
const MOST_HELD: usize = 8 * 1024 * 1024;

/// The state of one stream.
pub(in super::super) struct Writer {
    cx: Cx,
    started: bool,
    over: bool,
    usage: Option<Usage>,
    finish: Option<Finish>,
    called: bool,
    refused: bool,
    /// The number of the next block.
    next: u32,
    open: Option<Writing>,
    waiting: VecDeque<Waiting>,
    held: usize,
}

/// A part that began before the one in front of it ended.
struct Waiting {
    part: u32,
    start: PartStart,
    deltas: Vec<Delta>,
    ended: bool,
}

#[derive(Serialize)]
struct MessageStart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: [(); 0],
    stop_reason: Option<()>,
    stop_sequence: Option<()>,
    stop_details: Option<()>,
    container: Option<&'a Value>,
    diagnostics: Option<&'a Value>,
    usage: usage::Out<'a>,
}

#[derive(Serialize)]
struct MessageDelta<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    delta: End<'a>,
    usage: usage::OutDelta,
}

#[derive(Serialize)]
struct End<'a> {
    container: Option<()>,
    #[serde(flatten)]
    stop: Stop<'a>,
}

impl WriteStream for Writer {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, model, extra, .. } => self.start(id, model, extra, out),
            Event::PartStart { choice: 0, part, start } => self.open(*part, start, out),
            Event::Delta { choice: 0, part, delta } => self.grow(*part, delta, out),
            Event::PartEnd { choice: 0, part } => self.end(*part, out),
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone()),
            Event::Usage { usage } => self.usage = Some(*usage),
            Event::Foreign { from, name, data } if *from == NAME => write_frame(name.as_deref(), data, out),
            _ => {}
        }
        if self.held > MOST_HELD {
            let message = "the answer's parts interleave too far to be written one after the other";
            self.fail(&Error::new(Kind::Internal, Origin::Gateway, message), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.over = true;
        self.ensure_started(out);
        while let Some(writing) = self.open.take() {
            writing.close(&mut self.next, out);
            self.open_waiting(out);
        }
        let finish = self.finish.take().unwrap_or_default();
        let delta = MessageDelta {
            kind: "message_delta",
            delta: End { container: None, stop: write_finish(&finish, self.called, self.refused) },
            usage: write_delta_usage(self.usage.as_ref()),
        };
        write_frame(Some("message_delta"), &delta, out);
        out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        if !self.over {
            self.over = true;
            self.tell_held(out);
            write_error_frame(error, &self.cx.request_id, out);
        }
    }
}

impl Writer {
    pub(in super::super) fn new(cx: &Cx) -> Self {
        Writer {
            cx: cx.clone(),
            started: false,
            over: false,
            usage: None,
            finish: None,
            called: false,
            refused: false,
            next: 0,
            open: None,
            waiting: VecDeque::new(),
            held: 0,
        }
    }

    fn start(&mut self, id: &str, model: &str, extra: &Extra, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        let made_up = reply::id(&self.cx);
        let own = |name: &str| extra.of(NAME).and_then(|fields| fields.get(name));
        let start = MessageStart {
            kind: "message_start",
            message: Message {
                id: if id.is_empty() { &made_up } else { id },
                kind: "message",
                role: "assistant",
                model: if model.is_empty() { &self.cx.model } else { model },
                content: [],
                stop_reason: None,
                stop_sequence: None,
                stop_details: None,
                container: own("container"),
                diagnostics: own("diagnostics"),
                usage: write_usage(self.usage.as_ref(), extra),
            },
        };
        write_frame(Some("message_start"), &start, out);
        out.extend_from_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
    }

    fn ensure_started(&mut self, out: &mut Vec<u8>) {
        self.start("", "", &Extra::default(), out);
    }

    fn open(&mut self, part: u32, start: &PartStart, out: &mut Vec<u8>) {
        self.ensure_started(out);
        self.called |= matches!(start, PartStart::ToolCall { .. });
        self.refused |= matches!(start, PartStart::Refusal);
        if self.open.is_none() {
            self.open = Some(Writing::open(part, start.clone(), &mut self.next, out));
        } else {
            self.held += start_weight(start);
            self.waiting.push_back(Waiting { part, start: start.clone(), deltas: Vec::new(), ended: false });
        }
    }

    fn grow(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        match &mut self.open {
            Some(writing) if writing.part == part => writing.grow(delta, &mut self.next, out),
            _ => {
                if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.part == part) {
                    self.held += weight(delta);
                    waiting.deltas.push(delta.clone());
                }
            }
        }
    }

    fn end(&mut self, part: u32, out: &mut Vec<u8>) {
        match self.open.take_if(|writing| writing.part == part) {
            Some(writing) => {
                writing.close(&mut self.next, out);
                self.open_waiting(out);
            }
            None => {
                if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.part == part) {
                    waiting.ended = true;
                }
            }
        }
    }

    /// Before a stream fails: no text stays untold because a part in front of it never ended.
    fn tell_held(&mut self, out: &mut Vec<u8>) {
        let is_text = |delta: &Delta| matches!(delta, Delta::Text(_) | Delta::Transcript(_));
        while self.waiting.iter().any(|waiting| waiting.deltas.iter().any(is_text)) {
            let Some(writing) = self.open.take() else { return };
            writing.close(&mut self.next, out);
            self.open_waiting(out);
        }
    }

    /// Writes what waited, up to and with the first part that has not ended yet.
    fn open_waiting(&mut self, out: &mut Vec<u8>) {
        while let Some(waiting) = self.waiting.pop_front() {
            self.held = self.held.saturating_sub(start_weight(&waiting.start));
            let mut writing = Writing::open(waiting.part, waiting.start, &mut self.next, out);
            for delta in &waiting.deltas {
                self.held = self.held.saturating_sub(weight(delta));
                writing.grow(delta, &mut self.next, out);
            }
            if !waiting.ended {
                self.open = Some(writing);
                return;
            }
            writing.close(&mut self.next, out);
        }
    }
}

/// About how many bytes a part's start takes while it is held.
fn start_weight(start: &PartStart) -> usize {
    let data = match start {
        PartStart::Whole { content } => match &content.content {
            Content::Image { source: Source::Base64 { data, .. }, .. } => data.len(),
            Content::Foreign { value, .. } => value.get().len(),
            Content::Text { text, .. } => text.len(),
            _ => 0,
        },
        _ => 0,
    };
    size_of::<Waiting>() + data
}

/// About how many bytes a delta takes while it is held.
fn weight(delta: &Delta) -> usize {
    let text = match delta {
        Delta::Text(text) | Delta::Arguments(text) | Delta::Audio(text) | Delta::Transcript(text) => text.len(),
        Delta::Signature(signature) => signature.value.len(),
        Delta::Citation(citation) => citation.raw.as_ref().map_or(256, |raw| raw.get().len()),
    };
    size_of::<Delta>() + text
}

fn write_frame(name: Option<&str>, data: &impl Serialize, out: &mut Vec<u8>) {
    if let Some(name) = name.filter(|name| !name.contains(['\n', '\r'])) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    write_json(out, data);
    out.extend_from_slice(b"\n\n");
}
