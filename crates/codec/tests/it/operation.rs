//! Walks `fixtures/operations/<dialect>/<case>/`: everything but chat.
//!
//! | file | what it is |
//! |---|---|
//! | `path.txt` | the caller's path; it says which operation it is |
//! | `request.json`, `request.form` | a caller's request; a form's boundary is `b0undary`, its lines end in LF here |
//! | `sent.json`, `sent.form` | the body that is sent to a provider of the same dialect, and before it the path |
//! | `losses.json` | what could not be sent; no file: nothing |
//! | `refused.json` | instead of `sent.*`: the error that the request is answered with |
//! | `reply.json`, `reply.txt` | a provider's answer |
//! | `answer.json` | what is read from it: the answer, or the error |
//! | `told.json`, `told.txt` | the answer as a caller of the same dialect gets it |
//!
//! With `UPDATE_FIXTURES=1` in the environment the expected files are written instead; read them before you keep them.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::operation::{Told, Wanted, Watch, can, forward, is_form, peek, route};
use trunkline_codec::dialect::{Cx, Framing, Head, Operation};
use trunkline_codec::ir::{Draw, Embed, Moderate, Rerank, Speak, Transcribe};
use trunkline_codec::{Error, Origin, Result};

const DIALECTS: [&str; 4] = ["openai-chat", "gemini", "cohere-chat", "ollama"];

struct Case {
    dialect: &'static str,
    operation: Operation,
    path: String,
    folder: PathBuf,
    name: String,
}

impl Case {
    fn read(&self, file: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(file)).ok()
    }

    fn expect(&self, file: &str, actual: Option<String>) {
        let path = self.folder.join(file);
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            match actual {
                Some(actual) => fs::write(path, actual).unwrap(),
                None => drop(fs::remove_file(path)),
            }
            return;
        }
        let expected = self.read(file).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(actual, expected, "{}/{file}", self.name);
    }

    fn expect_json(&self, file: &str, actual: Option<impl Serialize>) {
        self.expect(file, actual.map(|actual| format!("{:#}\n", serde_json::to_value(actual).unwrap())));
    }

    fn request(&self) -> Option<(HeaderMap, Vec<u8>)> {
        let mut headers = HeaderMap::new();
        if let Some(form) = self.read("request.form") {
            let media = HeaderValue::from_static("multipart/form-data; boundary=b0undary");
            headers.insert(http::header::CONTENT_TYPE, media);
            return Some((headers, String::from_utf8(form).unwrap().replace('\n', "\r\n").into_bytes()));
        }
        Some((headers, self.read("request.json")?))
    }
}

#[test]
fn every_operation_fixture_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/operations");
    let only = std::env::var("FIXTURE").unwrap_or_default();
    let mut count = 0;
    for dialect in DIALECTS {
        for folder in fs::read_dir(root.join(dialect)).unwrap().map(|entry| entry.unwrap().path()) {
            let name = format!("{dialect}/{}", folder.file_name().unwrap().to_string_lossy());
            let path = fs::read_to_string(folder.join("path.txt")).unwrap().trim().to_owned();
            let (spoken, operation) = route(&path).unwrap_or_else(|| panic!("{name}: nobody's path"));
            assert_eq!(spoken, dialect, "{name}");
            if name.contains(&only) {
                check(&Case { dialect, operation, path, folder, name });
                count += 1;
            }
        }
    }
    assert!(count > 0, "no fixtures found");
}

fn check(case: &Case) {
    match case.operation {
        Operation::Embed => {
            walk::<Embed>(case, |wanted| wanted.inputs.iter().filter_map(|input| input.text().map(str::to_owned)).collect())
        }
        Operation::Rerank => {
            walk::<Rerank>(case, |wanted| wanted.documents.iter().map(|document| document.text.clone()).collect())
        }
        Operation::ImageGenerate | Operation::ImageEdit => walk::<Draw>(case, |wanted| vec![wanted.prompt.clone()]),
        Operation::Speak => walk::<Speak>(case, |wanted| vec![wanted.input.clone()]),
        Operation::Transcribe | Operation::TranslateAudio => walk::<Transcribe>(case, |wanted| vec![wanted.audio.name.clone()]),
        Operation::Moderate => walk::<Moderate>(case, |wanted| vec![format!("{:?}", wanted.items)]),
        Operation::Chat | Operation::CountTokens => panic!("{}: chat has a walker of its own", case.name),
    }
}

