//! The operations beyond chat: a request in canonical form translated for whoever can do it, or a caller's own passed on.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use crate::client::Client;
use crate::codec::catalog::{Cost, Pieces};
use crate::codec::dialect::operation::{self, Wanted, Wire};
use crate::codec::dialect::{self, Dialect, Head, Operation, Peek, headers as wire_headers};
use crate::codec::{Error, Kind, Losses, Origin, Result};
use crate::exchange::{ERROR_LIMIT, Failed, Lane, Parcel, Sent, explain, send, settle, splice, tell_wait, with_usual};
use crate::relay::describe;
use crate::target::Target;
use crate::transport::{Body, Payload, Reply};

/// The answer to a request in canonical form.
#[derive(Clone, Debug)]
pub struct Done<A> {
    /// Who answered, `provider/model`.
    pub target: String,
    /// The answer.
    pub answer: A,
    /// What it took that is not counted in tokens.
    pub pieces: Pieces,
    /// What it came to, where that and the price are known.
    pub cost: Option<Cost>,
    /// What the provider could not be told.
    pub losses: Losses,
    /// The provider's headers.
    pub headers: HeaderMap,
}

/// The head of a provider's good answer to a caller's own request, its body still to come.
pub struct Passed {
    /// Who answers.
    pub target: Target,
    /// In which dialect.
    pub dialect: String,
    /// 2xx.
    pub status: StatusCode,
    /// The provider's headers.
    pub headers: HeaderMap,
    /// The provider's body.
    pub body: Body,
}

/// A caller's request whose dialect the provider speaks.
pub struct Own<'a> {
    /// The dialect.
    pub dialect: &'a str,
    /// The request's head, its key taken out.
    pub head: Head<'a>,
    /// What was seen of its body.
    pub peek: &'a Peek,
    /// Its body.
    pub body: OwnBody<'a>,
}

/// The body of a caller's request.
pub enum OwnBody<'a> {
    /// JSON, as it came.
    Json(&'a Bytes),
    /// A form with the model's name replaced already.
    Form(Payload),
}

/// The dialect that errors of a dialect's operations are told in: its own where chat is spoken in it, too.
pub fn error_dialect(name: &str) -> Option<&'static Dialect> {
    dialect::find(name).or_else(|| dialect::find("openai-chat"))
}

/// Asks `target` in its own dialect, in as many requests as it takes. Of the caller's headers those go along that every
/// dialect understands.
///
/// # Errors
/// When the provider does not offer it, cannot be told, cannot be reached, or answers with an error.
pub async fn operate<W: Wanted>(
    client: &Client,
    target: &Target,
    mut wanted: W,
    callers: Option<&HeaderMap>,
) -> Result<Done<W::Answer>, Failed> {
    let dialect = target.service.dialect_for(None, wanted.operation())?;
    let wire = W::wire(dialect).ok_or_else(|| lacks(target, wanted.operation()))?;
    let mut losses = Losses::default();
    let mut pieces = Pieces::default();
    let mut done: Option<(W::Answer, HeaderMap)> = None;
    // The limits may be those of the model, which goes by the provider's name for it.
    target.model.as_ref().clone_into(wanted.model_mut());
    let most = wire.most(&wanted);
    for piece in wanted.split(most) {
        let outgoing = wire.write_request(&piece, target.quirks())?;
        let (parcel, lost) = Parcel::new(outgoing, callers);
        losses.extend(lost);
        let (answer, headers) = ask(client, target, dialect, wire, parcel).await?;
        pieces.join(piece.pieces(&answer));
        match &mut done {
            None => done = Some((answer, headers)),
            Some((first, _)) => W::join(first, answer),
        }
    }
    let (answer, headers) = done.ok_or_else(|| Error::bad_request("nothing was asked for"))?;
    let cost = client.price(target.name(), W::usage(&answer), pieces);
    Ok(Done { target: target.name().to_owned(), answer, pieces, cost, losses, headers })
}

async fn ask<W: Wanted>(
    client: &Client,
    target: &Target,
    dialect: &str,
    wire: &dyn Wire<W>,
    parcel: Parcel,
) -> Result<(W::Answer, HeaderMap), Failed> {
    let reply = reach(client, target, dialect, parcel, Lane::Translate).await?;
    let (head, body) = reply.into_parts();
    let limit = client.config().network.reply_limit;
    let body = body.collect(limit).await.map_err(|failure| explain(&failure, target))?;
    let answer = wire.read_answer(media(&head.headers), &body);
    let answer = answer.map_err(|error| target.service.sign(describe(error, &body)))?;
    Ok((answer, head.headers))
}

