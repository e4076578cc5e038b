//! The one place where calls to a provider wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::meter::Meter;
use crate::clock::Clock;
use crate::config::Limit;

/// When nothing is known of how long calls take, who finds the queue full had better come back after this.
const COME_BACK: Duration = Duration::from_secs(1);

/// The limits of one provider and of its models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) whole: Limit,
    pub(crate) models: BTreeMap<String, Limit>,
}

/// What calls to one provider pass.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Whether there is anything to count.
    holds: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Rules,
    whole: Meter,
    /// The first is for the models without a limit of their own. None is ever removed: seats point at them.
    lanes: Vec<Lane>,
    /// Who waited and may go.
    called: BTreeSet<u64>,
    next: u64,
}

#[derive(Debug, Default)]
struct Lane {
    model: String,
    meter: Meter,
    /// Who waits, in the order of coming.
    queue: BTreeMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    tokens: u64,
    waker: Option<Waker>,
    /// It had better look again.
    rung: bool,
}

/// Why nobody can wait here.
#[derive(Debug)]
pub(crate) struct Shut {
    /// When it may be otherwise.
    pub(crate) left: Duration,
    pub(crate) why: String,
}

impl Gate {
    /// One with these limits.
    pub(crate) fn new(rules: Rules) -> Arc<Self> {
        let gate = Arc::new(Gate::default());
        gate.set(rules, Duration::ZERO);
        gate
    }

    /// From now on these hold; calls that are out, and those that wait, stay counted.
    pub(crate) fn set(&self, rules: Rules, now: Duration) {
        let holds = rules.whole.holds() || rules.models.values().any(Limit::holds);
        let mut state = self.state();
        state.set(rules, now);
        self.holds.store(holds, Ordering::Release);
        wake(state, now);
    }

    pub(crate) fn rules(&self) -> Rules {
        self.state().rules.clone()
    }

    /// Whether calls may have to wait here.
    pub(crate) fn holds(&self) -> bool {
        self.holds.load(Ordering::Acquire)
    }

    /// Whether what the provider tells of its own limits counts for this model.
    pub(crate) fn learns(&self, model: &str) -> bool {
        let state = self.state();
        let own = state.rules.models.get(model).and_then(|limit| limit.learn);
        own.or(state.rules.whole.learn).unwrap_or(true)
    }

    /// Lets a call go at once, unless it has to wait. `None`: nothing is limited.
    pub(crate) fn enter(self: &Arc<Self>, model: &str, tokens: u64, clock: &Arc<dyn Clock>) -> Result<Option<Seat>, ()> {
        if !self.holds() {
            return Ok(None);
        }
        let now = clock.ticks();
        let mut state = self.state();
        let at = state.lane(model);
        if !state.admits(at, tokens, now) {
            return Err(());
        }
        state.take(at, tokens, now);
        drop(state);
        Ok(Some(self.seat(at, tokens, Arc::clone(clock), now)))
    }

    /// Whether, and why, a call could not wait here if it has that much patience.
    pub(crate) fn shut(&self, model: &str, tokens: u64, patience: Duration, now: Duration) -> Option<Shut> {
        if !self.holds() {
            return None;
        }
        let state = self.state();
        state.shut(state.lane(model), tokens, patience, now)
    }

