//! Errors within a stream. Outside of streams they are the ones of chat.

use serde::Serialize;

use crate::error::Error;

/// The error as the last frame of a stream.
///
/// The published types have its words beside `type`; the service itself, and the SDKs that turn it into an exception,
/// have them within `error`. Both are written.
pub(super) fn write_error_frame(error: &Error, sequence_number: u64, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Outer<'a> {
        r#type: &'static str,
        sequence_number: u64,
        code: Option<&'a str>,
        message: &'a str,
        param: Option<&'a str>,
        error: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        r#type: &'a str,
        code: Option<&'a str>,
        message: &'a str,
        param: Option<&'a str>,
    }
    let words = error.caller_words();
    let message = error.caller_message();
    let code = words.openai_code.or(error.code.as_deref());
    let param = error.param.as_deref();
    let inner = Inner { r#type: words.openai_type, code, message: &message, param };
    let outer = Outer { r#type: "error", sequence_number, code, message: &message, param, error: inner };
    out.extend_from_slice(b"event: error\ndata: ");
    let _ = serde_json::to_writer(&mut *out, &outer);
    out.extend_from_slice(b"\n\n");
}
