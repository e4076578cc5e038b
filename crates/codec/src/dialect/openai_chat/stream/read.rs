//! Frames to events.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use super::super::error::read_error_within;
use super::super::free_text::{BACK, FRONT, escape};
use super::super::inline::{Piece, ThinkTags, Told};
use super::super::response::{
    failed, flatten, made_up_id, read_answer, read_arguments, read_call_signature, read_citation, read_detail, read_extra,
    read_finish, read_image, read_logprobs, reasoning_text,
};
use super::super::wire::{Answer, Audio, Call, Choice, Content as Wire, Said, Scalar, list_of};
use super::quick::{Grows, Known, Quick};
use crate::catalog::{Chunks, Quirks};
use crate::dialect::ReadStream;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::ir::{Citation, Content, Delta, Event, Extra, Finish, Part, PartStart, Reason};

/// More choices or tool calls than this are an attack on our memory.
const MOST: usize = 1024;

/// Reads one stream.
pub(crate) struct Reader {
    /// The dialect that is read: plain completions come in frames of the same kind.
    name: &'static str,
    /// Whether the provider ends a stream with `[DONE]`.
    done: bool,
    think_tags: bool,
    chunks: Chunks,
    started: bool,
    ended: bool,
    choices: Vec<State>,
    cited: Vec<Citation>,
    known: Known,
}

/// What is going on in one choice.
#[derive(Default)]
struct State {
    index: u32,
    /// The part that grows, tool calls aside.
    open: Option<(u32, Kind)>,
    next: u32,
    calls: Vec<Slot>,
    refused: bool,
    finished: bool,
    think: Option<ThinkTags>,
    chunks: Chunks,
    told: [Told; 2],
}

/// Parts that grow one at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Refusal,
    Audio,
}

/// A tool call that grows. Several may at once.
struct Slot {
    index: Option<i64>,
    id: String,
    /// Its part, once its name is known.
    part: Option<u32>,
    /// Arguments that came before the name.
    early: String,
    is_custom: bool,
    told: Told,
}

impl Reader {
    pub(crate) fn new(name: &'static str, quirks: &Quirks) -> Self {
        Reader {
            name,
            done: quirks.done,
            think_tags: quirks.think_tags,
            chunks: quirks.chunks,
            started: false,
            ended: false,
            choices: Vec::new(),
            cited: Vec::new(),
            known: Known::default(),
        }
    }

    /// A stream whose end is the end of the input.
    pub(crate) fn without_done(self) -> Self {
        Reader { done: false, ..self }
    }

    fn start(&mut self, answer: &Answer<'_>, body: &[u8], out: &mut Vec<Event>) {
        self.started = true;
        out.push(Event::Start {
            id: answer.id.as_ref().and_then(Scalar::word).unwrap_or_default(),
            model: answer.model.as_ref().and_then(Scalar::word).unwrap_or_default(),
            created: answer.created.as_ref().and_then(Scalar::count).filter(|created| *created > 0),
            extra: Extra::new(self.name, read_extra(body)),
        });
    }

    fn choice(&mut self, index: u32) -> Result<&mut State> {
        let at = match self.choices.iter().position(|state| state.index == index) {
            Some(at) => at,
            None if self.choices.len() >= MOST => return Err(Error::malformed("the answer has too many choices")),
            None => {
                let (think, chunks) = (self.think_tags.then(ThinkTags::new), self.chunks);
                self.choices.push(State { index, think, chunks, ..State::default() });
                self.choices.len() - 1
            }
        };
        self.choices.get_mut(at).ok_or_else(|| Error::malformed("the answer has too many choices"))
    }

    /// All is said: closes what is still open.
    fn end(&mut self, out: &mut Vec<Event>) {
        if !self.started {
            self.start(&Answer::default(), b"{}", out);
        }
        for state in &mut self.choices {
            if !state.finished {
                state.finish(Finish::default(), &self.cited, out);
            }
        }
        self.ended = true;
        out.push(Event::End);
    }

