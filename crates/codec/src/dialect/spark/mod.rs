//! `spark`: iFlytek's protocol over a WebSocket: one message out, then messages in until `status` is 2.
//!
//! A message has a `header`, a `parameter` or a `payload`. Each model has an address of its own; tools are functions of
//! the older kind, one call a message and no ids. A whole answer is the same messages, gathered.
//!
//! Source: the `spark-ai-python` package and the vendor's documentation. How results of functions are sent back is told
//! by neither; they go in the role `function`, which that package has.

mod error;
mod request;
mod response;

use super::Framing;
use super::native::Native;
use crate::catalog::{Quirks, ReasoningReplay, ReasoningStyle};

/// The dialect.
pub(crate) static SPARK: Native = Native {
    name: "spark",
    // The transport gives each message as a line.
    framing: Framing::Ndjson,
    absent: &[
        "top_p",
        "n",
        "seed",
        "stop",
        "presence_penalty",
        "logprobs",
        "top_logprobs",
        "parallel_tool_calls",
        "tool_choice",
        "response_format",
        "image_url",
        "image_base64",
        "audio",
        "video",
    ],
    bend,
    write: request::write_request,
    read: response::read_answer,
    read_error: error::read_error,
};

fn bend(quirks: &mut Quirks) {
    if quirks.reasoning == ReasoningStyle::Effort {
        quirks.reasoning = ReasoningStyle::Thinking;
    }
    quirks.reasoning_replay = ReasoningReplay::Never;
    quirks.accepts.push("top_k".to_owned());
    // The range is open below.
    quirks.temperature_min.get_or_insert(10);
    quirks.temperature_max.get_or_insert(1000);
}
