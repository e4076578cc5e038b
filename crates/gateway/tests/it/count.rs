//! Counting tokens: the provider's own count where it has one, else an estimate that says so. And counting calls.

use trunkline_testkit::provider::{Answer, Seen};

use crate::gateway::House;
use crate::lane::well;
use crate::speech::{self, pairs};
use crate::wire::Ask;

fn counting(seen: &Seen) -> Answer {
    if seen.path.ends_with("/count_tokens") {
        Answer::json(200, "{ \"input_tokens\":41, \"x_new\":1}\n")
    } else if seen.path.ends_with(":countTokens") {
        Answer::json(200, "{ \"totalTokens\":42, \"x_new\":1}\n")
    } else {
        Answer::status(404)
    }
}

/// Those who can ask: path, body, and where the count stands.
fn askers(model: &str) -> Vec<(&'static str, Ask, &'static str)> {
    let all = [
        (
            "anthropic-messages",
            Ask::post(
                "/v1/messages/count_tokens",
                format!("{{ \"messages\":[{{\"role\":\"user\",\"content\":\"hi there\"}}],\"x\":1e400, \"model\":\"{model}\"}}"),
            ),
            "input_tokens",
        ),
        (
            "gemini",
            Ask::post(
                &format!("/v1beta/models/{model}:countTokens"),
                "{ \"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi there\"}]}],\"x\":1e400}",
            ),
            "totalTokens",
        ),
    ];
    all.into_iter().filter(|(name, ..)| speech::all().any(|speech| speech.name == *name)).collect()
}

#[test]
fn the_providers_own_count_passes_byte_for_byte() {
    let house = House::new(counting);
    for (name, ask, field) in askers("{}") {
        let model = format!("at-{name}/tiny-1");
        let ask = Ask {
            head: ask.head.replace("{}", &model),
            body: String::from_utf8(ask.body).unwrap().replace("\"{}\"", &format!("\"{model}\"")).into(),
        };
        let ask = Ask::post(ask.head.split(' ').nth(1).unwrap(), ask.body);
        let reply = house.gateway.ask(&ask);
        assert_eq!(reply.status(), 200, "{}", reply.text());
        assert!(reply.text().contains(field) && reply.text().contains("x_new"), "{}", reply.text());
        assert_eq!(reply.header("x-trunkline-estimated"), "");
        let seen = house.provider.requests().pop().unwrap();
        assert_eq!(String::from_utf8_lossy(&seen.body), String::from_utf8_lossy(&ask.body).replace(&model, "tiny-1"));
    }
}

#[test]
fn a_count_is_translated_or_estimated_and_an_estimate_is_marked() {
    let house = House::new(counting);
    for provider in speech::all() {
        for (name, ask, field) in askers(&provider.model()).into_iter().filter(|(name, ..)| *name != provider.name) {
            let ask = Ask { body: String::from_utf8(ask.body.clone()).unwrap().replace(",\"x\":1e400", "").into(), ..ask };
            let ask = Ask::post(ask.head.split(' ').nth(1).unwrap(), ask.body);
            let before = house.provider.requests().len();
            let reply = house.gateway.ask(&ask);
            assert_eq!(reply.status(), 200, "{name} → {}: {}", provider.name, reply.text());
            let count = reply.json()[field].as_u64().unwrap_or_else(|| panic!("{}", reply.text()));
            let own = matches!(provider.name, "anthropic-messages" | "gemini");
            assert_eq!(reply.header("x-trunkline-estimated"), if own { "" } else { "true" }, "{name} → {}", provider.name);
            assert!(if own { count > 40 } else { (1..20).contains(&count) }, "{count}");
            assert_eq!(house.provider.requests().len(), before + usize::from(own));
        }
    }
}

#[test]
fn a_failed_count_is_an_error_in_the_callers_dialect() {
    for (name, ..) in askers("x") {
        for provider in speech::all().filter(|provider| matches!(provider.name, "anthropic-messages" | "gemini")) {
            let house = House::new(Answer::json(429, provider.error).header("retry-after", "5"));
            let ask = askers(&provider.model()).into_iter().find(|(asker, ..)| *asker == name).unwrap().1;
            let ask =
                Ask::post(ask.head.split(' ').nth(1).unwrap(), String::from_utf8(ask.body).unwrap().replace(",\"x\":1e400", ""));
            let reply = house.gateway.ask(&ask);
            let caller = speech::all().find(|speech| speech.name == name).unwrap();
            assert_eq!(caller.refusal(&reply).0, 429, "{name} → {}", provider.name);
            assert_eq!(reply.header("retry-after"), "5");
        }
    }
}

#[test]
fn every_call_is_counted_once_with_its_tokens() {
    let house = House::new(well);
    let (mut calls, mut tokens) = (0, 0);
    for (caller, provider) in pairs() {
        for stream in [false, true] {
            house.gateway.ask(&caller.ask(&provider.model(), stream));
            calls += 1;
            tokens += 7;
            let stats = house.gateway.stats();
            let cell = format!("{} → {} stream {stream}: {}", caller.name, provider.name, stats.all);
            assert_eq!((stats.calls, stats.errors, stats.cancelled), (calls, 0, 0), "{cell}");
            assert_eq!(stats.all["input_tokens"], tokens, "{cell}");
            assert_eq!(stats.all["output_tokens"], tokens / 7 * 3, "{cell}");
        }
    }
}
