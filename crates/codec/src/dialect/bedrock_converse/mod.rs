//! `bedrock-converse`: `POST /model/{modelId}/converse`, `/converse-stream` and `/count-tokens`, of the API version 2023-09-30.
//!
//! The model stands in the path, blocks are objects of one member that names their kind, bytes are base64, cache markers
//! are blocks of their own behind what they cover, and a stream is a binary event stream whose last event, `metadata`,
//! tells the usage.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{
    Cx, Downstream, Feature, Forward, Framing, Head, Observe, Operation, Outgoing, Peek, ReadStream, Upstream, WriteStream,
};
use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::ir::{Extra, Model, Request, Response, TokenCount, Usage};

mod block;
mod cite;
mod error;
mod finish;
mod media;
mod out;
mod reply;
mod request;
mod response;
mod stream;
mod usage;

use request::path;

/// The dialect's name.
pub(super) const NAME: &str = "bedrock-converse";

/// Fields that only this dialect knows.
fn own_extra(fields: Map<String, Value>) -> Extra {
    if fields.is_empty() { Extra::default() } else { Extra::new(NAME, fields) }
}

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct BedrockConverse;

impl Upstream for BedrockConverse {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        request::write_request(request, operation, quirks)
    }

    fn forward(&self, head: &Head<'_>, peek: &Peek, _: &[u8], model: &str, _: &Quirks) -> Result<Forward> {
        path::forward(head, peek, model)
    }

    fn framing(&self) -> Framing {
        Framing::EventStream
    }

    fn can(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Chat | Operation::CountTokens)
    }

    fn read_response(&self, body: &[u8]) -> Result<Response> {
        response::read_response(body)
    }

    fn read_count(&self, body: &[u8]) -> Result<TokenCount> {
        response::read_count(body)
    }

    fn read_stream(&self, quirks: &Quirks) -> Box<dyn ReadStream> {
        Box::new(stream::Reader::new(quirks))
    }

    fn classify(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
        error::read_error(status, headers, body)
    }

    fn observe(&self, quirks: &Quirks) -> Box<dyn Observe> {
        Box::new(stream::Observer::new(quirks))
    }

    fn observe_response(&self, body: &[u8]) -> Option<Usage> {
        response::observe_response(body)
    }
}

impl Downstream for BedrockConverse {
    fn peek(&self, head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
        path::peek(head, body, operation)
    }

    fn read_request(&self, head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Request> {
        request::read_request(head, body, operation)
    }

    fn lacks(&self) -> &'static [Feature] {
        &[Feature::Audio, Feature::Logprobs, Feature::Choices]
    }

    fn write_response(&self, response: &Response, _: &Cx) -> Vec<u8> {
        response::write_response(response)
    }

    fn write_stream(&self, _: &Cx) -> Box<dyn WriteStream> {
        Box::new(stream::Writer::new())
    }

    fn write_error(&self, error: &Error, _: &str) -> Vec<u8> {
        error::write_error(error)
    }

    fn error_headers(&self, error: &Error) -> HeaderMap {
        let word = HeaderValue::from_static(error::word(error));
        HeaderMap::from_iter([(HeaderName::from_static("x-amzn-errortype"), word)])
    }

    fn write_stream_error(&self, error: &Error, _: &Cx) -> Vec<u8> {
        let mut out = Vec::new();
        error::write_exception(error, &mut out);
        out
    }

    fn write_count(&self, count: TokenCount) -> Vec<u8> {
        response::write_count(count)
    }

    fn write_models(&self, models: &[Model]) -> Vec<u8> {
        response::write_models(models)
    }

    fn write_model(&self, model: &Model) -> Vec<u8> {
        response::write_model(model)
    }
}
