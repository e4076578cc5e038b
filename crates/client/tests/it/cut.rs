//! Every streaming fixture of every dialect, cut after every byte, towards callers of every dialect: what had come is
//! told, and then either the end that was there or an error of the caller's dialect. Never a silent end.
//!
//! The way is the gateway's own, [`Pipe`], in both lanes; only the sockets are left out (`cut` in the gateway's tests has
//! them). What the caller gets is read by [`told`], which is written by hand and knows nothing of the codec's readers.
//! What the provider had said up to the cut is read by the codec's own reader, fed byte by byte, whose agreement with
//! `events.json` is a test of its own.
//!
//! Every byte is cut after, and callers take turns in it; each of them gets both sides of every frame's end and all of the
//! stream's. With `CUTS=all` in the environment each gets everything, which takes ten times as long.

mod told;
mod usage;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Body as _;
use trunkline::codec::dialect::{self, Cx, Dialect, Framing};
use trunkline::config::{Config, Environment, HoldBack};
use trunkline::exchange::{Answer, Lane};
use trunkline::ir::{Delta, Event, PartStart};
use trunkline::monitor::{OpenCall, Outcome, Recorder};
use trunkline::relay::{self, Hold, Pipe, Settings};
use trunkline::transport::{Body, Failure, Phase};
use trunkline::{Client, Kind, Losses, Target};

use told::Told;

/// A stream that a provider gave.
struct Case {
    name: String,
    dialect: &'static Dialect,
    framing: Framing,
    bytes: Bytes,
    target: Target,
    client: Client,
}

const STREAMS: [(Framing, &str); 4] = [
    (Framing::Sse, "reply.sse"),
    (Framing::Array, "reply.array"),
    (Framing::Ndjson, "reply.ndjson"),
    (Framing::EventStream, "reply.eventstream"),
];

/// All of them; with `FIXTURE` in the environment, those whose names hold its value.
fn load() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let only = std::env::var("FIXTURE").unwrap_or_default();
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    let mut cases = Vec::new();
    for dialect in dialect::ALL {
        let Ok(folders) = std::fs::read_dir(root.join(dialect.name)) else { continue };
        let folders: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
        for folder in folders {
            for (framing, file) in STREAMS {
                let name = format!("{}/{}/{file}", dialect.name, folder.file_name().unwrap().to_string_lossy());
                let Ok(bytes) = std::fs::read(folder.join(file)) else { continue };
                if !name.contains(&only) {
                    continue;
                }
                let quirks = std::fs::read_to_string(folder.join("quirks.toml")).unwrap_or_default();
                let text = format!(
                    "[providers.house]\nbase_url = \"http://127.0.0.1:1\"\ndialects = [\"{}\"]\nauth = {{ none = true }}\n\n[providers.house.quirks]\n{quirks}",
                    dialect.name
                );
                let client = clients.entry(text.clone()).or_insert_with(|| {
                    let config = Config::parse(&text, "trunkline.toml").unwrap();
                    Client::builder().config(config).environment(Environment::of([("HOME", "/")])).build().unwrap()
                });
                let target = Target::new(client.service("house").unwrap(), "some-model");
                cases.push(Case { name, dialect, framing, bytes: bytes.into(), target, client: client.clone() });
            }
        }
    }
    assert!(!cases.is_empty(), "no fixtures found");
    cases
}

#[derive(Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Recorder for Outcomes {
    fn record(&self, outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

/// How the provider's connection ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    /// As if all had been said.
    Quiet,
    /// It breaks.
    Broken,
    /// It does not, but the caller leaves.
    HungUp,
}

/// What the prompt is estimated at.
const PROMPT: u64 = 17;

impl Case {
    fn lane(&self, caller: &Dialect) -> Lane {
        let same = self.dialect.name == caller.name && self.dialect.upstream.forwards(self.target.quirks());
        if same { Lane::Same } else { Lane::Translate }
    }

    /// How callers of a dialect may have their stream framed.
    fn framings(&self, caller: &Dialect) -> Vec<Framing> {
        match (self.lane(caller), caller.name) {
            // Their own bytes.
            (Lane::Same, _) => vec![self.framing],
            // A framing that nobody but the dialect's own callers ask for.
            _ if self.framing != self.dialect.upstream.framing() => Vec::new(),
            (_, "gemini") => vec![Framing::Sse, Framing::Array],
            _ => vec![caller.upstream.framing()],
        }
    }

