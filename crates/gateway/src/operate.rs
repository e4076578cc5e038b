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
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Mutex;
use trunkline::Target;
use trunkline::codec::catalog::Pieces;
use trunkline::codec::dialect::operation::{self, Told, Wanted};
use trunkline::codec::dialect::{Cx, Framing, Head, Operation, Peek};
use trunkline::codec::{Dialect, Error, Kind, Losses, Origin};
use trunkline::exchange::Failed;
use trunkline::ir::{Draw, Embed, Moderate, Rerank, Speak, Transcribe, Usage};
use trunkline::monitor::{OpenCall, guess_unread};
use trunkline::operate::{Done, Own, OwnBody, Passed, operate, pass};
use trunkline::relay::Flow;
use trunkline::route::{Leg, Need, Shadow};

use crate::edge::form::{self, Form, Limits};
use crate::edge::reply::{self, Facts, ReplyBody};
use crate::edge::{Wish, body};
use crate::header::{self, TASK, need, word};
use crate::identify::without_key;
use crate::mirror::{Kept, Room};
use crate::pipeline::{introduce, keep};
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
    introduce(worker, &mut call, head, errors, Some(wish.operation));
    let texts = match &received {
        Received::Json(body) => keep(worker, &mut call, id, body),
        Received::Form(_) => None,
    };
    let ran = worker.unless_cut(run(worker, head, received, wish, &mut call, id)).await;
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => Err((error.into(), Facts::new(id, errors))),
    };
    let reply = match ran {
        Ok(Ready::Reply(reply)) => {
            call.gives(reply::size(&reply));
            call.close(None);
            *reply
        }
        Ok(Ready::Passed { passed, cx, facts }) => flow(worker, *passed, cx, &facts, call, errors),
        Err((failed, facts)) => {
            let reply = reply::failure(errors, &failed, &facts);
            call.gives(reply::size(&reply));
            call.close(Some(failed.error));
            reply
        }
    };
    reply.map(|body| body.heard(texts))
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

#[expect(clippy::large_enum_variant, reason = "moved once a call; a box would be an allocation for each")]
enum Ready {
    Reply(Box<Response<ReplyBody>>),
    Passed { passed: Box<Passed>, cx: Cx, facts: Facts },
}

/// The body of the caller's request.
enum Given {
    Json(Bytes),
    /// Whoever is asked first has it, and it is never asked for by two at once.
    Form(Mutex<Box<Form>>),
}

/// What the caller sent.
struct Caller<'a> {
    wish: Wish,
    head: Head<'a>,
    peek: Peek,
    body: Given,
}

async fn run(
    worker: &Arc<Worker>,
    head: &Parts,
    received: Received,
    wish: Wish,
    call: &mut OpenCall,
    id: &str,
) -> Result<Ready, (Failed, Facts)> {
    let mut facts = Facts::new(id, wish.errors);
    let query = without_key(head.uri.query());
    let seen = Head { path: head.uri.path(), query: query.as_deref(), headers: &head.headers };
    let checked = header::check(&head.headers);
    let by_task = head.headers.get(TASK).and_then(word).is_some();
    let planned = checked.and_then(|()| peek(worker, &seen, &received, wish, by_task));
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
        outcome.user = header::user_of(outcome.user.take(), &peek);
        outcome.bytes_in = if let Received::Json(body) = &received { Some(body.len() as u64) } else { None };
    }
    // All others are paid by the piece as well.
    if let (Operation::Embed, Received::Json(body)) = (wish.operation, &received) {
        call.prompt(guess_unread(body));
    }
    let body = match received {
        Received::Json(body) => Given::Json(body),
        Received::Form(form) => Given::Form(Mutex::new(form)),
    };
    let caller = Caller { wish, head: seen, peek, body };
    if let Some(shadow) = worker.client.shadow(&mut tries, call, || worker.next_id()) {
        mirror(worker, shadow, &caller);
    }
    let caller = &caller;
    let answered = tries.answer(call, |leg| async move { try_target(worker, &leg, caller, id).await }).await;
    facts.tell(call);
    match answered {
        Ok(answered) => Ok(answered.ready(call, facts)),
        Err(failed) => Err((failed, facts)),
    }
}

