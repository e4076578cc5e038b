//! The thread that has the conversations' store to itself: who reads hears of everything that was written before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc as blocking};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use trunkline::codec::{Error, Kind, Origin, Result};
use trunkline_store::{Id, Ids, Opening, SessionRow, Store, Summary, TurnRow};

/// Bytes of turns that may wait to be written, by estimate.
const WAITING: u64 = 64 * 1024 * 1024;
/// How often a turn is written that cannot be written, and how long it takes to the next time.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);
/// How long a stop waits for what is not written yet.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The most turns of a conversation that are read.
pub(super) const MOST: u32 = 10_000;

/// Where the gateway keeps conversations. The thread starts with the first one that is wanted.
pub(crate) struct Sessions {
    opening: Opening,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
    queue: OnceLock<Option<mpsc::UnboundedSender<Order>>>,
    waiting: Arc<AtomicU64>,
    ids: Ids,
}

/// A conversation as the store has it.
#[derive(Default)]
pub(super) struct Found {
    /// The session, if there is one.
    pub(super) session: Option<SessionRow>,
    /// Its turns, or those up to the one that is named, the oldest first.
    pub(super) turns: Vec<TurnRow>,
    /// What those up to one of them come to.
    pub(super) summary: Option<Summary>,
}

/// A turn, and where it goes.
pub(super) struct Append {
    pub(super) turn: TurnRow,
    pub(super) session: Option<SessionRow>,
    /// Where the session was when it was read. Not the turn's parent: its caller has gone back.
    pub(super) head: Option<Id>,
    pub(super) bytes: u64,
}

enum Order {
    Session { id: String, reply: oneshot::Sender<Result<Found>> },
    Response { id: String, reply: oneshot::Sender<Result<Found>> },
    Append(Box<Append>),
    Summary(Summary),
    Delete { id: String, user: Option<String>, reply: oneshot::Sender<Result<bool>> },
    Close(blocking::Sender<()>),
}

impl Sessions {
    pub(crate) fn new(opening: Opening, tell: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        Sessions { opening, tell, queue: OnceLock::new(), waiting: Arc::default(), ids: Ids::new() }
    }

    fn send(&self, order: Order) -> bool {
        let queue = self.queue.get_or_init(|| start(self.opening.clone(), Arc::clone(&self.tell), Arc::clone(&self.waiting)));
        queue.as_ref().is_some_and(|queue| queue.send(order).is_ok())
    }

    /// An id for a turn of now.
    pub(super) fn next_id(&self) -> Id {
        self.ids.next(SystemTime::now())
    }

    pub(super) async fn session(&self, id: &str) -> Result<Found> {
        let (reply, told) = oneshot::channel();
        self.send(Order::Session { id: id.to_owned(), reply });
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// The conversation up to the answer of this id.
    pub(super) async fn response(&self, id: &str) -> Result<Found> {
        let (reply, told) = oneshot::channel();
        self.send(Order::Response { id: id.to_owned(), reply });
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Makes an answer's id name nothing any more. False when it names nothing of this user's.
    pub(crate) async fn delete_response(&self, id: &str, user: Option<String>) -> Result<bool> {
        let (reply, told) = oneshot::channel();
        self.send(Order::Delete { id: id.to_owned(), user, reply });
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Has a turn kept. Waits for nobody: what comes faster than it can be written is left out, and told.
    pub(super) fn append(&self, append: Append) {
        let bytes = append.bytes;
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) > WAITING {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return (self.tell)("a turn of a conversation is not kept: the store is too slow");
        }
        if !self.send(Order::Append(Box::new(append))) {
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

fn gone() -> Error {
    Error::new(Kind::Internal, Origin::Gateway, "the store of conversations cannot be read at the moment")
}

fn start(
    opening: Opening,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
    waiting: Arc<AtomicU64>,
) -> Option<mpsc::UnboundedSender<Order>> {
    let (queue, orders) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let keeper = Keeper { opening, tell, waiting, store: None };
    let body = move || runtime.block_on(keeper.run(orders));
    std::thread::Builder::new().name("trunkline-sessions".to_owned()).spawn(body).ok()?;
    Some(queue)
}

struct Keeper {
    opening: Opening,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
    waiting: Arc<AtomicU64>,
    store: Option<Store>,
}

impl Keeper {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Session { id, reply } => _ = reply.send(self.session(&id).await),
                Order::Response { id, reply } => _ = reply.send(self.response(&id).await),
                Order::Delete { id, user, reply } => _ = reply.send(self.delete(&id, user).await),
                Order::Summary(summary) => {
                    // Without it more turns are sent, until the next one is made.
                    if let Ok(store) = self.store().await {
                        let _ = store.add_summary(&summary).await;
                    }
                }
                Order::Append(append) => {
                    self.append(&append).await;
                    self.waiting.fetch_sub(append.bytes, Ordering::Relaxed);
                }
                Order::Close(done) => {
                    if let Some(store) = self.store.take() {
                        store.close().await;
                    }
                    let _ = done.send(());
                }
            }
        }
    }

    /// The store: opened, and opened again if its file is another one by now.
    async fn store(&mut self) -> Result<&mut Store> {
        let there = self.store.as_ref().is_some_and(Store::is_there);
        let store = match self.store.take() {
            Some(store) if there => store,
            _ => Store::open(&self.opening).await?,
        };
        Ok(self.store.insert(store))
    }

    async fn session(&mut self, id: &str) -> Result<Found> {
        let store = self.store().await?;
        let Some(session) = store.session(id).await? else { return Ok(Found::default()) };
        let Some(head) = session.head else { return Ok(Found { session: Some(session), ..Found::default() }) };
        let (turns, summary) = (store.turns(head, MOST).await?, store.summary(head, MOST).await?);
        Ok(Found { session: Some(session), turns, summary })
    }

    async fn response(&mut self, id: &str) -> Result<Found> {
        let store = self.store().await?;
        let Some(turn) = store.turn_of_response(id).await? else { return Ok(Found::default()) };
        Ok(Found { turns: store.turns(turn.id, MOST).await?, ..Found::default() })
    }

    async fn delete(&mut self, id: &str, user: Option<String>) -> Result<bool> {
        let store = self.store().await?;
        match store.turn_of_response(id).await? {
            Some(turn) if turn.user_id == user => store.delete_response(id).await,
            _ => Ok(false),
        }
    }

    async fn append(&mut self, append: &Append) {
        for tries in 1.. {
            match self.write(append).await {
                Ok(()) => return,
                Err(error) if tries >= TRIES => {
                    return (self.tell)(&format!("a turn of a conversation is not kept: {}", error.message));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn write(&mut self, append: &Append) -> Result<()> {
        let Append { turn, session, head, .. } = append;
        let store = self.store().await?;
        if let Some(session) = session.as_ref().filter(|_| turn.parent != *head) {
            store.move_session(&session.id, *head, turn.parent, turn.begun_us).await?;
        }
        store.append_turn(turn, session.as_ref()).await.map(drop)
    }
}
