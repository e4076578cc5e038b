//! Walks `fixtures/<dialect>/<case>/` and checks everything that can be checked of each case.
//!
//! | file | what it is |
//! |---|---|
//! | `request.json` | a caller's request in the dialect (of openai-chat, where only providers speak the dialect) |
//! | `path.txt` | its path and query, where it is not the dialect's usual one |
//! | `sent.json` | the body that is sent to a provider of the same dialect |
//! | `losses.json` | what could not be sent; no file: nothing |
//! | `refused.json` | instead of `sent.json`: the error that the request is answered with |
//! | `quirks.toml` | the provider's departures, where it has any |
//! | `reply.json`, `reply.sse`, `reply.array`, `reply.ndjson`, `reply.eventstream` | a provider's answer: whole, or streamed in one of the framings |
//! | `messages.json` | what `reply.eventstream` is made of: see [`crate::message`] |
//! | `status.txt`, `headers.txt` | of an error answer |
//! | `events.json` | what is read from the answer: a stream's events (a last element `{"error":…}` when it breaks), a whole answer's response or error |
//!
//! With `UPDATE_FIXTURES=1` in the environment the expected files are written instead; read them before you keep them.

use std::fmt::Debug;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{self, Cx, Dialect, Framing, Head, Operation};
use trunkline_codec::frame::Frame;
use trunkline_codec::ir::{Citation, Content, Event, Response, fold};
use trunkline_codec::{Error, Origin, Result};

use crate::{law, message};

pub(crate) struct Case {
    pub(crate) dialect: &'static Dialect,
    folder: PathBuf,
    pub(crate) name: String,
    pub(crate) quirks: Quirks,
}

impl Case {
    pub(crate) fn read(&self, file: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(file)).ok()
    }

    fn text(&self, file: &str) -> Option<String> {
        self.read(file).map(|bytes| String::from_utf8(bytes).unwrap().trim().to_owned())
    }

    /// Compares with a file, or writes it; `None` stands for no file.
    fn expect(&self, file: &str, actual: Option<Value>) {
        let path = self.folder.join(file);
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            match actual {
                Some(actual) => fs::write(path, format!("{actual:#}\n")).unwrap(),
                None => drop(fs::remove_file(path)),
            }
            return;
        }
        let expected = self.read(file).map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
        assert!(
            actual == expected,
            "{}/{file}:\n  actual {}\nexpected {}",
            self.name,
            actual.unwrap_or_default(),
            expected.unwrap_or_default()
        );
    }
}

#[test]
fn every_fixture_holds() {
    let cases = Mutex::new(load());
    let count = cases.lock().unwrap().len();
    assert!(count > 0, "no fixtures found");
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(case) = { cases.lock().unwrap().pop() } {
            let checked = catch_unwind(AssertUnwindSafe(|| check(&case)));
            failed.lock().unwrap().extend(checked.is_err().then_some(case.name));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {count} fail (see above): {failed:#?}", failed.len());
}

/// All cases; with `FIXTURE` in the environment, those whose names hold its value.
pub(crate) fn load() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let only = std::env::var("FIXTURE").unwrap_or_default();
    let mut all = Vec::new();
    for dialect in dialect::ALL {
        let Ok(folders) = fs::read_dir(root.join(dialect.name)) else { continue };
        for folder in folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
            let name = format!("{}/{}", dialect.name, folder.file_name().unwrap().to_string_lossy());
            if name.contains(&only) {
                let quirks = fs::read_to_string(folder.join("quirks.toml")).unwrap_or_default();
                let quirks = toml::from_str(&quirks).unwrap_or_else(|error| panic!("{name}/quirks.toml: {error}"));
                all.push(Case { dialect, folder, name, quirks });
            }
        }
    }
    all
}

/// The dialects that callers speak.
fn callers() -> impl Iterator<Item = &'static Dialect> {
    dialect::ALL.iter().filter(|dialect| dialect.downstream.is_some())
}

pub(crate) const STREAMS: [(Framing, &str); 4] = [
    (Framing::Sse, "reply.sse"),
    (Framing::Array, "reply.array"),
    (Framing::Ndjson, "reply.ndjson"),
    (Framing::EventStream, "reply.eventstream"),
];

