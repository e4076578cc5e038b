//! `ollama` (`POST /api/chat`) and `ollama-generate` (`POST /api/generate`): one dialect in two shapes, a conversation
//! and a prompt. Streams are lines of JSON, and a request that does not say otherwise asks for one.
//!
//! Source: the published OpenAPI document, the types of the server's own code and those of the `ollama` package for
//! Python. Durations are nanoseconds. Ids of calls are newer than most clients: where there is none, one is made up.

mod aside;
mod error;
mod model;
mod request;
mod response;
mod stream;
mod wire;

pub(super) use aside::aside;

use http::HeaderMap;

use super::feature::Feature;
use super::openai_chat::cannot_count;
use super::{Cx, Downstream, Forward, Framing, Head, Observe, Operation, Outgoing, Peek, ReadStream, Upstream, WriteStream};
use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::ir::{Model, Request, Response, TokenCount, Usage};

/// The dialect's name in the shape of a conversation.
pub(crate) const CHAT: &str = "ollama";

/// The dialect's name in the shape of a prompt.
pub(crate) const GENERATE: &str = "ollama-generate";

/// What a request and its answer are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Messages, and a message in return.
    Chat,
    /// A prompt, and how it goes on.
    Generate,
}

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Shape::Chat => CHAT,
            Shape::Generate => GENERATE,
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Shape::Chat => "/api/chat",
            Shape::Generate => "/api/generate",
        }
    }
}

/// The dialect in one of its shapes.
pub(crate) struct Ollama(pub(crate) Shape);

impl Upstream for Ollama {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        match operation {
            Operation::Chat => request::write(self.0, request, quirks),
            _ => Err(cannot_count(self.0.name())),
        }
    }

    fn forward(&self, _: &Head<'_>, peek: &Peek, _: &[u8], model: &str, _: &Quirks) -> Result<Forward> {
        Ok(request::forward(self.0, peek, model))
    }

    fn framing(&self) -> Framing {
        Framing::Ndjson
    }

    fn can(&self, operation: Operation) -> bool {
        operation == Operation::Chat
    }

    fn read_response(&self, body: &[u8]) -> Result<Response> {
        response::read(self.0, body)
    }

    fn read_count(&self, _: &[u8]) -> Result<TokenCount> {
        Err(cannot_count(self.0.name()))
    }

    fn read_stream(&self, _: &Quirks) -> Box<dyn ReadStream> {
        Box::new(stream::Reader::new(self.0))
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

impl Downstream for Ollama {
    fn peek(&self, _: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
        request::peek(body, operation)
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8], _: Operation) -> Result<Request> {
        request::read(self.0, body)
    }

    fn lacks(&self) -> &'static [Feature] {
        const CHAT: &[Feature] = &[Feature::Audio, Feature::Citation, Feature::Choices, Feature::StopSequence];
        const GENERATE: &[Feature] =
            &[Feature::ToolCall, Feature::Image, Feature::Audio, Feature::Citation, Feature::Choices, Feature::StopSequence];
        match self.0 {
            Shape::Chat => CHAT,
            Shape::Generate => GENERATE,
        }
    }

    fn write_response(&self, response: &Response, cx: &Cx) -> Vec<u8> {
        response::write(self.0, response, cx)
    }

    fn write_stream(&self, cx: &Cx) -> Box<dyn WriteStream> {
        Box::new(stream::Writer::new(self.0, cx))
    }

    fn write_error(&self, error: &Error, _: &str) -> Vec<u8> {
        error::write(error)
    }

    fn write_stream_error(&self, error: &Error, _: &Cx) -> Vec<u8> {
        error::write_line(error)
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
