//! The way of a call, on one page. Each step takes what the one before it gives.
//!
//! ```text
//! bytes ─► route       path -> (dialect, operation)                      404, 405
//!       ─► identify    headers -> caller                                 401
//!       ─► receive     body, up to the limit                             413
//!       ─► peek        body -> model, stream, spans                      400
//!       ─► session     what it goes on from, if it names that            404
//!       ─► plan        model -> targets in order                         404
//!       ─► exchange    lane -> codec -> sign -> send -> head             the next target, or the same again, until here
//!       ─► relay       same: bytes as they come; translate: frame -> event -> bytes
//!       ─► reply       status, headers; the outcome is recorded when the body is over
//! ```

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use trunkline::codec::dialect::{Cx, Head, Operation, Peek};
use trunkline::codec::{Dialect, Error, Kind, Losses, Origin, Result};
use trunkline::config::Metrics;
use trunkline::exchange::{Answer, Ask, Failed, Lane, exchange};
use trunkline::ir::{Request, Usage};
use trunkline::monitor::{OpenCall, Texts, guess_unread, read_tags, reckon_whole};
use trunkline::relay::{self, Events, GoOn, Hold, Pipe, Seam, Stitched, Whole};
use trunkline::route::{Leg, Need, Said, Shadow, Tries};
use trunkline::{Target, call};

use crate::edge::reply::{self, Facts, ReplyBody};
use crate::edge::{Route, body, route};
use crate::header::{self, TAGS, need};
use crate::identify::{identify, without_key};
use crate::mirror::{Kept, Room};
use crate::session::{self, Came, Keeping, Talk, Tap};
use crate::shed::Held;
use crate::worker::Worker;
use crate::{operate, passthrough, prompt, show};

/// Answers one request, whatever it is.
pub async fn answer(worker: Arc<Worker>, request: http::Request<hyper::body::Incoming>) -> Response<ReplyBody> {
    let id = worker.next_id();
    let (head, incoming) = request.into_parts();
    let route = match route(&head) {
        Ok(route) => route,
        Err((dialect, error)) => return body::refuse(incoming, reply::error(dialect, &error, &id)),
    };
    match route {
        Route::Health(kind) => return reply::health(&worker, kind),
        Route::Fixed(media, body) => return reply::fixed(media, body),
        Route::Metrics(_) if worker.client.config().server.metrics == Metrics::Open => return reply::metrics(&worker),
        _ => {}
    }
    if let Err(error) = identify(worker.door.key().as_ref().map(|key| &key.secret), &head.headers, head.uri.query()) {
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
        Route::Kept(dialect, kept) => {
            return match session::tell(worker, head, (dialect, &kept)).await {
                Ok(body) => reply::json(body, &Facts::new(id, dialect)),
                Err(error) => reply::error(dialect, &error, id),
            };
        }
        Route::Pass(dialect, rest) => return passthrough::answer(worker, head, incoming, (dialect, &rest), id).await,
        other => return reply::list(worker, &other, id),
    };
    let limit = worker.client.config().server.body_limit;
    // Until the answer begins: then the request is not sent again, unless the answer is to be gone on with.
    let mut held = Held::new(&worker.shed, &worker.client.config().server);
    let receive = body::receive(head, incoming, limit, &mut held);
    let received = match worker.unless_cut(pin!(receive)).await.unwrap_or_else(|error| Err((None, error))) {
        Ok(received) => received,
        Err((incoming, error)) => return body::refuse_some(incoming, reply::error(dialect, &error, id)),
    };
    let mut call = OpenCall::new(id.to_owned(), Arc::clone(&worker.record) as _, worker.client.model_data());
    introduce(worker, &mut call, head, dialect, Some(operation));
    let texts = keep(worker, &mut call, id, &received);
    let ran = worker.unless_cut(pin!(run(worker, head, received, (dialect, operation), &mut call, id))).await;
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => Err((error.into(), Facts::new(id, dialect))),
    };
    let reply = match ran {
        Ok(Ready::Reply(reply)) => {
            call.gives(reply::size(&reply));
            call.close(None);
            reply
        }
        Ok(Ready::Stream { answer, cx, facts, go_on, keeping }) => reply::stream(answer, cx.framing, &facts, |answer| {
            if go_on.is_none() && keeping.is_none() {
                return ReplyBody::Stream(Box::new(Pipe::new(answer, dialect, cx, call, worker.settings())));
            }
            let listener = keeping.map(|keeping| Box::new(Tap::new(keeping, answer.target.name())) as _);
            let events = Events::streamed(answer, &worker.client.config().network);
            let may_send_again = go_on.is_some();
            let stitched = Stitched::new(events, call, go_on);
            let body = ReplyBody::Seam(Box::new(Seam::new(stitched, dialect, &cx, worker.settings(), listener)));
            if may_send_again { ReplyBody::Kept(Box::new(body), held) } else { body }
        }),
        Err((failed, facts)) => {
            let reply = reply::failure(dialect, &failed, &facts);
            call.gives(reply::size(&reply));
            call.close(Some(failed.error));
            reply
        }
    };
    reply.map(|body| body.heard(texts))
}

