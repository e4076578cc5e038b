//! One value that names a wait: a number, a duration, or a point in time.

use std::time::Duration;

use super::duration;
use crate::dialect::time::{read_http_date, read_time};

/// The longest wait that is believed: a day. What says more is cut to it, because by then it is cheaper to ask once more
/// than to trust a number that is more likely wrong than meant.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What a bare number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// Numbers of seconds from here on are points in time: nobody waits thirty years.
const FIRST_TIME: f64 = 1e9;
/// And these are points in time in milliseconds.
const FIRST_MILLISECOND: f64 = 1e12;

/// `7`, `0.25`, `1500` in milliseconds, `6m0s`, `1741305600`, `1741305600000`, `2026-11-23T05:00:00Z`,
/// `Mon, 23 Nov 2026 05:00:00 GMT`. Points in time are told from `now`, in Unix seconds, and not understood without it.
pub(super) fn read_wait(text: &str, unit: Unit, now: Option<u64>) -> Option<Duration> {
    settle(read_seconds(text, unit, now)?)
}

/// The same where nothing, or less, has been told as well: what was to be waited for is there already.
pub(super) fn read_reset(text: &str, now: Option<u64>) -> Option<Duration> {
    let seconds = read_seconds(text, Unit::Seconds, now).filter(|seconds| seconds.is_finite())?;
    Some(settle(seconds).unwrap_or(Duration::ZERO))
}

fn read_seconds(text: &str, unit: Unit, now: Option<u64>) -> Option<f64> {
    let text = text.trim().trim_matches('"').trim();
    match text.parse::<f64>() {
        Ok(number) => count_seconds(number, unit, now),
        Err(_) => match duration::read_whole(text) {
            Some(seconds) => Some(seconds),
            None => until(read_time(text).or_else(|| read_http_date(text))? as f64, now),
        },
    }
}

/// A number, of seconds or milliseconds, or a point in time.
pub(super) fn count(number: f64, unit: Unit, now: Option<u64>) -> Option<Duration> {
    settle(count_seconds(number, unit, now)?)
}

fn count_seconds(number: f64, unit: Unit, now: Option<u64>) -> Option<f64> {
    let seconds = if unit == Unit::Milliseconds { number / 1000.0 } else { number };
    match seconds {
        time if time >= FIRST_MILLISECOND => until(time / 1000.0, now),
        time if time >= FIRST_TIME => until(time, now),
        seconds => Some(seconds),
    }
}

/// Whether a number of seconds, or of milliseconds, is a point in time.
pub(super) fn is_time(number: f64) -> bool {
    number >= FIRST_TIME
}

fn until(time: f64, now: Option<u64>) -> Option<f64> {
    Some(time - now? as f64)
}

/// A wait that makes sense: more than nothing, and at most [`LONGEST`].
pub(super) fn settle(seconds: f64) -> Option<Duration> {
    let sane = seconds.is_finite() && seconds > 0.0;
    let wait = sane.then(|| Duration::try_from_secs_f64(seconds.min(LONGEST.as_secs_f64())).ok())??;
    // Less than a billionth of a second.
    (!wait.is_zero()).then_some(wait)
}
