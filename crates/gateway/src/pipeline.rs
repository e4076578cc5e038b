//! The way of a call, on one page. Each step takes what the one before it gives.
//!
//! ```text
//! bytes ─► route       path -> (dialect, operation)                      404, 405
//!       ─► identify    headers -> caller                                 401
//!       ─► receive     body, up to the limit                             413
//!       ─► peek        body -> model, stream, spans                      400
//!       ─► plan        model -> targets in order                         404
//!       ─► exchange    lane -> codec -> sign -> send -> head             the next target, or the same again, until here
//!       ─► relay       same: bytes as they come; translate: frame -> event -> bytes
//!       ─► reply       status, headers; the outcome is recorded when the body is over
//! ```

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use trunkline::codec::dialect::{Cx, Head, Operation, Peek};
use trunkline::codec::{Dialect, Error, Kind, Losses, Origin, Result};
use trunkline::exchange::{Answer, Ask, Failed, Lane, exchange};
use trunkline::ir::Request;
use trunkline::monitor::OpenCall;
use trunkline::relay::{self, Hold, Pipe, Settings, Whole};
use trunkline::route::{Leg, Need, Said};
use trunkline::{Target, call};

use crate::edge::reply::{self, Facts, ReplyBody};
use crate::edge::{Route, body, route};
use crate::identify::{identify, without_key};
use crate::shed::Held;
use crate::worker::Worker;
use crate::{operate, passthrough, show};

/// The header that asks for a task, whatever model the body names; and the reply's, that tells which it was.
pub(crate) const TASK: &str = "x-trunkline-task";

/// For whom a call is made, and what else there is to say of it: for the ledger.
const USER: &str = "x-trunkline-user";
const TAGS: &str = "x-trunkline-tags";

/// Answers one request, whatever it is.
pub async fn answer(worker: Arc<Worker>, request: http::Request<hyper::body::Incoming>) -> Response<ReplyBody> {
    let id = worker.ids.next();
    let (head, incoming) = request.into_parts();
    let route = match route(&head) {
        Ok(route) => route,
        Err((dialect, error)) => return body::refuse(incoming, reply::error(dialect, &error, &id)),
    };
    match route {
        Route::Health(kind) => return reply::health(&worker, kind),
        Route::Fixed(media, body) => return reply::fixed(media, body),
        _ => {}
    }
    if let Err(error) = identify(worker.door.key().as_deref(), &head.headers, head.uri.query()) {
        return body::refuse(incoming, reply::error(route.dialect(), &error, &id));
    }
    if !matches!(route, Route::Call(..) | Route::Operate(_) | Route::Pass(..)) {
        return called(&worker, &head, incoming, route, &id).await;
    }
    match worker.shed.open(&worker.client.config().server) {
        Ok(open) => called(&worker, &head, incoming, route, &id).await.map(|body| body.keeping(open)),
        Err(error) => body::refuse(incoming, reply::error(route.dialect(), &error, &id)),
    }
}

/// Answers one call of a caller who may.
async fn called(worker: &Arc<Worker>, head: &Parts, incoming: Incoming, route: Route, id: &str) -> Response<ReplyBody> {
    let (dialect, operation) = match route {
        Route::Call(dialect, operation) => (dialect, operation),
        Route::Operate(wish) => return operate::answer(worker, head, incoming, wish, id).await,
        Route::Show(dialect, read) => return show::answer(worker, head, incoming, (dialect, read), id).await,
        Route::Pass(dialect, rest) => return passthrough::answer(worker, head, incoming, (dialect, &rest), id).await,
        other => return reply::list(worker, &other, id),
    };
    let limit = worker.client.config().server.body_limit;
    // Until the answer begins: then the request is not sent again.
    let mut held = Held::new(&worker.shed, &worker.client.config().server);
    let receive = body::receive(head, incoming, limit, &mut held);
    let received = match worker.unless_cut(pin!(receive)).await.unwrap_or_else(|error| Err((None, error))) {
        Ok(received) => received,
        Err((incoming, error)) => return body::refuse_some(incoming, reply::error(dialect, &error, id)),
    };
    let mut call = OpenCall::new(id.to_owned(), Arc::clone(&worker.record) as _, worker.client.model_data());
    introduce(&mut call, head, dialect, Some(operation));
    let ran = worker.unless_cut(pin!(run(worker, head, received, (dialect, operation), &mut call, id))).await;
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => Err((error.into(), Facts::new(id, dialect))),
    };
    match ran {
        Ok(Ready::Reply(reply)) => {
            call.close(None);
            reply
        }
        Ok(Ready::Stream { answer, cx, facts }) => {
            let settings = Settings {
                idle_seconds: worker.client.config().network.idle_seconds,
                frame_limit: worker.client.config().network.frame_limit,
                cut: worker.cut.clone(),
            };
            reply::stream(answer, &facts, |answer| Pipe::new(answer, dialect, cx, call, settings))
        }
        Err((failed, facts)) => {
            let reply = reply::failure(dialect, &failed, &facts);
            call.close(Some(failed.error));
            reply
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "moved once a call; a box would be an allocation for each")]
enum Ready {
    Reply(Response<ReplyBody>),
    Stream { answer: Answer, cx: Cx, facts: Facts },
}

