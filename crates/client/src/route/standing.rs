//! How a target stands: whether it is fit, rests, is on trial or recovers, how many calls it has now, and how fast it is.
//!
//! ```text
//!             asked to wait, or failing over and over                  the rest is over: one call goes
//!   fit ──────────────────────────────────────────────► at rest ─────────────────────────────────────► on trial
//!    ▲                                                     ▲                      bad                     │
//!    │                                                     └──────────────────────────────────────────────┤ good
//!    └──────────────────────── calls let in one by one more, or for a while ◄── recovering ◄──────────────┘
//! ```
//!
//! A rest is *soft* as long as the target is only suspected: then it is asked when nobody else is fit. It is *hard* when
//! the provider has asked for silence several times in a row: then nobody calls before it is over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::budget::Budget;
use super::latency::Latency;
use super::limit::{Learned, Seat};
use crate::clock::Clock;
use crate::codec::{Error, Kind, Origin, Retry};

/// Answers in a row that ask for silence, after which nobody calls any more.
const HARD_AFTER: u32 = 3;
/// Failures in a row, or among the latest [`WINDOW`] answers, after which a target is suspected.
const TRIP_RUN: u32 = 5;
const WINDOW: u32 = 20;
const TRIP_SHARE: u32 = 10;
/// The rest of a target that fails; each time that its trial fails, too, it doubles.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The rest of a target that asks for silence and does not say for how long.
const UNTOLD_REST: Duration = Duration::from_secs(1);
/// The longest silence that is kept without asking again.
const LONGEST_SILENCE: Duration = Duration::from_secs(10 * 60);
/// How long the one call of a trial is waited for.
const TRIAL: Duration = Duration::from_secs(30);
/// How long a target that has recovered is treated with care.
const CARE: Duration = Duration::from_secs(10);
/// Calls at once after which a target that asked for silence is let go.
const LET_GO: u32 = 64;

/// How one target stands, for all calls together.
#[derive(Debug, Default)]
pub struct Standing {
    state: Mutex<State>,
    /// Told when calls that wait for this target had better look again.
    changed: Notify,
    /// What its provider tells of its own limits.
    learned: Learned,
}

#[derive(Debug, Default)]
struct State {
    in_flight: u32,
    /// Of these: those whose answer has not begun.
    waiting: u32,
    /// For whole answers, and for streams.
    latency: [Latency; 2],
    /// While calls are out: when the last answer came, or the first of them went.
    quiet_since: Option<Duration>,
    failures: Failures,
    rest: Option<Rest>,
    /// Rests without a good answer between them.
    strikes: u32,
    /// Since when one call is out to see.
    on_trial: Option<Duration>,
    recovering: Option<Recovering>,
    budget: Budget,
}

/// The latest answers.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    /// In a row.
    run: u32,
    /// In a row, those that ask for silence.
    throttled: u32,
    /// A bit each, the latest lowest.
    recent: u32,
}

#[derive(Clone, Debug)]
struct Rest {
    since: Duration,
    until: Duration,
    hard: bool,
    why: String,
}

#[derive(Clone, Copy, Debug)]
struct Recovering {
    since: Duration,
    /// Calls at once; `None`: as many as there are.
    at_once: Option<u32>,
}

/// What is seen of a target at one moment.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Fit, or why not.
    pub fitness: Fitness,
    /// Calls that are out.
    pub in_flight: u32,
    /// What the next answer may be expected to take, whole or streamed as was asked.
    pub latency: Option<Duration>,
}

/// Whether a target is fit for calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fitness {
    /// It is.
    #[default]
    Fit,
    /// It was not until a moment ago, and gets this share of its calls, in percent.
    Recovering(u32),
    /// One call is out to see whether it is again.
    OnTrial,
    /// Not before so long.
    Resting {
        /// The time left.
        left: Duration,
        /// Whether it must not be asked, not even when nobody else is left.
        hard: bool,
        /// The reason in words.
        why: String,
    },
}

/// What an exchange says of its target.
enum Verdict {
    /// It answers.
    Good,
    /// It asks for silence, for so long if it says.
    Throttled(Option<Duration>),
    /// It fails.
    Faulty,
    /// Nothing: whoever failed, it was not the target.
    Nothing,
}

