//! What one limit counts: calls that are out, calls that wait, and what is left of the minute.

use std::time::Duration;

use super::bucket::Bucket;
use crate::config::Limit;

/// The counts of a provider, or of one of its models.
#[derive(Debug, Default)]
pub(super) struct Meter {
    limit: Limit,
    in_flight: u32,
    waiting: u32,
    /// What those who wait will take.
    waiting_tokens: u64,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// How long a call was out, on average, in microseconds.
    stay: u64,
}

impl Meter {
    /// From now on this holds.
    pub(super) fn set(&mut self, limit: Limit, now: Duration) {
        let pace = |old: Option<Bucket>, per_minute| {
            let per_minute = per_minute?;
            Some(old.map_or_else(|| Bucket::full(per_minute, now), |old| old.paced(per_minute, now)))
        };
        self.requests = pace(self.requests, limit.requests_per_minute);
        self.tokens = pace(self.tokens, limit.tokens_per_minute);
        self.limit = limit;
    }

    pub(super) const fn waiting(&self) -> u32 {
        self.waiting
    }

    pub(super) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether a call may go now.
    pub(super) fn fits(&self, tokens: u64, now: Duration) -> bool {
        self.limit.in_flight.is_none_or(|most| self.in_flight < most.get()) && self.opens(tokens, now).is_zero()
    }

    /// How long a call has to wait for its share of the minute, if nobody waits before it.
    pub(super) fn opens(&self, tokens: u64, now: Duration) -> Duration {
        let requests = self.requests.map(|bucket| bucket.wait(1, 0, now));
        let tokens = self.tokens.map(|bucket| bucket.wait(tokens, 0, now));
        requests.max(tokens).unwrap_or_default()
    }

    /// The least that a call has to wait behind those who do.
    pub(super) fn wait(&self, tokens: u64, now: Duration) -> Duration {
        let requests = self.requests.map(|bucket| bucket.wait(1, self.waiting.into(), now));
        let tokens = self.tokens.map(|bucket| bucket.wait(tokens, self.waiting_tokens, now));
        requests.max(tokens).unwrap_or_default()
    }

    /// What a call would have to wait, by what calls took until now.
    pub(super) fn guess(&self, tokens: u64, now: Duration) -> Duration {
        let turns = self.limit.in_flight.map_or(0, |most| u64::from(self.waiting) / u64::from(most.get()) + 1);
        self.wait(tokens, now).max(Duration::from_micros(self.stay.saturating_mul(turns)))
    }

    /// Whether as many wait as may.
    pub(super) fn is_full(&self) -> bool {
        self.limit.holds() && self.waiting >= self.limit.queue()
    }

    pub(super) fn line_up(&mut self, tokens: u64) {
        self.waiting += 1;
        self.waiting_tokens = self.waiting_tokens.saturating_add(tokens);
    }

    pub(super) fn leave(&mut self, tokens: u64) {
        self.waiting = self.waiting.saturating_sub(1);
        self.waiting_tokens = self.waiting_tokens.saturating_sub(tokens);
    }

    /// A call goes.
    pub(super) fn take(&mut self, tokens: u64, now: Duration) {
        self.in_flight += 1;
        if let Some(bucket) = &mut self.requests {
            bucket.take(1, now);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens, now);
        }
    }

    /// A call is over that was out for so long.
    pub(super) fn release(&mut self, stay: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let stay = u64::try_from(stay.as_micros()).unwrap_or(u64::MAX);
        self.stay = if self.stay == 0 { stay } else { self.stay / 8 * 7 + stay / 8 };
    }

    /// A call took other than what was foreseen.
    pub(super) fn settle(&mut self, foreseen: u64, used: u64, now: Duration) {
        let Some(bucket) = &mut self.tokens else { return };
        bucket.give(foreseen.saturating_sub(used), now);
        bucket.take(used.saturating_sub(foreseen), now);
    }

    /// What is left of the minute, in thousandths, where there is a limit.
    pub(super) fn room(&self, now: Duration) -> Option<u32> {
        [self.requests, self.tokens].into_iter().flatten().map(|bucket| bucket.room(now)).min()
    }
}