/// How streams of a dialect may be framed for its callers.
fn framings(dialect: &Dialect) -> Vec<Framing> {
    let usual = dialect.upstream.framing();
    if dialect.name == "gemini" { vec![usual, Framing::Array] } else { vec![usual] }
}

fn check(case: &Case) {
    let mut checked = false;
    if let Some(body) = case.read("request.json") {
        check_request(case, &body);
        checked = true;
    }
    let whole = case.read("reply.json").map(|body| check_whole(case, &body));
    if let Some(messages) = case.read("messages.json") {
        let made = message::write_all(&serde_json::from_slice(&messages).unwrap());
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs::write(case.folder.join("reply.eventstream"), &made).unwrap();
        }
        assert!(case.read("reply.eventstream") == Some(made), "{}: reply.eventstream is not made of messages.json", case.name);
    }
    for (framing, file) in STREAMS {
        if let Some(bytes) = case.read(file) {
            let streamed = check_stream(case, framing, &bytes);
            if let (Some(Some(whole)), Some(streamed)) = (&whole, streamed) {
                assert_same(&format!("{}: whole and streamed", case.name), whole, &streamed, Depth::Parts);
            }
            checked = true;
        }
    }
    assert!(checked || whole.is_some(), "{}: nothing to check", case.name);
}

// Requests

fn usual_path(dialect: &str) -> &'static str {
    match dialect {
        "openai-chat" => "/v1/chat/completions",
        "openai-completions" => "/v1/completions",
        "openai-responses" => "/v1/responses",
        "anthropic-messages" => "/v1/messages",
        "cohere-chat" => "/v2/chat",
        "ollama" => "/api/chat",
        "ollama-generate" => "/api/generate",
        "bedrock-converse" => "/model/some-model/converse",
        _ => "/v1beta/models/some-model:generateContent",
    }
}

fn check_request(case: &Case, body: &[u8]) {
    let path = case.text("path.txt").unwrap_or_else(|| usual_path(case.dialect.name).to_owned());
    let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
    let headers = HeaderMap::new();
    let head = Head { path, query, headers: &headers };
    let operation = dialect::route(path).map_or(Operation::Chat, |(_, operation)| operation);
    let down = case.dialect.downstream();
    for (round, at) in (0..body.len()).step_by(3).enumerate() {
        let mut mangled = body.to_vec();
        mangled[at] = b"\"{}[],:0nx\\ \n"[round % 13];
        if let Ok(request) = down.read_request(&head, &mangled, operation) {
            let _ = case.dialect.upstream.write_request(&request, operation, &case.quirks);
        }
    }
    let read = down.peek(&head, body, operation).and_then(|peek| {
        if case.dialect.downstream.is_some() {
            let same = case.dialect.upstream.forward(&head, &peek, body, &peek.model, &case.quirks)?;
            assert!(same.drop_usage || same.edits.is_empty(), "{}: nothing to edit", case.name);
        }
        let request = down.read_request(&head, body, operation)?;
        assert_eq!(peek.stream, request.stream, "{}: stream", case.name);
        assert_eq!(peek.model, request.model, "{}: model", case.name);
        Ok(request)
    });
    let request = match read {
        Ok(request) => request,
        Err(error) => {
            assert_ne!(error.origin, Origin::Provider, "{}: no provider was asked", case.name);
            return case.expect("refused.json", Some(error_value(&error)));
        }
    };
    for message in &request.messages {
        check_kept(case, message);
    }
    let (own_quirks, usual) = (case.quirks.of_model(&request.model), Quirks::default());
    for dialect in dialect::ALL {
        let own = dialect.name == case.dialect.name;
        let quirks = if own { &*own_quirks } else { &usual };
        if !dialect.upstream.can(operation) {
            continue;
        }
        let outgoing = match dialect.upstream.write_request(&request, operation, quirks) {
            Ok(outgoing) => outgoing,
            Err(error) if own => panic!("{}: {error}", case.name),
            Err(_) => continue,
        };
        let sent: Value =
            serde_json::from_slice(&outgoing.body).unwrap_or_else(|error| panic!("{} for {}: {error}", case.name, dialect.name));
        if own {
            case.expect("sent.json", Some(sent.clone()));
            let losses = serde_json::to_value(&outgoing.losses).unwrap();
            case.expect("losses.json", (!outgoing.losses.is_empty()).then_some(losses));
        }
        // A call of a tool that is not sent on is a loss.
        let called = request.messages.iter().flat_map(|message| &message.parts);
        let called = called.filter(|part| matches!(part.content, Content::ToolCall { .. })).count();
        let lost = outgoing.losses.iter().any(|loss| loss.field.starts_with("messages"));
        assert!(calls_in(&sent) >= called || lost, "{} for {}: calls are missing in {sent}", case.name, dialect.name);
        // What we send, our own reader must understand, and the last thing that was said must be in it.
        let said = request.messages.iter().rev().map(|message| message.plain_text()).find(|text| !text.is_empty());
        if dialect.downstream.is_none() {
            let all = sent.to_string();
            for part in request.messages.last().iter().flat_map(|message| &message.parts) {
                if let Content::Text { text, .. } = &part.content {
                    let words = Value::from(text.as_str()).to_string();
                    assert!(all.contains(words.trim_matches('"')), "{} for {}: {words} is missing", case.name, dialect.name);
                }
            }
            continue;
        }
        let (path, query) = outgoing.path.split_once('?').map_or((outgoing.path.as_str(), None), |(p, q)| (p, Some(q)));
        let head = Head { path, query, headers: &outgoing.headers };
        let again = dialect.downstream().read_request(&head, &outgoing.body, operation);
        let again = again.unwrap_or_else(|error| panic!("{} for {}: {error}", case.name, dialect.name));
        let text: String = again.messages.iter().map(|message| message.plain_text()).collect();
        if let Some(said) = said {
            assert!(text.contains(&said), "{} for {}: {said:?} is missing", case.name, dialect.name);
        }
    }
}

