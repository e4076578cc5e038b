//! What is known when a call is over, and who is told.

mod counter;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::codec::catalog::{Cost, Models, Pieces, Work};
use crate::codec::dialect::Operation;
use crate::codec::{Error, Kind, Losses, Origin};
use crate::ir::Usage;
use crate::route::Pass;
use crate::target::Target;

pub use counter::{Counters, Snapshot};

/// One finished call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The gateway's id of the call.
    pub request_id: String,
    /// When it arrived, by the clock on the wall: `started` and `elapsed` count from here.
    pub begun: SystemTime,
    /// The model's name as asked for.
    pub model: String,
    /// What was asked for; bills differ by it. `None`: passed through, and not looked at.
    pub operation: Option<Operation>,
    /// What the caller speaks; `None` for calls of a program's own.
    pub dialect: Option<&'static str>,
    /// Whether the answer goes out in pieces: only then does [`Outcome::first`] say how long somebody waited.
    pub streamed: bool,
    /// For whom the call was made, as its caller says: whose data it is.
    pub user: Option<String>,
    /// What else its caller says of it, to be found again by.
    pub tags: Option<String>,
    /// Bytes of the request's body, where it was held.
    pub bytes_in: Option<u64>,
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
    /// The day on which the price was looked up that was applied: its version.
    pub price_date: Option<String>,
    /// From the request's arrival to the beginning of the answer: of its body where it is streamed.
    pub first: Option<Duration>,
    /// From the request's arrival to the last byte.
    pub elapsed: Duration,
    /// What went wrong.
    pub error: Option<Error>,
    /// What the translation left out.
    pub losses: Losses,
}

/// One try against one target.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Who was asked, `provider/model`.
    pub target: Arc<str>,
    /// In which dialect, where the gateway chose it: with the caller's it tells the lane.
    pub dialect: Option<&'static str>,
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
            begun: SystemTime::now(),
            model: String::new(),
            operation: None,
            dialect: None,
            streamed: false,
            user: None,
            tags: None,
            bytes_in: None,
            task: None,
            target: None,
            exchanges: Vec::with_capacity(1),
            usage: None,
            pieces: Pieces::default(),
            cost: None,
            price_date: None,
            first: None,
            elapsed: Duration::ZERO,
            error: None,
            losses: Losses::default(),
        };
        OpenCall { outcome: Some(outcome), pass: None, started: Instant::now(), recorder, models }
    }

    /// The call asks for this, and of this model.
    #[must_use]
    pub fn of(mut self, operation: Operation, model: &str) -> Self {
        if let Some(outcome) = &mut self.outcome {
            outcome.operation = Some(operation);
            model.clone_into(&mut outcome.model);
        }
        self
    }

    /// What is known so far; `None` once it is closed.
    pub fn outcome(&mut self) -> Option<&mut Outcome> {
        self.outcome.as_mut()
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

    /// An exchange with this target begins.
    pub fn begin(&mut self, target: &Target) {
        let started = self.started.elapsed();
        if let Some(outcome) = &mut self.outcome {
            let target = target.shared_name();
            outcome.target = Some(Arc::clone(&target));
            // What the one before could not be told is nobody's loss now.
            outcome.losses = Losses::default();
            outcome.exchanges.push(Exchange {
                target,
                dialect: None,
                started,
                elapsed: Duration::ZERO,
                usage: None,
                error: None,
            });
        }
    }

    /// The exchange that was begun speaks this dialect.
    pub fn speak(&mut self, dialect: &'static str) {
        if let Some(exchange) = self.outcome.as_mut().and_then(|outcome| outcome.exchanges.last_mut()) {
            exchange.dialect = Some(dialect);
        }
    }

    /// The exchange that was begun has failed.
    pub fn failed(&mut self, error: &Error) {
        let now = self.started.elapsed();
        if let Some(exchange) = self.outcome.as_mut().and_then(|outcome| outcome.exchanges.last_mut()) {
            exchange.elapsed = now.saturating_sub(exchange.started);
            exchange.error = Some(error.clone());
        }
    }

    /// The exchange that was begun gives the answer, which ends when the call does.
    pub fn answered(&mut self, pass: Pass) {
        self.pass = Some(pass);
        if let Some(outcome) = &mut self.outcome {
            outcome.first = Some(self.started.elapsed());
        }
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
            // The last exchange ends with the call, unless it had failed before.
            if let Some(last) = outcome.exchanges.last_mut().filter(|last| last.error.is_none()) {
                last.elapsed = outcome.elapsed.saturating_sub(last.started);
                last.usage = outcome.usage;
                last.error.clone_from(&error);
            }
            outcome.error = error;
            let target = outcome.target.as_deref();
            outcome.cost = target.and_then(|target| price(&self.models, target, outcome.usage, outcome.pieces));
            if outcome.cost.is_some() {
                let row = target.and_then(|target| target.split_once('/'));
                let row = row.and_then(|(provider, model)| self.models.find(provider, model));
                outcome.price_date = row.map(|row| row.date.clone()).filter(|date| !date.is_empty());
            }
            self.recorder.record(outcome);
        }
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
        if self.outcome.is_some() {
            self.close(Some(Error::new(Kind::Cancelled, Origin::Caller, "the caller left before the answer was complete")));
        }
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
