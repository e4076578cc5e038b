//! The exchanges of one call: who is asked next, when, and when to give up.
//!
//! ```text
//! let mut tries = client.tries(&need)?;
//! loop {
//!     let leg = tries.next(&mut call).await?;        // waits where waiting may help; an error when nobody is left
//!     let tried = leg.within(exchange(&leg.target, …)).await;
//!     if let Some(answer) = tries.hear(leg, tried, &mut call) {
//!         return Ok(answer);
//!     }
//! }
//! ```
//!
//! Whoever has not been asked is asked before anybody is asked again, and a wait that is too long moves on at once. So a
//! call fails only when every target that may be asked has failed, or asks for more patience than the call has.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff;
use super::choice::Routed;
use super::dice::Dice;
use super::limit::Place;
use super::said::Said;
use super::standing::{Closed, Pass};
use crate::clock::Clock;
use crate::codec::dialect::Operation;
use crate::codec::{Error, Kind, Origin, Phase, Retry};
use crate::exchange::Failed;
use crate::ir::Request;
use crate::monitor::OpenCall;
use crate::relay::Hold;
use crate::target::Target;

/// While a target is closed for as long as its calls take, it is looked at this often, news or not.
const GLANCE: Duration = Duration::from_millis(100);

/// Who has had all of a call's time but this has had it all.
const SCANT: Duration = Duration::from_millis(100);

/// What a call asks for, as far as it matters for where it goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Need<'a> {
    /// The model's name as asked for.
    pub model: &'a str,
    /// Whether the answer comes as a stream.
    pub streamed: bool,
    /// Whether a request that may have been carried out may be sent again.
    pub repeatable: bool,
    /// The task whose model is asked for, whatever `model` says.
    pub task: Option<&'a str>,
    /// Whose calls shall always find the same target, if the model's alias wants that.
    pub session: Option<&'a str>,
    /// What the call says, to be looked into if that matters.
    pub said: Said<'a>,
    /// When the caller gives up, if it says; counted from now.
    pub patience: Option<Duration>,
    /// The request's body is still coming.
    pub uploads: bool,
    /// What it may take in tokens, of input and output together: an estimate.
    pub tokens: u64,
}

/// Output tokens of a call that does not say how many it wants at most. What it really took counts in the end.
const USUAL_OUTPUT: u64 = 500;

impl<'a> Need<'a> {
    /// It will take about as many tokens as there are in a text of so many bytes, and as many as it wants at most.
    #[must_use]
    pub fn taking(self, bytes: usize, output: Option<u64>) -> Self {
        let input = u64::try_from(bytes / 4).unwrap_or(u64::MAX);
        Need { tokens: input.saturating_add(output.unwrap_or(USUAL_OUTPUT)), ..self }
    }

    /// A whole answer of this model to a request that may be sent again.
    pub fn of(model: &'a str) -> Self {
        Need { model, repeatable: true, ..Need::default() }
    }

    /// A whole answer to this chat.
    pub fn to(request: &'a Request) -> Self {
        Need { said: Said::Request(request, Operation::Chat), ..Need::of(&request.model) }
    }
}

/// How a call goes on when targets fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) deadline: Duration,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) attempts: u32,
    pub(crate) longest_wait: Duration,
    pub(crate) retry_percent: u32,
    pub(crate) hold: Hold,
    pub(crate) streamed: bool,
    pub(crate) repeatable: bool,
    /// Targets are asked also while they rest.
    pub(crate) own_pace: bool,
    /// The deadline is the configuration's, and the caller is done with its request.
    pub(crate) all: bool,
    pub(crate) tokens: u64,
}

/// The exchanges of one call.
pub struct Tries {
    stops: Vec<Stop>,
    rules: Rules,
    clock: Arc<dyn Clock>,
    dice: Arc<Dice>,
    until: Instant,
    last: Option<Failed>,
    /// When the first of those that said so will have time.
    soonest: Option<Instant>,
    /// Since when it waits for what is up to others.
    glancing: Option<Instant>,
    over: bool,
    task: Option<String>,
}

