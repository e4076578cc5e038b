//! So much a minute: a bucket that fills evenly and is never fuller than a minute makes it.

use std::num::NonZeroU64;
use std::time::Duration;

/// A unit in the bucket is what flows in within a microsecond at a pace of one a minute.
const UNIT: i128 = 60_000_000;

/// What may be taken now, and how it grows. Times are those of [`crate::clock::Clock::ticks`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    per_minute: i128,
    /// Less than nothing when more was taken than had been foreseen.
    level: i128,
    at: Duration,
}

impl Bucket {
    /// A full one.
    pub(super) fn full(per_minute: NonZeroU64, now: Duration) -> Self {
        let per_minute = i128::from(per_minute.get());
        Bucket { per_minute, level: per_minute * UNIT, at: now }
    }

    /// The same with another pace.
    pub(super) fn paced(mut self, per_minute: NonZeroU64, now: Duration) -> Self {
        self.fill(now);
        self.per_minute = i128::from(per_minute.get());
        self.level = self.level.min(self.per_minute * UNIT);
        self
    }

    fn fill(&mut self, now: Duration) {
        self.level = self.level(now);
        self.at = self.at.max(now);
    }

    fn level(&self, now: Duration) -> i128 {
        let passed = i128::try_from(now.saturating_sub(self.at).as_micros()).unwrap_or(UNIT);
        self.level.saturating_add(passed.saturating_mul(self.per_minute)).min(self.per_minute * UNIT)
    }

    /// How long until this much may be taken, and `ahead` before it. What is more than a bucket holds waits for a full one.
    pub(super) fn wait(&self, amount: u64, ahead: u64, now: Duration) -> Duration {
        let wanted = i128::from(amount).min(self.per_minute) + i128::from(ahead);
        let lacking = (wanted * UNIT - self.level(now)).max(0);
        // The pace is at least one: a configuration of zero is none.
        let micros = (lacking + self.per_minute - 1) / self.per_minute.max(1);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub(super) fn take(&mut self, amount: u64, now: Duration) {
        self.fill(now);
        self.level = self.level.saturating_sub(i128::from(amount) * UNIT);
    }

    /// What was taken and not needed.
    pub(super) fn give(&mut self, amount: u64, now: Duration) {
        self.fill(now);
        self.level = self.level.saturating_add(i128::from(amount) * UNIT).min(self.per_minute * UNIT);
    }

    /// How full it is, in thousandths.
    pub(super) fn room(&self, now: Duration) -> u32 {
        let share = self.level(now).max(0) * 1000 / (self.per_minute * UNIT).max(1);
        u32::try_from(share).unwrap_or(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(per_minute: u64) -> Bucket {
        Bucket::full(NonZeroU64::new(per_minute).unwrap(), Duration::ZERO)
    }

    #[test]
    fn a_minute_gives_a_minutes_worth() {
        let second = Duration::from_secs(1);
        let mut bucket = bucket(60);
        bucket.take(60, Duration::ZERO);
        assert_eq!(bucket.wait(1, 0, Duration::ZERO), second);
        assert_eq!(bucket.wait(1, 9, Duration::ZERO), second * 10);
        assert_eq!(bucket.wait(1, 0, second), Duration::ZERO);
        assert_eq!(bucket.room(second * 30), 500);
        assert_eq!(bucket.room(second * 3000), 1000, "never more than full");
    }

    #[test]
    fn what_is_larger_than_the_bucket_goes_when_it_is_full_and_leaves_a_debt() {
        let minute = Duration::from_secs(60);
        let mut bucket = bucket(100);
        assert_eq!(bucket.wait(1000, 0, Duration::ZERO), Duration::ZERO);
        bucket.take(1000, Duration::ZERO);
        assert_eq!(bucket.wait(1, 0, minute), Duration::from_millis(8 * 60_000 + 600));
        bucket.give(2000, minute);
        assert_eq!(bucket.room(minute), 1000);
        let huge = Bucket::full(NonZeroU64::MAX, Duration::ZERO);
        assert_eq!(huge.wait(u64::MAX, u64::MAX, Duration::ZERO), minute);
    }

    #[test]
    fn no_more_than_the_pace_gets_through_in_the_long_run() {
        let mut bucket = bucket(600);
        let mut taken = 0;
        for ms in 0..120_000 {
            let now = Duration::from_millis(ms);
            while bucket.wait(1, 0, now).is_zero() {
                bucket.take(1, now);
                taken += 1;
            }
        }
        assert!((1798..=1800).contains(&taken), "{taken}");
    }
}
