//! `anthropic-messages`: `POST /v1/messages`, whole and streamed, in its versions 2023-06-01 and 2026-10-21.
//!
//! The five files of a dialect, and beside them: [`out`] (structs that are written), [`block`] and [`reply`] (content
//! blocks, read and written), [`usage`], [`finish`] and [`model`].

use http::HeaderMap;

use super::{Cx, Downstream, Feature, Forward, Head, Observe, Operation, Outgoing, Peek, ReadStream, Upstream, WriteStream};
use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::ir::{Model, Request, Response, TokenCount, Usage};

mod block;
mod error;
mod finish;
mod model;
mod out;
mod reply;
mod request;
mod response;
mod stream;
mod usage;
mod wire;

/// The dialect's name.
pub(super) const NAME: &str = "anthropic-messages";

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnthropicMessages;

impl Upstream for AnthropicMessages {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        request::write_request(request, operation, quirks)
    }

    fn forward(&self, head: &Head<'_>, peek: &Peek, _body: &[u8], model: &str, _quirks: &Quirks) -> Result<Forward> {
        Ok(request::forward(head, peek, model))
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

    fn forwards(&self, quirks: &Quirks) -> bool {
        quirks.body_version.is_none()
    }

    fn read_stream(&self, quirks: &Quirks) -> Box<dyn ReadStream> {
        let reader = Box::new(stream::Reader::default());
        if quirks.body_version.is_some() { Box::new(stream::Chunks::new(reader)) } else { reader }
    }

    fn classify(&self, status: u16, _: &HeaderMap, body: &[u8]) -> Error {
        error::read_error(status, body)
    }

    fn observe(&self, _quirks: &Quirks) -> Box<dyn Observe> {
        Box::new(stream::Observer::default())
    }

    fn observe_response(&self, body: &[u8]) -> Option<Usage> {
        response::observe_response(body)
    }
}

impl Downstream for AnthropicMessages {
    fn peek(&self, _head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
        request::peek(body, operation)
    }

    fn read_request(&self, _head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Request> {
        request::read_request(body, operation)
    }

    fn lacks(&self) -> &'static [Feature] {
        &[Feature::Audio, Feature::Logprobs, Feature::Choices]
    }

    fn write_response(&self, response: &Response, cx: &Cx) -> Vec<u8> {
        response::write_response(response, cx)
    }

    fn write_stream(&self, cx: &Cx) -> Box<dyn WriteStream> {
        Box::new(stream::Writer::new(cx))
    }

    fn write_error(&self, error: &Error, request_id: &str) -> Vec<u8> {
        error::write_error(error, request_id)
    }

    fn write_stream_error(&self, error: &Error, cx: &Cx) -> Vec<u8> {
        let mut out = Vec::new();
        error::write_error_frame(error, &cx.request_id, &mut out);
        out
    }

    fn write_count(&self, count: TokenCount) -> Vec<u8> {
        response::write_count(count)
    }

    fn write_models(&self, models: &[Model]) -> Vec<u8> {
        model::write_models(models)
    }

    fn write_model(&self, model: &Model) -> Vec<u8> {
        model::write_model(model)
    }
}
