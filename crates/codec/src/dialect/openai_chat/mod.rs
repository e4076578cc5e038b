//! `openai-chat`: `POST /chat/completions`, the dialect that most servers speak.
//!
//! Source: the type definitions of the `openai` package for Python and the published OpenAPI document; the many
//! servers that speak it with words of their own are read as well.

pub(crate) mod error;
pub(crate) mod free_text;
mod inline;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod stream;
pub(crate) mod wire;

use std::sync::Arc;

use http::HeaderMap;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Asked, Cx, Downstream, Forward, Head, Observe, Operation, Outgoing, Peek, ReadStream, Upstream, WriteStream};
use crate::catalog::Quirks;
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Model, Request, Response, TokenCount, Usage};
use crate::json;

/// The dialect's name.
pub(crate) const NAME: &str = "openai-chat";

const PATH: &str = "/chat/completions";

/// The dialect.
pub(crate) struct OpenAiChat;

impl Upstream for OpenAiChat {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        match operation {
            Operation::Chat => Ok(request::write_request(request, quirks)),
            _ => Err(cannot_count(NAME)),
        }
    }

    fn forward(&self, _: &Head<'_>, peek: &Peek, body: &[u8], model: &str, quirks: &Quirks) -> Result<Forward> {
        Ok(request::forward(PATH, peek, body, model, quirks))
    }

    fn can(&self, operation: Operation) -> bool {
        operation == Operation::Chat
    }

    fn read_response(&self, body: &[u8]) -> Result<Response> {
        response::read_response(body, NAME, &Quirks::default())
    }

    fn read_reply(&self, body: &[u8], quirks: &Quirks) -> Result<Response> {
        response::read_response(body, NAME, quirks)
    }

    fn read_count(&self, _: &[u8]) -> Result<TokenCount> {
        Err(cannot_count(NAME))
    }

    fn read_stream(&self, quirks: &Quirks) -> Box<dyn ReadStream> {
        Box::new(stream::Reader::new(NAME, quirks))
    }

    fn classify(&self, status: u16, _: &HeaderMap, body: &[u8]) -> Error {
        error::read_error(status, body)
    }

    fn observe(&self, quirks: &Quirks) -> Box<dyn Observe> {
        Box::new(stream::Watch::new(quirks.done))
    }

    fn observe_response(&self, body: &[u8]) -> Option<Usage> {
        stream::observe_response(body)
    }
}

impl Downstream for OpenAiChat {
    fn peek(&self, _: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
        request::peek(body, operation, "messages", |kind| kind == json::Kind::Array)
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8], _: Operation) -> Result<Request> {
        request::read_request(body)
    }

    fn recall(&self, body: &[u8]) -> Option<Arc<Asked>> {
        memchr::memmem::find(body, b"\"custom\"")?;
        let tools: &RawValue = serde_json::from_slice(body.get(json::member(body, "tools")?)?).ok()?;
        let custom_tools = free_text::custom_names(tools);
        (!custom_tools.is_empty()).then(|| Arc::new(Asked { custom_tools, ..Asked::default() }))
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
        write_count(count)
    }

    fn write_models(&self, models: &[Model]) -> Vec<u8> {
        write_models(models)
    }

    fn write_model(&self, model: &Model) -> Vec<u8> {
        model_value(model).to_string().into_bytes()
    }
}

pub(crate) fn cannot_count(dialect: &str) -> Error {
    Error::new(Kind::Unsupported, Origin::Gateway, format!("{dialect} has no way to count tokens"))
}

/// The dialect has no such answer; this is what it would look like.
pub(crate) fn write_count(count: TokenCount) -> Vec<u8> {
    json!({ "object": "token_count", "input_tokens": count.input }).to_string().into_bytes()
}

pub(crate) fn write_models(models: &[Model]) -> Vec<u8> {
    let data: Vec<_> = models.iter().map(model_value).collect();
    json!({ "object": "list", "data": data }).to_string().into_bytes()
}

pub(crate) fn model_value(model: &Model) -> serde_json::Value {
    json!({ "id": model.id, "object": "model", "created": model.created, "owned_by": model.owner })
}
