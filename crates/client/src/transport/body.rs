//! What travels: the payload of a request and the body of a reply.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::http1;
use super::pool::Http2;
use super::{Failure, Phase};

/// The body of a request: pieces that go out one after another without being copied together, so that a long body
/// with a few bytes changed is three pieces, two of which still lie where the caller's request lies. The length is
/// known, so it goes out with a `content-length`.
///
/// Behind the pieces there may be a [`stream`](Self::stream): bytes that are still on their way from somewhere else.
#[derive(Debug, Default)]
pub struct Payload {
    first: Bytes,
    rest: std::vec::IntoIter<Bytes>,
    /// Of the pieces, and of the stream as far as its length is known.
    left: u64,
    tail: Option<Tail>,
}

/// Bytes as somebody makes them.
type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// The part of a payload that is not there yet.
struct Tail {
    // Locked never: it makes a payload `Sync`, whatever the stream is.
    stream: Mutex<Pieces>,
    is_counted: bool,
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tail(stream)")
    }
}

impl Payload {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body in one piece.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let first = bytes.into();
        Self { left: first.len() as u64, first, ..Self::default() }
    }

    /// A body in pieces, in their order.
    #[must_use]
    pub fn pieces(mut pieces: Vec<Bytes>) -> Self {
        // HTTP/2 would spend a frame on an empty piece.
        pieces.retain(|piece| !piece.is_empty());
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { rest: pieces.into_iter(), left, ..Self::default() }
    }

    /// Pieces and then what `stream` gives, as it gives it: at most a few pieces of it are held at a time. `length` is the
    /// stream's own, where it is known; without it the body goes out without a `content-length`. A failure of the stream
    /// ends the exchange.
    #[must_use]
    pub fn stream(
        pieces: Vec<Bytes>,
        stream: impl Stream<Item = Result<Bytes, Failure>> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        let mut payload = Self::pieces(pieces);
        payload.left += length.unwrap_or(0);
        payload.tail = Some(Tail { stream: Mutex::new(Box::pin(stream)), is_counted: length.is_some() });
        payload
    }

    /// Whether some of it is still on its way from somewhere else: it can be neither looked at nor sent twice.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        self.tail.is_some()
    }

    /// The same body once more, before anything of it went out; none where it can be sent only once.
    pub(crate) fn replay(&self) -> Option<Self> {
        let Self { first, rest, left, tail } = self;
        tail.is_none().then(|| Self { first: first.clone(), rest: rest.clone(), left: *left, tail: None })
    }

    /// The same body, with every piece shown to `watch` that is still on its way from somewhere else.
    #[must_use]
    pub(super) fn watched(mut self, watch: impl Fn(&Bytes) + Send + 'static) -> Self {
        self.tail = self.tail.map(|Tail { stream, is_counted }| {
            let stream = stream.into_inner().unwrap_or_else(PoisonError::into_inner);
            let stream = stream.inspect(move |piece| _ = piece.as_ref().map(&watch));
            Tail { stream: Mutex::new(Box::pin(stream)), is_counted }
        });
        self
    }

    /// The pieces still to go out, in their order, to be looked at: a signature covers what goes out. Of a
    /// [`stream`](Self::is_stream) those that are here.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).filter(|piece| !piece.is_empty()).chain(self.rest.as_slice())
    }

    /// Bytes still to go out, as far as that is known.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.left
    }

    /// Nothing (more) to go out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left == 0 && self.tail.is_none()
    }
}

impl http_body::Body for Payload {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        let first = std::mem::take(&mut this.first);
        let mut piece = if first.is_empty() { this.rest.next() } else { Some(first) };
        let mut is_counted = true;
        if let (None, Some(tail)) = (&piece, &mut this.tail) {
            is_counted = tail.is_counted;
            let stream = tail.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
            piece = match ready!(stream.as_mut().poll_next(cx)) {
                Some(Ok(piece)) => Some(piece),
                end => {
                    (this.tail, this.left) = (None, 0);
                    return Poll::Ready(end.map(|failed| failed.map(Frame::data)));
                }
            };
        }
        if is_counted {
            this.left = this.left.saturating_sub(piece.as_ref().map_or(0, |piece| piece.len() as u64));
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.tail {
            Some(Tail { is_counted: false, .. }) => SizeHint::default(),
            _ => SizeHint::with_exact(self.left),
        }
    }
}

/// The body of a reply. Dropping it before its end closes the connection (HTTP/2: resets the stream) at once.
pub struct Body {
    kind: Kind,
    /// How long to wait for each piece of what is collected whole.
    patience: Option<Duration>,
}

enum Kind {
    Http1(Box<http1::Incoming>),
    // The order matters: a dropped body resets its stream first and makes room for another after that.
    Http2(Incoming, Option<Http2>),
    Whole(Bytes),
    /// Bytes that come before another body's.
    After(Bytes, Box<Body>),
    Stream(Pieces),
}

impl Body {
    const fn of(kind: Kind) -> Self {
        Self { kind, patience: None }
    }

    /// Gives up waiting for a piece after this long when it is collected.
    pub(super) fn within(mut self, patience: impl Into<Option<Duration>>) -> Self {
        self.patience = patience.into();
        self
    }

