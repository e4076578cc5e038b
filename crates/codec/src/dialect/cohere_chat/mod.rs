//! `cohere-chat`: `POST /v2/chat`. Words in capitals, a plan before tool calls, documents that answers cite.
//!
//! Source: the type definitions of the `cohere` package for Python (`ClientV2`) and the published OpenAPI document.

mod citation;
mod error;
mod model;
mod request;
mod response;
mod stream;
mod wire;

use http::HeaderMap;

use super::feature::Feature;
use super::openai_chat::cannot_count;
use super::{Cx, Downstream, Forward, Head, Observe, Operation, Outgoing, Peek, ReadStream, Upstream, WriteStream};
use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::ir::{Model, Request, Response, TokenCount, Usage};

/// The dialect's name.
pub(crate) const NAME: &str = "cohere-chat";

const PATH: &str = "/v2/chat";

/// The dialect.
pub(crate) struct CohereChat;

impl Upstream for CohereChat {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        match operation {
            Operation::Chat => Ok(request::write(request, quirks)),
            _ => Err(cannot_count(NAME)),
        }
    }

    fn forward(&self, _: &Head<'_>, peek: &Peek, _: &[u8], model: &str, _: &Quirks) -> Result<Forward> {
        Ok(request::forward(peek, model))
    }

    fn can(&self, operation: Operation) -> bool {
        operation == Operation::Chat
    }

    fn read_response(&self, body: &[u8]) -> Result<Response> {
        response::read(body)
    }

    fn read_count(&self, _: &[u8]) -> Result<TokenCount> {
        Err(cannot_count(NAME))
    }

    fn read_stream(&self, _: &Quirks) -> Box<dyn ReadStream> {
        Box::new(stream::Reader::default())
    }

    fn classify(&self, status: u16, _: &HeaderMap, body: &[u8]) -> Error {
        error::read(status, body)
    }

    fn observe(&self, _: &Quirks) -> Box<dyn Observe> {
        Box::new(stream::Watch::default())
    }

    fn observe_response(&self, body: &[u8]) -> Option<Usage> {
        stream::observe_response(body)
    }
}

impl Downstream for CohereChat {
    fn peek(&self, _: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
        request::peek(body, operation)
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8], _: Operation) -> Result<Request> {
        request::read(body)
    }

    fn lacks(&self) -> &'static [Feature] {
        &[Feature::Image, Feature::Audio, Feature::Choices]
    }

    fn write_response(&self, response: &Response, cx: &Cx) -> Vec<u8> {
        response::write(response, cx)
    }

    fn write_stream(&self, cx: &Cx) -> Box<dyn WriteStream> {
        Box::new(stream::Writer::new(cx))
    }

    fn write_error(&self, error: &Error, request_id: &str) -> Vec<u8> {
        error::write(error, request_id)
    }

    fn write_stream_error(&self, error: &Error, cx: &Cx) -> Vec<u8> {
        error::write_frame(error, &cx.id)
    }

    fn write_count(&self, count: TokenCount) -> Vec<u8> {
        model::write_count(count)
    }

    fn write_models(&self, models: &[Model]) -> Vec<u8> {
        model::write_models(models)
    }

    fn write_model(&self, model: &Model) -> Vec<u8> {
        model::write_model(model)
    }
}
