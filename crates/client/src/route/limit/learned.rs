//! What a provider's answers tell of its own limits, for as long as it holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::codec::dialect::advice::{ProviderLimits, Room};

/// How long it holds where the provider does not say.
const UNTOLD: Duration = Duration::from_secs(60);
/// The longest time for which it is believed: a day's limit may be raised before the day is over.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// What is left at one target, as far as its provider has told.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    told: AtomicBool,
    state: Mutex<Told>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    requests: Left,
    tokens: Left,
}

#[derive(Clone, Copy, Debug, Default)]
struct Left {
    limit: Option<u64>,
    remaining: Option<u64>,
    until: Duration,
}

impl Left {
    fn hear(&mut self, room: &Room, now: Duration) {
        if room.remaining.is_some() {
            let until = now.saturating_add(room.reset.unwrap_or(UNTOLD).min(LONGEST));
            *self = Left { limit: room.limit.or(self.limit), remaining: room.remaining, until };
        }
    }

    fn left(&self, now: Duration) -> Option<u64> {
        self.remaining.filter(|_| now < self.until)
    }

    fn room(&self, now: Duration) -> Option<u32> {
        let (left, limit) = (self.left(now)?, self.limit.filter(|limit| *limit > 0)?);
        let share = u128::from(left) * 1000 / u128::from(limit);
        Some(u32::try_from(share).unwrap_or(1000).min(1000))
    }
}

impl Learned {
    /// An answer has told this.
    pub(crate) fn hear(&self, limits: &ProviderLimits, now: Duration) {
        if limits.requests.remaining.is_none() && limits.tokens.remaining.is_none() {
            return;
        }
        let mut state = self.state();
        state.requests.hear(&limits.requests, now);
        state.tokens.hear(&limits.tokens, now);
        drop(state);
        self.told.store(true, Ordering::Release);
    }

    /// A call goes of which the provider has not told yet. Guesses use nothing up: only the provider says that nothing is
    /// left.
    pub(crate) fn take(&self, tokens: u64) {
        if self.is_told() {
            let Told { requests, tokens: of_tokens } = &mut *self.state();
            for (left, amount) in [(requests, 1), (of_tokens, tokens)] {
                let guessed = |left: u64| left.saturating_sub(amount).max(left.min(1));
                left.remaining = left.remaining.map(guessed);
            }
        }
    }

    /// For how long yet nothing is left of something.
    pub(crate) fn spent(&self, now: Duration) -> Option<Duration> {
        if !self.is_told() {
            return None;
        }
        let state = *self.state();
        let spent = [state.requests, state.tokens].into_iter().filter(|left| left.left(now) == Some(0));
        spent.map(|left| left.until.saturating_sub(now)).max()
    }

    /// How much is left, in thousandths, where that is known.
    pub(crate) fn room(&self, now: Duration) -> Option<u32> {
        if !self.is_told() {
            return None;
        }
        let state = *self.state();
        [state.requests.room(now), state.tokens.room(now)].into_iter().flatten().min()
    }

    fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, Told> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(limit: u64, remaining: u64, reset: u64) -> Room {
        Room { limit: Some(limit), remaining: Some(remaining), reset: Some(Duration::from_secs(reset)) }
    }

    #[test]
    fn what_is_told_holds_until_its_reset() {
        let at = Duration::from_secs;
        let learned = Learned::default();
        assert_eq!((learned.room(at(1)), learned.spent(at(1))), (None, None));
        learned.hear(&ProviderLimits { requests: room(100, 50, 10), tokens: room(1000, 0, 5) }, at(10));
        assert_eq!((learned.room(at(10)), learned.spent(at(12))), (Some(0), Some(at(3))));
        assert_eq!((learned.room(at(15)), learned.spent(at(15))), (Some(500), None), "the tokens are back");
        assert_eq!(learned.room(at(20)), None, "and nothing is known any more");
    }

    #[test]
    fn our_own_calls_count_but_never_as_the_last() {
        let learned = Learned::default();
        learned.hear(&ProviderLimits { requests: room(10, 3, 60), tokens: Room::default() }, Duration::ZERO);
        for left in [200, 100, 100] {
            learned.take(5000);
            assert_eq!(learned.room(Duration::ZERO), Some(left));
        }
        assert_eq!(learned.spent(Duration::ZERO), None);
        let far = Room { reset: Some(Duration::from_secs(86_400)), ..room(10, 0, 0) };
        learned.hear(&ProviderLimits { requests: far, tokens: Room::default() }, Duration::ZERO);
        assert_eq!(learned.spent(Duration::ZERO), Some(LONGEST));
    }
}
