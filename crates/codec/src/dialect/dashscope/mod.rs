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

use super::Outgoing;
use super::native::{Chat, Variant};
use super::openai_chat::wire::Answer;
use crate::catalog::{Quirks, ReasoningStyle};
use crate::error::{Error, Result};
use crate::ir::Request;

/// The dialect.
#[derive(Clone, Copy)]
pub(crate) struct DashScope;

impl Variant for DashScope {
    const NAME: &'static str = "dashscope";

    fn bend(self, quirks: &mut Quirks) {
        if quirks.reasoning == ReasoningStyle::Effort {
            quirks.reasoning = ReasoningStyle::EnableThinking;
        }
        quirks.accepts.push("top_k".to_owned());
        let absent = [
            "frequency_penalty",
            "logit_bias",
            "user",
            "metadata",
            "service_tier",
            "store",
            "name",
            "file",
            "tools.strict",
            "tools.custom",
            "tool_choice.allowed",
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
