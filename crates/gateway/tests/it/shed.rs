//! More than the gateway may take on: told at once, in the caller's dialect, and counted.

use std::time::Duration;

use trunkline_testkit::provider::{Answer, Seen};

use crate::gateway::House;
use crate::lane::well;
use crate::speech;
use crate::wire::{Ask, Line};

fn slow(seen: &Seen) -> Answer {
    well(seen).pause(Duration::from_millis(400))
}

fn wait_until(met: impl Fn() -> bool) {
    for _ in 0..200 {
        if met() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not come to pass");
}

#[test]
fn beyond_max_calls_there_is_a_clear_503_and_health_answers() {
    let house = House::with(slow, "[server]\nmax_calls = 2\n");
    for (at, speech) in speech::all().enumerate() {
        let ask = Ask::post(&speech.path(&speech.model(), true), speech.body(&speech.model(), true));
        let mut open: Vec<Line> = (0..2).map(|_| ask.open(house.gateway.address)).collect();
        let sent = at * 3 + 2;
        wait_until(|| house.provider.requests().len() == sent);
        let reply = house.gateway.ask(&ask);
        let (status, message) = speech.refusal(&reply);
        assert!(status == 503 || status == 529, "{}: {status} {message}", speech.name);
        assert!(message.contains("max_calls"), "{message}");
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(house.gateway.ask(&Ask::get("/health/live")).status(), 200);
        assert_eq!(house.gateway.stats().all["shed"], at as u64 + 1);
        open.iter_mut().for_each(|line| assert_eq!(line.reply().status(), 200));
        let again = house.gateway.ask(&ask);
        assert_eq!(again.status(), 200, "there is room again: {}", again.text());
        let sent = house.provider.requests().len();
        assert_eq!(sent, (at + 1) * 3, "who was refused was not sent on");
    }
}

#[test]
fn beyond_body_memory_bodies_are_not_read() {
    let house = House::with(well, "[server]\nbody_memory = 100000\n");
    for speech in speech::all() {
        let path = speech.path(&speech.model(), false);
        let mut held = Line::connect(house.gateway.address);
        let length = 60_000;
        held.write(format!("POST {path} HTTP/1.1\r\nhost: gate\r\ncontent-length: {length}\r\n\r\n{{").as_bytes());
        std::thread::sleep(Duration::from_millis(50));
        let mut second = Line::connect(house.gateway.address);
        second.write(format!("POST {path} HTTP/1.1\r\nhost: gate\r\ncontent-length: {length}\r\n\r\n{{").as_bytes());
        let reply = second.reply();
        let (status, message) = speech.refusal(&reply);
        assert!(status == 503 || status == 529, "{}: {status} {message}", speech.name);
        assert!(message.contains("body_memory"), "{message}");
        assert_eq!(reply.header("retry-after"), "1");
        let small = Ask::post(&path, speech.body(&speech.model(), false));
        assert_eq!(house.gateway.ask(&small).status(), 200, "what fits goes through");
        drop((held, second));
        let large = Ask::post(&path, speech.body(&speech.model(), false).replace("hi", &"x".repeat(70_000)));
        wait_until(|| house.gateway.ask(&large).status() == 200);
    }
    let shed = house.gateway.stats().all["shed"].as_u64().unwrap();
    assert!(shed >= speech::all().count() as u64, "{shed}");
}

#[test]
fn a_full_queue_is_told_with_a_time_to_come_back() {
    let limits = "[server]\n[limits.at-openai-chat]\nin_flight = 1\nqueue = 0\n";
    let house = House::with(slow, limits);
    let speech = speech::all().find(|speech| speech.name == "openai-chat").unwrap();
    let ask = Ask::post(&speech.path(&speech.model(), true), speech.body(&speech.model(), true));
    let mut open = ask.open(house.gateway.address);
    wait_until(|| house.provider.requests().len() == 1);
    let reply = house.gateway.ask(&ask);
    assert_eq!(reply.status(), 429, "{}", reply.text());
    assert!(reply.text().contains("[limits]"), "{}", reply.text());
    assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
    let passed = Ask::post("/passthrough/at-openai-chat/files", "x");
    let reply = house.gateway.ask(&passed);
    assert_eq!(reply.status(), 429, "what is passed through is a call, too: {}", reply.text());
    assert_eq!(house.provider.requests().len(), 1);
    assert_eq!(open.reply().status(), 200);
    assert_eq!(house.gateway.ask(&ask).status(), 200);
    assert_eq!(house.gateway.ask(&passed).status(), 404, "the provider's own word");
    assert_eq!(house.gateway.stats().all["shed"], 0, "that is the provider's limit, not the gateway's");
}
