//! An answer of any kind as the body of a reply: bytes as they come, sound and pictures too, with an eye on the usage.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::patience::{Patience, Settings};
use crate::codec::dialect::{Cx, Dialect, operation::Watch};
use crate::codec::{Error, Origin};
use crate::exchange::explain;
use crate::monitor::OpenCall;
use crate::target::Target;
use crate::transport::Body;

/// The body of a forwarded reply. Dropping it closes the provider's connection and records that the caller left.
///
/// When it breaks, an event stream ends with an error event; any other body ends in an error, which makes the server
/// break the connection, because half a picture must not look like a whole one.
pub struct Flow {
    body: Body,
    target: Target,
    call: OpenCall,
    watch: Option<Watch>,
    events: Option<(&'static Dialect, Cx)>,
    patience: Patience,
    /// What breaks the connection, once what came before it has left.
    broken: Option<Error>,
    done: bool,
}

impl Flow {
    /// The body of a reply that `target` gave.
    pub fn new(body: Body, target: Target, call: OpenCall, settings: Settings) -> Self {
        let done = body.is_end_stream();
        let patience = Patience::new(settings);
        let mut flow = Flow { body, target, call, watch: None, events: None, patience, broken: None, done: false };
        if done {
            flow.close(None);
        }
        flow
    }

    /// Looks for the usage, as an answer of `dialect` tells it.
    #[must_use]
    pub fn watch(mut self, dialect: &str) -> Self {
        self.watch = Some(Watch::new(dialect));
        self
    }

    /// It is an event stream: an error is told as an event of this dialect.
    #[must_use]
    pub fn events(mut self, dialect: &'static Dialect, cx: Cx) -> Self {
        self.events = Some((dialect, cx));
        self
    }

    fn note(&mut self) {
        let usage = self.watch.as_ref().and_then(Watch::usage);
        if let Some(outcome) = self.call.outcome() {
            outcome.usage = usage.or(outcome.usage);
        }
    }

    fn close(&mut self, error: Option<Error>) {
        self.done = true;
        self.note();
        self.call.close(error);
        self.body = Body::empty();
    }

    /// The answer broke; gives what is to be told of it.
    fn fail(&mut self, error: Error, context: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let error = if error.origin == Origin::Gateway { error } else { self.target.service.sign(error) };
        let told = match &self.events {
            Some((dialect, cx)) => {
                // Half an event may have gone out; an empty line ends it.
                let mut bytes = b"\n\n".to_vec();
                bytes.extend(dialect.downstream().write_stream_error(&error, cx));
                self.call.gives(bytes.len());
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes)))))
            }
            None => {
                // The server throws away what it has not sent when it breaks the connection; waiting once, it sends it.
                self.broken = Some(error.clone());
                context.waker().wake_by_ref();
                Poll::Pending
            }
        };
        self.close(Some(error));
        told
    }
}

impl http_body::Body for Flow {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        while !this.done {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.patience.renew();
                    let Ok(chunk) = frame.into_data() else { continue };
                    this.call.gives(chunk.len());
                    if let Some(watch) = &mut this.watch {
                        watch.feed(&chunk);
                    }
                    // A body whose length is known is not asked again once that many bytes are there.
                    if this.body.is_end_stream() || this.body.size_hint().exact() == Some(0) {
                        this.close(None);
                    }
                    if !chunk.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(chunk))));
                    }
                }
                Poll::Ready(Some(Err(failure))) => {
                    let error = explain(&failure, &this.target);
                    return this.fail(error, context);
                }
                Poll::Ready(None) => this.close(None),
                Poll::Pending => match this.patience.run_out(context) {
                    Some(error) => return this.fail(error, context),
                    None => return Poll::Pending,
                },
            }
        }
        Poll::Ready(this.broken.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.done && self.broken.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() { SizeHint::with_exact(0) } else { self.body.size_hint() }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.note();
    }
}
