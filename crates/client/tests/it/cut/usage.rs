//! Every streaming fixture of every dialect, in both lanes, left by the caller after every event: what it took is known,
//! measured or estimated, and never nothing.

use trunkline::codec::dialect::{Cx, Dialect, Framing};
use trunkline::config::{Config, Environment, HoldBack};
use trunkline::exchange::Lane;
use trunkline::ir::{Delta, Event, PartStart, Usage};
use trunkline::{Client, Target};

use super::{Case, Ending, PROMPT, callers, load};

/// After how many bytes another frame is whole.
fn ends(case: &Case) -> Vec<usize> {
    let mut frames = case.framing.reader(1 << 20);
    let mut ends = vec![0];
    for (at, byte) in case.bytes.chunks(1).enumerate() {
        let mut rest = byte;
        while let Ok(Some(_)) = frames.next(&mut rest) {
            ends.push(at + 1);
        }
    }
    ends.dedup();
    ends
}

/// One caller for each lane.
fn lanes(case: &Case) -> Vec<(&'static Dialect, Framing)> {
    let all = || callers().flat_map(|caller| case.framings(caller).into_iter().map(move |framing| (caller, framing)));
    let of = |lane| all().find(|(caller, _)| case.lane(caller) == lane);
    [of(Lane::Same), of(Lane::Translate)].into_iter().flatten().collect()
}

/// What was used when the caller left there, and when the stream just ended there: with whether that was an error.
fn used(case: &Case, (caller, framing): (&'static Dialect, Framing), at: usize) -> (Usage, Usage, bool) {
    let relay = |ending| case.relay(caller, framing, case.bytes.slice(..at), ending, HoldBack::None).unwrap().1;
    let (left, over) = (relay(Ending::HungUp), relay(Ending::Quiet));
    let what = || format!("{} → {}, {framing:?}, after byte {at}", case.name, caller.name);
    for outcome in [&left, &over] {
        assert_eq!(outcome.exchanges.len(), 1, "{}", what());
        assert_eq!(outcome.exchanges[0].usage, outcome.usage, "{}", what());
    }
    let some = |usage: Option<Usage>| usage.unwrap_or_else(|| panic!("{}: nothing was used", what()));
    (some(left.usage), some(over.usage), over.error.is_some())
}

/// Sane: within a third and three times of it, and some tokens.
fn is_near(one: u64, other: u64, some: u64) -> bool {
    one <= other * 3 + some && other <= one * 3 + some
}

fn check(case: &Case) -> (usize, usize) {
    let mut near_ends = Vec::new();
    let (mut events, mut compared) = (0, 0);
    for lane in lanes(case) {
        let what = format!("{} → {}", case.name, lane.0.name);
        let (mut last, mut most) = (Usage::default(), 0);
        for at in ends(case) {
            let (left, over, failed) = used(case, lane, at);
            events += 1;
            // A provider may well say that it read nothing anew.
            assert!([left, over].iter().all(|used| used.input > 0 || !used.estimated), "{what}: {left:?}");
            if failed {
                assert!(left.estimated && over.estimated, "{what}: byte {at}: {left:?}");
                assert!(left.output >= last.output, "{what}: byte {at}: {last:?}, then {left:?}");
                most = left.output;
                last = left;
            } else if !left.estimated {
                assert_eq!(left, over, "{what}: byte {at}");
            }
        }
        let (_, whole, failed) = used(case, lane, case.bytes.len());
        if !failed && !whole.estimated && whole.output >= 50 && most >= 50 {
            compared += 1;
            let text = whole.output - whole.reasoning.unwrap_or(0);
            assert!(is_near(last.output, text, 0) || is_near(last.output, whole.output, 0), "{what}: {last:?} of {whole:?}");
        }
        assert!(!failed || whole.input == PROMPT || whole.estimated, "{what}: {whole:?}");
        near_ends.push((last.output, (!failed).then_some(whole)));
    }
    if let [(one, whole), (other, same)] = near_ends[..] {
        assert!(is_near(one, other, 12), "{}: {one} in the same lane, {other} in the other", case.name);
        if let (Some(whole), Some(same)) = (whole, same) {
            assert!(whole == same || whole.estimated && same.estimated, "{}: {whole:?}, {same:?}", case.name);
        }
    }
    (events, compared)
}

#[test]
fn hang_ups_at_every_event_give_measured_or_estimated_usage_never_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let cases = load();
    let (mut failed, mut events, mut compared) = (Vec::new(), 0, 0);
    for case in &cases {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(case))) {
            Ok((some, near)) => (events, compared) = (events + some, compared + near),
            Err(_) => failed.push(case.name.clone()),
        }
    }
    println!("{} streams, left after {events} events; {compared} of them told what the guess can be compared with", cases.len());
    assert!(failed.is_empty(), "{failed:?}");
}

