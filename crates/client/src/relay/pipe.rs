//! A streamed answer as the body of a reply: same lane or translated, observed, cut short when it must be.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::Frame;

use super::Reader;
use super::patience::{Patience, Settings};
use super::sift::Sift;
use crate::codec::dialect::{Cx, Dialect, Upstream, WriteStream};
use crate::codec::{Error, Losses, Origin};
use crate::exchange::{Answer, Lane, explain};
use crate::ir::Event;
use crate::monitor::{OpenCall, Tally};
use crate::target::Target;
use crate::transport::Body;

/// Frames that are ready together leave together, up to about this many bytes.
const MERGE: usize = 64 * 1024;

/// The body of a streamed reply. Dropping it closes the provider's connection and records that the caller left.
pub struct Pipe {
    body: Body,
    stage: Stage,
    inbound: &'static Dialect,
    upstream: &'static dyn Upstream,
    target: Target,
    cx: Cx,
    call: OpenCall,
    done: bool,
    patience: Patience,
}

enum Stage {
    Same(Sift),
    Translate(Translation),
}

struct Translation {
    reader: Reader,
    writer: Box<dyn WriteStream>,
    inbound: &'static Dialect,
    events: Vec<Event>,
    tally: Tally,
    /// What the caller's dialect had no words for: the head is long gone when it is known.
    losses: Losses,
}

impl Pipe {
    /// The reply's body for `answer` towards a caller of `inbound`.
    pub fn new(answer: Answer, inbound: &'static Dialect, cx: Cx, call: OpenCall, settings: Settings) -> Self {
        let quirks = answer.target.quirks();
        let stage = match answer.lane {
            Lane::Same => {
                let observe = answer.dialect.upstream.observe(quirks);
                Stage::Same(Sift::new(observe, cx.framing, answer.drop_usage, settings.frame_limit))
            }
            Lane::Translate => Stage::Translate(Translation {
                reader: Reader::new(&answer, settings.frame_limit),
                writer: inbound.downstream().write_stream(&cx),
                inbound,
                events: Vec::new(),
                tally: Tally::default(),
                losses: Losses::default(),
            }),
        };
        Pipe {
            body: answer.body,
            stage,
            inbound,
            upstream: answer.dialect.upstream,
            target: answer.target,
            cx,
            call,
            done: false,
            patience: Patience::new(settings),
        }
    }

    /// Takes what has come; what may leave is added to `out`.
    fn feed(&mut self, chunk: Bytes, out: &mut Merge) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Same(sift) => {
                let (piece, fed) = sift.feed(chunk);
                out.push(piece);
                fed.map_err(|long| Error::malformed(long.to_string()))?;
            }
            Stage::Translate(translation) => {
                let fed = translation.reader.feed(&chunk, &mut translation.events);
                translation.write(out.many());
                fed?;
            }
        }
        Ok(())
    }

    /// The provider's stream has ended.
    fn finish(&mut self, out: &mut Merge) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Same(sift) => {
                out.push(sift.finish());
                let service = &self.target.service;
                if let Some(fault) = sift.fault(self.upstream.read_stream(self.target.quirks())) {
                    if !sift.is_told() {
                        return Err(fault);
                    }
                    let fault = service.sign(fault);
                    self.close(Some(fault), out);
                    return Ok(());
                }
                if !sift.observe.is_complete() {
                    return Err(Error::truncated("the answer stopped before its end"));
                }
            }
            Stage::Translate(translation) => {
                let finished = translation.reader.finish(&mut translation.events);
                translation.write(out.many());
                finished?;
                let mut tail = Vec::new();
                translation.writer.finish(&mut tail);
                out.many().extend_from_slice(&tail);
            }
        }
        self.close(None, out);
        Ok(())
    }

    /// Ends the reply with the error in the caller's dialect, never with a terminator of success.
    fn fail(&mut self, error: Error, out: &mut Merge) {
        let error = if error.origin == Origin::Gateway { error } else { self.target.service.sign(error) };
        let mut frame = Vec::new();
        match &mut self.stage {
            Stage::Same(sift) if sift.is_unbegun() => self.inbound.downstream().write_stream(&self.cx).fail(&error, &mut frame),
            Stage::Same(_) => frame = self.inbound.downstream().write_stream_error(&error, &self.cx),
            Stage::Translate(translation) => translation.writer.fail(&error, &mut frame),
        }
        out.many().extend_from_slice(&frame);
        self.close(Some(error), out);
    }

    /// The reply ends with `last`.
    fn close(&mut self, error: Option<Error>, last: &Merge) {
        self.done = true;
        self.call.gives(last.len());
        self.note(error.is_some());
        self.call.close(error);
        self.body = Body::empty();
    }

    /// Tells the outcome what the stream has shown, whose end, if it has come, is that of an answer that is `broken` or not.
    fn note(&mut self, broken: bool) {
        let Some(outcome) = self.call.outcome() else { return };
        match &mut self.stage {
            Stage::Same(sift) => outcome.usage = Some(sift.used(broken)),
            Stage::Translate(translation) => {
                outcome.usage = Some(translation.tally.usage());
                outcome.losses.extend(std::mem::take(&mut translation.losses));
            }
        }
    }
}

impl Translation {
    /// Writes the events that have come.
    fn write(&mut self, out: &mut BytesMut) {
        if self.events.is_empty() {
            return;
        }
        let mut bytes = Vec::with_capacity(256 * self.events.len().min(64));
        for event in self.events.drain(..) {
            self.tally.hear(&event);
            self.inbound.note_lost(&event, &mut self.losses);
            self.writer.push(&event, &mut bytes);
        }
        out.extend_from_slice(&bytes);
    }
}

impl http_body::Body for Pipe {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let mut out = Merge::default();
        while !this.done && out.len() < MERGE {
            let fault = match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.patience.renew();
                    frame.into_data().map_or(Ok(()), |chunk| this.feed(chunk, &mut out))
                }
                // Whole all the same, if the dialect's own end has been seen.
                Poll::Ready(Some(Err(failure))) => this.finish(&mut out).map_err(|_| explain(&failure, &this.target)),
                Poll::Ready(None) => this.finish(&mut out),
                Poll::Pending if !out.is_empty() => break,
                Poll::Pending => match this.patience.run_out(context) {
                    Some(error) => this.finish(&mut out).map_err(|_| error),
                    None => return Poll::Pending,
                },
            };
            if let Err(error) = fault {
                this.fail(error, &mut out);
            }
        }
        let bytes = out.take();
        self.call.gives(bytes.len());
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if !self.done {
            let read = || self.upstream.read_stream(self.target.quirks());
            let broken = matches!(&self.stage, Stage::Same(sift) if sift.fault(read()).is_some());
            self.note(broken);
        }
    }
}

/// Pieces that leave together: one stays as it is, several become one.
#[derive(Default)]
struct Merge {
    one: Bytes,
    many: BytesMut,
}

impl Merge {
    fn len(&self) -> usize {
        self.one.len() + self.many.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.one = piece;
        } else {
            self.many().extend_from_slice(&piece);
        }
    }

    fn many(&mut self) -> &mut BytesMut {
        let one = std::mem::take(&mut self.one);
        self.many.extend_from_slice(&one);
        &mut self.many
    }

    fn take(self) -> Bytes {
        if self.one.is_empty() { self.many.freeze() } else { self.one }
    }
}
