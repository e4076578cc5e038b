//! Thinking that stands in the text, and texts that are told anew from their beginning with every chunk.

use crate::catalog::Chunks;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// More white space than this before the first word is not a prelude to thinking.
const PRELUDE: usize = 256;

/// Takes `<think>…</think>` out of the front of a text that comes in pieces. White space around the tags is dropped.
#[derive(Debug)]
pub(crate) struct ThinkTags {
    place: Place,
    /// What may yet turn out to be part of a tag.
    held: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing but white space has come.
    Front,
    /// Behind the opening tag, before the first word.
    Opened,
    Thinking,
    /// Behind the closing tag, before the first word.
    Closed,
    Text,
}

/// A piece of what a text with tags says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Of the thinking.
    Thought(String),
    /// Of the answer.
    Text(String),
}

impl ThinkTags {
    /// At the start of a text.
    pub(crate) fn new() -> Self {
        ThinkTags { place: Place::Front, held: String::new() }
    }

    /// Whether everything that is to come is text.
    pub(crate) fn is_past(&self) -> bool {
        self.place == Place::Text
    }

    /// Takes the next piece of the text.
    pub(crate) fn push(&mut self, text: String) -> Vec<Piece> {
        if self.place == Place::Text {
            return vec![Piece::Text(text)];
        }
        self.held.push_str(&text);
        let mut out = Vec::new();
        while self.step(&mut out) {}
        out
    }

    /// One step; false when it takes more text to go on.
    fn step(&mut self, out: &mut Vec<Piece>) -> bool {
        let trimmed = self.held.trim_start();
        match self.place {
            Place::Front => {
                if let Some(rest) = trimmed.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.place = Place::Opened;
                } else if OPEN.starts_with(trimmed) && self.held.len() < PRELUDE {
                    return false;
                } else {
                    self.place = Place::Text;
                    out.push(Piece::Text(std::mem::take(&mut self.held)));
                }
            }
            Place::Opened | Place::Closed => {
                self.held = trimmed.to_owned();
                if self.held.is_empty() {
                    return false;
                }
                if self.place == Place::Opened {
                    self.place = Place::Thinking;
                } else {
                    self.place = Place::Text;
                    out.push(Piece::Text(std::mem::take(&mut self.held)));
                }
            }
            Place::Thinking => {
                if let Some((thought, rest)) = self.held.split_once(CLOSE) {
                    let (thought, rest) = (thought.to_owned(), rest.to_owned());
                    out.push(Piece::Thought(thought));
                    self.held = rest;
                    self.place = Place::Closed;
                } else {
                    let begun = begun(&self.held, CLOSE);
                    let rest = self.held.split_off(self.held.len() - begun);
                    out.push(Piece::Thought(std::mem::replace(&mut self.held, rest)));
                    return false;
                }
            }
            Place::Text => return false,
        }
        true
    }

    /// No more text comes before the next part: what was held back.
    pub(crate) fn flush(&mut self) -> Option<Piece> {
        let held = std::mem::take(&mut self.held);
        match self.place {
            _ if held.is_empty() => None,
            Place::Thinking => Some(Piece::Thought(held)),
            Place::Front if held.trim().is_empty() => None,
            _ => Some(Piece::Text(held)),
        }
    }
}

/// How many bytes at the end of `text` begin `tag`.
fn begun(text: &str, tag: &str) -> usize {
    (1..tag.len()).rev().find(|length| tag.get(..*length).is_some_and(|front| text.ends_with(front))).unwrap_or(0)
}

/// What was told of a text so far: its length and its end, which is enough to know it again, however long it is.
#[derive(Debug, Default)]
pub(crate) struct Told {
    length: usize,
    end: String,
    /// `Some(true)`: every chunk tells all of it so far.
    whole: Option<bool>,
}

/// How much of the end is kept.
const END: usize = 32;

impl Told {
    /// What of `text` is new.
    pub(crate) fn news(&mut self, text: String, chunks: Chunks) -> String {
        if chunks == Chunks::Delta || self.whole == Some(false) || text.is_empty() {
            return text;
        }
        let again = text.get(..self.length).is_some_and(|told| told.ends_with(&self.end));
        if chunks == Chunks::Either && self.length > 0 && self.whole.is_none() {
            self.whole = Some(again && text.len() > self.length);
        }
        if self.whole == Some(false) {
            return text;
        }
        let news = if again { text.get(self.length..).unwrap_or_default().to_owned() } else { text };
        self.length += news.len();
        self.end.push_str(&news);
        let mut cut = self.end.len().saturating_sub(END);
        while !self.end.is_char_boundary(cut) {
            cut += 1;
        }
        self.end.drain(..cut);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&str]) -> (String, String) {
        let mut tags = ThinkTags::new();
        let mut all: Vec<Piece> = pieces.iter().flat_map(|piece| tags.push((*piece).to_owned())).collect();
        all.extend(tags.flush());
        let (mut thought, mut text) = (String::new(), String::new());
        for piece in all {
            match piece {
                Piece::Thought(more) => thought.push_str(&more),
                Piece::Text(more) => text.push_str(&more),
            }
        }
        (thought, text)
    }

    #[test]
    fn tags_are_taken_out_wherever_the_cuts_fall() {
        for (whole, thought, text) in [
            ("\n<think>\nBonn?\n</think>\n\nIt rains.", "Bonn?\n", "It rains."),
            ("<think>a < b </thin> c</think>d <think>e</think>", "a < b </thin> c", "d <think>e</think>"),
            ("<think>\n\n</think>\n\nhi", "", "hi"),
            ("<thinking>no</thinking>", "", "<thinking>no</thinking>"),
            (" no <think>tags</think>", "", " no <think>tags</think>"),
            ("<think>it broke off </thi", "it broke off </thi", ""),
            ("<thi", "", "<thi"),
            ("é<think>", "", "é<think>"),
        ] {
            let expected = (thought.to_owned(), text.to_owned());
            assert_eq!(split(&[whole]), expected, "{whole}");
            for at in (1..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
                assert_eq!(split(&[&whole[..at], &whole[at..]]), expected, "{whole} at {at}");
            }
            let single: Vec<String> = whole.chars().map(String::from).collect();
            assert_eq!(split(&single.iter().map(String::as_str).collect::<Vec<_>>()), expected, "{whole}");
        }
    }

    fn heard(chunks: Chunks, texts: &[&str]) -> Vec<String> {
        let mut told = Told::default();
        texts.iter().map(|text| told.news((*text).to_owned(), chunks)).collect()
    }

    #[test]
    fn a_text_that_is_told_anew_is_heard_once() {
        let long = "long, long, much longer than what is kept of it, é";
        let longer = format!("{long} and on");
        assert_eq!(heard(Chunks::Whole, &["ha", "haha", "haha", "", &"ha".repeat(3)]), ["ha", "ha", "", "", "ha"]);
        assert_eq!(heard(Chunks::Whole, &[long, &longer]), [long, " and on"]);
        assert_eq!(heard(Chunks::Whole, &["He", "llo"]), ["He", "llo"], "a provider may mend its ways");
        assert_eq!(heard(Chunks::Either, &["ha", "ha", "haha"]), ["ha", "ha", "haha"]);
        assert_eq!(heard(Chunks::Either, &["He", "Hello", "Hello"]), ["He", "llo", ""]);
        assert_eq!(heard(Chunks::Delta, &["He", "Hello"]), ["He", "Hello"]);
    }
}