/// Has a copy of the call answered to nobody.
fn mirror(worker: &Arc<Worker>, shadow: Shadow, caller: &Caller<'_>) {
    let Given::Json(body) = &caller.body else { return shadow.skip() };
    let Some(room) = Room::take(worker, body.len()) else { return shadow.skip() };
    let (worker, kept, body) = (Arc::clone(worker), Kept::of(&caller.head), body.clone());
    let (wish, peek) = (caller.wish, caller.peek.clone());
    room.spawn(async move {
        let caller = Caller { wish, head: kept.head(), peek, body: Given::Json(body) };
        let id = shadow.id().to_owned();
        let ask = async |leg| try_target(&worker, &leg, &caller, &id).await;
        let answered = worker.unless_cut(pin!(shadow.answer(ask))).await;
        let Ok(Some((answered, mut call, slot))) = answered else { return };
        match answered.ready(&mut call, Facts::new(&id, wish.errors)) {
            Ready::Reply(_) => call.close(None),
            Ready::Passed { passed, cx, .. } => {
                let limit = worker.client.config().network.reply_limit;
                slot.read_out(watch(&worker, *passed, cx, call, wish.errors).0, limit).await;
            }
        }
    });
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
            user: None,
        },
    };
    let key = wish.operation.key();
    let usual = || worker.client.config().tasks.contains_key(key).then(|| format!("task:{key}"));
    let model = Some(peek.model.clone()).filter(|model| by_task || !model.is_empty()).or_else(usual);
    let model = model.ok_or_else(|| {
        let what = format!("model is required, unless the gateway's configuration has a `{key}` among its [tasks]");
        Error::bad_request(what).at("model")
    })?;
    Ok((peek, model))
}

/// A good answer, before it is a reply.
enum Answered {
    Translated(Box<Translated>),
    Passed { passed: Box<Passed>, cx: Cx },
}

struct Translated {
    told: Told,
    headers: HeaderMap,
    usage: Option<Usage>,
    pieces: Pieces,
    losses: Losses,
}

impl Answered {
    /// As it goes to the caller, and into the outcome.
    fn ready(self, call: &mut OpenCall, mut facts: Facts) -> Ready {
        match self {
            Answered::Passed { passed, cx } => Ready::Passed { passed, cx, facts },
            Answered::Translated(translated) => {
                let Translated { told, headers, usage, pieces, losses } = *translated;
                facts.losses = losses;
                call.note(usage, &facts.losses);
                if let Some(outcome) = call.outcome() {
                    outcome.pieces = pieces;
                }
                Ready::Reply(Box::new(reply::told(told, &headers, &facts)))
            }
        }
    }
}

/// One exchange with one target, in the lane that its dialects allow.
async fn try_target(worker: &Worker, leg: &Leg, caller: &Caller<'_>, id: &str) -> Result<Answered, Failed> {
    match &caller.body {
        Given::Json(body) => try_json(worker, leg, caller, body, id).await,
        Given::Form(form) => {
            let mut form = form.lock().await;
            let tried = try_form(worker, leg, caller, &mut form, id).await;
            tried.map_err(|failed| if form.is_gone() { failed.last() } else { failed })
        }
    }
}

async fn try_json(worker: &Worker, leg: &Leg, caller: &Caller<'_>, body: &Bytes, id: &str) -> Result<Answered, Failed> {
    let target = &leg.target;
    let dialect = target.service.dialect_for(Some(caller.wish.dialect), caller.wish.operation)?;
    let cx = context(worker, caller, id);
    if dialect != caller.wish.dialect {
        return translate(worker, target, caller, body, &cx).await;
    }
    let own = Own { dialect, head: caller.head, peek: &caller.peek, body: OwnBody::Json(body) };
    let passed = leg.begin(pin!(pass(&worker.client, target, own))).await?;
    Ok(Answered::Passed { passed: Box::new(passed), cx })
}

