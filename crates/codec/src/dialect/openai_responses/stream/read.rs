//! Frames to events.

use serde_json::value::RawValue;

use super::super::NAME;
use super::super::response::{
    PieceKind, foreign, kind_of, pieces_of, read_annotations, read_answer, read_call, read_extra, read_finish, read_reasoning,
    read_whole, settle_finish,
};
use super::super::wire::{Answer, Item, Piece, Step, text, word};
use super::open::{Kind, Parts, Place};
use super::quick::Known;
use crate::dialect::ReadStream;
use crate::dialect::openai_chat::error::read_error_within;
use crate::dialect::openai_chat::response::{read_arguments, read_tokens};
use crate::dialect::openai_chat::wire::{Count, Function, Scalar};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::ir::{Content, Delta, Event, Extra, Part, PartStart, Raw, Reason};

/// Reads one stream.
#[derive(Default)]
pub(crate) struct Reader {
    started: bool,
    ended: bool,
    parts: Parts,
    known: Known,
}

impl ReadStream for Reader {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim_ascii();
        // Some servers end a stream as in chat, after its own end.
        if data.is_empty() || self.ended || data == b"[DONE]" {
            return Ok(());
        }
        if let Some(quick) = self.known.read(data)
            && self.parts.takes(quick.part, quick.arguments)
        {
            let delta = if quick.arguments { Delta::Arguments(quick.text) } else { Delta::Text(quick.text) };
            out.push(Event::Delta { choice: 0, part: quick.part, delta });
            return Ok(());
        }
        let step: Step<'_> = serde_json::from_slice(data)
            .map_err(|error| Error::malformed(format!("a frame of the stream cannot be read: {error}")).with_raw(data))?;
        let name = step.r#type.as_ref().and_then(Scalar::text).or(frame.event).unwrap_or_default().to_owned();
        let before = out.len();
        self.step(&name, step, data, out)?;
        self.known.keep(data, out.get(before..).unwrap_or_default());
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        match self.ended {
            true => Ok(()),
            false => Err(Error::truncated("the stream broke off before the answer was complete")),
        }
    }
}

fn at(index: Option<Count>) -> u64 {
    index.and_then(|index| index.0).unwrap_or(0)
}

