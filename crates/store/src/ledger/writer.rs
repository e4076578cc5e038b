//! The thread that writes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use trunkline_codec::{Error, Result};

use super::spill::{Orphan, Spill};
use super::{Board, GATHER, LAST_WAIT, Options, State, Tell};
use crate::id::Ids;
use crate::row::CallRow;
use crate::store::{Opening, Store};
use crate::wrong;

/// Rows of one transaction.
const BATCH: usize = 2000;
/// How often what is kept no longer is deleted.
const TRIM_EVERY: Duration = Duration::from_secs(3600);
/// Rows that are deleted at one time: others wait meanwhile.
const TRIM_MOST: u64 = 20_000;

pub(super) struct Writer {
    options: Options,
    tell: Tell,
    board: Arc<Board>,
    closing: Arc<Notify>,
    store: Option<Store>,
    /// Whether it has been open: then it is not made anew where it has gone.
    was_open: bool,
    spill: Spill,
    /// What neither store nor spill file has taken.
    memory: Vec<CallRow>,
    /// What processes that are gone left waiting, and how much of the last one was new.
    orphans: Vec<Orphan>,
    adopted: u64,
    tried: Option<Instant>,
    trimmed: Option<Instant>,
    lost_told: bool,
}

impl Writer {
    pub(super) fn new(options: Options, tell: Tell, board: Arc<Board>, closing: Arc<Notify>) -> Self {
        let mark = Ids::new().next(SystemTime::now()).to_string();
        let spill = Spill::beside(&options.opening.path, &mark, options.spill_bytes);
        Writer {
            options,
            tell,
            board,
            closing,
            store: None,
            was_open: false,
            spill,
            memory: Vec::new(),
            orphans: Vec::new(),
            adopted: 0,
            tried: None,
            trimmed: None,
            lost_told: false,
        }
    }

