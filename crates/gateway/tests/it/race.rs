//! A second target beside one that takes too long, and copies for one that is tried out, over sockets.

use std::time::{Duration, Instant};

use trunkline_testkit::provider::{Answer, Ending, LocalProvider, Script};

use crate::gateway::{Gateway, providers, until};
use crate::speech::{self, Speech, TEXT, pairs};
use crate::wire::Ask;

const ALIAS: &str = "any";

/// Two providers behind one gateway; `alias` names them `FIRST` and `SECOND`.
struct Pair {
    gateway: Gateway,
    first: LocalProvider,
    second: LocalProvider,
}

impl Pair {
    fn new((one, first): (&Speech, impl Script), (other, second): (&Speech, impl Script), alias: &str) -> Self {
        let (first, second) = (LocalProvider::start(first), LocalProvider::start(second));
        let alias =
            alias.replace("FIRST", &format!("at-{}/tiny-1", one.name)).replace("SECOND", &format!("and-{}/tiny-1", other.name));
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n[models.{ALIAS}]\n{alias}\n{}{}",
            providers(&first.url()),
            providers(&second.url()).replace("providers.at-", "providers.and-"),
        );
        Pair { gateway: Gateway::with(&config), first, second }
    }
}

const HEDGED: &str = "targets = [\"FIRST\", \"SECOND\"]\nhedge_ms = 100";
const MIRRORED: &str = "targets = [\"FIRST\"]\nmirror = { target = \"SECOND\", percent = 100 }";

/// Every dialect in its own lane, and every one in a translated lane on either side.
fn some_pairs() -> impl Iterator<Item = (&'static Speech, &'static Speech)> {
    let all = pairs();
    all.filter(|(caller, provider)| {
        caller.name == provider.name || caller.name == "openai-chat" || provider.name == "anthropic-messages"
    })
}

fn good(provider: &Speech, stream: bool) -> Answer {
    if stream { provider.stream() } else { provider.answer() }
}

#[test]
fn who_is_silent_is_outrun_and_told() {
    for (caller, provider) in some_pairs() {
        for stream in [false, true] {
            let cell = format!("{} → {} stream {stream}", caller.name, provider.name);
            let pair = Pair::new((provider, Answer::never()), (provider, good(provider, stream)), HEDGED);
            let begin = Instant::now();
            let reply = pair.gateway.ask(&caller.ask(ALIAS, stream));
            assert!(begin.elapsed() < Duration::from_secs(5), "{cell}");
            assert_eq!(reply.status(), 200, "{cell}: {}", reply.text());
            if stream {
                assert_eq!(caller.text(reply.text()), TEXT, "{cell}: one answer, whole");
            } else {
                assert_eq!(caller.whole_text(&reply), TEXT, "{cell}");
            }
            assert_eq!(reply.header("x-trunkline-attempts"), "2", "{cell}");
            assert_eq!(reply.header("x-trunkline-target"), format!("and-{}/tiny-1", provider.name), "{cell}");
            assert_eq!((pair.first.requests().len(), pair.second.requests().len()), (1, 1), "{cell}");
            assert!(until(|| pair.first.hangups().count == 1), "{cell}: the other connection is closed");
            let stats = pair.gateway.stats();
            assert_eq!((stats.calls, stats.errors, stats.cancelled), (1, 0, 0), "{cell}: {}", stats.all);
        }
    }
}

#[test]
fn who_answers_in_time_is_asked_alone_and_who_is_a_little_late_still_wins() {
    let speech = speech::all().next().unwrap();
    let pair = Pair::new((speech, speech.answer()), (speech, speech.answer()), &HEDGED.replace("100", "2000"));
    for _ in 0..10 {
        assert_eq!(pair.gateway.ask(&speech.ask(ALIAS, false)).header("x-trunkline-attempts"), "1");
    }
    assert_eq!(pair.second.requests().len(), 0);
    let late = speech.answer().delay(Duration::from_millis(400));
    let pair = Pair::new((speech, late), (speech, Answer::never()), HEDGED);
    let reply = pair.gateway.ask(&speech.ask(ALIAS, false));
    assert_eq!((reply.header("x-trunkline-attempts"), reply.header("x-trunkline-target")), ("2", "at-openai-chat/tiny-1"));
    assert!(until(|| pair.second.hangups().count == 1), "the other connection is closed");
}

