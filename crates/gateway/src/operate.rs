//! The way of a call beyond chat: as [`pipeline`](crate::pipeline), but for what is peeked at and how answers pass.
//!
//! ```text
//! receive ─► JSON, up to the limit; or a form, up to its model's name         400, 413
//!         ─► plan
//!         ─► per target: same lane = the caller's body, the model's name spliced, the answer as it comes
//!                        translate = canonical request and answer
//! ```

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use trunkline::Target;
use trunkline::codec::dialect::operation::{self, Wanted};
use trunkline::codec::dialect::{Cx, Framing, Head, Operation, Peek};
use trunkline::codec::{Dialect, Error, Kind, Losses, Origin};
use trunkline::exchange::Failed;
use trunkline::ir::{Draw, Embed, Moderate, Rerank, Speak, Transcribe};
use trunkline::monitor::OpenCall;
use trunkline::operate::{Own, OwnBody, Passed, operate, pass};
use trunkline::relay::{Flow, Settings};
use trunkline::route::{Leg, Need};

use crate::edge::form::{self, Form, Limits};
use crate::edge::reply::{self, Facts, ReplyBody};
use crate::edge::{Wish, body};
use crate::identify::without_key;
use crate::pipeline::{TASK, introduce, need, word};
use crate::shed::Held;
use crate::worker::Worker;

enum Received {
    Json(Bytes),
    Form(Box<Form>),
}

/// Answers one call.
pub(crate) async fn answer(worker: &Arc<Worker>, head: &Parts, incoming: Incoming, wish: Wish, id: &str) -> Response<ReplyBody> {
    let errors = wish.errors;
    let mut held = Held::new(&worker.shed, &worker.client.config().server);
    let received = worker.unless_cut(receive(worker, head, incoming, wish.operation, &mut held)).await;
    let received = match received.unwrap_or_else(|error| Err((None, error))) {
        Ok(received) => received,
        Err((incoming, error)) => return body::refuse_some(incoming, reply::error(errors, &error, id)),
    };
    let mut call = OpenCall::new(id.to_owned(), Arc::clone(&worker.record) as _, worker.client.model_data());
    introduce(&mut call, head, errors, Some(wish.operation));
    let ran = worker.unless_cut(run(worker, head, received, wish, &mut call, id)).await;
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => Err((error.into(), Facts::new(id, errors))),
    };
    match ran {
        Ok(Ready::Reply(reply)) => {
            call.close(None);
            *reply
        }
        Ok(Ready::Passed { passed, cx, facts }) => flow(worker, *passed, cx, &facts, call, errors),
        Err((failed, facts)) => {
            let reply = reply::failure(errors, &failed, &facts);
            call.close(Some(failed.error));
            reply
        }
    }
}

/// What a reply's body is watched with.
pub(crate) fn settings(worker: &Worker) -> Settings {
    let network = &worker.client.config().network;
    Settings { idle_seconds: network.idle_seconds, frame_limit: network.frame_limit, cut: worker.cut.clone() }
}

async fn receive(
    worker: &Worker,
    head: &Parts,
    incoming: Incoming,
    operation: Operation,
    held: &mut Held,
) -> Result<Received, (Option<Incoming>, Error)> {
    let server = &worker.client.config().server;
    if !operation::is_form(operation) {
        return body::receive(head, incoming, server.body_limit, held).await.map(Received::Json);
    }
    let limits = Limits { held: server.body_limit, whole: server.upload_limit };
    form::receive(head, incoming, limits, Held::new(&worker.shed, server)).await.map(|form| Received::Form(Box::new(form)))
}

enum Ready {
    Reply(Box<Response<ReplyBody>>),
    Passed { passed: Box<Passed>, cx: Cx, facts: Facts },
}

/// What the caller sent.
struct Caller<'a> {
    wish: Wish,
    head: Head<'a>,
    peek: Peek,
}

async fn run(
    worker: &Worker,
    head: &Parts,
    mut received: Received,
    wish: Wish,
    call: &mut OpenCall,
    id: &str,
) -> Result<Ready, (Failed, Facts)> {
    let mut facts = Facts::new(id, wish.errors);
    let query = without_key(head.uri.query());
    let seen = Head { path: head.uri.path(), query: query.as_deref(), headers: &head.headers };
    let planned = peek(worker, &seen, &received, wish, head.headers.get(TASK).and_then(word).is_some());
    let planned = planned.and_then(|(peek, model)| {
        let length = if let Received::Json(body) = &received { body.len() } else { 0 };
        let need = Need { model: &model, uploads: matches!(received, Received::Form(_)), ..need(head, &peek) };
        let tries = worker.client.tries(&need.taking(length, Some(0)))?;
        Ok((peek, model, tries))
    });
    let (peek, model, mut tries) = planned.map_err(|error| (error.into(), facts.clone()))?;
    facts.task = tries.task().map(str::to_owned);
    if let Some(outcome) = call.outcome() {
        outcome.model = model;
    }
    let caller = Caller { wish, head: seen, peek };
    loop {
        let leg = tries.next(call).await.map_err(|failed| (failed, facts.clone()))?;
        facts.begin(&leg.target);
        let tried = leg.within(pin!(try_target(worker, &leg, &caller, &mut received, &mut facts, call))).await;
        let tried = tried.map_err(|failed| match &received {
            Received::Form(form) if form.is_gone() => failed.last(),
            _ => failed,
        });
        if let Some(ready) = tries.hear(leg, tried, call) {
            return Ok(ready);
        }
    }
}