/// What is kept of a conversation is read again as it was.
fn check_kept<T: Serialize + DeserializeOwned + PartialEq + Debug>(case: &Case, value: &T) {
    let kept = serde_json::to_string(value).unwrap();
    let again: T = serde_json::from_str(&kept).unwrap_or_else(|error| panic!("{}: {error} in {kept}", case.name));
    assert_eq!(&again, value, "{}: kept as {kept}", case.name);
}

/// How many calls of tools are told in a body, whatever its dialect calls them.
fn calls_in(sent: &Value) -> usize {
    let is_call =
        |key: &str| matches!(key, "arguments" | "Arguments" | "functionCall" | "toolUse" | "custom_tool_call" | "custom");
    match sent {
        Value::Array(list) => list.iter().map(calls_in).sum(),
        Value::Object(map) => {
            let own = map.keys().any(|key| is_call(key))
                || map.get("type").is_some_and(|kind| kind == "tool_use" || kind == "custom_tool_call");
            usize::from(own) + map.values().map(calls_in).sum::<usize>()
        }
        _ => 0,
    }
}

// Answers

fn error_value(error: &Error) -> Value {
    json!({ "error": error })
}

fn headers_of(case: &Case) -> HeaderMap {
    let text = case.text("headers.txt").unwrap_or_default();
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap()))
    };
    text.lines().filter_map(line).collect()
}

/// The response, unless the answer is an error.
fn check_whole(case: &Case, body: &[u8]) -> Option<Response> {
    let up = case.dialect.upstream;
    let status: u16 = case.text("status.txt").map_or(200, |status| status.parse().unwrap());
    let read =
        if status == 200 { up.read_reply(body, &case.quirks) } else { Err(up.read_error(status, &headers_of(case), body, 0)) };
    let streamed_too = STREAMS.iter().any(|(_, file)| case.folder.join(file).exists());
    match read {
        Err(error) => {
            if !streamed_too {
                case.expect("events.json", Some(error_value(&error)));
            }
            check_error(case, &error);
            None
        }
        Ok(response) => {
            if !streamed_too {
                case.expect("events.json", Some(serde_json::to_value(&response).unwrap()));
            }
            if case.dialect.downstream.is_some() {
                assert_eq!(up.observe_response(body), response.usage, "{}: the observer and the reader count alike", case.name);
            }
            for dialect in callers() {
                let bytes = dialect.downstream().write_response(&response, &cx(dialect.upstream.framing()));
                let again = dialect.upstream.read_response(&bytes);
                let what = format!("{} as {}", case.name, dialect.name);
                let again = again.unwrap_or_else(|error| panic!("{what}: {error}"));
                let depth = depth(case.dialect, dialect);
                assert_same(&what, &response, &again, depth);
                for framing in framings(dialect) {
                    let events = (fold::unfold(response.clone()), None);
                    let streamed = check_written(case, dialect, framing, &events, &response, Depth::Meaning.min(depth));
                    assert_alike(&format!("{what}, whole and streamed"), &again, &streamed.unwrap());
                }
            }
            law::check(&case.name, &fold::unfold(response.clone()), true);
            for part in response.choices.iter().flat_map(|choice| &choice.parts) {
                check_kept(case, part);
            }
            Some(response)
        }
    }
}

