//! How calls get into the store: off their way, bounded, and while the store is slow, full or gone, by a file beside it.
//!
//! [`Ledger::record`] puts a row into a queue and returns. A thread of its own takes what has come, up to [`GATHER`] long,
//! and writes it in one transaction; while the store keeps it waiting, it goes on taking what comes. What the store does not
//! take goes to the spill file, from there into the store as soon as it takes rows again, each once, because a row has its id
//! from the beginning. What neither takes waits in memory, and what is too much for that is lost, counted and said.

mod spill;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};

use crate::row::CallRow;
use crate::store::Opening;
use crate::trim::Retention;
use writer::Writer;

pub(crate) use spill::adopt_all;

/// Calls that come so close to one another are written together: how much a sudden end may lose.
const GATHER: Duration = Duration::from_millis(200);
/// Rows of one transaction.
const BATCH: usize = 2000;
/// How long [`Ledger::close`] waits.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Is told what the operator should know, one sentence each. Must not block for long.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// How a ledger behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The store.
    pub opening: Opening,
    /// How long calls are kept.
    pub keep: Retention,
    /// Rows that wait for the thread that writes.
    pub queue: usize,
    /// Rows that wait in memory while neither store nor spill file takes them.
    pub memory: usize,
    /// Bytes that all rows may have that wait in the queue and in memory; about. Where they have more, they lose what was said
    /// in their calls, which is the most of them, and keep the rest.
    pub bytes: u64,
    /// Bytes that the spill file may have.
    pub spill_bytes: u64,
    /// After so long a store counts as gone.
    pub patience: Duration,
    /// Between two tries with a store that took nothing.
    pub pause: Duration,
}

impl Options {
    /// The usual: a store at this place.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Options {
            opening: Opening::at(path),
            keep: Retention::default(),
            queue: 16 * 1024,
            memory: 16 * 1024,
            bytes: 64 * 1024 * 1024,
            spill_bytes: 256 * 1024 * 1024,
            patience: Duration::from_secs(3),
            pause: Duration::from_secs(1),
        }
    }
}

/// Whether rows arrive in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They do.
    Ok,
    /// They wait in the spill file or in memory.
    Waiting,
    /// The newest are lost.
    Losing,
}

/// How the ledger is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// In a word.
    pub state: State,
    /// Rows in the store, since the start.
    pub written: u64,
    /// Rows that wait.
    pub waiting: u64,
    /// Rows that could not be kept.
    pub lost: u64,
    /// Why rows wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What the thread that writes tells everybody else.
#[derive(Default)]
struct Board {
    state: AtomicU8,
    recorded: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
    /// Bytes of the rows that wait in the queue and in memory.
    held: AtomicU64,
    /// Rows that lost what was said in their calls.
    bared: AtomicU64,
    /// Whether it has been told that rows are lost.
    lost_told: AtomicBool,
    why: Mutex<Option<String>>,
}

impl Board {
    fn state(&self) -> State {
        match self.state.load(Relaxed) {
            0 => State::Ok,
            1 => State::Waiting,
            _ => State::Losing,
        }
    }

    fn set(&self, state: State, why: Option<String>) {
        self.state.store(state as u8, Relaxed);
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// So many rows are lost. It is told once, until rows are written again.
    fn lose(&self, rows: u64, why: &str, tell: &Tell) {
        self.lost.fetch_add(rows, Relaxed);
        self.set(State::Losing, Some(format!("there is no more room for rows: {why}")));
        if !self.lost_told.swap(true, Relaxed) {
            tell(&format!("the ledger loses rows: {why}"));
        }
    }

    /// Makes room for a row, which costs it its words where there is none.
    fn hold(&self, row: &mut CallRow, most: u64) {
        let held = self.held.fetch_add(row.weight(), Relaxed) + row.weight();
        if held > most && row.texts.is_some() {
            let before = row.weight();
            row.texts = None;
            self.held.fetch_sub(before - row.weight(), Relaxed);
            self.bared.fetch_add(1, Relaxed);
        }
    }

    /// These rows wait no longer, or not in memory.
    fn release(&self, rows: &[CallRow]) {
        self.held.fetch_sub(rows.iter().map(CallRow::weight).sum(), Relaxed);
    }
}

/// Takes the rows of calls. Clones are the same ledger.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    options: Options,
    tell: Tell,
    board: Arc<Board>,
    running: OnceLock<Running>,
    closed: AtomicU8,
}

/// The thread that writes.
struct Running {
    /// `None`: there is no thread.
    inbox: Option<mpsc::Sender<CallRow>>,
    closing: Arc<Notify>,
    /// Says that it has ended.
    ended: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Ledger {
    /// A ledger. Nothing is opened before the first row, or [`Ledger::start`].
    pub fn new(options: Options, tell: Tell) -> Self {
        let board = Arc::default();
        Ledger(Arc::new(Inner { options, tell, board, running: OnceLock::new(), closed: AtomicU8::new(0) }))
    }

    /// Opens the store now, so that what is wrong with it is told now, and takes in what an earlier end left waiting.
    pub fn start(&self) {
        self.running();
    }

    /// Takes a row. Does not block; a row for which there is no room is counted as lost.
    pub fn record(&self, row: CallRow) {
        let Inner { options, tell, board, .. } = &*self.0;
        board.recorded.fetch_add(1, Relaxed);
        let Some(inbox) = &self.running().inbox else {
            board.lost.fetch_add(1, Relaxed);
            return;
        };
        let mut row = row;
        board.hold(&mut row, options.bytes);
        match inbox.try_send(row) {
            Ok(()) => {}
            Err(TrySendError::Full(row)) => {
                board.release(std::slice::from_ref(&row));
                board.lose(1, "more of them come than are written", tell);
            }
            // It was closed, and says no more.
            Err(TrySendError::Closed(row)) => {
                board.release(std::slice::from_ref(&row));
                board.lost.fetch_add(1, Relaxed);
            }
        }
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let board = &self.0.board;
        let (written, lost) = (board.written.load(Relaxed), board.lost.load(Relaxed));
        let waiting = board.recorded.load(Relaxed).saturating_sub(written).saturating_sub(lost);
        let why = board.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Status { state: board.state(), written, waiting, lost, why }
    }

    /// Writes what has come, and ends. Blocks for some seconds at most; what comes later is lost.
    pub fn close(&self) {
        if self.0.closed.swap(1, Relaxed) == 1 {
            return;
        }
        if let Some(running) = self.0.running.get() {
            running.closing.notify_one();
            let ended = running.ended.lock().unwrap_or_else(PoisonError::into_inner);
            // It has ended, or it takes too long: in both cases that is all.
            let _ = ended.recv_timeout(LAST_WAIT + self.0.options.patience);
        }
    }

    fn running(&self) -> &Running {
        self.0.running.get_or_init(|| {
            let Inner { options, tell, board, .. } = &*self.0;
            let (inbox, rows) = mpsc::channel(options.queue.max(1));
            let (end, ended) = std::sync::mpsc::channel();
            let closing = Arc::new(Notify::new());
            let writer = Writer::new(options.clone(), Arc::clone(tell), Arc::clone(board), Arc::clone(&closing), rows);
            let body = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                if let Ok(runtime) = runtime {
                    runtime.block_on(writer.run());
                }
                drop(end);
            };
            let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(body);
            if let Err(error) = &thread {
                tell(&format!("the ledger has no thread, calls are not recorded: {error}"));
                board.set(State::Losing, Some(error.to_string()));
            }
            Running { inbox: thread.is_ok().then_some(inbox), closing, ended: Mutex::new(ended) }
        })
    }
}
