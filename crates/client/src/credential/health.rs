//! Whether a credential is fit for use.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The first rest of a rejected credential; each rejection after a rest doubles it, up to the longest.
const FIRST_REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);

/// One credential's health. Times are those of [`crate::clock::Clock::ticks`].
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Milliseconds; 0: well.
    rests_until: AtomicU64,
    strikes: AtomicU32,
}

impl Health {
    /// How long it has to rest yet; nothing when it is fit.
    pub(super) fn rest(&self, now: Duration) -> Option<Duration> {
        match self.rests_until.load(Ordering::Relaxed) {
            0 => None,
            until => Duration::from_millis(until).checked_sub(now).filter(|left| !left.is_zero()),
        }
    }

    /// It worked.
    pub(super) fn accept(&self) {
        if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
            self.rests_until.store(0, Ordering::Relaxed);
        }
    }

    /// It was rejected. How long it rests from now on; nothing when it does so already, because several calls were on
    /// their way with it.
    pub(super) fn reject(&self, now: Duration) -> Option<Duration> {
        if self.rest(now).is_some() {
            return None;
        }
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed);
        let rest = FIRST_REST.saturating_mul(1 << strikes.min(8)).min(LONGEST_REST);
        let until = u64::try_from(now.saturating_add(rest).as_millis()).unwrap_or(u64::MAX);
        self.rests_until.store(until, Ordering::Relaxed);
        Some(rest)
    }

    /// It has been used too much: it rests for so long, which is nothing against it.
    pub(super) fn rest_for(&self, rest: Duration, now: Duration) {
        let until = u64::try_from(now.saturating_add(rest.min(LONGEST_REST)).as_millis()).unwrap_or(u64::MAX);
        self.rests_until.fetch_max(until, Ordering::Relaxed);
    }

    /// Somebody has done something about it.
    pub(super) fn forgive(&self) {
        self.strikes.store(0, Ordering::Relaxed);
        self.rests_until.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_credential_rests_longer_each_time() {
        let health = Health::default();
        let mut now = Duration::from_secs(5);
        assert_eq!(health.rest(now), None);
        for seconds in [60, 120, 240, 480, 900, 900] {
            assert_eq!(health.reject(now), Some(Duration::from_secs(seconds)));
            assert_eq!(health.reject(now), None, "told once");
            assert_eq!(health.rest(now), Some(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(health.rest(now), None);
        }
        health.accept();
        assert_eq!(health.reject(now), Some(FIRST_REST));
        health.forgive();
        assert_eq!(health.rest(now), None);
    }
}