/// An error must be tellable to any caller, and keep its class among those that can tell it.
fn check_error(case: &Case, error: &Error) {
    for dialect in callers() {
        let body = dialect.downstream().write_error(error, "req_1");
        let what = format!("{} as {}", case.name, dialect.name);
        serde_json::from_slice::<Value>(&body).unwrap_or_else(|fault| panic!("{what}: {fault}"));
        let again = dialect.upstream.read_error(error.caller_status(), &HeaderMap::new(), &body, 0);
        assert!(again.message.contains(&error.message), "{what}: {:?} lost its words", again.message);
        let framing = dialect.upstream.framing();
        let frame = dialect.downstream().write_stream_error(error, &cx(framing));
        let (events, broken) = decode(dialect, &Quirks::default(), framing, &[&frame]);
        assert!(broken.is_some(), "{what}: the error frame is read as {events:?}");
    }
}

/// The response that the stream folds to, if it ended well.
fn check_stream(case: &Case, framing: Framing, bytes: &[u8]) -> Option<Response> {
    let whole = decode(case.dialect, &case.quirks, framing, &[bytes]);
    let (events, broken) = &whole;
    let mut told = serde_json::to_value(events).unwrap();
    told.as_array_mut().unwrap().extend(broken.as_ref().map(error_value));
    case.expect("events.json", Some(told));
    if !events.is_empty() {
        law::check(&case.name, events, broken.is_none());
    }
    // A reader sees frames and nothing else, so the same frames are the same events.
    let frames = frames_of(framing, &[bytes]);
    for at in 1..bytes.len() {
        let (front, back) = bytes.split_at(at);
        assert!(frames_of(framing, &[front, back]) == frames, "{}: split at byte {at}", case.name);
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(decode(case.dialect, &case.quirks, framing, &single), whole, "{}: byte by byte", case.name);
    // Cut short, it must never look complete (where nothing but a finish reason ends it, less may be enough).
    let end = if case.quirks.done { events.len() } else { 0 };
    for at in (0..bytes.len().saturating_sub(16)).step_by(3) {
        let (events, cut) = decode(case.dialect, &case.quirks, framing, &[&bytes[..at]]);
        let complete = cut.is_none() && events.len() < end;
        assert!(!complete, "{}: looks complete when cut at byte {at}", case.name);
    }
    check_mangled(case, framing, bytes);
    let mut folded = fold::Fold::default();
    events.iter().cloned().for_each(|event| folded.push(event));
    let response = folded.into_response();
    if case.dialect.downstream.is_some() {
        check_observer(case, framing, bytes, &response, broken.as_ref());
    }
    for dialect in callers() {
        for framing in framings(dialect) {
            let depth = depth(case.dialect, dialect);
            let Some(streamed) = check_written(case, dialect, framing, &whole, &response, depth) else { continue };
            let bytes = dialect.downstream().write_response(&response, &cx(framing));
            let again = dialect.upstream.read_response(&bytes).unwrap();
            assert_alike(&format!("{} as {}, streamed and whole", case.name, dialect.name), &again, &streamed);
        }
    }
    broken.is_none().then_some(response)
}

/// Whatever a provider sends, the laws hold and nothing panics.
fn check_mangled(case: &Case, framing: Framing, bytes: &[u8]) {
    for (round, at) in (0..bytes.len()).step_by(11).enumerate() {
        let mut mangled = bytes.to_vec();
        mangled[at] = b"\"{}[],:0nx\\ \n"[round % 13];
        if framing == Framing::EventStream {
            message::sign(&mut mangled);
        }
        let (events, broken) = decode(case.dialect, &case.quirks, framing, &[&mangled]);
        if !events.is_empty() {
            law::check(&format!("{}, mangled at byte {at}", case.name), &events, broken.is_none());
        }
    }
}

fn check_observer(case: &Case, framing: Framing, bytes: &[u8], response: &Response, broken: Option<&Error>) {
    let mut watch = case.dialect.upstream.observe(&case.quirks);
    // A stream that is corrupt or breaks off within a frame has shown all that came before.
    let _ = each_frame(framing, &[bytes], |frame| {
        watch.frame(frame);
        Ok(())
    });
    if broken.is_none() {
        assert_eq!(watch.usage(), response.usage, "{}: the observer and the reader count alike", case.name);
    }
    if broken.is_none_or(|error| error.kind == trunkline_codec::Kind::Truncated) {
        assert_eq!(watch.is_complete(), broken.is_none(), "{}: the observer and the reader see the same end", case.name);
    }
}

/// The events, written for callers of `dialect`, must read the same again: as what, if the stream ended well.
fn check_written(
    case: &Case,
    dialect: &'static Dialect,
    framing: Framing,
    (events, broken): &(Vec<Event>, Option<Error>),
    response: &Response,
    depth: Depth,
) -> Option<Response> {
    let what = format!("{} as {}", case.name, dialect.name);
    let mut writer = dialect.downstream().write_stream(&cx(framing));
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut out));
    match broken {
        None => writer.finish(&mut out),
        Some(error) => writer.fail(error, &mut out),
    }
    let (again, fault) = decode(dialect, &Quirks::default(), framing, &[&out]);
    match (broken, fault) {
        (None, Some(error)) => panic!("{what}: {error}\n{}", String::from_utf8_lossy(&out)),
        (Some(_), None) => panic!("{what}: a broken stream looks complete\n{}", String::from_utf8_lossy(&out)),
        (Some(_), Some(_)) => None,
        (None, None) => {
            law::check(&what, &again, true);
            let mut folded = fold::Fold::default();
            again.into_iter().for_each(|event| folded.push(event));
            assert_same(&what, response, folded.response(), depth);
            Some(folded.into_response())
        }
    }
}

