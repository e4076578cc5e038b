//! A caller who hangs up cancels the provider's call at once.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use trunkline_testkit::provider::{Answer, Ending};

use crate::gateway::{House, until};
use crate::speech::pairs;

/// The figure is 50 ms; a loaded machine gets some room.
const LIMIT: Duration = Duration::from_millis(500);

fn measure(house: &House, left: Instant, cell: &str) -> Duration {
    assert!(until(|| house.provider.hangups().count == 1), "{cell}: the provider was not told");
    let told = house.provider.hangups().last.unwrap().saturating_duration_since(left);
    assert!(told <= LIMIT, "{cell}: {told:?}");
    assert!(until(|| house.gateway.stats().calls == 1), "{cell}: one outcome");
    let stats = house.gateway.stats();
    assert_eq!((stats.calls, stats.cancelled, stats.errors), (1, 1, 0), "{cell}: {}", stats.all);
    let number = |name: &str| stats.all[name].as_u64().unwrap();
    assert_eq!(number("estimated"), 1, "{cell}: {}", stats.all);
    assert!(number("input_tokens") > 0 && number("estimated_tokens") > 0, "{cell}: {}", stats.all);
    told
}

#[test]
fn in_the_middle_of_a_stream() {
    let mut worst = Duration::ZERO;
    for (caller, provider) in pairs() {
        let cell = format!("{} → {}", caller.name, provider.name);
        let house = House::new(provider.framed(provider.begun().iter().copied()).ending(Ending::Hang));
        let mut line = caller.ask(&provider.model(), true).open(house.gateway.address);
        line.head();
        line.chunks_until("Hel");
        assert_eq!(house.gateway.stats().calls, 0, "{cell}");
        let left = Instant::now();
        drop(line);
        worst = worst.max(measure(&house, left, &cell));
    }
    println!("hang-up in the middle of a stream reaches the provider after at most {worst:?}");
}

#[test]
fn while_waiting_for_a_whole_reply() {
    let mut worst = Duration::ZERO;
    for (caller, provider) in pairs() {
        for stream in [false, true] {
            let cell = format!("{} → {} stream {stream}", caller.name, provider.name);
            let house = House::new(Answer::never());
            let line = caller.ask(&provider.model(), stream).open(house.gateway.address);
            assert!(until(|| house.provider.requests().len() == 1), "{cell}");
            let left = Instant::now();
            drop(line);
            worst = worst.max(measure(&house, left, &cell));
        }
    }
    println!("hang-up before the reply's head reaches the provider after at most {worst:?}");
}

#[test]
fn while_a_whole_reply_is_coming() {
    for (caller, provider) in pairs() {
        let house = House::new(Answer::json(200, provider.whole).header("content-length", "5000").ending(Ending::Hang));
        let line = caller.ask(&provider.model(), false).open(house.gateway.address);
        assert!(until(|| house.provider.requests().len() == 1));
        std::thread::sleep(Duration::from_millis(20));
        let left = Instant::now();
        drop(line);
        measure(&house, left, &format!("{} → {}", caller.name, provider.name));
    }
}

#[test]
fn a_caller_that_reads_no_more_holds_the_provider_back_and_can_still_hang_up() {
    for (caller, provider) in pairs().filter(|(caller, provider)| caller.name == provider.name) {
        let frame = "data: {\"x\":\"".to_owned() + &"y".repeat(8000) + "\"}\n\n";
        let chunks = std::iter::repeat_n(frame, 5000);
        let house = House::new(Answer::sse(chunks).ending(Ending::Hang));
        let line = caller.ask(&provider.model(), true).open(house.gateway.address);
        std::thread::sleep(Duration::from_millis(300));
        let left = Instant::now();
        line.socket.shutdown(Shutdown::Both).unwrap();
        drop(line);
        measure(&house, left, caller.name);
    }
}
