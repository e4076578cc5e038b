//! Calls that survive their targets, over sockets and in every dialect.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use trunkline_testkit::provider::{Answer, Ending, LocalProvider, Script, Seen};

use crate::gateway::{Gateway, House, providers, until, until_within};
use crate::speech::{self, Speech, TEXT, pairs};

/// Two providers, and an alias over both.
struct Pair {
    gateway: Gateway,
    first: LocalProvider,
    second: LocalProvider,
}

const ALIAS: &str = "any";

impl Pair {
    fn new((one, first): (&Speech, impl Script), (other, second): (&Speech, impl Script), more: &str) -> Self {
        let (first, second) = (LocalProvider::start(first), LocalProvider::start(second));
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n[models.{ALIAS}]\ntargets = [\"at-{}/tiny-1\", \"and-{}/tiny-1\"]\n{more}\n{}{}",
            one.name,
            other.name,
            providers(&first.url()),
            providers(&second.url()).replace("providers.at-", "providers.and-"),
        );
        Pair { gateway: Gateway::with(&config), first, second }
    }
}

/// Every dialect in its own lane, and every one in a translated lane on either side.
fn some_pairs() -> impl Iterator<Item = (&'static Speech, &'static Speech)> {
    let all = pairs();
    all.filter(|(caller, provider)| {
        caller.name == provider.name || caller.name == "openai-chat" || provider.name == "anthropic-messages"
    })
}

#[test]
fn whatever_the_first_target_does_before_its_first_byte_the_next_one_answers() {
    for (caller, provider) in some_pairs() {
        let head_and_nothing = provider.framed(std::iter::empty::<&str>()).ending(Ending::Cut);
        let failures = [
            ("500", Answer::json(500, provider.error), true),
            ("429", Answer::json(429, provider.error).header("retry-after", "30"), true),
            ("401", Answer::json(401, provider.error), true),
            ("html", Answer::html(200), true),
            ("reset", Answer::never().ending(Ending::Reset), true),
            ("cut in the middle of a whole answer", Answer::json(200, provider.whole).cut_after(30), false),
            ("a head and nothing", head_and_nothing, true),
        ];
        for (what, failure, streams) in failures {
            for stream in [false, true].into_iter().filter(|stream| streams || !stream) {
                let cell = format!("{what}: {} → {} stream {stream}", caller.name, provider.name);
                let good = if stream { provider.framed(provider.frames.iter().copied()) } else { provider.answer() };
                let pair = Pair::new((provider, failure.clone()), (provider, good), "");
                let reply = pair.gateway.ask(&caller.ask(ALIAS, stream));
                assert_eq!(reply.status(), 200, "{cell}: {}", reply.text());
                if stream {
                    assert_eq!(caller.text(reply.text()), TEXT, "{cell}");
                }
                assert_eq!(reply.header("x-trunkline-attempts"), "2", "{cell}");
                assert_eq!(reply.header("x-trunkline-target"), format!("and-{}/tiny-1", provider.name), "{cell}");
                assert_eq!((pair.first.requests().len(), pair.second.requests().len()), (1, 1), "{cell}");
            }
        }
    }
}

#[test]
fn what_is_held_back_may_fail_unseen() {
    for (caller, provider) in some_pairs() {
        let broken = provider.framed(provider.frames.iter().take(provider.texts - 1).copied()).ending(Ending::Cut);
        let refused = provider.framed([provider.error_frame()]);
        for (what, failure, hold) in [
            ("an error first", refused, "hold_back = \"first_token\""),
            ("cut after a word", broken.clone(), "hold_back = \"all\""),
            ("cut in its first bytes", broken, "hold_back = { bytes = 100000 }"),
        ] {
            let cell = format!("{what}: {} → {}", caller.name, provider.name);
            let good = provider.framed(provider.frames.iter().copied());
            let pair = Pair::new((provider, failure), (provider, good), hold);
            let reply = pair.gateway.ask(&caller.ask(ALIAS, true));
            if reply.status() == 400 {
                // By its provider's words it is the request that is wrong: nobody would do better.
                assert_eq!((what, caller.refusal(&reply).0), ("an error first", 400), "{cell}");
                continue;
            }
            assert_eq!(reply.status(), 200, "{cell}: {}", reply.text());
            assert_eq!(caller.text(reply.text()), TEXT, "{cell}: {}", reply.text());
            assert_eq!(reply.header("x-trunkline-attempts"), "2", "{cell}");
        }
    }
}

