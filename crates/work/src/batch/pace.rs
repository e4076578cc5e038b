//! How many calls go at once: found out by trying.
//!
//! Twice as many every round trip until the provider says no, then a fiftieth fewer each time it does and one more each
//! round trip that it does not; more than were refused are tried only after four. When it says no to one call after the
//! other, nobody calls for as long as it asks.

use std::time::{Duration, Instant};

/// With so many it begins.
const FIRST: f64 = 16.0;
/// This part fewer than were allowed when one was refused, and one at least.
const BACK: f64 = 0.02;
/// How much slower more are tried than were refused before.
const CARE: f64 = 4.0;
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

/// Refusals that tell of one and the same fall: of calls that were sent before the first of them was heard.
#[derive(Clone, Copy, Debug)]
struct Round {
    since: Instant,
    /// So many were out, refused ones included.
    peak: usize,
    refused: usize,
}

/// The pace of a batch.
#[derive(Debug)]
pub(super) struct Pace {
    limit: f64,
    most: f64,
    /// Doubling yet.
    climbing: bool,
    /// So many were refused.
    ceiling: f64,
    /// The last fall.
    round: Option<Round>,
    run: u32,
    rests: u32,
    until: Option<Instant>,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        let most = float(most.max(1));
        Pace { limit: FIRST.min(most), most, climbing: true, ceiling: f64::INFINITY, round: None, run: 0, rests: 0, until: None }
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
            let step = if self.limit.floor() + 1.0 < self.ceiling { 1.0 } else { 1.0 / CARE };
            self.limit += if self.climbing { 1.0 } else { step / self.limit.max(1.0) };
            self.limit = self.limit.min(self.most);
        }
    }

    /// A call was refused, so that so many are `left`; and asked to stay away for so long, if the provider says.
    pub(super) fn refused(&mut self, sent: Sent, left: usize, told: Option<Duration>, now: Instant) {
        if self.round.is_none_or(|round| sent.at >= round.since) {
            self.round = Some(Round { since: now, peak: 0, refused: 0 });
            self.rest_after_a_run(told, now);
        }
        let Some(round) = &mut self.round else { return };
        round.refused += 1;
        // Neither figure alone: what was sent later may arrive earlier, and by now others may have been answered.
        round.peak = round.peak.max(sent.out).max(left + round.refused);
        let allowed = float(round.peak.saturating_sub(round.refused));
        self.ceiling = allowed + 1.0;
        self.limit = self.limit.min(allowed - (allowed * BACK).max(1.0)).max(1.0);
        self.climbing = false;
    }

    fn rest_after_a_run(&mut self, told: Option<Duration>, now: Instant) {
        self.run += 1;
        if self.run < RUN {
            return;
        }
        let rest = told.unwrap_or_else(|| REST.saturating_mul(1 << self.rests.min(6))).min(LONGEST_REST);
        if self.until.is_none_or(|until| until <= now) {
            self.rests += 1;
        }
        self.until = self.until.max(Some(now + rest));
    }

    /// Nobody may call for so long, which is nobody's fault.
    pub(super) fn pause(&mut self, wait: Duration, now: Instant) {
        self.until = self.until.max(Some(now + wait.min(LONGEST_REST)));
    }
}

fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn climbs_falls_to_what_was_allowed_and_rests_when_refused_in_a_row() {
        let mut pace = Pace::new(1000);
        assert_eq!(pace.limit(), 16);
        (0..48).for_each(|_| pace.taken(true));
        assert_eq!(pace.limit(), 64);
        let (begun, now) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        // 24 of 64, in any order: the other 40 were allowed.
        let outs = (0..24).map(|n| 64 - (n * 7) % 24);
        outs.enumerate().for_each(|(n, out)| pace.refused(Sent { at: begun, out }, 63 - n, None, now));
        assert_eq!((pace.limit(), pace.rest(now)), (39, None));
        // One more in a round trip, and those that were refused in four.
        (0..40).for_each(|_| pace.taken(true));
        assert_eq!(pace.limit(), 40);
        (0..3 * 40).for_each(|_| pace.taken(true));
        assert_eq!(pace.limit(), 40);
        (0..50).for_each(|_| pace.taken(true));
        assert_eq!(pace.limit(), 41);
        // Of a call whose refusal comes late it is known how many were out when it went.
        pace.refused(Sent { at: now, out: 41 }, 3, None, now);
        assert_eq!(pace.limit(), 39);
        (0..2).for_each(|_| pace.refused(Sent { at: now, out: 38 }, 37, Some(Duration::from_secs(7)), now));
        assert_eq!((pace.limit(), pace.rest(now)), (36, Some(Duration::from_secs(7))));
        assert_eq!(Pace::new(3).limit(), 3);
    }

    /// A provider that allows so many at once, in rounds: how many of them are used, and how many calls are refused.
    fn settles(allowed: usize) -> (f64, f64) {
        let mut pace = Pace::new(1000);
        let mut now = Instant::now();
        let (mut taken, mut refused) = (0, 0);
        for round in 0..400 {
            let at = now;
            now += Duration::from_secs(100);
            let out = pace.limit();
            if out > allowed {
                refused += out - allowed;
                (allowed..out).rev().for_each(|left| pace.refused(Sent { at, out }, left, None, now));
            }
            let good = out.min(allowed);
            (0..good).for_each(|_| pace.taken(true));
            taken += if round < 20 { 0 } else { good };
        }
        (taken as f64 / (380 * allowed) as f64, refused as f64 / taken as f64)
    }

    #[test]
    fn what_is_allowed_is_used_and_little_is_refused() {
        for (allowed, least, most) in [(1, 0.99, 0.3), (3, 0.8, 0.1), (10, 0.95, 0.03), (24, 0.96, 0.02), (200, 0.99, 0.005)] {
            let (used, refused) = settles(allowed);
            assert!(used >= least && refused <= most, "{allowed}: {used:.3} of them used, {refused:.4} refused");
        }
    }
}
