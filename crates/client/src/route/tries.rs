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
}

impl<'a> Need<'a> {
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
    /// The deadline is the configuration's, and the caller is done with its request.
    pub(crate) all: bool,
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
    model: String,
    task: Option<String>,
}

/// One target on the way of a call.
struct Stop {
    target: Target,
    asked: u32,
    /// May be asked, at this time at the earliest; `None`: not any more.
    due: Option<Instant>,
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
    /// The target was asked before.
    again: bool,
}

/// When and where a call may go on.
struct Prospect {
    at: usize,
    due: Instant,
    closed: Option<Closed>,
}

impl Tries {
    /// The exchanges of a call.
    pub(crate) fn new(routed: Routed, clock: Arc<dyn Clock>, dice: Arc<Dice>) -> Self {
        let Routed { targets, rules, model, task } = routed;
        let now = Instant::now();
        let stops = targets.into_iter().map(|target| Stop { target, asked: 0, due: Some(now) }).collect();
        let until = later(now, rules.deadline);
        Tries { stops, rules, clock, dice, until, last: None, soonest: None, glancing: None, over: false, model, task }
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
                    return Ok(leg);
                }
            }
            let Some(prospect) = self.prospect(now) else { return Err(self.give_up(None, now)) };
            let wait = prospect.due.saturating_duration_since(now);
            // The jitter is ours, not what was asked for.
            let patience = self.rules.longest_wait + self.rules.longest_wait / 10;
            if wait > patience || prospect.due >= self.until {
                return Err(self.give_up(Some(prospect), now));
            }
            if wait.is_zero() {
                match self.enter(prospect.at, now) {
                    Ok(leg) if leg.again && !self.spend(prospect.at) => {}
                    Ok(leg) => return Ok(leg),
                    Err(()) => self.wait(prospect.at, GLANCE).await,
                }
                continue;
            }
            // For what is up to others nobody waits longer than for what has been told.
            let since = *self.glancing.get_or_insert(now);
            let up_to_others = prospect.closed.as_ref().is_some_and(|closed| closed.left.is_none());
            if up_to_others && now.saturating_duration_since(since) > self.rules.longest_wait {
                return Err(self.give_up(Some(prospect), now));
            }
            if !up_to_others {
                self.glancing = None;
            }
            self.wait(prospect.at, wait).await;
        }
    }

    /// The exchange of this leg has failed.
    fn failed(&mut self, leg: Leg, failed: Failed) {
        let now = Instant::now();
        leg.pass.over(Some(&failed.error));
        let Some(stop) = self.stops.get_mut(leg.at) else { return };
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

    fn enter(&mut self, at: usize, now: Instant) -> Result<Leg, ()> {
        let Rules { streamed, retry_percent, first_byte, .. } = self.rules;
        let stop = self.stops.get_mut(at).ok_or(())?;
        let pass = stop.target.standing().enter(streamed, &self.clock).map_err(drop)?;
        if stop.asked == 0 {
            stop.target.standing().earn(retry_percent);
        }
        stop.asked += 1;
        let left = self.until.saturating_duration_since(now);
        let again = stop.asked > 1;
        let all = self.rules.all && self.rules.deadline.saturating_sub(left) < SCANT;
        Ok(Leg { target: stop.target.clone(), hold: self.rules.hold, pass, at, left, all, first_byte, again })
    }

    /// Takes a retry from the target's budget; without one it is not asked again.
    fn spend(&mut self, at: usize) -> bool {
        let Some(stop) = self.stops.get_mut(at) else { return false };
        let spent = stop.target.standing().spend(self.clock.ticks());
        if !spent {
            stop.due = None;
        }
        spent
    }

    /// Who may be asked next, and when.
    fn prospect(&self, now: Instant) -> Option<Prospect> {
        let due = self.stops.iter().enumerate().filter_map(|(at, stop)| {
            let due = stop.due?;
            let closed = stop.target.standing().closed(self.clock.ticks());
            // When that is up to other calls, it may be any moment.
            let opens = closed.as_ref().map_or(now, |closed| later(now, closed.left.unwrap_or(GLANCE)));
            Some(Prospect { at, due: due.max(opens), closed })
        });
        due.min_by_key(|prospect| prospect.due)
    }

    /// Waits for so long, or for news of the target that may make it shorter.
    async fn wait(&self, at: usize, wait: Duration) {
        let left = self.until.saturating_duration_since(Instant::now());
        let sleep = tokio::time::sleep(wait.min(left));
        match self.stops.get(at).filter(|stop| stop.asked == 0) {
            Some(stop) => {
                tokio::select! {
                    () = sleep => {}
                    () = stop.target.standing().news() => {}
                }
            }
            // A wait between two tries is meant.
            None => sleep.await,
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
        let model = &self.model;
        let Some(Prospect { at, closed: Some(closed), .. }) = prospect else {
            let what = match now >= self.until {
                true => format!("nobody could be asked about {model} within {} s", self.rules.deadline.as_secs()),
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
        let what = format!("{who} rests for another {} s, because {}{others}", wait.as_secs().max(1), closed.why);
        Error { retry: Retry::After(wait), ..Error::new(Kind::RateLimited, Origin::Gateway, what) }.into()
    }
}

impl Leg {
    /// The work's result, or that the call's time is over.
    ///
    /// # Errors
    /// Its own, and `Timeout`: the target's fault only if it had all the time that there is.
    pub async fn within<T>(&self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        tokio::time::timeout(self.left, work).await.unwrap_or_else(|_| {
            let (phase, origin) = if self.all { (Phase::FirstByte, Origin::Provider) } else { (Phase::Whole, Origin::Gateway) };
            Err(self.late(phase, origin, self.left))
        })
    }

    /// The head of an answer, or that it took too long.
    ///
    /// # Errors
    /// Its own, and `Timeout`.
    pub async fn begin<T>(&self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let Some(patience) = self.first_byte else { return work.await };
        let late = |_| Err(self.late(Phase::FirstByte, Origin::Provider, patience));
        tokio::time::timeout(patience, work).await.unwrap_or_else(late)
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
