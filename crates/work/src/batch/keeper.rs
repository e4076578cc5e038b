//! Keeps what must survive: one thread that writes the journal, and the output from it.
//!
//! What waits is written in one go and synced once (group commit), then everybody who waited for it is told.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::mpsc;

use tokio::sync::oneshot;
use trunkline::{Error, Result};

use super::Order;
use super::journal::{Record, line_place, write_record};
use crate::fault::file;

/// Records that may wait to be written together.
const GROUP: usize = 1024;

type Told = oneshot::Sender<Result<()>>;

/// Hands records over to be kept.
pub(super) struct Keeper {
    sender: mpsc::Sender<(Record, Told)>,
    thread: Option<std::thread::JoinHandle<Result<()>>>,
}

/// The files, as they are after everything that they had has been read.
pub(super) struct Files {
    pub(super) journal: File,
    pub(super) journal_path: PathBuf,
    pub(super) journal_length: u64,
    pub(super) output: File,
    pub(super) output_path: PathBuf,
    pub(super) queue: Queue,
}

/// Which results are not in the output yet, and whose turn it is.
#[derive(Debug)]
pub(super) struct Queue {
    order: Order,
    next: u64,
    /// By the number of the line: its place in the journal.
    waiting: BTreeMap<u64, (u64, u64)>,
}

impl Queue {
    pub(super) const fn new(order: Order) -> Self {
        Queue { order, next: 1, waiting: BTreeMap::new() }
    }

    /// A result is there. Gives the places of all that may be written now, in their order.
    pub(super) fn push(&mut self, number: u64, place: (u64, u64)) -> Vec<(u64, u64)> {
        if self.order == Order::Done {
            return vec![place];
        }
        self.waiting.insert(number, place);
        let mut ready = Vec::new();
        while let Some(place) = self.waiting.remove(&self.next) {
            self.next += 1;
            ready.push(place);
        }
        ready
    }
}

impl Keeper {
    pub(super) fn start(files: Files) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let path = files.journal_path.clone();
        let thread = std::thread::Builder::new().name("batch-journal".to_owned()).spawn(move || keep(files, &receiver));
        Ok(Keeper { sender, thread: Some(thread.map_err(|error| file("write", &path, error))?) })
    }

    /// Returns when the record is on the disk.
    pub(super) fn keep(&self, record: Record) -> impl Future<Output = Result<()>> + use<> {
        let (told, news) = oneshot::channel();
        let sent = self.sender.send((record, told));
        async move {
            let gone = || crate::fault::wrong("the journal is not written any more");
            sent.map_err(|_| gone())?;
            news.await.unwrap_or_else(|_| Err(gone()))
        }
    }

    /// Waits until all is written.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.sender);
        match self.thread.take().map(std::thread::JoinHandle::join) {
            Some(Ok(done)) => done,
            _ => Err(crate::fault::wrong("the journal could not be finished")),
        }
    }
}

fn keep(mut files: Files, receiver: &mpsc::Receiver<(Record, Told)>) -> Result<()> {
    let mut failed: Option<Error> = None;
    while let Ok(first) = receiver.recv() {
        let group: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).take(GROUP).collect();
        let kept = match &failed {
            // After a write that failed nobody knows what the disk has.
            Some(error) => Err(error.clone()),
            None => files.keep(group.iter().map(|(record, _)| record)),
        };
        if let Err(error) = &kept {
            failed = Some(error.clone());
        }
        for (_, told) in group {
            let _ = told.send(kept.clone());
        }
    }
    match failed {
        Some(error) => Err(error),
        None => files.output.sync_all().map_err(|error| file("write", &files.output_path, error)),
    }
}

impl Files {
    fn keep<'r>(&mut self, group: impl Iterator<Item = &'r Record>) -> Result<()> {
        let (mut bytes, mut done) = (Vec::new(), Vec::new());
        let synced = self.journal_length;
        for record in group {
            let start = synced + bytes.len() as u64;
            let written = write_record(record, synced);
            if let Record::Done { mark, line, .. } = record {
                done.push((mark.number, line_place(&written, line, start)));
            }
            bytes.extend(written);
        }
        let written = self.journal.write_all(&bytes).and_then(|()| self.journal.sync_data());
        written.map_err(|error| file("write", &self.journal_path, error))?;
        self.journal_length = synced + bytes.len() as u64;
        let mut ready = Vec::new();
        for (number, place) in done {
            ready.extend(self.queue.push(number, place));
        }
        if ready.is_empty() {
            return Ok(());
        }
        let mut out = Vec::new();
        for place in ready {
            self.copy(place, (synced, &bytes), &mut out)?;
        }
        self.output.write_all(&out).map_err(|error| file("write", &self.output_path, error))
    }

    /// Appends the line at this place of the journal, from memory where that holds it.
    fn copy(&mut self, (start, length): (u64, u64), (from, fresh): (u64, &[u8]), out: &mut Vec<u8>) -> Result<()> {
        let within = start.checked_sub(from).and_then(|at| usize::try_from(at).ok());
        let here = within.and_then(|at| fresh.get(at..)?.get(..usize::try_from(length).ok()?));
        match here {
            Some(line) => out.extend_from_slice(line),
            None => {
                read_at(&mut self.journal, (start, length), out).map_err(|error| file("read", &self.journal_path, error))?;
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

/// Appends these bytes of a file, and leaves it at its end.
pub(super) fn read_at(from: &mut File, (start, length): (u64, u64), out: &mut Vec<u8>) -> std::io::Result<()> {
    from.seek(SeekFrom::Start(start))?;
    Read::by_ref(from).take(length).read_to_end(out)?;
    from.seek(SeekFrom::End(0))?;
    Ok(())
}