    /// A frame that is like the one before but for its text, while what it adds to is still open.
    fn quick(&mut self, data: &[u8]) -> Option<Event> {
        let Quick { choice, part, grows, text } = self.known.read(data)?;
        let state = self.choices.iter().find(|state| state.index == choice && !state.finished)?;
        if state.chunks != Chunks::Delta || state.think.as_ref().is_some_and(|think| !think.is_past()) {
            return None;
        }
        let delta = match grows {
            Grows::Text => state.open.filter(|(open, _)| *open == part).map(|_| Delta::Text(text)),
            Grows::Arguments => {
                state.calls.iter().any(|call| call.part == Some(part) && !call.is_custom).then_some(Delta::Arguments(text))
            }
        };
        Some(Event::Delta { choice, part, delta: delta? })
    }

    /// What a frame says. `data` is the frame, of which the first one's other fields are kept.
    pub(crate) fn answer(&mut self, answer: Answer<'_>, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        // Some servers introduce the stream with a frame that has neither choices nor names.
        let is_preamble = answer.choices.as_ref().is_none_or(Vec::is_empty) && answer.usage.is_none();
        if !self.started && !is_preamble {
            self.start(&answer, data, out);
        }
        if self.cited.is_empty()
            && let Some(cited) = &answer.citations
        {
            let url = |url: &Scalar<'_>| Some(Citation { url: Some(url.text()?.to_owned()), from: NAME, ..Citation::default() });
            self.cited = cited.0.iter().take(MOST).filter_map(url).collect();
        }
        let mut usage = answer.usage.and_then(|tokens| tokens.usage());
        for (position, choice) in (0..).zip(answer.choices.unwrap_or_default()) {
            usage = usage.or_else(|| choice.usage.and_then(|tokens| tokens.usage()));
            let index = choice.index.as_ref().and_then(Scalar::count).and_then(|index| u32::try_from(index).ok());
            let cited = std::mem::take(&mut self.cited);
            let state = self.choice(index.unwrap_or(position))?;
            let read = if state.finished { Ok(()) } else { state.read(choice, &cited, out) };
            self.cited = cited;
            read?;
        }
        out.extend(usage.map(|usage| Event::Usage { usage }));
        Ok(())
    }
}

impl ReadStream for Reader {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim_ascii();
        if data.is_empty() || self.ended {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.end(out);
            return Ok(());
        }
        if frame.event == Some("error") {
            return Err(read_error_within(data));
        }
        if let Some(event) = self.quick(data) {
            out.push(event);
            return Ok(());
        }
        let before = out.len();
        self.answer(read_answer(data)?, data, out)?;
        self.known.keep(data, out.get(before..).unwrap_or_default());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let all_finished = !self.choices.is_empty() && self.choices.iter().all(|state| state.finished);
        if all_finished && !self.done {
            self.end(out);
            return Ok(());
        }
        Err(Error::truncated(if self.done && all_finished {
            "the stream ended without [DONE]"
        } else {
            "the stream broke off before the answer was complete"
        }))
    }
}

impl State {
    fn read(&mut self, choice: Choice<'_>, cited: &[Citation], out: &mut Vec<Event>) -> Result<()> {
        let finish = read_finish(&choice);
        let logprobs = choice.logprobs;
        // A whole message repeats what the deltas said, unless there are none.
        let said = choice.delta.or_else(|| choice.message.filter(|_| self.next == 0).map(|message| *message));
        if let Some(said) = said {
            self.said(said, out)?;
        }
        if let Some(text) = choice.text.as_ref().and_then(Scalar::text) {
            self.say(text.to_owned(), out);
        }
        if logprobs.is_some() {
            let tokens = read_logprobs(logprobs);
            if !tokens.is_empty() {
                out.push(Event::Logprobs { choice: self.index, tokens });
            }
        }
        let Some(finish) = finish else { return Ok(()) };
        if finish.reason == Reason::Failed && self.next == 0 {
            return Err(failed(&finish));
        }
        self.finish(finish, cited, out);
        Ok(())
    }