/// Peek → plan → exchange → relay.
async fn run(
    worker: &Worker,
    head: &Parts,
    body: Bytes,
    (dialect, operation): (&'static Dialect, Operation),
    call: &mut OpenCall,
    id: &str,
) -> std::result::Result<Ready, (Failed, Facts)> {
    let mut facts = Facts::new(id, dialect);
    let query = without_key(head.uri.query());
    let seen = Head { path: head.uri.path(), query: query.as_deref(), headers: &head.headers };
    let peeked = dialect.downstream().peek(&seen, &body, operation);
    let planned = peeked.and_then(|peek| {
        let Peek { max_tokens, .. } = peek;
        if let Some(outcome) = call.outcome() {
            outcome.model.clone_from(&peek.model);
            outcome.streamed = peek.stream && operation == Operation::Chat;
            outcome.bytes_in = Some(body.len() as u64);
        }
        let said = Said::Raw { dialect, head: seen, body: &body, operation, max_tokens };
        let need = Need { said, ..need(head, &peek) }.taking(body.len(), max_tokens);
        worker.client.tries(&need).map(|tries| (peek, tries))
    });
    let (peek, mut tries) = planned.map_err(|error| (error.into(), facts.clone()))?;
    facts.task = tries.task().map(str::to_owned);
    let caller = Caller { dialect, operation, head: seen, peek: &peek, body: &body };
    loop {
        let leg = tries.next(call).await.map_err(|failed| (failed, facts.clone()))?;
        facts.begin(&leg.target);
        let tried = leg.within(pin!(try_target(worker, &leg, &caller, call, &mut facts))).await;
        if let Some(ready) = tries.hear(leg, tried, call) {
            return Ok(ready);
        }
    }
}

/// Tells the outcome who asks for what.
pub(crate) fn introduce(call: &mut OpenCall, head: &Parts, dialect: &'static Dialect, operation: Option<Operation>) {
    let Some(outcome) = call.outcome() else { return };
    let said = |name| head.headers.get(name).and_then(word).map(str::to_owned);
    outcome.operation = operation;
    outcome.dialect = Some(dialect.name);
    outcome.user = said(USER);
    outcome.tags = said(TAGS);
}

/// What the call asks for, as far as it matters for where it goes.
pub(crate) fn need<'a>(head: &'a Parts, peek: &'a Peek) -> Need<'a> {
    let repeatable = peek.operation.may_be_repeated();
    let said = Said::Unread(peek.operation);
    let mut need = Need { model: &peek.model, streamed: peek.stream, repeatable, said, ..Need::default() };
    // One look at each, where four look-ups would take longer.
    for (name, value) in &head.headers {
        match name.as_str() {
            "idempotency-key" => need.repeatable = true,
            TASK => need.task = need.task.or(word(value)),
            "x-trunkline-session" => need.session = need.session.or(word(value)),
            "x-trunkline-timeout" => need.patience = need.patience.or(patience(value)),
            _ => {}
        }
    }
    need
}

/// What a header says, if that is anything.
pub(crate) fn word(value: &HeaderValue) -> Option<&str> {
    let value = std::str::from_utf8(value.as_bytes()).unwrap_or("?");
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// How long the caller waits, in seconds; what is no number of them says nothing.
fn patience(value: &HeaderValue) -> Option<Duration> {
    let told = value.to_str().ok()?.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(told).ok().filter(|patience| !patience.is_zero())
}

/// What the caller sent.
struct Caller<'a> {
    dialect: &'static Dialect,
    operation: Operation,
    head: Head<'a>,
    peek: &'a Peek,
    body: &'a Bytes,
}

/// One exchange with one target, in the lane that its dialects allow.
async fn try_target(
    worker: &Worker,
    leg: &Leg,
    caller: &Caller<'_>,
    call: &mut OpenCall,
    facts: &mut Facts,
) -> std::result::Result<Ready, Failed> {
    let target = &leg.target;
    let Some(dialect) = target.service.choose(Some(caller.dialect), caller.operation, &target.model) else {
        return Ok(estimate(target, caller, facts)?);
    };
    call.speak(dialect.name);
    if dialect.name == caller.dialect.name && dialect.upstream.forwards(target.quirks()) {
        let ask = Ask::Forward { head: caller.head, peek: caller.peek, body: caller.body };
        let answer = leg.begin(pin!(exchange(&worker.client, target, dialect, ask))).await?;
        return finish(worker, (answer, leg.hold), caller, call, facts).await;
    }
    let request = read(caller, target)?;
    let ask = Ask::Write { request: &request, operation: caller.operation, headers: Some(caller.head.headers) };
    let mut answer = leg.begin(pin!(exchange(&worker.client, target, dialect, ask))).await?;
    facts.losses = std::mem::take(&mut answer.losses);
    finish(worker, (answer, leg.hold), caller, call, facts).await
}

fn read(caller: &Caller<'_>, target: &Target) -> Result<Request> {
    let mut request = caller.dialect.downstream().read_request(&caller.head, caller.body, caller.operation)?;
    target.model.as_ref().clone_into(&mut request.model);
    request.stream = caller.peek.stream;
    Ok(request)
}

/// Nobody can count these tokens: a guess that says so.
fn estimate(target: &Target, caller: &Caller<'_>, facts: &mut Facts) -> Result<Ready> {
    if caller.operation != Operation::CountTokens {
        let what = format!("{} speaks no dialect that can do this", target.service.provider.id);
        return Err(Error::new(Kind::Unsupported, Origin::Gateway, what));
    }
    let count = call::estimate(&read(caller, target)?);
    facts.estimated = true;
    Ok(Ready::Reply(reply::json(caller.dialect.downstream().write_count(count), facts)))
}

/// The head is good: whole answers are collected, streams are handed over.
async fn finish(
    worker: &Worker,
    (mut answer, hold): (Answer, Hold),
    caller: &Caller<'_>,
    call: &mut OpenCall,
    facts: &mut Facts,
) -> std::result::Result<Ready, Failed> {
    let limit = worker.client.config().network.reply_limit;
    note(call, facts);
    let framing = caller.peek.framing;
    let streamed = caller.peek.stream && caller.operation == Operation::Chat;
    if streamed && !relay::is_whole_instead(&answer, framing) {
        let cx = context(worker, caller, answer.lane, facts);
        let answer = relay::hold(answer, framing, hold).await?;
        return Ok(Ready::Stream { answer, cx, facts: facts.clone() });
    }
    let (lane, headers) = (answer.lane, std::mem::take(&mut answer.headers));
    let finished = if streamed {
        relay::read(answer, limit).await.map(|response| {
            facts.losses.extend(caller.dialect.lost_of(&response));
            let usage = response.usage;
            let cx = context(worker, caller, lane, facts);
            (relay::write_as_stream(response, caller.dialect, &cx), usage, framing.content_type())
        })
    } else if caller.operation == Operation::CountTokens {
        count(answer, caller.dialect, limit).await.map(|bytes| (bytes, None, "application/json"))
    } else {
        relay::whole(answer, limit).await.map(|whole| match whole {
            Whole::Same { body, usage } => (body, usage, "application/json"),
            Whole::Read(response) => {
                facts.losses.extend(caller.dialect.lost_of(&response));
                let cx = context(worker, caller, lane, facts);
                (caller.dialect.downstream().write_response(&response, &cx).into(), response.usage, "application/json")
            }
        })
    };
    let (bytes, usage, media) = finished?;
    note(call, facts);
    if let Some(outcome) = call.outcome() {
        outcome.usage = usage;
    }
    Ok(Ready::Reply(reply::whole(bytes, media, (lane, &headers), facts)))
}

async fn count(answer: Answer, inbound: &'static Dialect, limit: usize) -> Result<Bytes> {
    let dialect = answer.dialect;
    let body = relay::collect(answer, limit).await?;
    if dialect.name == inbound.name {
        return Ok(body);
    }
    Ok(inbound.downstream().write_count(dialect.upstream.read_count(&body)?).into())
}

fn context(worker: &Worker, caller: &Caller<'_>, lane: Lane, facts: &Facts) -> Cx {
    let asked = if lane == Lane::Translate { caller.dialect.downstream().recall(caller.body) } else { None };
    Cx {
        id: facts.id.clone(),
        request_id: facts.id.clone(),
        created: worker.now(),
        model: caller.peek.model.clone(),
        framing: caller.peek.framing,
        stream_usage: caller.peek.stream_usage,
        asked,
    }
}

fn note(call: &mut OpenCall, facts: &Facts) {
    if let Some(outcome) = call.outcome() {
        outcome.losses = Losses::clone(&facts.losses);
    }
}
