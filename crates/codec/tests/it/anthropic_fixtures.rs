//! Walks `fixtures/anthropic-messages`: reads, splits, folds, writes again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trunkline_codec::Error;
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{self, Dialect, Head, Operation};
use trunkline_codec::frame::{ReadFrame, SseReader};
use trunkline_codec::ir::{Event, fold};

use super::anthropic_messages::cx;

fn own() -> &'static Dialect {
    dialect::find("anthropic-messages").unwrap()
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/anthropic-messages");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn read_stream(bytes: &[u8], step: usize) -> (Vec<Event>, Option<Error>) {
    let mut frames = SseReader::new(1 << 20);
    let mut reader = own().upstream.read_stream(&Quirks::default());
    let mut events = Vec::new();
    for chunk in bytes.chunks(step) {
        let mut rest = chunk;
        while let Some(frame) = frames.next(&mut rest).unwrap() {
            if let Err(error) = reader.push(frame, &mut events) {
                return (events, Some(error));
            }
        }
    }
    if let Some(frame) = frames.finish().frame {
        let _ = reader.push(frame, &mut events);
    }
    let error = reader.finish(&mut events).err();
    (events, error)
}

fn error_value(error: &Error) -> Value {
    json!({"kind": error.kind, "origin": error.origin, "retry": error.retry, "status": error.status, "message": error.message, "code": error.code})
}

/// Compares with the file, or writes it.
fn expect(case: &Path, name: &str, found: &Value) {
    let path = case.join(name);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&path, format!("{}\n", serde_json::to_string_pretty(found).unwrap())).unwrap();
    }
    let wanted: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(found, &wanted, "{}", path.display());
}

fn write_everywhere(events: &[Event]) {
    for dialect in dialect::ALL {
        let mut writer = dialect.downstream.write_stream(&cx());
        let mut out = Vec::new();
        events.iter().for_each(|event| writer.push(event, &mut out));
        writer.finish(&mut out);
        if dialect.name == own().name {
            let (_, error) = read_stream(&out, out.len().max(1));
            assert_eq!(error, None, "{}", String::from_utf8_lossy(&out));
        }
    }
}

#[test]
fn every_fixture_reads_as_it_should() {
    for case in cases() {
        let read = |name: &str| fs::read(case.join(name)).ok();
        if let Some(body) = read("request.json") {
            let headers = http::HeaderMap::new();
            let head = Head { path: "/v1/messages", query: None, headers: &headers };
            let peek = own().downstream.peek(&head, &body, Operation::Chat).unwrap();
            let request = own().downstream.read_request(&head, &body, Operation::Chat).unwrap();
            assert_eq!(peek.model, request.model);
            let sent = own().upstream.write_request(&request, Operation::Chat, &Quirks::default()).unwrap();
            assert!(sent.losses.is_empty(), "{}: {:?}", case.display(), sent.losses);
            expect(&case, "sent.json", &serde_json::from_slice(&sent.body).unwrap());
            for dialect in dialect::ALL {
                let _ = dialect.upstream.write_request(&request, Operation::Chat, &Quirks::default());
            }
        }
        if let Some(bytes) = read("reply.sse") {
            let (events, error) = read_stream(&bytes, bytes.len());
            for step in [1, 2, 3, 7, 64] {
                assert_eq!(read_stream(&bytes, step), (events.clone(), error.clone()), "{} by {step}", case.display());
            }
            let found = match &error {
                None => json!(events),
                Some(error) => json!({"events": events, "error": error_value(error)}),
            };
            expect(&case, "events.json", &found);
            write_everywhere(&events);
        }
        let Some(body) = read("reply.json") else { continue };
        if let Some(status) = read("status.txt") {
            let status = String::from_utf8(status).unwrap().trim().parse().unwrap();
            let error = own().upstream.read_error(status, &http::HeaderMap::new(), &body);
            expect(&case, "events.json", &error_value(&error));
            continue;
        }
        match own().upstream.read_response(&body) {
            Err(error) => expect(&case, "events.json", &error_value(&error)),
            Ok(response) => {
                expect(&case, "events.json", &json!(response));
                for dialect in dialect::ALL {
                    dialect.downstream.write_response(&response, &cx());
                }
                let again = own().upstream.read_response(&own().downstream.write_response(&response, &cx())).unwrap();
                assert_eq!((&again.id, &again.usage), (&response.id, &response.usage));
                write_everywhere(&fold::unfold(response));
            }
        }
    }
}

/// A whole answer and the stream of the same name tell the same.
#[test]
fn streamed_and_whole_are_the_same() {
    for case in cases() {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let streamed = case.with_file_name(format!("{name}-stream")).join("reply.sse");
        let (Ok(whole), Ok(streamed)) = (fs::read(case.join("reply.json")), fs::read(&streamed)) else { continue };
        if ["text", "refusal", "unknown"].contains(&name.as_str()) {
            continue;
        }
        let Ok(whole) = own().upstream.read_response(&whole) else { continue };
        let mut folded = fold::Fold::default();
        read_stream(&streamed, 1 << 20).0.into_iter().for_each(|event| folded.push(event));
        let streamed = folded.into_response();
        assert_eq!(whole.choices.len(), 1);
        assert_eq!(streamed.choices[0].finish, whole.choices[0].finish, "{name}");
        if name != "citations" && name != "tool-call" {
            assert_eq!(json!(streamed.choices[0].parts), json!(whole.choices[0].parts), "{name}");
        }
    }
}
