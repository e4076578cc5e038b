//! Events to frames.
//!
//! The last frame of this dialect repeats the whole answer, so that what was told is kept, up to a bound.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::error::write_error_frame;
use super::super::response::{Body, Item, Items, Reply, Said, annotation, is_piece};
use super::slot::{Kind, Slot};
use crate::dialect::object::Object;
use crate::dialect::openai_chat::response::logprobs_out;
use crate::dialect::{Cx, WriteStream};
use crate::error::{Error, Origin};
use crate::ir::{Content, Delta, Event, Extra, Finish, Part, PartStart, Signature, TokenLogprob, Usage};

/// Longer answers are not kept.
const MOST_KEPT: usize = 64 * 1024 * 1024;

/// Writes one stream.
pub(crate) struct Writer {
    cx: Cx,
    reply: Option<Reply>,
    number: u64,
    items: Items,
    /// The message that takes further pieces, if the last item is one.
    message: Option<usize>,
    slots: Vec<Slot>,
    kept: usize,
    usage: Option<Usage>,
    finish: Finish,
    over: bool,
}

impl WriteStream for Writer {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, model, created, extra } => {
                let reply = Reply::new(id, model, *created, extra, &self.cx);
                self.start(reply, out);
            }
            Event::PartStart { choice: 0, part, start } => self.begin(*part, start, out),
            Event::Delta { choice: 0, part, delta } => self.grow(*part, delta, out),
            Event::PartEnd { choice: 0, part } => self.end(*part, out),
            Event::Logprobs { choice: 0, tokens } => self.logprobs(tokens, out),
            Event::Finish { choice: 0, finish } => self.finish.clone_from(finish),
            Event::Usage { usage } => self.usage = Some(*usage),
            _ => {}
        }
        if self.kept > MOST_KEPT {
            let message = "the answer is too long to be repeated at its end, as this dialect wants it; ask for it unstreamed";
            self.fail(&Error::new(crate::Kind::TooLarge, Origin::Gateway, message), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.ensure_started(out);
        while let Some(slot) = self.slots.pop() {
            self.close(slot, out);
        }
        self.close_message(out);
        self.over = true;
        let items = self.items.take();
        if let Some(reply) = &self.reply {
            let (status, answer) = reply.ended(&self.finish, &items, self.usage.as_ref());
            let name = if status == "completed" { "response.completed" } else { "response.incomplete" };
            self.answer(name, &answer, out);
        }
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        if !self.over {
            self.over = true;
            write_error_frame(error, self.number, out);
        }
    }
}

impl Writer {
    pub(crate) fn new(cx: &Cx) -> Self {
        Writer {
            cx: cx.clone(),
            reply: None,
            number: 0,
            items: Items::new(cx),
            message: None,
            slots: Vec::new(),
            kept: 0,
            usage: None,
            finish: Finish::default(),
            over: false,
        }
    }

    fn start(&mut self, reply: Reply, out: &mut Vec<u8>) {
        if self.reply.is_none() {
            let begun = reply.begun();
            self.reply = Some(reply);
            self.answer("response.created", &begun, out);
            self.answer("response.in_progress", &begun, out);
        }
    }

    fn ensure_started(&mut self, out: &mut Vec<u8>) {
        if self.reply.is_none() {
            let reply = Reply::new("", "", None, &Extra::default(), &self.cx);
            self.start(reply, out);
        }
    }

    /// A frame; `rest` are its members, each with a comma in front.
    fn frame(&mut self, name: &str, out: &mut Vec<u8>, rest: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: {\"type\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"sequence_number\":");
        put(out, &self.number);
        self.number += 1;
        rest(out);
        out.extend_from_slice(b"}\n\n");
    }

    fn answer(&mut self, name: &str, answer: &Object, out: &mut Vec<u8>) {
        self.frame(name, out, |out| {
            out.extend_from_slice(b",\"response\":");
            put(out, answer);
        });
    }

    /// A frame about a part that is open; `members` are those that are its own.
    fn of_slot(&mut self, slot: &Slot, what: &str, members: &Value, out: &mut Vec<u8>) {
        self.frame(&format!("response.{what}"), out, |out| {
            out.extend_from_slice(&slot.place);
            for (key, value) in members.as_object().into_iter().flatten() {
                out.push(b',');
                put(out, key);
                out.push(b':');
                put(out, value);
            }
        });
    }

    fn item(&mut self, at: usize, done: bool, out: &mut Vec<u8>) {
        let items = std::mem::take(&mut self.items.all);
        if let Some(item) = items.get(at) {
            let name = if done { "response.output_item.done" } else { "response.output_item.added" };
            self.frame(name, out, |out| {
                out.extend_from_slice(b",\"output_index\":");
                put(out, &at);
                out.extend_from_slice(b",\"item\":");
                put(out, &if done { item.done() } else { item.begun() });
            });
        }
        self.items.all = items;
    }