fn walk<W>(case: &Case, said: fn(&W) -> Vec<String>)
where
    W: Wanted + Serialize + PartialEq + Debug,
    W::Answer: Serialize + PartialEq + Debug,
{
    let request = case.request().map(|(headers, body)| check_request::<W>(case, &headers, &body, said));
    check_reply::<W>(case, request.flatten().as_ref());
}

fn error_value(error: &Error) -> Value {
    json!({ "error": error })
}

fn cx() -> Cx {
    Cx {
        id: "a".repeat(24),
        request_id: "b".repeat(24),
        created: 1_700_000_000,
        model: "some-model".to_owned(),
        framing: Framing::Sse,
        stream_usage: true,
        asked: None,
    }
}

/// A provider's path as a caller of the gateway would write it.
fn callers_path(path: &str) -> String {
    if route(path).is_some() { path.to_owned() } else { format!("/v1{path}") }
}

fn check_request<W>(case: &Case, headers: &HeaderMap, body: &[u8], said: fn(&W) -> Vec<String>) -> Option<W>
where
    W: Wanted + Serialize + PartialEq + Debug,
{
    let wire = W::wire(case.dialect).unwrap();
    let head = Head { path: &case.path, query: None, headers };
    for (round, at) in (0..body.len()).step_by(3).enumerate() {
        let mut mangled = body.to_vec();
        mangled[at] = b"\"{}[],:0nx\\ \n"[round % 13];
        if let Ok(wanted) = wire.read_request(&head, &mangled) {
            let _ = wire.write_request(&wanted, &Quirks::default());
        }
    }
    let read = read_as_callers_do::<W>(case, &head, body);
    let wanted = match read {
        Ok(wanted) => wanted,
        Err(error) => {
            assert_ne!(error.origin, Origin::Provider, "{}: no provider was asked", case.name);
            case.expect_json("refused.json", Some(error_value(&error)));
            return None;
        }
    };
    for dialect in DIALECTS.into_iter().filter(|dialect| can(dialect, case.operation)) {
        let own = dialect == case.dialect;
        let wire = W::wire(dialect).unwrap();
        let outgoing = match wire.write_request(&wanted, &Quirks::default()) {
            Ok(outgoing) => outgoing,
            Err(error) if own => panic!("{}: {error}", case.name),
            Err(error) => {
                assert_eq!(error.kind, trunkline_codec::Kind::Unsupported, "{} for {dialect}", case.name);
                continue;
            }
        };
        if own {
            match serde_json::from_slice::<Value>(&outgoing.body) {
                Ok(sent) => case.expect_json("sent.json", Some(json!({ "path": outgoing.path, "body": sent }))),
                Err(_) => {
                    let sent = String::from_utf8(outgoing.body.clone()).unwrap().replace("\r\n", "\n");
                    case.expect("sent.form", Some(format!("{}\n{sent}", outgoing.path)));
                }
            }
            case.expect_json("losses.json", (!outgoing.losses.is_empty()).then_some(&outgoing.losses));
        }
        if outgoing.path.ends_with(":generateContent") {
            // A chat's request, which no caller means pictures by.
            let sent = String::from_utf8(outgoing.body).unwrap();
            assert!(said(&wanted).iter().all(|said| sent.contains(said)), "{} for {dialect}", case.name);
            continue;
        }
        // What we send, our own reader must understand, and what was said must be in it.
        let path = callers_path(&outgoing.path);
        let head = Head { path: &path, query: None, headers: &outgoing.headers };
        let again = wire.read_request(&head, &outgoing.body);
        let again = again.unwrap_or_else(|error| panic!("{} for {dialect}: {error}", case.name));
        assert_eq!(said(&again), said(&wanted), "{} for {dialect}", case.name);
    }
    Some(wanted)
}

