//! The thread that writes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use trunkline_codec::{Error, Result};

use super::spill::{Orphan, Spill, files};
use super::{BATCH, Board, GATHER, LAST_WAIT, Options, State, Tell};
use crate::id::Ids;
use crate::row::CallRow;
use crate::store::{Opening, Store};
use crate::wrong;

/// Bytes of one, after which no row more is added.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// How often what is kept no longer is deleted.
const TRIM_EVERY: Duration = Duration::from_secs(3600);
/// Rows that are deleted at one time: others wait meanwhile.
const TRIM_MOST: u64 = 2000;
/// It may take longer than writing: so many times.
const TRIM_PATIENCE: u32 = 10;
/// What waits for a store longer than this is set aside on the disk: it is how much a sudden end may lose.
const UNSAFE_MOST: Duration = Duration::from_millis(600);
/// How often it is told that texts were left out.
const TEXTS_TOLD_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    options: Options,
    tell: Tell,
    board: Arc<Board>,
    closing: Arc<Notify>,
    inbox: mpsc::Receiver<CallRow>,
    store: Option<Store>,
    /// Whether it has been open: then it is not made anew where it has gone.
    was_open: bool,
    spill: Spill,
    /// What has come, and neither store nor spill file has taken.
    memory: Vec<CallRow>,
    /// Room for the next: to grow anew for every batch costs more than to write it.
    spare: Vec<CallRow>,
    /// What processes that are gone left waiting, and how much of the last one was new.
    orphans: Vec<Orphan>,
    adopted: u64,
    /// Rows of one transaction: fewer after one that took too long.
    batch: usize,
    tried: Option<Instant>,
    trimmed: Option<Instant>,
    over_told: bool,
    /// How many rows without their texts were told of, and when.
    bared: (u64, Option<Instant>),
}

impl Writer {
    pub(super) fn new(
        options: Options,
        tell: Tell,
        board: Arc<Board>,
        closing: Arc<Notify>,
        inbox: mpsc::Receiver<CallRow>,
    ) -> Self {
        let mark = Ids::new().next(SystemTime::now()).to_string();
        let spill = Spill::beside(&options.opening.path, &mark, options.spill_bytes);
        Writer {
            options,
            tell,
            board,
            closing,
            inbox,
            store: None,
            was_open: false,
            spill,
            memory: Vec::new(),
            spare: Vec::new(),
            orphans: Vec::new(),
            adopted: 0,
            batch: BATCH,
            tried: None,
            trimmed: None,
            over_told: false,
            bared: (0, None),
        }
    }

    /// Takes rows until the ledger is closed.
    pub(super) async fn run(mut self) {
        self.keep().await;
        while self.gather().await {
            self.keep().await;
            self.tell_bared(false);
        }
        self.inbox.close();
        self.end().await;
    }

    /// Waits for rows, and then a little for more. False once the ledger is closing.
    async fn gather(&mut self) -> bool {
        let closing = Arc::clone(&self.closing);
        let mut closing = pin!(closing.notified());
        let before = self.memory.len();
        let pause = match self.board.state() {
            State::Ok if self.has_backlog() => Duration::ZERO,
            // They came while others were written.
            State::Ok if !self.memory.is_empty() => GATHER,
            State::Ok => TRIM_EVERY,
            _ => self.options.pause,
        };
        tokio::select! {
            biased;
            () = &mut closing => return false,
            count = self.inbox.recv_many(&mut self.memory, BATCH) => if count == 0 { return false },
            () = sleep(pause) => return true,
        }
        if self.memory.len() - before < BATCH {
            // Not woken by each of those that come meanwhile: that would cost more than the row.
            tokio::select! {
                biased;
                () = &mut closing => return false,
                () = sleep(GATHER) => {}
            }
        }
        self.drain();
        true
    }

    /// Takes what has come out of the queue, at most as much as fits into it.
    fn drain(&mut self) {
        for _ in 0..self.options.queue.max(BATCH) {
            let Ok(row) = self.inbox.try_recv() else { return };
            self.memory.push(row);
        }
    }

