//! The body of a reply, read by whoever wants it.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http_body::SizeHint;

use super::super::pool::Origin;
use super::request::Outbox;
use super::{Connection, closed};

/// A longer line of a chunked body (a chunk's size with its extensions, a trailer) is refused.
const LINE_LIMIT: usize = 16 * 1024;

/// How a body's end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Length {
    /// So many bytes are left.
    Counted(u64),
    /// It says so itself.
    Chunked,
    /// The connection closes.
    Close,
}

/// A body that may still be on its way. Dropped before its end it closes the connection, unless the rest has come.
pub(in super::super) struct Incoming {
    connection: Option<Connection>,
    /// The rest of the request, should its reply have begun before all of it was sent.
    outbox: Option<Box<Outbox>>,
    reader: Reader,
    keep_alive: bool,
    /// Where the connection goes at the end.
    home: Option<Arc<Origin>>,
    reused: bool,
}

impl Incoming {
    pub(super) fn new(connection: Connection, outbox: Outbox, length: Length, keep_alive: bool) -> Self {
        let outbox = (!outbox.is_over()).then(|| Box::new(outbox));
        Self { connection: Some(connection), outbox, reader: Reader::new(length), keep_alive, home: None, reused: false }
    }

    /// Says where the connection belongs, and whether it had been used before.
    pub(in super::super) fn lend(mut self, home: Arc<Origin>, reused: bool) -> Self {
        (self.home, self.reused) = (Some(home), reused);
        self.settle();
        self
    }

    pub(in super::super) const fn was_reused(&self) -> bool {
        self.reused
    }

    /// The next bytes, as many as have come; `None` at the end.
    pub(in super::super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let data = ready!(self.poll_next(context));
        match data {
            Some(Ok(_)) | None => self.settle(),
            Some(Err(_)) => self.connection = None,
        }
        Poll::Ready(data)
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        if let Some(outbox) = &mut self.outbox {
            outbox.write(&mut connection.wire, context)?;
            if outbox.is_over() {
                self.outbox = None;
            }
        }
        loop {
            if !connection.held.is_empty() {
                let data = self.reader.read(&mut connection.held)?;
                if !data.is_empty() {
                    return Poll::Ready(Some(Ok(data)));
                }
            }
            if self.reader.is_over() {
                return Poll::Ready(None);
            }
            if ready!(connection.poll_fill(context))? == 0 {
                let ended = self.reader.length() == Length::Close;
                self.connection = None;
                return Poll::Ready((!ended).then(|| Err(closed())));
            }
        }
    }

    pub(in super::super) fn is_over(&self) -> bool {
        self.connection.is_none()
    }

    pub(in super::super) fn size_hint(&self) -> SizeHint {
        match self.reader.length() {
            Length::Counted(left) => SizeHint::with_exact(left),
            Length::Chunked | Length::Close => SizeHint::default(),
        }
    }

    /// Gives the connection back as soon as nothing more can come, not only when somebody asks for more.
    fn settle(&mut self) {
        if self.reader.is_over()
            && let Some(connection) = self.connection.take()
            && let Some(home) = self.home.take()
            && self.keep_alive
            && self.outbox.is_none()
        {
            home.put(connection);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // The end of a body often comes with its last bytes, and is not asked for: one look.
        if self.keep_alive && self.connection.is_some() {
            let context = &mut Context::from_waker(Waker::noop());
            if matches!(self.poll_next(context), Poll::Ready(Some(Ok(_)) | None)) {
                self.settle();
            }
        }
    }
}

/// Takes the framing off a body.
struct Reader {
    state: State,
    /// Bytes of the line that is being read.
    line: usize,
}

enum State {
    Counted(u64),
    Close,
    /// In the digits of a chunk's size.
    Size(u64),
    /// Behind them, in its extensions.
    Extension(u64),
    /// In a chunk, with so many bytes left.
    Data(u64),
    /// At the line end behind a chunk.
    DataEnd,
    /// In the lines behind the last chunk, which nobody wants; true at the beginning of one.
    Trailer(bool),
    Over,
}

impl Reader {
    fn new(length: Length) -> Self {
        let state = match length {
            Length::Counted(0) => State::Over,
            Length::Counted(left) => State::Counted(left),
            Length::Chunked => State::Size(0),
            Length::Close => State::Close,
        };
        Self { state, line: 0 }
    }

    const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    const fn length(&self) -> Length {
        match self.state {
            State::Counted(left) => Length::Counted(left),
            State::Over => Length::Counted(0),
            State::Close => Length::Close,
            _ => Length::Chunked,
        }
    }