/// Begins to keep what is said, if that is wanted.
pub(crate) fn keep(worker: &Worker, call: &mut OpenCall, id: &str, request: &[u8]) -> Option<Arc<Texts>> {
    let texts = worker.record.begin_texts(id, request)?;
    if let Some(outcome) = call.outcome() {
        outcome.texts = Some(Arc::clone(&texts));
    }
    Some(texts)
}

#[expect(clippy::large_enum_variant, reason = "moved once a call; a box would be an allocation for each")]
enum Ready {
    Reply(Response<ReplyBody>),
    Stream { answer: Answer, cx: Cx, facts: Facts, go_on: Option<Box<GoOn>>, keeping: Option<Box<Keeping>> },
}

impl Ready {
    /// The same; a stream that breaks off is gone on with by whoever may still be asked.
    fn going_on(self, worker: &Worker, caller: &Caller<'_>, tries: Tries) -> Result<Self> {
        let Ready::Stream { answer, cx, facts, keeping, .. } = self else { return Ok(self) };
        // Whoever goes on may be anybody.
        let request = match &caller.talk {
            Some(talk) => talk.whole(),
            None => read(caller, &answer.target)?.0,
        };
        let caller = Some((caller.dialect, caller.head.headers.clone()));
        let go_on = Some(Box::new(GoOn { client: worker.client.clone(), tries, request, caller }));
        Ok(Ready::Stream { answer, cx, facts, go_on, keeping })
    }
}