fn cx(framing: Framing) -> Cx {
    Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 1_700_000_000,
        model: "some-model".to_owned(),
        framing,
        stream_usage: true,
        asked: None,
    }
}

pub(crate) fn decode(dialect: &Dialect, quirks: &Quirks, framing: Framing, chunks: &[&[u8]]) -> (Vec<Event>, Option<Error>) {
    let mut reader = dialect.upstream.read_stream(quirks);
    let mut events = Vec::new();
    let read = each_frame(framing, chunks, |frame| reader.push(frame, &mut events));
    let read = read.and_then(|()| reader.finish(&mut events));
    (events, read.err())
}

/// A frame's name and data.
pub(crate) type Owned = (Option<String>, Vec<u8>);

/// All frames, and whether the last one is cut.
pub(crate) fn frames_of(framing: Framing, chunks: &[&[u8]]) -> (Vec<Owned>, bool) {
    let mut frames = Vec::new();
    let read = each_frame(framing, chunks, |frame| {
        frames.push((frame.event.map(str::to_owned), frame.data.to_vec()));
        Ok(())
    });
    (frames, read.is_err())
}

fn each_frame(framing: Framing, chunks: &[&[u8]], mut take: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
    let mut frames = framing.reader(1 << 20);
    for chunk in chunks {
        let mut rest = *chunk;
        while let Some(frame) = frames.next(&mut rest).map_err(|long| Error::malformed(long.to_string()))? {
            take(frame)?;
        }
        if let Some(what) = frames.fault() {
            return Err(Error::malformed(what));
        }
    }
    let end = frames.finish();
    match end.frame {
        Some(frame) if !end.cut => take(frame),
        Some(_) => Err(Error::truncated("the stream broke off within a frame")),
        None => Ok(()),
    }
}

// Comparing

/// How much of an answer must survive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// Text and usage.
    Text,
    /// Text, tool calls and usage.
    Meaning,
    /// Every part, what is not acted on aside.
    Parts,
}

fn depth(from: &Dialect, to: &Dialect) -> Depth {
    match (from.name == to.name, to.name) {
        (true, _) => Depth::Parts,
        (_, "openai-completions" | "ollama-generate") => Depth::Text,
        _ => Depth::Meaning,
    }
}

