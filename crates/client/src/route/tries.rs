//! The exchanges of one call: who is asked next, when, and when to give up.
//!
//! Whoever has not been asked is asked before anybody is asked again, and a wait that is too long moves on at once. So a
//! call fails only when every target that may be asked has failed, or asks for more patience than the call has.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff;
use super::choice::Routed;
use super::dice::Dice;
use super::leg::{Entry, Headed, Leg, Out, Time};
use super::limit::Place;
use super::prognosis::{is_final, may_be_done, may_help, worth};
use super::standing::{Closed, Fitness, Pass};
use crate::clock::Clock;
use crate::codec::{Error, Kind, Origin, Phase, Retry};
use crate::exchange::Failed;
use crate::monitor::OpenCall;
use crate::relay::Hold;
use crate::target::Target;

/// The shortest wait that is told.
const MOMENT: Duration = Duration::from_secs(1);

/// While a target is closed for as long as its calls take, it is looked at this often, news or not.
const GLANCE: Duration = Duration::from_millis(100);

/// Who has had all of a call's time but this has had it all.
const SCANT: Duration = Duration::from_millis(100);

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
    /// A stream that breaks off is gone on with.
    pub(crate) continues: bool,
    pub(crate) repeatable: bool,
    /// Targets are asked also while they rest.
    pub(crate) own_pace: bool,
    /// The deadline is the configuration's, and the caller is done with its request.
    pub(crate) all: bool,
    pub(crate) tokens: u64,
    /// When another target is asked beside one that has not answered.
    pub(crate) hedge: Option<Duration>,
}

/// The exchanges of one call.
pub struct Tries {
    stops: Vec<Stop>,
    rules: Rules,
    clock: Arc<dyn Clock>,
    dice: Arc<Dice>,
    until: Instant,
    last: Option<Failed>,
    /// Since when it waits for what is up to others.
    glancing: Option<Instant>,
    over: bool,
    task: Option<String>,
    /// Who gave the answer.
    answering: Option<usize>,
    /// Who gets a copy of the call.
    pub(super) mirror: Option<Target>,
}

/// One target on the way of a call.
struct Stop {
    target: Target,
    /// It can do what the call needs, and read what it carries, as far as is known.
    apt: bool,
    asked: u32,
    /// May be asked, at this time at the earliest; `None`: not any more.
    due: Option<Instant>,
    /// When it will have time, by its own latest word.
    back: Option<Instant>,
    /// Where it waits for its turn, if the target has as many calls as it may.
    place: Option<Place>,
}

/// Why an exchange cannot begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The target must not be asked now.
    Closed,
    /// It has as many calls as it may.
    Full,
    /// It may not be asked again.
    Spent,
}

