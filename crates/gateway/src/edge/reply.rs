//! Replies: status, headers, body.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use serde::Serialize;
use trunkline::codec::dialect::operation::Told;
use trunkline::codec::dialect::{self, Framing, headers as wire_headers};
use trunkline::codec::{Dialect, Error, Kind, Losses, Origin, Retry};
use trunkline::config::Metrics;
use trunkline::exchange::{Answer, Failed, Lane};
use trunkline::ir;
use trunkline::monitor::{Exchange, OpenCall, Outcome, Snapshot, Texts};
use trunkline::relay::{Flow, Pipe, Seam};
use trunkline_store::Status;

use super::{Health, Route};
use crate::header::TASK;
use crate::meter::{self, Latency};
use crate::prompt::PROMPT;
use crate::record::Condition;
use crate::shed::{Held, Open};
use crate::worker::Worker;

const TARGET: HeaderName = HeaderName::from_static("x-trunkline-target");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-trunkline-attempts");
const LOST: HeaderName = HeaderName::from_static("x-trunkline-lost");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-trunkline-request-id");
const ESTIMATED: HeaderName = HeaderName::from_static("x-trunkline-estimated");
/// Some clients refuse headers that are longer.
const LOST_LIMIT: usize = 2048;

/// The body of a reply.
pub enum ReplyBody {
    /// One whose request is kept, for it may be sent to somebody else yet.
    Kept(Box<ReplyBody>, Held),
    /// All there is.
    Whole(Bytes),
    /// As it comes.
    Stream(Box<Pipe>),
    /// As it comes, of one target after the other.
    Seam(Box<Seam>),
    /// As it comes, and no stream of a chat.
    Flow(Box<Flow>),
    /// One that is listened to until its end.
    Heard(Box<ReplyBody>, Arc<Texts>),
    /// One that is counted among the open ones until its end, with the memory of a request that may be sent on yet.
    Counted(Box<ReplyBody>, Open, Option<Held>),
}

impl ReplyBody {
    /// What it says is kept.
    pub(crate) fn heard(self, texts: Option<Arc<Texts>>) -> Self {
        match (self, texts) {
            (body, None) => body,
            (ReplyBody::Whole(bytes), Some(texts)) => {
                texts.hear(&bytes);
                ReplyBody::Whole(bytes)
            }
            (body, Some(texts)) => ReplyBody::Heard(Box::new(body), texts),
        }
    }

    /// As long as it is on its way, the call is open. What is all there costs nothing more.
    pub(crate) fn keeping(self, open: Open) -> Self {
        match self {
            ReplyBody::Whole(_) => self,
            ReplyBody::Kept(body, held) => ReplyBody::Counted(body, open, Some(held)),
            body => ReplyBody::Counted(Box::new(body), open, None),
        }
    }
}

/// What is told about a call in its headers.
#[derive(Clone)]
pub struct Facts {
    /// The gateway's id of the call.
    pub id: String,
    /// Who answered or was asked last.
    pub target: Option<Arc<str>>,
    /// How many requests have gone to providers.
    pub attempts: u32,
    /// The task that the call is, if it asked for one.
    pub task: Option<String>,
    /// Which version of which prompt it was, `NAME@VERSION`.
    pub prompt: Option<String>,
    /// What the provider could not be told.
    pub losses: Losses,
    /// The answer is the gateway's own guess.
    pub estimated: bool,
    dialect: &'static Dialect,
}

impl Facts {
    /// Nothing is known yet but the id.
    pub fn new(id: &str, dialect: &'static Dialect) -> Self {
        Facts {
            id: id.to_owned(),
            target: None,
            attempts: 0,
            task: None,
            prompt: None,
            losses: Losses::default(),
            estimated: false,
            dialect,
        }
    }

    /// Who was asked so far, and how often.
    pub fn tell(&mut self, call: &mut OpenCall) {
        if let Some(outcome) = call.outcome() {
            self.target.clone_from(&outcome.target);
            self.attempts = requests(outcome);
        }
    }

