//! What the gateway asks of its conversations' store, and the thread that has that to itself: who reads hears of everything
//! that was said before, written or not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc as blocking};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use trunkline::codec::{Error, Kind, Origin, Result, Retry};
use trunkline_store::{Id, Ids, Opening, SessionRow, Summary, TurnRow};

use super::summing::Summing;
use super::thread;
use crate::shed::Held;

/// Bytes of turns that may wait to be written, by estimate.
const WAITING: u64 = 64 * 1024 * 1024;
/// How long a stop waits for what is not written yet.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long a caller waits for what has to be written before it is answered.
const PATIENCE: Duration = Duration::from_secs(10);
/// When those come back whom the store had no answer for.
const COME_BACK: Duration = Duration::from_secs(1);

/// Tells the operator.
pub(super) type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Where the gateway keeps conversations. The thread starts with the first one that is wanted.
pub(crate) struct Sessions {
    opening: Opening,
    /// Whether its file was there at the start: then one that is gone was moved away.
    was_there: bool,
    tell: Tell,
    queue: OnceLock<Option<mpsc::UnboundedSender<Order>>>,
    load: Arc<Load>,
    ids: Ids,
    pub(super) summing: Arc<Summing>,
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Load {
    /// Bytes, by estimate.
    waiting: AtomicU64,
    /// Turns for which there was no room.
    lost: AtomicU64,
}

impl Load {
    pub(super) fn give_back(&self, bytes: u64) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many were lost since this was asked last.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

/// A conversation as it stands.
#[derive(Default)]
pub(super) struct Found {
    /// The session, if there is one.
    pub(super) session: Option<SessionRow>,
    /// Its turns, or those up to the one that is named, the oldest first.
    pub(super) turns: Vec<TurnRow>,
    /// What those up to one of them come to.
    pub(super) summary: Option<Summary>,
    /// The memory that they take.
    pub(super) held: Option<Held>,
}

/// How much of a conversation is wanted.
pub(super) struct Wish {
    /// The last questions will do, so many of them.
    pub(super) last: Option<u32>,
    /// What the memory is counted by.
    pub(super) held: Held,
}

/// A turn, and where it goes.
pub(super) struct Append {
    pub(super) turn: TurnRow,
    pub(super) session: Option<SessionRow>,
    /// Where the session was when it was read. Not the turn's parent: its caller has gone back.
    pub(super) head: Option<Id>,
    pub(super) bytes: u64,
}

/// Where something is told.
pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

pub(super) enum Order {
    Session { id: String, wish: Box<Wish>, reply: Reply<Found> },
    Response { id: String, wish: Box<Wish>, reply: Reply<Found> },
    Answer { id: String, reply: Reply<Option<(TurnRow, Option<String>)>> },
    Append(Arc<Append>),
    Summary(Summary),
    Delete { id: String, user: Option<String>, reply: Reply<bool> },
    Close(blocking::Sender<()>),
}

impl Sessions {
    pub(crate) fn new(opening: Opening, tell: Tell) -> Self {
        let was_there = opening.path.exists();
        let (queue, load, summing) = (OnceLock::new(), Arc::default(), Arc::default());
        Sessions { opening, was_there, tell, queue, load, ids: Ids::new(), summing }
    }

    fn send(&self, order: Order) -> bool {
        let start = || thread::start(self.opening.clone(), self.was_there, Arc::clone(&self.tell), Arc::clone(&self.load));
        self.queue.get_or_init(start).as_ref().is_some_and(|queue| queue.send(order).is_ok())
    }

    async fn ask<T>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Result<T> {
        let (reply, told) = oneshot::channel();
        self.send(order(reply));
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// An id for a turn of now.
    pub(super) fn next_id(&self) -> Id {
        self.ids.next(SystemTime::now())
    }

    pub(super) async fn session(&self, id: &str, wish: Wish) -> Result<Found> {
        let (id, wish) = (id.to_owned(), Box::new(wish));
        self.ask(|reply| Order::Session { id, wish, reply }).await
    }

    /// The conversation up to the answer of this id.
    pub(super) async fn response(&self, id: &str, wish: Wish) -> Result<Found> {
        let (id, wish) = (id.to_owned(), Box::new(wish));
        self.ask(|reply| Order::Response { id, wish, reply }).await
    }

    /// The answer of this id, and the id of the one that it goes on from.
    pub(super) async fn answer(&self, id: &str) -> Result<Option<(TurnRow, Option<String>)>> {
        let id = id.to_owned();
        self.ask(|reply| Order::Answer { id, reply }).await
    }

    /// Makes an answer's id name nothing any more. False when it names nothing of this user's.
    pub(crate) async fn delete_response(&self, id: &str, user: Option<String>) -> Result<bool> {
        let id = id.to_owned();
        let deleted = self.ask(|reply| Order::Delete { id, user, reply });
        tokio::time::timeout(PATIENCE, deleted).await.unwrap_or_else(|_| Err(gone()))
    }

    /// Has a turn kept. Waits for nobody: what comes faster than it can be written is left out, and told.
    pub(super) fn append(&self, append: Append) {
        let bytes = append.bytes;
        if self.load.waiting.fetch_add(bytes, Ordering::Relaxed) > WAITING {
            self.load.give_back(bytes);
            if self.load.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                (self.tell)("turns of conversations are not kept for now: more wait for the store than there is room for");
            }
            return;
        }
        if !self.send(Order::Append(Arc::new(append))) {
            (self.tell)("a turn of a conversation is not kept: the thread that keeps them is gone");
        }
    }

    /// Tells the operator.
    pub(super) fn tell(&self, line: &str) {
        (self.tell)(line);
    }

    /// Keeps what a conversation comes to.
    pub(super) fn add_summary(&self, summary: Summary) {
        self.send(Order::Summary(summary));
    }

    /// Waits until all is written, for some seconds at most.
    pub(crate) fn close(&self) {
        if let Some(Some(queue)) = self.queue.get() {
            let (done, over) = blocking::channel();
            if queue.send(Order::Close(done)).is_ok() {
                let _ = over.recv_timeout(LAST_WORDS);
            }
        }
    }
}

/// What a caller is told, whatever the store said: that is the operator's, and has paths in it.
pub(super) fn gone() -> Error {
    let what = "conversations cannot be read at the moment; send the request again";
    Error { retry: Retry::After(COME_BACK), ..Error::new(Kind::Unavailable, Origin::Gateway, what) }
}
