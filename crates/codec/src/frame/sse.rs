//! The [event stream format](https://html.spec.whatwg.org/multipage/server-sent-events.html), as servers really send it.

use std::ops::Range;

use super::split::SseSplitter;
use super::{End, Frame, ReadFrame, TooLong};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads an event stream.
///
/// Takes any line end, a byte order mark at the start, `data:` with or without a blank, several data lines (joined by
/// LF), separator lines with blanks in them. Comments are skipped and counted; `id`, `retry` and unknown fields are
/// skipped. A block without data gives no frame, except that one which is a bare JSON object is taken for the data: that
/// is how some servers report a failure amid a stream.
#[derive(Debug)]
pub struct SseReader {
    splitter: SseSplitter,
    /// The bytes of a block that spans chunks.
    held: Vec<u8>,
    /// What `held` has was given out with the last frame.
    given: bool,
    /// The data of a frame that came in several lines.
    joined: Vec<u8>,
    started: bool,
    comments: u64,
    limit: usize,
}

impl SseReader {
    /// A reader at the start of a stream, which refuses a block (an event with its field names and comments) of more
    /// than `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            splitter: SseSplitter::new(),
            held: Vec::new(),
            given: false,
            joined: Vec::new(),
            started: false,
            comments: 0,
            limit,
        }
    }

    /// How many comment lines have been skipped. Servers send them to say that they are still at work.
    #[must_use]
    pub const fn comments(&self) -> u64 {
        self.comments
    }

    /// Forgets the block that was given out last.
    fn clear(&mut self) {
        if self.given {
            self.held.clear();
            self.given = false;
        }
    }

    /// How long the byte order mark at the front of this block is; the stream has started after that.
    fn start(&mut self, block: &[u8]) -> usize {
        let first = !std::mem::replace(&mut self.started, true);
        if first && block.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
    }
}

impl ReadFrame for SseReader {
    fn next<'a, 'c: 'a>(&'a mut self, rest: &mut &'c [u8]) -> Result<Option<Frame<'a>>, TooLong> {
        self.clear();
        // Offsets until the loop is left: a frame that borrows from `held` would hold on to it in every round.
        let (block, fields) = loop {
            let (len, ends) = self.splitter.advance(rest);
            let Some((part, after)) = rest.split_at_checked(len).filter(|_| len > 0) else {
                return Ok(None);
            };
            *rest = after;
            if self.held.len() + part.len() > self.limit {
                return Err(TooLong { limit: self.limit });
            }
            let whole = self.held.is_empty() && ends;
            if !whole {
                self.held.extend_from_slice(part);
            }
            if !ends {
                return Ok(None);
            }
            let held = std::mem::take(&mut self.held);
            let block = if whole { part } else { &held };
            let mark = self.start(block);
            let fields = read_fields(block, mark, &mut self.joined);
            self.held = held;
            self.given = true;
            self.comments += fields.comments;
            if fields.has_data() {
                break (whole.then_some(part), fields);
            }
            self.clear();
        };
        Ok(fields.frame(block.unwrap_or(&self.held), &self.joined))
    }

    fn finish(&mut self) -> End<'_> {
        self.clear();
        let held = std::mem::take(&mut self.held);
        let mark = self.start(&held);
        let fields = read_fields(&held, mark, &mut self.joined);
        let comments = self.comments + fields.comments;
        let joined = std::mem::take(&mut self.joined);
        *self = Self { held, joined, given: true, comments, ..Self::new(self.limit) };
        let cut = self.held.get(mark..).and_then(<[u8]>::last).is_some_and(|byte| !matches!(byte, b'\n' | b'\r'));
        End { frame: fields.frame(&self.held, &self.joined), cut }
    }
}

/// The frame in one raw block, as [`SseSplitter`] finds them; nothing if it has no data.
///
/// `joined` is scratch space, used only where the data came in several lines.
#[must_use]
pub fn read_block<'a>(block: &'a [u8], joined: &'a mut Vec<u8>) -> Option<Frame<'a>> {
    read_fields(block, 0, joined).frame(block, joined)
}

/// What the lines of a block say, as offsets into it.
#[derive(Default)]
struct Fields {
    event: Option<Range<usize>>,
    data: Option<Range<usize>>,
    /// There was more than one data line: the data is in the scratch space.
    joined: bool,
    comments: u64,
}

impl Fields {
    const fn has_data(&self) -> bool {
        self.data.is_some()
    }

    fn frame<'a>(&self, block: &'a [u8], joined: &'a [u8]) -> Option<Frame<'a>> {
        let data = self.data.clone().and_then(|span| block.get(span))?;
        let event = self.event.clone().and_then(|span| block.get(span)).filter(|name| !name.is_empty());
        Some(Frame {
            event: event.and_then(|name| std::str::from_utf8(name).ok()),
            data: if self.joined { joined } else { data },
        })
    }
}

/// Reads the lines of `block` from `at` on.
fn read_fields(block: &[u8], mut at: usize, joined: &mut Vec<u8>) -> Fields {
    let mut fields = Fields::default();
    let from = at;
    while let Some(rest) = block.get(at..).filter(|rest| !rest.is_empty()) {
        let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = rest.get(..len).unwrap_or_default();
        match line.first() {
            Some(b'd') => {
                if let Some(value) = field_value(line, b"data") {
                    fields.add_data(block, at + value..at + len, joined);
                }
            }
            Some(b'e') => {
                if let Some(value) = field_value(line, b"event") {
                    fields.event = Some(at + value..at + len);
                }
            }
            Some(b':') => fields.comments += 1,
            _ => {}
        }
        // CR LF counts as two line ends here: the empty line between them says nothing.
        at += len + 1;
    }
    if !fields.has_data() {
        fields.data = find_object(block, from);
    }
    fields
}

impl Fields {
    fn add_data(&mut self, block: &[u8], span: Range<usize>, joined: &mut Vec<u8>) {
        let Some(first) = &self.data else {
            self.data = Some(span);
            return;
        };
        if !self.joined {
            joined.clear();
            joined.extend_from_slice(block.get(first.clone()).unwrap_or_default());
            self.joined = true;
        }
        joined.push(b'\n');
        joined.extend_from_slice(block.get(span).unwrap_or_default());
    }
}

/// Where the value starts in a line of the field `name`.
fn field_value(line: &[u8], name: &[u8]) -> Option<usize> {
    match line.strip_prefix(name)? {
        [] => Some(line.len()),
        [b':', b' ', ..] => Some(name.len() + 2),
        [b':', ..] => Some(name.len() + 1),
        _ => None,
    }
}

/// The whole block, less the white space around it, if it looks like one JSON object.
fn find_object(block: &[u8], from: usize) -> Option<Range<usize>> {
    let text = block.get(from..)?;
    let trimmed = text.trim_ascii_start();
    let start = from + text.len() - trimmed.len();
    let trimmed = trimmed.trim_ascii_end();
    (trimmed.starts_with(b"{") && trimmed.ends_with(b"}")).then_some(start..start + trimmed.len())
}
