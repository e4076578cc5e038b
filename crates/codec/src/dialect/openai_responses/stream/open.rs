//! The parts of an answer that are open while its stream is read.

use std::collections::HashSet;

use crate::dialect::openai_chat::free_text::{BACK, FRONT, escape};
use crate::error::{Error, Result};
use crate::ir::{Citation, Delta, Event, Part, PartStart, Signature};

/// More parts than this are an attack on our memory.
const MOST: usize = 16 * 1024;

/// Where something stands: the item's place and, within a message, the piece's.
pub(super) type Place = (u64, Option<u64>);

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Refusal,
    Reasoning,
    Call,
    /// A call whose free text becomes the one member of an object, as it does in whole answers.
    Custom,
}

/// A part that is open.
#[derive(Debug)]
struct Slot {
    place: Place,
    part: u32,
    kind: Kind,
    /// Whether anything was told of it.
    grown: bool,
    /// How many of its citations were told.
    cited: usize,
    /// Which list its thinking comes from (`true`: summaries), and which piece of that list was told last.
    from: Option<(bool, u64)>,
}

/// The parts of the one answer that this dialect has.
#[derive(Debug, Default)]
pub(super) struct Parts {
    slots: Vec<Slot>,
    /// All places that ever were open.
    begun: HashSet<Place>,
    next: u32,
    pub(super) called: bool,
    pub(super) refused: bool,
}

impl Parts {
    /// Whether anything came.
    pub(super) fn is_empty(&self) -> bool {
        self.begun.is_empty()
    }

    /// Whether there is or was a part at a place.
    pub(super) fn knows(&self, place: Place) -> bool {
        self.begun.contains(&place)
    }

    /// Takes a place; an error when there are too many.
    fn begin(&mut self, place: Place) -> Result<u32> {
        if self.begun.len() >= MOST {
            return Err(Error::malformed("the answer has too many parts"));
        }
        self.begun.insert(place);
        let part = self.next;
        self.next += 1;
        Ok(part)
    }

    /// Opens a part, unless one is open there.
    pub(super) fn open(&mut self, place: Place, kind: Kind, start: PartStart, out: &mut Vec<Event>) -> Result<()> {
        if self.slots.iter().any(|slot| slot.place == place) {
            return Ok(());
        }
        let part = self.begin(place)?;
        self.called |= matches!(kind, Kind::Call | Kind::Custom);
        self.refused |= kind == Kind::Refusal;
        self.slots.push(Slot { place, part, kind, grown: false, cited: 0, from: None });
        out.push(Event::PartStart { choice: 0, part, start });
        if kind == Kind::Custom {
            out.push(Event::Delta { choice: 0, part, delta: Delta::Arguments(FRONT.to_owned()) });
        }
        Ok(())
    }

    /// Tells a part that came whole.
    pub(super) fn whole(&mut self, place: Place, content: Part, out: &mut Vec<Event>) -> Result<()> {
        let part = self.begin(place)?;
        out.push(Event::PartStart { choice: 0, part, start: PartStart::Whole { content: Box::new(content) } });
        out.push(Event::PartEnd { choice: 0, part });
        Ok(())
    }

    fn slot(&mut self, place: Place) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.place == place)
    }

    /// Whether a part is open that grows by this kind of text.
    pub(super) fn takes(&self, part: u32, arguments: bool) -> bool {
        let fits = |slot: &Slot| match slot.kind {
            Kind::Call => arguments,
            Kind::Custom => false,
            _ => !arguments,
        };
        self.slots.iter().any(|slot| slot.part == part && fits(slot))
    }

    /// Adds to the part at a place.
    pub(super) fn grow(&mut self, place: Place, text: &str, out: &mut Vec<Event>) {
        let Some(slot) = self.slot(place).filter(|_| !text.is_empty()) else { return };
        slot.grown = true;
        let delta = match slot.kind {
            Kind::Call => Delta::Arguments(text.to_owned()),
            Kind::Custom => Delta::Arguments(escape(text)),
            _ => Delta::Text(text.to_owned()),
        };
        out.push(Event::Delta { choice: 0, part: slot.part, delta });
    }

    /// Adds to thinking; `index` is the piece of which list. One list is enough: the other says the same in other words.
    pub(super) fn think(&mut self, place: Place, summary: bool, index: u64, text: &str, out: &mut Vec<Event>) {
        let Some(slot) = self.slot(place).filter(|_| !text.is_empty()) else { return };
        match slot.from.replace((summary, index)) {
            Some(from @ (was_summary, _)) if was_summary != summary => {
                slot.from = Some(from);
                return;
            }
            Some((_, before)) if before != index => self.grow(place, "\n\n", out),
            _ => {}
        }
        self.grow(place, text, out);
    }

    /// The whole text of a part: told if none of it was.
    pub(super) fn settle(&mut self, place: Place, text: &str, out: &mut Vec<Event>) {
        if self.slot(place).is_some_and(|slot| !slot.grown) {
            self.grow(place, text, out);
        }
    }

    /// The whole text of a piece of thinking: told if none of that piece was.
    pub(super) fn settle_thought(&mut self, place: Place, summary: bool, index: u64, text: &str, out: &mut Vec<Event>) {
        if self.slot(place).is_some_and(|slot| slot.from != Some((summary, index))) {
            self.think(place, summary, index, text, out);
        }
    }

    /// One source more.
    pub(super) fn cite(&mut self, place: Place, citation: Citation, out: &mut Vec<Event>) {
        if let Some(slot) = self.slot(place) {
            slot.cited += 1;
            out.push(Event::Delta { choice: 0, part: slot.part, delta: Delta::Citation(citation) });
        }
    }

    /// All sources: those that were not told yet are.
    pub(super) fn settle_citations(&mut self, place: Place, all: Vec<Citation>, out: &mut Vec<Event>) {
        let told = self.slot(place).map_or(0, |slot| slot.cited);
        for citation in all.into_iter().skip(told) {
            self.cite(place, citation, out);
        }
    }

    pub(super) fn sign(&mut self, place: Place, signature: Signature, out: &mut Vec<Event>) {
        if let Some(slot) = self.slot(place) {
            out.push(Event::Delta { choice: 0, part: slot.part, delta: Delta::Signature(signature) });
        }
    }

    /// Closes the part at a place, if it is open.
    pub(super) fn close(&mut self, place: Place, out: &mut Vec<Event>) {
        if let Some(at) = self.slots.iter().position(|slot| slot.place == place) {
            end(&self.slots.remove(at), out);
        }
    }

    /// Closes all parts of an item, or (`None`) of the answer.
    pub(super) fn close_all(&mut self, item: Option<u64>, out: &mut Vec<Event>) {
        self.slots.retain(|slot| {
            let stays = item.is_some_and(|item| slot.place.0 != item);
            if !stays {
                end(slot, out);
            }
            stays
        });
    }
}

fn end(slot: &Slot, out: &mut Vec<Event>) {
    let part = slot.part;
    if slot.kind == Kind::Custom {
        out.push(Event::Delta { choice: 0, part, delta: Delta::Arguments(BACK.to_owned()) });
    }
    out.push(Event::PartEnd { choice: 0, part });
}
