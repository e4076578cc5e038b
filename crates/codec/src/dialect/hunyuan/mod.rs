//! `hunyuan`: Tencent's cloud API, action `ChatCompletions` of version `2023-09-01`.
//!
//! Names are in camel case, schemas are JSON text, there is no limit of length and no form of answer to ask for. Whole
//! answers are wrapped in `Response`, frames are not; errors come with status 200, also where a stream was asked for.
//!
//! Source: the vendor's SDK for Python and its documentation.

mod error;
mod request;
mod response;

use super::Framing;
use super::native::Native;
use crate::catalog::{Quirks, ReasoningReplay, ReasoningStyle};

/// The dialect.
pub(crate) static HUNYUAN: Native = Native {
    name: "hunyuan",
    framing: Framing::Sse,
    absent: &[
        "n",
        "presence_penalty",
        "logprobs",
        "top_logprobs",
        "user",
        "response_format",
        "parallel_tool_calls",
        "tool_choice.required",
        "audio",
    ],
    bend,
    write: |chat, _, _| request::write_request(chat),
    read: response::read_answer,
    read_error: error::read_error,
};

fn bend(quirks: &mut Quirks) {
    if quirks.reasoning == ReasoningStyle::Effort {
        quirks.reasoning = ReasoningStyle::EnableThinking;
    }
    // A message that brings its thinking back is refused.
    quirks.reasoning_replay = ReasoningReplay::Never;
}
