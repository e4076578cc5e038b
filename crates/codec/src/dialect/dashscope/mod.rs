//! `dashscope`: Alibaba Cloud Model Studio's own `POST /services/aigc/{kind}-generation/generation`.
//!
//! A stream is asked for in a header, not in the body; its frames are deltas only if `incremental_output` says so (a
//! model that does not listen has the quirk `chunks`), tell the status in a comment, and `finish_reason` is the word
//! `"null"` until it is not. There is no terminator. Errors may come with status 200.
//!
//! Source: the `dashscope` package for Python and the vendor's documentation.

mod error;
mod request;
mod response;

use super::Framing;
use super::native::Native;
use crate::catalog::{Quirks, ReasoningStyle};

/// The dialect.
pub(crate) static DASHSCOPE: Native = Native {
    name: "dashscope",
    framing: Framing::Sse,
    absent: &["user"],
    bend,
    write: request::write_request,
    read: response::read_answer,
    read_error: error::read_error,
};

fn bend(quirks: &mut Quirks) {
    if quirks.reasoning == ReasoningStyle::Effort {
        quirks.reasoning = ReasoningStyle::EnableThinking;
    }
    quirks.accepts.push("top_k".to_owned());
}
