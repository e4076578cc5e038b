//! Whether a credential is fit for use.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    /// What it rests for passes by itself, at a time that is known.
    passes: AtomicBool,
    /// The fingerprint of the secret that rests: another one in its place does not.
    whose: Mutex<Option<String>>,
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

    /// The same for a rest that is known to end by itself: neither rejected nor without credit.
    pub(super) fn wait(&self, now: Duration) -> Option<Duration> {
        self.rest(now).filter(|_| self.passes.load(Ordering::Relaxed))
    }

    /// Whether a secret of this fingerprint is known to be another than the one that rests.
    pub(super) fn is_of_another(&self, fingerprint: Option<&str>) -> bool {
        let whose = self.whose();
        whose.as_deref().zip(fingerprint).is_some_and(|(rests, this)| rests != this)
    }

    /// It was rejected, with the secret of this fingerprint. How long it rests from now on; nothing when it does so
    /// already, because several calls were on their way with it.
    pub(super) fn reject(&self, now: Duration, fingerprint: Option<&str>) -> Option<Duration> {
        if self.rest(now).is_some() {
            return None;
        }
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed);
        let rest = FIRST_REST.saturating_mul(1 << strikes.min(8)).min(LONGEST_REST);
        let until = u64::try_from(now.saturating_add(rest).as_millis()).unwrap_or(u64::MAX);
        *self.whose() = fingerprint.map(str::to_owned);
        self.passes.store(false, Ordering::Relaxed);
        self.rests_until.store(until, Ordering::Relaxed);
        Some(rest)
    }

    /// It has been used too much: it rests for so long, which is nothing against it. `passes`: then it is fit again.
    pub(super) fn rest_for(&self, rest: Duration, passes: bool, now: Duration, fingerprint: Option<&str>) {
        let until = u64::try_from(now.saturating_add(rest.min(LONGEST_REST)).as_millis()).unwrap_or(u64::MAX);
        let mut whose = self.whose();
        if self.rests_until.fetch_max(until, Ordering::Relaxed) < until {
            *whose = fingerprint.map(str::to_owned);
            self.passes.store(passes, Ordering::Relaxed);
        }
    }

    /// Somebody has done something about it.
    pub(super) fn forgive(&self) {
        self.strikes.store(0, Ordering::Relaxed);
        self.rests_until.store(0, Ordering::Relaxed);
    }

    fn whose(&self) -> MutexGuard<'_, Option<String>> {
        self.whose.lock().unwrap_or_else(PoisonError::into_inner)
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
            assert_eq!(health.reject(now, Some("a")), Some(Duration::from_secs(seconds)));
            assert_eq!(health.reject(now, Some("b")), None, "told once");
            assert!(health.is_of_another(Some("b")) && !health.is_of_another(Some("a")) && !health.is_of_another(None));
            assert_eq!(health.rest(now), Some(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(health.rest(now), None);
        }
        health.accept();
        assert_eq!(health.reject(now, None), Some(FIRST_REST));
        assert!(!health.is_of_another(Some("b")), "nobody knows");
        health.forgive();
        assert_eq!(health.rest(now), None);
    }
}