    /// What a caller gets of the first bytes of the stream, and what is recorded of it; the error, if it came while
    /// nothing had left yet.
    fn relay(
        &self,
        caller: &'static Dialect,
        framing: Framing,
        bytes: Bytes,
        ending: Ending,
        until: HoldBack,
    ) -> Result<(Vec<u8>, Outcome), trunkline::Error> {
        let body = match ending {
            Ending::Quiet => Body::whole(bytes),
            Ending::Broken => {
                let broken = Failure::new(Phase::Body, "the connection broke in the middle of the reply");
                Body::stream(futures_util::stream::iter([Ok(bytes), Err(broken)]))
            }
            Ending::HungUp => Body::stream(futures_util::stream::iter([Ok(bytes)]).chain(futures_util::stream::pending())),
        };
        let answer = Answer {
            target: self.target.clone(),
            dialect: self.dialect,
            lane: self.lane(caller),
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(self.framing.content_type()))]),
            body,
            losses: Losses::default(),
            drop_usage: false,
        };
        // None of these streams keeps anybody waiting.
        let hold = Hold { until, frame_limit: 1 << 20, limit: 1 << 20, idle_seconds: 60, first_by: None };
        let held = relay::hold(answer, framing, hold).now_or_never().expect("nothing to wait for");
        let answer = held.map_err(|failed| failed.error)?;
        let cx = Cx {
            id: "abcdefghijklmnopqrstuvwx".to_owned(),
            request_id: "req_1".to_owned(),
            created: 1_700_000_000,
            model: "some-model".to_owned(),
            framing,
            stream_usage: true,
            asked: None,
        };
        let outcomes = Arc::new(Outcomes::default());
        let mut call = OpenCall::new("req_1".to_owned(), Arc::clone(&outcomes) as _, self.client.model_data());
        call.prompt(PROMPT);
        call.begin(&self.target);
        let settings = Settings { idle_seconds: 60, frame_limit: 1 << 20, cut: tokio::sync::watch::channel(false).1 };
        let mut pipe = Pipe::new(answer, caller, cx, call, settings);
        let mut out = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        loop {
            match Pin::new(&mut pipe).poll_frame(&mut context) {
                Poll::Ready(Some(Ok(frame))) => out.extend_from_slice(&frame.into_data().unwrap()),
                Poll::Ready(Some(Err(never))) => match never {},
                Poll::Ready(None) => break,
                Poll::Pending if ending == Ending::HungUp => break,
                Poll::Pending => panic!("{}: waits for more", self.name),
            }
        }
        drop(pipe);
        let mut outcomes = outcomes.0.lock().unwrap();
        assert_eq!(outcomes.len(), 1, "{}: one outcome", self.name);
        Ok((out, outcomes.pop().unwrap()))
    }

    /// What the provider has said when so many of its bytes have come, for each number of them.
    /// `sound`: what is said in sound counts.
    fn said(&self, sound: bool) -> Vec<String> {
        let (mut frames, mut reader) = (self.framing.reader(1 << 20), self.dialect.upstream.read_stream(self.target.quirks()));
        let (mut events, mut text, mut broken) = (Vec::new(), Text { sound, ..Text::default() }, false);
        let mut said = vec![String::new()];
        for byte in self.bytes.chunks(1) {
            let mut rest = byte;
            while let (false, Ok(Some(frame))) = (broken, frames.next(&mut rest)) {
                broken = reader.push(frame, &mut events).is_err();
            }
            events.drain(..).for_each(|event| text.push(&event));
            said.push(text.told.clone());
        }
        // The end of the input may end a frame that was whole but for that.
        if let (false, Some(frame)) = (broken, frames.finish().frame) {
            let _ = reader.push(frame, &mut events);
        }
        let _ = reader.finish(&mut events);
        events.drain(..).for_each(|event| text.push(&event));
        said.push(text.told);
        said
    }
}

/// The text of the first choice, with what dialects without a field for it tell as text.
#[derive(Default)]
struct Text {
    sound: bool,
    told: String,
    parts: BTreeMap<u32, bool>,
}

impl Text {
    fn push(&mut self, event: &Event) {
        match event {
            Event::PartStart { choice: 0, part, start } => {
                let is_sound = matches!(start, PartStart::Audio { .. });
                let counts = matches!(start, PartStart::Text | PartStart::Refusal) || self.sound && is_sound;
                self.parts.insert(*part, counts);
            }
            Event::Delta { choice: 0, part, delta: Delta::Text(text) | Delta::Transcript(text) }
                if self.parts.get(part).is_some_and(|counts| *counts) =>
            {
                self.told.push_str(text);
            }
            _ => {}
        }
    }
}

fn callers() -> impl Iterator<Item = &'static Dialect> {
    dialect::ALL.iter().filter(|dialect| dialect.downstream.is_some())
}

/// Turn about; most of the time nothing is held, because then most can go wrong.
const HOLDS: [HoldBack; 7] = [
    HoldBack::None,
    HoldBack::FirstToken,
    HoldBack::None,
    HoldBack::Bytes(200),
    HoldBack::None,
    HoldBack::FirstByte,
    HoldBack::All,
];

/// Whether a cut after so many bytes is beside the end of a frame, or of the stream.
fn is_edge(case: &Case, at: usize) -> bool {
    let near = case.bytes.get(at.saturating_sub(2)..at + 1).unwrap_or_default();
    let ends = case.framing != Framing::EventStream && near.ends_with(b"\n") && !near.starts_with(b"\n");
    ends || at + 12 >= case.bytes.len()
}