    fn said(&mut self, said: Said<'_>, out: &mut Vec<Event>) -> Result<()> {
        self.reasoning(&said, out);
        match said.content {
            Some(Wire::Text(text)) => self.say(text, out),
            Some(Wire::Parts(parts)) => parts.into_iter().for_each(|raw| self.part(raw, out)),
            None => {}
        }
        if let Some(Scalar::Text(text)) = said.refusal {
            self.refused |= !text.is_empty();
            self.grow(Kind::Refusal, text.into_owned(), out);
        }
        if let Some(audio) = said.audio {
            self.audio(&audio, out);
        }
        for citation in list_of::<Map<String, Value>>(said.annotations).iter().filter_map(read_citation) {
            let part = self.open(Kind::Text, out);
            out.push(Event::Delta { choice: self.index, part, delta: Delta::Citation(citation) });
        }
        for image in list_of(said.images).into_iter().filter_map(read_image) {
            self.whole(image, out);
        }
        for call in said.tool_calls.unwrap_or_default().0 {
            self.call(call, out)?;
        }
        if let Some(function) = said.function_call {
            let index = Some(Scalar::Number(0));
            self.call(Call { index, function: Some(function), ..Call::default() }, out)?;
        }
        Ok(())
    }

    fn reasoning(&mut self, said: &Said<'_>, out: &mut Vec<Event>) {
        let text = reasoning_text(said);
        if let Some(text) = text {
            self.think(text.to_owned(), out);
        }
        for detail in list_of::<&RawValue>(said.reasoning_details).into_iter().filter_map(read_detail) {
            let Part { content, signature, .. } = detail;
            match content {
                Content::Reasoning { text: more, redacted: false } => {
                    // The plain field says the same.
                    if text.is_none() {
                        self.think(more, out);
                    }
                    if let Some(signature) = signature {
                        let part = self.open(Kind::Reasoning, out);
                        out.push(Event::Delta { choice: self.index, part, delta: Delta::Signature(signature) });
                        // What comes after a signature is not what was signed.
                        self.close(out);
                    }
                }
                content => self.whole(Part { signature, ..content.into() }, out),
            }
        }
    }

