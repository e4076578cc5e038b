//! How long to wait before a call is made again when the provider does not say.

use std::time::Duration;

use super::dice::Dice;

/// The first wait is up to this long, each later one up to twice as long as the one before.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(8);

/// Full jitter: anything up to the limit, so that callers who failed together do not come back together.
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
pub(crate) fn wait(failures: u32, dice: &Dice) -> Duration {
    let limit = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
    part(limit, dice)
}

/// The wait that a provider asks for, and up to a tenth more: it would be overrun if all came back in one moment.
pub(crate) fn told(wait: Duration, dice: &Dice) -> Duration {
    wait.saturating_add(part(wait / 10, dice))
}

fn part(limit: Duration, dice: &Dice) -> Duration {
    let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(dice.below(micros.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_and_bounded() {
        let dice = Dice::new(1);
        for failures in 1..20 {
            let waits: Vec<_> = (0..200).map(|_| wait(failures, &dice)).collect();
            let limit = FIRST.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST);
            assert!(waits.iter().all(|wait| *wait <= limit));
            assert!(waits.iter().any(|wait| *wait < limit / 4) && waits.iter().any(|wait| *wait > limit / 4 * 3));
        }
        let two = Duration::from_secs(2);
        assert!((0..100).map(|_| told(two, &dice)).all(|wait| (two..=two * 11 / 10).contains(&wait)));
    }
}
