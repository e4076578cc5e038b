//! One keep-alive HTTP/1.1 connection of the load generator: writes prepared bytes, reads one reply, checks it.
//!
//! It is not a general client. It knows what the bench meets (a length or chunks, no pipelining, no redirects) and
//! spends as little CPU as it can, because on a small machine it shares the cores with what it measures.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::reply::MARKER;

/// Longest reply head, in bytes.
const MOST_HEAD: usize = 64 * 1024;
/// Longest reply body, in bytes.
const MOST_BODY: usize = 64 * 1024 * 1024;

/// What a good reply looks like. Status 200 and [`MARKER`] in the body are always required.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// The end of a complete stream contains this; `None` for whole replies.
    pub terminator: Option<&'static [u8]>,
    /// A stream has at least so many frames.
    pub frames: usize,
    /// Return at the first delta and leave the stream open.
    pub hold: bool,
    /// The body has [`MARKER`] in it.
    pub marker: bool,
}

/// How long a reply took, counted from just before the request was written.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until [`MARKER`] had arrived.
    pub first: Duration,
    /// Until the reply was complete.
    pub total: Duration,
}

/// A connection and its buffers, reused from request to request.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    body: Vec<u8>,
}

/// How the end of a body is found.
#[derive(Debug)]
enum Length {
    Known(usize),
    Chunks(Chunks),
}

impl Connection {
    /// Connects, with TCP_NODELAY.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: Vec::new(), body: Vec::new() })
    }

    /// Sends one request and reads its reply.
    ///
    /// # Errors
    /// Those of the socket, and `Other` with a sentence for a reply that is not what was expected.
    pub async fn exchange(&mut self, request: &[u8], expect: &Expect) -> io::Result<Timing> {
        self.input.clear();
        self.body.clear();
        let start = Instant::now();
        self.stream.write_all(request).await?;
        let mut length = self.read_head().await?;
        let mut first = None;
        let mut scanned = 0;
        loop {
            let done = self.take_body(&mut length)?;
            if first.is_none() {
                first = self.find_marker(&mut scanned).then(|| start.elapsed());
            }
            if done || (expect.hold && first.is_some()) {
                break;
            }
            self.fill().await?;
        }
        let total = start.elapsed();
        self.check(first.is_some(), expect)?;
        Ok(Timing { first: first.unwrap_or(total), total })
    }

    /// The body of the last reply, as far as it was read.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.input.reserve(16 * 1024);
        if self.stream.read_buf(&mut self.input).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed inside a reply"));
        }
        Ok(())
    }

    /// Reads up to the empty line; what follows it stays in `input`.
    async fn read_head(&mut self) -> io::Result<Length> {
        loop {
            self.fill().await?;
            if let Some(end) = memmem::find(&self.input, b"\r\n\r\n") {
                let parsed = parse_head(self.input.get(..end).unwrap_or_default());
                self.input.drain(..end + 4);
                let (status, length) = parsed?;
                if status != 200 {
                    return Err(self.refused(status, length).await);
                }
                return Ok(length);
            }
            if self.input.len() > MOST_HEAD {
                return Err(io::Error::other("the head of the reply is too long"));
            }
        }
    }

    /// Reads what the server says to a refused request, for the message.
    async fn refused(&mut self, status: u16, mut length: Length) -> io::Error {
        for _ in 0..16 {
            match self.take_body(&mut length) {
                Ok(false) if self.fill().await.is_ok() => {}
                _ => break,
            }
        }
        let said = String::from_utf8_lossy(self.body.get(..300).unwrap_or(&self.body));
        io::Error::other(format!("status {status}: {said}"))
    }

    /// Moves body bytes from `input` to `body`; true at the end of the body.
    fn take_body(&mut self, length: &mut Length) -> io::Result<bool> {
        if self.body.len() > MOST_BODY {
            return Err(io::Error::other("the reply is too long"));
        }
        let done = match length {
            Length::Known(size) => {
                self.body.append(&mut self.input);
                if self.body.len() > *size {
                    return Err(io::Error::other("more bytes than content-length said"));
                }
                self.body.len() == *size
            }
            Length::Chunks(chunks) => chunks.read(&self.input, &mut self.body)?,
        };
        self.input.clear();
        Ok(done)
    }

    fn find_marker(&self, scanned: &mut usize) -> bool {
        let from = scanned.saturating_sub(MARKER.len());
        *scanned = self.body.len();
        memmem::find(self.body.get(from..).unwrap_or_default(), MARKER).is_some()
    }

    fn check(&self, marked: bool, expect: &Expect) -> io::Result<()> {
        if expect.marker && !marked {
            return Err(io::Error::other("the reply does not contain the provider's text"));
        }
        let Some(terminator) = expect.terminator else { return Ok(()) };
        if expect.hold {
            return Ok(());
        }
        let tail = self.body.get(self.body.len().saturating_sub(256)..).unwrap_or_default();
        if memmem::find(tail, terminator).is_none() {
            return Err(io::Error::other("the stream ended without its terminator"));
        }
        let frames = memmem::find_iter(&self.body, b"\n\n").count();
        if frames < expect.frames {
            return Err(io::Error::other(format!("{frames} frames arrived, {} were sent", expect.frames)));
        }
        Ok(())
    }
}

