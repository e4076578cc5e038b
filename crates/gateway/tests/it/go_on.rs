//! Streams that break off and are gone on with by the next target (`continue_cut`), over sockets: the caller gets one answer.

use serde_json::Value;
use trunkline_testkit::provider::{Answer, Ending, LocalProvider, Script, Seen};

use crate::gateway::{Gateway, providers, until};
use crate::speech::{self, Speech, TEXT, events, pairs};
use crate::wire::Reply;

const ALIAS: &str = "any";
const ASKS_TO_GO_ON: &str = "Continue exactly where it stopped";

/// Three providers, and an alias over them that wants cut answers gone on with.
struct Row {
    gateway: Gateway,
    providers: [LocalProvider; 3],
}

impl Row {
    fn new(provider: &Speech, scripts: (impl Script, impl Script, impl Script), more: &str) -> Self {
        let all = [LocalProvider::start(scripts.0), LocalProvider::start(scripts.1), LocalProvider::start(scripts.2)];
        let name = provider.name;
        let mut config = format!(
            "{}\n[models.{ALIAS}]\ncontinue_cut = true\ntargets = [\"a-{name}/tiny-1\", \"b-{name}/tiny-1\", \"c-{name}/tiny-1\"]\n",
            "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n".to_owned() + more
        );
        for (letter, one) in ["a", "b", "c"].iter().zip(&all) {
            config.push_str(&providers(&one.url()).replace("providers.at-", &format!("providers.{letter}-")));
        }
        Row { gateway: Gateway::with(&config), providers: all }
    }

    fn asked(&self) -> [usize; 3] {
        [0, 1, 2].map(|at: usize| self.providers[at].requests().len())
    }
}

fn four() -> impl Iterator<Item = &'static Speech> {
    let names = ["openai-chat", "anthropic-messages", "gemini", "openai-responses"];
    speech::all().filter(move |speech| names.contains(&speech.name))
}

/// The provider's frames, saying this instead of its usual text.
fn frames(provider: &Speech, text: &str) -> Vec<String> {
    let text = serde_json::to_string(text).unwrap();
    let say = |frame: &&str| {
        let frame = frame.replace("\"Hello \\u2603\"", &text);
        frame.replace("\"Hel\"", &text).replace("\"lo \\u2603\"", "\"\"")
    };
    provider.frames.iter().map(say).collect()
}

fn cut(provider: &Speech, frames: usize) -> Answer {
    provider.framed(provider.frames.iter().take(frames).copied()).ending(Ending::Cut)
}

/// What the caller has been told that it took: input and output.
fn told(caller: &Speech, stream: &str) -> Option<(u64, u64)> {
    let names = [
        ("/usage/prompt_tokens", "/usage/completion_tokens"),
        ("/usage/input_tokens", "/usage/output_tokens"),
        ("/usageMetadata/promptTokenCount", "/usageMetadata/candidatesTokenCount"),
        ("/response/usage/input_tokens", "/response/usage/output_tokens"),
    ];
    let number = |event: &Value, name: &str| event.pointer(name).and_then(Value::as_u64);
    let all = events(stream);
    let find = |at: usize| {
        let (input, output) = names[at];
        let (input, output) =
            (all.iter().rev().find_map(|event| number(event, input)), all.iter().rev().find_map(|event| number(event, output)));
        input.zip(output)
    };
    let start = all.iter().find_map(|event| number(event, "/message/usage/input_tokens"));
    match caller.name {
        "anthropic-messages" => find(1).or_else(|| start.zip(all.iter().rev().find_map(|event| number(event, names[1].1)))),
        "openai-chat" => find(0),
        "gemini" => find(2),
        "openai-responses" => find(3),
        _ => None,
    }
}

/// One start, one end, one id, and nothing that says otherwise.
fn check_shape(caller: &Speech, reply: &Reply, cell: &str) {
    let stream = reply.text();
    let once: &[&str] = match caller.name {
        "openai-chat" => &["\"role\":\"assistant\"", "\"finish_reason\":\"stop\"", "data: [DONE]"],
        "anthropic-messages" => &[
            "event: message_start",
            "event: content_block_start",
            "event: content_block_stop",
            "event: message_delta",
            "event: message_stop",
        ],
        "gemini" => &["\"finishReason\""],
        "openai-responses" => &[
            "event: response.created",
            "event: response.output_item.added",
            "event: response.content_part.added",
            "event: response.output_text.done",
            "event: response.completed",
        ],
        _ => &[],
    };
    for mark in once {
        assert_eq!(stream.matches(mark).count(), 1, "{cell}: {mark}: {stream}");
    }
    let all = events(stream);
    let mut ids: Vec<&str> = all.iter().filter_map(|event| event["id"].as_str().or(event["responseId"].as_str())).collect();
    ids.dedup();
    assert!(ids.len() <= 1, "{cell}: {ids:?}");
    let numbers: Vec<u64> = all.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert!(numbers.iter().enumerate().all(|(at, number)| at as u64 == *number), "{cell}: {numbers:?}");
}