/// Peek → plan → exchange → relay.
async fn run(
    worker: &Arc<Worker>,
    head: &Parts,
    body: Bytes,
    (dialect, operation): (&'static Dialect, Operation),
    call: &mut OpenCall,
    id: &str,
) -> std::result::Result<Ready, (Failed, Facts)> {
    let mut facts = Facts::new(id, dialect);
    let query = without_key(head.uri.query());
    let seen = Head { path: head.uri.path(), query: query.as_deref(), headers: &head.headers };
    let taken = header::check(&head.headers).and_then(|()| take(worker, &seen, body, (dialect, operation), call, &mut facts));
    let refuse = |error: Error| (error.into(), facts.clone());
    let (peek, body) = taken.map_err(refuse)?;
    let need = need(head, &peek);
    let user = call.outcome().and_then(|outcome| outcome.user.clone());
    let user = user.as_deref();
    let came = Came { dialect, operation, head: seen, body: &body, user, model: &peek.model };
    let talk = if need.session.is_some() || dialect.downstream().may_go_on(&body) {
        session::find(worker, came, need.session).await.map_err(refuse)?.map(Arc::new)
    } else {
        None
    };
    let Peek { max_tokens, .. } = peek;
    let planned = {
        // No longer than it is looked at: it may be long.
        let whole = talk.as_deref().map(Talk::whole);
        let said = match &whole {
            Some(request) => Said::Request(request, operation),
            None => Said::Raw { dialect, head: seen, body: &body, operation, max_tokens },
        };
        worker.client.tries(&Need { said, ..need }.taking(body.len(), max_tokens))
    };
    let mut tries = planned.map_err(refuse)?;
    facts.task = tries.task().map(str::to_owned);
    if operation == Operation::Chat {
        call.prompt(guess_unread(&body));
    }
    let caller = Caller { dialect, operation, head: seen, peek: &peek, body: &body, user, talk, copy: false };
    if let Some(shadow) = worker.client.shadow(&mut tries, call, || worker.next_id()) {
        mirror(worker, shadow, &caller);
    }
    let caller = &caller;
    let answered = tries.answer(call, |leg| async move { try_target(worker, &leg, caller, id).await }).await;
    facts.tell(call);
    match answered {
        Ok(answered) if tries.continues() => {
            let ready = answered.ready(call, facts.clone());
            ready.going_on(worker, caller, tries).map_err(|error| (error.into(), facts))
        }
        Ok(answered) => Ok(answered.ready(call, facts)),
        Err(failed) => Err((failed, facts)),
    }
}

/// What is to be seen of a request, and its body: with the prompt in it, where a prompt is what it asks for.
fn take(
    worker: &Worker,
    head: &Head<'_>,
    body: Bytes,
    (dialect, operation): (&'static Dialect, Operation),
    call: &mut OpenCall,
    facts: &mut Facts,
) -> Result<(Peek, Bytes)> {
    let peek = dialect.downstream().peek(head, &body, operation)?;
    if let Some(outcome) = call.outcome() {
        outcome.model.clone_from(&peek.model);
        outcome.user = header::user_of(outcome.user.take(), &peek);
        outcome.streamed = peek.stream && operation == Operation::Chat;
        outcome.bytes_in = Some(body.len() as u64);
    }
    let Some(filled) = prompt::fill(worker, (dialect, operation), head, &peek, &body)? else { return Ok((peek, body)) };
    if let Some(outcome) = call.outcome() {
        outcome.model = format!("{}{}", trunkline_work::prompt::PREFIX, filled.name);
    }
    (facts.prompt, facts.losses) = (Some(filled.name), filled.losses);
    Ok((filled.peek, filled.body))
}

/// Tells the outcome who asks for what.
pub(crate) fn introduce(
    worker: &Worker,
    call: &mut OpenCall,
    head: &Parts,
    dialect: &'static Dialect,
    operation: Option<Operation>,
) {
    let Some(outcome) = call.outcome() else { return };
    outcome.operation = operation;
    outcome.dialect = Some(dialect.name);
    outcome.key = worker.door.key().as_ref().map(|key| Arc::clone(&key.id));
    outcome.user = header::user(&head.headers);
    outcome.tags = head.headers.get(TAGS).and_then(header::text).as_deref().and_then(read_tags);
}

/// Has a copy of the call answered to nobody.
fn mirror(worker: &Arc<Worker>, shadow: Shadow, caller: &Caller<'_>) {
    let Some(room) = Room::take(worker, caller.body.len()) else { return shadow.skip() };
    let (worker, kept, body) = (Arc::clone(worker), Kept::of(&caller.head), caller.body.clone());
    let (dialect, operation, peek, talk) = (caller.dialect, caller.operation, caller.peek.clone(), caller.talk.clone());
    room.spawn(async move {
        let caller = Caller { dialect, operation, head: kept.head(), peek: &peek, body: &body, user: None, talk, copy: true };
        let id = shadow.id().to_owned();
        let ask = async |leg| try_target(&worker, &leg, &caller, &id).await;
        let answered = worker.unless_cut(pin!(shadow.answer(ask))).await;
        let Ok(Some((answered, mut call, slot))) = answered else { return };
        match answered.ready(&mut call, Facts::new(&id, dialect)) {
            Ready::Reply(_) => call.close(None),
            Ready::Stream { answer, cx, .. } => {
                let limit = worker.client.config().network.reply_limit;
                slot.read_out(Pipe::new(answer, dialect, cx, call, worker.settings()), limit).await;
            }
        }
    });
}

/// What the caller sent.
struct Caller<'a> {
    dialect: &'static Dialect,
    operation: Operation,
    head: Head<'a>,
    peek: &'a Peek,
    body: &'a Bytes,
    /// For whom the call is made.
    user: Option<&'a str>,
    /// What it goes on from.
    talk: Option<Arc<Talk>>,
    /// Whether it is a copy of a call, which nobody goes on from.
    copy: bool,
}

/// A good answer, before it is a reply.
struct Answered {
    what: What,
    usage: Option<Usage>,
    /// What the prompt is estimated at, if it was read.
    prompt: Option<u64>,
    losses: Losses,
    /// What it will be a turn of.
    keeping: Option<Box<Keeping>>,
}

#[expect(clippy::large_enum_variant, reason = "moved once a call; a box would be an allocation for each")]
enum What {
    /// The gateway's own guess.
    Estimate(Vec<u8>),
    Whole {
        bytes: Bytes,
        media: &'static str,
        lane: Lane,
        headers: HeaderMap,
    },
    Stream {
        answer: Answer,
        cx: Cx,
    },
}

impl Answered {
    /// As it goes to the caller, and into the outcome.
    fn ready(self, call: &mut OpenCall, mut facts: Facts) -> Ready {
        let Answered { what, usage, prompt, losses, keeping } = self;
        facts.losses.extend(losses);
        if let Some(prompt) = prompt {
            call.prompt(prompt);
        }
        call.note(usage, &facts.losses);
        match what {
            What::Estimate(bytes) => {
                facts.estimated = true;
                Ready::Reply(reply::json(bytes, &facts))
            }
            What::Whole { bytes, media, lane, headers } => {
                keeping.into_iter().for_each(Keeping::finish);
                Ready::Reply(reply::whole(bytes, media, (lane, &headers), &facts))
            }
            What::Stream { answer, cx } => Ready::Stream { answer, cx, facts, go_on: None, keeping },
        }
    }
}

/// One exchange with one target, in the lane that its dialects allow.
async fn try_target(worker: &Arc<Worker>, leg: &Leg, caller: &Caller<'_>, id: &str) -> std::result::Result<Answered, Failed> {
    let target = &leg.target;
    let Some(dialect) = target.service.choose(Some(caller.dialect), caller.operation, &target.model) else {
        return Ok(estimate(target, caller)?);
    };
    let is_same = dialect.name == caller.dialect.name && dialect.upstream.forwards(target.quirks());
    if is_same && !leg.continues && caller.talk.is_none() {
        let ask = Ask::Forward { head: caller.head, peek: caller.peek, body: caller.body };
        let answer = leg.begin(pin!(exchange(&worker.client, target, dialect, ask))).await?;
        return finish(worker, (answer, leg.hold), caller, None, id).await;
    }
    let (mut request, lost) = read(caller, target).map_err(|error| session::explain(worker, error))?;
    let keeping = caller.keeping(worker, &mut request, id);
    let ask = Ask::Write { request: &request, operation: caller.operation, headers: Some(caller.head.headers) };
    let mut answer = leg.begin(pin!(exchange(&worker.client, target, dialect, ask))).await?;
    let told = std::mem::replace(&mut answer.losses, lost);
    answer.losses.extend(told);
    let prompt = (caller.operation == Operation::Chat).then(|| call::estimate(&request).input);
    drop(request);
    Ok(Answered { prompt, ..finish(worker, (answer, leg.hold), caller, keeping, id).await? })
}

impl Caller<'_> {
    /// What the answer will be a turn of, if it will be one.
    fn keeping(&self, worker: &Arc<Worker>, request: &mut Request, id: &str) -> Option<Box<Keeping>> {
        let Caller { dialect, operation, head, body, user, .. } = *self;
        let came = Came { dialect, operation, head, body, user, model: &self.peek.model };
        if self.copy { None } else { session::keeping(worker, &came, self.talk.as_deref(), request, id) }
    }
}

