//! The log file: a line a call, and a line for each thing that the operator should know. Written by a thread of its own,
//! bounded; a disk that is full holds no call up.

mod file;
mod line;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use trunkline::config::{LogConfig, LogLevel};
use trunkline_store::{CallRow, Tell};

use file::File;
use line::Shape;

/// Lines that wait for the thread, and the bytes that these may have, by estimate.
const MOST: usize = 16 * 1024;
const ROOM: usize = 64 * 1024 * 1024;
/// Lines that come so close to one another are written together.
const GATHER: Duration = Duration::from_millis(100);

/// One line to be.
pub(crate) enum Entry {
    Call(Box<CallRow>),
    Notice { time: SystemTime, level: LogLevel, text: String },
}

impl Entry {
    /// About how much memory it takes, beyond what all take.
    fn bytes(&self) -> usize {
        match self {
            Entry::Call(row) => {
                let texts = row.texts.iter().flat_map(|texts| texts.request.iter().chain(&texts.answer));
                texts.map(String::len).sum()
            }
            Entry::Notice { text, .. } => text.len(),
        }
    }
}

/// An open log.
pub(crate) struct Log {
    desk: Arc<Desk>,
    thread: Mutex<Option<JoinHandle<()>>>,
    has_texts: bool,
}

/// What callers and the thread share.
#[derive(Default)]
struct Desk {
    inbox: Mutex<Inbox>,
    bell: Condvar,
    written: AtomicU64,
    lost: AtomicU64,
}

#[derive(Default)]
struct Inbox {
    entries: Vec<Entry>,
    bytes: usize,
    closed: bool,
}

/// How many lines there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) written: u64,
    pub(crate) lost: u64,
}

impl Log {
    /// The log of this configuration; `None` when it names no file. `tell` is told what cannot be written into it.
    ///
    /// # Errors
    /// When the file cannot be opened, or there is no thread.
    pub(crate) fn open(config: &LogConfig, tell: Tell) -> io::Result<Option<Self>> {
        let Some(path) = &config.file else { return Ok(None) };
        let file = File::open(path, config)?;
        let desk = Arc::new(Desk::default());
        let mut writer =
            Writer { desk: Arc::clone(&desk), file, shape: Shape::of(config), due: 0.0, sample: config.sample, tell, missing: 0 };
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        Ok(Some(Log { desk, thread: Mutex::new(Some(thread)), has_texts: !config.redact }))
    }

    /// Whether its lines have what was said in calls.
    pub(crate) const fn has_texts(&self) -> bool {
        self.has_texts
    }

    /// Takes a line. Does not block; one for which there is no room is counted as lost.
    pub(crate) fn take(&self, entry: Entry) {
        let mut inbox = self.desk.inbox();
        if inbox.closed || inbox.entries.len() >= MOST || inbox.bytes >= ROOM {
            self.desk.lost.fetch_add(1, Relaxed);
            return;
        }
        inbox.bytes += entry.bytes();
        inbox.entries.push(entry);
        // The thread is woken by the first and then looks by itself.
        if inbox.entries.len() == 1 {
            self.desk.bell.notify_one();
        }
    }

    pub(crate) fn lines(&self) -> Lines {
        Lines { written: self.desk.written.load(Relaxed), lost: self.desk.lost.load(Relaxed) }
    }

    /// Writes what has come, and ends.
    pub(crate) fn close(&self) {
        self.desk.inbox().closed = true;
        self.desk.bell.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().for_each(|thread| _ = thread.join());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

impl Desk {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines; `None` once there are no more.
    fn next(&self) -> Option<Vec<Entry>> {
        let mut inbox = self.inbox();
        while inbox.entries.is_empty() {
            if inbox.closed {
                return None;
            }
            inbox = self.bell.wait(inbox).unwrap_or_else(PoisonError::into_inner);
        }
        // Only the end cuts this short.
        let waited = self.bell.wait_timeout_while(inbox, GATHER, |inbox| !inbox.closed);
        let (mut inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inbox.bytes = 0;
        Some(std::mem::take(&mut inbox.entries))
    }
}

struct Writer {
    desk: Arc<Desk>,
    file: File,
    shape: Shape,
    sample: f64,
    /// How much of a good call is due.
    due: f64,
    tell: Tell,
    /// Lines that the file has not taken since it last took one.
    missing: u64,
}

impl Writer {
    fn run(&mut self) {
        while let Some(entries) = self.desk.next() {
            let (mut bytes, mut lines) = (Vec::with_capacity(entries.len() * 512), 0);
            for entry in &entries {
                if self.is_wanted(entry) {
                    self.shape.write(entry, &mut bytes);
                    lines += 1;
                }
            }
            if lines > 0 {
                self.put(&bytes, lines);
            }
        }
    }

    fn is_wanted(&mut self, entry: &Entry) -> bool {
        let level = line::level(entry);
        if level < self.shape.level {
            return false;
        }
        if !matches!(entry, Entry::Call(_)) || level > LogLevel::Info {
            return true;
        }
        self.due += self.sample;
        let is_due = self.due >= 1.0;
        self.due -= f64::from(u8::from(is_due));
        is_due
    }

    fn put(&mut self, bytes: &[u8], lines: u64) {
        match self.file.write(bytes) {
            Ok(()) => {
                self.desk.written.fetch_add(lines, Relaxed);
                if let Some(error) = self.file.take_fault() {
                    let path = self.file.path().display();
                    (self.tell)(&format!("the log {path} cannot be put away and grows on: {error}"));
                }
                if self.missing > 0 {
                    let missing = std::mem::take(&mut self.missing);
                    (self.tell)(&format!("the log is written again; {missing} lines of it are lost"));
                }
            }
            Err(error) => {
                if self.missing == 0 {
                    let path = self.file.path().display();
                    (self.tell)(&format!("the log {path} cannot be written, calls go on and their lines are lost: {error}"));
                }
                self.missing += lines;
                self.desk.lost.fetch_add(lines, Relaxed);
            }
        }
    }
}