impl Verdict {
    fn of(error: &Error) -> Self {
        let silence = match error.retry {
            Retry::After(wait) => Some(wait),
            Retry::Never | Retry::Backoff => None,
        };
        match (error.origin, error.kind) {
            (Origin::Caller | Origin::Gateway, _) => Verdict::Nothing,
            (_, Kind::RateLimited | Kind::Overloaded) => Verdict::Throttled(silence),
            // Waiting brings no money: others are asked first, and now and then it is tried again.
            (_, Kind::QuotaExhausted) => Verdict::Throttled(Some(silence.unwrap_or(LONGEST_REST))),
            (_, Kind::Server | Kind::Timeout | Kind::Network | Kind::Tls | Kind::Truncated | Kind::Malformed) => Verdict::Faulty,
            // The key has a health of its own.
            (_, Kind::Unauthenticated | Kind::Forbidden) => Verdict::Nothing,
            // A refusal is an answer.
            _ => Verdict::Good,
        }
    }
}

/// Why a call cannot go to a target now.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Not before so long; nothing when that depends on the calls that are out.
    pub(crate) left: Option<Duration>,
    pub(crate) why: String,
}

impl Standing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands now.
    pub fn look(&self, streamed: bool, now: Duration) -> Look {
        let state = self.state();
        let in_flight = state.in_flight;
        let expected = state.latency.get(usize::from(streamed)).and_then(|latency| latency.expect(now));
        // One that has stopped answering has no news of its own.
        let quiet = state.quiet_since.filter(|_| state.waiting > 0).map(|since| now.saturating_sub(since));
        let latency = expected.max(quiet);
        let fitness = match state.fitness(now) {
            Fitness::Fit => self.spent(now).unwrap_or_default(),
            unfit => unfit,
        };
        Look { fitness, in_flight, latency }
    }

    /// Whether nothing is left of its provider's own limits. That is a guess, for others may have given some back: it is
    /// asked when nobody else is fit.
    fn spent(&self, now: Duration) -> Option<Fitness> {
        let left = self.learned.spent(now)?;
        let why = "nothing is left of what its provider allows, as its latest answers tell".to_owned();
        Some(Fitness::Resting { left, hard: false, why })
    }

    /// What its provider tells of its own limits.
    pub(crate) const fn learned(&self) -> &Learned {
        &self.learned
    }

    /// Lets a call through, unless the target must not be asked now and `anyway` is not said.
    pub(crate) fn enter(self: &Arc<Self>, streamed: bool, anyway: bool, clock: &Arc<dyn Clock>) -> Result<Pass, Closed> {
        let now = clock.ticks();
        let mut state = self.state();
        if let Some(closed) = state.closed(now).filter(|_| !anyway) {
            return Err(closed);
        }
        let trial = !state.is_on_trial(now) && state.rest.as_ref().is_some_and(|rest| rest.until <= now);
        if trial {
            state.on_trial = Some(now);
        }
        if state.waiting == 0 {
            state.quiet_since = Some(now);
        }
        state.in_flight += 1;
        state.waiting += 1;
        drop(state);
        let (standing, clock) = (Arc::clone(self), Arc::clone(clock));
        Ok(Pass { standing, clock, started: now, streamed, trial, headed: false, vouched: false, seat: None })
    }

    /// Whether, and until when, it must not be asked.
    pub(crate) fn closed(&self, now: Duration) -> Option<Closed> {
        self.state().closed(now)
    }

    /// Whether no answer has been seen that would tell anything.
    pub(crate) fn is_blank(&self) -> bool {
        let state = self.state();
        let unknown = state.latency.iter().all(Latency::is_unknown);
        state.rest.is_none() && state.in_flight == 0 && state.failures.run == 0 && unknown
    }

    /// A call goes out for the first time.
    pub(crate) fn earn(&self, percent: u32) {
        self.state().budget.earn(percent);
    }

    /// Whether a call may go out again.
    pub(crate) fn spend(&self, now: Duration) -> bool {
        self.state().budget.spend(now)
    }

    /// Returns when the target may be fit again: there has been news of it.
    pub(crate) async fn news(&self) {
        self.changed.notified().await;
    }

    /// The operator has done something about it.
    pub(crate) fn forgive(&self) {
        let mut state = self.state();
        (state.rest, state.strikes, state.recovering) = (None, 0, None);
        state.failures = Failures::default();
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    fn closed(&self, now: Duration) -> Option<Closed> {
        if let Some(rest) = self.rest.as_ref().filter(|rest| rest.hard) {
            let left = rest.until.saturating_sub(now);
            let waits = !left.is_zero() || self.is_on_trial(now);
            return waits.then(|| Closed { left: Some(left).filter(|left| !left.is_zero()), why: rest.why.clone() });
        }
        let careful = |recovering: &Recovering| now.saturating_sub(recovering.since) < CARE;
        let most = self.recovering.filter(careful).and_then(|recovering| recovering.at_once)?;
        let full = self.waiting >= most;
        full.then(|| Closed { left: None, why: "it is recovering and has as many calls as it may".to_owned() })
    }

    fn fitness(&self, now: Duration) -> Fitness {
        match (&self.rest, self.recovering) {
            (Some(rest), _) if now < rest.until => {
                Fitness::Resting { left: rest.until.saturating_sub(now), hard: rest.hard, why: rest.why.clone() }
            }
            (Some(_), _) if self.is_on_trial(now) => Fitness::OnTrial,
            (Some(_), _) | (None, None) => Fitness::Fit,
            (None, Some(Recovering { since, .. })) => {
                let passed = now.saturating_sub(since).as_millis().saturating_mul(100) / CARE.as_millis();
                match u32::try_from(passed).unwrap_or(100) {
                    100.. => Fitness::Fit,
                    share => Fitness::Recovering(share.max(10)),
                }
            }
        }
    }

    /// Whether one call is out to see. One that takes too long is not waited for: another goes.
    fn is_on_trial(&self, now: Duration) -> bool {
        self.on_trial.is_some_and(|since| now.saturating_sub(since) < TRIAL)
    }

    /// Whether it has asked for silence, and is only being let go again.
    fn was_silent(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.hard) || self.recovering.is_some_and(|recovering| recovering.at_once.is_some())
    }

    /// An answer took this long.
    fn note(&mut self, streamed: bool, took: Duration, now: Duration) {
        if let Some(latency) = self.latency.get_mut(usize::from(streamed)) {
            latency.add(took, now);
        }
    }

    fn good(&mut self, started: Duration, trial: bool, now: Duration) {
        self.failures.run = 0;
        self.failures.throttled = 0;
        self.failures.recent <<= 1;
        // What was begun before the rest says nothing about the time after.
        if let Some(rest) = self.rest.take_if(|rest| trial || started >= rest.since) {
            self.recovering = Some(Recovering { since: now, at_once: rest.hard.then_some(1) });
        }
        if let Some(recovering) = &mut self.recovering {
            // Each good answer makes room for itself and one more: twice as many every round trip.
            recovering.at_once = recovering.at_once.map(|most| most + 1).filter(|most| *most < LET_GO);
            if now.saturating_sub(recovering.since) >= CARE {
                (self.recovering, self.strikes) = (None, 0);
            }
        } else {
            self.strikes = 0;
        }
    }

    fn bad(&mut self, error: &Error, silence: Option<Option<Duration>>, pass: &Pass, now: Duration) {
        // What was begun before it had recovered is old news.
        if self.recovering.is_some_and(|recovering| pass.started < recovering.since) {
            return;
        }
        // Others may have ended the rest meanwhile.
        let trial = pass.trial && self.rest.is_some();
        let failures = &mut self.failures;
        failures.run += 1;
        failures.recent = (failures.recent << 1) | 1;
        let (left, hard) = match silence {
            Some(told) => {
                failures.throttled += 1;
                let untold = UNTOLD_REST.saturating_mul(1 << self.strikes.min(6));
                let hard = failures.throttled >= HARD_AFTER || trial;
                (told.unwrap_or(untold).min(LONGEST_SILENCE), hard)
            }
            None => {
                failures.throttled = 0;
                let latest = (failures.recent & ((1 << WINDOW) - 1)).count_ones();
                if !trial && failures.run < TRIP_RUN && latest < TRIP_SHARE {
                    return;
                }
                (FIRST_REST.saturating_mul(1 << self.strikes.min(6)).min(LONGEST_REST), false)
            }
        };
        let until = now.saturating_add(left);
        let hard = hard || self.rest.as_ref().is_some_and(|rest| rest.hard && now < rest.until);
        let begins = self.rest.as_ref().is_none_or(|rest| rest.until <= now);
        if begins {
            self.strikes = self.strikes.saturating_add(1);
        }
        let since = self.rest.as_ref().filter(|_| !begins).map_or(now, |rest| rest.since);
        let until = self.rest.as_ref().filter(|_| !begins).map_or(until, |rest| rest.until.max(until));
        self.recovering = None;
        self.rest = Some(Rest { since, until, hard, why: describe(error) });
    }
}

