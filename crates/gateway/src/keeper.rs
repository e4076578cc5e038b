//! Texts of calls, where the configuration asks for them: kept while the call runs, made readable and freed of secrets by
//! a thread of its own, and then recorded with the call's row.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use trunkline::codec::dialect;
use trunkline::codec::dialect::Framing;
use trunkline::config::{Config, LogContent};
use trunkline::ir::{Delta, Event};
use trunkline::monitor::{Outcome, Said, Texts};
use trunkline::route::mix;
use trunkline::{Client, Redactor, Secret};
use trunkline_store::{CallRow, TextsRow};

use crate::door::Door;
use crate::record::Sinks;

/// Calls whose texts wait for the thread: what they hold is bounded with them.
const MOST: usize = 256;

/// A call, and what was said in it.
type Kept = (CallRow, Said);

/// Takes texts.
pub(crate) struct Keeper {
    inbox: Mutex<Option<SyncSender<Box<Kept>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    sinks: Arc<Sinks>,
}

impl Keeper {
    /// A keeper, which hands on to `sinks`.
    ///
    /// # Errors
    /// When there is no thread.
    pub(crate) fn start(client: Client, door: Door, sinks: Arc<Sinks>) -> std::io::Result<Self> {
        let (inbox, waiting) = sync_channel(MOST);
        let out = Arc::clone(&sinks);
        let thread = std::thread::Builder::new().name("texts".to_owned()).spawn(move || run(&waiting, &client, &door, &out))?;
        Ok(Keeper { inbox: Mutex::new(Some(inbox)), thread: Mutex::new(Some(thread)), sinks })
    }

    /// Has this call recorded as soon as all is said. When too many wait, without its texts.
    pub(crate) fn keep(self: &Arc<Self>, row: CallRow, texts: &Texts) {
        let keeper = Arc::clone(self);
        texts.when_over(move |said| keeper.send(row, said));
    }

    fn send(&self, row: CallRow, said: Said) {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(inbox) = inbox else { return self.sinks.take(row) };
        if let Err(TrySendError::Full(left) | TrySendError::Disconnected(left)) = inbox.try_send(Box::new((row, said))) {
            self.sinks.take(left.0);
        }
    }

    /// Hands on what has come, and ends.
    pub(crate) fn close(&self) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().for_each(|thread| _ = thread.join());
    }
}

/// Begins to keep what is said in a call, if that is wanted of this one.
pub(crate) fn open(config: &Config, id: &str, request: &[u8]) -> Option<Arc<Texts>> {
    let store = &config.store;
    let is_wanted = match store.log_content {
        LogContent::None => false,
        LogContent::Errors | LogContent::All => true,
        LogContent::Sampled => {
            let number = id.bytes().fold(0_u64, |sum, byte| mix(sum ^ u64::from(byte)));
            (number >> 11) as f64 / (1_u64 << 53) as f64 <= store.content_sample && store.content_sample > 0.0
        }
    };
    is_wanted.then(|| Texts::new(store.content_bytes, request))
}

/// Whether what was kept of this call stays.
pub(crate) fn stays(config: LogContent, outcome: &Outcome) -> bool {
    config != LogContent::Errors || outcome.error.is_some()
}

fn run(waiting: &Receiver<Box<Kept>>, client: &Client, door: &Door, sinks: &Sinks) {
    while let Ok(next) = waiting.recv() {
        let (row, said) = *next;
        // Anew each time: secrets are renewed.
        let key: Vec<Secret> = door.key().as_ref().map(|key| key.secret.clone()).into_iter().collect();
        let texts = client.redactor(&key).ok().map(|redactor| {
            let limit = client.config().store.content_bytes;
            Box::new(write(&row, said, &redactor, limit))
        });
        sinks.take(CallRow { texts, ..row });
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