/// One target on the way of a call.
struct Stop {
    target: Target,
    asked: u32,
    /// May be asked, at this time at the earliest; `None`: not any more.
    due: Option<Instant>,
    /// Where it waits for its turn, if the target has as many calls as it may.
    place: Option<Place>,
}

/// One exchange with one target that may begin now.
pub struct Leg {
    /// Whom to ask.
    pub target: Target,
    /// How much of a streamed answer is kept back.
    pub hold: Hold,
    pass: Pass,
    at: usize,
    /// To the end of the call's time.
    left: Duration,
    /// Whether that is as much as the configuration gives one target.
    all: bool,
    /// To the head of the answer.
    first_byte: Option<Duration>,
}

/// Why an exchange cannot begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// The target must not be asked now.
    Closed,
    /// It has as many calls as it may.
    Full,
    /// It may not be asked again.
    Spent,
}

/// When and where a call may go on.
struct Prospect {
    at: usize,
    due: Instant,
    closed: Option<Closed>,
    /// Nobody may wait for it.
    full: bool,
}

impl Tries {
    /// The exchanges of a call.
    pub(crate) fn new(routed: Routed, clock: Arc<dyn Clock>, dice: Arc<Dice>) -> Self {
        let Routed { targets, rules, task } = routed;
        let now = Instant::now();
        let stops = targets.into_iter().map(|target| Stop { target, asked: 0, due: Some(now), place: None }).collect();
        let until = later(now, rules.deadline);
        Tries { stops, rules, clock, dice, until, last: None, soonest: None, glancing: None, over: false, task }
    }