/// The reason of a rest, without the caller's words in it.
fn describe(error: &Error) -> String {
    let status = error.status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    let what = match error.kind {
        Kind::RateLimited => "it asked for fewer calls",
        Kind::Overloaded => "it is overloaded",
        Kind::QuotaExhausted => "its credit or quota is used up",
        Kind::Timeout => "it does not answer in time",
        Kind::Network => "it cannot be reached",
        Kind::Tls => "it cannot be reached securely",
        Kind::Truncated => "its answers break off",
        Kind::Malformed => "its answers make no sense",
        _ => "it fails",
    };
    format!("{what}{status}")
}

/// A call's presence at a target, from before it is sent until its answer is over. Dropped without a word, it says nothing
/// about the target.
pub struct Pass {
    standing: Arc<Standing>,
    clock: Arc<dyn Clock>,
    started: Duration,
    streamed: bool,
    trial: bool,
    headed: bool,
    /// It has counted as a good answer.
    vouched: bool,
    /// Its share of our own limits.
    seat: Option<Seat>,
}

impl Pass {
    /// With its share of our own limits.
    pub(crate) fn seated(mut self, seat: Option<Seat>) -> Self {
        self.seat = seat;
        self
    }

    /// So many tokens were used, if that is known.
    pub(crate) fn settle(&mut self, tokens: Option<u64>) {
        if let (Some(seat), Some(tokens)) = (&mut self.seat, tokens) {
            seat.settle(tokens);
        }
    }

