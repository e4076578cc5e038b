//! What is known when a call is over, and who is told.

mod counter;
mod label;
mod tally;
mod texts;
mod trail;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::codec::catalog::{Cost, Models, Pieces, Work};
use crate::codec::dialect::Operation;
use crate::codec::{Error, Kind, Losses, Origin, Phase, Retry};
use crate::ir::Usage;
use crate::route::Pass;
use crate::target::Target;

pub use counter::{Copies, Counters, Snapshot};
pub use label::{Label, read_tags};
pub use tally::{Tally, guess_unread, reckon_whole};
pub(crate) use tally::{guess, reckon};
pub use texts::{Said, Texts};
pub use trail::{Refused, Trail};

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
    /// Which of the gateway's keys its caller has, by its fingerprint.
    pub key: Option<Arc<str>>,
    /// For whom the call was made, as its caller says: whose data it is.
    pub user: Option<String>,
    /// What else its caller says of it, to be found again by.
    pub tags: Option<String>,
    /// Bytes of the request's body, where it was held.
    pub bytes_in: Option<u64>,
    /// Bytes of the reply's body, as far as it was given.
    pub bytes_out: u64,
    /// The task that it is, if it asked for one.
    pub task: Option<String>,
    /// Who answered, `provider/model`; `None` when nobody was asked.
    pub target: Option<Arc<str>>,
    /// Every exchange of it, failed ones included, in their order.
    pub exchanges: Vec<Exchange>,
    /// Tokens of all exchanges together: as the provider told them or, marked as estimated, as far as they can be guessed
    /// where it did not, or not to the end. `None`: none were used.
    pub usage: Option<Usage>,
    /// What it took that is not counted in tokens, as far as it was seen.
    pub pieces: Pieces,
    /// What all exchanges came to, where usage and price of each are known.
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
    /// The `request_id` of the call that this is a copy of: made to try a target out, and answered to nobody. Such a copy
    /// is none of the calls that anybody made.
    pub mirror_of: Option<String>,
    /// Handed in as a batch of the provider's, at so many hundredths of the live price where the model's row does not say.
    /// Such a call takes no time that anybody waits.
    pub batch: Option<u32>,
    /// What was said, where that is kept.
    pub texts: Option<Arc<Texts>>,
}

/// One try against one target.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Who was asked, `provider/model`.
    pub target: Arc<str>,
    /// What was spoken; `None`: nobody looked.
    pub dialect: Option<&'static str>,
    /// From the call's arrival to its begin.
    pub started: Duration,
    /// From its begin to its last byte.
    pub elapsed: Duration,
    /// Tokens: measured, or marked as estimated when the provider did not tell, or not to the end. `None`: none, because it
    /// was not reached, refused by status, or did what is not counted in tokens.
    pub usage: Option<Usage>,
    /// What these came to, where the price is known.
    pub cost: Option<Cost>,
    /// What went wrong.
    pub error: Option<Error>,
    /// The requests of it whose credential was refused, so that another one took its place: the exchange is one request
    /// more than these. `None`: its provider has only one, which stays as it is.
    pub trail: Option<Trail>,
}