    /// The task that the call is, if it asked for one.
    pub fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }

    /// The next exchange of `call`, as soon as it may begin.
    ///
    /// # Errors
    /// The last failure when nobody may be asked any more; `RateLimited` or `Unavailable` when nobody was, with the time
    /// after which somebody may be.
    pub async fn next(&mut self, call: &mut OpenCall) -> Result<Leg, Failed> {
        if let (Some(task), Some(outcome)) = (&self.task, call.outcome()) {
            outcome.task = Some(task.clone());
        }
        let leg = self.advance().await?;
        call.begin(&leg.target);
        Ok(leg)
    }

    /// Hears how the exchange of a leg went. Gives the answer, if it is one: as far as `call` is concerned the leg is
    /// answered, but the call stays open, because the answer's body may be still to come.
    pub fn hear<T>(&mut self, leg: Leg, tried: Result<T, Failed>, call: &mut OpenCall) -> Option<T> {
        match tried {
            Ok(answer) => {
                call.answered(leg.answered());
                Some(answer)
            }
            Err(failed) => {
                call.failed(&failed.error);
                self.failed(leg, failed);
                None
            }
        }
    }

    async fn advance(&mut self) -> Result<Leg, Failed> {
        loop {
            let now = Instant::now();
            if self.over || now >= self.until {
                return Err(self.give_up(None, now));
            }
            for at in 0..self.stops.len() {
                let fresh = self.stops.get(at).is_some_and(|stop| stop.asked == 0);
                if fresh && let Ok(leg) = self.enter(at, now) {
                    return Ok(self.leave_queues(leg));
                }
            }
            let Some(prospect) = self.prospect(now) else { return Err(self.give_up(None, now)) };
            let wait = prospect.due.saturating_duration_since(now);
            // The jitter is ours, not what was asked for.
            let patience = self.rules.longest_wait + self.rules.longest_wait / 10;
            if prospect.full || wait > patience || prospect.due >= self.until || self.has_glanced_enough(&prospect, now) {
                return Err(self.give_up(Some(prospect), now));
            }
            if !wait.is_zero() {
                self.wait(prospect.at, wait).await;
                continue;
            }
            let mut spent = false;
            for at in 0..self.stops.len() {
                let again = self.stops.get(at).is_some_and(|stop| stop.asked > 0 && stop.due.is_some_and(|due| due <= now));
                if again {
                    match self.enter(at, now) {
                        Ok(leg) => return Ok(self.leave_queues(leg)),
                        Err(refusal) => spent |= refusal == Refusal::Spent,
                    }
                }
            }
            if !spent {
                let turn = self.line_up(now);
                self.wait(prospect.at, turn).await;
            }
        }
    }

    /// For what is up to other calls nobody waits longer than for what has been told.
    fn has_glanced_enough(&mut self, prospect: &Prospect, now: Instant) -> bool {
        if prospect.closed.as_ref().is_none_or(|closed| closed.left.is_some()) {
            self.glancing = None;
            return false;
        }
        let since = *self.glancing.get_or_insert(now);
        now.saturating_duration_since(since) > self.rules.longest_wait
    }

    /// The exchange of this leg has failed.
    fn failed(&mut self, leg: Leg, failed: Failed) {
        let now = Instant::now();
        let Leg { mut pass, at, .. } = leg;
        // Who refuses by status has used nothing, nor has who was never reached.
        let unused = failed.error.status.is_some() || failed.error.phase == Some(Phase::Connect);
        pass.settle(unused.then_some(0));
        pass.over(Some(&failed.error));
        let Some(stop) = self.stops.get_mut(at) else { return };
        let again = stop.asked < self.rules.attempts && may_help(&failed.error, self.rules.repeatable);
        stop.due = again.then(|| match failed.error.retry {
            Retry::After(wait) => later(now, backoff::told(wait, &self.dice)),
            Retry::Never | Retry::Backoff => later(now, backoff::wait(stop.asked, &self.dice)),
        });
        if let Retry::After(wait) = failed.error.retry {
            let at = later(now, wait);
            self.soonest = Some(self.soonest.map_or(at, |soonest| soonest.min(at)));
        }
        self.over |= failed.last || is_final(&failed.error) || (!self.rules.repeatable && may_be_done(&failed.error));
        // What the caller can mend is worth more to it than what it cannot.
        let keep = self.last.as_ref().is_some_and(|last| mendable(&last.error) && !mendable(&failed.error));
        if !keep {
            self.last = Some(failed);
        }
    }

    fn enter(&mut self, at: usize, now: Instant) -> Result<Leg, Refusal> {
        let Rules { streamed, retry_percent, first_byte, tokens, own_pace, .. } = self.rules;
        let stop = self.stops.get_mut(at).ok_or(Refusal::Closed)?;
        let standing = Arc::clone(stop.target.standing());
        let gate = &stop.target.service.gate;
        if !own_pace && gate.holds() && standing.closed(self.clock.ticks()).is_some() {
            // Nobody's turn is kept from others for a target that must not be asked.
            stop.place = None;
            return Err(Refusal::Closed);
        }
        let seat = match &mut stop.place {
            Some(place) => Some(place.seat().ok_or(Refusal::Full)?),
            None => gate.enter(&stop.target.model, tokens, &self.clock).map_err(|()| Refusal::Full)?,
        };
        stop.place = None;
        let pass = standing.enter(streamed, own_pace, &self.clock).map_err(|_| Refusal::Closed)?;
        // Without a retry in the target's budget it is not asked again.
        if stop.asked > 0 && !standing.spend(self.clock.ticks()) {
            stop.due = None;
            return Err(Refusal::Spent);
        }
        let pass = pass.seated(seat);
        standing.learned().take(tokens);
        if stop.asked == 0 {
            standing.earn(retry_percent);
        }
        stop.asked += 1;
        let left = self.until.saturating_duration_since(now);
        let all = self.rules.all && self.rules.deadline.saturating_sub(left) < SCANT;
        Ok(Leg { target: stop.target.clone(), hold: self.rules.hold, pass, at, left, all, first_byte })
    }

    /// Who goes waits nowhere any more.
    fn leave_queues(&mut self, leg: Leg) -> Leg {
        self.stops.iter_mut().for_each(|stop| stop.place = None);
        leg
    }

    /// Who may be asked next, and when.
    fn prospect(&self, now: Instant) -> Option<Prospect> {
        let ticks = self.clock.ticks();
        let patience = self.until.saturating_duration_since(now);
        let due = self.stops.iter().enumerate().filter_map(|(at, stop)| {
            let due = stop.due?;
            let mut closed = stop.target.standing().closed(ticks);
            let shut = || stop.target.service.gate.shut(&stop.target.model, self.rules.tokens, patience, ticks);
            let shut = if stop.place.is_none() && closed.is_none() { shut() } else { None };
            let full = shut.is_some();
            closed = shut.map(|shut| Closed { left: Some(shut.left), why: shut.why }).or(closed);
            // When that is up to other calls, it may be any moment.
            let opens = closed.as_ref().map_or(now, |closed| later(now, closed.left.unwrap_or(GLANCE)));
            Some(Prospect { at, due: due.max(opens), closed, full })
        });
        due.min_by_key(|prospect| (prospect.full, prospect.due))
    }

    /// Waits for a turn with everybody who has as many calls as it may. Tells when somebody else may be asked.
    fn line_up(&mut self, now: Instant) -> Duration {
        let patience = self.until.saturating_duration_since(now);
        let ticks = self.clock.ticks();
        let mut next = None;
        for stop in &mut self.stops {
            let Some(due) = stop.due else { continue };
            let gate = &stop.target.service.gate;
            let is_due = due <= now && gate.holds() && stop.target.standing().closed(ticks).is_none();
            if is_due && stop.place.is_none() {
                stop.place = gate.line_up(&stop.target.model, self.rules.tokens, patience, &self.clock);
            }
            if stop.place.is_none() {
                let wait = due.saturating_duration_since(now).max(GLANCE);
                next = Some(next.map_or(wait, |next: Duration| next.min(wait)));
            }
        }
        next.unwrap_or(patience)
    }

    /// Waits for so long, or for news of the target, or of a place, that may make it shorter.
    async fn wait(&mut self, at: usize, wait: Duration) {
        let left = self.until.saturating_duration_since(Instant::now());
        let places = || self.stops.iter().filter_map(|stop| stop.place.as_ref());
        let pause = places().filter_map(Place::pause).min().unwrap_or(wait);
        let sleep = tokio::time::sleep(wait.min(left).min(pause));
        let fresh = self.stops.get(at).filter(|stop| stop.asked == 0 && stop.place.is_none());
        let standing = fresh.map(|stop| Arc::clone(stop.target.standing()));
        let news = async {
            match &standing {
                Some(standing) => standing.news().await,
                // A wait between two tries is meant.
                None => std::future::pending().await,
            }
        };
        let stops = &mut self.stops;
        let turn = std::future::poll_fn(|context| {
            let mut places = stops.iter_mut().filter_map(|stop| stop.place.as_mut());
            match places.any(|place| place.poll_news(context).is_ready()) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        });
        tokio::select! {
            () = sleep => {}
            () = news => {}
            () = turn => {}
        }
    }

    fn give_up(&mut self, prospect: Option<Prospect>, now: Instant) -> Failed {
        let wait = prospect.as_ref().map(|prospect| prospect.due.saturating_duration_since(now));
        if let Some(mut failed) = self.last.take() {
            let soonest = self.soonest.map(|at| at.saturating_duration_since(now)).into_iter().chain(wait).min();
            match (failed.error.retry, soonest) {
                (Retry::Backoff, Some(wait)) if wait > self.rules.longest_wait => failed.error.retry = Retry::After(wait),
                // Somebody else may have time sooner.
                (Retry::After(told), Some(wait)) if wait < told && self.stops.len() > 1 => failed.tell_wait(wait),
                _ => {}
            }
            return failed;
        }
        let Some(Prospect { at, closed: Some(closed), full, .. }) = prospect else {
            let what = match now >= self.until {
                true => format!("nobody could be asked within {} s", self.rules.deadline.as_secs()),
                false => "no target can take this call".to_owned(),
            };
            return match now >= self.until {
                true => Error::timeout(Phase::Whole, Origin::Gateway, what).into(),
                false => Error::new(Kind::Unavailable, Origin::Gateway, what).into(),
            };
        };
        let who = self.stops.get(at).map(|stop| stop.target.name()).unwrap_or_default();
        let wait = wait.unwrap_or_default();
        let others = if self.stops.len() > 1 { ", and so do all others" } else { "" };
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let what = match full {
            true => format!("{who} may take another call in about {seconds} s: {}", closed.why),
            false => format!("{who} rests for another {seconds} s, because {}{others}", closed.why),
        };
        Error { retry: Retry::After(wait), ..Error::new(Kind::RateLimited, Origin::Gateway, what) }.into()
    }
}

