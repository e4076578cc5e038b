//! Batches as the dialects' makers take them: what is handed in, and what is read of how they are and what they came to.

use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::batch::{Batch, Content, Label, Outcome, Place, State, find};
use trunkline_codec::error::Kind;

const LABEL: Label<'static> = Label { name: "ours-1", model: "m-1", endpoint: "/v1/chat/completions" };

fn wire(dialect: &str) -> &'static dyn Batch {
    find(dialect).unwrap()
}

fn quirks() -> Quirks {
    Quirks::default()
}

/// Two lines, the first of which has a line break between its tokens.
fn lines(wire: &dyn Batch) -> Vec<u8> {
    let mut part = Vec::new();
    wire.push(&mut part, "line-1", LABEL.endpoint, b"{\n\"text\": \"a\\nb \xe8\x8c\xb6\"}");
    wire.push(&mut part, "line-2", LABEL.endpoint, b"{}");
    part
}

fn status(dialect: &str, body: &Value) -> trunkline_codec::dialect::batch::Status {
    wire(dialect).read_status(body.to_string().as_bytes(), &quirks()).unwrap()
}

fn lost(outcome: &Outcome) -> (Kind, String) {
    match outcome {
        Outcome::Lost(error) => (error.kind, error.code.clone().unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_of_lines_is_uploaded_and_a_batch_is_made_of_it() {
    let wire = wire("openai-chat");
    let part = lines(wire);
    let rows: Vec<Value> = std::str::from_utf8(&part).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = json!({ "custom_id": "line-1", "method": "POST", "url": "/v1/chat/completions", "body": { "text": "a\nb 茶" } });
    assert_eq!((rows.len(), &rows[0]), (2, &first));
    let file = wire.write_file(&part).unwrap();
    let form = String::from_utf8(file.body).unwrap();
    assert!(
        file.path == "/files" && form.contains("name=\"purpose\"\r\n\r\nbatch\r\n") && form.contains("filename=\"batch.jsonl\"")
    );
    assert!(file.headers["content-type"].to_str().unwrap().starts_with("multipart/form-data; boundary="));
    assert_eq!(wire.read_file(br#"{"id":"file-1","object":"file"}"#).unwrap(), "file-1");
    let made = wire.write_part(&LABEL, Content::File("file-1"), &quirks()).unwrap();
    let body: Value = serde_json::from_slice(&made.body).unwrap();
    let expected = json!({ "input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h",
                           "metadata": { "trunkline": "ours-1" } });
    assert_eq!((made.path.as_str(), body), ("/batches", expected));
    assert!(wire.write_part(&LABEL, Content::Lines(&part), &quirks()).is_err());
    assert_eq!(find("openai-responses").unwrap().endpoint(), "/v1/responses");
}

#[test]
fn lines_travel_with_the_request_in_the_other_two() {
    let part = lines(wire("anthropic-messages"));
    let made = wire("anthropic-messages").write_part(&LABEL, Content::Lines(&part), &quirks()).unwrap();
    let body: Value = serde_json::from_slice(&made.body).unwrap();
    let rows = json!([{ "custom_id": "line-1", "params": { "text": "a\nb 茶" } }, { "custom_id": "line-2", "params": {} }]);
    assert_eq!((made.path.as_str(), body), ("/v1/messages/batches", json!({ "requests": rows })));
    assert!(wire("anthropic-messages").list_path(None, &quirks()).is_none(), "it has no name of ours");

    let part = lines(wire("gemini"));
    let made = wire("gemini").write_part(&LABEL, Content::Lines(&part), &quirks()).unwrap();
    let body: Value = serde_json::from_slice(&made.body).unwrap();
    let rows = json!([{ "request": { "text": "a\nb 茶" }, "metadata": { "key": "line-1" } },
                      { "request": {}, "metadata": { "key": "line-2" } }]);
    let expected = json!({ "batch": { "displayName": "ours-1", "model": "models/m-1", "inputConfig": { "requests": { "requests": rows } } } });
    assert_eq!((made.path.as_str(), body), ("/v1beta/models/m-1:batchGenerateContent", expected));
    assert!(wire("gemini").write_file(&part).is_none() && find("cohere-chat").is_none());
}

#[test]
fn every_state_of_a_batch_is_read() {
    let ended = |state: &State| match state {
        State::Going => "going".to_owned(),
        State::Ended(error) => error.code.clone().unwrap(),
        State::Refused(error) => format!("{:?}: {}", error.kind, error.message),
    };
    for (word, expected) in [
        ("validating", "going"),
        ("in_progress", "going"),
        ("finalizing", "going"),
        ("cancelling", "going"),
        ("a new word", "going"),
        ("completed", "batch_without_result"),
        ("expired", "batch_expired"),
        ("cancelled", "batch_cancelled"),
        ("failed", "BadRequest: the batch was refused without a reason"),
    ] {
        assert_eq!(ended(&status("openai-chat", &json!({ "id": "batch_1", "status": word })).state), expected);
    }
    let failed = json!({ "id": "batch_1", "status": "failed", "errors": { "data": [
        { "code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": null }] } });
    assert_eq!(ended(&status("openai-chat", &failed).state), "RateLimited: Enqueued token limit reached");
    let done = status(
        "openai-chat",
        &json!({ "id": "batch_1", "status": "completed", "output_file_id": "file-o", "error_file_id": "file-e",
        "metadata": { "trunkline": "ours-1" }, "request_counts": { "total": 9, "completed": 5, "failed": 2 } }),
    );
    let places = ["/files/file-o/content", "/files/file-e/content"].map(|path| Place::Path(path.to_owned()));
    assert_eq!((done.done, &done.results[..]), (7, &places[..]));

    let message = |word: &str| {
        json!({ "id": "msgbatch_1", "processing_status": word, "results_url": "https://elsewhere.example/x",
        "request_counts": { "processing": 1, "succeeded": 2, "errored": 3, "canceled": 4, "expired": 5 } })
    };
    assert_eq!(status("anthropic-messages", &message("canceling")).state, State::Going);
    let done = status("anthropic-messages", &message("ended"));
    assert_eq!(done.results, [Place::Path("/v1/messages/batches/msgbatch_1/results".to_owned())], "never another host");
    assert_eq!((ended(&done.state).as_str(), done.done), ("batch_without_result", 14));

    let operation = |state: &str| {
        json!({ "name": "batches/1", "metadata": { "state": state, "displayName": "ours-1",
        "batchStats": { "successfulRequestCount": "3", "failedRequestCount": 1 } } })
    };
    for (word, expected) in [
        ("BATCH_STATE_PENDING", "going"),
        ("JOB_STATE_RUNNING", "going"),
        ("BATCH_STATE_SUCCEEDED", "batch_without_result"),
        ("BATCH_STATE_EXPIRED", "batch_expired"),
        ("BATCH_STATE_CANCELLED", "batch_cancelled"),
        ("BATCH_STATE_FAILED", "BadRequest: the batch failed without a reason"),
    ] {
        let status = status("gemini", &operation(word));
        assert_eq!((ended(&status.state).as_str(), status.done), (expected, 4));
    }
    let mut file = operation("BATCH_STATE_SUCCEEDED");
    file["response"] = json!({ "responsesFile": "files/out-1" });
    let place = Place::Path("/download/v1beta/files/out-1:download?alt=media".to_owned());
    assert_eq!(status("gemini", &file).results, [place]);
}

#[test]
fn an_id_that_would_lead_elsewhere_is_none() {
    for id in ["", "..", "a/../b", "a?b", "a b", "a#b", "a%2f", "/a", "a//b"] {
        for (dialect, body) in [
            ("openai-chat", json!({ "id": id, "status": "in_progress" })),
            ("anthropic-messages", json!({ "id": id })),
            ("gemini", json!({ "name": id })),
        ] {
            assert!(wire(dialect).read_status(body.to_string().as_bytes(), &quirks()).is_err(), "{dialect} {id:?}");
        }
    }
    let body = br#"{"id":"batch_1","status":"completed","output_file_id":"../x"}"#;
    assert!(wire("openai-chat").read_status(body, &quirks()).is_err());
}

#[test]
fn what_came_of_a_line_is_read() {
    let read = |dialect: &str, line: Value| wire(dialect).read_answer(line.to_string().as_bytes()).unwrap();
    let good = read(
        "openai-chat",
        json!({ "custom_id": "line-1", "response": { "status_code": 200, "body": { "a": 1.10 } }, "error": null }),
    );
    assert_eq!((good.key.as_str(), good.outcome), ("line-1", Outcome::Reply(br#"{"a":1.1}"#.to_vec())));
    let bad = read("openai-chat", json!({ "custom_id": "x", "response": { "status_code": 429, "body": {} } }));
    assert_eq!(bad.outcome, Outcome::Refusal(429, b"{}".to_vec()));
    for (code, kind) in [("batch_expired", Kind::Timeout), ("batch_cancelled", Kind::Cancelled), ("odd", Kind::BadRequest)] {
        let line = json!({ "custom_id": "x", "response": null, "error": { "code": code, "message": "m" } });
        assert_eq!(lost(&read("openai-chat", line).outcome), (kind, code.to_owned()));
    }
    assert_eq!(lost(&read("openai-chat", json!({ "custom_id": "x" })).outcome).0, Kind::Malformed);

    let line = |result: Value| json!({ "custom_id": "x", "result": result });
    let message = read("anthropic-messages", line(json!({ "type": "succeeded", "message": { "id": "m" } })));
    assert_eq!(message.outcome, Outcome::Reply(br#"{"id":"m"}"#.to_vec()));
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "m" } });
    let refused = read("anthropic-messages", line(json!({ "type": "errored", "error": error }))).outcome;
    assert!(matches!(refused, Outcome::Refusal(529, _)), "{refused:?}");
    assert_eq!(lost(&read("anthropic-messages", line(json!({ "type": "expired" }))).outcome).0, Kind::Timeout);
    assert_eq!(lost(&read("anthropic-messages", line(json!({ "type": "canceled" }))).outcome).0, Kind::Cancelled);
    assert_eq!(lost(&read("anthropic-messages", line(json!({ "type": "new" }))).outcome).0, Kind::Malformed);

    for line in [json!({ "metadata": { "key": "x" }, "response": {} }), json!({ "key": "x", "response": {} })] {
        let answer = read("gemini", line);
        assert_eq!((answer.key.as_str(), answer.outcome), ("x", Outcome::Reply(b"{}".to_vec())));
    }
    for (code, status) in [(8, 429), (16, 401), (13, 500), (503, 503)] {
        let refused = read("gemini", json!({ "key": "x", "error": { "code": code, "message": "m" } })).outcome;
        assert!(matches!(refused, Outcome::Refusal(its, _) if its == status), "{code}: {refused:?}");
    }
    assert!(wire("gemini").read_answer(br#"{"response":{}}"#).is_err(), "nobody's line");
    assert!(wire("openai-chat").read_answer(b"{").is_err());
}

#[test]
fn answers_stand_in_an_operation_in_either_of_two_places() {
    let rows = json!({ "inlinedResponses": { "inlinedResponses": [
        { "metadata": { "key": "line-2" }, "response": { "a": 1 } }, { "metadata": { "key": "line-1" }, "error": { "code": 3 } }] } });
    for body in [
        json!({ "name": "batches/1", "done": true, "response": rows.clone() }),
        json!({ "name": "batches/1", "done": true, "metadata": { "state": "BATCH_STATE_SUCCEEDED", "output": rows } }),
    ] {
        let answers = wire("gemini").read_status_answers(body.to_string().as_bytes()).unwrap();
        let keys: Vec<&str> = answers.iter().map(|answer| answer.key.as_str()).collect();
        assert_eq!(keys, ["line-2", "line-1"]);
        assert_eq!(status("gemini", &body).results, [Place::Status]);
    }
}

#[test]
fn a_batch_of_ours_is_found_in_a_list_page_by_page() {
    let wire_ = wire("openai-chat");
    let page = json!({ "data": [
        { "id": "batch_2", "metadata": null, "input_file_id": "file-2" }, { "id": "batch_1", "metadata": { "trunkline": "ours-1" } }],
        "has_more": true });
    let listed = wire_.read_list(page.to_string().as_bytes()).unwrap();
    let named = [(vec!["file-2".to_owned()], "batch_2".to_owned()), (vec!["ours-1".to_owned()], "batch_1".to_owned())];
    assert_eq!((&listed.named[..], listed.after.as_deref()), (&named[..], Some("batch_1")));
    assert_eq!(wire_.list_path(Some("batch_1"), &quirks()).unwrap(), "/batches?limit=100&after=batch_1");
    assert_eq!(wire_.read_list(b"{\"data\":[]}").unwrap().after, None);
    let page =
        json!({ "operations": [{ "name": "batches/1", "metadata": { "displayName": "ours-1" } }], "nextPageToken": "abc=" });
    let listed = wire("gemini").read_list(page.to_string().as_bytes()).unwrap();
    assert_eq!((listed.named[0].1.as_str(), listed.after.as_deref()), ("batches/1", Some("abc=")));
    assert_eq!(
        wire("gemini").list_path(listed.after.as_deref(), &quirks()).unwrap(),
        "/v1beta/batches?pageSize=100&pageToken=abc="
    );
}
