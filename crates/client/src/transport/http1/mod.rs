//! HTTP/1.1 as a client speaks it ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)): one exchange at a time over a
//! connection that belongs to whoever uses it.
//!
//! Written by hand because it is what a stream costs. A connection that is a task of its own passes every chunk of a
//! reply through a channel and holds buffers for as long as it is open; here the reader of a reply reads the socket
//! itself, takes all the chunks that have come in one piece, and holds nothing while it waits.
//! `benches/gateway/run.sh` shows both.

mod body;
mod head;
mod request;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use ::http::{Method, Request, Response};
use bytes::BytesMut;
use tokio::task::unconstrained;
use tokio_util::io::poll_read_buf;

use super::Payload;
use super::connect::{Forward, Wire};
use head::Head;
use request::Outbox;

pub(super) use body::Incoming;

/// A head longer than this is refused.
const HEAD_LIMIT: usize = 128 * 1024;
/// What is read at once: the least, for which most heads and deltas are small enough, and the most.
const READ: (usize, usize) = (8 * 1024, 64 * 1024);

/// A connection between two exchanges, or in the middle of one.
pub(in super::super) struct Connection {
    wire: Wire,
    /// A proxy at the other end that wants to be told whole addresses.
    pub(super) forward: Option<Forward>,
    /// What has been read and not been looked at.
    held: BytesMut,
    /// How much to read next.
    room: usize,
}

/// Why an exchange came to no head.
pub(super) enum Fault {
    /// Nothing of the request went out; here it is.
    Unsent(Box<Request<Payload>>, io::Error),
    /// The connection broke.
    Broken(io::Error),
    /// What came is not HTTP/1.
    NotHttp(String),
}

impl Connection {
    pub(super) fn new(wire: Wire, forward: Option<Forward>) -> Self {
        Self { wire, forward, held: BytesMut::new(), room: READ.0 }
    }

    /// Whether the next request can be sent by it: its server has neither closed it nor spoken out of turn.
    pub(super) fn is_free(&mut self) -> bool {
        if !self.held.is_empty() {
            return false;
        }
        // Not within the task's budget: once that is spent everything seems pending, the dead too.
        let mut look = unconstrained(std::future::poll_fn(|context| Poll::Ready(self.poll_fill(context).is_pending())));
        Pin::new(&mut look).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(true)
    }

    /// Sends a request and waits for the head of its reply. `again`: the request is wanted back should nothing of it
    /// have gone out.
    pub(super) async fn send(mut self, request: Request<Payload>, again: bool) -> Result<Response<Incoming>, Fault> {
        let (head, body) = request.into_parts();
        let unsent = again.then(|| body.replay()).flatten();
        let mut outbox = Outbox::new(&head, body);
        let received = std::future::poll_fn(|context| self.poll_exchange(&mut outbox, &head.method, context)).await;
        match received {
            Ok(Head { response, length, keep_alive }) => Ok(response.map(|()| Incoming::new(self, outbox, length, keep_alive))),
            Err(Fault::Broken(error)) => match unsent {
                Some(body) if outbox.written() == 0 => Err(Fault::Unsent(Box::new(Request::from_parts(head, body)), error)),
                _ => Err(Fault::Broken(error)),
            },
            Err(fault) => Err(fault),
        }
    }

    /// Writes and reads at once: a server may answer, with a refusal say, before it has read a long body.
    fn poll_exchange(&mut self, outbox: &mut Outbox, method: &Method, context: &mut Context<'_>) -> Poll<Result<Head, Fault>> {
        outbox.write(&mut self.wire, context).map_err(Fault::Broken)?;
        if outbox.written() == 0
            && let Some(error) = outbox.fault.take()
        {
            return Poll::Ready(Err(Fault::Broken(error)));
        }
        let mut head = ready!(self.poll_head(method, context));
        if let Err(Fault::Broken(error)) = &mut head
            && let Some(first) = outbox.fault.take()
        {
            *error = first;
        }
        Poll::Ready(head)
    }

    fn poll_head(&mut self, method: &Method, context: &mut Context<'_>) -> Poll<Result<Head, Fault>> {
        loop {
            match head::read(&mut self.held, method) {
                Ok(Some(head)) if head.response.status().is_informational() => continue,
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) if self.held.len() > HEAD_LIMIT => {
                    return Poll::Ready(Err(Fault::NotHttp(format!("its head is longer than {HEAD_LIMIT} bytes"))));
                }
                Ok(None) => {}
                Err(words) => return Poll::Ready(Err(Fault::NotHttp(words))),
            }
            match ready!(self.poll_fill(context)) {
                Ok(0) => return Poll::Ready(Err(Fault::Broken(closed()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Fault::Broken(error))),
            }
        }
    }

    /// Reads what has come; 0 when no more will.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // Asked first, so that nothing is held while nothing comes.
        ready!(self.wire.poll_readable(context))?;
        self.held.reserve(self.room);
        let read = poll_read_buf(Pin::new(&mut self.wire), context, &mut self.held);
        match read {
            Poll::Ready(Ok(count)) if count >= self.room => self.room = (self.room * 2).min(READ.1),
            Poll::Ready(Ok(_)) => self.room = READ.0,
            Poll::Ready(Err(_)) | Poll::Pending if self.held.is_empty() => self.held = BytesMut::new(),
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        read
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed")
}
