//! A stream for a caller, written.
//!
//! Blocks stand one after the other on this wire, so one part is written at a time, and others wait. This dialect has one answer: of several choices only the first is written.

use serde::Serialize;
use serde_json::Value;

use super::super::error::write_error_frame;
use super::super::finish::{Stop, write_finish};
use super::super::usage::{self, write_delta_usage, write_usage};
use super::super::{NAME, reply};
use super::part::{Blocks, write_json};
use crate::dialect::queue::Queue;
use crate::dialect::{Cx, WriteStream};
use crate::error::Error;
use crate::ir::{Event, Extra, Finish, PartStart, Usage};

/// The state of one stream.
pub(in super::super) struct Writer {
    cx: Cx,
    started: bool,
    over: bool,
    usage: Option<Usage>,
    finish: Option<Finish>,
    called: bool,
    refused: bool,
    queue: Queue,
    blocks: Blocks,
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
            Event::Delta { choice: 0, part, delta } => self.queue.grow(*part, delta, &mut |step| self.blocks.take(step, out)),
            Event::PartEnd { choice: 0, part } => self.queue.close(*part, &mut |step| self.blocks.take(step, out)),
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone()),
            Event::Usage { usage } => self.usage = Some(*usage),
            Event::Foreign { from, name, data } if *from == NAME => write_frame(name.as_deref(), data, out),
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
        self.queue.finish(&mut |step| self.blocks.take(step, out));
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
            self.queue.tell_held(&mut |step| self.blocks.take(step, out));
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
            queue: Queue::default(),
            blocks: Blocks::default(),
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
        self.queue.open(part, start, &mut |step| self.blocks.take(step, out));
    }
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