    /// Adds an item that grows.
    fn add(&mut self, body: Body, extra: Map<String, Value>, out: &mut Vec<u8>) -> usize {
        self.close_message(out);
        let at = self.items.add(body, extra);
        self.item(at, false, out);
        at
    }

    /// Tells an item that came whole.
    fn told(&mut self, at: usize, out: &mut Vec<u8>) {
        self.item(at, false, out);
        self.item(at, true, out);
    }

    /// A message ends when an item of another kind begins, or the answer ends.
    fn close_message(&mut self, out: &mut Vec<u8>) {
        if let Some(at) = self.message.take() {
            if let Some(open) = self.slots.iter_mut().find(|slot| slot.item == at) {
                // Its last piece still grows beside what begins now.
                open.ends_item = true;
            } else {
                self.item(at, true, out);
            }
        }
    }

    fn begin(&mut self, part: u32, start: &PartStart, out: &mut Vec<u8>) {
        self.ensure_started(out);
        let reasoning = || Body::Reasoning { text: String::new(), encrypted: None };
        let (kind, at) = match start {
            PartStart::Text | PartStart::Audio { .. } => return self.begin_piece(part, Kind::Text, out),
            PartStart::Refusal => return self.begin_piece(part, Kind::Refusal, out),
            PartStart::Reasoning => (Kind::Reasoning { redacted: false }, self.add(reasoning(), Map::new(), out)),
            PartStart::ToolCall { id, name } => {
                let (id, call_id, name) = (id.clone(), id.clone(), name.clone());
                let (kind, body) = if self.items.is_custom(&name) {
                    (Kind::Custom { id }, Body::Custom { call_id, name, input: String::new() })
                } else {
                    (Kind::Call { id }, Body::Call { call_id, name, arguments: String::new() })
                };
                (kind, self.add(body, Map::new(), out))
            }
            PartStart::Whole { content } => match &content.content {
                Content::Reasoning { redacted: true, .. } => {
                    let at = self.add(reasoning(), Map::new(), out);
                    if let Some(signature) = &content.signature {
                        self.items.sign(at, signature, true);
                    }
                    (Kind::Reasoning { redacted: true }, at)
                }
                _ => {
                    self.whole(content, out);
                    (Kind::Told, self.items.all.len().saturating_sub(1))
                }
            },
        };
        self.open(part, kind, at, 0);
    }

    fn begin_piece(&mut self, part: u32, kind: Kind, out: &mut Vec<u8>) {
        let at = match self.message {
            Some(at) => at,
            None => self.add(Body::Message(Vec::new()), Map::new(), out),
        };
        self.message = Some(at);
        let said = Said { refusal: kind == Kind::Refusal, ..Said::default() };
        let piece = serde_json::to_value(&said).unwrap_or_default();
        let Some(Item { body: Body::Message(pieces), .. }) = self.items.all.get_mut(at) else { return };
        pieces.push(said);
        let index = pieces.len() - 1;
        let slot = self.slot(part, kind, at, index);
        self.of_slot(&slot, "content_part.added", &json!({ "part": piece }), out);
        self.slots.push(slot);
    }

    fn slot(&self, part: u32, kind: Kind, at: usize, index: usize) -> Slot {
        let id = self.items.all.get(at).map_or("", |item| item.id.as_str());
        Slot::new(part, kind, at, index, id)
    }

    fn open(&mut self, part: u32, kind: Kind, at: usize, index: usize) {
        let slot = self.slot(part, kind, at, index);
        self.slots.push(slot);
    }

