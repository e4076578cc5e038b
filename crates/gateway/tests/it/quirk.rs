//! Providers of openai-chat with ways of their own, in both lanes.

use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use crate::gateway::Gateway;
use crate::wire::Ask;

fn fixture(path: &str) -> String {
    let path = format!("{}/../../fixtures/openai-chat/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A gateway before a provider with these quirks, whose answers are fixtures by the model's name.
fn house(quirks: &str) -> (Gateway, LocalProvider) {
    let provider = LocalProvider::start(|seen: &Seen| {
        let body = seen.json();
        let case = body["model"].as_str().unwrap().to_owned();
        if body["stream"] == true {
            return Answer::sse([fixture(&format!("{case}/reply.sse"))]);
        }
        Answer::json(200, fixture(&format!("{case}/reply.json")))
    });
    let gateway = Gateway::with(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n[providers.house]\nbase_url = \"{}/v1\"\ndialects = [\"openai-chat\"]\n\
        auth = {{ none = true }}\n[providers.house.quirks]\n{quirks}",
        provider.url()
    ));
    (gateway, provider)
}

fn chat(case: &str, stream: bool) -> Ask {
    let body =
        format!("{{\"model\":\"house/{case}\",\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}");
    Ask::post("/v1/chat/completions", body)
}

fn messages(case: &str, stream: bool) -> Ask {
    let body = format!(
        "{{\"model\":\"house/{case}\",\"max_tokens\":99,\"temperature\":0.5,\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}"
    );
    Ask::post("/v1/messages", body).header("anthropic-version", "2023-06-01")
}

#[test]
fn a_status_within_that_says_failed_fails_the_call_in_both_lanes() {
    let (gateway, _provider) = house("");
    for ask in [chat("minimax-1008", false), messages("minimax-1008", false)] {
        let reply = gateway.ask(&ask);
        assert_eq!(reply.status(), 429, "{}", reply.text());
        assert!(reply.text().contains("insufficient balance"), "{}", reply.text());
        assert_eq!(reply.header("x-should-retry"), "false", "{}", reply.head.text());
    }
    assert_eq!(gateway.stats().errors, 2);
    // A stream has begun when it shows: what came stays, and the call has failed all the same.
    for (ask, text) in [(chat("minimax-1002-midstream", true), "\"It\""), (messages("minimax-1002-midstream", true), "\"It\"")] {
        let reply = gateway.ask(&ask);
        assert!(reply.text().contains(text) && reply.text().contains("rate limit exceeded"), "{}", reply.text());
    }
    assert_eq!(gateway.stats().errors, 4);
}

#[test]
fn thinking_in_tags_is_thinking_to_a_caller_of_another_dialect() {
    let (gateway, _provider) = house("think_tags = true\n");
    let whole = gateway.ask(&messages("lmstudio-think", false)).json();
    assert_eq!(
        (&whole["content"][0]["type"], &whole["content"][1]["text"]),
        (&"thinking".into(), &"It rains.".into()),
        "{whole}"
    );
    let streamed = gateway.ask(&messages("lmstudio-think", true));
    assert!(streamed.text().contains("\"thinking_delta\"") && !streamed.text().contains("think>"), "{}", streamed.text());
    // The same lane changes nothing.
    let same = gateway.ask(&chat("lmstudio-think", false));
    assert!(same.text().contains("<think>"), "{}", same.text());
}

#[test]
fn a_model_has_quirks_of_its_own() {
    let (gateway, provider) = house(
        "[providers.house.quirks.models]\n\"lm*\" = { refuses = [\"temperature\"], max_tokens = \"max_completion_tokens\" }\n",
    );
    let reply = gateway.ask(&messages("lmstudio-think", false));
    assert!(reply.header("x-trunkline-lost").contains("temperature"), "{}", reply.head.text());
    gateway.ask(&messages("qianfan-normal", false));
    let sent: Vec<_> = provider.requests().iter().map(Seen::json).collect();
    assert_eq!((sent[0].get("temperature"), &sent[0]["max_completion_tokens"]), (None, &99.into()), "{}", sent[0]);
    assert_eq!((&sent[1]["temperature"], &sent[1]["max_tokens"]), (&0.5.into(), &99.into()), "{}", sent[1]);
}