/// The request for this target, and what of an earlier conversation it cannot be told.
fn read(caller: &Caller<'_>, target: &Target) -> Result<(Request, Losses)> {
    let (mut request, lost) = match &caller.talk {
        Some(talk) => talk.request(&target.service.provider.id),
        None => {
            let request = caller.dialect.downstream().read_request(&caller.head, caller.body, caller.operation)?;
            (request, Losses::default())
        }
    };
    target.model.as_ref().clone_into(&mut request.model);
    request.stream = caller.peek.stream;
    Ok((request, lost))
}

/// Nobody can count these tokens: a guess that says so.
fn estimate(target: &Target, caller: &Caller<'_>) -> Result<Answered> {
    if caller.operation != Operation::CountTokens {
        let what = format!("{} speaks no dialect that can do this", target.service.provider.id);
        return Err(Error::new(Kind::Unsupported, Origin::Gateway, what));
    }
    let count = call::estimate(&read(caller, target)?.0);
    let what = What::Estimate(caller.dialect.downstream().write_count(count));
    Ok(Answered { what, usage: None, prompt: None, losses: Losses::default(), keeping: None })
}

/// The head is good: whole answers are collected, streams are handed over.
async fn finish(
    worker: &Worker,
    (mut answer, hold): (Answer, Hold),
    caller: &Caller<'_>,
    mut keeping: Option<Box<Keeping>>,
    id: &str,
) -> std::result::Result<Answered, Failed> {
    let limit = worker.client.config().network.reply_limit;
    let mut losses = std::mem::take(&mut answer.losses);
    let framing = caller.peek.framing;
    let streamed = caller.peek.stream && caller.operation == Operation::Chat;
    if streamed && !relay::is_whole_instead(&answer, framing) {
        let cx = context(worker, caller, (answer.lane, keeping.as_deref()), id);
        let answer = relay::hold(answer, framing, hold).await?;
        return Ok(Answered { what: What::Stream { answer, cx }, usage: None, prompt: None, losses, keeping });
    }
    let (lane, headers, target) = (answer.lane, std::mem::take(&mut answer.headers), answer.target.shared_name());
    let (bytes, usage, media) = if streamed {
        let mut response = relay::read(answer, limit).await?;
        losses.extend(caller.dialect.lost_of(&response));
        let usage = Some(reckon_whole(&response));
        keeping.iter_mut().for_each(|keeping| keeping.take(&target, &mut response));
        let cx = context(worker, caller, (lane, keeping.as_deref()), id);
        (relay::write_as_stream(response, caller.dialect, &cx), usage, framing.content_type())
    } else if caller.operation == Operation::CountTokens {
        (count(answer, caller.dialect, limit).await?, None, "application/json")
    } else {
        match relay::whole(answer, limit).await? {
            Whole::Same { body, usage } => (body, usage, "application/json"),
            Whole::Read(mut response) => {
                losses.extend(caller.dialect.lost_of(&response));
                let used = Some(reckon_whole(&response));
                keeping.iter_mut().for_each(|keeping| keeping.take(&target, &mut response));
                let cx = context(worker, caller, (lane, keeping.as_deref()), id);
                (caller.dialect.downstream().write_response(&response, &cx).into(), used, "application/json")
            }
        }
    };
    Ok(Answered { what: What::Whole { bytes, media, lane, headers }, usage, prompt: None, losses, keeping })
}

async fn count(answer: Answer, inbound: &'static Dialect, limit: usize) -> Result<Bytes> {
    let dialect = answer.dialect;
    let body = relay::collect(answer, limit).await?;
    if dialect.name == inbound.name {
        return Ok(body);
    }
    Ok(inbound.downstream().write_count(dialect.upstream.read_count(&body)?).into())
}

fn context(worker: &Worker, caller: &Caller<'_>, (lane, keeping): (Lane, Option<&Keeping>), id: &str) -> Cx {
    let asked = if lane == Lane::Translate { caller.dialect.downstream().recall(caller.body) } else { None };
    let mut cx = Cx {
        id: id.to_owned(),
        request_id: id.to_owned(),
        created: worker.now(),
        model: caller.peek.model.clone(),
        framing: caller.peek.framing,
        stream_usage: caller.peek.stream_usage,
        asked,
    };
    if let Some(keeping) = keeping {
        session::tell_kept(&mut cx, keeping);
    }
    cx
}
