//! Texts of calls, where the configuration asks for them: kept while the call runs, made readable and freed of secrets by
//! a thread of its own, and then recorded with the call's row.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trunkline::codec::dialect;
use trunkline::codec::dialect::Framing;
use trunkline::config::{LogContent, StoreConfig};
use trunkline::ir::{Delta, Event};
use trunkline::monitor::{Outcome, Said, Texts};
use trunkline::route::mix;
use trunkline::{Client, Redactor, Secret};
use trunkline_store::{CallRow, TextsRow};

use crate::door::Door;
use crate::record::Sinks;

/// Calls whose texts wait for the thread, and the bytes that these may have.
const MOST: usize = 4096;
const ROOM: u64 = 64 * 1024 * 1024;
/// How often the operator is told at most that texts are left out.
const QUIET: Duration = Duration::from_secs(60);

/// What is kept of what is said: as the configuration had it at the start, for as long as the gateway runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    content: LogContent,
    sample: f64,
    limit: usize,
}

impl Wanted {
    pub(crate) fn of(config: &StoreConfig) -> Self {
        Wanted { content: config.log_content, sample: config.content_sample, limit: config.content_bytes }
    }

    /// Whether there is anything to be kept.
    pub(crate) fn is_some(&self) -> bool {
        self.content != LogContent::None
    }

    /// Begins to keep what is said in a call, if that is wanted of this one.
    pub(crate) fn begin(&self, id: &str, request: &[u8]) -> Option<Arc<Texts>> {
        let is_wanted = match self.content {
            LogContent::None => false,
            LogContent::Errors | LogContent::All => true,
            LogContent::Sampled => {
                let number = id.bytes().fold(0_u64, |sum, byte| mix(sum ^ u64::from(byte)));
                (number >> 11) as f64 / (1_u64 << 53) as f64 <= self.sample && self.sample > 0.0
            }
        };
        is_wanted.then(|| Texts::new(self.limit, request))
    }

    /// Whether what was kept of this call stays.
    pub(crate) fn stays(&self, outcome: &Outcome) -> bool {
        self.content != LogContent::Errors || outcome.error.is_some()
    }
}

/// A call, and what was said in it.
type Kept = (CallRow, Said);

/// Takes texts.
pub(crate) struct Keeper {
    inbox: Mutex<Option<SyncSender<Box<Kept>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    sinks: Arc<Sinks>,
    load: Arc<Load>,
    /// The bytes that may wait.
    room: u64,
}

/// What callers and the thread share.
#[derive(Default)]
struct Load {
    waiting: AtomicU64,
    kept: AtomicU64,
    left_out: AtomicU64,
}

/// Of how many calls texts were kept, and of how many they would have been, had they not come too fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) kept: u64,
    pub(crate) left_out: u64,
}

impl Keeper {
    /// A keeper, which hands on to `sinks`.
    ///
    /// # Errors
    /// When there is no thread.
    pub(crate) fn start(wanted: Wanted, (client, door): (&Client, &Door), sinks: &Arc<Sinks>) -> std::io::Result<Self> {
        let (inbox, waiting) = sync_channel(MOST);
        let load: Arc<Load> = Arc::default();
        let mut cleaner = Cleaner {
            limit: wanted.limit,
            client: client.clone(),
            door: door.clone(),
            sinks: Arc::clone(sinks),
            load: Arc::clone(&load),
            told: 0,
            last: None,
        };
        let thread = std::thread::Builder::new().name("texts".to_owned()).spawn(move || cleaner.run(&waiting))?;
        Ok(Keeper {
            inbox: Mutex::new(Some(inbox)),
            thread: Mutex::new(Some(thread)),
            sinks: Arc::clone(sinks),
            load,
            room: ROOM,
        })
    }

    /// Has this call recorded as soon as all is said. When too many wait, without its texts.
    pub(crate) fn keep(self: &Arc<Self>, row: CallRow, texts: &Texts) {
        let keeper = Arc::clone(self);
        texts.when_over(move |said| keeper.send(row, said));
    }

    fn send(&self, row: CallRow, said: Said) {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(inbox) = inbox else { return self.sinks.take(row) };
        let bytes = bytes(&said);
        let left = if self.load.waiting.fetch_add(bytes, Relaxed) > self.room {
            row
        } else {
            match inbox.try_send(Box::new((row, said))) {
                Ok(()) => return,
                Err(TrySendError::Full(left) | TrySendError::Disconnected(left)) => left.0,
            }
        };
        self.load.waiting.fetch_sub(bytes, Relaxed);
        self.load.left_out.fetch_add(1, Relaxed);
        self.sinks.take(left);
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally { kept: self.load.kept.load(Relaxed), left_out: self.load.left_out.load(Relaxed) }
    }

    /// Hands on what has come, and ends.
    pub(crate) fn close(&self) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().for_each(|thread| _ = thread.join());
    }
}

fn bytes(said: &Said) -> u64 {
    (said.request.0.len() + said.request.1.len() + said.answer.len()) as u64
}

/// The thread: makes texts readable and frees them of secrets.
struct Cleaner {
    limit: usize,
    client: Client,
    door: Door,
    sinks: Arc<Sinks>,
    load: Arc<Load>,
    /// How many that were left out the operator was told of, and when.
    told: u64,
    last: Option<Instant>,
}

