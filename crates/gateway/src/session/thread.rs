//! The thread: it reads over one connection and writes over another, so that nobody who reads waits for a writer. What
//! cannot be written waits in the order in which it came, and is tried again.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use trunkline::codec::{Error, Result, Retry};
use trunkline_store::{Id, Opening, SessionRow, Store, Summary, TurnRow};
use trunkline_work::session::history::questions;

use super::backlog::{Backlog, Job};
use super::keeper::{Append, Found, LAST_WORDS, Load, Order, Tell, Wish, gone};
use super::may_have;

/// How long it takes until what could not be written is tried again.
const PAUSE: Duration = Duration::from_millis(300);
/// The most turns of a conversation that are read.
const MOST: u32 = 10_000;
/// How many turns are read for each question that is wanted, before all are.
const TURNS: u32 = 8;
/// How often a letter of a conversation is held while its call is sent: as a turn, as a message, as what is written of it.
const TIMES: u64 = 3;

/// Starts it; `None` when there are no threads.
pub(super) fn start(opening: Opening, was_there: bool, tell: Tell, load: Arc<Load>) -> Option<mpsc::UnboundedSender<Order>> {
    let (queue, orders) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let opening = Opening { create: opening.create && !was_there, ..opening };
    let body = move || {
        let (reader, writer, writing, backlog) = (None, None, None, Backlog::default());
        let (unread, unwritten) = (false, false);
        runtime.block_on(async move {
            let due = Instant::now();
            Keeper { opening, tell, load, reader, writer, writing, due, backlog, unread, unwritten }.run(orders).await;
        });
    };
    std::thread::Builder::new().name("trunkline-sessions".to_owned()).spawn(body).ok()?;
    Some(queue)
}

/// One thing being written; it gives the store back.
type Writing = Pin<Box<dyn Future<Output = (Option<Store>, Result<bool>)>>>;

struct Keeper {
    /// One that was open once is not made anew.
    opening: Opening,
    tell: Tell,
    load: Arc<Load>,
    reader: Option<Store>,
    writer: Option<Store>,
    writing: Option<Writing>,
    /// When what waits is tried again.
    due: Instant,
    backlog: Backlog,
    /// Whether the operator was told that the store cannot be read, or written.
    unread: bool,
    unwritten: bool,
}

enum Next {
    Written(Option<Store>, Result<bool>),
    Order(Order),
    Due,
    Over,
}

