//! `openai-responses`: `POST /responses`, where an answer is a list of items and not one message.
//!
//! Source: the type definitions of the `openai` package for Python and the published OpenAPI document. What a server
//! stores (earlier answers, conversations, prompts) passes in the same lane only: nothing is stored here, by the dialect. What
//! a gateway keeps of its own answers it finds by their ids ([`Kept`]).

mod error;
mod request;
mod response;
mod seal;
mod stream;
mod wire;

use std::sync::Arc;

use http::HeaderMap;
use serde_json::json;

use super::openai_chat::{self, cannot_count};
use super::{
    Asked, Cx, Downstream, Feature, Forward, Head, Kept, Observe, Operation, Outgoing, Peek, ReadStream, Upstream, WriteStream,
};
use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::ir::{Model, Request, Response, TokenCount, Usage};

/// The dialect's name.
pub(crate) const NAME: &str = "openai-responses";

/// What the ids of our own answers begin with.
const PREFIX: &str = "resp_";

const PATH: &str = "/responses";

/// The dialect.
pub(crate) struct OpenAiResponses;

impl Upstream for OpenAiResponses {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        match operation {
            Operation::Chat => Ok(request::write_request(request, quirks)),
            _ => Err(cannot_count(NAME)),
        }
    }

    fn forward(&self, _: &Head<'_>, peek: &Peek, _: &[u8], model: &str, _: &Quirks) -> Result<Forward> {
        Ok(openai_chat::request::forward_model(PATH, peek, model))
    }

    fn can(&self, operation: Operation) -> bool {
        operation == Operation::Chat
    }

    fn read_response(&self, body: &[u8]) -> Result<Response> {
        response::read_response(body)
    }

    fn read_count(&self, _: &[u8]) -> Result<TokenCount> {
        Err(cannot_count(NAME))
    }

    fn read_stream(&self, _: &Quirks) -> Box<dyn ReadStream> {
        Box::new(stream::Reader::default())
    }

    fn classify(&self, status: u16, _: &HeaderMap, body: &[u8]) -> Error {
        openai_chat::error::read_error(status, body)
    }

    fn observe(&self, _: &Quirks) -> Box<dyn Observe> {
        Box::new(stream::Watch::default())
    }

    fn observe_response(&self, body: &[u8]) -> Option<Usage> {
        stream::observe_response(body)
    }
}

impl Downstream for OpenAiResponses {
    fn peek(&self, _: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
        request::peek(body, operation)
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8], _: Operation) -> Result<Request> {
        request::read_request(body)
    }

    fn recall(&self, body: &[u8]) -> Option<Arc<Asked>> {
        request::recall(body)
    }

    fn kept(&self, body: &[u8]) -> Option<Kept> {
        Some(request::read_kept(body))
    }

    fn may_go_on(&self, body: &[u8]) -> bool {
        memchr::memmem::find(body, b"previous_response_id").is_some()
    }

    fn lacks(&self) -> &'static [Feature] {
        &[Feature::Audio, Feature::Choices, Feature::StopSequence]
    }

    fn write_response(&self, response: &Response, cx: &Cx) -> Vec<u8> {
        response::write_response(response, cx)
    }

    fn write_stream(&self, cx: &Cx) -> Box<dyn WriteStream> {
        Box::new(stream::Writer::new(cx))
    }

    fn write_error(&self, error: &Error, _: &str) -> Vec<u8> {
        openai_chat::error::write_error(error)
    }

    fn write_stream_error(&self, error: &Error, _: &Cx) -> Vec<u8> {
        let mut out = Vec::new();
        error::write_error_frame(error, 0, &mut out);
        out
    }

    fn write_count(&self, count: TokenCount) -> Vec<u8> {
        json!({ "object": "response.input_tokens", "input_tokens": count.input }).to_string().into_bytes()
    }

    fn write_models(&self, models: &[Model]) -> Vec<u8> {
        openai_chat::write_models(models)
    }

    fn write_model(&self, model: &Model) -> Vec<u8> {
        openai_chat::model_value(model).to_string().into_bytes()
    }
}