    /// Waits for the store, and takes what comes meanwhile out of the queue, on to the disk if it takes longer.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(GATHER) => {}
            }
            self.drain();
            if begun.elapsed() >= UNSAFE_MOST {
                let rows = std::mem::take(&mut self.memory);
                self.set_aside(rows);
            }
        }
    }

    /// There are rows that a store waits for, or some that it has to delete.
    fn has_backlog(&self) -> bool {
        self.store.is_some() && (self.spill.rows() > 0 || !self.orphans.is_empty() || self.trimmed.is_none())
    }

    /// Brings what has come to the store, or where it waits.
    async fn keep(&mut self) {
        let mut rows = std::mem::replace(&mut self.memory, std::mem::take(&mut self.spare));
        if self.board.state() == State::Ok {
            return match self.write(&mut rows).await {
                Ok(()) => {
                    rows.shrink_to(BATCH);
                    self.spare = rows;
                    self.catch_up().await;
                }
                Err(error) => self.falter(&error, rows),
            };
        }
        if self.tried.is_some_and(|tried| tried.elapsed() < self.options.pause) {
            return self.set_aside(rows);
        }
        // It takes rows again when it has taken some, and not when it can be opened.
        let tried = match self.take_spilt().await {
            Ok(()) => self.write(&mut rows).await,
            Err(error) => Err(error),
        };
        match tried {
            Ok(()) => {
                let left = self.spill.rows();
                self.board.set(State::Ok, None);
                self.board.lost_told.store(false, Relaxed);
                (self.tell)(&format!("the ledger is written again; {left} rows follow from the spill file"));
            }
            Err(error) => self.falter(&error, rows),
        }
    }

    /// The store has taken rows: now some of those that wait, and what is kept no longer goes.
    async fn catch_up(&mut self) {
        let done = if self.spill.rows() > 0 { self.take_spilt().await } else { self.adopt().await };
        if let Err(error) = done {
            return self.falter(&error, Vec::new());
        }
        if self.trimmed.is_none_or(|trimmed| trimmed.elapsed() >= TRIM_EVERY) {
            self.trim().await;
        }
    }

    /// Deletes some of what is kept no longer.
    async fn trim(&mut self) {
        let Some(mut store) = self.store.take() else { return };
        let patience = self.options.patience * TRIM_PATIENCE;
        let work = store.trim(self.options.keep, SystemTime::now(), TRIM_MOST);
        let Ok(done) = self.meanwhile(timeout(patience, work)).await else {
            self.trimmed = Some(Instant::now());
            return self.falter(&late(), Vec::new());
        };
        self.store = Some(store);
        match done {
            Ok(done) => {
                self.trimmed = (done.rows < TRIM_MOST).then(Instant::now);
                self.tell_over(done.over);
            }
            Err(error) => {
                self.trimmed = Some(Instant::now());
                (self.tell)(&format!("old calls cannot be deleted from the ledger: {}", error.message));
            }
        }
    }

    /// The file is larger than it may be, though all has gone that may go. Told once, until it is smaller.
    fn tell_over(&mut self, over: Option<u64>) {
        if let (Some(bytes), Some(most), false) = (over, self.options.keep.bytes, self.over_told) {
            let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
            (self.tell)(&format!(
                "the store has {} MB and max_megabytes is {}, but nothing in it that may be deleted is older than an hour: \
                 give it more room",
                megabytes(bytes),
                megabytes(most)
            ));
        }
        self.over_told = over.is_some();
    }

    /// A batch of the spill file into the store.
    async fn take_spilt(&mut self) -> Result<()> {
        let lines = self.spill.next(self.batch);
        let lines = lines.map_err(|error| wrong(format!("the spill file cannot be read: {error}")))?;
        self.add(&lines.rows).await?;
        self.board.written.fetch_add(lines.rows.len() as u64, Relaxed);
        if lines.spoilt > 0 {
            self.board.lost.fetch_add(lines.spoilt, Relaxed);
            (self.tell)(&format!("{} lines of the ledger's spill file cannot be read, and are lost", lines.spoilt));
        }
        self.spill.taken(&lines);
        Ok(())
    }

    /// A batch of what a process that is gone left waiting.
    async fn adopt(&mut self) -> Result<()> {
        let Some(mut orphan) = self.orphans.pop() else { return Ok(()) };
        let Ok(lines) = orphan.next(self.batch) else { return Ok(()) };
        self.adopted += self.add(&lines.rows).await?;
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

    /// Writes rows, batch by batch. Those that are left in the list were not written.
    async fn write(&mut self, rows: &mut Vec<CallRow>) -> Result<()> {
        loop {
            let some = rows.get(..portion(rows, self.batch)).unwrap_or_default();
            self.add(some).await?;
            self.board.release(some);
            self.board.written.fetch_add(some.len() as u64, Relaxed);
            let written = some.len();
            rows.drain(..written);
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// Writes rows in one transaction; a store that takes too long counts as gone. A row that arrives twice is there once. How
    /// many were new.
    async fn add(&mut self, rows: &[CallRow]) -> Result<u64> {
        self.tried = Some(Instant::now());
        let patience = self.options.patience;
        let mut store = match self.store.take() {
            Some(store) => store,
            None => self.open().await?,
        };
        if !store.is_there() {
            let path = store.path().display().to_string();
            self.meanwhile(timeout(patience, store.close())).await.unwrap_or_default();
            return Err(wrong(format!("the store {path} is not where it was; put it back, or start anew")));
        }
        let mut new = 0;
        if !rows.is_empty() {
            let begun = Instant::now();
            // A store that has not answered is dropped with its connection: half a transaction is none.
            let Ok(added) = self.meanwhile(timeout(patience, store.add(rows))).await else {
                self.batch = (rows.len() / 2).max(1);
                return Err(late());
            };
            new = added?;
            // Twice as many take twice as long: that must be well within the patience.
            if begun.elapsed() < patience / 4 {
                self.batch = (self.batch * 2).min(BATCH);
            }
        }
        self.store = Some(store);
        Ok(new)
    }

    async fn open(&mut self) -> Result<Store> {
        let opening = Opening { create: self.options.opening.create && !self.was_open, ..self.options.opening.clone() };
        let opened = self.meanwhile(timeout(self.options.patience, Store::open(&opening))).await;
        let store = opened.map_err(|_| late())??;
        self.was_open = true;
        // One that is locked belongs to a process that runs, be it this one: also those of before.
        self.orphans.clear();
        self.orphans = files(store.path()).into_iter().filter_map(|path| Orphan::open(path).ok()).collect();
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

    /// Rows, and those that have come since, to the spill file, else into memory, else nowhere.
    fn set_aside(&mut self, mut rows: Vec<CallRow>) {
        rows.append(&mut self.memory);
        let mut safe = 0;
        let refused = loop {
            let rest = rows.get(safe..).unwrap_or_default();
            if rest.is_empty() {
                break None;
            }
            let some = rest.get(..portion(rest, BATCH)).unwrap_or(rest);
            match self.spill.add(some) {
                Ok(bared) => self.board.bared.fetch_add(bared, Relaxed),
                Err(error) => break Some(error),
            };
            self.board.release(some);
            safe += some.len();
        };
        rows.drain(..safe);
        let lost = rows.split_off(rows.len().min(self.options.memory));
        self.memory = rows;
        if let Some(error) = refused.filter(|_| !lost.is_empty()) {
            self.board.release(&lost);
            let why = format!("neither store nor spill file takes them ({error})");
            self.board.lose(lost.len() as u64, &why, &self.tell);
        }
    }

    /// Tells how many rows lost what was said in their calls: now and then, or `last`.
    fn tell_bared(&mut self, last: bool) {
        let (bared, (told, at)) = (self.board.bared.load(Relaxed), self.bared);
        if bared > told && (last || at.is_none_or(|at| at.elapsed() >= TEXTS_TOLD_EVERY)) {
            self.bared = (bared, Some(Instant::now()));
            let calls = bared - told;
            (self.tell)(&format!("{calls} calls are recorded without what was said: the rows that wait have no room for it"));
        }
    }

    /// The last rows, and what waits in memory.
    async fn end(mut self) {
        loop {
            self.drain();
            self.tried = None;
            self.keep().await;
            if self.inbox.is_empty() {
                break;
            }
        }
        let begun = Instant::now();
        while self.board.state() == State::Ok && self.spill.rows() > 0 && begun.elapsed() < LAST_WAIT {
            self.keep().await;
        }
        self.tell_bared(true);
        let (waiting, memory) = (self.spill.rows(), self.memory.len() as u64);
        if waiting > 0 {
            (self.tell)(&format!("{waiting} rows of the ledger wait in its spill file for the next start"));
        }
        if memory > 0 {
            self.board.lost.fetch_add(memory, Relaxed);
            (self.tell)(&format!("{memory} rows of the ledger are lost: nothing took them"));
        }
        if let Some(store) = self.store.take() {
            store.close().await;
        }
    }
}

/// How many of these rows go together: `most`, or fewer where they are large.
fn portion(rows: &[CallRow], most: usize) -> usize {
    let mut bytes = 0;
    let fits = rows.iter().take(most).take_while(|row| {
        let fits = bytes < BATCH_BYTES;
        bytes += row.weight();
        fits
    });
    fits.count()
}

fn late() -> Error {
    wrong("the store does not answer")
}
