//! What token servers answer, and what they answer instead.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header;
use serde_json::Value;

use super::super::when::{drift, read_iso};
use super::Received;
use crate::codec::catalog::Pick;
use crate::codec::dialect::advice;
use crate::codec::{Error, Kind, Origin, Result};
use crate::secret::Secret;

/// The life of a token whose server does not say.
const USUAL: Duration = Duration::from_secs(300);
/// No token is used for longer: what is revoked or replaced has an end then.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// From here on a number is a moment, not a time span: 2001-09-09.
const MOMENT: f64 = 1e9;
/// From here on it counts milliseconds.
const MILLIS: f64 = 1e12;
/// No token is that old when it comes.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longest piece of a server's own words in a sentence.
const WORDS: usize = 300;

/// How long a token lives, and what is odd about that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) length: Duration,
    pub(super) odd: Option<String>,
}

impl Received {
    /// The answer as JSON, if it is a good one.
    pub(super) fn json(&self) -> Result<Value> {
        let json: Option<Value> = serde_json::from_slice(&self.body).ok().filter(Value::is_object);
        let refusal = json.as_ref().and_then(refusal);
        if !self.status.is_success() || refusal.is_some() {
            return Err(self.refused(json.is_some(), refusal));
        }
        json.ok_or_else(|| self.malformed(&format!("answered with {} instead of a token; check its address", self.kind())))
    }

    /// The token.
    pub(super) fn token(&self, pick: &Pick) -> Result<Secret> {
        match pick {
            Pick::Header(name) => {
                if !self.status.is_success() {
                    self.json()?;
                }
                let value = self.headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
                value.map(Secret::new).ok_or_else(|| self.lacks(name))
            }
            Pick::Pointer(pointer) => {
                let json = self.json()?;
                let text = json.pointer(pointer).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
                text.map(Secret::new).ok_or_else(|| self.lacks(pointer.trim_start_matches('/')))
            }
        }
    }

    /// How long it lives.
    pub(super) fn lifetime(&self, pick: Option<&Pick>, otherwise: Option<u64>, now: SystemTime) -> Lifetime {
        let usual = otherwise.map_or(USUAL, Duration::from_secs).min(LONGEST);
        let value = match pick {
            None => None,
            Some(Pick::Header(name)) => {
                self.headers.get(name).and_then(|value| value.to_str().ok()).map(|text| Value::String(text.to_owned()))
            }
            Some(Pick::Pointer(pointer)) => {
                let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
                json.pointer(pointer).cloned()
            }
        };
        read_lifetime(value.as_ref(), usual, now)
    }

    fn lacks(&self, what: &str) -> Error {
        self.malformed(&format!("answered HTTP {} without `{what}`", self.status.as_u16()))
    }

    fn malformed(&self, what: &str) -> Error {
        Error::new(Kind::Malformed, Origin::Provider, format!("the token server {} {what}", self.host))
    }

    pub(super) fn refused(&self, is_json: bool, words: Option<String>) -> Error {
        let status = self.status.as_u16();
        let kind = match Kind::from_status(status) {
            // Token servers say 400 where others say 401.
            Kind::BadRequest => Kind::Unauthenticated,
            _ if self.status.is_success() => Kind::Unauthenticated,
            kind => kind,
        };
        let what = match words {
            Some(words) => format!("refused: {words}"),
            None if is_json => "refused without saying why".to_owned(),
            None => format!("answered with {}", self.kind()),
        };
        let message = format!("the token server {} {what} (HTTP {status})", self.host);
        let error = Error::new(kind, Origin::Provider, message);
        Error { retry: advice::read(&error, status, &self.headers, &self.body, self.now), ..error }
    }

    /// Adds what the server's date tells about ours, where an assertion was refused.
    pub(super) fn blame_clock(&self, mut error: Error, now: SystemTime) -> Error {
        if let Some(sentence) = drift(&self.headers, now) {
            error.message = format!("{}; {sentence}", error.message);
        }
        error
    }

