//! One try against one target: write → sign → send → head. The only place where a provider is called.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request as HttpRequest, StatusCode, Uri, header};

use crate::client::Client;
use crate::codec::dialect::{Dialect, Forward, Head, Operation, Peek, headers as wire_headers};
use crate::codec::json::{Piece, pieces};
use crate::codec::{Error, Kind, Losses, Origin};
use crate::ir::Request;
use crate::target::Target;
use crate::transport::{Body, Failure, Payload, Phase};

/// How a request reaches the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Caller and provider speak one dialect: bytes are forwarded.
    Same,
    /// They do not: frames → events → bytes.
    Translate,
}

/// What is sent.
pub enum Ask<'a> {
    /// The caller's own bytes, with the declared edits only.
    Forward {
        /// The caller's request head.
        head: Head<'a>,
        /// What was seen of its body.
        peek: &'a Peek,
        /// Its body.
        body: &'a Bytes,
    },
    /// A request in canonical form, written in the provider's dialect.
    Write {
        /// The request; its `model` is replaced by the target's.
        request: &'a Request,
        /// What is wanted.
        operation: Operation,
        /// The caller's headers; only those that every dialect understands go along.
        headers: Option<&'a HeaderMap>,
    },
}

/// The head of a provider's good answer, its body still to come.
pub struct Answer {
    /// Who answers.
    pub target: Target,
    /// In which dialect.
    pub dialect: &'static Dialect,
    /// Which lane the body takes.
    pub lane: Lane,
    /// 2xx.
    pub status: StatusCode,
    /// The provider's headers.
    pub headers: HeaderMap,
    /// The provider's body.
    pub body: Body,
    /// What could not be said to the provider.
    pub losses: Losses,
    /// Usage was asked for on the caller's behalf and is taken out of the stream again.
    pub drop_usage: bool,
}

/// A try that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: Error,
    /// The provider's error answer, if it gave one in the caller's own dialect.
    pub reply: Option<ErrorReply>,
}

/// A provider's error answer as it came.
#[derive(Debug)]
pub struct ErrorReply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed { error, reply: None }
    }
}

/// Longest error body that is read.
const ERROR_LIMIT: usize = 1024 * 1024;

/// Calls `target` once, in `dialect`.
///
/// # Errors
/// When the request cannot be written in that dialect, the provider cannot be reached, or it answers with an error.
pub async fn exchange(client: &Client, target: &Target, dialect: &'static Dialect, ask: Ask<'_>) -> Result<Answer, Failed> {
    let credential = target.service.credential()?;
    let provider = &target.service.provider;
    let Written { lane, method, mut path, mut headers, payload, losses, drop_usage } = write(target, dialect, ask)?;
    credential.apply(&mut path, &mut headers);
    let mut request = HttpRequest::new(payload);
    *request.method_mut() = method;
    *request.uri_mut() = uri(provider.url(dialect.name), &path).map_err(|error| error.from_provider(&provider.id))?;
    *request.headers_mut() = headers;
    let transport = client.transport(request.uri().scheme_str());
    let reply = transport.send(request).await.map_err(|failure| explain(&failure, target))?;
    let (head, body) = reply.into_parts();
    if head.status.is_success() {
        let target = target.clone();
        return Ok(Answer { target, dialect, lane, status: head.status, headers: head.headers, body, losses, drop_usage });
    }
    let body = body.collect(ERROR_LIMIT).await.unwrap_or_default();
    let error = target.service.sign(dialect.upstream.read_error(head.status.as_u16(), &head.headers, &body));
    let reply = (lane == Lane::Same && !credential.is_in(&body)).then_some(ErrorReply {
        status: head.status,
        headers: head.headers,
        body,
    });
    Err(Failed { error, reply })
}

struct Written {
    lane: Lane,
    method: Method,
    path: String,
    headers: HeaderMap,
    payload: Payload,
    losses: Losses,
    drop_usage: bool,
}

fn write(target: &Target, dialect: &'static Dialect, ask: Ask<'_>) -> Result<Written, Error> {
    let quirks = target.quirks();
    let written = match ask {
        Ask::Forward { head, peek, body } => {
            let Forward { path, edits, drop_usage } = dialect.upstream.forward(&head, peek, body, &target.model, quirks)?;
            let mut headers = wire_headers::defaults(dialect.name, quirks);
            wire_headers::forward(dialect.name, head.headers, &mut headers);
            let payload = if edits.is_empty() { Payload::whole(body.clone()) } else { splice(body, edits) };
            Written { lane: Lane::Same, method: Method::POST, path, headers, payload, losses: Losses::default(), drop_usage }
        }
        Ask::Write { request, operation, headers: callers } => {
            let renamed = (request.model != target.model).then(|| Request { model: target.model.clone(), ..request.clone() });
            let outgoing = dialect.upstream.write_request(renamed.as_ref().unwrap_or(request), operation, quirks)?;
            let mut headers = outgoing.headers;
            if let Some(callers) = callers {
                wire_headers::forward("", callers, &mut headers);
            }
            Written {
                lane: Lane::Translate,
                method: outgoing.method,
                path: outgoing.path,
                headers,
                payload: Payload::whole(outgoing.body),
                losses: outgoing.losses,
                drop_usage: false,
            }
        }
    };
    Ok(with_type(written))
}

fn with_type(mut written: Written) -> Written {
    written.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // An encoded answer could not be forwarded with edits, nor observed.
    written.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    written.headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    written
}

const USER_AGENT: &str = concat!("trunkline/", env!("CARGO_PKG_VERSION"));

/// The caller's bytes with the edits between them; what is not edited is not copied.
fn splice(body: &Bytes, edits: Vec<crate::codec::json::Edit>) -> Payload {
    let pieces = pieces(body.len(), edits).into_iter().map(|piece| match piece {
        Piece::Kept(span) => body.slice(span),
        Piece::New(with) => Bytes::from(with),
    });
    Payload::pieces(pieces.collect())
}

fn uri(base: &str, path: &str) -> Result<Uri, Error> {
    Uri::try_from(format!("{base}{path}"))
        .map_err(|_| Error::new(Kind::NotFound, Origin::Caller, "the model's name cannot stand in an address").at("model"))
}

/// A transport's failure in the words of a call.
pub(crate) fn explain(failure: &Failure, target: &Target) -> Error {
    let kind = match (failure.timeout, failure.phase) {
        (true, _) => Kind::Timeout,
        (false, Phase::Body) => Kind::Truncated,
        (false, _) => Kind::Network,
    };
    Error::new(kind, Origin::Network, failure.message.clone()).from_provider(&target.service.provider.id)
}
