//! One try against one target: write → sign → send → head. The only place where a provider is called.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request as HttpRequest, StatusCode, Uri, header};

use crate::body_values::BodyValues;
use crate::carry::Label;
use crate::client::Client;
use crate::codec::dialect::{Dialect, Forward, Head, Operation, Outgoing, Peek, headers as wire_headers};
use crate::codec::json::{Piece, pieces};
use crate::codec::{Error, Kind, Losses, Origin, Retry, error};
use crate::credential::{Errand, Grant, Remedy, Turn};
use crate::ir::{Request, Usage};
use crate::monitor::Refused;
use crate::refusal::{Heard, listen};
use crate::target::Target;
use crate::transport::{Body, Failure, Number, Payload, Phase, Plain, Reply};

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
    /// Nobody else can be asked, because the request's body is gone.
    pub last: bool,
    /// What had been used, as far as the answer had come.
    pub used: Option<Usage>,
    /// It is about the credential, which has a health of its own, and says nothing of how much the target can take.
    pub of_credential: bool,
}

impl Failed {
    /// The answer was about one credential of several: what the others can do is what counts.
    fn mend(mut self, remedy: Option<Remedy>) -> Self {
        let Some(Remedy { wait, sooner_for_others }) = remedy else { return self };
        self.of_credential = sooner_for_others;
        if let Some(wait) = wait {
            self.tell_wait(wait);
        }
        self
    }

    /// The caller may come back after this long.
    pub(crate) fn tell_wait(&mut self, wait: Duration) {
        self.error.retry = Retry::After(wait);
        if let Some(reply) = &mut self.reply {
            tell_wait(&mut reply.headers, wait);
        }
    }

    /// Nobody else can be asked after this.
    #[must_use]
    pub fn last(self) -> Self {
        Failed { last: true, ..self }
    }
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
        Failed { error, reply: None, last: false, used: None, of_credential: false }
    }
}

/// Tells a caller in an answer's headers to come back after this long, whatever they told before.
pub(crate) fn tell_wait(headers: &mut HeaderMap, wait: Duration) {
    ["retry-after-ms", "x-amz-retry-after"].iter().for_each(|name| _ = headers.remove(*name));
    headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
}

/// Longest error body that is read.
pub(crate) const ERROR_LIMIT: usize = 1024 * 1024;

/// A request that is complete but for its credential.
pub struct Parcel {
    /// `POST`, mostly.
    pub method: Method,
    /// Path and query, appended to a base address of the provider.
    pub path: String,
    /// All headers but the credential's.
    pub headers: HeaderMap,
    /// The body.
    pub payload: Payload,
}

/// Calls `target` once, in `dialect`.
///
/// # Errors
/// When the request cannot be written in that dialect, the provider cannot be reached, or it answers with an error.
pub async fn exchange(client: &Client, target: &Target, dialect: &'static Dialect, ask: Ask<'_>) -> Result<Answer, Failed> {
    // A missing credential is told before anything else.
    target.service.credentials()?;
    let Written { lane, parcel, losses, drop_usage } = write(target, dialect, ask)?;
    let sent = send(client, target, dialect.name, target.service.provider.url(dialect.name), parcel).await?;
    let (head, body) = settle(sent, target, dialect, lane).await?.into_parts();
    let target = target.clone();
    Ok(Answer { target, dialect, lane, status: head.status, headers: head.headers, body, losses, drop_usage })
}

/// The head of a reply, and whose credential the request carried.
pub(crate) struct Sent<'a> {
    pub(crate) reply: Reply,
    pub(crate) turn: Turn<'a>,
    /// The error that the reply holds in spite of its status.
    pub(crate) error: Option<Error>,
}

