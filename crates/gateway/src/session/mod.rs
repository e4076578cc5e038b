//! Conversations that a caller goes on with by name: a session (`x-trunkline-session`), or an answer's id where its dialect
//! has that. What was said before comes from the store, goes before what is new, and whoever answers gets what it can read.

mod again;
mod backlog;
mod keep;
mod keeper;
mod summing;
mod thread;

use std::sync::Arc;

use bytes::Bytes;
use trunkline::codec::dialect::{Cx, Head, Kept, Operation};
use trunkline::codec::json::{Edit, apply};
use trunkline::codec::{Dialect, Error, Kind, Losses, Origin, Result};
use trunkline::config::Window;
use trunkline::ir::{Raw, Request, Role};
use trunkline_store::{Id, SessionRow, TurnRow};
use trunkline_work::session::history::{self, History};

use crate::header::{NAME_MOST, SESSION};
use crate::shed::Held;
use crate::worker::Worker;

pub(crate) use again::tell;
pub(crate) use keep::{Keeping, Tap};
pub(crate) use keeper::Sessions;

use keeper::Wish;

/// The member that names an answer, where a dialect has such.
const PREVIOUS: &str = "previous_response_id";

/// What a call goes on from.
pub(crate) struct Talk {
    /// What is asked, without what was said before.
    request: Request,
    system: Option<String>,
    summary: Option<String>,
    turns: Vec<TurnRow>,
    place: Place,
    /// The memory that the turns take, as long as they are here.
    _held: Option<Held>,
}

/// Where a turn will be.
#[derive(Clone, Default)]
pub(crate) struct Place {
    session: Option<SessionRow>,
    head: Option<Id>,
    parent: Option<Id>,
    /// The id of the answer that it goes on from.
    previous: Option<String>,
    /// How many of the request's messages are not new.
    known: usize,
    /// Whose the answer is that it goes on from.
    user: Option<String>,
}

/// The request as it came.
pub(crate) struct Came<'a> {
    pub(crate) dialect: &'static Dialect,
    pub(crate) operation: Operation,
    pub(crate) head: Head<'a>,
    pub(crate) body: &'a Bytes,
    /// For whom the call is made.
    pub(crate) user: Option<&'a str>,
    /// The model's name as asked for.
    pub(crate) model: &'a str,
}

impl Came<'_> {
    fn read(&self, without: Option<std::ops::Range<usize>>) -> Result<Request> {
        let mut edits: Vec<Edit> = without.map(|span| Edit { span, with: b"null".to_vec() }).into_iter().collect();
        let changed = if edits.is_empty() { None } else { Some(apply(self.body, &mut edits)) };
        let body = changed.as_deref().unwrap_or(self.body);
        self.dialect.downstream().read_request(&self.head, body, self.operation)
    }
}

/// Finds what a call goes on from; `None` when it stands for itself, or goes on from what only its provider knows.
///
/// # Errors
/// When there is no such conversation, or none are kept here.
pub(crate) async fn find(worker: &Worker, came: Came<'_>, session: Option<&str>) -> Result<Option<Talk>> {
    let config = worker.client.config();
    if came.operation != Operation::Chat || !config.sessions.keep {
        return Ok(None);
    }
    let downstream = came.dialect.downstream();
    let kept = if downstream.may_go_on(came.body) { downstream.kept(came.body) } else { None };
    let previous = kept.as_ref().and_then(|kept| kept.previous.clone());
    match (session, previous) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Error::bad_request("send either x-trunkline-session or previous_response_id, not both").at(PREVIOUS))
        }
        (Some(id), None) => {
            let sessions = worker.record.sessions().ok_or_else(no_store)?;
            go_on(worker, sessions, &came, id).await.map(Some)
        }
        (None, Some((previous, span))) => {
            let kept = kept.unwrap_or_default();
            let Some(sessions) = worker.record.sessions().filter(|_| is_ours(&previous, &kept)) else { return Ok(None) };
            let keeper::Found { turns, held, .. } = sessions.response(&previous, wish(worker, None)).await?;
            let Some(last) = turns.last().filter(|turn| may_have(came.user, turn.user_id.as_deref())) else { return Ok(None) };
            let (parent, known) = (Some(last.id), usize::from(kept.instructed));
            let place = Place { parent, known, previous: Some(previous), user: last.user_id.clone(), ..Place::default() };
            Ok(Some(Talk { request: came.read(Some(span))?, system: None, summary: None, turns, place, _held: held }))
        }
    }
}