fn read_as_callers_do<W: Wanted>(case: &Case, head: &Head<'_>, body: &[u8]) -> Result<W> {
    let wire = W::wire(case.dialect).unwrap();
    if is_form(case.operation) {
        return wire.read_request(head, body);
    }
    let peek = peek(case.dialect, case.operation, head, body)?;
    let same = forward((case.dialect, case.operation), head, &peek, body, &peek.model, &Quirks::default())?;
    assert!(same.edits.is_empty(), "{}: nothing to edit", case.name);
    let mut wanted = wire.read_request(head, body)?;
    assert_eq!(*wanted.model_mut(), peek.model, "{}: model", case.name);
    let other = forward((case.dialect, case.operation), head, &peek, body, "other/model", &Quirks::default())?;
    let edited = trunkline_codec::json::apply(body, &mut other.edits.clone());
    let path = callers_path(&other.path);
    let mut renamed = wire.read_request(&Head { path: &path, ..*head }, &edited)?;
    assert!(renamed.model_mut().ends_with("other/model"), "{}: {} {}", case.name, other.path, renamed.model_mut());
    Ok(wanted)
}

fn check_reply<W>(case: &Case, wanted: Option<&W>)
where
    W: Wanted,
    W::Answer: Serialize + PartialEq + Debug,
{
    let json = case.read("reply.json").map(|body| ("application/json", body));
    let Some((media, body)) = json.or_else(|| case.read("reply.txt").map(|body| ("text/plain", body))) else { return };
    let wire = W::wire(case.dialect).unwrap();
    for at in (0..body.len()).step_by(3) {
        let mut mangled = body.clone();
        mangled[at] = b"\"{}[],:0nx\\ \n"[at % 13];
        let _ = wire.read_answer(media, &mangled);
    }
    let answer = match wire.read_answer(media, &body) {
        Ok(answer) => answer,
        Err(error) => return case.expect_json("answer.json", Some(error_value(&error))),
    };
    case.expect_json("answer.json", Some(&answer));
    for size in [1, 2, 3, 7, 64, body.len().max(1)] {
        let mut watch = Watch::new(case.dialect);
        body.chunks(size).for_each(|chunk| watch.feed(chunk));
        assert_eq!(watch.usage(), W::usage(&answer), "{}: the watch and the reader count alike", case.name);
    }
    let Some(wanted) = wanted else { return };
    let Told { media, body } = wire.write_answer(wanted, &answer, &cx());
    let text = String::from_utf8(body.clone()).unwrap();
    match serde_json::from_str::<Value>(&text) {
        Ok(told) => case.expect_json("told.json", Some(told)),
        Err(_) => case.expect("told.txt", Some(format!("{media}\n{text}"))),
    }
    for dialect in DIALECTS.into_iter().filter(|dialect| can(dialect, case.operation)) {
        let wire = W::wire(dialect).unwrap();
        let told = wire.write_answer(wanted, &answer, &cx());
        let again = wire.read_answer(&told.media, &told.body);
        let again = again.unwrap_or_else(|error| panic!("{} as {dialect}: {error}", case.name));
        let core = |answer: &W::Answer| {
            let value = serde_json::to_value(answer).unwrap();
            ["vectors", "results", "images", "verdicts", "text"].map(|key| essence(&value[key]))
        };
        assert_eq!(core(&again), core(&answer), "{} as {dialect}", case.name);
    }
}

/// What every dialect has of a part of an answer.
fn essence(value: &Value) -> Value {
    let Some(rows) = value.as_array() else { return value.clone() };
    let bare = |row: &Value| {
        let mut row = row.clone();
        if let Some(row) = row.as_object_mut() {
            ["text", "prompt", "media"].iter().for_each(|key| drop(row.shift_remove(*key)));
        }
        row
    };
    rows.iter().map(bare).collect()
}
