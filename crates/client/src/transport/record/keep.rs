//! The recorder: where exchanges are handed in, and the thread that writes them down.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::SystemTime;

use http::Request;

use super::tape::{Draft, Tape};
use super::{Plain, With};
use crate::codec::Result;
use crate::config::wrong;
use crate::transport::{Failure, Payload, Reply, Transport};

/// Bytes of replies that are held at a time, for all exchanges together.
const HELD_LIMIT: usize = 256 * 1024 * 1024;
/// Exchanges that wait to be written.
const WAITING: usize = 1024;

/// Told what the operator should know.
pub(crate) type Told = Arc<dyn Fn(&str) + Send + Sync>;

/// Keeps exchanges in a folder.
pub(crate) struct Keeper(Arc<Desk>);

/// Where exchanges are handed in. The last to leave waits until all is written.
pub(super) struct Desk {
    sender: Option<SyncSender<Box<Draft>>>,
    writer: Option<JoinHandle<()>>,
    next: AtomicU64,
    held: Arc<AtomicUsize>,
    told: Told,
}

impl Keeper {
    /// Keeps exchanges in this folder, which is made if it is not there, behind those that are in it already.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub(crate) fn open(folder: &Path, told: Told) -> Result<Self> {
        let fails = |error: std::io::Error| wrong(format!("record: cannot use the folder {}: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(fails)?;
        let mut last = 0;
        for entry in fs::read_dir(folder).map_err(fails)? {
            last = last.max(number(&entry.map_err(fails)?.file_name().to_string_lossy()));
        }
        let (sender, receiver) = sync_channel(WAITING);
        let held = Arc::new(AtomicUsize::new(0));
        let writing = Writing { folder: folder.to_owned(), held: Arc::clone(&held), told: Arc::clone(&told) };
        let writer = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || writing.run(&receiver));
        let writer = Some(writer.map_err(fails)?);
        Ok(Keeper(Arc::new(Desk { sender: Some(sender), writer, next: AtomicU64::new(last + 1), held, told })))
    }

    /// Sends a request by `wire` and listens in. What comes of it is what would have come without.
    pub(crate) async fn listen(
        &self,
        what: (With, Plain),
        request: Request<Payload>,
        wire: &dyn Transport,
        now: SystemTime,
    ) -> Result<Reply, Failure> {
        let (request, tape) = Tape::begin(&self.0, what, request, now);
        match wire.send(request).await {
            Ok(reply) => Ok(tape.keep(reply)),
            Err(failure) => {
                tape.fail(&failure);
                Err(failure)
            }
        }
    }
}

/// The number that a recording's name begins with; 0 for anything else.
fn number(name: &str) -> u64 {
    name.split('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

impl Desk {
    /// A number for the next exchange.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes room for a piece of this length, if there is any.
    pub(super) fn has_room_for(&self, length: usize) -> bool {
        let fits = self.held.fetch_add(length, Ordering::Relaxed).saturating_add(length) <= HELD_LIMIT;
        if !fits {
            self.held.fetch_sub(length, Ordering::Relaxed);
        }
        fits
    }

    /// Hands an exchange in.
    pub(super) fn take(&self, draft: Box<Draft>) {
        let refused = self.sender.as_ref().and_then(|sender| sender.try_send(draft).err());
        if let Some(std::sync::mpsc::TrySendError::Full(draft) | std::sync::mpsc::TrySendError::Disconnected(draft)) = refused {
            self.give_up(&draft, "too many wait to be written");
        }
    }

    /// An exchange that is not kept.
    pub(super) fn give_up(&self, draft: &Draft, why: &str) {
        self.held.fetch_sub(draft.size, Ordering::Relaxed);
        (self.told)(&lost(draft.number, &draft.with.target, why));
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn lost(number: u64, target: &str, why: &str) -> String {
    format!("record: exchange {number}, with {target}, is not kept: {why}")
}

/// The thread that writes.
struct Writing {
    folder: PathBuf,
    held: Arc<AtomicUsize>,
    told: Told,
}

impl Writing {
    fn run(&self, drafts: &Receiver<Box<Draft>>) {
        while let Ok(draft) = drafts.recv() {
            let (number, target, size) = (draft.number, draft.with.target.clone(), draft.size);
            let written = match draft.write() {
                Ok((name, text)) => self.write(&name, &text).map_err(|error| error.to_string()),
                Err(why) => Err(why.to_owned()),
            };
            self.held.fetch_sub(size, Ordering::Relaxed);
            if let Err(why) = written {
                (self.told)(&lost(number, &target, &why));
            }
        }
    }

    /// Whoever looks into the folder sees the whole file or none, and no file is written over.
    fn write(&self, name: &str, text: &[u8]) -> std::io::Result<()> {
        let draft = self.folder.join(format!(".{name}.{}.part", std::process::id()));
        fs::write(&draft, text)?;
        let placed = (1..100).find_map(|turn| {
            let name = if turn == 1 { format!("{name}.json") } else { format!("{name}-{turn}.json") };
            match place(&draft, &self.folder.join(name)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                done => Some(done),
            }
        });
        let _ = fs::remove_file(&draft);
        placed.unwrap_or_else(|| Err(ErrorKind::AlreadyExists.into()))
    }
}

/// Gives a file its name unless that is taken.
fn place(draft: &Path, name: &Path) -> std::io::Result<()> {
    match fs::hard_link(draft, name) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // Not every file system has links.
        Err(_) if name.exists() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(draft, name),
        done => done,
    }
}