/// Adds the credential, sends, and waits for the head of the reply, whatever its status. `base` is the address that the
/// parcel's path is under.
///
/// A credential that is refused makes room for a newer form of it, or for another of the provider's, if the request can
/// be sent again: to everybody else that is still one try.
///
/// # Errors
/// When there is no credential, or the provider cannot be reached.
pub(crate) async fn send<'a>(
    client: &'a Client,
    target: &'a Target,
    dialect: &'a str,
    base: &str,
    parcel: Parcel,
) -> Result<Sent<'a>, Failed> {
    let Parcel { method, path, mut headers, mut payload } = parcel;
    let mut turn = target.service.turn(client, Errand { model: &target.model, dialect })?;
    let mut instead_of = None;
    loop {
        let kept = if turn.may_repeat() { payload.replay().map(|payload| (headers.clone(), payload)) } else { None };
        let mut plain = client.stage().looks().then(|| Plain::new(&path, &headers));
        let grant = turn.grant(&path).await.map_err(|error| without_credential(target.service.sign(error)))?;
        let request = write_out(client, base, (&method, &path, headers, payload), grant);
        let request = request.map_err(|error| error.from_provider(&target.service.provider.id))?;
        if let Some(plain) = &mut plain {
            plain.values = BodyValues::hidden(&target.service.provider);
            plain.secrets = turn.secrets().into_iter().chain(client.secrets()).collect();
        }
        let reply = client.carry(request, Label { target, dialect, plain, instead_of }).await;
        let reply = reply.map_err(|failure| explain(&failure, target))?;
        target.learn(reply.headers(), client.clock());
        let Heard { reply, error, verdict } = listen(reply, client, target, dialect, turn.may_repeat()).await?;
        let again = turn.hear(verdict, &path);
        match kept {
            Some(kept) if again => {
                if let Some(trail) = target.trail() {
                    let credential = turn.fingerprint().map(str::to_owned);
                    trail.note(Refused { credential, status: reply.status().as_u16() });
                }
                (headers, payload) = kept;
                instead_of = reply.extensions().get().map(|Number(number)| *number);
                // Read to its end, so that the connection can carry the next try.
                let _ = reply.into_body().collect(ERROR_LIMIT).await;
            }
            _ => return Ok(Sent { reply, turn, error }),
        }
    }
}

/// No credential could be had: the target was not asked.
fn without_credential(error: Error) -> Failed {
    // Nothing of the request has gone out.
    let phase = if error.origin == Origin::Gateway { error.phase } else { Some(error::Phase::Connect) };
    Failed { of_credential: true, ..Error { phase, ..error }.into() }
}

/// The request as it goes out: signed last, over exactly what is sent.
fn write_out(
    client: &Client,
    base: &str,
    (method, path, mut headers, payload): (&Method, &str, HeaderMap, Payload),
    grant: &Grant,
) -> Result<HttpRequest<Payload>, Error> {
    let mut address = [base, path].concat();
    grant.apply(&mut address, &mut headers);
    let mut request = HttpRequest::new(payload);
    *request.method_mut() = method.clone();
    *request.uri_mut() = Uri::try_from(address)
        .map_err(|_| Error::new(Kind::NotFound, Origin::Caller, "the model's name cannot stand in an address").at("model"))?;
    *request.headers_mut() = headers;
    grant.sign(&mut request, client.clock())?;
    Ok(request)
}

/// Turns a reply that is an error, or holds one, into one, read in `dialect`.
///
/// # Errors
/// When it is one.
pub(crate) async fn settle(sent: Sent<'_>, target: &Target, dialect: &Dialect, lane: Lane) -> Result<Reply, Failed> {
    let Sent { reply, turn, error } = sent;
    if let Some(error) = error {
        let error = turn.explain(error, reply.headers()).from_provider(&target.service.provider.id);
        return Err(Failed::from(error).mend(turn.remedy()));
    }
    if reply.status().is_success() {
        return Ok(reply);
    }
    if !(400..600).contains(&reply.status().as_u16()) {
        return Err(neither(reply.status()).from_provider(&target.service.provider.id).into());
    }
    let (head, body) = reply.into_parts();
    let body = body.collect(ERROR_LIMIT).await.unwrap_or_default();
    let error = dialect.upstream.read_error(head.status.as_u16(), &head.headers, &body, turn.clock().unix());
    let error = turn.explain(error, &head.headers).from_provider(&target.service.provider.id);
    let reply =
        (lane == Lane::Same && !turn.is_in(&body)).then_some(ErrorReply { status: head.status, headers: head.headers, body });
    Err(Failed { reply, ..error.into() }.mend(turn.remedy()))
}

/// Whoever sends elsewhere, or says what nobody knows, is not who was meant.
fn neither(status: StatusCode) -> Error {
    let status = status.as_u16();
    let what = format!("answered HTTP {status}, which is neither an answer nor an error; check its `base_url`");
    Error { status: Some(status), ..Error::malformed(what) }
}

