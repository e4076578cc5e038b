//! Forms with files: the model's name is replaced in passing, the rest is never held.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;
use trunkline_testkit::provider::{Answer, Seen};

use crate::gateway::{CREDENTIAL, Gateway, House, until};
use crate::wire::Ask;

const SIM: &str = "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n";
const BOUNDARY: &str = "----b0undary";

enum Field<'a> {
    Text(&'a str, &'a str),
    File(&'a str, &'a [u8]),
}

fn form(fields: &[Field<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for field in fields {
        let (name, file, value) = match field {
            Field::Text(name, value) => (name, "", value.as_bytes()),
            Field::File(name, bytes) => (name, "; filename=\"x.wav\"\r\ncontent-type: audio/wav", *bytes),
        };
        body.extend(format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend(value);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

fn post(path: &str, body: Vec<u8>) -> Ask {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: gate\r\ncontent-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {length}\r\n"
    );
    Ask { head, body }
}

#[test]
fn a_form_reaches_the_provider_with_the_models_name_and_nothing_else_changed() {
    let house = House::new(|_: &Seen| {
        Answer::json(200, r#"{"text":"said","usage":{"type":"tokens","input_tokens":3,"output_tokens":1}}"#)
    });
    let sound = b"\r\n--not it\r\nname=\"model\"\r\n\r\n\0\xff".repeat(1000);
    for first in [true, false] {
        let fields = |model: &str| {
            let named = Field::Text("model", model);
            let file = Field::File("file", &sound);
            let fields =
                if first { [Field::Text("language", "en"), named, file] } else { [file, Field::Text("language", "en"), named] };
            form(&fields)
        };
        let reply = house.gateway.ask(&post("/v1/audio/transcriptions", fields("at-openai-chat/tiny-1")));
        assert_eq!((reply.status(), reply.json()["text"].as_str()), (200, Some("said")), "{}", reply.text());
        let seen = house.provider.requests().pop().unwrap();
        assert!(seen.body == fields("tiny-1"), "first: {first}");
        assert_eq!(seen.path, "/v1/audio/transcriptions");
        assert_eq!(seen.header("content-type"), format!("multipart/form-data; boundary={BOUNDARY}"));
        assert_eq!(seen.header("authorization"), format!("Bearer {CREDENTIAL}"));
    }
    assert!(until(|| house.gateway.stats().all["input_tokens"] == 6));
}

#[test]
fn the_simulator_listens_edits_and_translates() {
    let gateway = Gateway::with(SIM);
    let spoken =
        gateway.ask(&Ask::post("/v1/audio/speech", json!({"model": "sim/echo", "input": "Hello ☃", "voice": "v"}).to_string()));
    let ask = |path: &str, format: &str| {
        let fields =
            [Field::Text("model", "sim/echo"), Field::Text("response_format", format), Field::File("file", &spoken.body)];
        gateway.ask(&post(path, form(&fields)))
    };
    assert_eq!(ask("/v1/audio/transcriptions", "json").json()["text"], "Hello ☃");
    assert_eq!(ask("/v1/audio/transcriptions", "verbose_json").json()["segments"][0]["text"], "Hello ☃");
    let subtitles = ask("/v1/audio/translations", "vtt");
    assert!(subtitles.text().starts_with("WEBVTT\n") && subtitles.header("content-type").starts_with("text/plain"));
    let fields = [Field::Text("prompt", "redder"), Field::File("image[]", &[1, 2, 3]), Field::Text("model", "sim/echo")];
    let edited = gateway.ask(&post("/v1/images/edits", form(&fields)));
    assert!(edited.json()["data"][0]["b64_json"].as_str().unwrap().starts_with("iVBOR"), "{}", edited.text());
    let fields = [Field::Text("stream", "true"), Field::Text("model", "sim/echo"), Field::File("file", &spoken.body)];
    let streamed = gateway.ask(&post("/v1/audio/transcriptions", form(&fields)));
    assert!(streamed.text().contains("transcript.text.done"), "{}", streamed.text());
}

#[test]
fn a_form_is_translated_where_the_provider_has_another_way() {
    let house = House::new(|seen: &Seen| {
        let data = seen.json()["contents"][0]["parts"][1]["inlineData"]["data"].clone();
        let part = json!({"inlineData": {"mimeType": "image/png", "data": data}});
        let candidate = json!({"content": {"parts": [part]}, "finishReason": "STOP"});
        Answer::json(
            200,
            json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 3}}).to_string(),
        )
    });
    let fields = [
        Field::Text("model", "at-gemini/tiny-1"),
        Field::Text("prompt", "redder"),
        Field::Text("n", "2"),
        Field::File("image", b"hi"),
    ];
    let reply = house.gateway.ask(&post("/v1/images/edits", form(&fields)));
    assert_eq!(reply.json()["data"], json!([{"b64_json": "aGk="}, {"b64_json": "aGk="}]), "{}", reply.text());
    assert_eq!(reply.json()["usage"]["output_tokens"], 6);
    let seen = house.provider.requests();
    assert_eq!((seen.len(), seen[0].path.as_str()), (2, "/v1beta/models/tiny-1:generateContent"));
    assert_eq!(seen[0].header("content-type"), "application/json");
}

#[test]
fn bad_forms_are_refused_in_plain_words() {
    let house = House::with(Answer::json(200, "{}"), "[server]\nbody_limit = 100000\nupload_limit = 1000000\n");
    let file = Field::File("file", b"x");
    let twice = form(&[Field::Text("model", "at-openai-chat/tiny-1"), Field::Text("model", "at-openai-chat/other")]);
    let large = vec![0; 200_000];
    let late = form(&[Field::File("file", &large), Field::Text("model", "at-openai-chat/tiny-1")]);
    let huge = form(&[Field::Text("model", "at-openai-chat/tiny-1"), Field::File("file", &vec![0; 1_100_000])]);
    for (body, status, says) in [
        (form(&[file]), 400, "model is required"),
        (form(&[Field::Text("model", "")]), 400, "model is required"),
        (b"nothing of a form".to_vec(), 400, "model is required"),
        (twice, 400, "model is repeated"),
        (late, 400, "put model before the file"),
        (huge, 413, "upload_limit"),
        (form(&[Field::Text("model", "at-nobody/x"), Field::File("file", b"x")]), 404, "at-nobody"),
    ] {
        let reply = house.gateway.ask(&post("/v1/audio/transcriptions", body));
        assert_eq!(reply.status(), status, "{says}: {}", reply.text());
        assert!(reply.text().contains(says), "{says}: {}", reply.text());
    }
    let reply = house.gateway.ask(&Ask::post("/v1/audio/transcriptions", "{}"));
    assert!(reply.status() == 400 && reply.text().contains("multipart/form-data"), "{}", reply.text());
    assert!(house.provider.requests().is_empty());
}

#[test]
fn a_second_model_behind_the_file_stops_the_upload() {
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", provider.local_addr().unwrap());
    let seen = std::thread::spawn(move || {
        let (mut socket, _) = provider.accept().unwrap();
        let mut body = Vec::new();
        let _ = socket.read_to_end(&mut body);
        body
    });
    let gateway = Gateway::with(&format!("{SIM}{}", crate::gateway::providers(&url)));
    let fields = [
        Field::Text("model", "at-openai-chat/tiny-1"),
        Field::File("file", &vec![1; 3_000_000]),
        Field::Text("model", "at-openai-chat/dear"),
    ];
    let reply = gateway.ask(&post("/v1/audio/transcriptions", form(&fields)));
    assert_eq!((reply.status(), reply.json()["error"]["param"].as_str()), (400, Some("model")), "{}", reply.text());
    let body = seen.join().unwrap();
    assert!(!body.windows(4).any(|window| window == b"dear"), "the provider never sees it");
    assert!(!body.ends_with(b"--\r\n"), "nor a whole form");
}

/// What the gateway takes off the caller's hands while the provider reads nothing, it must hold somewhere.
#[test]
fn a_long_form_is_not_held() {
    const LENGTH: usize = 64 * 1024 * 1024;
    // Four sockets' buffers on the way, each of a few megabytes at most, and a few pieces in the gateway.
    const MOST: usize = 32 * 1024 * 1024;
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", provider.local_addr().unwrap());
    let (go, wait) = mpsc::channel::<()>();
    let serve = std::thread::spawn(move || {
        let (mut socket, _) = provider.accept().unwrap();
        let head = read_head(&mut socket);
        wait.recv().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse::<usize>().unwrap();
        let (mut read, mut front, mut room) = (0, Vec::new(), vec![0; 1 << 20]);
        while read < length {
            let count = socket.read(&mut room).unwrap();
            assert!(count > 0, "the upload broke off at {read} of {length}");
            if front.len() < 1000 {
                front.extend_from_slice(&room[..count.min(1000)]);
            }
            read += count;
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nsaid").unwrap();
        (length, String::from_utf8_lossy(&front).into_owned())
    });
    let gateway = Gateway::with(&format!("{SIM}{}", crate::gateway::providers(&url)));
    let sound = vec![b'~'; LENGTH];
    let body = form(&[Field::Text("model", "at-openai-chat/tiny-1"), Field::File("file", &sound)]);
    let sent = body.len();
    let bytes = post("/v1/audio/transcriptions", body).bytes();
    let mut line = crate::wire::Line::connect(gateway.address);
    let held = write_until_stuck(&mut line.socket, &bytes);
    assert!(held < MOST, "{held} bytes were taken while nobody read them");
    go.send(()).unwrap();
    line.socket.set_nonblocking(false).unwrap();
    line.write(&bytes[held..]);
    let reply = line.reply();
    assert_eq!((reply.status(), reply.text(), reply.header("content-type")), (200, "said", "text/plain"));
    let (length, front) = serve.join().unwrap();
    assert_eq!(length, sent - "at-openai-chat/".len());
    assert!(front.contains("name=\"model\"\r\n\r\ntiny-1\r\n--"), "{front}");
}

fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Writes until nothing more is taken for a while; says how much was.
fn write_until_stuck(socket: &mut TcpStream, bytes: &[u8]) -> usize {
    socket.set_nonblocking(true).unwrap();
    let (mut written, mut last) = (0, Instant::now());
    while written < bytes.len() && last.elapsed() < Duration::from_millis(700) {
        match socket.write(&bytes[written..]) {
            Ok(count) => (written, last) = (written + count, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
    }
    written
}

#[test]
fn a_caller_that_leaves_in_the_middle_takes_the_upload_with_it() {
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", provider.local_addr().unwrap());
    let seen = std::thread::spawn(move || {
        let (mut socket, _) = provider.accept().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut body = Vec::new();
        socket.read_to_end(&mut body).map(|_| body.len())
    });
    let gateway = Gateway::with(&format!("{SIM}{}", crate::gateway::providers(&url)));
    let body = form(&[Field::Text("model", "at-openai-chat/tiny-1"), Field::File("file", &vec![1; 500_000])]);
    let bytes = post("/v1/audio/transcriptions", body).bytes();
    let mut line = crate::wire::Line::connect(gateway.address);
    line.write(&bytes[..300_000]);
    drop(line);
    assert!(seen.join().unwrap().is_ok(), "the provider's connection is closed, too");
    assert!(until(|| gateway.stats().calls == 1));
}