impl Keeper {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            self.begin();
            let rests = self.writing.is_none() && !self.backlog.is_empty();
            let next = tokio::select! {
                biased;
                (store, done) = over(&mut self.writing) => Next::Written(store, done),
                order = orders.recv() => order.map_or(Next::Over, Next::Order),
                () = tokio::time::sleep_until(self.due), if rests => Next::Due,
            };
            match next {
                Next::Written(store, done) => self.written(store, done),
                Next::Order(order) => self.obey(order).await,
                Next::Due => {}
                Next::Over => return,
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Session { id, wish, reply } => {
                let _ = reply.send(self.read(async |keeper| keeper.session(&id, *wish).await).await);
            }
            Order::Response { id, wish, reply } => {
                let _ = reply.send(self.read(async |keeper| keeper.response(&id, *wish).await).await);
            }
            Order::Answer { id, reply } => {
                let _ = reply.send(self.read(async |keeper| keeper.answer(&id).await).await);
            }
            Order::Append(append) => self.backlog.push(Job::Append(append)),
            Order::Summary(summary) => self.backlog.push(Job::Summary(Arc::new(summary))),
            Order::Delete { id, user, reply } => self.backlog.push(Job::Delete { id, user, reply }),
            Order::Close(done) => {
                self.close().await;
                let _ = done.send(());
            }
        }
    }

    /// Begins to write what waits longest, if it is time.
    fn begin(&mut self) {
        if self.writing.is_some() || Instant::now() < self.due {
            return;
        }
        // Nobody waits for it any more.
        while matches!(self.backlog.first(), Some(Job::Delete { reply, .. }) if reply.is_closed()) {
            self.backlog.pop();
        }
        let (store, opening) = (self.writer.take(), self.opening.clone());
        self.writing = match self.backlog.first() {
            Some(Job::Append(append)) => Some(Box::pin(write_turn(store, opening, Arc::clone(append)))),
            Some(Job::Summary(summary)) => Some(Box::pin(write_summary(store, opening, Arc::clone(summary)))),
            Some(Job::Delete { id, user, .. }) => Some(Box::pin(delete(store, opening, id.clone(), user.clone()))),
            None => {
                self.writer = store;
                None
            }
        };
    }

    /// What was being written is, or is not.
    fn written(&mut self, store: Option<Store>, done: Result<bool>) {
        self.opening.create &= store.is_none();
        self.writer = store;
        let fails = done.as_ref().is_err_and(|error| error.retry != Retry::Never);
        if fails {
            self.due = Instant::now() + PAUSE;
            self.falter(done.as_ref().err());
            if matches!(self.backlog.first(), Some(Job::Append(_))) {
                return;
            }
        } else if std::mem::take(&mut self.unwritten) {
            (self.tell)("conversations are written again");
        }
        match self.backlog.pop() {
            Some(Job::Append(append)) => {
                self.load.give_back(append.bytes);
                if let Err(error) = done {
                    (self.tell)(&format!("a turn of a conversation is not kept: {}", error.message));
                }
            }
            Some(Job::Delete { reply, .. }) => _ = reply.send(done.map_err(|_| gone())),
            // Without it more turns are sent, until the next one is made.
            Some(Job::Summary(_)) | None => {}
        }
        if self.backlog.is_empty() {
            let lost = self.load.take_lost();
            if lost > 0 {
                (self.tell)(&format!("turns of conversations are kept again; {lost} of them are lost"));
            }
        }
    }

    fn falter(&mut self, error: Option<&Error>) {
        if !std::mem::replace(&mut self.unwritten, true) {
            let why = error.map(|error| error.message.as_str()).unwrap_or_default();
            (self.tell)(&format!("conversations cannot be written, calls go on and their turns wait: {why}"));
        }
    }

    /// Reads, while what is being written goes on: who reads may wait for just that, as for the tables of a new store.
    /// Gives what was read, or what its caller may know of the fault.
    async fn read<T>(&mut self, read: impl AsyncFnOnce(&mut Self) -> std::result::Result<T, Unread>) -> Result<T> {
        let mut writing = self.writing.take();
        let (found, written) = beside(&mut writing, read(self)).await;
        self.writing = writing;
        if let Some((store, done)) = written {
            self.written(store, done);
        }
        match found {
            Ok(found) => {
                self.unread = false;
                Ok(found)
            }
            Err(Unread::Full(error)) => Err(error),
            Err(Unread::Fault(error)) => {
                if !std::mem::replace(&mut self.unread, true) {
                    (self.tell)(&format!("conversations cannot be read: {}", error.message));
                }
                Err(gone())
            }
        }
    }

    /// The store for who reads: opened, and opened again if its file is another one by now.
    async fn reader(&mut self) -> Result<&mut Store> {
        let store = open(self.reader.take(), &self.opening).await?;
        self.opening.create = false;
        Ok(self.reader.insert(store))
    }

    async fn session(&mut self, id: &str, wish: Wish) -> std::result::Result<Found, Unread> {
        let stored = self.reader().await?.session(id).await?;
        let Some(session) = self.backlog.lay_over(id, stored) else { return Ok(Found::default()) };
        let Some(head) = session.head else { return Ok(Found { session: Some(session), ..Found::default() }) };
        let found = self.conversation(head, wish, Some(&session)).await?;
        Ok(Found { session: Some(session), ..found })
    }

    async fn response(&mut self, id: &str, wish: Wish) -> std::result::Result<Found, Unread> {
        let waits = self.backlog.turn_of_response(id).map(|turn| turn.id);
        let last = match waits {
            Some(last) => Some(last),
            None => self.reader().await?.place_of_response(id).await?,
        };
        match last {
            Some(last) => self.conversation(last, wish, None).await,
            None => Ok(Found::default()),
        }
    }

    /// The turns up to this one, and of a session what some of them come to.
    async fn conversation(
        &mut self,
        last: Id,
        Wish { last: questions_wanted, mut held }: Wish,
        session: Option<&SessionRow>,
    ) -> std::result::Result<Found, Unread> {
        let (waiting, before) = self.backlog.path(last);
        let bytes: u64 = waiting.iter().map(|append| append.bytes).sum();
        held.grow(bytes.saturating_mul(TIMES)).map_err(Unread::Full)?;
        let mut newest: Vec<TurnRow> = waiting.into_iter().map(|append| append.turn.clone()).collect();
        let (mut turns, mut summary) = (Vec::new(), None);
        if let Some(before) = before {
            let store = self.reader().await?;
            let few = questions_wanted.map_or(MOST, |most| most.saturating_mul(TURNS).clamp(1, MOST));
            let mut most = few;
            loop {
                let letters = store.letters(before, most).await?;
                held.grow(letters.saturating_add(bytes).saturating_mul(TIMES)).map_err(Unread::Full)?;
                turns = store.turns(before, most).await?;
                let enough = questions_wanted.is_none_or(|wanted| questions(&turns) >= wanted as usize);
                if enough || most == MOST || (turns.len() as u64) < u64::from(most) {
                    break;
                }
                most = MOST;
            }
            if session.is_some() {
                summary = store.summary(before, MOST).await?;
            }
        }
        newest.reverse();
        turns.append(&mut newest);
        Ok(Found { session: None, turns, summary, held: Some(held) })
    }

    async fn answer(&mut self, id: &str) -> std::result::Result<Option<(TurnRow, Option<String>)>, Unread> {
        let waits = self.backlog.turn_of_response(id).cloned();
        let turn = match waits {
            Some(turn) => Some(turn),
            None => self.reader().await?.turn_of_response(id).await?,
        };
        let Some(turn) = turn else { return Ok(None) };
        let Some(parent) = turn.parent else { return Ok(Some((turn, None))) };
        let waits = self.backlog.path(parent).0.first().map(|append| append.turn.response_id.clone());
        let previous = match waits {
            Some(previous) => previous,
            None => self.reader().await?.response_of(parent).await?,
        };
        Ok(Some((turn, previous)))
    }

    /// Writes what waits, for as long as a stop has.
    async fn close(&mut self) {
        let end = Instant::now() + LAST_WORDS.saturating_sub(PAUSE);
        while !self.backlog.is_empty() && Instant::now() < end {
            self.begin();
            if self.writing.is_none() {
                tokio::time::sleep_until(self.due.min(end)).await;
            } else if let Ok((store, done)) = tokio::time::timeout_at(end, over(&mut self.writing)).await {
                self.written(store, done);
            }
        }
        if !self.backlog.is_empty() {
            (self.tell)(&format!("the store of conversations is too slow: {} turns are not written", self.backlog.len()));
        }
        for store in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            store.close().await;
        }
    }
}

