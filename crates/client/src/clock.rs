//! Time, as an argument: signatures and tokens depend on it, and tests move it.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time, in both of its kinds.
pub trait Clock: Send + Sync {
    /// What people and other machines call the time. It may jump when somebody sets it.
    fn now(&self) -> SystemTime;

    /// [`Clock::now`] in Unix seconds; 0 before 1970.
    fn unix(&self) -> u64 {
        self.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// Time since some moment in the past. It only ever goes on.
    fn ticks(&self) -> Duration;
}

/// This machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn ticks(&self) -> Duration {
        START.elapsed()
    }
}
