//! One JSON value a line, as in [newline-delimited JSON](https://github.com/ndjson/ndjson-spec), as servers really send it.

use super::{End, Frame, ReadFrame, TooLong};
use crate::json;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads the lines of a stream, each as a frame.
///
/// Lines end with LF or CR LF; white space around a value and lines of nothing else are skipped. The last line needs no
/// end, if its value is whole.
#[derive(Debug)]
pub struct NdjsonReader {
    /// The front of a line that spans chunks.
    held: Vec<u8>,
    /// What `held` has was given out with the last frame.
    given: bool,
    started: bool,
    limit: usize,
}

impl NdjsonReader {
    /// A reader at the start of a stream, which refuses a line of more than `limit` bytes, its end included.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { held: Vec::new(), given: false, started: false, limit }
    }

    /// Forgets the line that was given out last.
    fn clear(&mut self) {
        if self.given {
            self.held.clear();
            self.given = false;
        }
    }
}

impl ReadFrame for NdjsonReader {
    fn next<'a, 'c: 'a>(&'a mut self, rest: &mut &'c [u8]) -> Result<Option<Frame<'a>>, TooLong> {
        self.clear();
        let first = loop {
            let end = memchr::memchr(b'\n', rest);
            let (line, after) = rest.split_at_checked(end.map_or(rest.len(), |at| at + 1)).unwrap_or((rest, &[]));
            *rest = after;
            if self.held.len() + line.len() > self.limit {
                return Err(TooLong { limit: self.limit });
            }
            if end.is_none() || !self.held.is_empty() {
                self.held.extend_from_slice(line);
            }
            if end.is_none() {
                return Ok(None);
            }
            let first = !self.started;
            let whole = self.held.is_empty();
            if read_line(if whole { line } else { &self.held }, first).is_none() {
                self.held.clear();
                continue;
            }
            self.started = true;
            if whole {
                return Ok(read_line(line, first));
            }
            break first;
        };
        self.given = true;
        Ok(read_line(&self.held, first))
    }

    fn finish(&mut self) -> End<'_> {
        self.clear();
        let held = std::mem::take(&mut self.held);
        let first = !self.started;
        *self = Self { held, given: true, ..Self::new(self.limit) };
        let frame = read_line(&self.held, first);
        End { frame, cut: frame.is_some_and(|frame| json::check(frame.data).is_err()) }
    }
}

/// The value of one line; nothing if there is none. `first`: nothing came before.
fn read_line(line: &[u8], first: bool) -> Option<Frame<'_>> {
    let line = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
    let data = line.trim_ascii();
    (!data.is_empty()).then_some(Frame { event: None, data })
}

/// The value of one whole line of a stream that is passed on.
pub(super) fn read_whole_line(line: &[u8]) -> Option<Frame<'_>> {
    read_line(line, true)
}
