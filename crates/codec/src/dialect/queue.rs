//! Parts one after the other. Canonical events may interleave them (parallel tool calls of some dialects), which not
//! every wire can: there, parts that begin before the one in front of them ends are held until it does.

use std::collections::VecDeque;

use crate::error::{Error, Kind, Origin};
use crate::ir::{Content, Delta, PartStart, Source};

/// Parts that wait are held up to this many bytes, all together.
const MOST_HELD: usize = 8 * 1024 * 1024;

/// What happens next to the part in front.
pub(crate) enum Step<'a> {
    /// It begins; the one before it has ended.
    Open(&'a PartStart),
    /// It grows.
    Grow(&'a Delta),
    /// It ends.
    Close,
}

/// Puts the parts of one answer in a row.
#[derive(Default)]
pub(crate) struct Queue {
    /// The part in front.
    open: Option<u32>,
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

impl Queue {
    /// A part begins.
    pub(crate) fn open(&mut self, part: u32, start: &PartStart, tell: &mut impl FnMut(Step<'_>)) {
        if self.open.is_none() {
            self.open = Some(part);
            tell(Step::Open(start));
        } else {
            self.held += weigh_start(start);
            self.waiting.push_back(Waiting { part, start: start.clone(), deltas: Vec::new(), ended: false });
        }
    }

    /// A part grows.
    pub(crate) fn grow(&mut self, part: u32, delta: &Delta, tell: &mut impl FnMut(Step<'_>)) {
        if self.open == Some(part) {
            tell(Step::Grow(delta));
        } else if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.part == part) {
            self.held += weigh(delta);
            waiting.deltas.push(delta.clone());
        }
    }

    /// A part ends.
    pub(crate) fn close(&mut self, part: u32, tell: &mut impl FnMut(Step<'_>)) {
        if self.open == Some(part) {
            tell(Step::Close);
            self.next(tell);
        } else if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.part == part) {
            waiting.ended = true;
        }
    }

    /// The answer is over: ends every part.
    pub(crate) fn finish(&mut self, tell: &mut impl FnMut(Step<'_>)) {
        while self.open.is_some() {
            tell(Step::Close);
            self.next(tell);
        }
    }

    /// The stream is to fail: no text stays untold because a part in front of it never ended.
    pub(crate) fn tell_held(&mut self, tell: &mut impl FnMut(Step<'_>)) {
        let is_text = |delta: &Delta| matches!(delta, Delta::Text(_) | Delta::Transcript(_));
        while self.open.is_some() && self.waiting.iter().any(|waiting| waiting.deltas.iter().any(is_text)) {
            tell(Step::Close);
            self.next(tell);
        }
    }

    /// An error once too much is held.
    pub(crate) fn check(&self) -> Option<Error> {
        let message = "the answer's parts interleave too far to be written one after the other";
        (self.held > MOST_HELD).then(|| Error::new(Kind::Internal, Origin::Gateway, message))
    }

    /// Tells what waited, up to and with the first part that has not ended yet.
    fn next(&mut self, tell: &mut impl FnMut(Step<'_>)) {
        self.open = None;
        while let Some(waiting) = self.waiting.pop_front() {
            let weight = weigh_start(&waiting.start) + waiting.deltas.iter().map(weigh).sum::<usize>();
            self.held = self.held.saturating_sub(weight);
            tell(Step::Open(&waiting.start));
            waiting.deltas.iter().for_each(|delta| tell(Step::Grow(delta)));
            if !waiting.ended {
                self.open = Some(waiting.part);
                return;
            }
            tell(Step::Close);
        }
    }
}

/// About how many bytes a part's start takes while it is held.
fn weigh_start(start: &PartStart) -> usize {
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
fn weigh(delta: &Delta) -> usize {
    let text = match delta {
        Delta::Text(text) | Delta::Arguments(text) | Delta::Audio(text) | Delta::Transcript(text) => text.len(),
        Delta::Signature(signature) => signature.value.len(),
        Delta::Citation(citation) => citation.raw.as_ref().map_or(256, |raw| raw.get().len()),
    };
    size_of::<Delta>() + text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a queue with `(part, what)`, of which `(` opens, `)` closes and a letter grows, and writes what it tells.
    fn told(events: &[(u32, char)]) -> String {
        let (mut queue, mut out) = (Queue::default(), String::new());
        let mut tell = |step: Step<'_>| match step {
            Step::Open(_) => out.push('('),
            Step::Grow(Delta::Text(text)) => out.push_str(text),
            Step::Grow(_) => {}
            Step::Close => out.push(')'),
        };
        for (part, what) in events {
            match what {
                '(' => queue.open(*part, &PartStart::Text, &mut tell),
                ')' => queue.close(*part, &mut tell),
                letter => queue.grow(*part, &Delta::Text(letter.to_string()), &mut tell),
            }
        }
        queue.finish(&mut tell);
        assert_eq!((queue.held, queue.waiting.len(), queue.open), (0, 0, None));
        out
    }

    #[test]
    fn parts_come_one_after_the_other() {
        assert_eq!(told(&[(0, '('), (0, 'a'), (0, ')'), (1, '('), (1, 'b'), (1, ')')]), "(a)(b)");
        assert_eq!(told(&[(0, '('), (1, '('), (1, 'b'), (0, 'a'), (1, ')'), (0, 'c'), (0, ')')]), "(ac)(b)");
        assert_eq!(told(&[(0, '('), (1, '('), (2, '('), (1, 'b'), (0, ')'), (2, 'c'), (1, 'd')]), "()(bd)(c)");
        assert_eq!(told(&[(0, '('), (1, '('), (1, ')'), (2, '('), (2, 'c'), (0, ')'), (2, 'd'), (2, ')')]), "()()(cd)");
    }

    #[test]
    fn a_break_tells_the_text_that_waited() {
        let (mut queue, mut out) = (Queue::default(), String::new());
        let mut tell = |step: Step<'_>| match step {
            Step::Open(_) => out.push('('),
            Step::Grow(Delta::Text(text) | Delta::Arguments(text)) => out.push_str(text),
            Step::Grow(_) => {}
            Step::Close => out.push(')'),
        };
        (0..4).for_each(|part| queue.open(part, &PartStart::Text, &mut tell));
        queue.grow(2, &Delta::Text("c".to_owned()), &mut tell);
        queue.grow(3, &Delta::Arguments("d".to_owned()), &mut tell);
        queue.tell_held(&mut tell);
        queue.tell_held(&mut tell);
        assert_eq!(out, "()()(c");
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut queue = Queue::default();
        let mut tell = |_: Step<'_>| {};
        queue.open(0, &PartStart::Text, &mut tell);
        queue.open(1, &PartStart::Text, &mut tell);
        let long = Delta::Text("x".repeat(MOST_HELD / 2));
        queue.grow(1, &long, &mut tell);
        assert!(queue.check().is_none());
        queue.grow(1, &long, &mut tell);
        assert!(queue.check().is_some());
    }
}
