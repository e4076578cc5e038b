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

use super::Outgoing;
use super::native::{Chat, Variant};
use super::openai_chat::wire::Answer;
use crate::catalog::{Quirks, ReasoningReplay, ReasoningStyle};
use crate::error::{Error, Result};
use crate::ir::Request;

/// The dialect.
#[derive(Clone, Copy)]
pub(crate) struct Qianfan;

impl Variant for Qianfan {
    const NAME: &'static str = "qianfan";

    fn bend(self, quirks: &mut Quirks) {
        quirks.reasoning = ReasoningStyle::None;
        quirks.reasoning_replay = ReasoningReplay::Never;
        // The range is open below.
        quirks.temperature_min.get_or_insert(10);
        quirks.temperature_max.get_or_insert(1000);
        let absent = [
            "n",
            "seed",
            "frequency_penalty",
            "presence_penalty",
            "logit_bias",
            "logprobs",
            "top_logprobs",
            "metadata",
            "service_tier",
            "store",
            "parallel_tool_calls",
            "tool_choice.required",
            "tool_choice.none",
            "tool_choice.allowed",
            "response_format.json_schema",
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