impl Leg {
    /// The work's result, or that the call's time is over.
    ///
    /// # Errors
    /// Its own, and `Timeout`: the target's fault only if it had all the time that there is.
    pub async fn within<T>(&self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        if let Ok(done) = tokio::time::timeout(self.left, work).await {
            return done;
        }
        let (phase, origin) = if self.all { (Phase::FirstByte, Origin::Provider) } else { (Phase::Whole, Origin::Gateway) };
        Err(self.late(phase, origin, self.left))
    }

    /// The head of an answer, or that it took too long.
    ///
    /// # Errors
    /// Its own, and `Timeout`.
    pub async fn begin<T>(&self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let Some(patience) = self.first_byte else { return work.await };
        match tokio::time::timeout(patience, work).await {
            Ok(done) => done,
            Err(_) => Err(self.late(Phase::FirstByte, Origin::Provider, patience)),
        }
    }

    fn late(&self, phase: Phase, origin: Origin, patience: Duration) -> Failed {
        let provider = &self.target.service.provider.id;
        let what = match origin {
            Origin::Gateway => {
                format!("the call's time was over before {provider} answered, which had {} ms", patience.as_millis())
            }
            _ => format!("gave no answer within {} ms", patience.as_millis()),
        };
        Error::timeout(phase, origin, what).from_provider(provider).into()
    }