async fn try_form(worker: &Worker, leg: &Leg, caller: &Caller<'_>, form: &mut Form, id: &str) -> Result<Answered, Failed> {
    let target = &leg.target;
    let dialect = target.service.dialect_for(Some(caller.wish.dialect), caller.wish.operation)?;
    let cx = context(worker, caller, id);
    if dialect != caller.wish.dialect {
        let body = form.collect(worker.client.config().server.body_limit).await?;
        return translate(worker, target, caller, &body, &cx).await;
    }
    let own = Own { dialect, head: caller.head, peek: &caller.peek, body: OwnBody::Form(form.payload(&target.model)) };
    let passed = leg.begin(pin!(pass(&worker.client, target, own))).await;
    // What broke on the caller's side explains more than the exchange that broke for it.
    let passed = passed.map_err(|failed| form.fault().map_or(failed, Failed::from))?;
    Ok(Answered::Passed { passed: Box::new(passed), cx })
}

async fn translate(worker: &Worker, target: &Target, caller: &Caller<'_>, body: &Bytes, cx: &Cx) -> Result<Answered, Failed> {
    let way = Way { worker, target, caller, body, cx };
    match caller.wish.operation {
        Operation::Embed => way.go::<Embed>().await,
        Operation::Rerank => way.go::<Rerank>().await,
        Operation::ImageGenerate | Operation::ImageEdit => way.go::<Draw>().await,
        Operation::Speak => way.go::<Speak>().await,
        Operation::Transcribe | Operation::TranslateAudio => way.go::<Transcribe>().await,
        Operation::Moderate => way.go::<Moderate>().await,
        Operation::Chat | Operation::CountTokens => {
            Err(Error::new(Kind::Internal, Origin::Gateway, "chat was taken for another operation").into())
        }
    }
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
    async fn go<W: Wanted>(&self) -> Result<Answered, Failed> {
        let Way { worker, target, caller, body, cx } = self;
        let lacks = || Error::new(Kind::Internal, Origin::Gateway, "a dialect lost an operation on the way");
        let wire = W::wire(caller.wish.dialect).ok_or_else(lacks)?;
        let wanted = wire.read_request(&caller.head, body)?;
        let Done { answer, pieces, losses, headers, .. } =
            operate(&worker.client, target, wanted.clone(), Some(caller.head.headers)).await?;
        let (told, usage) = (wire.write_answer(&wanted, &answer, cx), W::usage(&answer));
        Ok(Answered::Translated(Box::new(Translated { told, headers, usage, pieces, losses })))
    }
}

/// A forwarded answer as a reply.
fn flow(worker: &Worker, passed: Passed, cx: Cx, facts: &Facts, call: OpenCall, errors: &'static Dialect) -> Response<ReplyBody> {
    let (flow, status, headers) = watch(worker, passed, cx, call, errors);
    reply::flow(flow, status, &headers, facts)
}

/// The body of a forwarded answer, observed.
fn watch(worker: &Worker, passed: Passed, cx: Cx, call: OpenCall, errors: &'static Dialect) -> (Flow, StatusCode, HeaderMap) {
    let Passed { target, dialect, status, headers, body } = passed;
    let media = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (is_events, is_json) = (media.starts_with("text/event-stream"), media.starts_with("application/json"));
    let mut flow = Flow::new(body, target, call, worker.settings());
    if is_events || is_json {
        flow = flow.watch(&dialect);
    }
    if is_events {
        flow = flow.events(errors, cx);
    }
    (flow, status, headers)
}

fn context(worker: &Worker, caller: &Caller<'_>, id: &str) -> Cx {
    Cx {
        id: id.to_owned(),
        request_id: id.to_owned(),
        created: worker.now(),
        model: caller.peek.model.clone(),
        framing: Framing::Sse,
        stream_usage: true,
        asked: None,
    }
}
