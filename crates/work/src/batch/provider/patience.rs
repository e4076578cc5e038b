//! How long a provider that fails is asked again.

use std::time::{Duration, Instant};

use trunkline::{Error, Kind, Retry};

use super::LONGEST_PAUSE;

/// For how long it may fail, from the first failure in a row.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// It is asked again so often at least: one wait that it asked for may have been as long as all patience.
const LEAST: u32 = 3;
/// The longest wait that it may ask for.
const LONGEST_TOLD: Duration = Duration::from_secs(15 * 60);

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Patience {
    since: Option<Instant>,
    failures: u32,
}

impl Patience {
    /// It went well: what was before does not count any more.
    pub(super) fn good(&mut self) {
        *self = Self::default();
    }

    /// How long to wait after an error before asking the same again; `None`: it does not help, or not any more.
    pub(super) fn bear(&mut self, error: &Error) -> Option<Duration> {
        let lasting = matches!(error.kind, Kind::Unauthenticated | Kind::Forbidden | Kind::QuotaExhausted | Kind::Tls);
        let since = *self.since.get_or_insert_with(Instant::now);
        let is_over = self.failures >= LEAST && since.elapsed() > PATIENCE;
        if !trunkline::batch::may_pass(error) || lasting || is_over {
            return None;
        }
        self.failures += 1;
        Some(match error.retry {
            Retry::After(wait) => bound(wait),
            _ => Duration::from_millis(500).saturating_mul(1 << self.failures.min(7)).min(LONGEST_PAUSE),
        })
    }
}

/// A wait that a provider asked for, as far as it is granted.
pub(super) fn bound(told: Duration) -> Duration {
    told.min(LONGEST_TOLD)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use trunkline::{Error, Kind, Origin, Retry};

    use super::{LONGEST_TOLD, PATIENCE, Patience};

    fn error(kind: Kind, retry: Retry) -> Error {
        Error { retry, ..Error::new(kind, Origin::Provider, "no") }
    }

    #[test]
    fn a_wait_that_is_asked_for_is_granted_up_to_a_bound() {
        let mut patience = Patience::default();
        let told = |seconds| error(Kind::RateLimited, Retry::After(Duration::from_secs(seconds)));
        assert_eq!(patience.bear(&told(7)), Some(Duration::from_secs(7)));
        assert_eq!(patience.bear(&told(u64::MAX)), Some(LONGEST_TOLD));
        assert_eq!(patience.bear(&error(Kind::Unauthenticated, Retry::Backoff)), None);
        assert_eq!(patience.bear(&error(Kind::NotFound, Retry::Never)), None);
    }

    #[test]
    fn one_failure_after_a_long_wait_is_not_the_end_and_the_last_of_many_is() {
        let passing = error(Kind::Server, Retry::Backoff);
        let since = Instant::now().checked_sub(PATIENCE + Duration::from_secs(1));
        if since.is_none() {
            return;
        }
        let mut patience = Patience { since, failures: 1 };
        assert_eq!(patience.bear(&passing), Some(Duration::from_secs(2)));
        assert!(patience.bear(&passing).is_some());
        assert_eq!(patience.bear(&passing), None);
        patience.good();
        assert!(patience.bear(&passing).is_some());
    }
}