/// Why something was not read.
enum Unread {
    /// There is no memory for it now.
    Full(Error),
    Fault(Error),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Unread::Fault(error)
    }
}

/// What comes of what is being written, if anything is; it is not any more then.
async fn over(writing: &mut Option<Writing>) -> (Option<Store>, Result<bool>) {
    let Some(running) = writing else { return std::future::pending().await };
    let done = running.await;
    *writing = None;
    done
}

/// What comes of the work, and of what is being written, if that ends before.
async fn beside<T>(writing: &mut Option<Writing>, work: impl Future<Output = T>) -> (T, Option<(Option<Store>, Result<bool>)>) {
    let mut work = pin!(work);
    let written = tokio::select! {
        biased;
        done = &mut work => return (done, None),
        written = over(writing) => written,
    };
    (work.await, Some(written))
}

async fn open(store: Option<Store>, opening: &Opening) -> Result<Store> {
    match store.filter(Store::is_there) {
        Some(store) => Ok(store),
        None => Store::open(opening).await.map_err(later),
    }
}

/// It may be there, or another one, the next time.
fn later(error: Error) -> Error {
    Error { retry: Retry::Backoff, ..error }
}

async fn write_turn(store: Option<Store>, opening: Opening, append: Arc<Append>) -> (Option<Store>, Result<bool>) {
    let mut store = match open(store, &opening).await {
        Ok(store) => store,
        Err(error) => return (None, Err(error)),
    };
    let Append { turn, session, head, .. } = append.as_ref();
    if let Some(session) = session.as_ref().filter(|_| turn.parent != *head)
        && let Err(error) = store.move_session(&session.id, *head, turn.parent, turn.begun_us).await
    {
        return (Some(store), Err(later(error)));
    }
    let done = store.append_turn(turn, session.as_ref()).await.map(|_| true);
    (Some(store), done)
}

async fn write_summary(store: Option<Store>, opening: Opening, summary: Arc<Summary>) -> (Option<Store>, Result<bool>) {
    match open(store, &opening).await {
        Ok(mut store) => {
            let done = store.add_summary(&summary).await.map(|()| true);
            (Some(store), done.map_err(later))
        }
        Err(error) => (None, Err(error)),
    }
}

async fn delete(store: Option<Store>, opening: Opening, id: String, user: Option<String>) -> (Option<Store>, Result<bool>) {
    let mut store = match open(store, &opening).await {
        Ok(store) => store,
        Err(error) => return (None, Err(error)),
    };
    let done = match store.turn_of_response(&id).await {
        Ok(Some(turn)) if may_have(user.as_deref(), turn.user_id.as_deref()) => store.delete_response(&id).await,
        Ok(_) => Ok(false),
        Err(error) => Err(error),
    };
    (Some(store), done.map_err(later))
}