struct Written {
    lane: Lane,
    parcel: Parcel,
    losses: Losses,
    drop_usage: bool,
}

fn write(target: &Target, dialect: &'static Dialect, ask: Ask<'_>) -> Result<Written, Error> {
    let quirks = target.quirks();
    match ask {
        Ask::Forward { head, peek, body } => {
            let Forward { path, edits, drop_usage } = dialect.upstream.forward(&head, peek, body, &target.model, quirks)?;
            let path = target.service.provider.path(dialect.name, peek.operation, peek.stream, &target.model).unwrap_or(path);
            let mut headers = wire_headers::defaults(dialect.name, quirks);
            wire_headers::forward(dialect.name, head.headers, &mut headers);
            let payload = if edits.is_empty() { Payload::whole(body.clone()) } else { splice(body, edits) };
            let parcel = Parcel { method: Method::POST, path, headers: with_usual(headers), payload };
            Ok(Written { lane: Lane::Same, parcel, losses: Losses::default(), drop_usage })
        }
        Ask::Write { request, operation, headers: callers } => {
            let renamed =
                (*request.model != *target.model).then(|| Request { model: target.model.to_string(), ..request.clone() });
            let mut outgoing = dialect.upstream.write_request(renamed.as_ref().unwrap_or(request), operation, quirks)?;
            target.service.body_values.apply(&mut outgoing.body);
            let path = target.service.provider.path(dialect.name, operation, request.stream, &target.model);
            outgoing.path = path.unwrap_or(outgoing.path);
            let (parcel, losses) = Parcel::new(outgoing, callers);
            Ok(Written { lane: Lane::Translate, parcel, losses, drop_usage: false })
        }
    }
}

impl Parcel {
    /// A request in canonical form as a dialect has written it, with those of its caller's headers that every dialect
    /// understands; and what could not be said.
    pub(crate) fn new(outgoing: Outgoing, callers: Option<&HeaderMap>) -> (Self, Losses) {
        let Outgoing { method, path, mut headers, body, losses } = outgoing;
        if let Some(callers) = callers {
            wire_headers::forward("", callers, &mut headers);
        }
        (Parcel { method, path, headers: with_usual(headers), payload: Payload::whole(body) }, losses)
    }
}

/// Adds what every request has.
pub(crate) fn with_usual(mut headers: HeaderMap) -> HeaderMap {
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    // An encoded answer could not be forwarded with edits, nor observed.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    headers
}

pub(crate) const USER_AGENT: &str = concat!("trunkline/", env!("CARGO_PKG_VERSION"));

/// The caller's bytes with the edits between them; what is not edited is not copied.
pub(crate) fn splice(body: &Bytes, edits: Vec<crate::codec::json::Edit>) -> Payload {
    let pieces = pieces(body.len(), edits).into_iter().map(|piece| match piece {
        Piece::Kept(span) => body.slice(span),
        Piece::New(with) => Bytes::from(with),
    });
    Payload::pieces(pieces.collect())
}

/// A transport's failure in the words of a call.
pub(crate) fn explain(failure: &Failure, target: &Target) -> Error {
    if failure.phase == Phase::Replay {
        // Neither the target's fault, nor would asking again help.
        let error = Error::new(Kind::NotFound, Origin::Caller, failure.message.clone());
        return Error { code: Some(error::NO_RECORDING.to_owned()), ..error };
    }
    let kind = match (failure.timeout, failure.phase) {
        (true, _) => Kind::Timeout,
        (false, Phase::Body) => Kind::Truncated,
        (false, Phase::Tls) if !is_broken(failure) => Kind::Tls,
        (false, _) => Kind::Network,
    };
    let phase = Some(match failure.phase {
        Phase::Connect | Phase::Tls | Phase::Replay => error::Phase::Connect,
        // Nothing of it has gone out.
        Phase::Send if !failure.timeout => error::Phase::Connect,
        Phase::Send | Phase::Head => error::Phase::FirstByte,
        Phase::Body => error::Phase::BetweenBytes,
    });
    let error = Error::new(kind, Origin::Network, failure.message.clone()).from_provider(&target.service.provider.id);
    Error { phase, ..error }
}

/// Whether it was the connection that broke, and nothing in what was said by it.
fn is_broken(failure: &Failure) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let source = failure.source.as_ref().and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}
