//! An answer on its way becomes a turn: whole, cut, or as much as had come when the caller hung up.

use std::sync::Arc;

use trunkline::codec::Error;
use trunkline::config::Window;
use trunkline::ir::fold::Fold;
use trunkline::ir::{Event, Extra, Message, Request, Response};
use trunkline::relay::Listen;
use trunkline_store::{SessionRow, TurnRow};
use trunkline_work::session::{Draft, due, history, summarise};

use super::Place;
use super::keeper::{Append, Found};
use super::summing::Begun;
use super::{window_of, wish};
use crate::worker::Worker;

/// What becomes a turn when it is answered.
pub(crate) struct Keeping {
    worker: Arc<Worker>,
    draft: Draft,
    place: Place,
    named: bool,
    bytes: u64,
    /// The whole answer, and whose.
    response: Option<(String, Response)>,
}

impl Keeping {
    pub(super) fn new(
        worker: &Arc<Worker>,
        row: TurnRow,
        mut place: Place,
        (asked, request): (Vec<Message>, &Request),
        bytes: usize,
    ) -> Self {
        if let Some(session) = place.session.as_mut().filter(|session| session.title.is_empty()) {
            session.title = history::title(&asked);
        }
        let named = row.response_id.is_some();
        let draft = Draft::new(row, asked, request);
        Keeping { worker: Arc::clone(worker), draft, place, named, bytes: bytes as u64, response: None }
    }

    /// Whether the answer has an id of ours.
    pub(super) const fn is_named(&self) -> bool {
        self.named
    }

    pub(super) fn previous(&self) -> Option<&str> {
        self.place.previous.as_deref()
    }

    /// Takes the whole answer, which gets its id from us.
    pub(crate) fn take(&mut self, target: &str, response: &mut Response) {
        self.rename(&mut response.id, &mut response.extra);
        self.response = Some((target.to_owned(), response.clone()));
    }

    /// Its provider knows the answer by another id, if it keeps it at all.
    fn rename(&self, id: &mut String, extra: &mut Extra) {
        if self.named {
            id.clear();
            ["store", "previous_response_id"].iter().for_each(|name| _ = extra.fields.remove(*name));
        }
    }

    /// Has the whole answer kept.
    pub(crate) fn finish(mut self: Box<Self>) {
        if let Some((target, response)) = self.response.take() {
            self.keep(&target, response, true, None);
        }
    }

    fn keep(self, target: &str, response: Response, ended: bool, error: Option<&Error>) {
        let Keeping { worker, draft, place, bytes, .. } = self;
        if response.choices.iter().all(|choice| choice.parts.is_empty()) && !ended {
            return;
        }
        let turn = draft.turn(&worker.client, target, response, ended, error);
        let bytes = bytes + turn.output.unwrap_or(0).saturating_mul(8);
        let Some(sessions) = worker.record.sessions() else { return };
        let summary = place.session.clone().filter(|_| ended).and_then(|session| {
            match window_of(&session, &worker.client.config().sessions.window) {
                Window::Summary { turns, model } => Some((session, turns, model)),
                _ => None,
            }
        });
        sessions.append(Append { turn, session: place.session, head: place.head, bytes });
        if let Some((session, turns, model)) = summary
            && let Some(begun) = sessions.summing.begin(&session.id)
        {
            tokio::spawn(sum_up(worker, session, (turns, model), begun));
        }
    }
}

/// Has the older turns of a session summed up, if there are enough of them by now. Nobody waits for it.
async fn sum_up(worker: Arc<Worker>, session: SessionRow, (most, model): (u32, String), begun: Begun) {
    let Some(sessions) = worker.record.sessions() else { return };
    let id = &session.id;
    let Ok(Found { turns, summary, held, .. }) = sessions.session(id, wish(&worker, None)).await else { return };
    let Some(older) = due(&turns, summary.as_ref(), most) else { return };
    match summarise(&worker.client, (&model, &session), summary.as_ref(), older).await {
        Ok(summary) => sessions.add_summary(summary),
        Err(error) => {
            begun.fail();
            sessions.tell(&format!("the session {id} is not summed up: {}", error.caller_message()));
        }
    }
    drop(held);
}

/// Listens to a streamed answer. If it is dropped before the end, the caller has left.
pub(crate) struct Tap {
    keeping: Option<Box<Keeping>>,
    target: String,
    fold: Fold,
}

impl Tap {
    pub(crate) fn new(keeping: Box<Keeping>, target: &str) -> Self {
        Tap { keeping: Some(keeping), target: target.to_owned(), fold: Fold::default() }
    }

    fn over(&mut self, ended: bool, error: Option<&Error>) {
        if let Some(keeping) = self.keeping.take() {
            let response = std::mem::take(&mut self.fold).into_response();
            keeping.keep(&self.target, response, ended, error);
        }
    }
}

impl Listen for Tap {
    fn hear(&mut self, event: &mut Event) {
        if let (Some(keeping), Event::Start { id, extra, .. }) = (&self.keeping, &mut *event) {
            keeping.rename(id, extra);
        }
        self.fold.push(event.clone());
    }

    fn turn(&mut self, target: &str) {
        target.clone_into(&mut self.target);
    }

    fn end(&mut self, error: Option<&Error>) {
        self.over(error.is_none(), error);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.over(false, None);
    }
}