    /// Takes what is the body's off the front of `bytes`.
    fn read(&mut self, bytes: &mut BytesMut) -> io::Result<Bytes> {
        match self.state {
            State::Close => Ok(take(bytes, usize::MAX)),
            State::Counted(left) => {
                let data = take(bytes, usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - data.len() as u64;
                self.state = if left == 0 { State::Over } else { State::Counted(left) };
                Ok(data)
            }
            State::Over => Ok(Bytes::new()),
            _ => self.read_chunks(bytes),
        }
    }

    /// All the chunks that are there, moved together: what was between them goes.
    fn read_chunks(&mut self, bytes: &mut BytesMut) -> io::Result<Bytes> {
        let (mut at, mut kept) = (0, 0);
        while at < bytes.len() && !self.is_over() {
            if let State::Data(left) = self.state {
                let run = (bytes.len() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
                if at > kept {
                    bytes.copy_within(at..at + run, kept);
                }
                (at, kept) = (at + run, kept + run);
                let left = left - run as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
            } else {
                let byte = bytes.get(at).copied().unwrap_or_default();
                at += 1;
                self.step(byte)?;
            }
        }
        let rest = if at < bytes.len() { bytes.split_off(at) } else { BytesMut::new() };
        let mut data = std::mem::replace(bytes, rest);
        data.truncate(kept);
        Ok(data.freeze())
    }

    /// One byte of what stands between chunks.
    fn step(&mut self, byte: u8) -> io::Result<()> {
        self.line += 1;
        if self.line > LINE_LIMIT {
            return Err(wrong("a line between its chunks is too long"));
        }
        self.state = match (&self.state, byte) {
            (State::Size(size), _) if byte.is_ascii_hexdigit() => {
                let digit = u64::from(char::from(byte).to_digit(16).unwrap_or_default());
                let size = size.checked_mul(16).map(|size| size + digit).ok_or_else(|| wrong("a chunk's size is too large"))?;
                State::Size(size)
            }
            (State::Size(_) | State::Extension(_), b'\n') if self.line == 1 => return Err(wrong("a chunk has no size")),
            (State::Size(size) | State::Extension(size), b'\n') => {
                self.line = 0;
                if *size == 0 { State::Trailer(true) } else { State::Data(*size) }
            }
            (State::Size(size), b';' | b' ' | b'\t' | b'\r') if self.line > 1 => State::Extension(*size),
            (State::Size(_), _) => return Err(wrong("a chunk's size is not a number")),
            (State::Extension(size), _) => State::Extension(*size),
            (State::DataEnd, b'\r') if self.line == 1 => State::DataEnd,
            (State::DataEnd, b'\n') => {
                self.line = 0;
                State::Size(0)
            }
            (State::DataEnd, _) => return Err(wrong("a chunk is longer than its size")),
            (State::Trailer(true), b'\r') => State::Trailer(true),
            (State::Trailer(true), b'\n') => State::Over,
            (State::Trailer(_), _) => State::Trailer(byte == b'\n'),
            (State::Data(left) | State::Counted(left), _) => State::Data(*left),
            (State::Close, _) => State::Close,
            (State::Over, _) => State::Over,
        };
        Ok(())
    }
}

/// At most `limit` bytes off the front; no copy.
fn take(bytes: &mut BytesMut, limit: usize) -> Bytes {
    if limit >= bytes.len() { std::mem::take(bytes).freeze() } else { bytes.split_to(limit).freeze() }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text` in two pieces; gives the body and what is left behind it.
    fn read(length: Length, text: &[u8], cut: usize) -> io::Result<(Vec<u8>, Vec<u8>, bool)> {
        let (mut reader, mut body, mut held) = (Reader::new(length), Vec::new(), BytesMut::new());
        let (first, second) = text.split_at(cut);
        for piece in [first, second] {
            held.extend_from_slice(piece);
            body.extend_from_slice(&reader.read(&mut held)?);
        }
        Ok((body, held.to_vec(), reader.is_over()))
    }

    #[test]
    fn chunks_come_out_whole_however_they_are_cut() {
        let text = b"5\r\nhello\r\n1 ;x=\"y\"\r\n \r\n00A\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\nNEXT";
        for cut in 0..=text.len() {
            let (body, rest, over) = read(Length::Chunked, text, cut).unwrap();
            assert_eq!((&body[..], &rest[..], over), (&b"hello 0123456789"[..], &b"NEXT"[..], true), "{cut}");
        }
    }

    #[test]
    fn a_cut_body_is_not_over() {
        let text = b"5\r\nhello\r\n0\r\n\r\n";
        for end in 0..text.len() {
            assert!(!read(Length::Chunked, &text[..end], 0).unwrap().2, "{end}");
        }
    }

    #[test]
    fn nonsense_between_chunks_is_an_error() {
        let long = format!("1;{}\r\n", "x".repeat(LINE_LIMIT));
        for text in ["\r\n", "x\r\n", "-1\r\n", "5\r\nhello!", "5\r\nhelloX\r\n", "fffffffffffffffff\r\n", "g", "\n", &long] {
            assert!(read(Length::Chunked, text.as_bytes(), 0).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn a_counted_body_ends_where_it_was_to() {
        for cut in 0..=8 {
            let (body, rest, over) = read(Length::Counted(5), b"helloXYZ", cut).unwrap();
            assert_eq!((&body[..], &rest[..], over), (&b"hello"[..], &b"XYZ"[..], true), "{cut}");
        }
        assert_eq!(read(Length::Close, b"hello", 2).unwrap(), (b"hello".to_vec(), Vec::new(), false));
    }
}
