//! The simulator: answers in process, needs no port and no key, and says that it is one.
//!
//! It speaks every dialect on the wire, so that a call to it takes the same way through the code as any other:
//! the request is read as a gateway would read it, and the answer is written as a provider would write it.

mod answer;
mod media;
mod operation;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response as HttpResponse, StatusCode, header};
use http_body_util::BodyExt;

use super::{Body, Failure, Payload, Phase, Reply, Sending, Transport};
use crate::codec::dialect::{self, Cx, Framing, Head, Operation, Peek};
use crate::codec::{Dialect, Error, Result};
use crate::ir::{Model, fold};

/// Answers to `sim:` addresses.
#[derive(Debug, Default)]
pub struct SimTransport {
    calls: AtomicU64,
    names: Names,
}

impl SimTransport {
    /// A simulator for `any` model's name, or for its own two only.
    #[must_use]
    pub fn new(any: bool) -> Self {
        SimTransport { calls: AtomicU64::new(0), names: if any { Names::Any } else { Names::Own } }
    }
}

/// Which models' names it answers to.
#[derive(Clone, Copy, Debug, Default)]
enum Names {
    /// Its own, see [`MODELS`].
    #[default]
    Own,
    /// All: what is not its own is an echo.
    Any,
}

impl Names {
    fn check(self, model: &str) -> Result<()> {
        match self {
            Names::Own if !MODELS.contains(&model) => Err(no_such_model(model)),
            Names::Own | Names::Any => Ok(()),
        }
    }
}

impl Transport for SimTransport {
    fn send(&self, request: http::Request<Payload>) -> Sending<'_> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let (head, payload) = request.into_parts();
            let body = payload.collect().await?.to_bytes();
            let path = head.uri.path();
            if let Some((dialect, operation)) = dialect::operation::route(path) {
                return Ok(operate((dialect, operation), &head, &body, (self.names, number)));
            }
            if head.method == Method::GET && path == "/v1/models" {
                return Ok(list());
            }
            let Some(route) = dialect::route(path) else {
                return Err(Failure::new(Phase::Send, format!("the simulator does not know the path {path}")));
            };
            let head = Head { path, query: head.uri.query(), headers: &head.headers };
            let reply = match simulate(route, &head, &body, (self.names, number)) {
                Ok((media, bytes)) => reply(StatusCode::OK, HeaderValue::from_static(media), bytes),
                Err(error) => {
                    let status = StatusCode::from_u16(error.caller_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    let down = route.0.downstream();
                    let media = HeaderValue::from_static("application/json");
                    let mut reply = reply(status, media, down.write_error(&error, &id(number)));
                    reply.headers_mut().extend(down.error_headers(&error));
                    reply
                }
            };
            Ok(reply)
        })
    }
}

fn simulate(
    (dialect, operation): (&'static Dialect, Operation),
    head: &Head<'_>,
    body: &Bytes,
    (names, number): (Names, u64),
) -> Result<(&'static str, Vec<u8>)> {
    let peek = dialect.downstream().peek(head, body, operation)?;
    let mut request = dialect.downstream().read_request(head, body, operation)?;
    request.model.clone_from(&peek.model);
    names.check(&request.model)?;
    if operation == Operation::CountTokens {
        let input = answer::count_input(&request);
        return Ok(("application/json", dialect.downstream().write_count(crate::ir::TokenCount { input, estimated: false })));
    }
    let cx = Cx { asked: dialect.downstream().recall(body), ..context(&peek, number) };
    let response = answer::answer(&request, &cx.id)?;
    if !peek.stream {
        return Ok(("application/json", dialect.downstream().write_response(&response, &cx)));
    }
    let mut writer = dialect.downstream().write_stream(&cx);
    let mut out = Vec::new();
    for event in answer::in_words(fold::unfold(response)) {
        writer.push(&event, &mut out);
    }
    writer.finish(&mut out);
    Ok((peek.framing.content_type(), out))
}

/// The models that there are.
fn list() -> Reply {
    let model = |name: &&str| Model { id: (*name).to_owned(), owner: "trunkline".to_owned(), created: 0 };
    let models: Vec<Model> = MODELS.iter().map(model).collect();
    let body = dialect::find("openai-chat").map(|dialect| dialect.downstream().write_models(&models)).unwrap_or_default();
    reply(StatusCode::OK, HeaderValue::from_static("application/json"), body)
}

/// Everything but chat.
fn operate((dialect, wanted): (&str, Operation), head: &Parts, body: &Bytes, (names, number): (Names, u64)) -> Reply {
    let head = Head { path: head.uri.path(), query: head.uri.query(), headers: &head.headers };
    let peek = Peek {
        operation: wanted,
        model: String::new(),
        model_span: None,
        stream: false,
        max_tokens: None,
        framing: Framing::Sse,
        stream_usage: true,
        user: None,
    };
    match operation::simulate(dialect, wanted, &head, body, &(names, context(&peek, number))) {
        Ok(told) => {
            let media = HeaderValue::from_str(&told.media);
            reply(StatusCode::OK, media.unwrap_or(HeaderValue::from_static("application/json")), told.body)
        }
        Err(error) => {
            let body = crate::operate::error_dialect(dialect).map(|errors| errors.downstream().write_error(&error, &id(number)));
            let status = StatusCode::from_u16(error.caller_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            reply(status, HeaderValue::from_static("application/json"), body.unwrap_or_default())
        }
    }
}

fn id(number: u64) -> String {
    format!("sim{number:021}")
}

/// Ids count up: the same calls in the same order give the same answers but for the time.
fn context(peek: &Peek, number: u64) -> Cx {
    let id = id(number);
    Cx {
        request_id: id.clone(),
        id,
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        model: peek.model.clone(),
        framing: peek.framing,
        stream_usage: peek.stream_usage,
        asked: None,
    }
}

fn reply(status: StatusCode, media: HeaderValue, bytes: Vec<u8>) -> Reply {
    let mut reply = HttpResponse::new(Body::whole(bytes));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, media);
    reply
}

/// The models that there are.
const MODELS: [&str; 2] = ["echo", "lorem"];

fn no_such_model(model: &str) -> Error {
    let what = format!("the simulator has no model `{model}`; it has echo and lorem");
    Error::new(crate::Kind::NotFound, crate::Origin::Caller, what).at("model")
}