/// Passes a caller's own request on, with nothing changed but the model's name.
///
/// # Errors
/// When the provider cannot be reached or answers with an error, also one in a body of status 200.
pub async fn pass(client: &Client, target: &Target, own: Own<'_>) -> Result<Passed, Failed> {
    let Own { dialect, head, peek, body } = own;
    target.service.credentials()?;
    let bytes: &[u8] = if let OwnBody::Json(bytes) = &body { bytes } else { &[] };
    let quirks = target.quirks();
    let forward = operation::forward((dialect, peek.operation), &head, peek, bytes, &target.model, quirks)?;
    let mut headers = wire_headers::defaults(dialect, quirks);
    wire_headers::forward(dialect, head.headers, &mut headers);
    for name in [header::CONTENT_TYPE, header::ACCEPT] {
        if let Some(value) = head.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let payload = match body {
        OwnBody::Json(bytes) if forward.edits.is_empty() => Payload::whole(bytes.clone()),
        OwnBody::Json(bytes) => splice(bytes, forward.edits),
        OwnBody::Form(payload) => payload,
    };
    let parcel = Parcel { method: Method::POST, path: forward.path, headers: with_usual(headers), payload };
    let reply = reach(client, target, dialect, parcel, Lane::Same).await?;
    let reply = look(client, reply, target, dialect).await?;
    let (head, body) = reply.into_parts();
    Ok(Passed { target: target.clone(), dialect: dialect.to_owned(), status: head.status, headers: head.headers, body })
}

/// Sends what is none of our operations: the parcel as it is, with the credential, and whatever comes back. Only what
/// would give the credential away does not pass.
///
/// # Errors
/// When the provider cannot be reached, or repeats our credential in its answer to an error.
pub async fn pass_through(client: &Client, target: &Target, parcel: Parcel) -> Result<Reply, Failed> {
    let service = &target.service;
    let Sent { reply, turn, .. } = send(client, target, "", &service.provider.base_url, parcel).await?;
    let (mut head, body) = reply.into_parts();
    let told: Vec<_> = head.headers.iter().filter(|(_, value)| turn.is_in(value.as_bytes())).collect();
    let told: Vec<_> = told.into_iter().map(|(name, _)| name.clone()).collect();
    told.iter().for_each(|name| _ = head.headers.remove(name));
    if !head.status.is_success() {
        if let Some(wait) = turn.remedy().and_then(|remedy| remedy.wait) {
            tell_wait(&mut head.headers, wait);
        }
        let body = body.collect(ERROR_LIMIT).await.map_err(|failure| explain(&failure, target))?;
        // What is encoded in spite of our asking cannot be looked into.
        let hidden = head.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        if hidden || turn.is_in(&body) {
            let read = |dialect: &'static Dialect| {
                dialect.upstream.read_error(head.status.as_u16(), &head.headers, &body, client.clock().unix())
            };
            let error = service.provider.dialects.first().and_then(|name| error_dialect(name)).map(read);
            let error = error.unwrap_or_else(|| Error::malformed("answered in a way that may show our credential"));
            return Err(turn.explain(service.sign(error), &head.headers).into());
        }
        return Ok(Reply::from_parts(head, Body::whole(body)));
    }
    Ok(Reply::from_parts(head, body))
}

/// Reads what stands at a path of a provider.
pub(crate) async fn fetch(client: &Client, target: &Target, dialect: &str, path: String) -> Result<Bytes, Failed> {
    let parcel = request_to(target, dialect, path);
    let reply = reach(client, target, dialect, parcel, Lane::Translate).await?;
    let body = reply.into_body().collect(client.config().network.reply_limit).await;
    Ok(body.map_err(|failure| explain(&failure, target))?)
}

/// A request for what stands at a path of a provider.
pub(crate) fn request_to(target: &Target, dialect: &str, path: String) -> Parcel {
    let mut headers = with_usual(wire_headers::defaults(dialect, target.quirks()));
    headers.remove(header::CONTENT_TYPE);
    Parcel { method: Method::GET, path, headers, payload: Payload::empty() }
}

/// Sends a parcel, and turns an error that comes back into one.
pub(crate) async fn reach(client: &Client, target: &Target, dialect: &str, parcel: Parcel, lane: Lane) -> Result<Reply, Failed> {
    let sent = send(client, target, dialect, target.service.provider.url(dialect), parcel).await?;
    match error_dialect(dialect) {
        Some(errors) => settle(sent, target, errors, lane).await,
        None => Ok(sent.reply),
    }
}

/// Looks at the first bytes of an answer that has not gone out yet: an error in spite of its status is an error, and a
/// page for people no answer.
async fn look(client: &Client, reply: Reply, target: &Target, dialect: &str) -> Result<Reply, Failed> {
    let limit = client.config().network.reply_limit;
    let (head, mut body) = reply.into_parts();
    let media = media(&head.headers);
    if !media.starts_with("application/json") && !media.starts_with("text/html") {
        return Ok(Reply::from_parts(head, body));
    }
    let first = match body.chunk().await {
        Some(first) => first.map_err(|failure| explain(&failure, target))?,
        None => Bytes::new(),
    };
    let front = first.get(..512).unwrap_or(&first).trim_ascii_start();
    let is_json = matches!(front.first(), Some(b'{' | b'['));
    if is_json && !front.starts_with(b"{\"error\"") && !front.starts_with(b"{\"code\"") {
        return Ok(Reply::from_parts(head, body.after(first)));
    }
    let whole = body.after(first).collect(limit).await.map_err(|failure| explain(&failure, target))?;
    let is_fine = serde_json::from_slice::<serde_json::Value>(&whole)
        .is_ok_and(|value| value.get("error").is_none_or(serde_json::Value::is_null) && value.get("code").is_none());
    if is_fine {
        return Ok(Reply::from_parts(head, Body::whole(whole)));
    }
    let error = match error_dialect(dialect) {
        Some(errors) if is_json => {
            let now = client.clock().unix();
            Error { status: None, ..errors.upstream.read_error(500, &head.headers, &whole, now) }
        }
        _ => describe(Error::malformed("answered with something else than was asked for"), &whole),
    };
    Err(target.service.sign(error).into())
}

fn media(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn lacks(target: &Target, operation: Operation) -> Error {
    let what = format!("{} does not offer {}", target.service.provider.id, operation.key());
    Error::new(Kind::Unsupported, Origin::Gateway, what)
}
