//! A body past the limit gets 413 and not a reset, also when its sender goes on sending.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::gateway::House;
use crate::lane::well;
use crate::speech;
use crate::wire::{Ask, Line};

const LIMIT: &str = "[server]\nbody_limit = 65536";
const MUCH: usize = 12 * 1024 * 1024;

fn body(model: &str, speech: &speech::Speech, length: usize) -> String {
    speech.body(model, false).replace("hi", &"x".repeat(length))
}

#[test]
fn with_its_length_announced_and_sent_to_the_end() {
    let house = House::with(well, LIMIT);
    for speech in speech::all() {
        let ask = Ask::post(&speech.path(&speech.model(), false), body(&speech.model(), speech, MUCH));
        // All of it is written before anything is read, as simple clients do.
        let reply = house.gateway.ask(&ask);
        let (status, message) = speech.refusal(&reply);
        assert_eq!(status, 413, "{}: {message}", speech.name);
        assert!(message.contains("65536"), "{message}");
        if speech.name == "anthropic-messages" {
            assert_eq!(reply.json()["error"]["type"], "request_too_large");
        }
    }
    assert!(house.provider.requests().is_empty());
}

#[test]
fn in_chunks_and_sent_to_the_end() {
    let house = House::with(well, LIMIT);
    for speech in speech::all() {
        let mut line = Line::connect(house.gateway.address);
        let path = speech.path(&speech.model(), false);
        line.write(format!("POST {path} HTTP/1.1\r\nhost: gate\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes());
        for chunk in body(&speech.model(), speech, MUCH).as_bytes().chunks(32 * 1024) {
            line.write(format!("{:x}\r\n", chunk.len()).as_bytes());
            line.write(chunk);
            line.write(b"\r\n");
        }
        line.write(b"0\r\n\r\n");
        assert_eq!(speech.refusal(&line.reply()).0, 413, "{}", speech.name);
    }
    assert!(house.provider.requests().is_empty());
}

#[test]
fn the_answer_comes_at_once_although_the_body_does_not() {
    let house = House::with(well, LIMIT);
    for speech in speech::all() {
        let path = speech.path(&speech.model(), false);
        for expect in ["", "expect: 100-continue\r\n"] {
            let start = Instant::now();
            let mut line = Line::connect(house.gateway.address);
            line.write(format!("POST {path} HTTP/1.1\r\nhost: gate\r\ncontent-length: 99999999\r\n{expect}\r\n").as_bytes());
            assert_eq!(speech.refusal(&line.reply()).0, 413, "{}", speech.name);
            assert!(start.elapsed() < Duration::from_secs(1), "{}: {:?}", speech.name, start.elapsed());
        }
    }
}

#[test]
fn a_sender_without_end_is_let_go() {
    let house = House::with(well, LIMIT);
    let mut line = Line::connect(house.gateway.address);
    line.write(b"POST /v1/messages HTTP/1.1\r\nhost: gate\r\ncontent-length: 99999999999\r\n\r\n");
    let start = Instant::now();
    let chunk = vec![b'x'; 64 * 1024];
    // It may be cut off after some time, but not be served for ever.
    while line.socket.write_all(&chunk).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(9), "still listened to");
    }
    let mut rest = Vec::new();
    let _ = line.socket.read_to_end(&mut rest);
}

#[test]
fn a_body_of_just_the_limit_is_taken() {
    let house = House::with(well, LIMIT);
    for speech in speech::all() {
        let room = 65536 - speech.body(&speech.model(), false).len() + 2;
        for (length, status) in [(room, 200), (room + 1, 413)] {
            let body = body(&speech.model(), speech, length);
            let reply = house.gateway.ask(&Ask::post(&speech.path(&speech.model(), false), body));
            assert_eq!(reply.status(), status, "{}", speech.name);
        }
        let large = body(&speech.model(), speech, room);
        assert_eq!(
            house.provider.requests().pop().unwrap().body.len(),
            large.len() - speech.model().len() * usize::from(speech.model_in_body()) + 6 * usize::from(speech.model_in_body())
        );
    }
}

#[test]
fn a_body_that_breaks_off_is_no_call() {
    let house = House::with(well, LIMIT);
    let mut line = Line::connect(house.gateway.address);
    line.write(b"POST /v1/messages HTTP/1.1\r\nhost: gate\r\ncontent-length: 1000\r\n\r\n{\"model\":");
    line.socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    let _ = line.socket.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&rest));
    assert!(house.provider.requests().is_empty());
}
