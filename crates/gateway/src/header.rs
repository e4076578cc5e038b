//! What callers say in headers of ours.

use std::borrow::Cow;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use trunkline::codec::dialect::Peek;
use trunkline::codec::{Error, Result};
use trunkline::route::{Need, Said};

/// The header that asks for a task, whatever model the body names; and the reply's, that tells which it was.
pub(crate) const TASK: &str = "x-trunkline-task";
/// For whom a call is made, and what else there is to say of it: for the ledger.
pub(crate) const USER: &str = "x-trunkline-user";
pub(crate) const TAGS: &str = "x-trunkline-tags";
/// The conversation that a call goes on with.
pub(crate) const SESSION: &str = "x-trunkline-session";

/// The longest name that is stored, in bytes: callers choose them.
pub(crate) const NAME_MOST: usize = 256;

/// Checks the names that people and their conversations are told apart by: two that look alike to us would be one.
///
/// # Errors
/// `BadRequest` when one is no text, or a user's is too long.
pub(crate) fn check(headers: &HeaderMap) -> Result<()> {
    for name in [USER, SESSION, TASK] {
        for value in headers.get_all(name) {
            let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
                let what = format!("{name} is not UTF-8; send it in that encoding, or in plain letters");
                return Err(Error::bad_request(what).at(name));
            };
            if name == USER && text.trim().len() > NAME_MOST {
                return Err(Error::bad_request(format!("{name} has at most {NAME_MOST} bytes; send a shorter id")).at(name));
            }
        }
    }
    Ok(())
}

/// For whom a call is made, as its caller says in the header.
pub(crate) fn user(headers: &HeaderMap) -> Option<String> {
    headers.get(USER).and_then(word).map(str::to_owned)
}

/// The same, or as its body says: one user for all that is kept of a call.
pub(crate) fn user_of(told: Option<String>, peek: &Peek) -> Option<String> {
    told.or_else(|| peek.user.clone().filter(|user| !user.is_empty()).map(short))
}

/// What the call asks for, as far as it matters for where it goes.
pub(crate) fn need<'a>(head: &'a Parts, peek: &'a Peek) -> Need<'a> {
    let repeatable = peek.operation.may_be_repeated();
    let said = Said::Unread(peek.operation);
    let mut need = Need { model: &peek.model, streamed: peek.stream, repeatable, said, ..Need::default() };
    // One look at each, where four look-ups would take longer.
    for (name, value) in &head.headers {
        match name.as_str() {
            "idempotency-key" => need.repeatable = true,
            TASK => need.task = need.task.or(word(value)),
            SESSION => need.session = need.session.or(word(value)),
            "x-trunkline-timeout" => need.patience = need.patience.or(patience(value)),
            _ => {}
        }
    }
    need
}

/// What a header says, if that is anything, and text.
pub(crate) fn word(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().map(str::trim).filter(|value| !value.is_empty())
}

/// What a header says, whatever its bytes are: where they are no text, they and the percent signs are `%FF`.
pub(crate) fn text(value: &HeaderValue) -> Option<Cow<'_, str>> {
    if std::str::from_utf8(value.as_bytes()).is_ok() {
        return word(value).map(Cow::Borrowed);
    }
    let mut text = String::new();
    for chunk in value.as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
    }
    Some(Cow::Owned(text.trim().to_owned()))
}

/// How long the caller waits, in seconds; what is no number of them says nothing.
fn patience(value: &HeaderValue) -> Option<Duration> {
    let told = value.to_str().ok()?.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(told).ok().filter(|patience| !patience.is_zero())
}

/// A name, of which the end is left out where it is too long.
pub(crate) fn short(mut name: String) -> String {
    if name.len() > NAME_MOST {
        name.truncate(name.floor_char_boundary(NAME_MOST));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_an_end_and_bytes_that_are_no_text_stay_apart() {
        assert_eq!(short("模".repeat(100)).chars().count(), 85);
        assert_eq!(short("gpt".to_owned()), "gpt");
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap();
        assert_eq!(text(&value("50 % für".as_bytes())).as_deref(), Some("50 % für"));
        assert_eq!(text(&value(b"50 % f\xfcr")).as_deref(), Some("50 %25 f%FCr"));
        assert_eq!((word(&value(b"f\xfcr")), word(&value(b"  "))), (None, None));
    }
}