/// Why a target is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is the next one.
    Next,
    /// Another one takes too long.
    Beside,
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
        let Routed { targets, apt, rules, task, mirror } = routed;
        let now = Instant::now();
        targets.iter().for_each(|target| target.reopen(clock.ticks()));
        let stop =
            |(at, target)| Stop { target, apt: at < 64 && apt >> at & 1 == 1, asked: 0, due: Some(now), back: None, place: None };
        let stops = targets.into_iter().enumerate().map(stop).collect();
        let until = later(now, rules.deadline);
        let (last, glancing, answering) = (None, None, None);
        Tries { stops, rules, clock, dice, until, last, glancing, over: false, task, answering, mirror }
    }

    /// The task that the call is, if it asked for one.
    pub fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The next exchange of `call`, as soon as it may begin.
    ///
    /// # Errors
    /// The last failure when nobody may be asked any more; `RateLimited` or `Unavailable` when nobody was, with the time
    /// after which somebody may be.
    pub(super) async fn next(&mut self, call: &mut OpenCall) -> Result<Entry, Failed> {
        if let (Some(task), Some(outcome)) = (&self.task, call.outcome()) {
            outcome.task = Some(task.clone());
        }
        let mut entry = self.advance().await?;
        entry.out.exchange = call.begin(&entry.leg.target);
        Ok(entry)
    }

    /// An exchange of `call` beside the one that takes too long, with the next target that has not been asked, is apt and
    /// fit, and has a retry to spare.
    pub(super) fn beside(&mut self, call: &mut OpenCall) -> Option<Entry> {
        let (now, ticks) = (Instant::now(), self.clock.ticks());
        if self.over || now >= self.until {
            return None;
        }
        for at in 0..self.stops.len() {
            let Some(stop) = self.stops.get(at).filter(|stop| stop.apt && stop.asked == 0) else { continue };
            let fitness = stop.target.look(self.rules.streamed, ticks).fitness;
            if matches!(fitness, Fitness::Fit | Fitness::Recovering(_))
                && let Ok(mut entry) = self.enter(at, now, Turn::Beside)
            {
                entry.out.exchange = call.begin(&entry.leg.target);
                return Some(entry);
            }
        }
        None
    }

    /// A call begins that may be hedged: as one that goes out for the first time it brings a share of a retry, to whoever
    /// would be asked beside the first.
    pub(super) fn earn_beside(&self) {
        if let Some(stop) = self.stops.iter().find(|stop| stop.apt && stop.asked == 0) {
            stop.target.standing().earn(self.rules.retry_percent);
        }
    }

    /// Hears how an exchange went. Gives the answer, if it is one: as far as `call` is concerned the exchange is answered,
    /// but the call stays open, because the answer's body may be still to come.
    pub(super) fn hear<T>(&mut self, out: Out, tried: Result<T, Failed>, call: &mut OpenCall) -> Option<T> {
        match tried {
            Ok(answer) => {
                self.answering = Some(out.at);
                call.answered(out.exchange, out.answered());
                Some(answer)
            }
            Err(failed) => {
                call.failed(out.exchange, &failed.error, failed.used);
                self.failed(out, failed);
                None
            }
        }
    }

    /// Whether an answer that breaks off after a part of it has gone out is gone on with.
    pub fn continues(&self) -> bool {
        self.rules.continues
    }

    /// The answer has broken off, and somebody shall go on with it: within the time that the call had for its beginning.
    pub(crate) fn broke_off(&mut self, error: &Error) {
        self.until = later(Instant::now(), self.rules.deadline);
        if let Some(at) = self.answering.take() {
            self.note(at, error.clone().into());
        }
    }

    async fn advance(&mut self) -> Result<Entry, Failed> {
        loop {
            let now = Instant::now();
            if self.over || now >= self.until {
                return Err(self.give_up(None, now));
            }
            for at in 0..self.stops.len() {
                let fresh = self.stops.get(at).is_some_and(|stop| stop.asked == 0);
                if fresh && let Ok(entry) = self.enter(at, now, Turn::Next) {
                    return Ok(self.leave_queues(entry));
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
                    match self.enter(at, now, Turn::Next) {
                        Ok(entry) => return Ok(self.leave_queues(entry)),
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

    /// An exchange has failed.
    fn failed(&mut self, out: Out, failed: Failed) {
        let at = out.at;
        out.failed(&failed);
        self.note(at, failed);
    }

    /// What follows from a failure for those who are asked after it.
    fn note(&mut self, at: usize, failed: Failed) {
        let now = Instant::now();
        let Some(stop) = self.stops.get_mut(at) else { return };
        let again = stop.asked < self.rules.attempts && may_help(&failed.error, self.rules.repeatable);
        stop.due = again.then(|| match failed.error.retry {
            Retry::After(wait) => later(now, backoff::told(wait, &self.dice)),
            Retry::Never | Retry::Backoff => later(now, backoff::wait(stop.asked, &self.dice)),
        });
        stop.back = match failed.error.retry {
            Retry::After(wait) => Some(later(now, wait)),
            Retry::Never | Retry::Backoff => None,
        };
        self.over |= failed.last || is_final(&failed.error) || (!self.rules.repeatable && may_be_done(&failed.error));
        let keep = self.last.as_ref().is_some_and(|last| worth(&last.error) > worth(&failed.error));
        if !keep {
            self.last = Some(failed);
        }
    }

    fn enter(&mut self, at: usize, now: Instant, turn: Turn) -> Result<Entry, Refusal> {
        let stop = self.stops.get_mut(at).ok_or(Refusal::Closed)?;
        let pass = admit(&stop.target, &mut stop.place, &self.rules, &self.clock)?;
        let standing = stop.target.standing();
        // Without a retry in the target's budget it is not asked again, nor beside another.
        if (stop.asked > 0 || turn == Turn::Beside) && !standing.spend(self.clock.ticks()) {
            stop.due = stop.due.filter(|_| turn == Turn::Beside);
            return Err(Refusal::Spent);
        }
        standing.learned().take(self.rules.tokens);
        if stop.asked == 0 && turn == Turn::Next {
            standing.earn(self.rules.retry_percent);
        }
        stop.asked += 1;
        let left = self.until.saturating_duration_since(now);
        let all = self.rules.all && self.rules.deadline.saturating_sub(left) < SCANT;
        Ok(self.rules.entry(stop.target.clone(), (left, all), (pass, at)))
    }

    /// Who goes waits nowhere any more.
    fn leave_queues(&mut self, entry: Entry) -> Entry {
        self.stops.iter_mut().for_each(|stop| stop.place = None);
        entry
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

    /// When the first of those that have said so, or must not be asked before, will have time.
    fn soonest(&self, now: Instant) -> Option<Duration> {
        let ticks = self.clock.ticks();
        let ready = self.stops.iter().filter_map(|stop| {
            let closed = stop.target.standing().closed(ticks).map(|closed| closed.left.unwrap_or(GLANCE));
            let shut = stop.target.service.gate.shut(&stop.target.model, self.rules.tokens, Duration::ZERO, ticks);
            let opens = closed.max(shut.map(|shut| shut.left));
            // One that should have time by now may as well be asked in a moment.
            let back = stop.back.map(|back| back.saturating_duration_since(now).max(MOMENT));
            back.max(opens)
        });
        ready.min()
    }

    fn give_up(&mut self, prospect: Option<Prospect>, now: Instant) -> Failed {
        let wait = prospect.as_ref().map(|prospect| prospect.due.saturating_duration_since(now));
        if let Some(mut failed) = self.last.take() {
            match (failed.error.retry, self.soonest(now)) {
                (Retry::Backoff, Some(wait)) if wait > self.rules.longest_wait => failed.error.retry = Retry::After(wait),
                // Somebody else may have time sooner; or nobody, because of our own limits.
                (Retry::After(told), Some(wait)) if told.abs_diff(wait) > SCANT => failed.tell_wait(wait),
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

impl Rules {
    /// An exchange that may begin, with this much time, and whether that is all there is.
    pub(super) fn entry(&self, target: Target, (left, all): (Duration, bool), (pass, at): (Pass, usize)) -> Entry {
        let time = Time { service: Arc::clone(&target.service), left, all };
        let (target, headed) = (target.for_exchange(), self.hedge.map(|_| Headed::default()));
        let hold = Hold { first_by: self.first_byte.map(|patience| later(Instant::now(), patience)), ..self.hold };
        let leg = Leg { target, hold, continues: self.continues, first_byte: self.first_byte, headed: headed.clone() };
        Entry { leg, time, out: Out { pass, at, exchange: 0 }, headed }
    }
}

/// Lets a call go to a target now, past whoever waits at `place` if it waits there itself.
pub(super) fn admit(target: &Target, place: &mut Option<Place>, rules: &Rules, clock: &Arc<dyn Clock>) -> Result<Pass, Refusal> {
    let (standing, gate) = (target.standing(), &target.service.gate);
    if !rules.own_pace && gate.holds() && standing.closed(clock.ticks()).is_some() {
        // Nobody's turn is kept from others for a target that must not be asked.
        *place = None;
        return Err(Refusal::Closed);
    }
    let seat = match place {
        Some(place) => Some(place.seat().ok_or(Refusal::Full)?),
        None => gate.enter(&target.model, rules.tokens, clock).map_err(|()| Refusal::Full)?,
    };
    *place = None;
    let pass = standing.enter(rules.streamed, rules.own_pace, clock).map_err(|_| Refusal::Closed)?;
    Ok(pass.seated(seat))
}

/// Times that are too far away to be told are as good as a month.
fn later(now: Instant, wait: Duration) -> Instant {
    now + wait.min(Duration::from_secs(30 * 24 * 3600))
}
