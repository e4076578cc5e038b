//! A JSON array whose elements arrive one by one: `[{…}` now, `,{…}` later, `]` at the end.

use super::{End, Frame, ReadFrame, TooLong};

/// Reads the elements of a streamed JSON array, each as a frame.
///
/// Only the ends of elements are looked for; whether an element is good JSON is for its reader to say. Elements without
/// an array around them (a failure is often reported as a single object) are taken as well.
#[derive(Debug)]
pub struct ArrayReader {
    place: Place,
    /// The open array has been seen: `]` must come.
    opened: bool,
    /// Anything other than white space has been seen.
    started: bool,
    /// The front of an element that spans chunks.
    held: Vec<u8>,
    /// What `held` has was given out with the last frame.
    given: bool,
    limit: usize,
}

/// Where in the stream the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between elements.
    Between,
    /// In an object or array, so many of its own kind of brackets deep.
    Nested { close: u8, depth: usize },
    /// In a string of one, or in a string that is the element itself (no brackets to close).
    Text { close: u8, depth: usize, escaped: bool },
    /// In a number or a word.
    Bare,
    /// Behind the array.
    Closed,
}

impl ArrayReader {
    /// A reader at the start of a stream, which refuses an element of more than `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { place: Place::Between, opened: false, started: false, held: Vec::new(), given: false, limit }
    }

    /// Forgets the element that was given out last.
    fn clear(&mut self) {
        if self.given {
            self.held.clear();
            self.given = false;
        }
    }

    /// Goes to the first byte of the next element: how many bytes come before it.
    fn skip_between(&mut self, rest: &[u8]) -> usize {
        for (at, &byte) in rest.iter().enumerate() {
            self.place = match byte {
                _ if self.place == Place::Closed => return rest.len(),
                b' ' | b'\t' | b'\r' | b'\n' | b',' => continue,
                // A byte order mark, at the only place where it may be.
                0xEF | 0xBB | 0xBF if !self.started => continue,
                b'[' if !self.opened && !self.started => {
                    self.opened = true;
                    self.started = true;
                    continue;
                }
                b']' if self.opened => Place::Closed,
                b'{' => Place::Nested { close: b'}', depth: 0 },
                b'[' => Place::Nested { close: b']', depth: 0 },
                b'"' => Place::Text { close: 0, depth: 0, escaped: false },
                _ => Place::Bare,
            };
            self.started = true;
            if self.place != Place::Closed {
                return at;
            }
        }
        rest.len()
    }

    /// How many bytes of `rest` belong to the current element, and whether it ends with them.
    ///
    /// The first byte of a string or word is passed over: it decided the place, and could be taken for the end as well.
    fn advance(&mut self, rest: &[u8], first: bool) -> (usize, bool) {
        let mut at = usize::from(first && matches!(self.place, Place::Text { .. } | Place::Bare));
        while let Some(open) = rest.get(at..).filter(|open| !open.is_empty()) {
            match self.place {
                Place::Nested { close, depth } => {
                    let opening = if close == b'}' { b'{' } else { b'[' };
                    let Some(found) = memchr::memchr3(b'"', opening, close, open) else {
                        break;
                    };
                    at += found + 1;
                    self.place = match open.get(found) {
                        Some(b'"') => Place::Text { close, depth, escaped: false },
                        Some(&byte) if byte == opening => Place::Nested { close, depth: depth + 1 },
                        _ if depth <= 1 => Place::Between,
                        _ => Place::Nested { close, depth: depth - 1 },
                    };
                }
                Place::Text { close, depth, escaped: true } => {
                    at += 1;
                    self.place = Place::Text { close, depth, escaped: false };
                }
                Place::Text { close, depth, escaped: false } => {
                    let Some(found) = memchr::memchr2(b'"', b'\\', open) else {
                        break;
                    };
                    at += found + 1;
                    self.place = match open.get(found) {
                        Some(b'\\') => Place::Text { close, depth, escaped: true },
                        _ if depth == 0 => Place::Between,
                        _ => Place::Nested { close, depth },
                    };
                }
                Place::Bare => {
                    let end = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b']');
                    let Some(found) = open.iter().position(end) else {
                        break;
                    };
                    at += found;
                    self.place = Place::Between;
                }
                Place::Between | Place::Closed => return (at, true),
            }
            if self.place == Place::Between {
                return (at, true);
            }
        }
        (rest.len(), false)
    }
}

impl ReadFrame for ArrayReader {
    fn next<'a, 'c: 'a>(&'a mut self, rest: &mut &'c [u8]) -> Result<Option<Frame<'a>>, TooLong> {
        self.clear();
        let first = matches!(self.place, Place::Between | Place::Closed);
        if first {
            let skipped = self.skip_between(rest);
            *rest = rest.get(skipped..).unwrap_or_default();
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let (len, ends) = self.advance(rest, first);
        let (part, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        *rest = after;
        if self.held.len() + part.len() > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        let whole = ends && self.held.is_empty();
        if !whole {
            self.held.extend_from_slice(part);
        }
        if !ends {
            return Ok(None);
        }
        self.given = true;
        Ok(Some(Frame { event: None, data: if whole { part } else { &self.held } }))
    }

    fn finish(&mut self) -> End<'_> {
        self.clear();
        let place = self.place;
        let done = if self.opened { place == Place::Closed } else { place == Place::Between && self.started };
        let held = std::mem::take(&mut self.held);
        let bare = place == Place::Bare && !self.opened;
        *self = Self { held, given: true, ..Self::new(self.limit) };
        // A number or a word without an array around it ends only where the input does.
        let frame = bare.then_some(Frame { event: None, data: self.held.as_slice() });
        End { frame, cut: !done && !bare }
    }
}
