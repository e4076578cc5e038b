//! Errors: `{"code":"InvalidParameter","message":"…","request_id":"…"}`.

use super::super::openai_chat::error;
use crate::error::{Error, Kind};

/// Reads an error answer.
pub(super) fn read_error(status: u16, body: &[u8]) -> Error {
    settle(error::read_error(status, body))
}

/// Reads an error that came with status 200, or in a stream.
pub(super) fn read_error_within(body: &[u8]) -> Error {
    settle(error::read_error_within(body))
}

/// Codes that openai-chat's words do not cover; a code may have more words after a dot.
fn settle(mut error: Error) -> Error {
    let code = error.code.as_deref().unwrap_or_default();
    let kind = match code.split('.').next().unwrap_or_default() {
        "RequestTimeOut" | "GatewayTimeout" => Kind::Timeout,
        "InvalidURL" | "InvalidParameter" | "BadRequest" if error.kind == Kind::Server => Kind::BadRequest,
        "ModelServingError" => Kind::Overloaded,
        _ => return error,
    };
    error.set_kind(kind);
    error
}