/// Whether who names this user may have an answer of `owner`'s. Whoever names nobody has its id, which cannot be guessed: clients
/// do not say again whose an answer is when they ask for it.
pub(super) fn may_have(user: Option<&str>, owner: Option<&str>) -> bool {
    user.is_none() || user == owner
}

/// So much of a conversation, and no more than there is memory for.
fn wish(worker: &Worker, last: Option<u32>) -> Wish {
    Wish { last, held: Held::new(&worker.shed, &worker.client.config().server) }
}

/// Whether an answer's id looks like one that we have made: others are their provider's.
fn is_ours(id: &str, kept: &Kept) -> bool {
    // An id of a call, without hyphens: a UUID of version 7.
    let made = id.strip_prefix(kept.prefix).filter(|made| made.len() == 32 && made.get(12..13) == Some("7"));
    made.is_some_and(|made| made.parse::<Id>().is_ok())
}

fn no_store() -> Error {
    let what = "sessions need a store, and this gateway has none: set [store] path, or [sessions] keep = false to use \
        x-trunkline-session for nothing but routing";
    Error::new(Kind::BadRequest, Origin::Caller, what).at(SESSION)
}

/// The refusal of an answer's id that nobody knows here, where answers are kept.
pub(crate) fn explain(worker: &Worker, error: Error) -> Error {
    let keeps = worker.record.sessions().is_some() && worker.client.config().sessions.keep;
    if !keeps || error.param.as_deref() != Some(PREVIOUS) || error.kind != Kind::Unsupported {
        return error;
    }
    let what = "Previous response not found: it was not kept here, and this model's provider cannot look it up; send the whole \
        conversation in `input` instead";
    Error { code: Some("previous_response_not_found".to_owned()), ..Error::bad_request(what).at(PREVIOUS) }
}

async fn go_on(worker: &Worker, sessions: &Sessions, came: &Came<'_>, id: &str) -> Result<Talk> {
    if id.len() > NAME_MOST {
        return Err(Error::bad_request(format!("a session's name has at most {NAME_MOST} bytes")).at(SESSION));
    }
    let request = came.read(None)?;
    let config = worker.client.config();
    let window = &config.sessions.window;
    // Who tells a conversation again may begin anywhere in it.
    let tells_again = request.messages.iter().any(|message| message.role == Role::Assistant);
    let last = if let (Window::Turns(last), false) = (window, tells_again) { Some(*last) } else { None };
    let keeper::Found { session, mut turns, summary, held } = sessions.session(id, wish(worker, last)).await?;
    let row = session.unwrap_or_else(|| SessionRow {
        user_id: came.user.map(str::to_owned),
        key_id: key_of(worker),
        ..SessionRow::new(id, now_us())
    });
    if row.local || row.user_id.as_deref() != came.user {
        let what = format!("there is no session `{id}` of this user");
        return Err(Error::new(Kind::NotFound, Origin::Caller, what).at(SESSION));
    }
    let head = row.head;
    let mut place = Place { head, parent: head, known: history::instructions(&request.messages), ..Place::default() };
    let mut text = None;
    if let Some((known, last)) = history::told_again(&turns, &request.messages) {
        // The caller keeps the conversation itself: nothing is told twice.
        (place.known, place.parent) = (known, turns.get(last).map(|turn| turn.id));
        turns.clear();
    } else {
        // What is not summed up yet has an end all the same.
        let (window, summed) = match window_of(&row, window) {
            Window::Summary { turns: most, .. } => (Window::Turns(most.saturating_mul(3)), true),
            window => (window, false),
        };
        let end = summary.filter(|_| summed).and_then(|summary| {
            let at = turns.iter().position(|turn| turn.id == summary.turn)?;
            text = Some(summary.text);
            Some(at + 1)
        });
        let first = history::first_kept(&turns, &request.messages, &window).max(end.unwrap_or(0));
        turns.drain(..first.min(turns.len()));
    }
    let system = row.system.clone();
    place.session = Some(row);
    Ok(Talk { request, system, summary: text, turns, place, _held: held })
}

