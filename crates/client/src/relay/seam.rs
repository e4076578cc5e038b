//! An answer that may be made of several ([`Stitched`]) as the body of a reply.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http_body::Frame;
use tokio::sync::watch;

use super::{Settings, Step, Stitched};
use crate::codec::dialect::{Cx, Dialect, Framing, WriteStream};
use crate::codec::{Error, Kind, Losses, Origin};
use crate::ir::Event;

/// Steps that are ready together leave together, up to about this many bytes.
const MERGE: usize = 64 * 1024;

/// Who listens to an answer on its way to the caller.
pub trait Listen: Send {
    /// What comes next, before it is told to the caller, who is told what is left in it.
    fn hear(&mut self, event: &mut Event);

    /// From here on this target answers.
    fn turn(&mut self, target: &str);

    /// The answer is whole, or ends with this error; its last bytes have not left yet. Nothing is said when the caller
    /// leaves: then it is dropped.
    fn end(&mut self, error: Option<&Error>);
}

/// The body of such a reply. Dropping it closes the provider's connection and records that the caller left.
pub struct Seam {
    pieces: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    done: bool,
}

struct Work {
    stitched: Stitched,
    writer: Box<dyn WriteStream>,
    inbound: &'static Dialect,
    framing: Framing,
    cut: watch::Receiver<bool>,
    over: bool,
    listener: Option<Box<dyn Listen>>,
}

impl Seam {
    /// The reply's body towards a caller of `inbound`, and to whoever listens.
    pub fn new(
        stitched: Stitched,
        inbound: &'static Dialect,
        cx: &Cx,
        settings: Settings,
        listener: Option<Box<dyn Listen>>,
    ) -> Self {
        let writer = inbound.downstream().write_stream(cx);
        let work = Work { stitched, writer, inbound, framing: cx.framing, cut: settings.cut, over: false, listener };
        let pieces = futures_util::stream::unfold(work, |mut work| async move {
            let mut out = Vec::new();
            while !work.over && out.is_empty() {
                work.advance(&mut out).await;
            }
            (!out.is_empty()).then(|| (Bytes::from(out), work))
        });
        Seam { pieces: Box::pin(pieces), done: false }
    }
}

impl Work {
    async fn advance(&mut self, out: &mut Vec<u8>) {
        let step = tokio::select! {
            biased;
            step = self.stitched.step() => step,
            Ok(_) = self.cut.wait_for(|cut| *cut) => {
                let what = "the gateway is shutting down; send the request again";
                let error = Error::new(Kind::Unavailable, Origin::Gateway, what);
                Some(Err(error))
            }
        };
        match step {
            Some(Ok(step)) => {
                self.write(step, out);
                while let Some(step) = if out.len() < MERGE { self.stitched.ready() } else { None } {
                    self.write(step, out);
                }
                self.stitched.call().gives(out.len());
            }
            Some(Err(error)) => {
                self.listener.iter_mut().for_each(|listener| listener.end(Some(&error)));
                self.writer.fail(&error, out);
                self.close(Some(error), out.len());
            }
            None => {
                self.listener.iter_mut().for_each(|listener| listener.end(None));
                self.writer.finish(out);
                self.close(None, out.len());
            }
        }
    }

    fn close(&mut self, error: Option<Error>, last: usize) {
        self.over = true;
        self.stitched.call().gives(last);
        self.stitched.call().close(error);
    }

    fn write(&mut self, step: Step, out: &mut Vec<u8>) {
        match step {
            Step::Event(mut event) => {
                self.listener.iter_mut().for_each(|listener| listener.hear(&mut event));
                let mut lost = Losses::default();
                self.inbound.note_lost(&event, &mut lost);
                if let Some(outcome) = self.stitched.call().outcome() {
                    outcome.losses.extend(lost);
                }
                self.writer.push(&event, out);
            }
            // A remark that readers of the dialect pass over; other framings have none.
            Step::Continued(target) if self.framing == Framing::Sse => {
                self.listener.iter_mut().for_each(|listener| listener.turn(&target));
                let plain = target.chars().map(|c| if c.is_control() { ' ' } else { c });
                out.extend(format!(": continued by {}\n\n", plain.collect::<String>()).into_bytes());
            }
            Step::Continued(target) => self.listener.iter_mut().for_each(|listener| listener.turn(&target)),
        }
    }
}

impl http_body::Body for Seam {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.done {
            return Poll::Ready(None);
        }
        let Poll::Ready(piece) = self.pieces.as_mut().poll_next(context) else { return Poll::Pending };
        self.done = piece.is_none();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }
}