    fn part(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        #[derive(serde::Deserialize)]
        struct Chunk<'a> {
            #[serde(default)]
            text: Option<String>,
            #[serde(borrow, default)]
            thinking: Option<Wire<'a>>,
        }
        match serde_json::from_str::<Chunk<'_>>(raw.get()) {
            Ok(Chunk { thinking: Some(thinking), .. }) => self.grow(Kind::Reasoning, flatten(thinking), out),
            Ok(Chunk { text: Some(text), .. }) => self.say(text, out),
            _ => {
                if let Some(part) = super::super::response::read_part(raw) {
                    self.whole(part, out);
                }
            }
        }
    }

    fn audio(&mut self, audio: &Audio<'_>, out: &mut Vec<Event>) {
        let text = |field: &Option<Scalar<'_>>| field.as_ref().and_then(Scalar::word).filter(|text| !text.is_empty());
        let (id, data, transcript) = (text(&audio.id), text(&audio.data), text(&audio.transcript));
        if self.open.is_none_or(|(_, kind)| kind != Kind::Audio) {
            // Its last piece may tell no more than until when it is kept; sound of other makers has no id.
            if id.is_none() && data.is_none() && transcript.is_none() {
                return;
            }
            self.close(out);
            let start = PartStart::Audio { id, media_type: String::new() };
            self.begin(start, Kind::Audio, out);
        }
        let Some((part, _)) = self.open else { return };
        let deltas = [data.map(Delta::Audio), transcript.map(Delta::Transcript)];
        for delta in deltas.into_iter().flatten() {
            out.push(Event::Delta { choice: self.index, part, delta });
        }
    }

    /// A piece of a tool call.
    fn call(&mut self, call: Call<'_>, out: &mut Vec<Event>) -> Result<()> {
        let index = call.index.as_ref().and_then(Scalar::number).filter(|index| *index >= 0);
        let id = call.id.as_ref().and_then(Scalar::word).unwrap_or_default();
        let (name, arguments) = match (&call.function, &call.custom) {
            (None, Some(custom)) => {
                let input = custom.input.as_ref().and_then(Scalar::text).unwrap_or_default();
                (custom.name.as_ref(), input.to_owned())
            }
            (function, _) => (
                function.as_ref().and_then(|function| function.name.as_ref()),
                function.as_ref().map(read_arguments).unwrap_or_default(),
            ),
        };
        let name = name.and_then(Scalar::text).unwrap_or_default();
        let at = match self.find_call(index, &id, name) {
            Some(at) => at,
            None if self.calls.len() >= MOST => return Err(Error::malformed("the answer has too many tool calls")),
            None => {
                let is_custom = call.function.is_none() && call.custom.is_some();
                // Free text becomes the one member of an object, as it does in whole answers.
                let early = if is_custom { FRONT.to_owned() } else { String::new() };
                let made_up = || made_up_id(self.index, u32::try_from(self.calls.len()).unwrap_or(u32::MAX));
                let id = if id.is_empty() { made_up() } else { id };
                self.calls.push(Slot { index, id, part: None, early, is_custom, told: Told::default() });
                self.calls.len() - 1
            }
        };
        let (choice, chunks) = (self.index, self.chunks);
        let Some(slot) = self.calls.get_mut(at) else { return Ok(()) };
        let arguments = slot.told.news(arguments, chunks);
        let arguments = if slot.is_custom { escape(&arguments) } else { arguments };
        match slot.part {
            Some(part) if !arguments.is_empty() => {
                out.push(Event::Delta { choice, part, delta: Delta::Arguments(arguments) });
            }
            Some(_) => {}
            None => {
                slot.early.push_str(&arguments);
                if !name.is_empty() {
                    self.begin_call(at, name.to_owned(), out);
                }
            }
        }
        let part = self.calls.get(at).and_then(|slot| slot.part);
        if let (Some(part), Some(signature)) = (part, call.extra_content.and_then(read_call_signature)) {
            out.push(Event::Delta { choice, part, delta: Delta::Signature(signature) });
        }
        Ok(())
    }

    /// The call that a piece belongs to; `None` when it begins a new one.
    fn find_call(&self, index: Option<i64>, id: &str, name: &str) -> Option<usize> {
        let same = |slot: &Slot| id.is_empty() || slot.id == id;
        match index {
            // A server that counts all its calls 0 still gives each an id of its own.
            Some(_) => self.calls.iter().rposition(|slot| slot.index == index && (same(slot) || name.is_empty())),
            None if !id.is_empty() => self.calls.iter().position(|slot| slot.id == id),
            None if !name.is_empty() => None,
            None => self.calls.len().checked_sub(1),
        }
    }

    fn begin_call(&mut self, at: usize, name: String, out: &mut Vec<Event>) {
        self.flush(out);
        self.close(out);
        let (choice, part) = (self.index, self.next);
        let Some(slot) = self.calls.get_mut(at) else { return };
        self.next += 1;
        slot.part = Some(part);
        let early = std::mem::take(&mut slot.early);
        out.push(Event::PartStart { choice, part, start: PartStart::ToolCall { id: slot.id.clone(), name } });
        if !early.is_empty() {
            out.push(Event::Delta { choice, part, delta: Delta::Arguments(early) });
        }
    }

    /// More of the text, in which thinking may stand.
    fn say(&mut self, text: String, out: &mut Vec<Event>) {
        let [told, _] = &mut self.told;
        let text = told.news(text, self.chunks);
        match &mut self.think {
            None => self.grow(Kind::Text, text, out),
            Some(think) => think.push(text).into_iter().for_each(|piece| self.tell(piece, out)),
        }
    }

    /// More thinking that is told as such.
    fn think(&mut self, text: String, out: &mut Vec<Event>) {
        let [_, told] = &mut self.told;
        let text = told.news(text, self.chunks);
        self.grow(Kind::Reasoning, text, out);
    }

    fn tell(&mut self, piece: Piece, out: &mut Vec<Event>) {
        match piece {
            Piece::Thought(text) => self.grow(Kind::Reasoning, text, out),
            Piece::Text(text) => self.grow(Kind::Text, text, out),
        }
    }

    /// What was held back because it could have been a tag.
    fn flush(&mut self, out: &mut Vec<Event>) {
        if let Some(piece) = self.think.as_mut().and_then(ThinkTags::flush) {
            self.tell(piece, out);
        }
    }

    fn grow(&mut self, kind: Kind, text: String, out: &mut Vec<Event>) {
        if !text.is_empty() {
            let part = self.open(kind, out);
            out.push(Event::Delta { choice: self.index, part, delta: Delta::Text(text) });
        }
    }

    /// The open part of this kind; closes another and begins one if need be.
    fn open(&mut self, kind: Kind, out: &mut Vec<Event>) -> u32 {
        match self.open {
            Some((part, open)) if open == kind => part,
            _ => {
                self.close(out);
                let start = match kind {
                    Kind::Text => PartStart::Text,
                    Kind::Reasoning => PartStart::Reasoning,
                    Kind::Refusal => PartStart::Refusal,
                    Kind::Audio => PartStart::Audio { id: None, media_type: String::new() },
                };
                self.begin(start, kind, out)
            }
        }
    }

    fn begin(&mut self, start: PartStart, kind: Kind, out: &mut Vec<Event>) -> u32 {
        let part = self.next;
        self.next += 1;
        self.open = Some((part, kind));
        out.push(Event::PartStart { choice: self.index, part, start });
        part
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((part, _)) = self.open.take() {
            out.push(Event::PartEnd { choice: self.index, part });
        }
    }

    fn whole(&mut self, content: Part, out: &mut Vec<Event>) {
        self.close(out);
        let (choice, part) = (self.index, self.next);
        self.next += 1;
        out.push(Event::PartStart { choice, part, start: PartStart::Whole { content: Box::new(content) } });
        out.push(Event::PartEnd { choice, part });
    }

    fn finish(&mut self, mut finish: Finish, cited: &[Citation], out: &mut Vec<Event>) {
        self.flush(out);
        if let (Some((part, Kind::Text)), false) = (self.open, cited.is_empty()) {
            let delta = |citation: &Citation| Event::Delta { choice: self.index, part, delta: Delta::Citation(citation.clone()) };
            out.extend(cited.iter().map(delta));
        }
        self.close(out);
        for at in 0..self.calls.len() {
            if self.calls.get(at).is_some_and(|slot| slot.part.is_none()) {
                self.begin_call(at, String::new(), out);
            }
        }
        let choice = self.index;
        for (part, is_custom) in self.calls.iter().filter_map(|slot| Some((slot.part?, slot.is_custom))) {
            if is_custom {
                out.push(Event::Delta { choice, part, delta: Delta::Arguments(BACK.to_owned()) });
            }
            out.push(Event::PartEnd { choice, part });
        }
        if finish.reason == Reason::Stop {
            if !self.calls.is_empty() {
                finish.reason = Reason::ToolCalls;
            } else if self.refused {
                finish.reason = Reason::Refusal;
            }
        }
        self.finished = true;
        out.push(Event::Finish { choice, finish });
    }
}