impl Reader {
    fn start(&mut self, answer: &Answer<'_>, body: &str, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            out.push(Event::Start {
                id: word(&answer.id).unwrap_or_default(),
                model: word(&answer.model).unwrap_or_default(),
                created: answer.created_at.as_ref().and_then(Scalar::count),
                extra: Extra::new(NAME, read_extra(body.as_bytes())),
            });
        }
    }

    fn step(&mut self, name: &str, step: Step<'_>, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        match name {
            "error" => return Err(read_error_within(data)),
            "" if step.error.is_some() => return Err(read_error_within(data)),
            "response.created" | "response.queued" | "response.in_progress" => {
                let raw = step.response.map_or("{}", RawValue::get);
                let answer = read_answer(raw.as_bytes())?;
                self.start(&answer, raw, out);
                return Ok(());
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                return self.end(name, step.response, out);
            }
            _ => self.start(&Answer::default(), "{}", out),
        }
        let item: u64 = at(step.output_index);
        let piece: Place = (item, Some(at(step.content_index)));
        match name {
            "response.output_item.added" => self.item_begun(item, step.item, out),
            "response.output_item.done" => self.item_done(item, step.item, out),
            "response.content_part.added" => self.piece_begun(piece, step.part, out),
            "response.content_part.done" => self.piece_done(piece, step.part, out),
            "response.output_text.delta" => {
                self.open(piece, Kind::Text, out)?;
                self.parts.grow(piece, text(&step.delta), out);
                let tokens = read_tokens(step.logprobs);
                if !tokens.is_empty() {
                    out.push(Event::Logprobs { choice: 0, tokens });
                }
                Ok(())
            }
            "response.refusal.delta" => {
                self.open(piece, Kind::Refusal, out)?;
                self.parts.grow(piece, text(&step.delta), out);
                Ok(())
            }
            "response.output_text.done" | "response.refusal.done" => {
                let whole = if step.refusal.is_some() { &step.refusal } else { &step.text };
                self.parts.settle(piece, text(whole), out);
                Ok(())
            }
            "response.output_text.annotation.added" => {
                for citation in read_annotations(step.annotation) {
                    self.parts.cite(piece, citation, out);
                }
                Ok(())
            }
            _ => self.thought_or_call(name, item, &step, data, out),
        }
    }

    fn thought_or_call(&mut self, name: &str, item: u64, step: &Step<'_>, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let place: Place = (item, None);
        let (summary, own) = (at(step.summary_index), at(step.content_index));
        match name {
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.open(place, Kind::Reasoning, out)?;
                let is_summary = name == "response.reasoning_summary_text.delta";
                self.parts.think(place, is_summary, if is_summary { summary } else { own }, text(&step.delta), out);
            }
            "response.reasoning_summary_text.done" => {
                self.parts.settle_thought(place, true, summary, text(&step.text), out);
            }
            "response.reasoning_text.done" => self.parts.settle_thought(place, false, own, text(&step.text), out),
            "response.reasoning_summary_part.added" | "response.reasoning_summary_part.done" => {}
            // A delta of a call that did not begin cannot be told: its name comes with the item's end.
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.parts.grow(place, text(&step.delta), out);
            }
            "response.function_call_arguments.done" => {
                let function = Function { name: None, arguments: step.arguments };
                self.parts.settle(place, &read_arguments(&function), out);
            }
            "response.custom_tool_call_input.done" => self.parts.settle(place, text(&step.input), out),
            _ => {
                let data = std::str::from_utf8(data).ok().and_then(Raw::parse);
                out.extend(data.map(|data| Event::Foreign { from: NAME, name: Some(name.to_owned()), data }));
            }
        }
        Ok(())
    }

    fn open(&mut self, place: Place, kind: Kind, out: &mut Vec<Event>) -> Result<()> {
        let start = match kind {
            Kind::Refusal => PartStart::Refusal,
            Kind::Reasoning => PartStart::Reasoning,
            _ => PartStart::Text,
        };
        self.parts.open(place, kind, start, out)
    }

    fn item_begun(&mut self, index: u64, raw: Option<&RawValue>, out: &mut Vec<Event>) -> Result<()> {
        let Some(item) = raw.and_then(|raw| serde_json::from_str::<Item<'_>>(raw.get()).ok()) else { return Ok(()) };
        match text(&item.r#type) {
            "reasoning" => self.open((index, None), Kind::Reasoning, out),
            "function_call" | "custom_tool_call" => self.call(index, &item, out),
            // Messages begin with their first piece; items of other kinds are told when they are whole.
            _ => Ok(()),
        }
    }

    /// Begins a call, with as much of its arguments as has come.
    fn call(&mut self, index: u64, item: &Item<'_>, out: &mut Vec<Event>) -> Result<()> {
        let is_custom = text(&item.r#type) == "custom_tool_call";
        let kind = if is_custom { Kind::Custom } else { Kind::Call };
        let call = read_call(item, usize::try_from(index).unwrap_or(usize::MAX));
        if let Content::ToolCall { id, name, arguments } = call.content {
            let place = (index, None);
            self.parts.open(place, kind, PartStart::ToolCall { id, name }, out)?;
            self.parts.settle(place, if is_custom { text(&item.input) } else { &arguments }, out);
        }
        Ok(())
    }

    fn item_done(&mut self, index: u64, raw: Option<&RawValue>, out: &mut Vec<Event>) -> Result<()> {
        let place = (index, None);
        let Some(raw) = raw else { return Ok(()) };
        let item: Item<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        match text(&item.r#type) {
            "message" => {
                for (at, raw, piece) in pieces_of(&item) {
                    self.piece_whole((index, Some(at)), raw, &piece, out)?;
                }
            }
            "reasoning" => {
                if !self.parts.knows(place) {
                    self.open(place, Kind::Reasoning, out)?;
                }
                let (signature, content, _) = read_reasoning(&item);
                if let Content::Reasoning { text, .. } = content {
                    self.parts.settle(place, &text, out);
                }
                if let Some(signature) = signature {
                    self.parts.sign(place, signature, out);
                }
            }
            "function_call" | "custom_tool_call" => {
                if !self.parts.knows(place) {
                    self.call(index, &item, out)?;
                }
                let function = Function { name: None, arguments: item.arguments };
                let is_custom = text(&item.r#type) == "custom_tool_call";
                let whole = if is_custom { text(&item.input).to_owned() } else { read_arguments(&function) };
                self.parts.settle(place, &whole, out);
            }
            _ if !self.parts.knows(place) => self.parts.whole(place, read_whole(raw), out)?,
            _ => {}
        }
        self.parts.close_all(Some(index), out);
        Ok(())
    }

    fn piece_begun(&mut self, place: Place, raw: Option<&RawValue>, out: &mut Vec<Event>) -> Result<()> {
        let Some(piece) = raw.and_then(|raw| serde_json::from_str::<Piece<'_>>(raw.get()).ok()) else { return Ok(()) };
        match kind_of(&piece) {
            Some(PieceKind::Text) => {
                self.open(place, Kind::Text, out)?;
                self.parts.settle(place, text(&piece.text), out);
            }
            Some(PieceKind::Refusal) => {
                self.open(place, Kind::Refusal, out)?;
                self.parts.settle(place, text(&piece.refusal), out);
            }
            None => {}
        }
        Ok(())
    }

    fn piece_done(&mut self, place: Place, raw: Option<&RawValue>, out: &mut Vec<Event>) -> Result<()> {
        let Some(raw) = raw else { return Ok(()) };
        let piece: Piece<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        // Thinking has pieces, too, and is told by other frames.
        match text(&piece.r#type) {
            "reasoning_text" | "summary_text" => Ok(()),
            _ => self.piece_whole(place, raw, &piece, out),
        }
    }

    /// A piece that is whole: tells what was not told of it.
    fn piece_whole(&mut self, place: Place, raw: &RawValue, piece: &Piece<'_>, out: &mut Vec<Event>) -> Result<()> {
        let is_refusal = match kind_of(piece) {
            Some(kind) => kind == PieceKind::Refusal,
            None if self.parts.knows(place) => return Ok(()),
            None => return self.parts.whole(place, foreign(raw), out),
        };
        if !self.parts.knows(place) {
            self.open(place, if is_refusal { Kind::Refusal } else { Kind::Text }, out)?;
            let tokens = read_tokens(piece.logprobs);
            if !tokens.is_empty() {
                out.push(Event::Logprobs { choice: 0, tokens });
            }
        }
        self.parts.settle(place, text(if is_refusal { &piece.refusal } else { &piece.text }), out);
        if !is_refusal {
            self.parts.settle_citations(place, read_annotations(piece.annotations), out);
        }
        self.parts.close(place, out);
        Ok(())
    }

    /// The last frame: it has all that was told before, and how it ended.
    fn end(&mut self, name: &str, raw: Option<&RawValue>, out: &mut Vec<Event>) -> Result<()> {
        let raw = raw.map_or("{}", RawValue::get);
        let answer = read_answer(raw.as_bytes())?;
        if name == "response.failed" || name == "response.cancelled" {
            return Err(read_error_within(raw.as_bytes()));
        }
        self.start(&answer, raw, out);
        if self.parts.is_empty() {
            for (index, item) in (0..).zip(answer.output.iter().flatten()) {
                self.item_done(index, Some(item), out)?;
            }
        }
        self.parts.close_all(None, out);
        out.extend(answer.usage.and_then(|tokens| tokens.usage()).map(|usage| Event::Usage { usage }));
        let mut finish = read_finish(&answer);
        let told = [self.parts.refused.then(refusal), self.parts.called.then(call)];
        settle_finish(&mut finish, told.iter().flatten().map(|part| &part.content));
        if name == "response.incomplete" && finish.reason == Reason::Stop {
            finish.reason = Reason::Failed;
        }
        out.push(Event::Finish { choice: 0, finish });
        out.push(Event::End);
        self.ended = true;
        Ok(())
    }
}

fn refusal() -> Part {
    Content::Refusal { text: String::new() }.into()
}

fn call() -> Part {
    Content::ToolCall { id: String::new(), name: String::new(), arguments: String::new() }.into()
}
