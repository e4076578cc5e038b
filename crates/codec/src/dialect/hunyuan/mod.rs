//! `hunyuan`: Tencent's cloud API, action `ChatCompletions` of version `2023-09-01`.
//!
//! Names are in camel case, schemas are JSON text, there is no limit of length and no form of answer to ask for. Whole
//! answers are wrapped in `Response`, frames are not; errors come with status 200, also where a stream was asked for.
//!
//! Source: the vendor's SDK for Python and its documentation.

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
pub(crate) struct Hunyuan;

impl Variant for Hunyuan {
    const NAME: &'static str = "hunyuan";

    fn bend(self, quirks: &mut Quirks) {
        if quirks.reasoning == ReasoningStyle::Effort {
            quirks.reasoning = ReasoningStyle::EnableThinking;
        }
        // A message that brings its thinking back is refused.
        quirks.reasoning_replay = ReasoningReplay::Never;
        let absent = [
            "n",
            "frequency_penalty",
            "presence_penalty",
            "logit_bias",
            "logprobs",
            "top_logprobs",
            "user",
            "metadata",
            "service_tier",
            "store",
            "response_format",
            "parallel_tool_calls",
            "tool_choice.required",
            "tool_choice.allowed",
            "tools.strict",
            "tools.custom",
            "name",
            "audio",
            "file",
        ];
        quirks.refuses.extend(absent.map(str::to_owned));
    }

    fn write(self, chat: Chat, _: &Request, _: &Quirks) -> Result<Outgoing> {
        Ok(request::write_request(chat))
    }

    fn read<'a>(self, body: &'a [u8]) -> Result<Answer<'a>> {
        response::read_answer(body)
    }

    fn read_error(self, status: u16, body: &[u8]) -> Error {
        error::read_error(status, body)
    }
}
