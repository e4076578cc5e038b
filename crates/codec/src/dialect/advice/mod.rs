//! When a call that failed may be made again, from whatever the provider said of it: headers, fields, sentences.
//!
//! The first of these that names a wait counts:
//!
//! 1. `x-should-retry: false`, and exhausted credit whatever else is said: never. `x-should-retry: true`: also what
//!    would usually not be tried again.
//! 2. `retry-after-ms`, `x-amz-retry-after` (milliseconds), `retry-after` (seconds or a date).
//! 3. A field of the body: `retry_after`, `retry_after_ms`, `retryDelay` of Google's `RetryInfo`, … (`field.rs`).
//! 4. A sentence in the body: "Please try again in 5.3s", "请在 20 秒后重试" (`hint.rs`).
//! 5. With status 429, the reset times of the limits that have nothing left ([`ProviderLimits`] has their names).
//! 6. Else the kind's usual advice.
//!
//! Points in time are told from the reply's own `Date`, so that nobody's clock matters; without one, from the `now` that
//! the caller of these functions brings. A wait of nothing or less, and one that is no number, is no wait; one of more
//! than a day is a day ([`LONGEST`]).

mod duration;
mod field;
mod hint;
mod limit;
mod wait;

use std::time::Duration;

use http::{HeaderMap, StatusCode};

pub use limit::{ProviderLimits, Room};
pub use wait::LONGEST;

use crate::dialect::time::read_http_date;
use crate::error::{Error, Kind, Retry};
use limit::Scopes;
use wait::{Unit, read_wait};

/// Headers that name a wait, the more exact before the others.
const HEADERS: [(&str, Unit); 3] =
    [("retry-after-ms", Unit::Milliseconds), ("x-amz-retry-after", Unit::Milliseconds), ("retry-after", Unit::Seconds)];

/// Whether and when to try again after an answer with this status, these headers and this body, which was read as `error`.
/// `now` is the Unix time in seconds; it counts where the answer has no `Date`.
pub fn read(error: &Error, status: u16, headers: &HeaderMap, body: &[u8], now: u64) -> Retry {
    let now = Some(read_date(headers).unwrap_or(now));
    let should = read_should(headers);
    if should == Some(false) || error.kind == Kind::QuotaExhausted {
        return Retry::Never;
    }
    let usual = match (error.kind.usual_retry(), should) {
        (Retry::Never, Some(true)) => Retry::Backoff,
        (usual, _) => usual,
    };
    let header = read_headers(headers, now);
    if usual == Retry::Never {
        // Some services refuse with these kinds what is too much only for now, or not there yet, and say until when.
        let may_pass = matches!(error.kind, Kind::Forbidden | Kind::NotFound | Kind::TooLarge);
        return header.filter(|_| may_pass).map_or(Retry::Never, Retry::After);
    }
    let elsewhere = || {
        let said = field::read(body, now);
        let resets = || {
            let mut scopes = Scopes::read(headers, now);
            said.headers.iter().for_each(|(name, value)| scopes.add(name, value, now));
            (status == StatusCode::TOO_MANY_REQUESTS).then(|| scopes.wait())?
        };
        said.wait.or_else(|| hint::read(&error.message, now)).or_else(|| hint::read_body(body, now)).or_else(resets)
    };
    header.or_else(elsewhere).map_or(usual, Retry::After)
}

/// The same for an error that came within an answer whose head said that all was well: only its body speaks.
pub(crate) fn read_within(mut error: Error, body: &[u8]) -> Error {
    if error.retry == Retry::Backoff {
        let wait = field::read(body, None).wait.or_else(|| hint::read(&error.message, None));
        error.retry = wait.or_else(|| hint::read_body(body, None)).map_or(Retry::Backoff, Retry::After);
    }
    error
}

/// How long to wait before asking again, where the headers of an answer that is no error say so. `now` is the Unix time in
/// seconds; it counts where the answer has no `Date`.
pub fn read_wait_header(headers: &HeaderMap, now: u64) -> Option<Duration> {
    read_headers(headers, Some(read_date(headers).unwrap_or(now)))
}

/// When the provider wrote its answer, by its own clock: Unix seconds.
fn read_date(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(http::header::DATE).iter().filter_map(|value| value.to_str().ok());
    values.filter_map(read_http_date).max()
}

/// The wait that a header names; the longest, where one stands there more than once.
fn read_headers(headers: &HeaderMap, now: Option<u64>) -> Option<Duration> {
    let wait = |(name, unit): &(&str, Unit)| {
        let values = headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
        values.filter_map(|value| read_wait(value, *unit, now)).max()
    };
    HEADERS.iter().find_map(wait)
}

/// What the provider wants clients to do, whatever the status; a no outweighs a yes.
fn read_should(headers: &HeaderMap) -> Option<bool> {
    let words = headers.get_all("x-should-retry").iter().filter_map(|value| value.to_str().ok());
    let read = |word: &str| match word.trim() {
        word if word.eq_ignore_ascii_case("true") => Some(true),
        word if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    };
    words.filter_map(read).min()
}