    /// A part that comes whole and is no encrypted thinking.
    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        let before = self.items.all.len();
        self.close_message(out);
        if is_piece(&part.content) {
            // A message of its own, so that none that was told grows unseen.
            self.items.add(Body::Message(Vec::new()), Map::new());
        }
        self.items.part(part);
        for at in before..self.items.all.len() {
            self.told(at, out);
        }
    }

    fn grow(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(at) = self.slots.iter().rposition(|slot| slot.part == part) else { return };
        let Some(slot) = self.slots.get_mut(at) else { return };
        match delta {
            Delta::Signature(signature) => self.sign(at, signature),
            _ if slot.kind == Kind::Told => {}
            Delta::Arguments(text) if matches!(slot.kind, Kind::Custom { .. }) => {
                let input = slot.unwrap.push(text);
                self.kept += input.len();
                self.number += write_text(slot, &input, self.number, &mut self.items, out);
            }
            Delta::Text(text) | Delta::Arguments(text) | Delta::Transcript(text) => {
                if !slot.grown {
                    slot.grown = true;
                    if slot.is_thought() {
                        let slot = self.slots.remove(at);
                        let part = json!({ "part": { "type": "summary_text", "text": "" } });
                        self.of_slot(&slot, "reasoning_summary_part.added", &part, out);
                        self.slots.insert(at, slot);
                    }
                }
                let Some(slot) = self.slots.get(at) else { return };
                self.kept += text.len();
                self.number += write_text(slot, text, self.number, &mut self.items, out);
            }
            Delta::Citation(citation) => {
                let slot = self.slots.remove(at);
                if let Some(said) = said(&mut self.items, &slot) {
                    let annotation = annotation(citation, &said.text);
                    let members = json!({ "annotation_index": said.annotations.len(), "annotation": annotation });
                    said.annotations.push(annotation);
                    self.of_slot(&slot, "output_text.annotation.added", &members, out);
                }
                self.slots.insert(at, slot);
            }
            // Sound has no place here; what is said in it is told.
            Delta::Audio(_) => {}
        }
    }

    /// Thinking has a field for it; of everything else it is carried by an item behind.
    fn sign(&mut self, at: usize, signature: &Signature) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        self.kept += signature.value.len();
        match slot.kind {
            Kind::Reasoning { redacted } => self.items.sign(slot.item, signature, redacted),
            _ => slot.signature = Some(signature.clone()),
        }
    }

    fn logprobs(&mut self, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        let Some(at) = self.slots.iter().rposition(|slot| slot.kind == Kind::Text) else {
            return self.items.put_logprobs(tokens);
        };
        let slot = self.slots.remove(at);
        if let Some(said) = said(&mut self.items, &slot) {
            said.logprobs.extend_from_slice(tokens);
            // The text that they are of was told in a frame of its own.
            let members = json!({ "delta": "", "logprobs": logprobs_out(tokens) });
            self.of_slot(&slot, "output_text.delta", &members, out);
        }
        self.slots.insert(at, slot);
    }

    fn end(&mut self, part: u32, out: &mut Vec<u8>) {
        if let Some(at) = self.slots.iter().rposition(|slot| slot.part == part) {
            let slot = self.slots.remove(at);
            self.close(slot, out);
        }
    }

    fn close(&mut self, mut slot: Slot, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut slot.unwrap).finish();
        self.number += write_text(&slot, &rest, self.number, &mut self.items, out);
        let text = told(&mut self.items, &slot).cloned().unwrap_or_default();
        match &slot.kind {
            Kind::Text | Kind::Refusal => {
                let Some(said) = said(&mut self.items, &slot) else { return };
                let piece = serde_json::to_value(&*said).unwrap_or_default();
                let (what, members) = match said.refusal {
                    true => ("refusal.done", json!({ "refusal": text })),
                    false => ("output_text.done", json!({ "text": text, "logprobs": said.logprobs() })),
                };
                self.of_slot(&slot, what, &members, out);
                self.of_slot(&slot, "content_part.done", &json!({ "part": piece }), out);
                if slot.ends_item {
                    self.item(slot.item, true, out);
                }
            }
            Kind::Reasoning { .. } => {
                if slot.grown {
                    self.of_slot(&slot, "reasoning_summary_text.done", &json!({ "text": text }), out);
                    let part = json!({ "part": { "type": "summary_text", "text": text } });
                    self.of_slot(&slot, "reasoning_summary_part.done", &part, out);
                }
                self.item(slot.item, true, out);
            }
            Kind::Call { .. } => {
                let mut arguments = text;
                if arguments.is_empty() {
                    // Clients parse the arguments, and nothing is no JSON.
                    arguments.push_str("{}");
                    self.number += write_text(&slot, &arguments, self.number, &mut self.items, out);
                }
                self.of_slot(&slot, "function_call_arguments.done", &json!({ "arguments": arguments }), out);
                self.item(slot.item, true, out);
            }
            Kind::Custom { .. } => {
                self.of_slot(&slot, "custom_tool_call_input.done", &json!({ "input": text }), out);
                self.item(slot.item, true, out);
            }
            Kind::Told => {}
        }
        if let Some(signature) = &slot.signature {
            let call = match &slot.kind {
                Kind::Call { id } | Kind::Custom { id } => Some(id.as_str()),
                _ => None,
            };
            self.close_message(out);
            let at = self.items.carry(call, signature);
            self.told(at, out);
        }
    }
}

/// A frame with more of a part's text, which is kept; how many frames that were.
fn write_text(slot: &Slot, text: &str, number: u64, items: &mut Items, out: &mut Vec<u8>) -> u64 {
    if text.is_empty() {
        return 0;
    }
    slot.write_delta(text, number, out);
    if let Some(told) = told(items, slot) {
        told.push_str(text);
    }
    1
}

/// The text of a part as it was told so far.
fn told<'i>(items: &'i mut Items, slot: &Slot) -> Option<&'i mut String> {
    match &mut items.all.get_mut(slot.item)?.body {
        Body::Message(pieces) => pieces.get_mut(slot.index).map(|said| &mut said.text),
        Body::Reasoning { text, .. } => Some(text),
        Body::Call { arguments: text, .. } | Body::Custom { input: text, .. } => Some(text),
        _ => None,
    }
}

/// The piece of a message that a part is.
fn said<'i>(items: &'i mut Items, slot: &Slot) -> Option<&'i mut Said> {
    match &mut items.all.get_mut(slot.item)?.body {
        Body::Message(pieces) => pieces.get_mut(slot.index),
        _ => None,
    }
}

/// Writing to memory does not fail.
fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(out, value);
}