    /// Takes rows until the ledger is closed.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<CallRow>) {
        self.keep(Vec::new()).await;
        let mut batch = Vec::new();
        while self.gather(&mut inbox, &mut batch).await {
            self.keep(std::mem::take(&mut batch)).await;
        }
        inbox.close();
        while let Some(row) = inbox.recv().await {
            batch.push(row);
            if batch.len() >= BATCH || inbox.is_empty() {
                self.tried = None;
                self.keep(std::mem::take(&mut batch)).await;
            }
        }
        self.end(batch).await;
    }

    /// Waits for rows, and then a little for more. False once the ledger is closing.
    async fn gather(&mut self, inbox: &mut mpsc::Receiver<CallRow>, batch: &mut Vec<CallRow>) -> bool {
        let closing = Arc::clone(&self.closing);
        let mut closing = std::pin::pin!(closing.notified());
        let pause = if self.is_behind() { self.options.pause } else { TRIM_EVERY };
        tokio::select! {
            biased;
            () = &mut closing => return false,
            count = inbox.recv_many(batch, BATCH) => if count == 0 { return false },
            () = sleep(if self.has_backlog() { Duration::ZERO } else { pause }) => return true,
        }
        if batch.len() < BATCH {
            // Not woken by each of those that come meanwhile: that would cost more than the row.
            tokio::select! {
                biased;
                () = &mut closing => return false,
                () = sleep(GATHER) => {}
            }
        }
        while batch.len() < BATCH
            && let Ok(row) = inbox.try_recv()
        {
            batch.push(row);
        }
        true
    }

    /// The store takes rows, and there are some that wait.
    fn has_backlog(&self) -> bool {
        self.board.state() == State::Ok && (self.spill.rows() > 0 || !self.orphans.is_empty())
    }

    fn is_behind(&self) -> bool {
        self.board.state() != State::Ok || self.spill.rows() > 0 || !self.memory.is_empty()
    }

    /// Brings rows to the store, or where they wait.
    async fn keep(&mut self, batch: Vec<CallRow>) {
        let mut rows = std::mem::take(&mut self.memory);
        rows.extend(batch);
        if self.board.state() == State::Ok {
            return match self.write(&rows).await {
                Ok(()) => self.catch_up().await,
                Err(error) => self.falter(&error, rows),
            };
        }
        if self.tried.is_some_and(|tried| tried.elapsed() < self.options.pause) {
            return self.set_aside(rows);
        }
        // It takes rows again when it has taken some, and not when it can be opened.
        let tried = match self.take_spilt().await {
            Ok(()) => self.write(&rows).await,
            Err(error) => Err(error),
        };
        match tried {
            Ok(()) => {
                let left = self.spill.rows();
                self.board.set(State::Ok, None);
                self.lost_told = false;
                (self.tell)(&format!("the ledger is written again; {left} rows follow from the spill file"));
            }
            Err(error) => self.falter(&error, rows),
        }
    }

    /// The store has taken rows: now some of those that wait, and what is kept no longer goes.
    async fn catch_up(&mut self) {
        if self.spill.rows() > 0 {
            if let Err(error) = self.take_spilt().await {
                return self.falter(&error, Vec::new());
            }
        } else if let Err(error) = self.adopt().await {
            return self.falter(&error, Vec::new());
        }
        let is_due = self.trimmed.is_none_or(|trimmed| trimmed.elapsed() >= TRIM_EVERY);
        if is_due && let Some(store) = &mut self.store {
            match store.trim(self.options.keep, SystemTime::now(), TRIM_MOST).await {
                Ok(gone) => self.trimmed = (gone < TRIM_MOST).then(Instant::now),
                Err(error) => {
                    self.trimmed = Some(Instant::now());
                    (self.tell)(&format!("old calls cannot be deleted from the ledger: {}", error.message));
                }
            }
        }
    }

    /// A batch of the spill file into the store.
    async fn take_spilt(&mut self) -> Result<()> {
        let lines = self.spill.next(BATCH).map_err(|error| wrong(format!("the spill file cannot be read: {error}")))?;
        self.write(&lines.rows).await?;
        self.board.lose(lines.spoilt);
        self.spill.taken(&lines);
        Ok(())
    }

    /// A batch of what a process that is gone left waiting.
    async fn adopt(&mut self) -> Result<()> {
        let (Some(mut orphan), Some(store)) = (self.orphans.pop(), &mut self.store) else { return Ok(()) };
        let Ok(lines) = orphan.next(BATCH) else { return Ok(()) };
        self.adopted += store.add(&lines.rows).await?;
        if orphan.taken(&lines) {
            self.orphans.push(orphan);
            return Ok(());
        }
        orphan.remove();
        let rows = std::mem::take(&mut self.adopted);
        if rows > 0 {
            (self.tell)(&format!("{rows} calls that an earlier run had to set aside are in the ledger now"));
        }
        Ok(())
    }

    /// Writes rows; a store that takes too long counts as gone. A row that arrives twice is there once.
    async fn write(&mut self, rows: &[CallRow]) -> Result<()> {
        self.tried = Some(Instant::now());
        let patience = self.options.patience;
        let mut store = match self.store.take() {
            Some(store) => store,
            None => timeout(patience, self.open()).await.map_err(|_| late())??,
        };
        if !store.is_there() {
            let path = store.path().display().to_string();
            store.close().await;
            return Err(wrong(format!("the store {path} is not where it was; put it back, or start anew")));
        }
        if !rows.is_empty() {
            // A store that has not answered is dropped with its connection: half a transaction is none.
            timeout(patience, store.add(rows)).await.map_err(|_| late())??;
            self.board.written.fetch_add(rows.len() as u64, Relaxed);
        }
        self.store = Some(store);
        Ok(())
    }

    async fn open(&mut self) -> Result<Store> {
        let opening = Opening { create: self.options.opening.create && !self.was_open, ..self.options.opening.clone() };
        let store = Store::open(&opening).await?;
        self.was_open = true;
        // One that is locked belongs to a process that runs.
        let others = self.spill.orphans(store.path()).into_iter();
        self.orphans = others.filter_map(|path| Orphan::open(path).ok()).collect();
        Ok(store)
    }

    /// The store took nothing.
    fn falter(&mut self, error: &Error, rows: Vec<CallRow>) {
        if self.board.state() == State::Ok {
            (self.tell)(&format!("the ledger cannot be written, calls go on and their rows wait: {}", error.message));
            self.board.set(State::Waiting, Some(error.message.clone()));
        }
        self.set_aside(rows);
    }

    /// Rows to the spill file, else into memory, else nowhere.
    fn set_aside(&mut self, mut rows: Vec<CallRow>) {
        if rows.is_empty() {
            return;
        }
        let Err(error) = self.spill.add(&rows) else { return };
        let most = self.options.memory;
        let lost = rows.len().saturating_sub(most) as u64;
        rows.truncate(most);
        self.memory = rows;
        if lost > 0 {
            self.board.lose(lost);
            self.lose(&error.to_string());
        }
    }

    fn lose(&mut self, why: &str) {
        self.board.set(State::Losing, Some(format!("there is no more room for rows: {why}")));
        if !self.lost_told {
            self.lost_told = true;
            (self.tell)(&format!("the ledger loses rows: neither store nor spill file takes them ({why})"));
        }
    }

    /// The last rows, and what waits in memory.
    async fn end(mut self, batch: Vec<CallRow>) {
        self.tried = None;
        self.keep(batch).await;
        let begun = Instant::now();
        while self.board.state() == State::Ok && self.spill.rows() > 0 && begun.elapsed() < LAST_WAIT {
            self.keep(Vec::new()).await;
        }
        let (waiting, memory) = (self.spill.rows(), self.memory.len() as u64);
        if waiting > 0 {
            (self.tell)(&format!("{waiting} rows of the ledger wait in its spill file for the next start"));
        }
        if memory > 0 {
            self.board.lose(memory);
            (self.tell)(&format!("{memory} rows of the ledger are lost: nothing took them"));
        }
        if let Some(store) = self.store.take() {
            store.close().await;
        }
    }
}

fn late() -> Error {
    wrong("the store does not answer")
}