    fn answered(mut self) -> Pass {
        self.pass.head();
        self.pass
    }
}

/// No other target would do better: the request itself is at fault, or nobody waits any more.
fn is_final(error: &Error) -> bool {
    match error.kind {
        Kind::BadRequest | Kind::Filtered | Kind::Cancelled | Kind::MethodNotAllowed => true,
        // A window or a limit of one target says nothing about the next one's, nor does a model that it has not.
        Kind::NotFound | Kind::TooLarge | Kind::ContextTooLong => error.origin == Origin::Caller,
        _ => false,
    }
}

/// Whether the caller could do something about it.
fn mendable(error: &Error) -> bool {
    matches!(error.kind, Kind::ContextTooLong | Kind::TooLarge)
}

/// Whether the same target may do better later.
fn may_help(error: &Error, repeatable: bool) -> bool {
    let passing = matches!(
        error.kind,
        Kind::RateLimited | Kind::Overloaded | Kind::Server | Kind::Timeout | Kind::Network | Kind::Truncated | Kind::Conflict
    );
    passing && error.retry != Retry::Never && (repeatable || !may_be_done(error))
}

/// Times that are too far away to be told are as good as a month.
fn later(now: Instant, wait: Duration) -> Instant {
    now + wait.min(Duration::from_secs(30 * 24 * 3600))
}

/// Whether the request may have been carried out all the same. Who refuses by status has done nothing, unless it speaks for
/// somebody behind it; nor has who was never reached.
fn may_be_done(error: &Error) -> bool {
    let sent = matches!(error.origin, Origin::Provider | Origin::Network) && error.phase != Some(Phase::Connect);
    sent && error.status.is_none_or(|status| matches!(status, 408 | 502 | 504))
}