    /// How long it waits for a piece when it is collected.
    pub(super) const fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// The next bytes, if they come in time.
    async fn piece(&mut self) -> Option<Result<Bytes, Failure>> {
        let Some(patience) = self.patience else { return self.chunk().await };
        let late = || Failure::new(Phase::Body, format!("nothing more of the reply came within {patience:?}")).timed_out();
        tokio::time::timeout(patience, self.chunk()).await.unwrap_or_else(|_| Some(Err(late())))
    }

    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self::of(Kind::Whole(Bytes::new()))
    }

    /// All bytes at once.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Whole(bytes.into()))
    }

    /// Bytes as somebody makes them. A failure ends the body.
    pub fn stream(stream: impl Stream<Item = Result<Bytes, Failure>> + Send + 'static) -> Self {
        Self::of(Kind::Stream(Box::pin(stream)))
    }

    pub(super) fn http1(incoming: http1::Incoming) -> Self {
        Self::of(Kind::Http1(Box::new(incoming)))
    }

    /// Bytes of an HTTP/2 stream, which is given back at their end.
    pub(super) fn http2(incoming: Incoming, stream: Http2) -> Self {
        let mut body = Self::of(Kind::Http2(incoming, Some(stream)));
        body.settle();
        body
    }

    /// The same body, before the bytes that were taken from it already.
    #[must_use]
    pub fn after(self, first: Bytes) -> Self {
        if first.is_empty() { self } else { Self::of(Kind::After(first, Box::new(self))) }
    }

    /// The next bytes, as they arrive; nothing at the end.
    ///
    /// # Errors
    /// When the connection breaks before the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The whole body, if it is no longer than `limit` bytes. Reads no further than it takes to know that.
    ///
    /// # Errors
    /// When it is longer, or the connection breaks before the end.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, Failure> {
        let hint = self.size_hint();
        if hint.lower() > limit as u64 {
            return Err(too_long(limit));
        }
        let Some(first) = self.piece().await.transpose()? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(too_long(limit));
        }
        let Some(second) = self.piece().await.transpose()? else {
            return Ok(first);
        };
        let known = usize::try_from(hint.lower()).unwrap_or_default();
        let mut whole = BytesMut::with_capacity(known.max(first.len() + second.len()).min(limit));
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if chunk.len() > limit - whole.len() {
                return Err(too_long(limit));
            }
            whole.extend_from_slice(&chunk);
            next = self.piece().await.transpose()?;
        }
        Ok(whole.freeze())
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            match ready!(Pin::new(&mut *self).poll_any(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(failure)) => return Poll::Ready(Some(Err(failure))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn poll_any(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let next = match &mut self.kind {
            Kind::Http1(incoming) => match ready!(incoming.poll_data(cx)) {
                Some(Ok(data)) => Some(Ok(Frame::data(data))),
                Some(Err(error)) => Some(Err(broken(error, incoming.was_reused()))),
                None => None,
            },
            Kind::Http2(incoming, _) => match ready!(Pin::new(incoming).poll_frame(cx)) {
                Some(Ok(frame)) => Some(Ok(frame)),
                Some(Err(error)) => Some(Err(broken(error, false))),
                None => None,
            },
            Kind::Whole(bytes) if bytes.is_empty() => None,
            Kind::Whole(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Kind::After(first, rest) => {
                let (first, rest) = (std::mem::take(first), std::mem::replace(&mut **rest, Self::empty()));
                *self = rest;
                Some(Ok(Frame::data(first)))
            }
            Kind::Stream(stream) => ready!(stream.as_mut().poll_next(cx)).map(|next| next.map(Frame::data)),
        };
        match next {
            Some(Ok(_)) => self.settle(),
            Some(Err(_)) | None => self.kind = Kind::Whole(Bytes::new()),
        }
        Poll::Ready(next)
    }

    /// Makes room for another stream as soon as nothing more can come, not only when somebody asks for more.
    fn settle(&mut self) {
        if let Kind::Http2(incoming, stream) = &mut self.kind
            && incoming.is_end_stream()
        {
            drop(stream.take());
        }
    }
}

fn too_long(limit: usize) -> Failure {
    Failure { too_long: true, ..Failure::new(Phase::Body, format!("the reply is longer than {limit} bytes")) }
}

fn broken(error: impl std::error::Error + Send + Sync + 'static, reused: bool) -> Failure {
    let mut failure = Failure::from_source(Phase::Body, "the connection broke in the middle of the reply", error);
    failure.reused = reused;
    failure
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.poll_any(cx)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Http1(incoming) => incoming.is_over(),
            Kind::Http2(incoming, _) => incoming.is_end_stream(),
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::After(..) | Kind::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Http1(incoming) => incoming.size_hint(),
            Kind::Http2(incoming, _) => incoming.size_hint(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::After(first, rest) => match rest.size_hint().exact() {
                Some(rest) => SizeHint::with_exact(rest + first.len() as u64),
                None => SizeHint::default(),
            },
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Http1(_) | Kind::Http2(..) => "Body(wire)",
            Kind::Whole(_) => "Body(whole)",
            Kind::After(..) | Kind::Stream(_) => "Body(stream)",
        })
    }
}
