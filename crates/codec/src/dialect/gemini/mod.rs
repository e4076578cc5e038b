//! `gemini`: Google's `generateContent`, as AI Studio and Vertex speak it.
//!
//! The model stands in the path, a stream ends where the input ends, tool calls come whole and end with `STOP`,
//! and a stream is server-sent events only where the caller asks for it with `alt=sse`; else it is one JSON array.

mod error;
mod media;
mod request;
mod response;
mod stream;
mod text;
mod wire;

pub(crate) use request::path;
use response::usage;

use http::HeaderMap;
use serde_json::{Map, Value};

use super::{Cx, Downstream, Feature, Forward, Head, Observe, Operation, Outgoing, Peek, ReadStream, Upstream, WriteStream};
use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::ir::{Extra, Model, Request, Response, TokenCount, Usage};

/// The dialect's name.
pub(crate) const NAME: &str = "gemini";

/// Fields that only this dialect knows.
fn own_extra(fields: Map<String, Value>) -> Extra {
    if fields.is_empty() { Extra::default() } else { Extra::new(NAME, fields) }
}

/// The dialect.
pub(crate) struct Gemini;

impl Upstream for Gemini {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        request::write(request, operation, quirks)
    }

    fn forward(&self, head: &Head<'_>, _: &Peek, _: &[u8], model: &str, quirks: &Quirks) -> Result<Forward> {
        path::forward(head, model, quirks)
    }

    fn can(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Chat | Operation::CountTokens)
    }

    fn read_response(&self, body: &[u8]) -> Result<Response> {
        response::read(body)
    }

    fn read_count(&self, body: &[u8]) -> Result<TokenCount> {
        response::read_count(body)
    }

    fn read_stream(&self, _: &Quirks) -> Box<dyn ReadStream> {
        Box::new(stream::Reader::default())
    }

    fn classify(&self, status: u16, _: &HeaderMap, body: &[u8]) -> Error {
        error::read(status, body)
    }

    fn observe(&self, _: &Quirks) -> Box<dyn Observe> {
        Box::new(usage::Observer::default())
    }

    fn observe_response(&self, body: &[u8]) -> Option<Usage> {
        usage::find(body)
    }
}

impl Downstream for Gemini {
    fn peek(&self, head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
        path::peek(head, body, operation)
    }

    fn read_request(&self, head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Request> {
        request::read(head, body, operation)
    }

    fn lacks(&self) -> &'static [Feature] {
        &[Feature::StopSequence]
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
        stream::write_error(error, cx)
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
