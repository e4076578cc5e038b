//! Keeps the beginning of a streamed answer back, so that an error in it is nobody's business but ours: the next target can
//! be asked as long as the caller has seen nothing.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::{Reader, stalled};
use crate::codec::dialect::Framing;
use crate::codec::{Error, Origin, Phase};
use crate::config::HoldBack;
use crate::exchange::{Answer, Failed, Lane, explain};
use crate::ir::{Delta, Event};
use crate::monitor::Tally;
use crate::transport::{Body, Failure};

/// How much is kept back, and the most that may be.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// Until what.
    pub until: HoldBack,
    /// The longest frame.
    pub frame_limit: usize,
    /// The most bytes.
    pub limit: usize,
    /// Seconds without a byte after which the provider is given up.
    pub idle_seconds: u64,
    /// When what is waited for first must be there: the first byte, or the first token if the answer is held until then.
    pub first_by: Option<Instant>,
}

impl Hold {
    /// The next bytes of an answer of which some have come, or not (`begun`).
    async fn chunk(&self, body: &mut Body, begun: bool) -> Result<Option<Result<Bytes, Failure>>, Error> {
        let idle = Duration::from_secs(self.idle_seconds);
        let first_by = self.first_by.filter(|_| !begun || self.until == HoldBack::FirstToken);
        let left = first_by.map(|by| by.saturating_duration_since(Instant::now())).filter(|left| *left < idle);
        tokio::time::timeout(left.unwrap_or(idle), body.chunk()).await.map_err(|_| match left {
            Some(_) => Error::timeout(Phase::FirstByte, Origin::Provider, "did not begin its answer in time"),
            None => stalled(self.idle_seconds),
        })
    }
}

/// The same answer, which is a stream, once as much of it has come as `hold` says; what has come is its body's beginning.
/// `framing` is that of the caller's stream, which the provider's has in the same lane.
///
/// # Errors
/// The provider's, or that the answer broke off, before that.
pub async fn hold(answer: Answer, framing: Framing, hold: Hold) -> Result<Answer, Failed> {
    let Hold { until, frame_limit, limit, .. } = hold;
    match until {
        HoldBack::None => return Ok(answer),
        HoldBack::FirstByte => return Ok(first_byte(answer, hold).await?),
        HoldBack::FirstToken | HoldBack::Bytes(_) | HoldBack::Ms(_) | HoldBack::All => {}
    }
    let reader = match answer.lane {
        Lane::Same => Reader::framed(&answer, framing, frame_limit),
        Lane::Translate => Reader::new(&answer, frame_limit),
    };
    let mut held = Held { reader, bytes: BytesMut::new(), events: Vec::new(), tally: Tally::default() };
    let Answer { mut body, target, .. } = answer;
    let time = async {
        match until {
            HoldBack::Ms(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            _ => std::future::pending().await,
        }
    };
    let mut time = std::pin::pin!(time);
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = hold.chunk(&mut body, !held.bytes.is_empty()) => chunk,
            () = &mut time => break,
        };
        let chunk = chunk.map_err(|error| held.failed(target.service.sign(error)))?;
        let failed = |failure: Failure| explain(&failure, &target);
        let taken = held.take(chunk, until, limit, failed);
        match taken.map_err(|error| held.failed(target.service.sign(error)))? {
            Step::More => {}
            Step::Enough => break,
            Step::Whole => {
                body = Body::empty();
                break;
            }
        }
    }
    Ok(Answer { body: body.after(held.bytes.freeze()), target, ..answer })
}

/// What nearly all calls do: nothing is read that the relay will not read again.
async fn first_byte(mut answer: Answer, hold: Hold) -> Result<Answer, Error> {
    let first = hold.chunk(&mut answer.body, false).await;
    let service = &answer.target.service;
    let first = match first.map_err(|error| service.sign(error))? {
        Some(first) => first.map_err(|failure| service.sign(explain(&failure, &answer.target)))?,
        None => return Err(service.sign(Error::truncated("the answer stopped before it began"))),
    };
    Ok(Answer { body: answer.body.after(first), ..answer })
}

struct Held {
    reader: Reader,
    bytes: BytesMut,
    events: Vec<Event>,
    tally: Tally,
}

enum Step {
    More,
    Enough,
    /// The answer has ended, and well.
    Whole,
}

impl Held {
    /// It has failed after what came.
    fn failed(&self, error: Error) -> Failed {
        let used = (!self.tally.is_empty()).then(|| self.tally.usage());
        Failed { used, ..error.into() }
    }

    fn take(
        &mut self,
        chunk: Option<Result<Bytes, Failure>>,
        until: HoldBack,
        limit: usize,
        failed: impl FnOnce(Failure) -> Error,
    ) -> Result<Step, Error> {
        let chunk = match chunk {
            Some(Ok(chunk)) => chunk,
            // Whole all the same, if the dialect's own end has been seen.
            Some(Err(failure)) => return self.reader.finish(&mut self.events).map(|()| Step::Whole).map_err(|_| failed(failure)),
            None => return self.reader.finish(&mut self.events).map(|()| Step::Whole),
        };
        self.bytes.extend_from_slice(&chunk);
        let fed = self.reader.feed(&chunk, &mut self.events);
        let mut spoken = false;
        for event in self.events.drain(..) {
            spoken |= speaks(&event);
            self.tally.hear(&event);
        }
        // What follows a word in one packet is as late as what follows it in the next.
        if !(spoken && until == HoldBack::FirstToken) {
            fed?;
        }
        let enough = match until {
            HoldBack::None | HoldBack::FirstByte => true,
            HoldBack::FirstToken => spoken,
            HoldBack::Bytes(bytes) => self.bytes.len() >= bytes,
            HoldBack::Ms(_) | HoldBack::All => false,
        };
        // Memory comes before secrecy.
        Ok(if enough || self.bytes.len() >= limit { Step::Enough } else { Step::More })
    }
}

/// Whether the model has said something.
fn speaks(event: &Event) -> bool {
    match event {
        Event::Delta {
            delta: Delta::Text(text) | Delta::Arguments(text) | Delta::Audio(text) | Delta::Transcript(text), ..
        } => !text.is_empty(),
        Event::PartStart { start: crate::ir::PartStart::Whole { .. }, .. } | Event::Finish { .. } | Event::End => true,
        _ => false,
    }
}