#[test]
fn a_text_that_breaks_off_anywhere_is_gone_on_with() {
    for (caller, provider) in pairs().filter(|(_, provider)| four().any(|one| one.name == provider.name)) {
        for at in 1..=provider.texts {
            let cell = format!("{} → {}, cut after {at} frames", caller.name, provider.name);
            let begun = provider.frames[..at].concat();
            let said = provider.text(&begun);
            let rest = TEXT.strip_prefix(&said).unwrap().to_owned();
            let second = provider.framed(frames(provider, &rest));
            let row = Row::new(provider, (cut(provider, at), second, Answer::never()), "");
            let reply = row.gateway.ask(&caller.ask(ALIAS, true));
            let stream = reply.text();
            assert_eq!(reply.status(), 200, "{cell}: {stream}");
            assert_eq!(caller.text(stream), TEXT, "{cell}: {stream}");
            for end in caller.ends.iter().take(1).filter(|_| caller.name != "gemini") {
                assert!(stream.contains(end), "{cell}: {stream}");
            }
            check_shape(caller, &reply, &cell);
            let mark = format!(": continued by b-{}/tiny-1\n\n", provider.name);
            assert_eq!(stream.matches(&mark).count(), usize::from(!caller.is_lines), "{cell}: {stream}");
            assert_eq!(row.asked(), [1, 1, 0], "{cell}");
            let asked = row.providers[1].requests().remove(0);
            let asked = String::from_utf8_lossy(&asked.body).into_owned();
            assert_eq!(asked.contains(ASKS_TO_GO_ON), !said.is_empty(), "{cell}: {asked}");
            assert!(asked.contains(&serde_json::to_string(&said).unwrap()) || said.is_empty(), "{cell}: {asked}");
            let stats = row.gateway.stats();
            let number = |name: &str| stats.all[name].as_u64().unwrap();
            assert_eq!((stats.calls, stats.errors, number("estimated")), (1, 0, 1), "{cell}: {}", stats.all);
            // The second one tells 7 and 3; the first one has used something, too.
            let (input, output) = (number("input_tokens"), number("output_tokens"));
            assert!(input > 7 && (said.is_empty() || output > 3), "{cell}: {}", stats.all);
            if let Some(told) = told(caller, stream) {
                assert_eq!(told, (input, output), "{cell}: {stream}");
            }
        }
    }
}

/// Where all text has come and the end has not: whoever goes on may have nothing to add.
#[test]
fn an_answer_that_breaks_off_between_its_text_and_its_end_is_whole_or_an_error() {
    for caller in four() {
        for provider in four() {
            for at in provider.texts + 1..provider.frames.len() {
                let cell = format!("{} → {}, cut after {at} frames", caller.name, provider.name);
                let second = provider.framed(frames(provider, ""));
                let row = Row::new(provider, (cut(provider, at), second, Answer::never()), "");
                let reply = row.gateway.ask(&caller.ask(ALIAS, true));
                let (stream, asked) = (reply.text(), row.asked()[1]);
                assert_eq!(caller.text(stream), TEXT, "{cell}: {stream}");
                let is_error = events(stream).iter().any(speech::is_error);
                // What ends without the dialect's last word may be whole all the same.
                assert!(asked == 0 || !is_error, "{cell}: {stream}");
                let stats = row.gateway.stats();
                assert_eq!((stats.calls, stats.errors), (1, u64::from(is_error)), "{cell}: {}", stats.all);
            }
        }
    }
}

#[test]
fn a_third_one_goes_on_when_the_second_breaks_off_too_and_the_error_comes_when_nobody_is_left() {
    for caller in four() {
        for provider in four() {
            let cell = format!("{} → {}", caller.name, provider.name);
            let first_word = (1..=provider.texts).find(|at| provider.text(&provider.frames[..*at].concat()) == "Hel").unwrap();
            let second = || provider.framed(frames(provider, "lo").into_iter().take(first_word)).ending(Ending::Cut);
            let third = provider.framed(frames(provider, " ☃"));
            let row = Row::new(provider, (cut(provider, first_word), second(), third), "");
            let reply = row.gateway.ask(&caller.ask(ALIAS, true));
            assert_eq!(caller.text(reply.text()), TEXT, "{cell}: {}", reply.text());
            check_shape(caller, &reply, &cell);
            assert_eq!(row.asked(), [1, 1, 1], "{cell}");
            let asked = row.providers[2].requests().remove(0);
            assert!(String::from_utf8_lossy(&asked.body).contains("\"Hello\""), "{cell}: all that was said");

            let refused = Answer::json(500, provider.error);
            let row = Row::new(provider, (cut(provider, first_word), second(), refused), "");
            let reply = row.gateway.ask(&caller.ask(ALIAS, true));
            assert_eq!(caller.text(reply.text()), "Hello", "{cell}: {}", reply.text());
            caller.broken(reply.text());
            let stats = row.gateway.stats();
            assert_eq!((stats.calls, stats.errors), (1, 1), "{cell}: {}", stats.all);
        }
    }
}