#[test]
fn once_a_byte_has_gone_out_nobody_else_is_asked() {
    for (caller, provider) in pairs() {
        let broken = provider.framed(provider.begun().iter().copied()).ending(Ending::Cut);
        let good = provider.framed(provider.frames.iter().copied());
        let pair = Pair::new((provider, broken), (provider, good), "");
        let reply = pair.gateway.ask(&caller.ask(ALIAS, true));
        caller.broken(reply.text());
        assert_eq!(pair.second.requests().len(), 0, "{} → {}", caller.name, provider.name);
    }
}

#[test]
fn a_silent_target_is_given_up_in_time_for_the_next() {
    for speech in speech::all() {
        let pair = Pair::new((speech, Answer::never()), (speech, speech.answer()), "first_byte_seconds = 1");
        let begin = Instant::now();
        let reply = pair.gateway.ask(&speech.ask(ALIAS, false));
        assert_eq!(reply.status(), 200, "{}: {}", speech.name, reply.text());
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
        assert!(until(|| pair.first.hangups().count == 1), "the silent one is told");
    }
}

#[test]
fn a_head_that_nothing_follows_is_given_up_in_time_for_the_next() {
    for (caller, provider) in some_pairs() {
        for hold in ["first_byte", "first_token"] {
            let silent = provider.framed(std::iter::empty::<&str>()).ending(Ending::Hang);
            let more = format!("first_byte_seconds = 1\nhold_back = \"{hold}\"");
            let pair = Pair::new((provider, silent), (provider, provider.stream()), &more);
            let begin = Instant::now();
            let reply = pair.gateway.ask(&caller.ask(ALIAS, true));
            let cell = format!("{} → {} {hold}", caller.name, provider.name);
            assert_eq!((reply.status(), reply.header("x-trunkline-attempts")), (200, "2"), "{cell}: {}", reply.text());
            assert!(caller.text(reply.text()).starts_with("Hel"), "{cell}: {}", reply.text());
            assert!(begin.elapsed() < Duration::from_secs(3), "{cell}: {:?}", begin.elapsed());
        }
    }
}

#[test]
fn a_lone_target_is_asked_again_and_the_wait_it_asks_for_is_kept() {
    for speech in speech::all() {
        let answers =
            [Answer::json(503, speech.error), Answer::json(429, speech.error).header("retry-after-ms", "300"), speech.answer()];
        let house = House::with(answers, "[calls]\nattempts = 3\n");
        let begin = Instant::now();
        let reply = house.gateway.ask(&speech.ask(&speech.model(), false));
        assert_eq!(reply.status(), 200, "{}: {}", speech.name, reply.text());
        assert_eq!(reply.header("x-trunkline-attempts"), "3");
        assert!(begin.elapsed() >= Duration::from_millis(300));
    }
}

#[test]
fn a_rest_is_told_with_the_time_that_is_left_and_shown_to_the_operator() {
    for speech in speech::all() {
        let house = House::with(Answer::json(429, speech.error).header("retry-after", "40"), "[calls]\nattempts = 1\n");
        for _ in 0..3 {
            house.gateway.ask(&speech.ask(&speech.model(), false));
        }
        let reply = house.gateway.ask(&speech.ask(&speech.model(), true));
        let (status, message) = speech.refusal(&reply);
        assert_eq!(status, 429, "{message}");
        assert!(message.contains("rests for another"), "{message}");
        assert!((38..=40).contains(&reply.header("retry-after").parse::<u64>().unwrap()), "{}", reply.head.text());
        assert_eq!(house.provider.requests().len(), 3, "silence is kept");
        let health = house.gateway.ask(&crate::wire::Ask::get("/health/targets")).json();
        let target = &health["targets"][0];
        assert_eq!((target["target"].as_str(), target["state"].as_str()), (Some(speech.model().as_str()), Some("resting")));
        assert_eq!(target["why"], "it asked for fewer calls (HTTP 429)", "{health}");
    }
}

