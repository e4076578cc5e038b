//! What a caller has been told of an answer that breaks off, so that somebody else's can go on where it stopped. Pure.

use std::collections::VecDeque;

use crate::ir::{Delta, Event, Format, Message, Part, PartStart, Request, Role, Usage};
use crate::monitor::guess;

/// What the one who goes on is told after the text so far. Few models take an answer that is begun for one to go on with;
/// all of them understand this.
const LINE: &str = "Your answer was cut off there. Continue exactly where it stopped: repeat nothing and add no remarks.";

/// A longer text is not gone on with.
const LONGEST: usize = 1024 * 1024;

/// Fewer characters in common are chance.
const OVERLAP: usize = 16;

/// No longer repetition is looked for.
const LOOK_BACK: usize = 2000;

/// Whether the answer to this request may be gone on with at all.
pub(super) fn is_plain(request: &Request) -> bool {
    request.format == Format::Text && request.n.unwrap_or(1) == 1 && request.speech.is_none()
}

/// One answer to the caller, made of one or several of providers.
#[derive(Debug, Default)]
pub(super) struct Story {
    started: bool,
    /// Nothing but this much text, and thinking that nobody has signed, has come.
    text: String,
    /// Something else has come, or the end.
    is_fixed: bool,
    /// The parts that were told.
    parts: Vec<Told>,
    /// What the present answer's parts are to the caller; `None`: not told.
    map: Vec<Option<usize>>,
    /// The answers before this one have used so much.
    before: Option<Usage>,
    /// The text part that the present answer goes on with, until it does.
    open: Option<usize>,
    /// Text of the present answer that may be a repetition.
    held: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    is_text: bool,
    is_open: bool,
}

impl Story {
    /// Whether somebody else may go on.
    pub(super) fn may_go_on(&self) -> bool {
        !self.is_fixed && self.text.len() <= LONGEST
    }