    /// The head of a good answer has come. Of a stream, which may break off yet, that says only that the silence is over.
    pub(crate) fn head(&mut self) {
        let now = self.clock.ticks();
        let mut state = self.standing.state();
        state.quiet_since = Some(now);
        state.note(self.streamed, now.saturating_sub(self.started), now);
        self.headed = true;
        state.waiting = state.waiting.saturating_sub(1);
        if self.streamed && !state.was_silent() {
            state.failures.throttled = 0;
            return;
        }
        state.good(self.started, self.trial, now);
        self.vouched = true;
        let was_trial = std::mem::take(&mut self.trial);
        if was_trial {
            // If it fails after all, that is no old news.
            self.started = now;
        }
        if was_trial {
            state.on_trial = None;
        }
        if was_trial || state.recovering.is_some() {
            drop(state);
            self.standing.changed.notify_waiters();
        }
    }

    /// The exchange is over, well or not.
    pub(crate) fn over(self, error: Option<&Error>) {
        let now = self.clock.ticks();
        let mut state = self.standing.state();
        state.quiet_since = Some(now);
        let verdict = error.map(|error| (error, Verdict::of(error)));
        match verdict {
            None | Some((_, Verdict::Good)) if self.vouched => {}
            None | Some((_, Verdict::Good)) => state.good(self.started, self.trial, now),
            Some((error, Verdict::Throttled(silence))) => state.bad(error, Some(silence), &self, now),
            Some((error, Verdict::Faulty)) => {
                if error.kind == Kind::Timeout && !self.headed {
                    state.note(self.streamed, now.saturating_sub(self.started), now);
                }
                state.bad(error, None, &self, now);
            }
            Some((_, Verdict::Nothing)) => {}
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.standing.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        let waited_for = state.rest.is_some() || state.recovering.is_some() || self.trial;
        if !self.headed {
            state.waiting = state.waiting.saturating_sub(1);
        }
        if self.trial {
            state.on_trial = None;
        }
        drop(state);
        if waited_for {
            self.standing.changed.notify_waiters();
        }
    }
}