    fn write(&self, headers: &mut HeaderMap) {
        let value = |text: &str| HeaderValue::from_str(text).ok();
        if let Some(id) = value(&self.id) {
            headers.entry(wire_headers::request_id(self.dialect.name)).or_insert_with(|| id.clone());
            headers.insert(REQUEST_ID, id);
        }
        if let Some(target) = self.target.as_deref().and_then(value) {
            headers.insert(TARGET, target);
            headers.insert(ATTEMPTS, HeaderValue::from(self.attempts));
        }
        if let Some(task) = self.task.as_deref().and_then(|task| HeaderValue::from_bytes(task.as_bytes()).ok()) {
            headers.insert(TASK, task);
        }
        if let Some(prompt) = self.prompt.as_deref().and_then(|prompt| HeaderValue::from_bytes(prompt.as_bytes()).ok()) {
            headers.insert(PROMPT, prompt);
        }
        if let Some(lost) = lost(&self.losses).as_deref().and_then(value) {
            headers.insert(LOST, lost);
        }
        if self.estimated {
            headers.insert(ESTIMATED, HeaderValue::from_static("true"));
        }
    }
}

/// How many requests a call has made so far.
pub(crate) fn requests(outcome: &Outcome) -> u32 {
    let requests = outcome.exchanges.iter().map(Exchange::requests).sum::<usize>();
    u32::try_from(requests).unwrap_or(u32::MAX)
}

/// The names of the lost fields, comma-separated; what no header can carry is written as `?`.
fn lost(losses: &Losses) -> Option<String> {
    let mut text = String::new();
    for loss in losses.iter() {
        if text.len() + loss.field.len() > LOST_LIMIT {
            text.push_str(", …");
            break;
        }
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{}", loss.field);
    }
    let ascii = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' });
    (!text.is_empty()).then(|| ascii.collect())
}

/// Bytes of a body that is whole.
pub(crate) fn size(reply: &Response<ReplyBody>) -> usize {
    let exact = http_body::Body::size_hint(reply.body()).exact();
    exact.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0)
}

/// A JSON reply of the gateway's own.
pub fn json(bytes: Vec<u8>, facts: &Facts) -> Response<ReplyBody> {
    whole(bytes.into(), "application/json", (Lane::Translate, &HeaderMap::new()), facts)
}

