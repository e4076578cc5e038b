//! How many calls go at once: found out by trying.
//!
//! Twice as many every round trip until the provider says no, then a twentieth fewer each time it does and one more each
//! round trip that it does not. When it says no to one call after the other, nobody calls for as long as it asks.

use std::time::{Duration, Instant};

/// With so many it begins.
const FIRST: f64 = 8.0;
/// What is left of them after a refusal.
const BACK: f64 = 0.95;
/// Refusals in a row after which nobody calls for a while.
const RUN: u32 = 3;
/// For how long, where the provider does not say.
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// When a call was sent, and how many were out then, with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) out: usize,
}

/// The pace of a batch.
#[derive(Debug)]
pub(super) struct Pace {
    limit: f64,
    most: f64,
    /// Doubling yet.
    climbing: bool,
    /// Calls that began before this say nothing new when they are refused.
    since: Option<Instant>,
    run: u32,
    rests: u32,
    until: Option<Instant>,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        let most = f64::from(u32::try_from(most.max(1)).unwrap_or(u32::MAX));
        Pace { limit: FIRST.min(most), most, climbing: true, since: None, run: 0, rests: 0, until: None }
    }

    /// Calls at once.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn limit(&self) -> usize {
        self.limit.max(1.0) as usize
    }

    /// How long nobody calls.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// A call was taken; `full`: as many as may had been out.
    pub(super) fn taken(&mut self, full: bool) {
        (self.run, self.rests) = (0, 0);
        if full {
            self.limit += if self.climbing { 1.0 } else { 1.0 / self.limit.max(1.0) };
            self.limit = self.limit.min(self.most);
        }
    }

    /// A call was refused; and asked to stay away for so long, if the provider says. That so many were too many is known of
    /// when it was sent: by now some of the others have been answered.
    pub(super) fn refused(&mut self, Sent { at, out }: Sent, told: Option<Duration>, now: Instant) {
        if self.since.is_some_and(|since| at < since) {
            return;
        }
        self.run += 1;
        if self.run >= RUN {
            let rest = told.unwrap_or_else(|| REST.saturating_mul(1 << self.rests.min(6))).min(LONGEST_REST);
            if self.until.is_none_or(|until| until <= now) {
                self.rests += 1;
            }
            self.until = self.until.max(Some(now + rest));
        }
        let out = f64::from(u32::try_from(out).unwrap_or(u32::MAX));
        self.limit = (self.limit.min(out.max(1.0)) * BACK).max(1.0);
        self.climbing = false;
        self.since = Some(now);
    }

    /// Nobody may call for so long, which is nobody's fault.
    pub(super) fn pause(&mut self, wait: Duration, now: Instant) {
        self.until = self.until.max(Some(now + wait.min(LONGEST_REST)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn climbs_falls_once_a_round_and_rests_when_refused_in_a_row() {
        let mut pace = Pace::new(1000);
        assert_eq!(pace.limit(), 8);
        (0..56).for_each(|_| pace.taken(true));
        assert_eq!(pace.limit(), 64);
        let (begun, now) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        pace.refused(Sent { at: begun, out: 40 }, None, now);
        assert_eq!(pace.limit(), 38);
        // Sent before the fall: old news.
        (0..9).for_each(|_| pace.refused(Sent { at: begun, out: 40 }, None, now));
        assert_eq!((pace.limit(), pace.rest(now)), (38, None));
        (0..2).for_each(|_| pace.refused(Sent { at: now, out: 38 }, Some(Duration::from_secs(7)), now));
        assert_eq!(pace.rest(now), Some(Duration::from_secs(7)));
        let before = pace.limit;
        (0..before as usize).for_each(|_| pace.taken(true));
        assert!(pace.limit > before + 0.8 && pace.limit < before + 1.1, "{}", pace.limit);
        assert_eq!(Pace::new(3).limit(), 3);
    }
}
