//! Errors: `{"id": …, "message": …}`, and within a stream a `message-end` whose finish reason is `ERROR`.

use serde::Serialize;

use crate::dialect::openai_chat::error as similar;
use crate::error::{Error, Kind, Origin};

/// Reads an error answer.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    let mut error = similar::read_error(status, body);
    let kind = match status {
        // A token that is blocked.
        498 => Kind::Unauthenticated,
        // A key for trying out has a budget of calls a month; waiting a minute does not help.
        429 if error.message.contains("/ month") => Kind::QuotaExhausted,
        _ => return error,
    };
    error.set_kind(kind);
    error
}

/// Reads the error that a stream ended with, or that came with status 200.
pub(super) fn read_within(body: &[u8]) -> Error {
    similar::read_error_within(body)
}

/// The provider gave an answer up: why, by its own word, and in its own words if it gave any.
pub(super) fn give_up(word: &str, words: Option<&str>) -> Error {
    let kind = if word == "TIMEOUT" { Kind::Timeout } else { Kind::Server };
    let message = words.map_or_else(|| format!("the provider gave up: {word}"), str::to_owned);
    let mut error = Error::new(kind, Origin::Provider, message);
    error.code = Some(word.to_owned());
    error
}

/// Writes an error.
pub(super) fn write(error: &Error, request_id: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Out<'a> {
        id: &'a str,
        message: String,
    }
    serde_json::to_vec(&Out { id: request_id, message: error.caller_message() }).unwrap_or_default()
}

/// The error as the last frame of a stream. The code beside the words is ours: there is no status to tell the class.
pub(super) fn write_frame(error: &Error, id: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Out<'a> {
        r#type: &'static str,
        id: &'a str,
        delta: Delta<'a>,
    }
    #[derive(Serialize)]
    struct Delta<'a> {
        error: String,
        finish_reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
    }
    let code = error.caller_words().openai_code.or(error.code.as_deref());
    let delta = Delta { error: error.caller_message(), finish_reason: "ERROR", code };
    let out = serde_json::to_vec(&Out { r#type: "message-end", id, delta }).unwrap_or_default();
    [b"event: message-end\ndata: ", out.as_slice(), b"\n\n"].concat()
}