impl Exchange {
    /// How many requests it was.
    pub fn requests(&self) -> usize {
        self.trail.as_ref().map_or(0, Trail::len) + 1
    }
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
    /// The number of the exchange that answers.
    answering: usize,
    started: Instant,
    recorder: Arc<dyn Recorder>,
    models: Arc<Models>,
    /// About how many tokens the prompt has; `None`: it is not what counts.
    prompt: Option<u64>,
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
            key: None,
            user: None,
            tags: None,
            bytes_in: None,
            bytes_out: 0,
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
            mirror_of: None,
            batch: None,
            texts: None,
        };
        OpenCall { outcome: Some(outcome), pass: None, answering: 0, started: Instant::now(), recorder, models, prompt: None }
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

    /// Its `request_id`; nothing once it is closed.
    pub(crate) fn id(&self) -> &str {
        self.outcome.as_ref().map(|outcome| outcome.request_id.as_str()).unwrap_or_default()
    }

    /// The prompt has about so many tokens, which count where nobody tells how many there are.
    pub fn prompt(&mut self, tokens: u64) {
        self.prompt = Some(tokens.max(1));
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

    /// So much more of the reply's body is given to the caller. What is given after the call is over does not count.
    pub fn gives(&mut self, bytes: usize) {
        if let Some(outcome) = &mut self.outcome {
            outcome.bytes_out += bytes as u64;
        }
    }

    /// An exchange with this target begins. Gives its number.
    pub fn begin(&mut self, target: &Target) -> usize {
        let started = self.started.elapsed();
        let Some(outcome) = &mut self.outcome else { return 0 };
        let dialect = outcome.operation.and_then(|operation| target.speaks(outcome.dialect, operation));
        let (target, trail) = (target.shared_name(), target.trail().cloned());
        outcome.target = Some(Arc::clone(&target));
        // What the one before could not be told is nobody's loss now.
        outcome.losses = Losses::default();
        outcome.usage = None;
        let elapsed = Duration::ZERO;
        outcome.exchanges.push(Exchange { target, dialect, started, elapsed, usage: None, cost: None, error: None, trail });
        outcome.exchanges.len() - 1
    }

    /// The exchange of this number has failed, after it had used so much.
    pub fn failed(&mut self, exchange: usize, error: &Error, used: Option<Usage>) {
        let now = self.started.elapsed();
        let used = if used.is_none() && is_unused(error) { None } else { self.spent(used) };
        if let Some(exchange) = self.outcome.as_mut().and_then(|outcome| outcome.exchanges.get_mut(exchange)) {
            exchange.elapsed = now.saturating_sub(exchange.started);
            exchange.error = Some(error.clone());
            exchange.usage = used;
            exchange.cost = price(&self.models, &exchange.target, used, Pieces::default());
        }
    }

    /// The answer that was begun has broken off, after it had used so much; somebody else may go on with it.
    pub(crate) fn broke_off(&mut self, error: &Error, used: Usage) {
        if let Some(mut pass) = self.pass.take() {
            pass.settle(Some(used.total()));
            pass.over(Some(error));
        }
        self.failed(self.answering, error, Some(used));
    }

    /// What an exchange has used that has told or shown this.
    pub(crate) fn spent(&self, used: Option<Usage>) -> Option<Usage> {
        let Some(prompt) = self.prompt else { return used };
        match used {
            None => Some(Usage { input: prompt, estimated: true, ..Usage::default() }),
            Some(used) if used.estimated && used.input == 0 => Some(Usage { input: prompt, ..used }),
            told => told,
        }
    }

    /// The exchange of this number gives the answer, which ends when the call does.
    pub(crate) fn answered(&mut self, exchange: usize, pass: Pass) {
        if let Some(outcome) = &mut self.outcome {
            outcome.first = Some(self.started.elapsed());
            if let Some(answers) = outcome.exchanges.get(exchange) {
                outcome.target = Some(Arc::clone(&answers.target));
            }
        }
        self.pass = Some(pass);
        self.answering = exchange;
    }

    /// The call is over.
    pub fn close(&mut self, error: Option<Error>) {
        let used = self.outcome.as_ref().and_then(|outcome| self.spent(outcome.usage));
        if let Some(mut pass) = self.pass.take() {
            pass.settle(used.map(|used| used.total()));
            pass.over(error.as_ref());
        }
        let Some(mut outcome) = self.outcome.take() else { return };
        outcome.elapsed = if outcome.batch.is_some() { Duration::ZERO } else { self.started.elapsed() };
        // Those end with the call that have not failed before: the one that answers, or, of a call that breaks off, all.
        for open in outcome.exchanges.iter_mut().filter(|exchange| exchange.error.is_none()) {
            open.elapsed = outcome.elapsed.saturating_sub(open.started);
            open.usage = used;
            open.cost = match outcome.batch {
                None => price(&self.models, &open.target, used, outcome.pieces),
                Some(percent) => used.and_then(|used| self.models.batch_cost(&open.target, &Work::from(used), percent)),
            };
            open.error.clone_from(&error);
        }
        outcome.error = error;
        match outcome.exchanges.as_slice() {
            [] => outcome.cost = outcome.target.as_deref().and_then(|it| price(&self.models, it, outcome.usage, outcome.pieces)),
            [one] => (outcome.usage, outcome.cost) = (one.usage, one.cost),
            many => (outcome.usage, outcome.cost) = (sum_usage(many), sum_cost(many)),
        }
        if outcome.cost.is_some() {
            let row = outcome.target.as_deref().and_then(|target| target.split_once('/'));
            let row = row.and_then(|(provider, model)| self.models.find(provider, model));
            outcome.price_date = row.map(|row| row.date.clone()).filter(|date| !date.is_empty());
        }
        self.recorder.record(outcome);
    }
}

/// What all exchanges have used.
fn sum_usage(exchanges: &[Exchange]) -> Option<Usage> {
    exchanges.iter().filter_map(|exchange| exchange.usage).reduce(Usage::plus)
}

/// What all exchanges came to; not known when one of them is not.
fn sum_cost(exchanges: &[Exchange]) -> Option<Cost> {
    let mut sum: Option<Cost> = None;
    for exchange in exchanges.iter().filter(|exchange| exchange.usage.is_some() || exchange.cost.is_some()) {
        let cost = exchange.cost?;
        sum = Some(match sum {
            None => cost,
            Some(sum) if sum.currency == cost.currency => Cost { micros: sum.micros.saturating_add(cost.micros), ..cost },
            Some(_) => return None,
        });
    }
    sum
}

/// Whether an exchange that ended like this, before its answer began, has used nothing: it was not reached, was refused,
/// or was not sent at all.
pub(crate) fn is_unused(error: &Error) -> bool {
    let may_be_used = match error.kind {
        Kind::Timeout | Kind::Cancelled => true,
        // What no waiting mends is that there is no credential: nothing was sent.
        Kind::Unavailable => error.retry != Retry::Never,
        Kind::Network | Kind::Truncated | Kind::Malformed | Kind::Server => error.provider.is_some(),
        _ => false,
    };
    error.status.is_some() || error.phase == Some(Phase::Connect) || !may_be_used
}

impl OpenCall {
    /// A copy of this call, to be recorded on its own.
    pub(crate) fn copy(&self, request_id: String, task: Option<&str>) -> Option<Self> {
        let Outcome { request_id: of, model, operation, dialect, key, user, tags, .. } = self.outcome.as_ref()?;
        let mut copy = OpenCall::new(request_id, Arc::clone(&self.recorder), Arc::clone(&self.models));
        copy.prompt = self.prompt;
        if let Some(outcome) = &mut copy.outcome {
            outcome.mirror_of = Some(of.clone());
            outcome.model.clone_from(model);
            (outcome.operation, outcome.dialect) = (*operation, *dialect);
            (outcome.key, outcome.user, outcome.tags) = (key.clone(), user.clone(), tags.clone());
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
