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

use super::native::{Chat, Variant};
use super::openai_chat::wire::Answer;
use super::{Framing, Outgoing};
use crate::catalog::{Quirks, ReasoningReplay, ReasoningStyle};
use crate::error::{Error, Result};
use crate::ir::Request;

/// The dialect.
#[derive(Clone, Copy)]
pub(crate) struct Spark;

impl Variant for Spark {
    const NAME: &'static str = "spark";

    /// The transport gives each message as a line.
    const FRAMING: Framing = Framing::Ndjson;

    fn bend(self, quirks: &mut Quirks) {
        if quirks.reasoning == ReasoningStyle::Effort {
            quirks.reasoning = ReasoningStyle::Thinking;
        }
        quirks.reasoning_replay = ReasoningReplay::Never;
        quirks.accepts.push("top_k".to_owned());
        // The range is open below.
        quirks.temperature_min.get_or_insert(10);
        quirks.temperature_max.get_or_insert(1000);
        let absent = [
            "top_p",
            "n",
            "seed",
            "stop",
            "frequency_penalty",
            "presence_penalty",
            "logit_bias",
            "logprobs",
            "top_logprobs",
            "metadata",
            "service_tier",
            "store",
            "parallel_tool_calls",
            "tool_choice",
            "response_format",
            "tools.strict",
            "tools.custom",
            "name",
            "image_url",
            "image_base64",
            "audio",
            "file",
            "video",
        ];
        quirks.refuses.extend(absent.map(str::to_owned));
    }

    fn write(self, chat: Chat, request: &Request, quirks: &Quirks) -> Result<Outgoing> {
        Ok(request::write_request(chat, request, quirks))
    }

    fn read<'a>(self, body: &'a [u8]) -> Result<Answer<'a>> {
        response::read_answer(body)
    }

    fn read_error(self, status: u16, body: &[u8]) -> Error {
        error::read_error(status, body)
    }
}
