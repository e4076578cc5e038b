//! What is known when a call is over, and who is told.

mod counter;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::codec::catalog::{Cost, Models, Pieces, Work};
use crate::codec::{Error, Kind, Losses, Origin};
use crate::ir::Usage;
use crate::route::Pass;
use crate::target::Target;

pub use counter::{Copies, Counters, Snapshot};

/// One finished call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The gateway's id of the call.
    pub request_id: String,
    /// The model's name as asked for.
    pub model: String,
    /// The task that it is, if it asked for one.
    pub task: Option<String>,
    /// Who answered, `provider/model`; `None` when nobody was asked.
    pub target: Option<Arc<str>>,
    /// Every exchange of it, failed ones included, in their order.
    pub exchanges: Vec<Exchange>,
    /// Tokens, as far as they were told.
    pub usage: Option<Usage>,
    /// What it took that is not counted in tokens, as far as it was seen.
    pub pieces: Pieces,
    /// What it came to, where usage and price are known.
    pub cost: Option<Cost>,
    /// From the request's arrival to the last byte.
    pub elapsed: Duration,
    /// What went wrong.
    pub error: Option<Error>,
    /// What the translation left out.
    pub losses: Losses,
    /// The `request_id` of the call that this is a copy of: made to try a target out, and answered to nobody. Such a copy
    /// is none of the calls that anybody made.
    pub mirror_of: Option<String>,
}

/// One try against one target.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Who was asked, `provider/model`.
    pub target: Arc<str>,
    /// From the call's arrival to its begin.
    pub started: Duration,
    /// From its begin to its last byte.
    pub elapsed: Duration,
    /// Tokens, as far as they were told.
    pub usage: Option<Usage>,
    /// What went wrong.
    pub error: Option<Error>,
}

/// Is told of every call, exactly once, off no lock of the hot path.
pub trait Recorder: Send + Sync {
    /// Takes one outcome. Must not block.
    fn record(&self, outcome: Outcome);

    /// A call should have been mirrored, but its copy was not sent: too many were out, or the target did not take it. Must
    /// not block.
    fn skip_copy(&self) {}
}

/// A call that is not over yet: closes into exactly one [`Outcome`], whatever happens.
///
/// Dropped without being closed, it records that the caller left.
pub struct OpenCall {
    outcome: Option<Outcome>,
    /// At the target that answers.
    pass: Option<Pass>,
    started: Instant,
    recorder: Arc<dyn Recorder>,
    models: Arc<Models>,
}

impl OpenCall {
    /// A call that arrives now; `models` know what it will cost.
    pub fn new(request_id: String, recorder: Arc<dyn Recorder>, models: Arc<Models>) -> Self {
        let outcome = Outcome {
            request_id,
            model: String::new(),
            task: None,
            target: None,
            exchanges: Vec::with_capacity(1),
            usage: None,
            pieces: Pieces::default(),
            cost: None,
            elapsed: Duration::ZERO,
            error: None,
            losses: Losses::default(),
            mirror_of: None,
        };
        OpenCall { outcome: Some(outcome), pass: None, started: Instant::now(), recorder, models }
    }

    /// The call asks for this model.
    #[must_use]
    pub fn of(mut self, model: &str) -> Self {
        if let Some(outcome) = &mut self.outcome {
            model.clone_into(&mut outcome.model);
        }
        self
    }

    /// What is known so far; `None` once it is closed.
    pub fn outcome(&mut self) -> Option<&mut Outcome> {
        self.outcome.as_mut()
    }

    /// Its `request_id`; nothing once it is closed.
    pub(crate) fn id(&self) -> &str {
        self.outcome.as_ref().map(|outcome| outcome.request_id.as_str()).unwrap_or_default()
    }

    /// What the answer has shown.
    pub fn note(&mut self, usage: Option<Usage>, losses: &Losses) {
        if let Some(outcome) = &mut self.outcome {
            outcome.usage = usage;
            outcome.losses = Losses::clone(losses);
        }
    }

    /// What it took that is not counted in tokens.
    pub(crate) fn note_pieces(&mut self, pieces: Pieces) {
        if let Some(outcome) = &mut self.outcome {
            outcome.pieces = pieces;
        }
    }

