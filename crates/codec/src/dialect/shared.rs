//! What several dialects share.

use std::time::Duration;

use http::HeaderMap;

use crate::error::{Kind, Retry};

/// The wait that a provider asks for by its headers (`retry-after-ms`, `retry-after` in seconds), else the kind's usual advice.
/// `x-should-retry: false` wins over both.
pub fn read_retry(kind: Kind, headers: &HeaderMap) -> Retry {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok().filter(|n| *n >= 0.0 && *n < 1e9);
    if headers.get("x-should-retry").is_some_and(|value| value == "false") {
        return Retry::Never;
    }
    match number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after")) {
        Some(seconds) => Retry::After(Duration::from_secs_f64(seconds)),
        None => kind.usual_retry(),
    }
}

/// Checked JSON without the white space between its tokens: providers indent whole answers, and streamed ones not.
pub(crate) fn compact(json: &str) -> String {
    let (mut text, mut escaped) = (false, false);
    let significant = json.chars().filter(|letter| {
        let keep = text || !letter.is_ascii_whitespace();
        if !escaped && *letter == '"' {
            text = !text;
        }
        escaped = text && !escaped && *letter == '\\';
        keep
    });
    significant.collect()
}
