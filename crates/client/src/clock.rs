//! Time, as an argument: signatures and tokens depend on it, and tests move it.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time, in both of its kinds.
pub trait Clock: Send + Sync {
    /// What people and other machines call the time. It may jump when somebody sets it.
    fn now(&self) -> SystemTime;

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