    /// What whoever goes on is asked.
    pub(super) fn request(&self, first: &Request) -> Request {
        let mut request = first.clone();
        if self.text.is_empty() {
            return request;
        }
        match request.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => last.parts.push(Part::text(&*self.text)),
            _ => request.messages.push(Message::text(Role::Assistant, &*self.text)),
        }
        request.messages.push(Message::text(Role::User, LINE));
        request.max_tokens = request.max_tokens.map(|most| most.saturating_sub(guess(self.text.len() as u64)).max(1));
        request
    }

    /// The present answer has broken off after it had used so much; another one follows.
    pub(super) fn turn(&mut self, used: Usage, out: &mut VecDeque<Event>) {
        self.before = Some(self.before.map_or(used, |before| before.plus(used)));
        self.map.clear();
        self.held = None;
        self.open = self.parts.iter().rposition(|part| part.is_text && part.is_open);
        for at in 0..self.parts.len() {
            if self.open != Some(at) {
                self.end(at, out);
            }
        }
        if !self.text.is_empty() {
            self.held = Some(String::new());
        }
    }

    /// The next event of the present answer.
    pub(super) fn take(&mut self, event: Event, out: &mut VecDeque<Event>) {
        let again = self.before.is_some();
        match event {
            Event::Start { .. } if self.started => {}
            Event::Start { .. } => {
                self.started = true;
                out.push_back(event);
            }
            Event::PartStart { choice: 0, part, start } => {
                let at = self.begin(start, out);
                let part = part as usize;
                if self.map.len() <= part {
                    self.map.resize(part + 1, None);
                }
                if let Some(place) = self.map.get_mut(part) {
                    *place = at;
                }
            }
            Event::Delta { choice: 0, part, delta } => {
                if let Some(at) = self.told(part) {
                    self.grow(at, delta, out);
                }
            }
            Event::PartEnd { choice: 0, part } => {
                if let Some(at) = self.told(part) {
                    self.flush(out);
                    self.end(at, out);
                }
            }
            Event::Finish { .. } => {
                self.is_fixed = true;
                self.flush(out);
                if let Some(at) = self.open.take() {
                    self.end(at, out);
                }
                out.push_back(event);
            }
            Event::Usage { usage } => {
                out.push_back(Event::Usage { usage: self.before.map_or(usage, |before| before.plus(usage)) });
            }
            Event::Foreign { .. } if again => {}
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartEnd { .. } => {
                self.is_fixed = true;
                out.push_back(event);
            }
            Event::Logprobs { .. } | Event::Foreign { .. } | Event::End => out.push_back(event),
        }
    }

    /// Tells what was held back.
    pub(super) fn flush(&mut self, out: &mut VecDeque<Event>) {
        let Some(held) = self.held.take() else { return };
        let (repeated, _) = overlap(&self.text, &held);
        let fresh = held.get(repeated..).unwrap_or_default();
        let last = self.parts.iter().rposition(|part| part.is_text && part.is_open);
        if let (Some(at), false) = (last, fresh.is_empty()) {
            self.text.push_str(fresh);
            out.push_back(Event::Delta { choice: 0, part: index(at), delta: Delta::Text(fresh.to_owned()) });
        }
    }

    fn told(&self, part: u32) -> Option<usize> {
        self.map.get(part as usize).copied().flatten()
    }

    /// A part begins; gives what it is to the caller.
    fn begin(&mut self, start: PartStart, out: &mut VecDeque<Event>) -> Option<usize> {
        let is_text = matches!(start, PartStart::Text);
        let is_thought = matches!(start, PartStart::Reasoning);
        // Who goes on with a text has thought about that, and not about the answer.
        if is_thought && self.before.is_some() && !self.text.is_empty() {
            return None;
        }
        self.is_fixed |= !is_text && !is_thought;
        if let Some(at) = self.open.take() {
            if is_text {
                return Some(at);
            }
            self.flush(out);
            self.end(at, out);
        }
        let at = self.parts.len();
        self.parts.push(Told { is_text, is_open: true });
        out.push_back(Event::PartStart { choice: 0, part: index(at), start });
        Some(at)
    }

    fn grow(&mut self, at: usize, delta: Delta, out: &mut VecDeque<Event>) {
        let is_text = self.parts.get(at).is_some_and(|part| part.is_text);
        match &delta {
            Delta::Text(more) if is_text => {
                if let Some(held) = &mut self.held {
                    held.push_str(more);
                    if !overlap(&self.text, held).1 {
                        self.flush(out);
                    }
                    return;
                }
                if self.text.len() <= LONGEST {
                    self.text.push_str(more);
                }
            }
            Delta::Text(_) | Delta::Citation(_) => {}
            Delta::Arguments(_) | Delta::Signature(_) | Delta::Audio(_) | Delta::Transcript(_) => self.is_fixed = true,
        }
        out.push_back(Event::Delta { choice: 0, part: index(at), delta });
    }

    fn end(&mut self, at: usize, out: &mut VecDeque<Event>) {
        if let Some(part) = self.parts.get_mut(at).filter(|part| part.is_open) {
            part.is_open = false;
            out.push_back(Event::PartEnd { choice: 0, part: index(at) });
        }
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// How many bytes at the beginning of `next` repeat the end of `text`, in [`OVERLAP`] characters or more; and whether more
/// of it may make that more.
fn overlap(text: &str, next: &str) -> (usize, bool) {
    let mut from = text.char_indices().rev().map(|(at, _)| at);
    let Some(nearest) = from.nth(OVERLAP - 1) else { return (0, false) };
    let ends = std::iter::once(nearest).chain(from.take(LOOK_BACK)).filter_map(|at| text.get(at..));
    let (mut longest, mut undecided) = (0, false);
    for end in ends {
        if next.starts_with(end) {
            longest = end.len();
        } else if end.starts_with(next) {
            undecided = true;
        }
    }
    (longest, undecided)
}

#[cfg(test)]
mod tests;