/// Every 20th answer of the only provider is bad. (A longer run in virtual time: `route::storm` of the client.)
#[test]
fn the_last_lane_stays_open() {
    let speech = speech::all().next().unwrap();
    let count = AtomicUsize::new(0);
    let script = move |_: &Seen| match count.fetch_add(1, Ordering::SeqCst) {
        number if number % 60 == 19 => Answer::json(500, speech.error),
        number if number % 60 == 39 => Answer::json(429, speech.error).header("retry-after", "9"),
        number if number % 60 == 59 => speech.answer().cut_after(10),
        _ => speech.answer(),
    };
    let house = House::with(script, "[calls]\nattempts = 1\n");
    let statuses: Vec<u16> = (0..600)
        .map(|_| {
            let reply = house.gateway.ask(&speech.ask(&speech.model(), false));
            if reply.status() == 429 {
                assert_eq!(reply.header("retry-after"), "9");
            }
            reply.status()
        })
        .collect();
    let of = |status: u16| statuses.iter().filter(|told| **told == status).count();
    assert_eq!((of(200), of(500), of(429), of(502)), (570, 10, 10, 10));
}

/// `HANGUPS=300` for a short run.
#[test]
fn callers_who_leave_at_any_moment_leave_nothing_behind() {
    let number: u64 = std::env::var("HANGUPS").ok().and_then(|number| number.parse().ok()).unwrap_or(10_000);
    let speech = speech::all().next().unwrap();
    let frames = speech.frames.iter().copied();
    let house = House::new(speech.framed(frames).drip(Duration::from_millis(1)));
    let threads = 8;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let address = house.gateway.address;
            scope.spawn(move || {
                for at in 0..number / threads {
                    let line = speech.ask(&speech.model(), true).open(address);
                    std::thread::sleep(Duration::from_micros((at * 37 + thread * 911) % 12_000));
                    drop(line);
                }
            });
        }
    });
    let calm = || {
        let health = house.gateway.ask(&crate::wire::Ask::get("/health/targets")).json();
        health["targets"].as_array().unwrap().iter().all(|target| target["in_flight"] == 0)
    };
    assert!(until_within(Duration::from_secs(5), calm), "calls are still out");
    let stats = house.gateway.stats();
    assert!(stats.calls <= number / threads * threads && stats.errors == 0, "{}", stats.all);
    let reply = house.gateway.ask(&speech.ask(&speech.model(), true));
    assert_eq!(speech.text(reply.text()), TEXT, "and the next call is as good as ever");
    println!("{number} hang-ups: {} of them counted as calls, {} cancelled", stats.calls, stats.cancelled);
}

/// What one key of several may not do costs a request and no more, and the wait that is told is that of the first to be fit.
#[test]
fn a_key_that_is_used_up_is_one_request_more() {
    for (caller, provider) in some_pairs() {
        let seen = format!("{} → {}", caller.name, provider.name);
        let good = provider.answer();
        let keyed = LocalProvider::start(move |asked: &Seen| {
            let spent = |wait| Answer::json(429, r#"{"error":{"message":"slow down"}}"#).header("retry-after", wait);
            match asked.header("authorization") {
                "Bearer key-b" => spent("40"),
                "Bearer key-c" => spent("9"),
                _ => good.clone(),
            }
        });
        for (keys, wanted) in [(["key-b", "key-a"], (200, "2", "")), (["key-c", "key-b"], (429, "2", "9"))] {
            let keys = keys.map(|key| format!("{{ auth = {{ bearer = \"{key}\" }} }}")).join(", ");
            let data = providers(&keyed.url()).replace("\nauth = ", &format!("\napi_keys = [{keys}]\nauth = "));
            let config = format!(
                "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n[models.{ALIAS}]\ntargets = [\"at-{}/tiny-1\"]\nattempts = 1\n{data}",
                provider.name
            );
            let gateway = Gateway::with(&config);
            let reply = gateway.ask(&caller.ask(ALIAS, false));
            let told = (reply.status(), reply.header("x-trunkline-attempts"), reply.header("retry-after"));
            assert_eq!(told, wanted, "{seen}: {}", reply.text());
        }
    }
}
