//! How often calls to a target may be made again: a share of the calls, so that an outage is not multiplied, and a few
//! more so that little traffic can be retried too.

use std::time::Duration;

/// A thousandth of a retry.
const WHOLE: u64 = 1000;
/// Retries that little traffic has, and how many of them come back in a second.
const RESERVE: u64 = 10 * WHOLE;
const REFILL_PER_SECOND: u64 = WHOLE;
/// What may be saved up: about what a sudden outage of busy targets costs.
const MOST: u64 = 100 * WHOLE;

/// One target's budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    left: u64,
    at: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { left: RESERVE, at: Duration::ZERO }
    }
}

impl Budget {
    /// A call goes out for the first time: it brings a share of a retry with it.
    pub(crate) fn earn(&mut self, percent: u32) {
        self.left = (self.left + u64::from(percent) * WHOLE / 100).min(MOST);
    }

    /// Takes one retry, if there is one.
    pub(crate) fn spend(&mut self, now: Duration) -> bool {
        let millis = now.saturating_sub(self.at).as_millis();
        let grown = u64::try_from(millis).unwrap_or(u64::MAX).saturating_mul(REFILL_PER_SECOND) / 1000;
        self.left = self.left.saturating_add(grown).min(RESERVE.max(self.left));
        // What is not a whole millisecond yet counts the next time.
        self.at += Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        let enough = self.left >= WHOLE;
        if enough {
            self.left -= WHOLE;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_not_multiplied_and_little_traffic_can_be_retried() {
        let mut budget = Budget::default();
        let mut spent = 0;
        for call in 0..1000 {
            budget.earn(20);
            let now = Duration::from_millis(call);
            spent += u32::from(budget.spend(now)) + u32::from(budget.spend(now));
        }
        assert!((200..=212).contains(&spent), "{spent}");
        assert!(budget.spend(Duration::from_secs(3)), "a second brings one back");
        let mut saved = 0;
        while budget.spend(Duration::from_secs(3600)) {
            saved += 1;
        }
        assert_eq!(saved, 10);
    }
}
