//! Errors: `{"header":{"code":10013,"message":"…","sid":"…"}}` in a message, `{"message":"…"}` where the connection is
//! refused.

use serde::Deserialize;

use super::super::openai_chat::error;
use crate::error::{Error, Kind};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    header: &'a serde_json::value::RawValue,
}

/// Reads a message whose code says that something failed.
pub(super) fn read_error_within(body: &[u8]) -> Error {
    let header = serde_json::from_slice::<Message<'_>>(body).map_or(body, |message| message.header.get().as_bytes());
    settle(error::read_error_within(header).with_raw(body))
}

/// Reads the answer to an opening handshake that was refused.
pub(super) fn read_error(status: u16, body: &[u8]) -> Error {
    let mut error = error::read_error(status, body);
    if status == 403 && error.message.contains("HMAC") {
        error.set_kind(Kind::Unauthenticated);
    }
    error
}

/// Codes that mean something only here.
fn settle(mut error: Error) -> Error {
    let kind = match error.code.as_deref().unwrap_or_default() {
        "10003" | "10004" | "10005" | "10163" => Kind::BadRequest,
        "10015" | "10016" => Kind::Forbidden,
        _ => return error,
    };
    error.set_kind(kind);
    error
}