fn assert_same(what: &str, left: &Response, right: &Response, depth: Depth) {
    let several = depth == Depth::Parts;
    let count = if several { left.choices.len() } else { 1 };
    assert!(right.choices.len() >= count.min(left.choices.len()), "{what}: choices are missing");
    for (left, right) in left.choices.iter().zip(&right.choices).take(count) {
        let (said, told) = (text_of(&left.parts), text_of(&right.parts));
        // Where there is no field for a refusal or a transcript, it is told as text.
        assert!(if several { said == told } else { told.contains(&said) }, "{what}: {told:?} instead of {said:?}");
        if depth != Depth::Text {
            assert_eq!(calls_of(&left.parts), calls_of(&right.parts), "{what}: tool calls");
        }
        if several {
            assert_eq!(bare(&left.parts), bare(&right.parts), "{what}: parts");
            assert_eq!(left.finish, right.finish, "{what}: finish");
            assert_eq!(left.logprobs, right.logprobs, "{what}: probabilities");
        }
    }
    let count = |response: &Response| response.usage.map(|usage| (usage.input, usage.output));
    if left.usage.is_some() {
        assert_eq!(count(left), count(right), "{what}: usage");
    }
}

/// What callers of one dialect are told of one answer, whole and streamed.
fn assert_alike(what: &str, whole: &Response, streamed: &Response) {
    assert_eq!(whole.choices.len(), streamed.choices.len(), "{what}: choices");
    for (whole, streamed) in whole.choices.iter().zip(&streamed.choices) {
        assert_eq!(text_of(&whole.parts), text_of(&streamed.parts), "{what}: text");
        assert_eq!(calls_of(&whole.parts), calls_of(&streamed.parts), "{what}: tool calls");
        assert_eq!(told(&whole.parts), told(&streamed.parts), "{what}: what else is told");
        assert_eq!(whole.logprobs, streamed.logprobs, "{what}: probabilities");
        assert_eq!(whole.finish, streamed.finish, "{what}: finish");
    }
    assert_eq!(whole.usage, streamed.usage, "{what}: usage");
}

/// What parts tell beside text and calls, whatever their order: not every dialect tells that.
fn told(parts: &[trunkline_codec::ir::Part]) -> Value {
    let (mut thoughts, mut refusal, mut media) = (String::new(), String::new(), String::new());
    let (mut urls, mut signatures) = (Vec::new(), Vec::new());
    for part in parts {
        match &part.content {
            Content::Text { citations, .. } => urls.extend(citations.iter().map(|citation| citation.url.clone())),
            Content::Reasoning { text, .. } => thoughts += text,
            Content::Refusal { text } => refusal += text,
            Content::Image { source, .. } | Content::Audio { source, .. } | Content::Document { source, .. } => {
                // Sound may come in pieces.
                media += &serde_json::to_value(source)
                    .unwrap()
                    .pointer("/base64/data")
                    .unwrap_or(&Value::Null)
                    .to_string()
                    .replace('"', "");
            }
            _ => {}
        }
        signatures.extend(part.signature.as_ref().map(|signature| format!("{} {}", signature.owner, signature.value)));
    }
    signatures.sort();
    json!({ "thoughts": thoughts, "refusal": refusal, "media": media, "urls": urls, "signatures": signatures })
}

/// Parts without what is not acted on, as JSON; no arguments and empty ones are the same.
fn bare(parts: &[trunkline_codec::ir::Part]) -> Value {
    let mut parts = parts.to_vec();
    for part in &mut parts {
        part.extra = Default::default();
        match &mut part.content {
            Content::Text { citations, .. } => {
                for citation in citations {
                    *citation = Citation { url: citation.url.take(), ..Citation::default() };
                }
            }
            Content::ToolCall { arguments, .. } if arguments.is_empty() => arguments.push_str("{}"),
            _ => {}
        }
    }
    serde_json::to_value(parts).unwrap()
}

fn text_of(parts: &[trunkline_codec::ir::Part]) -> String {
    let text = parts.iter().filter_map(|part| match &part.content {
        Content::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    text.collect()
}

fn calls_of(parts: &[trunkline_codec::ir::Part]) -> Vec<(String, Value)> {
    let call = |part: &trunkline_codec::ir::Part| match &part.content {
        Content::ToolCall { name, arguments, .. } => {
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            Some((name.clone(), serde_json::from_str(arguments).unwrap_or_else(|_| json!({ "broken": true }))))
        }
        _ => None,
    };
    parts.iter().filter_map(call).collect()
}