/// Status and body length of a reply head (without its empty line).
fn parse_head(head: &[u8]) -> io::Result<(u16, Length)> {
    let head = std::str::from_utf8(head).map_err(|_| io::Error::other("the head of the reply is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other("the reply does not start with an HTTP/1.1 status line"))?;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let size = value.parse().map_err(|_| io::Error::other("content-length is not a number"))?;
            return Ok((status, Length::Known(size)));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            return Ok((status, Length::Chunks(Chunks::default())));
        }
    }
    Err(io::Error::other("the reply has neither content-length nor chunks"))
}

/// Where a chunked body stands: bytes of the current chunk still to come, or the line that is being read.
#[derive(Debug, Default)]
struct Chunks {
    /// Data bytes left in the current chunk.
    left: usize,
    /// The size line, or a trailer line, so far.
    line: Vec<u8>,
    /// The line end behind a chunk's data is still to come.
    closing: bool,
    /// The last chunk was seen: trailers follow, then an empty line.
    last: bool,
}

impl Chunks {
    /// Appends data to `out`; true when the body is complete. Input may be cut anywhere.
    fn read(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> io::Result<bool> {
        while !input.is_empty() {
            if self.left > 0 {
                let (data, rest) = input.split_at_checked(self.left).unwrap_or((input, &[]));
                out.extend_from_slice(data);
                self.left -= data.len();
                self.closing = self.left == 0;
                input = rest;
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', input) else {
                self.line.extend_from_slice(input);
                return self.check_line().map(|()| false);
            };
            let (line, rest) = input.split_at_checked(end + 1).unwrap_or((input, &[]));
            self.line.extend_from_slice(line);
            input = rest;
            if self.end_line()? {
                return if input.is_empty() { Ok(true) } else { Err(io::Error::other("bytes after the last chunk")) };
            }
        }
        Ok(false)
    }

    fn check_line(&self) -> io::Result<()> {
        if self.line.len() > 1024 { Err(io::Error::other("a chunk's size line is too long")) } else { Ok(()) }
    }

    /// Acts on a complete line; true when it was the body's last one.
    fn end_line(&mut self) -> io::Result<bool> {
        self.check_line()?;
        let line = self.line.trim_ascii();
        let empty = line.is_empty();
        if self.last {
            self.line.clear();
            return Ok(empty);
        }
        if self.closing {
            self.closing = false;
            self.line.clear();
            return if empty { Ok(false) } else { Err(io::Error::other("a chunk is longer than its size")) };
        }
        let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        self.line.clear();
        self.left = size.ok_or_else(|| io::Error::other("a chunk's size is not a number"))?;
        self.last = self.left == 0;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_out_the_same_however_they_are_cut() {
        let wire = b"4\r\nWiki\r\n1;x=y\r\np\r\nB\r\nedia\n\nin\r\n\r\r\n0\r\nx-trailer: 1\r\n\r\n";
        for cut in 0..wire.len() {
            let mut chunks = Chunks::default();
            let mut out = Vec::new();
            let (head, tail) = wire.split_at(cut);
            assert!(!chunks.read(head, &mut out).unwrap(), "done early at {cut}");
            assert!(chunks.read(tail, &mut out).unwrap(), "not done at {cut}");
            assert_eq!(out, b"Wikipedia\n\nin\r\n\r");
        }
    }

    #[test]
    fn a_chunk_longer_than_its_size_is_refused() {
        assert!(Chunks::default().read(b"2\r\nWiki\r\n", &mut Vec::new()).is_err());
    }

    #[test]
    fn heads_are_read_in_any_case() {
        let (status, length) = parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12").unwrap();
        assert!(status == 200 && matches!(length, Length::Known(12)));
        let (_, length) = parse_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked").unwrap();
        assert!(matches!(length, Length::Chunks(_)));
        assert!(parse_head(b"HTTP/1.1 200 OK").is_err());
    }
}