/// What is to be seen of the request, and the model's name: the caller's, or the task's where the caller names none. A
/// call that asks for a task by its header (`by_task`) needs no name.
fn peek(worker: &Worker, head: &Head<'_>, received: &Received, wish: Wish, by_task: bool) -> Result<(Peek, String), Error> {
    let peek = match received {
        Received::Json(body) => operation::peek(wish.dialect, wish.operation, head, body)?,
        Received::Form(form) => Peek {
            operation: wish.operation,
            model: form.model.clone(),
            model_span: None,
            stream: false,
            max_tokens: None,
            framing: Framing::Sse,
            stream_usage: true,
        },
    };
    let key = wish.operation.key();
    let usual = || worker.client.config().tasks.get(key).cloned();
    let model = Some(peek.model.clone()).filter(|model| by_task || !model.is_empty()).or_else(usual);
    let model = model.ok_or_else(|| {
        let what = format!("model is required, unless the gateway's configuration has a `{key}` among its [tasks]");
        Error::bad_request(what).at("model")
    })?;
    Ok((peek, model))
}

/// One exchange with one target, in the lane that its dialects allow.
async fn try_target(
    worker: &Worker,
    leg: &Leg,
    caller: &Caller<'_>,
    received: &mut Received,
    facts: &mut Facts,
    call: &mut OpenCall,
) -> Result<Ready, Failed> {
    let Caller { wish, head, peek } = caller;
    let target = &leg.target;
    let dialect = target.service.dialect_for(Some(wish.dialect), wish.operation)?;
    let cx = context(worker, caller, facts);
    if dialect != wish.dialect {
        let body = match received {
            Received::Json(body) => body.clone(),
            Received::Form(form) => form.collect(worker.client.config().server.body_limit).await?,
        };
        return translate(worker, target, caller, &body, &cx, facts, call).await;
    }
    let body = match received {
        Received::Json(body) => OwnBody::Json(body),
        Received::Form(form) => OwnBody::Form(form.payload(&target.model)),
    };
    let passed = leg.begin(pin!(pass(&worker.client, target, Own { dialect, head: *head, peek, body }))).await;
    let passed = passed.map_err(|failed| match received {
        // What broke on the caller's side explains more than the exchange that broke for it.
        Received::Form(form) => form.fault().map_or(failed, Failed::from),
        Received::Json(_) => failed,
    })?;
    Ok(Ready::Passed { passed: Box::new(passed), cx, facts: facts.clone() })
}

async fn translate(
    worker: &Worker,
    target: &Target,
    caller: &Caller<'_>,
    body: &Bytes,
    cx: &Cx,
    facts: &mut Facts,
    call: &mut OpenCall,
) -> Result<Ready, Failed> {
    let way = Way { worker, target, caller, body, cx };
    let reply = match caller.wish.operation {
        Operation::Embed => way.go::<Embed>(facts, call).await,
        Operation::Rerank => way.go::<Rerank>(facts, call).await,
        Operation::ImageGenerate | Operation::ImageEdit => way.go::<Draw>(facts, call).await,
        Operation::Speak => way.go::<Speak>(facts, call).await,
        Operation::Transcribe | Operation::TranslateAudio => way.go::<Transcribe>(facts, call).await,
        Operation::Moderate => way.go::<Moderate>(facts, call).await,
        Operation::Chat | Operation::CountTokens => {
            Err(Error::new(Kind::Internal, Origin::Gateway, "chat was taken for another operation").into())
        }
    };
    reply.map(|reply| Ready::Reply(Box::new(reply)))
}

/// The translate lane of one target.
struct Way<'a> {
    worker: &'a Worker,
    target: &'a Target,
    caller: &'a Caller<'a>,
    body: &'a Bytes,
    cx: &'a Cx,
}

impl Way<'_> {
    async fn go<W: Wanted>(&self, facts: &mut Facts, call: &mut OpenCall) -> Result<Response<ReplyBody>, Failed> {
        let Way { worker, target, caller, body, cx } = self;
        let lacks = || Error::new(Kind::Internal, Origin::Gateway, "a dialect lost an operation on the way");
        let wire = W::wire(caller.wish.dialect).ok_or_else(lacks)?;
        let wanted = wire.read_request(&caller.head, body)?;
        let done = operate(&worker.client, target, wanted.clone(), Some(caller.head.headers)).await?;
        facts.losses = done.losses;
        note(call, facts);
        if let Some(outcome) = call.outcome() {
            outcome.usage = W::usage(&done.answer);
            outcome.pieces = done.pieces;
        }
        let told = wire.write_answer(&wanted, &done.answer, cx);
        Ok(reply::told(told, &done.headers, facts))
    }
}

/// A forwarded answer as a reply.
fn flow(worker: &Worker, passed: Passed, cx: Cx, facts: &Facts, call: OpenCall, errors: &'static Dialect) -> Response<ReplyBody> {
    let Passed { target, dialect, status, headers, body } = passed;
    let media = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (is_events, is_json) = (media.starts_with("text/event-stream"), media.starts_with("application/json"));
    let mut flow = Flow::new(body, target, call, settings(worker));
    if is_events || is_json {
        flow = flow.watch(&dialect);
    }
    if is_events {
        flow = flow.events(errors, cx);
    }
    reply::flow(flow, status, &headers, facts)
}

fn context(worker: &Worker, caller: &Caller<'_>, facts: &Facts) -> Cx {
    Cx {
        id: facts.id.clone(),
        request_id: facts.id.clone(),
        created: worker.now(),
        model: caller.peek.model.clone(),
        framing: Framing::Sse,
        stream_usage: true,
        asked: None,
    }
}

fn note(call: &mut OpenCall, facts: &Facts) {
    if let Some(outcome) = call.outcome() {
        outcome.losses = Losses::clone(&facts.losses);
    }
}
