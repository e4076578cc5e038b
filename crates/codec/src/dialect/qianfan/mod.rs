//! `qianfan`: the first generation of Baidu's ERNIE services, `POST /chat/{endpoint}`, an endpoint a model.
//!
//! The system text stands beside the messages, whose roles alternate; tools are functions of the older kind, one call a
//! message and no ids. A stream ends with the frame that says `is_end`; errors come with status 200, also where a stream
//! was asked for.
//!
//! Source: the `qianfan` package for Python and the vendor's documentation.

mod error;
mod request;
mod response;

use super::Framing;
use super::native::Native;
use crate::catalog::{Quirks, ReasoningReplay, ReasoningStyle};

/// The dialect.
pub(crate) static QIANFAN: Native = Native {
    name: "qianfan",
    framing: Framing::Sse,
    absent: &[
        "n",
        "seed",
        "presence_penalty",
        "logprobs",
        "top_logprobs",
        "parallel_tool_calls",
        "tool_choice.required",
        "tool_choice.none",
        "response_format.json_schema",
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
    quirks.reasoning = ReasoningStyle::None;
    quirks.reasoning_replay = ReasoningReplay::Never;
    // The range is open below.
    quirks.temperature_min.get_or_insert(10);
    quirks.temperature_max.get_or_insert(1000);
}
