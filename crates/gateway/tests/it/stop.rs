//! Stopping: no new calls, running streams finish or are cut with a proper error.

use std::net::TcpStream;
use std::time::Duration;

use trunkline_testkit::provider::{Answer, Ending};

use crate::gateway::{House, until};
use crate::lane::well;
use crate::speech::{self, TEXT, each_pair};
use crate::wire::{Ask, Line};

#[test]
fn an_idle_gateway_stops_at_once_whoever_is_connected() {
    let house = House::new(well);
    let silent = Line::connect(house.gateway.address);
    let mut used = Line::connect(house.gateway.address);
    for speech in speech::all() {
        used.write(&speech.ask(&speech.model(), true).bytes());
        assert_eq!(used.reply().status(), 200);
    }
    std::thread::sleep(Duration::from_millis(20));
    house.gateway.stop();
    let took = house.gateway.wait(Duration::from_secs(3));
    println!("an idle gateway stops in {took:?}");
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert!(TcpStream::connect(house.gateway.address).is_err(), "nobody listens any more");
    assert!(used.is_closed());
    drop(silent);
}

#[test]
fn half_a_request_does_not_hold_the_stop_up() {
    let house = House::with(well, "[server]\ndrain_seconds = 60");
    let mut half = Line::connect(house.gateway.address);
    half.write(b"POST /v1/mess");
    let mut later = Line::connect(house.gateway.address);
    later.write(&Ask::get("/health/live").bytes());
    later.reply();
    later.write(b"POST /v1/messages HTTP/1.1\r\nhost: ga");
    std::thread::sleep(Duration::from_millis(50));
    house.gateway.stop();
    let took = house.gateway.wait(Duration::from_secs(8));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_running_stream_finishes_and_new_callers_are_not_let_in() {
    each_pair(|caller, provider| {
        let cell = format!("{} → {}", caller.name, provider.name);
        let (first, rest) = provider.frames.split_at(provider.texts - 1);
        let house =
            House::new(provider.framed(first.iter().copied()).pause(Duration::from_millis(400)).chunks(rest.iter().copied()));
        let mut line = caller.ask(&provider.model(), true).open(house.gateway.address);
        assert_eq!(line.head().status, 200);
        let mut text = line.chunks_until("Hel");
        house.gateway.stop();
        assert!(until(|| TcpStream::connect(house.gateway.address).is_err()), "{cell}: still open");
        text.push_str(std::str::from_utf8(&line.rest()).unwrap());
        assert_eq!(caller.text(&text), TEXT, "{cell}");
        assert!(text.contains(caller.ends[0]), "{cell}: {text}");
        assert!(line.is_closed(), "{cell}");
        house.gateway.wait(Duration::from_secs(3));
    });
}

#[test]
fn a_running_whole_call_finishes() {
    each_pair(|caller, provider| {
        let house = House::new(provider.answer().delay(Duration::from_millis(300)));
        let mut line = caller.ask(&provider.model(), false).open(house.gateway.address);
        assert!(until(|| house.provider.requests().len() == 1));
        house.gateway.stop();
        let reply = line.reply();
        assert_eq!(reply.status(), 200, "{} → {}: {}", caller.name, provider.name, reply.text());
        house.gateway.wait(Duration::from_secs(3));
    });
}

#[test]
fn a_stream_that_goes_on_too_long_is_cut_with_an_error() {
    each_pair(|caller, provider| {
        let cell = format!("{} → {}", caller.name, provider.name);
        let house =
            House::with(provider.framed(provider.begun().iter().copied()).ending(Ending::Hang), "[server]\ndrain_seconds = 1");
        let mut line = caller.ask(&provider.model(), true).open(house.gateway.address);
        line.head();
        let mut text = line.chunks_until("Hel");
        house.gateway.stop();
        text.push_str(std::str::from_utf8(&line.rest()).unwrap());
        assert_eq!(caller.text(&text), TEXT, "{cell}");
        let message = caller.broken(&text);
        assert!(message.contains("shutting down"), "{cell}: {message}");
        assert!(line.is_closed(), "{cell}");
        let took = house.gateway.wait(Duration::from_secs(4));
        assert!(took < Duration::from_secs(1), "{cell}: {took:?} after the cut");
        assert!(until(|| house.provider.hangups().count == 1), "{cell}: the provider is told");
    });
}

#[test]
fn a_stream_that_never_pauses_is_cut_as_well() {
    each_pair(|caller, provider| {
        let cell = format!("{} → {}", caller.name, provider.name);
        let chatter = std::iter::repeat_n(provider.chatter(), 4000);
        let house = House::with(
            provider.framed(provider.begun().iter().copied().chain(chatter)).drip(Duration::from_micros(300)),
            "[server]\ndrain_seconds = 1",
        );
        let mut line = caller.ask(&provider.model(), true).open(house.gateway.address);
        line.head();
        let mut text = line.chunks_until("Hel");
        house.gateway.stop();
        text.push_str(std::str::from_utf8(&line.rest()).unwrap());
        assert!(caller.broken(&text).contains("shutting down"), "{cell}");
        house.gateway.wait(Duration::from_secs(4));
    });
}

#[test]
fn a_whole_call_that_goes_on_too_long_is_cut_with_an_error() {
    each_pair(|caller, provider| {
        let cell = format!("{} → {}", caller.name, provider.name);
        let house = House::with(Answer::never(), "[server]\ndrain_seconds = 1");
        let mut line = caller.ask(&provider.model(), false).open(house.gateway.address);
        assert!(until(|| house.provider.requests().len() == 1), "{cell}");
        house.gateway.stop();
        let (status, message) = caller.refusal(&line.reply());
        assert_eq!(status, 503, "{cell}");
        assert!(message.contains("shutting down"), "{cell}: {message}");
        house.gateway.wait(Duration::from_secs(4));
    });
}