    /// Has a call wait for its turn.
    pub(crate) fn line_up(
        self: &Arc<Self>,
        model: &str,
        tokens: u64,
        patience: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Option<Place> {
        let mut state = self.state();
        let at = state.lane(model);
        if state.shut(at, tokens, patience, clock.ticks()).is_some() {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.whole.line_up(tokens);
        let lane = state.lanes.get_mut(at)?;
        lane.meter.line_up(tokens);
        lane.queue.insert(number, Waiter { tokens, waker: None, rung: false });
        // There may be room by now.
        let wakers = state.call(clock.ticks());
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Some(Place { gate: Arc::clone(self), clock: Arc::clone(clock), at, number, tokens, over: false })
    }

    /// What is left of our own limits for a minute, in thousandths, where there are any.
    pub(crate) fn room(&self, model: &str, now: Duration) -> Option<u32> {
        if !self.holds() {
            return None;
        }
        let state = self.state();
        let own = state.lanes.get(state.lane(model)).and_then(|lane| lane.meter.room(now));
        [own, state.whole.room(now)].into_iter().flatten().min()
    }

    /// Calls that are out, and calls that wait.
    pub(crate) fn count(&self) -> (u32, u32) {
        let state = self.state();
        (state.whole.in_flight(), state.whole.waiting())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(self: &Arc<Self>, at: usize, tokens: u64, clock: Arc<dyn Clock>, now: Duration) -> Seat {
        Seat { gate: Arc::clone(self), clock, at, tokens, since: now }
    }
}

/// Lets go who may, and has those who wait first look again. Wakers are called without the lock.
fn wake(mut state: MutexGuard<'_, State>, now: Duration) {
    let mut wakers = state.call(now);
    wakers.extend(state.ring());
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

impl State {
    fn set(&mut self, rules: Rules, now: Duration) {
        if self.lanes.is_empty() {
            self.lanes.push(Lane::default());
        }
        for model in rules.models.keys() {
            if self.lane(model) == 0 {
                self.lanes.push(Lane { model: model.clone(), ..Lane::default() });
            }
        }
        for lane in self.lanes.iter_mut().skip(1) {
            lane.meter.set(rules.models.get(&lane.model).copied().unwrap_or_default(), now);
        }
        self.whole.set(rules.whole, now);
        self.rules = rules;
    }

    fn lane(&self, model: &str) -> usize {
        self.lanes.iter().skip(1).position(|lane| lane.model == model).map_or(0, |at| at + 1)
    }

    /// Whether a call may go that has just come: not before those who wait and could go if the provider had room.
    fn admits(&self, at: usize, tokens: u64, now: Duration) -> bool {
        let Some(lane) = self.lanes.get(at) else { return true };
        let first = |lane: &Lane| lane.queue.values().next().is_some_and(|waiter| lane.meter.fits(waiter.tokens, now));
        lane.queue.is_empty() && lane.meter.fits(tokens, now) && self.whole.fits(tokens, now) && !self.lanes.iter().any(first)
    }

    fn take(&mut self, at: usize, tokens: u64, now: Duration) {
        self.whole.take(tokens, now);
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.meter.take(tokens, now);
        }
    }

    fn shut(&self, at: usize, tokens: u64, patience: Duration, now: Duration) -> Option<Shut> {
        let meters = || self.lanes.get(at).map(|lane| &lane.meter).into_iter().chain([&self.whole]);
        let guess = || meters().map(|meter| meter.guess(tokens, now)).max().unwrap_or_default();
        if let Some(meter) = meters().find(|meter| meter.is_full()) {
            let why = format!("{} calls are out and {} wait, as many as [limits] allows", meter.in_flight(), meter.waiting());
            let left = Some(guess()).filter(|left| !left.is_zero()).unwrap_or(COME_BACK);
            return Some(Shut { left, why });
        }
        let wait = meters().map(|meter| meter.wait(tokens, now)).max().unwrap_or_default();
        (wait >= patience.max(Duration::from_nanos(1)))
            .then(|| Shut { left: wait, why: "what [limits] allows in a minute is used up".to_owned() })
    }

    /// Lets go those whose turn it is.
    fn call(&mut self, now: Duration) -> Vec<Waker> {
        let mut wakers = Vec::new();
        loop {
            let heads = self.lanes.iter().enumerate().filter_map(|(at, lane)| {
                let (number, waiter) = lane.queue.first_key_value()?;
                lane.meter.fits(waiter.tokens, now).then_some((*number, at, waiter.tokens))
            });
            let Some((number, at, tokens)) = heads.min() else { break };
            if !self.whole.fits(tokens, now) {
                break;
            }
            let waiter = self.leave(at, number);
            self.take(at, tokens, now);
            self.called.insert(number);
            wakers.extend(waiter.and_then(|waiter| waiter.waker));
        }
        wakers
    }

    /// Has those who wait first look again, because they keep the time for all behind them.
    fn ring(&mut self) -> Vec<Waker> {
        let heads = self.lanes.iter_mut().filter_map(|lane| lane.queue.values_mut().next());
        let ringing = heads.filter_map(|waiter| {
            waiter.rung = true;
            waiter.waker.take()
        });
        ringing.collect()
    }

    fn leave(&mut self, at: usize, number: u64) -> Option<Waiter> {
        let lane = self.lanes.get_mut(at)?;
        let waiter = lane.queue.remove(&number)?;
        lane.meter.leave(waiter.tokens);
        self.whole.leave(waiter.tokens);
        Some(waiter)
    }

    fn release(&mut self, at: usize, stay: Duration) {
        self.whole.release(stay);
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.meter.release(stay);
        }
    }

    fn settle(&mut self, at: usize, foreseen: u64, used: u64, now: Duration) {
        self.whole.settle(foreseen, used, now);
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.meter.settle(foreseen, used, now);
        }
    }
}

/// A call's place among those who wait. Dropped, it makes room.
pub(crate) struct Place {
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    at: usize,
    number: u64,
    tokens: u64,
    over: bool,
}

impl Place {
    /// The right to go, once it is this call's turn.
    pub(crate) fn seat(&mut self) -> Option<Seat> {
        let now = self.clock.ticks();
        let mut state = self.gate.state();
        let mut wakers = state.call(now);
        if !wakers.is_empty() {
            // Somebody else waits first now.
            wakers.extend(state.ring());
        }
        self.over = state.called.remove(&self.number);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        self.over.then(|| self.gate.seat(self.at, self.tokens, Arc::clone(&self.clock), now))
    }

    /// When to look again without being woken; `None` when it takes somebody else to go first.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let now = self.clock.ticks();
        let state = self.gate.state();
        let lane = state.lanes.get(self.at)?;
        let (first, _) = lane.queue.first_key_value()?;
        let opens = lane.meter.opens(self.tokens, now).max(state.whole.opens(self.tokens, now));
        (*first == self.number && !opens.is_zero()).then_some(opens)
    }

    /// Ready when it had better look again.
    pub(crate) fn poll_news(&mut self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.gate.state();
        let waiter = state.lanes.get_mut(self.at).and_then(|lane| lane.queue.get_mut(&self.number));
        let Some(waiter) = waiter else { return Poll::Ready(()) };
        if std::mem::take(&mut waiter.rung) {
            return Poll::Ready(());
        }
        waiter.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let now = self.clock.ticks();
        let mut state = self.gate.state();
        if state.called.remove(&self.number) {
            // It never went: nothing of its share was used but the call's own place in the minute.
            state.settle(self.at, self.tokens, 0, now);
            state.release(self.at, Duration::ZERO);
        } else {
            state.leave(self.at, self.number);
        }
        wake(state, now);
    }
}

/// The right to be out. Dropped, the next may go.
pub(crate) struct Seat {
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    at: usize,
    tokens: u64,
    since: Duration,
}

impl Seat {
    /// The call has taken so many tokens.
    pub(crate) fn settle(&mut self, used: u64) {
        let foreseen = std::mem::replace(&mut self.tokens, used);
        self.gate.state().settle(self.at, foreseen, used, self.clock.ticks());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let now = self.clock.ticks();
        let mut state = self.gate.state();
        state.release(self.at, now.saturating_sub(self.since));
        wake(state, now);
    }
}

#[cfg(test)]
mod tests;