#[test]
fn silence_and_passing_errors_are_gone_on_from_and_others_are_told() {
    let provider = speech::all().find(|speech| speech.name == "anthropic-messages").unwrap();
    let error = |kind: &str| {
        format!("event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"no\"}}}}\n\n")
    };
    let begun = || provider.framed(provider.begun().iter().copied());
    for caller in four() {
        for (what, first, goes_on) in [
            ("silence", begun().ending(Ending::Hang), true),
            ("overloaded", begun().chunks([error("overloaded_error")]), true),
            ("rejected", begun().chunks([error("invalid_request_error")]), false),
            ("finished, but not ended", cut(provider, 7), false),
        ] {
            let cell = format!("{}: {what}", caller.name);
            let rest = || provider.framed(frames(provider, "!"));
            let row = Row::new(provider, (first, rest(), rest()), "[network]\nidle_seconds = 1\n");
            let reply = row.gateway.ask(&caller.ask(ALIAS, true));
            let stream = reply.text();
            assert_eq!(row.asked(), [1, usize::from(goes_on), 0], "{cell}: {stream}");
            if goes_on {
                assert_eq!(caller.text(stream), format!("{TEXT}!"), "{cell}: {stream}");
                check_shape(caller, &reply, &cell);
            } else {
                assert!(events(stream).iter().any(speech::is_error), "{cell}: {stream}");
            }
            assert!(what != "silence" || until(|| row.providers[0].hangups().count == 1), "{cell}: the first is let go");
        }
    }
}

#[test]
fn what_is_more_than_text_ends_with_the_error() {
    let provider = speech::all().find(|speech| speech.name == "openai-chat").unwrap();
    let chunk =
        |delta: &str| format!("data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
    let call =
        chunk(r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"a"}}]}"#);
    for caller in four() {
        let frames = [chunk(r#"{"role":"assistant","content":"Hel"}"#), call.clone()];
        let row = Row::new(provider, (provider.framed(frames).ending(Ending::Cut), provider.stream(), provider.stream()), "");
        let reply = row.gateway.ask(&caller.ask(ALIAS, true));
        // One dialect has a field of this name for the arguments, too.
        assert!(caller.text(reply.text()).starts_with("Hel"), "{}", reply.text());
        let errors: Vec<bool> = events(reply.text()).iter().map(speech::is_error).collect();
        assert_eq!((errors.last(), errors.iter().filter(|is| **is).count()), (Some(&true), 1), "{}", reply.text());
        assert_eq!(row.asked(), [1, 0, 0], "{}", caller.name);
    }
    // A form of its own cannot be gone on with, nor can one of several answers.
    for more in [r#""response_format":{"type":"json_object"}"#, r#""n":2"#] {
        let row = Row::new(provider, (cut(provider, 3), provider.stream(), provider.stream()), "");
        let mut ask = provider.ask(ALIAS, true);
        let body = String::from_utf8(ask.body.clone()).unwrap().replacen('{', &format!("{{{more},"), 1);
        ask = crate::wire::Ask::post("/v1/chat/completions", body);
        let reply = row.gateway.ask(&ask);
        provider.broken(reply.text());
        assert_eq!(row.asked(), [1, 0, 0], "{more}");
    }
}

#[test]
fn what_the_next_one_repeats_is_told_once() {
    let long = "One, two, three, four, five, six";
    for caller in four() {
        for provider in four() {
            let mut begun = frames(provider, long);
            begun.truncate(provider.texts);
            let script = move |_: &Seen| provider.framed(frames(provider, "three, four, five, six, seven"));
            let row = Row::new(provider, (provider.framed(begun).ending(Ending::Cut), script, Answer::never()), "");
            let reply = row.gateway.ask(&caller.ask(ALIAS, true));
            let cell = format!("{} → {}", caller.name, provider.name);
            assert_eq!(caller.text(reply.text()), format!("{long}, seven"), "{cell}: {}", reply.text());
        }
    }
}

/// The deadline and a hang-up reach whoever goes on.
#[test]
fn who_hangs_up_while_another_goes_on_is_noticed() {
    for caller in four() {
        let row = Row::new(caller, (cut(caller, caller.texts), Answer::never(), Answer::never()), "");
        let mut line = caller.ask(ALIAS, true).open(row.gateway.address);
        line.head();
        line.chunks_until("Hel");
        assert!(until(|| row.asked()[1] == 1), "{}", caller.name);
        drop(line);
        assert!(until(|| row.providers[1].hangups().count == 1), "{}", caller.name);
        assert!(until(|| row.gateway.stats().calls == 1), "{}", caller.name);
        let stats = row.gateway.stats();
        assert_eq!((stats.cancelled, stats.all["estimated"].as_u64()), (1, Some(1)), "{}: {}", caller.name, stats.all);
    }
}
