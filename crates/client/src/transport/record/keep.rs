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
use super::{EXCHANGE_LIMIT, Plain, With};
use crate::codec::Result;
use crate::config::wrong;
use crate::transport::{Failure, Payload, Reply, Transport};

/// Bytes of requests and replies that are held at a time, for all exchanges together.
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
            last = last.max(number(&entry.map_err(fails)?.file_name().to_string_lossy()).unwrap_or(0));
        }
        let (sender, receiver) = sync_channel(WAITING);
        let writing = Writing { folder: folder.to_owned(), told: Arc::clone(&told) };
        let held = Arc::default();
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

/// The number that a recording's name begins with.
pub(super) fn number(name: &str) -> Option<u64> {
    name.split('-').next()?.parse().ok()
}

/// How many others had the name before: `000007-house-m+2.json` is the second of its name, by another process.
pub(super) fn turn(name: &str) -> u32 {
    let turn = name.trim_end_matches(".json").rsplit_once('+').and_then(|(_, turn)| turn.parse().ok());
    turn.unwrap_or(1)
}

impl Desk {
    /// A number for the next exchange.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Room for what one side of an exchange says.
    pub(super) fn room(&self) -> Room {
        Room { held: Arc::clone(&self.held), size: 0 }
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
        (self.told)(&lost(draft.number, &draft.with.target, why));
    }
}

/// How much of what may be held together is taken by one side of an exchange; given back with it.
pub(super) struct Room {
    held: Arc<AtomicUsize>,
    size: usize,
}

impl Room {
    /// Makes room for a piece of this length, if there is any.
    pub(super) fn take(&mut self, length: usize) -> bool {
        if self.size.saturating_add(length) > EXCHANGE_LIMIT {
            return false;
        }
        let fits = self.held.fetch_add(length, Ordering::Relaxed).saturating_add(length) <= HELD_LIMIT;
        match fits {
            true => self.size += length,
            false => _ = self.held.fetch_sub(length, Ordering::Relaxed),
        }
        fits
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held.fetch_sub(self.size, Ordering::Relaxed);
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
    told: Told,
}

impl Writing {
    fn run(&self, drafts: &Receiver<Box<Draft>>) {
        while let Ok(draft) = drafts.recv() {
            let (number, target) = (draft.number, draft.with.target.clone());
            let written = match draft.write() {
                Ok((name, text)) => self.write(&name, &text).map_err(|error| error.to_string()),
                Err(why) => Err(why.to_owned()),
            };
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
            let name = if turn == 1 { format!("{name}.json") } else { format!("{name}+{turn}.json") };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_until_it_is_let_go() {
        let held = Arc::new(AtomicUsize::new(0));
        let room = || Room { held: Arc::clone(&held), size: 0 };
        let mut all: Vec<Room> = (0..4).map(|_| room()).collect();
        assert!(all.iter_mut().all(|room| room.take(EXCHANGE_LIMIT) && !room.take(1)), "each has its own limit");
        let mut more = room();
        assert!(!more.take(1), "and all together have one");
        assert_eq!(held.load(Ordering::Relaxed), HELD_LIMIT);
        all.pop();
        assert!(more.take(1));
        drop((all, more));
        assert_eq!(held.load(Ordering::Relaxed), 0);
    }
}
