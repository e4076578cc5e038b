//! Errors: `{"error": "text"}`, also as a line of a stream.

use serde::Serialize;

use crate::dialect::openai_chat::error as similar;
use crate::error::Error;

/// Reads an error answer.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    similar::read_error(status, body)
}

/// Reads an error that came as a line of a stream or with status 200.
pub(super) fn read_within(body: &[u8]) -> Error {
    similar::read_error_within(body)
}

/// Writes an error. The word beside the text is ours: within a stream there is no status to tell the class.
pub(super) fn write(error: &Error) -> Vec<u8> {
    #[derive(Serialize)]
    struct Out<'a> {
        error: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
    }
    let code = error.caller_words().openai_code.or(error.code.as_deref());
    serde_json::to_vec(&Out { error: error.caller_message(), code }).unwrap_or_default()
}

/// The error as the last line of a stream.
pub(super) fn write_line(error: &Error) -> Vec<u8> {
    let mut line = write(error);
    line.push(b'\n');
    line
}