/// A stream of many words, thoughts and arguments as the dialect's own writer writes it, broken off before its end.
fn written(dialect: &'static Dialect, of: &PartStart, pieces: &[&str]) -> Case {
    let cx = Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 1_700_000_000,
        model: "some-model".to_owned(),
        framing: dialect.upstream.framing(),
        stream_usage: true,
        asked: None,
    };
    let (mut writer, mut bytes) = (dialect.downstream().write_stream(&cx), Vec::new());
    let start = Event::Start { id: "1".to_owned(), model: "some-model".to_owned(), created: None, extra: Default::default() };
    writer.push(&start, &mut bytes);
    writer.push(&Event::PartStart { choice: 0, part: 0, start: of.clone() }, &mut bytes);
    for piece in pieces {
        let delta = match of {
            PartStart::ToolCall { .. } => Delta::Arguments((*piece).to_owned()),
            _ => Delta::Text((*piece).to_owned()),
        };
        writer.push(&Event::Delta { choice: 0, part: 0, delta }, &mut bytes);
    }
    writer.push(&Event::PartEnd { choice: 0, part: 0 }, &mut bytes);
    let text = format!(
        "[providers.house]\nbase_url = \"http://127.0.0.1:1\"\ndialects = [\"{}\"]\nauth = {{ none = true }}",
        dialect.name
    );
    let config = Config::parse(&text, "trunkline.toml").unwrap();
    let client = Client::builder().config(config).environment(Environment::of([("HOME", "/")])).build().unwrap();
    let target = Target::new(client.service("house").unwrap(), "some-model");
    Case {
        name: format!("written {}", dialect.name),
        dialect,
        framing: dialect.upstream.framing(),
        bytes: bytes.into(),
        target,
        client,
    }
}

#[test]
fn the_guess_of_a_forwarded_stream_goes_by_its_text_and_not_by_its_frames() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let words = ["Hello", " there", ", \"you\"", " and", "\n", "all of the others who came here to see it", "."];
    let pieces: Vec<&str> = words.iter().cycle().take(350).copied().collect();
    let arguments = ["{\"a\":[", "1234,", "5678,", "\"some words\",", "0]}"];
    let text = pieces.concat();
    for dialect in callers() {
        let tool = PartStart::ToolCall { id: "call_1".to_owned(), name: "look".to_owned() };
        for (of, pieces, bytes) in [(PartStart::Text, &pieces[..], text.len()), (tool, &arguments[..], arguments.concat().len())]
        {
            if matches!(of, PartStart::ToolCall { .. }) && ["openai-completions", "ollama-generate"].contains(&dialect.name) {
                continue;
            }
            let case = written(dialect, &of, pieces);
            let (left, ..) = used(&case, (dialect, case.framing), case.bytes.len());
            let (least, most) = (bytes as f64 / 4.0 * 0.9, bytes as f64 / 4.0 * 1.25 + 3.0);
            let output = left.output as f64;
            assert!(left.estimated && (least..=most).contains(&output), "{} {of:?}: {left:?}, {least} to {most}", dialect.name);
        }
    }
}
