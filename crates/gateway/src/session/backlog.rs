//! What is to be written into the conversations' store and is not yet, in its order. Who reads is told of it as if it were.

use std::collections::VecDeque;
use std::sync::Arc;

use trunkline_store::{Id, SessionRow, Summary, TurnRow};

use super::keeper::{Append, Reply};

/// One thing to be written.
pub(super) enum Job {
    Append(Arc<Append>),
    Summary(Arc<Summary>),
    Delete { id: String, user: Option<String>, reply: Reply<bool> },
}

#[derive(Default)]
pub(super) struct Backlog(VecDeque<Job>);

impl Backlog {
    pub(super) fn push(&mut self, job: Job) {
        self.0.push_back(job);
    }

    pub(super) fn first(&self) -> Option<&Job> {
        self.0.front()
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        self.0.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn appends(&self) -> impl Iterator<Item = &Append> {
        self.0.iter().filter_map(|job| if let Job::Append(append) = job { Some(append.as_ref()) } else { None })
    }

    /// The session as it will be, from what the store has of it. What is written already changes nothing again.
    pub(super) fn lay_over(&self, id: &str, stored: Option<SessionRow>) -> Option<SessionRow> {
        let mut row = stored;
        for Append { turn, session, head, .. } in self.appends() {
            let Some(session) = session.as_ref().filter(|session| session.id == id) else { continue };
            let row = row.get_or_insert_with(|| SessionRow { head: turn.parent, ..session.clone() });
            if turn.parent != *head && row.head == *head {
                row.head = turn.parent;
            }
            if row.head == turn.parent {
                row.head = Some(turn.id);
            }
        }
        row
    }

    /// What waits from this turn back, the newest first, and the turn before that.
    pub(super) fn path(&self, last: Id) -> (Vec<&Append>, Option<Id>) {
        let (mut found, mut next) = (Vec::new(), Some(last));
        while let Some(id) = next {
            let Some(append) = self.appends().find(|append| append.turn.id == id) else { break };
            found.push(append);
            next = append.turn.parent;
        }
        (found, next)
    }

    pub(super) fn turn_of_response(&self, id: &str) -> Option<&TurnRow> {
        self.appends().map(|append| &append.turn).find(|turn| turn.response_id.as_deref() == Some(id))
    }
}