#[test]
fn operations_are_hedged_where_that_is_safe_and_forms_never() {
    let speech = speech::all().next().unwrap();
    let list = Answer::json(200, r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m"}"#);
    let slow = list.clone().delay(Duration::from_millis(500));
    let pair = Pair::new((speech, slow.clone()), (speech, list), HEDGED);
    let reply = pair.gateway.ask(&Ask::post("/v1/embeddings", r#"{"model":"any","input":"a"}"#));
    assert_eq!((reply.status(), reply.header("x-trunkline-attempts")), (200, "2"), "{}", reply.text());
    let asked = pair.second.requests().len();
    let form = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nany\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n";
    let mut ask = Ask::post("/v1/audio/transcriptions", form);
    ask.head = ask.head.replace("application/json", "multipart/form-data; boundary=b");
    let reply = pair.gateway.ask(&ask.header("idempotency-key", "one"));
    assert_eq!((reply.status(), reply.header("x-trunkline-attempts")), (200, "1"), "{}", reply.text());
    assert_eq!(pair.second.requests().len(), asked);
}

#[test]
fn a_copy_goes_out_and_only_the_statistics_know_of_it() {
    for (caller, provider) in some_pairs() {
        for stream in [false, true] {
            let cell = format!("{} → {} stream {stream}", caller.name, provider.name);
            let plain = Pair::new((provider, good(provider, stream)), (provider, Answer::never()), "targets = [\"FIRST\"]");
            let pair = Pair::new((provider, good(provider, stream)), (provider, good(provider, stream)), MIRRORED);
            let reply = pair.gateway.ask(&caller.ask(ALIAS, stream));
            let unmirrored = plain.gateway.ask(&caller.ask(ALIAS, stream));
            assert_eq!(reply.status(), 200, "{cell}: {}", reply.text());
            if stream {
                assert_eq!(caller.text(reply.text()), TEXT, "{cell}");
            } else {
                assert_eq!(caller.whole_text(&reply), TEXT, "{cell}");
            }
            assert_eq!(reply.header("x-trunkline-attempts"), "1", "{cell}");
            assert_eq!(reply.header("x-trunkline-target"), format!("at-{}/tiny-1", provider.name), "{cell}");
            assert!(until(|| pair.gateway.stats().all["mirror"]["calls"] == 1), "{cell}: {}", pair.gateway.stats().all);
            let (copied, one) = (pair.second.requests().pop().unwrap(), pair.first.requests().pop().unwrap());
            assert_eq!((&copied.path, &copied.body), (&one.path, &one.body), "{cell}: the same request");
            let stats = pair.gateway.stats().all;
            assert!(stats["mirror"]["output_tokens"].as_u64().unwrap() > 0, "{cell}: read to its end: {stats}");
            assert_eq!(stats["mirror"]["errors"], 0, "{cell}: {stats}");
            for real in ["calls", "errors", "input_tokens", "output_tokens"] {
                assert_eq!(stats[real], plain.gateway.stats().all[real], "{cell}: {real} counts the call alone");
            }
            assert_eq!(reply.status(), unmirrored.status());
        }
    }
}

#[test]
fn whatever_becomes_of_the_copy_the_call_is_as_good_as_ever() {
    let speech = speech::all().next().unwrap();
    let failures = [
        ("hangs", Answer::never(), false),
        ("fails", Answer::json(500, speech.error), true),
        ("resets", Answer::never().ending(Ending::Reset), true),
        ("breaks off", speech.framed(speech.begun().iter().copied()).ending(Ending::Cut), true),
        ("never ends", speech.framed(speech.begun().iter().copied()).ending(Ending::Hang), false),
    ];
    for (what, failure, ends) in failures {
        for stream in [false, true] {
            let pair = Pair::new((speech, good(speech, stream)), (speech, failure.clone()), MIRRORED);
            let begin = Instant::now();
            for _ in 0..3 {
                let reply = pair.gateway.ask(&speech.ask(ALIAS, stream));
                assert_eq!((reply.status(), reply.header("x-trunkline-attempts")), (200, "1"), "{what}");
            }
            assert!(begin.elapsed() < Duration::from_secs(3), "{what}: {:?}", begin.elapsed());
            let copies = || pair.gateway.stats().all["mirror"].clone();
            if ends {
                assert!(until(|| copies()["errors"] == 3), "{what}: {}", copies());
            } else {
                assert_eq!(copies()["calls"], 0, "{what}: still out");
            }
            let stats = pair.gateway.stats();
            assert_eq!((stats.calls, stats.errors, stats.cancelled), (3, 0, 0), "{what}: {}", stats.all);
        }
    }
}

#[test]
fn no_more_than_so_many_copies_are_out_and_the_rest_is_counted() {
    let speech = speech::all().next().unwrap();
    let pair = Pair::new((speech, speech.answer()), (speech, Answer::never()), MIRRORED);
    for _ in 0..70 {
        assert_eq!(pair.gateway.ask(&speech.ask(ALIAS, false)).status(), 200);
    }
    assert!(until(|| pair.second.requests().len() == 64), "{}", pair.second.requests().len());
    let stats = pair.gateway.stats().all;
    assert_eq!((&stats["calls"], &stats["mirror"]["skipped"]), (&70.into(), &6.into()), "{stats}");
    // A caller who leaves takes no copy along, nor does a copy hold the gateway up when it stops.
    assert_eq!(pair.second.hangups().count, 0);
    pair.gateway.stop();
    pair.gateway.wait(Duration::from_secs(10));
    assert!(until(|| pair.second.hangups().count == 64), "{}", pair.second.hangups().count);
}

#[test]
fn operations_and_callers_who_leave_have_their_copies_and_counts_have_none() {
    let speech = speech::all().next().unwrap();
    let list = Answer::json(
        200,
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}"#,
    );
    let pair = Pair::new((speech, Answer::never()), (speech, list.delay(Duration::from_millis(300))), MIRRORED);
    let line = Ask::post("/v1/embeddings", r#"{"model":"any","input":"a"}"#).open(pair.gateway.address);
    assert!(until(|| pair.second.requests().len() == 1));
    drop(line);
    assert!(until(|| pair.gateway.stats().cancelled == 1));
    assert!(until(|| pair.gateway.stats().all["mirror"]["input_tokens"] == 7), "{}", pair.gateway.stats().all);
    assert_eq!(pair.second.requests()[0].json()["model"], "tiny-1");
    let count = r#"{"model":"any","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(pair.gateway.ask(&Ask::post("/v1/messages/count_tokens", count)).status(), 200);
    assert_eq!(pair.second.requests().len(), 1);
}
