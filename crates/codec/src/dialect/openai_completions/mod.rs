//! `openai-completions`: `POST /completions`, a prompt and how it goes on. Older than chat, still what base models speak.
//!
//! Its errors, model lists and stream frames are those of `openai-chat`. Source: the type definitions of the `openai`
//! package for Python.

mod request;
mod response;
mod stream;

use http::HeaderMap;

use super::openai_chat::{self, cannot_count, error};
use super::{Cx, Downstream, Feature, Forward, Head, Observe, Operation, Outgoing, Peek, ReadStream, Upstream, WriteStream};
use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::ir::{Model, Request, Response, TokenCount, Usage};
use crate::json;

/// The dialect's name.
pub(crate) const NAME: &str = "openai-completions";

const PATH: &str = "/completions";

/// The dialect.
pub(crate) struct OpenAiCompletions;

impl Upstream for OpenAiCompletions {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        match operation {
            Operation::Chat => Ok(request::write_request(request, quirks, PATH)),
            _ => Err(cannot_count(NAME)),
        }
    }

    fn forward(&self, _: &Head<'_>, peek: &Peek, body: &[u8], model: &str, quirks: &Quirks) -> Result<Forward> {
        Ok(openai_chat::request::forward(PATH, peek, body, model, quirks))
    }

    fn can(&self, operation: Operation) -> bool {
        operation == Operation::Chat
    }

    fn read_response(&self, body: &[u8]) -> Result<Response> {
        openai_chat::response::read_response(body, NAME, &Quirks::default())
    }

    fn read_count(&self, _: &[u8]) -> Result<TokenCount> {
        Err(cannot_count(NAME))
    }

    fn read_stream(&self, quirks: &Quirks) -> Box<dyn ReadStream> {
        Box::new(openai_chat::stream::Reader::new(NAME, quirks))
    }

    fn classify(&self, status: u16, _: &HeaderMap, body: &[u8]) -> Error {
        error::read_error(status, body)
    }

    fn observe(&self, quirks: &Quirks) -> Box<dyn Observe> {
        Box::new(openai_chat::stream::Watch::new(quirks.done))
    }

    fn observe_response(&self, body: &[u8]) -> Option<Usage> {
        openai_chat::stream::observe_response(body)
    }
}

impl Downstream for OpenAiCompletions {
    fn peek(&self, _: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
        let is_prompt = |kind| matches!(kind, json::Kind::Array | json::Kind::String);
        openai_chat::request::peek(body, operation, "prompt", is_prompt)
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8], _: Operation) -> Result<Request> {
        request::read_request(body)
    }

    fn lacks(&self) -> &'static [Feature] {
        &[Feature::Reasoning, Feature::ToolCall, Feature::Image, Feature::Audio, Feature::Citation, Feature::StopSequence]
    }

    fn write_response(&self, response: &Response, cx: &Cx) -> Vec<u8> {
        response::write_response(response, cx)
    }

    fn write_stream(&self, cx: &Cx) -> Box<dyn WriteStream> {
        Box::new(stream::Writer::new(cx))
    }

    fn write_error(&self, error: &Error, _: &str) -> Vec<u8> {
        error::write_error(error)
    }

    fn write_stream_error(&self, error: &Error, _: &Cx) -> Vec<u8> {
        let mut out = Vec::new();
        error::write_error_frame(error, &mut out);
        out
    }

    fn write_count(&self, count: TokenCount) -> Vec<u8> {
        openai_chat::write_count(count)
    }

    fn write_models(&self, models: &[Model]) -> Vec<u8> {
        openai_chat::write_models(models)
    }

    fn write_model(&self, model: &Model) -> Vec<u8> {
        openai_chat::model_value(model).to_string().into_bytes()
    }
}
