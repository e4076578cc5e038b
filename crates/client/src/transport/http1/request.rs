//! A request on its way out.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::Method;
use ::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use ::http::request::Parts;
use bytes::{Buf, Bytes};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::super::Payload;
use super::super::connect::Wire;

/// How many pieces leave by one call of the system.
const SLICES: usize = 16;
/// The pieces of most requests: head, body, and what is put between two parts of it.
const USUAL: usize = 4;

/// Head and body, as far as they have not been written.
pub(super) struct Outbox {
    queue: VecDeque<Bytes>,
    body: Payload,
    /// The body's length is not known: it goes out in chunks.
    chunked: bool,
    /// Nothing more will be queued.
    queued: bool,
    over: bool,
    written: u64,
    /// Bytes that the head has promised and the body has not given yet.
    owed: u64,
    /// The wire takes no more. What the server has said before that is still there to be read.
    pub(super) fault: Option<io::Error>,
}

impl Outbox {
    pub(super) fn new(request: &Parts, body: Payload) -> Self {
        let length = body.size_hint().exact();
        let queued = body.is_end_stream();
        let mut queue = VecDeque::with_capacity(USUAL);
        queue.push_back(write_head(request, length));
        Self {
            queue,
            body,
            chunked: length.is_none(),
            queued,
            over: false,
            written: 0,
            owed: length.unwrap_or_default(),
            fault: None,
        }
    }

    /// All of it has been written.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Bytes that have left.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Writes what can be written now. `Err`: the body cannot be had; a wire that takes no more is a [`fault`](Self::fault).
    pub(super) fn write(&mut self, wire: &mut Wire, context: &mut Context<'_>) -> io::Result<()> {
        while !self.over && self.fault.is_none() {
            let more = match self.poll_queue(context) {
                Poll::Ready(Err(error)) => {
                    // Not even its end: it must not pass for whole.
                    self.fault = Some(io::ErrorKind::BrokenPipe.into());
                    return Err(error);
                }
                more => more,
            };
            match self.poll_send(wire, more.is_ready(), context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => self.fault = Some(error),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// Writes once. Pending when the wire is full, or there is nothing to write for now.
    fn poll_send(&mut self, wire: &mut Wire, is_last: bool, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.queue.is_empty() {
            ready!(Pin::new(&mut *wire).poll_flush(context))?;
            self.over = is_last;
            return if is_last { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        for (slice, piece) in slices.iter_mut().zip(&self.queue) {
            *slice = IoSlice::new(piece);
        }
        let count = ready!(Pin::new(&mut *wire).poll_write_vectored(context, &slices))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.written += count as u64;
        self.advance(count);
        Poll::Ready(Ok(()))
    }

    /// Queues what the body has; ready when it has no more.
    fn poll_queue(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queued {
            if self.queue.len() >= SLICES {
                return Poll::Pending;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let piece = frame.into_data().unwrap_or_default();
                    // An empty chunk would end the body.
                    if !piece.is_empty() {
                        self.push(piece)?;
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None if self.owed > 0 => return Poll::Ready(Err(io::Error::other("the body is shorter than was said"))),
                None => {
                    self.queued = true;
                    if self.chunked {
                        self.queue.push_back(Bytes::from_static(b"0\r\n\r\n"));
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn push(&mut self, piece: Bytes) -> io::Result<()> {
        if self.chunked {
            self.queue.push_back(format!("{:x}\r\n", piece.len()).into());
            self.queue.push_back(piece);
            self.queue.push_back(Bytes::from_static(b"\r\n"));
        } else {
            let owed = self.owed.checked_sub(piece.len() as u64);
            self.owed = owed.ok_or_else(|| io::Error::other("the body is longer than was said"))?;
            self.queue.push_back(piece);
        }
        Ok(())
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.queue.front_mut() {
            let part = count.min(piece.len());
            piece.advance(part);
            count -= part;
            if !piece.is_empty() {
                return;
            }
            self.queue.pop_front();
        }
    }
}

/// The head; method, target and headers are of types that hold no line break.
fn write_head(request: &Parts, length: Option<u64>) -> Bytes {
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(request.method.as_str().as_bytes());
    head.push(b' ');
    write_target(&mut head, request);
    head.extend_from_slice(b" HTTP/1.1\r\n");
    let mut field = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    for (name, value) in &request.headers {
        // How long the body is, is known here and nowhere else.
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            field(name.as_str(), value.as_bytes());
        }
    }
    let expects_body = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
    match length {
        Some(0) if !expects_body => {}
        Some(length) => field("content-length", length.to_string().as_bytes()),
        None => field("transfer-encoding", b"chunked"),
    }
    head.extend_from_slice(b"\r\n");
    head.into()
}

fn write_target(head: &mut Vec<u8>, request: &Parts) {
    let uri = &request.uri;
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        head.extend_from_slice(scheme.as_bytes());
        head.extend_from_slice(b"://");
        head.extend_from_slice(authority.as_str().as_bytes());
    }
    head.extend_from_slice(uri.path_and_query().map_or("/", |path| path.as_str()).as_bytes());
}