/// Where the end of a stream cannot be told from its middle: every frame says that it is the last, or each choice says so
/// for itself and nothing says how many there are.
fn is_vague(case: &Case) -> bool {
    ["gemini/stop-every-chunk", "gemini/candidates"].iter().any(|name| case.name.starts_with(name))
}

/// The same lane: the frames that were whole, as they were, and then at most an error. The last one may lack its end.
fn check_forwarded(case: &Case, framing: Framing, at: usize, told: &Told) -> Result<(), String> {
    let came = Told::read(case.dialect.name, framing, &case.bytes[..at], true).frames;
    let most = Told::read(case.dialect.name, framing, &case.bytes[..at], false).frames;
    let got = &told.frames[..];
    let without = got.split_last().map_or(got, |(_, before)| before);
    if got == came || got == most || told.failed && (without == came || without == most) {
        return Ok(());
    }
    Err(format!("{} frames had come", came.len()))
}

/// Whose turn it is.
#[derive(Clone, Copy)]
struct Turn {
    turn: usize,
    of: usize,
}

fn check(case: &Case, caller: &'static Dialect, framing: Framing, said: &[String], Turn { turn, of }: Turn) {
    let what = format!("{} → {}, {framing:?}", case.name, caller.name);
    let (whole, _) = case.relay(caller, framing, case.bytes.clone(), Ending::Quiet, HoldBack::None).unwrap();
    let whole = Told::read(caller.name, framing, &whole, true);
    let all = std::env::var("CUTS").is_ok_and(|cuts| cuts == "all");
    let mut last: Option<(Vec<u8>, Told)> = None;
    let same = case.lane(caller) == Lane::Same;
    for at in 0..=case.bytes.len() {
        if !all && !is_edge(case, at) && at % of != turn {
            continue;
        }
        // Both endings are the same to the caller but for the error's words; each is tried at every other byte.
        let ending = if at % 2 == 0 { Ending::Quiet } else { Ending::Broken };
        let hold = HOLDS[at / of % HOLDS.len()];
        let (out, outcome) = match case.relay(caller, framing, case.bytes.slice(..at), ending, hold) {
            Ok(relayed) => relayed,
            // The caller has seen nothing; it gets the next target's answer, or an error for an answer.
            Err(error) => {
                let kept = match hold {
                    HoldBack::None => false,
                    HoldBack::FirstByte => at == 0,
                    // What is no cut came in one piece with all that was before it.
                    _ if error.kind != Kind::Truncated => true,
                    HoldBack::FirstToken => said[at].is_empty(),
                    HoldBack::Bytes(bytes) => at < bytes,
                    HoldBack::Ms(_) | HoldBack::All => true,
                };
                assert!(kept, "{what}: cut at byte {at}: {hold:?} keeps back too much: {error}");
                continue;
            }
        };
        let told = match last.take() {
            Some((same, told)) if same == out => told,
            _ => Told::read(caller.name, framing, &out, true),
        };
        let show = || format!("{what}: cut at byte {at} ({ending:?}, {hold:?}): {told:?}\n{}", String::from_utf8_lossy(&out));
        // A server that writes no terminator is as good as its word, in its own dialect.
        let ended = told.ended || same && !case.target.quirks().done && told.finished;
        assert!(ended || told.failed, "a silent end: {}", show());
        assert_eq!(told.failed, outcome.error.is_some(), "what is recorded: {}", show());
        assert!(!told.corrupt, "corrupt: {}", show());
        assert_eq!(told.after, 0, "something after the error: {}", show());
        if !told.failed && !is_vague(case) {
            assert_eq!(told.text, whole.text, "an end that nobody wrote: {}", show());
        }
        match same {
            true => check_forwarded(case, framing, at, &told).unwrap_or_else(|wrong| panic!("{wrong}: {}", show())),
            false => {
                // No less than had come, and no more than there is.
                assert!(told.text.starts_with(&said[at]), "lost {:?}: {}", said[at], show());
                assert!(said.last().unwrap().starts_with(&told.text), "made up: {}", show());
            }
        }
        last = Some((out, told));
    }
}

#[test]
fn a_stream_cut_at_any_byte_never_ends_in_silence() {
    let cases = Mutex::new(load());
    let failed = Mutex::new(Vec::new());
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        while let Some(case) = { cases.lock().unwrap().pop() } {
            let with = |caller: &'static Dialect| case.framings(caller).into_iter().map(move |framing| (caller, framing));
            let ways: Vec<_> = callers().flat_map(with).collect();
            for (turn, (caller, framing)) in ways.iter().copied().enumerate() {
                // There is nothing but text.
                let said = case.said(caller.name != "openai-completions");
                let turn = Turn { turn, of: ways.len() };
                let checked = catch_unwind(AssertUnwindSafe(|| check(&case, caller, framing, &said, turn)));
                if checked.is_err() {
                    failed.lock().unwrap().push(format!("{} → {}", case.name, caller.name));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} fail (see above): {failed:#?}", failed.len());
}