    /// An exchange with this target begins. Gives its number.
    pub fn begin(&mut self, target: &Target) -> usize {
        let started = self.started.elapsed();
        let Some(outcome) = &mut self.outcome else { return 0 };
        let target = target.shared_name();
        outcome.target = Some(Arc::clone(&target));
        // What the one before could not be told is nobody's loss now.
        outcome.losses = Losses::default();
        outcome.exchanges.push(Exchange { target, started, elapsed: Duration::ZERO, usage: None, error: None });
        outcome.exchanges.len() - 1
    }

    /// The exchange of this number has failed.
    pub(crate) fn failed(&mut self, exchange: usize, error: &Error) {
        let now = self.started.elapsed();
        if let Some(exchange) = self.outcome.as_mut().and_then(|outcome| outcome.exchanges.get_mut(exchange)) {
            exchange.elapsed = now.saturating_sub(exchange.started);
            exchange.error = Some(error.clone());
        }
    }

    /// The exchange of this number gives the answer, which ends when the call does.
    pub(crate) fn answered(&mut self, exchange: usize, pass: Pass) {
        if let Some(outcome) = &mut self.outcome
            && let Some(answers) = outcome.exchanges.get(exchange)
        {
            outcome.target = Some(Arc::clone(&answers.target));
        }
        self.pass = Some(pass);
    }

    /// The call is over.
    pub fn close(&mut self, error: Option<Error>) {
        if let Some(mut pass) = self.pass.take() {
            let usage = self.outcome.as_ref().and_then(|outcome| outcome.usage);
            pass.settle(usage.map(|usage| usage.input.saturating_add(usage.output)));
            pass.over(error.as_ref());
        }
        if let Some(mut outcome) = self.outcome.take() {
            outcome.elapsed = self.started.elapsed();
            // Those end with the call that have not failed before: the one that answers, or, of a call that breaks off, all.
            for open in outcome.exchanges.iter_mut().filter(|exchange| exchange.error.is_none()) {
                open.elapsed = outcome.elapsed.saturating_sub(open.started);
                open.usage = outcome.usage;
                open.error.clone_from(&error);
            }
            outcome.error = error;
            let target = outcome.target.as_deref();
            outcome.cost = target.and_then(|target| price(&self.models, target, outcome.usage, outcome.pieces));
            self.recorder.record(outcome);
        }
    }
}

impl OpenCall {
    /// A copy of this call, to be recorded on its own.
    pub(crate) fn copy(&self, request_id: String, task: Option<&str>) -> Option<Self> {
        let Outcome { request_id: of, model, .. } = self.outcome.as_ref()?;
        let mut copy = OpenCall::new(request_id, Arc::clone(&self.recorder), Arc::clone(&self.models)).of(model);
        if let Some(outcome) = &mut copy.outcome {
            outcome.mirror_of = Some(of.clone());
            outcome.task = task.map(str::to_owned);
        }
        Some(copy)
    }

    /// Its copy is not sent.
    pub(crate) fn skip_copy(&self) {
        self.recorder.skip_copy();
    }

    /// It has never been a call.
    pub(crate) fn forget(&mut self) {
        self.outcome = None;
    }
}

impl OpenCall {
    /// The call is over with this error, which is given back.
    pub(crate) fn end(&mut self, error: Error) -> Error {
        self.close(Some(error.clone()));
        error
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        // Whoever left says nothing about the target.
        self.pass = None;
        let Some(outcome) = &self.outcome else { return };
        let (origin, what) = match outcome.mirror_of {
            None => (Origin::Caller, "the caller left before the answer was complete"),
            Some(_) => (Origin::Gateway, "the copy was given up before its answer was complete"),
        };
        self.close(Some(Error::new(Kind::Cancelled, origin, what)));
    }
}

/// What a call came to that ended now. Where nothing was counted, nothing is known.
pub(crate) fn price(models: &Models, target: &str, usage: Option<Usage>, pieces: Pieces) -> Option<Cost> {
    if usage.is_none() && pieces.is_empty() {
        return None;
    }
    models.cost(target, &Work { pieces, minute: minute_of_week(), ..Work::from(usage.unwrap_or_default()) })
}

/// The minute of the week in UTC: 0 is Monday 00:00. For prices that depend on the hour.
pub(crate) fn minute_of_week() -> Option<u16> {
    let minutes = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs() / 60;
    // The epoch was a Thursday.
    u16::try_from((minutes + 3 * 24 * 60) % (7 * 24 * 60)).ok()
}