/// A whole answer; `from` are the provider's headers and the lane by which they came.
pub fn whole(bytes: Bytes, media: &'static str, (lane, from): (Lane, &HeaderMap), facts: &Facts) -> Response<ReplyBody> {
    let mut reply = Response::new(ReplyBody::Whole(bytes));
    let headers = reply.headers_mut();
    headers.reserve(12);
    wire_headers::reply(lane == Lane::Same, from, headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    facts.write(headers);
    reply
}

/// A streamed answer.
pub fn stream(answer: Answer, framing: Framing, facts: &Facts, body: impl FnOnce(Answer) -> ReplyBody) -> Response<ReplyBody> {
    let mut headers = HeaderMap::with_capacity(12);
    wire_headers::reply(answer.lane == Lane::Same, &answer.headers, &mut headers);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies such as nginx would otherwise hold a stream back until they have a buffer full of it.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    facts.write(&mut headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(framing.content_type()));
    let mut reply = Response::new(body(answer));
    *reply.headers_mut() = headers;
    reply
}

/// An answer beyond chat that was translated; `from` are the provider's headers.
pub fn told(told: Told, from: &HeaderMap, facts: &Facts) -> Response<ReplyBody> {
    let mut reply = whole(told.body.into(), "application/json", (Lane::Translate, from), facts);
    if let Ok(media) = HeaderValue::from_str(&told.media) {
        reply.headers_mut().insert(header::CONTENT_TYPE, media);
    }
    reply
}

/// An answer that is passed on as it comes; `from` are the provider's headers.
pub fn flow(flow: Flow, status: StatusCode, from: &HeaderMap, facts: &Facts) -> Response<ReplyBody> {
    let mut reply = Response::new(ReplyBody::Flow(Box::new(flow)));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.reserve(12);
    wire_headers::reply(true, from, headers);
    for name in [header::CONTENT_TYPE, header::CONTENT_DISPOSITION] {
        if let Some(value) = from.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if headers.get(header::CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream")) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    facts.write(headers);
    reply
}

/// An answer to what was passed through, its headers as they may leave.
pub fn passthrough(flow: Flow, theirs: http::response::Parts, facts: &Facts) -> Response<ReplyBody> {
    let mut reply = Response::new(ReplyBody::Flow(Box::new(flow)));
    *reply.status_mut() = theirs.status;
    *reply.headers_mut() = theirs.headers;
    facts.write(reply.headers_mut());
    reply
}

/// An error before any target was asked; without a dialect it is told in OpenAI's, the most common.
pub fn error(dialect: impl Into<Option<&'static Dialect>>, error: &Error, id: &str) -> Response<ReplyBody> {
    let Some(dialect) = dialect.into().or_else(|| dialect::find("openai-chat")) else {
        return Response::new(ReplyBody::Whole(Bytes::new()));
    };
    failure(dialect, &Failed::from(error.clone()), &Facts::new(id, dialect))
}

/// A call that failed. A provider's error in the caller's own dialect is passed on as it came, unless it speaks of
/// our credential, which is no business of the caller's, or is a page for people that no program can read.
pub fn failure(dialect: &'static Dialect, failed: &Failed, facts: &Facts) -> Response<ReplyBody> {
    let Failed { error, reply: theirs, .. } = failed;
    let status = error.caller_status();
    let theirs = theirs.as_ref().filter(|theirs| theirs.status.as_u16() == status);
    let readable = theirs.filter(|theirs| matches!(theirs.body.trim_ascii_start().first(), Some(b'{' | b'[')));
    let bytes = match readable {
        Some(theirs) => theirs.body.clone(),
        None => dialect.downstream().write_error(error, &facts.id).into(),
    };
    let from = theirs.map(|theirs| &theirs.headers);
    let media = readable.and_then(|theirs| theirs.headers.get(header::CONTENT_TYPE).cloned());
    let mut reply = Response::new(ReplyBody::Whole(bytes));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    if let Some(from) = from {
        wire_headers::reply(true, from, headers);
    }
    if readable.is_none() {
        headers.extend(dialect.downstream().error_headers(error));
    }
    headers.insert(header::CONTENT_TYPE, media.unwrap_or(HeaderValue::from_static("application/json")));
    if let Some(seconds) = error.retry_after_seconds() {
        // The provider's own word may be a date by its own clock, or none that SDKs understand.
        let true_value = HeaderValue::from(seconds);
        if headers.insert(header::RETRY_AFTER, true_value.clone()).is_some_and(|theirs| theirs != true_value) {
            headers.remove("retry-after-ms");
        }
    }
    if (status >= 500 || status == 429) && error.retry == Retry::Never {
        // The SDKs try every 5xx and 429 again unless they are told that it is of no use.
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    if error.kind == Kind::MethodNotAllowed {
        let right = if error.message.contains("takes POST") { "POST" } else { "GET" };
        headers.insert(header::ALLOW, HeaderValue::from_static(right));
    }
    facts.write(headers);
    reply
}

/// `/v1/models`, `/v1/models/{id}`, `/health/targets`, `/stats`, `/metrics`.
pub fn list(worker: &Worker, route: &Route, id: &str) -> Response<ReplyBody> {
    match route {
        Route::Models(dialect) => json(dialect.downstream().write_models(&models(worker)), &Facts::new(id, dialect)),
        Route::Model(dialect, name) => model(worker, dialect, &percent_decode(name), id),
        Route::Metrics(dialect) => match worker.client.config().server.metrics {
            Metrics::Off => {
                let what = "metrics are off: the gateway's configuration says [server] metrics = \"off\"";
                self::error(*dialect, &Error::new(Kind::NotFound, Origin::Caller, what), id)
            }
            _ => metrics(worker),
        },
        Route::Stats(dialect) => {
            let (latency, targets) = meter::latency(&worker.record.meter().sum());
            let (counted, ledger) = (worker.record.counters().snapshot(), worker.record.status());
            let figures = Figures { counted, latency, targets, ledger };
            json(serde_json::to_vec(&figures).unwrap_or_default(), &Facts::new(id, dialect))
        }
        Route::Targets(dialect) => {
            json(serde_json::to_vec(&worker.client.health()).unwrap_or_default(), &Facts::new(id, dialect))
        }
        Route::Kept(..)
        | Route::Show(..)
        | Route::Fixed(..)
        | Route::Call(..)
        | Route::Operate(_)
        | Route::Pass(..)
        | Route::Health(_) => error(None, &Error::new(Kind::Internal, Origin::Gateway, "a call was taken for a list"), id),
    }
}

/// What can be asked for by name.
fn models(worker: &Worker) -> Vec<ir::Model> {
    worker.client.models().into_iter().chain(worker.shelf.models()).collect()
}

/// One model: from the list, or because its name leads somewhere.
pub fn model(worker: &Worker, dialect: &'static Dialect, name: &str, id: &str) -> Response<ReplyBody> {
    let known = models(worker).into_iter().find(|model| model.id == name);
    let model = match known {
        Some(model) => Ok(model),
        None => worker.client.plan(name).map(|plan| {
            let owner = plan.first().map(|target| target.service.provider.id.clone()).unwrap_or_default();
            ir::Model { id: name.to_owned(), owner, created: 0 }
        }),
    };
    match model {
        Ok(model) => json(dialect.downstream().write_model(&model), &Facts::new(id, dialect)),
        Err(error) => self::error(dialect, &error, id),
    }
}

/// `/metrics`.
pub fn metrics(worker: &Worker) -> Response<ReplyBody> {
    let mut reply = Response::new(ReplyBody::Whole(meter::write(worker).into()));
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    reply.headers_mut().insert(header::CONTENT_TYPE, media);
    reply
}

/// What is always answered alike.
pub fn fixed(media: &'static str, body: &'static str) -> Response<ReplyBody> {
    let mut reply = Response::new(ReplyBody::Whole(Bytes::from_static(body.as_bytes())));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    reply
}

/// `/stats`.
#[derive(Serialize)]
struct Figures {
    #[serde(flatten)]
    counted: Snapshot,
    latency: Latency,
    targets: BTreeMap<String, Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<Status>,
}

/// `/health/…`.
#[derive(Serialize)]
struct Fitness {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<Condition>,
}

/// `/health/live` and `/health/ready`.
pub fn health(worker: &Worker, kind: Health) -> Response<ReplyBody> {
    let ready = kind == Health::Live || !*worker.draining.borrow();
    let status = if ready { "ok" } else { "stopping" };
    // A ledger that cannot be written fails no call: whoever asks is told, and goes on sending.
    let ledger = (kind == Health::Ready).then(|| worker.record.condition()).flatten();
    let text = serde_json::to_vec(&Fitness { status, ledger }).unwrap_or_default();
    let mut reply = Response::new(ReplyBody::Whole(text.into()));
    if !ready {
        *reply.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = (first == b'%').then(|| tail.get(..2)).flatten();
        let decoded = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(first));
        rest = if decoded.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            ReplyBody::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            ReplyBody::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            ReplyBody::Stream(pipe) => {
                let Poll::Ready(frame) = Pin::new(&mut **pipe).poll_frame(context) else { return Poll::Pending };
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            ReplyBody::Seam(seam) => {
                let Poll::Ready(frame) = Pin::new(&mut **seam).poll_frame(context) else { return Poll::Pending };
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            ReplyBody::Flow(flow) => Pin::new(&mut **flow).poll_frame(context),
            ReplyBody::Heard(body, texts) => {
                let Poll::Ready(frame) = Pin::new(&mut **body).poll_frame(context) else { return Poll::Pending };
                if let Some(Ok(frame)) = &frame {
                    frame.data_ref().into_iter().for_each(|bytes| texts.hear(bytes));
                }
                Poll::Ready(frame)
            }
            ReplyBody::Counted(body, ..) | ReplyBody::Kept(body, _) => Pin::new(&mut **body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Whole(bytes) => bytes.is_empty(),
            ReplyBody::Stream(pipe) => pipe.is_end_stream(),
            ReplyBody::Seam(seam) => seam.is_end_stream(),
            ReplyBody::Flow(flow) => flow.is_end_stream(),
            ReplyBody::Heard(body, _) | ReplyBody::Counted(body, ..) | ReplyBody::Kept(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            ReplyBody::Stream(_) | ReplyBody::Seam(_) => SizeHint::default(),
            ReplyBody::Flow(flow) => flow.size_hint(),
            ReplyBody::Heard(body, _) | ReplyBody::Counted(body, ..) | ReplyBody::Kept(body, _) => body.size_hint(),
        }
    }
}
