//! Where the blocks of an event stream end, for those who pass its bytes on and those who read them.
//!
//! Lines end with LF, CR LF or CR, as in the [event stream format](https://html.spec.whatwg.org/multipage/server-sent-events.html);
//! a block ends with an empty line. A line of blanks and tabs counts as empty, because some servers send such.

use std::ops::Range;

use super::Frame;
use super::ndjson::read_whole_line;
use super::sse::read_block;

/// A stretch of a chunk that belongs to one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Offsets into the chunk.
    pub span: Range<usize>,
    /// Whether the block ends with it. If not, the chunk ends, and the block goes on in the next.
    pub ends: bool,
}

/// Splits an event stream into blocks, its bytes untouched: every byte is in one part, the empty line that ends a block
/// included. Keeps no bytes.
///
/// A CR ends a line at once. If its LF comes in the next chunk, and the line was the last of a block, then that LF
/// stands at the front of the next block, where it does no harm.
#[derive(Debug, Clone)]
pub struct SseSplitter {
    /// All that is known of the current line is blanks, or nothing.
    blank: bool,
    /// The last chunk ended with a CR, so an LF at the front of the next belongs to it.
    after_cr: bool,
}

impl Default for SseSplitter {
    fn default() -> Self {
        Self::new()
    }
}

impl SseSplitter {
    /// At the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { blank: true, after_cr: false }
    }

    /// The parts of the next chunk, which must be taken all.
    pub fn split<'s>(&'s mut self, chunk: &'s [u8]) -> impl Iterator<Item = Part> + 's {
        let mut start = 0;
        std::iter::from_fn(move || {
            let rest = chunk.get(start..).filter(|rest| !rest.is_empty())?;
            let (len, ends) = self.advance(rest);
            let span = start..start + len;
            start = span.end;
            Some(Part { span, ends })
        })
    }

    /// How many bytes of `rest` belong to the current block, and whether it ends with them.
    pub(crate) fn advance(&mut self, rest: &[u8]) -> (usize, bool) {
        let mut at = usize::from(self.after_cr && rest.first() == Some(&b'\n'));
        if !rest.is_empty() {
            self.after_cr = false;
        }
        loop {
            let open = rest.get(at..).unwrap_or_default();
            let newline = memchr::memchr2(b'\n', b'\r', open);
            let line = open.get(..newline.unwrap_or(open.len())).unwrap_or_default();
            let blank = self.blank && is_blank(line);
            let Some(newline) = newline else {
                self.blank = blank;
                return (rest.len(), false);
            };
            match (open.get(newline), open.get(newline + 1)) {
                (Some(b'\r'), Some(b'\n')) => at += newline + 2,
                (Some(b'\r'), None) => {
                    self.after_cr = true;
                    at += newline + 1;
                }
                _ => at += newline + 1,
            }
            self.blank = true;
            if blank {
                return (at, true);
            }
        }
    }
}

/// Splits a stream into the stretches that stand for one frame each, its bytes untouched, in the formats whose frames
/// have a mark at their end.
#[derive(Debug, Clone)]
pub enum Splitter {
    /// Blocks of an event stream.
    Sse(SseSplitter),
    /// Lines.
    Ndjson,
}

impl Splitter {
    /// The parts of the next chunk, which must be taken all.
    pub fn split<'s>(&'s mut self, chunk: &'s [u8]) -> impl Iterator<Item = Part> + 's {
        let mut start = 0;
        std::iter::from_fn(move || {
            let rest = chunk.get(start..).filter(|rest| !rest.is_empty())?;
            let (len, ends) = match self {
                Splitter::Sse(splitter) => splitter.advance(rest),
                Splitter::Ndjson => memchr::memchr(b'\n', rest).map_or((rest.len(), false), |at| (at + 1, true)),
            };
            let span = start..start + len;
            start = span.end;
            Some(Part { span, ends })
        })
    }

    /// What the last stretch of a stream lacks, if nothing has ended it, so that those who read by the book take it for whole.
    pub fn missing_end(&self, last: &[u8]) -> &'static [u8] {
        match (self, last.ends_with(b"\n")) {
            (Splitter::Ndjson, true) => b"",
            (Splitter::Ndjson, false) | (Splitter::Sse(_), true) => b"\n",
            (Splitter::Sse(_), false) => b"\n\n",
        }
    }

    /// What reads the frame of one whole stretch, if there is any in it; the second argument is room for data in several
    /// lines.
    pub fn reader(&self) -> for<'a> fn(&'a [u8], &'a mut Vec<u8>) -> Option<Frame<'a>> {
        match self {
            Splitter::Sse(_) => read_block,
            Splitter::Ndjson => |line, _| read_whole_line(line),
        }
    }
}

pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(stream: &[u8], sizes: impl Iterator<Item = usize>) -> Vec<Vec<u8>> {
        let mut splitter = SseSplitter::new();
        let (mut blocks, mut open, mut rest) = (Vec::new(), Vec::new(), stream);
        for size in sizes {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            for part in splitter.split(chunk) {
                open.extend_from_slice(&chunk[part.span]);
                if part.ends {
                    blocks.push(std::mem::take(&mut open));
                }
            }
            rest = after;
        }
        blocks.push(open);
        blocks
    }

    #[test]
    fn blocks_end_with_an_empty_line() {
        let stream = b"data: 1\n\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\n\t\n: c\ndata: 5";
        let blocks = split(stream, std::iter::once(stream.len()));
        let expected: [&[u8]; 5] = [b"data: 1\n\n", b"data: 2\r\n\r\n", b"data: 3\r\r", b"data: 4\n\t\n", b": c\ndata: 5"];
        assert_eq!(blocks, expected);
        assert_eq!(split(b"", std::iter::once(0)), [b""]);
    }

    #[test]
    fn a_line_end_that_is_cut_in_two_is_one() {
        let stream = b"data: 1\r\n\r\ndata: 2\r\n\r\n";
        let blocks = split(stream, std::iter::repeat_n(1, stream.len()));
        let expected: [&[u8]; 3] = [b"data: 1\r\n\r", b"\ndata: 2\r\n\r", b"\n"];
        assert_eq!(blocks, expected);
    }
}