/// Which of our keys the caller has.
fn key_of(worker: &Worker) -> Option<String> {
    worker.door.key().as_ref().map(|key| key.id.as_ref().to_owned())
}

/// What of a session's history the next call gets: as the session itself says, else as is configured.
fn window_of(session: &SessionRow, usual: &Window) -> Window {
    session.kept.as_deref().and_then(|kept| kept.parse().ok()).unwrap_or_else(|| usual.clone())
}

impl Talk {
    /// The whole request as anybody may be sent it.
    pub(crate) fn whole(&self) -> Request {
        let (messages, _) = self.history().messages(&self.request.messages, None);
        Request { messages, ..self.request.clone() }
    }

    /// The whole request for this provider, and what it cannot be told.
    pub(crate) fn request(&self, provider: &str) -> (Request, Losses) {
        let (messages, losses) = self.history().messages(&self.request.messages, Some(provider));
        (Request { messages, ..self.request.clone() }, losses)
    }

    fn history(&self) -> History<'_> {
        History { system: self.system.as_deref(), summary: self.summary.as_deref(), turns: &self.turns }
    }
}

/// Keeps the answer to this request, if that is wanted: the caller has named a session, or its dialect has answers that are
/// kept, and it does not object.
pub(crate) fn keeping(
    worker: &Arc<Worker>,
    came: &Came<'_>,
    talk: Option<&Talk>,
    request: &mut Request,
    id: &str,
) -> Option<Box<Keeping>> {
    let sessions = worker.record.sessions().filter(|_| came.operation == Operation::Chat)?;
    let kept = came.dialect.downstream().kept(came.body);
    let stored = kept.as_ref().filter(|kept| kept.store);
    if talk.is_none() && (stored.is_none() || !worker.client.config().sessions.keep) {
        return None;
    }
    if stored.is_some() {
        // It is kept, by us.
        request.extra.fields.remove("store");
    }
    let known = usize::from(kept.as_ref().is_some_and(|kept| kept.instructed));
    let place = talk.map_or_else(|| Place { known, ..Place::default() }, |talk| talk.place.clone());
    let asked = talk.map_or(&*request, |talk| &talk.request).messages.get(place.known..).unwrap_or_default().to_vec();
    let row = TurnRow {
        parent: place.parent,
        session: place.session.as_ref().map(|session| session.id.clone()).unwrap_or_default(),
        response_id: stored.map(|kept| format!("{}{id}", kept.prefix)),
        key_id: key_of(worker),
        user_id: came.user.map(str::to_owned).or_else(|| place.user.clone()),
        model: came.model.to_owned(),
        ..TurnRow::new(sessions.next_id())
    };
    Some(Box::new(Keeping::new(worker, row, place, (asked, request), came.body.len())))
}

/// What the answer tells of its being kept.
pub(crate) fn tell_kept(cx: &mut Cx, keeping: &Keeping) {
    if !keeping.is_named() {
        return;
    }
    let mut asked = cx.asked.as_deref().cloned().unwrap_or_default();
    let previous = keeping.previous().map(|id| (PREVIOUS, Raw::of(&id)));
    asked.repeated.extend(previous.into_iter().chain([("store", Raw::of(&true))]));
    cx.asked = Some(Arc::new(asked));
}

fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