    fn kind(&self) -> &'static str {
        let media = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match self.body.trim_ascii_start() {
            [] => "nothing",
            [b'<', ..] => "a web page",
            _ if media.starts_with("text/html") => "a web page",
            _ => "something that is not JSON",
        }
    }
}

/// The server's own words for why there is no token, by the field's usual names.
fn refusal(json: &Value) -> Option<String> {
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let code = ["/error", "/error/code", "/error_code", "/ResponseMetadata/Error/Code", "/Response/Error/Code"];
    let code = code.into_iter().find_map(text);
    let words =
        ["/error_description", "/error/message", "/error_msg", "/ResponseMetadata/Error/Message", "/Response/Error/Message"];
    let words = words.into_iter().find_map(text);
    let said = match (code, words) {
        (Some(code), Some(words)) => format!("{code}: {words}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => return None,
    };
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect();
    Some(said.trim().trim_end_matches('.').to_owned())
}

/// Seconds from now, Unix time in seconds or milliseconds, or a date and time; numbers may be texts.
fn read_lifetime(value: Option<&Value>, usual: Duration, now: SystemTime) -> Lifetime {
    let plain = |length: Duration| Lifetime { length: length.min(LONGEST), odd: None };
    let odd = |said: &Value| {
        let said: String = said.to_string().chars().take(40).collect();
        let sentence = format!("says that its token lives for {said}; it is used for {} s", usual.as_secs());
        Lifetime { length: usual, odd: Some(sentence) }
    };
    let value = match value {
        None | Some(Value::Null) => return plain(usual),
        Some(value) => value,
    };
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let until = match (number, value) {
        (Some(number), _) if !number.is_finite() || number <= 0.0 => return odd(value),
        (Some(number), _) if number < MOMENT => return plain(Duration::from_secs_f64(number)),
        (Some(number), _) => {
            let seconds = if number < MILLIS { number } else { number / 1000.0 };
            match Duration::try_from_secs_f64(seconds) {
                // A year past: it was no moment after all, but a span of thirty years and more.
                Ok(since) if UNIX_EPOCH.checked_add(since.saturating_add(YEAR)).is_some_and(|end| end < now) => {
                    return plain(LONGEST);
                }
                Ok(since) => match UNIX_EPOCH.checked_add(since) {
                    None => return plain(LONGEST),
                    moment => moment,
                },
                Err(_) => return plain(LONGEST),
            }
        }
        (None, Value::String(text)) => read_iso(text),
        (None, _) => None,
    };
    match until.map(|until| until.duration_since(now)) {
        Some(Ok(left)) if !left.is_zero() => plain(left),
        _ => odd(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seconds(value: Value) -> (u64, bool) {
        let now = UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let read = read_lifetime(Some(&value), USUAL, now);
        (read.length.as_secs(), read.odd.is_some())
    }

    #[test]
    fn a_life_is_told_in_many_ways() {
        for (value, wanted) in [
            (json!(3600), (3600, false)),
            (json!("3600"), (3600, false)),
            (json!(3599.5), (3599, false)),
            (json!(2_592_000), (86_400, false)),
            (json!(9.9e30), (86_400, false)),
            (json!(1_500_000_000), (86_400, false)),
            (json!(9_999_999_999_u64), (86_400, false)),
            (json!(0), (300, true)),
            (json!(-5), (300, true)),
            (json!("soon"), (300, true)),
            (json!({}), (300, true)),
            (Value::Null, (300, false)),
            (json!(1_767_323_045 + 600), (600, false)),
            (json!(1_767_323_645_000_u64), (600, false)),
            (json!("2026-01-02T03:14:05.000000Z"), (600, false)),
            (json!("2026-01-02T03:04:00Z"), (300, true)),
        ] {
            assert_eq!(seconds(value.clone()), wanted, "{value}");
        }
    }
}
