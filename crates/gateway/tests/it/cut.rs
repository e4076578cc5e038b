//! Streams that break off: what came is delivered, then a visible error, and never an ending that nobody wrote.

use std::time::Duration;

use trunkline_testkit::provider::{Answer, Ending};

use crate::gateway::{House, until};
use crate::speech::{Speech, TEXT, each_pair, pairs};

/// Asks for a stream and checks that the text came and that the end is an error; gives its message.
fn cut(house: &House, caller: &Speech, provider: &Speech, cell: &str) -> String {
    let before = house.gateway.stats();
    let reply = house.gateway.ask(&caller.ask(&provider.model(), true));
    assert_eq!(reply.status(), 200, "{cell}: {}", reply.text());
    assert_eq!(caller.text(reply.text()), TEXT, "{cell}: {}", reply.text());
    let message = caller.broken(reply.text());
    let after = house.gateway.stats();
    assert_eq!((after.calls, after.errors), (before.calls + 1, before.errors + 1), "{cell}: {}", after.all);
    message
}

#[test]
fn a_stream_without_its_end_is_an_error_after_what_came() {
    let pause = Duration::from_millis(20);
    each_pair(|caller, provider| {
        let begun = || provider.framed(provider.begun().iter().copied());
        let half = if provider.is_lines { "{\"ha" } else { "data: {\"ha" };
        let cases = [
            ("closed without the body's end", begun().pause(pause).ending(Ending::Cut)),
            ("reset", begun().pause(pause).ending(Ending::Reset)),
            ("half closed", begun().ending(Ending::HalfClose)),
            ("ended properly, but too early", begun().ending(Ending::KeepAlive)),
            ("closed properly, but too early", begun().ending(Ending::Close)),
            ("half a frame, then closed", begun().chunks([half]).pause(pause).ending(Ending::Cut)),
            ("half a frame, then ended properly", begun().chunks([half]).ending(Ending::KeepAlive)),
        ];
        for (what, answer) in cases {
            let cell = format!("{} → {}: {what}", caller.name, provider.name);
            let house = House::new(answer);
            let message = cut(&house, caller, provider, &cell);
            assert!(message.contains(&format!("at-{}", provider.name)), "{cell} names the provider: {message}");
        }
    });
}

#[test]
fn a_stream_with_its_end_is_whole_however_the_connection_closes() {
    for ending in [Ending::Cut, Ending::HalfClose] {
        each_pair(|caller, provider| {
            let whole = provider.framed(provider.frames.iter().copied()).pause(Duration::from_millis(10));
            let house = House::new(whole.ending(ending));
            let cell = format!("{} → {}: {ending:?}", caller.name, provider.name);
            let reply = house.gateway.ask(&caller.ask(&provider.model(), true));
            assert_eq!(caller.text(reply.text()), TEXT, "{cell}: {}", reply.text());
            let stats = house.gateway.stats();
            assert_eq!((stats.calls, stats.errors), (1, 0), "{cell}: {}", reply.text());
        });
    }
}

#[test]
fn deltas_are_delivered_as_they_come_and_not_at_the_end() {
    each_pair(|caller, provider| {
        let (first, rest) = provider.frames.split_at(provider.texts - 1);
        let pause = Duration::from_secs(6);
        let house = House::new(provider.framed(first.iter().copied()).pause(pause).chunks(rest.iter().copied()));
        let mut line = caller.ask(&provider.model(), true).open(house.gateway.address);
        let start = std::time::Instant::now();
        line.head();
        line.chunks_until("Hel");
        assert!(start.elapsed() < pause / 2, "{} → {}: {:?}", caller.name, provider.name, start.elapsed());
        line.rest();
    });
}

#[test]
fn a_frame_that_never_ends_is_given_up_at_the_limit() {
    for (caller, provider) in pairs() {
        let cell = format!("{} → {}", caller.name, provider.name);
        let begun = provider.framed(provider.begun().iter().copied());
        let answer = begun.chunks(["data: "]).chunks([vec![b'x'; 3000], vec![b'x'; 3000]]).ending(Ending::Hang);
        let house = House::with(answer, "[network]\nframe_limit = 4096");
        let message = cut(&house, caller, provider, &cell);
        assert!(message.contains("4096"), "{cell}: {message}");
        assert!(until(|| house.provider.hangups().count == 1), "{cell}: the provider's connection is let go");
    }
}

#[test]
fn a_frame_that_never_ends_and_comes_fast_is_given_up_at_the_limit() {
    for (caller, provider) in pairs() {
        let cell = format!("{} → {}", caller.name, provider.name);
        let house = House::with(Answer::endless_frame(), "[network]\nframe_limit = 100000");
        let reply = house.gateway.ask(&caller.ask(&provider.model(), true));
        assert!(caller.broken(reply.text()).contains("100000"), "{cell}");
        assert!(until(|| house.provider.hangups().count == 1), "{cell}: the provider's connection is let go");
    }
}

#[test]
fn a_frame_of_garbage_is_an_error_where_it_must_be_read_and_passes_where_it_is_not() {
    for (caller, provider) in pairs() {
        let cell = format!("{} → {}", caller.name, provider.name);
        let garbage = "data: {\"choices\": [{]}\n\n";
        let (begun, rest) = provider.frames.split_at(provider.texts);
        let frames: Vec<&str> = begun.iter().chain([&garbage]).chain(rest).copied().collect();
        let house = House::new(provider.framed(frames.clone()));
        if caller.name == provider.name {
            let reply = house.gateway.ask(&caller.ask(&provider.model(), true));
            // Law 3: bytes in, bytes out. (A usage chunk that the caller did not ask for is taken out.)
            assert!(reply.text().contains(garbage), "{cell}: {}", reply.text());
            assert!(reply.text().contains(caller.ends[0]), "{cell}");
        } else {
            cut(&house, caller, provider, &cell);
        }
    }
}

#[test]
fn silence_in_the_middle_is_given_up() {
    each_pair(|caller, provider| {
        let cell = format!("{} → {}", caller.name, provider.name);
        let house =
            House::with(provider.framed(provider.begun().iter().copied()).ending(Ending::Hang), "[network]\nidle_seconds = 1");
        let message = cut(&house, caller, provider, &cell);
        assert!(message.contains("1 second"), "{cell}: {message}");
        assert!(until(|| house.provider.hangups().count == 1), "{cell}: the provider's connection is let go");
    });
}

#[test]
fn unknown_events_and_keep_alives_harm_nothing() {
    for (caller, provider) in pairs() {
        let cell = format!("{} → {}", caller.name, provider.name);
        let (begun, rest) = provider.frames.split_at(provider.texts - 1);
        let frames: Vec<&str> = begun.iter().chain(provider.odd_frames()).chain(rest).copied().collect();
        let house = House::new(provider.framed(frames));
        let reply = house.gateway.ask(&caller.ask(&provider.model(), true));
        assert_eq!(caller.text(reply.text()), TEXT, "{cell}: {}", reply.text());
        assert!(reply.text().contains(caller.ends[0]), "{cell}: {}", reply.text());
        assert_eq!(house.gateway.stats().errors, 0, "{cell}");
    }
}
