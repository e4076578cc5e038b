//! Copies of calls for a target that is tried out (*mirroring*): its answers are read to their end, recorded, and given to
//! nobody. A copy has one exchange; it waits for nothing, and nothing waits for it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Buf as _;
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use super::leg::{Entry, Leg};
use super::standing::Fitness;
use super::tries::{Rules, Tries, admit};
use crate::client::Client;
use crate::exchange::Failed;
use crate::monitor::OpenCall;
use crate::target::Target;

/// Copies that one client has out at once; a gateway has a client for each of its threads.
const MOST: usize = 64;

/// The copies that a client has out.
#[derive(Debug, Default)]
pub(crate) struct Shadows(AtomicUsize);

impl Shadows {
    fn slot(self: &Arc<Self>, until: Instant) -> Option<Slot> {
        let slot = Slot { shadows: Arc::clone(self), until };
        // A slot that is too much gives itself back.
        (self.0.fetch_add(1, Relaxed) < MOST).then_some(slot)
    }
}

/// A copy's place among those that are out, and its time.
#[derive(Debug)]
pub struct Slot {
    shadows: Arc<Shadows>,
    until: Instant,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shadows.0.fetch_sub(1, Relaxed);
    }
}

impl Slot {
    /// Reads an answer to its end, and throws it away: at most so many bytes, in the time that the copy has. What is longer
    /// than that is dropped, which closes its connection.
    pub async fn read_out<B: http_body::Body>(self, body: B, limit: usize) {
        let mut body = pin!(body);
        let reading = async {
            let mut read = 0_usize;
            while let Some(Ok(frame)) = body.frame().await {
                read = read.saturating_add(frame.data_ref().map_or(0, B::Data::remaining));
                if read > limit {
                    return;
                }
            }
        };
        self.within(reading).await;
    }

    /// The work, as long as the copy has time.
    pub(crate) async fn within(self, work: impl Future<Output = ()>) {
        let _ = tokio::time::timeout_at(self.until, work).await;
    }
}

/// A copy of a call that may go out now.
pub struct Shadow {
    entry: Entry,
    call: OpenCall,
    slot: Slot,
}

impl Client {
    /// The copy of `call`, if one is to be sent and may be sent now; `id` makes its id. Whoever gets it answers it in a
    /// task of its own.
    pub fn shadow(&self, tries: &mut Tries, call: &OpenCall, id: impl FnOnce() -> String) -> Option<Shadow> {
        let target = tries.mirror.take()?;
        let shadow = self.cast(target, tries, call, id);
        if shadow.is_none() {
            call.skip_copy();
        }
        shadow
    }

    fn cast(&self, target: Target, tries: &Tries, call: &OpenCall, id: impl FnOnce() -> String) -> Option<Shadow> {
        let (clock, now) = (tries.clock(), Instant::now());
        let rules = Rules { hedge: None, continues: false, ..*tries.rules() };
        let slot = self.shadows().slot(now + rules.deadline)?;
        let fitness = target.look(rules.streamed, clock.ticks()).fitness;
        if !matches!(fitness, Fitness::Fit | Fitness::Recovering(_)) {
            return None;
        }
        let pass = admit(&target, &mut None, &rules, clock).ok()?;
        target.standing().learned().take(rules.tokens);
        target.standing().earn(rules.retry_percent);
        let mut call = call.copy(id(), tries.task())?;
        let mut entry = rules.entry(target, (rules.deadline, rules.all), (pass, 0));
        entry.out.exchange = call.begin(&entry.leg.target);
        Some(Shadow { entry, call, slot })
    }
}

impl Shadow {
    /// The id of its outcome.
    pub fn id(&self) -> &str {
        self.call.id()
    }

    /// It is not sent after all.
    pub fn skip(mut self) {
        self.call.forget();
        self.call.skip_copy();
    }

    /// The answer to it, if it is a good one, with its call, which is still open; `ask` makes the exchange.
    pub async fn answer<T, F>(self, ask: impl FnOnce(Leg) -> F) -> Option<(T, OpenCall, Slot)>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let Shadow { entry: Entry { leg, time, out, .. }, mut call, slot } = self;
        let work = pin!(ask(leg));
        match time.within(work).await {
            Ok(answer) => {
                call.answered(out.exchange, out.answered());
                Some((answer, call, slot))
            }
            Err(failed) => {
                call.failed(out.exchange, &failed.error, failed.used);
                out.failed(&failed);
                call.close(Some(failed.error));
                None
            }
        }
    }
}