impl Cleaner {
    fn run(&mut self, waiting: &Receiver<Box<Kept>>) {
        let mut at_hand = None;
        while let Ok(next) = waiting.recv() {
            let (row, said) = *next;
            let bytes = bytes(&said);
            // Looked at each time: secrets are renewed.
            let key: Vec<Secret> = self.door.key().as_ref().map(|key| key.secret.clone()).into_iter().collect();
            at_hand = self.client.redactor(&key, at_hand).ok();
            let texts = at_hand.as_ref().map(|redactor| Box::new(write(&row, said, redactor, self.limit)));
            self.load.waiting.fetch_sub(bytes, Relaxed);
            self.load.kept.fetch_add(u64::from(texts.is_some()), Relaxed);
            self.sinks.take(CallRow { texts, ..row });
            if self.last.is_none_or(|last| last.elapsed() >= QUIET) {
                self.tell();
            }
        }
        self.tell();
    }

    fn tell(&mut self) {
        let left_out = self.load.left_out.load(Relaxed);
        if left_out > self.told {
            let number = left_out - self.told;
            self.client.tell(&format!("texts of {number} calls are not kept: they came faster than secrets can be taken out"));
            (self.told, self.last) = (left_out, Some(Instant::now()));
        }
    }
}

/// What is stored of texts.
fn write(row: &CallRow, said: Said, redactor: &Redactor, limit: usize) -> TextsRow {
    let clean = |bytes: &[u8]| redactor.clean(&String::from_utf8_lossy(bytes));
    let (first, last) = (&said.request.0, &said.request.1);
    let whole = (first.len() + last.len()) as u64 >= said.request_bytes;
    let request = if whole {
        shorten(clean(&[first.as_slice(), last].concat()), limit, said.request_bytes)
    } else {
        // The beginning says how it is asked, the end what.
        let (head, tail) = (clean(first), clean(last));
        let head = head.get(..head.floor_char_boundary(limit / 2)).unwrap_or_default();
        let tail = tail.get(tail.ceil_char_boundary(tail.len().saturating_sub(limit / 2))..).unwrap_or_default();
        format!("{head}… [{} bytes in all] …{tail}", said.request_bytes)
    };
    let answer = if row.streamed { read_stream(row, &said.answer) } else { None };
    let answer = match answer {
        Some(text) => redactor.clean(&text),
        None => clean(&said.answer),
    };
    let answer = shorten(answer, limit, said.answer_bytes);
    let some = |text: String| (!text.is_empty()).then_some(text);
    TextsRow { request: some(request), answer: some(answer) }
}

/// At most about so many bytes of a text.
fn shorten(text: String, limit: usize, all: u64) -> String {
    if text.len() <= limit {
        return text;
    }
    format!("{}… [{all} bytes in all]", text.get(..text.floor_char_boundary(limit)).unwrap_or_default())
}

/// What a stream said: its texts, one after another, and the names of the tools that it calls with what these are given.
fn read_stream(row: &CallRow, bytes: &[u8]) -> Option<String> {
    let upstream = dialect::find(row.dialect.as_deref()?)?.upstream;
    let framing = match bytes.trim_ascii_start().first()? {
        b'[' => Framing::Array,
        b'{' => Framing::Ndjson,
        _ => upstream.framing(),
    };
    let mut frames = framing.reader(bytes.len().max(1024));
    let mut read = upstream.read_stream(&trunkline::codec::catalog::Quirks::default());
    let (mut rest, mut events) = (bytes, Vec::new());
    while let Ok(Some(frame)) = frames.next(&mut rest) {
        if read.push(frame, &mut events).is_err() {
            break;
        }
    }
    let mut text = String::new();
    for event in &events {
        match event {
            Event::Delta { delta: Delta::Text(more) | Delta::Arguments(more) | Delta::Transcript(more), .. } => {
                text.push_str(more)
            }
            Event::PartStart { .. } if !text.is_empty() => text.push('\n'),
            _ => {}
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use trunkline::config::{Config, Environment};
    use trunkline_store::Ids;

    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_and_told_once() {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let teller = Arc::clone(&told);
        let client = Client::builder().config(Config::parse("", "test").unwrap()).environment(Environment::default());
        let client = client.on_notice(move |line| teller.lock().unwrap().push(line.to_owned())).build().unwrap();
        let wanted = Wanted { content: LogContent::All, sample: 1.0, limit: 100_000 };
        let (sinks, ids) = (Arc::default(), Ids::new());
        let mut keeper = Keeper::start(wanted, (&client, &Door::default()), &sinks).unwrap();
        keeper.room = 1;
        for _ in 0..200 {
            let said = Said { answer: b"soup ".repeat(10_000), ..Said::default() };
            keeper.send(CallRow::new(ids.next(std::time::SystemTime::now())), said);
        }
        keeper.close();
        let Tally { kept, left_out } = keeper.tally();
        assert!(kept > 0 && left_out > 0 && kept + left_out == 200, "{kept} {left_out}");
        let told = told.lock().unwrap();
        assert!((1..3).contains(&told.len()) && told[0].contains("are not kept"), "{told:?}");
        assert_eq!(keeper.load.waiting.load(Relaxed), 0);
    }
}
