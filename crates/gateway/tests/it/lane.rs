//! Same lane: what goes through is what came in.

use trunkline_testkit::provider::{Answer, Seen};

use crate::gateway::{CREDENTIAL, House};
use crate::speech::{self, TEXT, events, is_error, pairs};
use crate::wire::Ask;

/// Answers as the dialect of the path would, whole or streamed.
pub(crate) fn well(seen: &Seen) -> Answer {
    let speech = speech::all().find(|speech| {
        [false, true].iter().any(|stream| seen.path.split('?').next() == speech.path("tiny-1", *stream).split('?').next())
    });
    let Some(speech) = speech else { return Answer::status(404) };
    let streamed = seen.path.contains(":stream") || (speech.model_in_body() && asks_for_stream(&seen.body));
    if streamed { speech.stream() } else { speech.answer() }
}

/// The odd request holds a number that no JSON library of ours reads.
fn asks_for_stream(body: &[u8]) -> bool {
    let text: String = String::from_utf8_lossy(body).split_whitespace().collect();
    text.contains("\"stream\":true")
}

#[test]
fn a_request_reaches_the_provider_byte_for_byte_but_for_the_models_name() {
    let house = House::new(well);
    for speech in speech::all() {
        for stream in [false, true] {
            let sent = speech.odd_body(&speech.model(), stream);
            let reply = house.gateway.ask(&Ask::post(&speech.path(&speech.model(), stream), sent));
            assert_eq!(reply.status(), 200, "{}: {}", speech.name, reply.text());
            let seen = house.provider.requests().pop().unwrap();
            let wanted = speech.odd_body("tiny-1", stream);
            assert_eq!(String::from_utf8_lossy(&seen.body), wanted, "{}", speech.name);
            assert_eq!((seen.method.as_str(), seen.path), ("POST", speech.path("tiny-1", stream)), "{}", speech.name);
            assert_eq!(seen.headers["content-type"], "application/json");
        }
    }
}

#[test]
fn an_escaped_name_and_an_alias_are_spliced_as_well() {
    let provider = trunkline_testkit::provider::LocalProvider::start(well);
    let aliases: String =
        speech::all().map(|s| format!("[models.\"fast {0}\"]\ntargets = [\"at-{0}/tiny-1\"]\n", s.name)).collect();
    let config = format!("[server]\nlisten = \"127.0.0.1:0\"\n{}{aliases}", crate::gateway::providers(&provider.url()));
    let gateway = crate::gateway::Gateway::with(&config);
    for speech in speech::all() {
        let (in_body, in_path) = (format!("fast\\u0020{}", speech.name), format!("fast%20{}", speech.name));
        let reply = gateway.ask(&Ask::post(&speech.path(&in_path, false), speech.odd_body(&in_body, false)));
        assert_eq!(reply.status(), 200, "{}: {}", speech.name, reply.text());
        assert_eq!(reply.header("x-trunkline-target"), speech.model());
        let seen = provider.requests().pop().unwrap();
        assert_eq!(String::from_utf8_lossy(&seen.body), speech.odd_body("tiny-1", false), "{}", speech.name);
    }
}

#[test]
fn a_reply_comes_back_byte_for_byte_whole_and_streamed() {
    let house = House::new(well);
    for speech in speech::all() {
        let whole = house.gateway.ask(&Ask::post(&speech.path(&speech.model(), false), speech.odd_body(&speech.model(), false)));
        assert_eq!(whole.text(), speech.whole, "{}", speech.name);
        assert_eq!(whole.header("content-type"), "application/json");
        let stream = house.gateway.ask(&Ask::post(&speech.path(&speech.model(), true), speech.odd_body(&speech.model(), true)));
        assert_eq!(stream.text(), speech.frames.concat(), "{}", speech.name);
        assert!(stream.header("content-type").starts_with(speech.media()), "{}", speech.name);
        assert_eq!(stream.header("x-trunkline-target"), speech.model());
        assert_eq!(stream.header("x-trunkline-attempts"), "1");
        assert_eq!(stream.header("x-trunkline-lost"), "");
    }
}

#[test]
fn a_stream_cut_anywhere_on_the_wire_comes_back_byte_for_byte() {
    for speech in speech::all() {
        let all = speech.frames.concat().into_bytes();
        let house = House::new(move |seen: &Seen| {
            let size = seen.header("idempotency-key").parse().unwrap();
            speech.framed(all.chunks(size).map(<[u8]>::to_vec))
        });
        for size in [1, 2, 3, 7, 64, 500] {
            let ask = Ask::post(&speech.path(&speech.model(), true), speech.odd_body(&speech.model(), true));
            let reply = house.gateway.ask(&ask.header("idempotency-key", &size.to_string()));
            assert_eq!(reply.text(), speech.frames.concat(), "{} by {size}", speech.name);
        }
    }
}

#[test]
fn a_gemini_stream_as_a_json_array_comes_back_byte_for_byte() {
    let Some(speech) = speech::all().find(|speech| speech.name == "gemini") else { return };
    let parts = [
        "[{\n  \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hel\"}]}}]}\n",
        ",\r\n",
        "{\"candidates\": [{\"finishReason\": \"STOP\"}]}\n",
        "]",
    ];
    let house = House::new(Answer::status(200).header("content-type", "application/json").chunks(parts));
    let path = speech.path(&speech.model(), true).replace("?alt=sse", "");
    let reply = house.gateway.ask(&Ask::post(&path, speech.odd_body("", true)));
    assert_eq!(reply.text(), parts.concat());
    assert!(reply.header("content-type").starts_with("application/json"));
    assert_eq!(house.provider.requests()[0].path, "/v1beta/models/tiny-1:streamGenerateContent");
}

#[test]
fn usage_of_an_openai_stream_is_asked_for_and_taken_out_again() {
    let house = House::new(well);
    for speech in speech::all().filter(|speech| speech.name.starts_with("openai-c")) {
        let before = house.gateway.stats().all["input_tokens"].as_u64().unwrap();
        let reply = house.gateway.ask(&speech.ask(&speech.model(), true));
        let seen = house.provider.requests().pop().unwrap();
        assert_eq!(seen.json()["stream_options"]["include_usage"], true, "{}", speech.name);
        let kept = speech.frames.iter().filter(|frame| !frame.contains("\"usage\"")).copied();
        assert_eq!(reply.text(), kept.collect::<String>(), "{}", speech.name);
        // Taken out, but counted.
        assert_eq!(house.gateway.stats().all["input_tokens"].as_u64().unwrap(), before + 7, "{}", speech.name);

        for off in ["\"stream_options\":{\"include_usage\":false}", "\"stream_options\":null", "\"stream_options\":{}"] {
            let body = speech.body(&speech.model(), true).replace("\"max_tokens\"", &format!("{off},\"max_tokens\""));
            let reply = house.gateway.ask(&Ask::post(&speech.path("", true), body));
            assert!(!reply.text().contains("\"usage\""), "{} {off}: {}", speech.name, reply.text());
            assert!(reply.text().ends_with("data: [DONE]\n\n"), "{} {off}", speech.name);
        }
        // A whole reply needs no such option.
        house.gateway.ask(&speech.ask(&speech.model(), false));
        assert!(house.provider.requests().pop().unwrap().json().get("stream_options").is_none());
    }
}

#[test]
fn headers_of_the_dialect_go_both_ways_and_secrets_go_nowhere() {
    let back = [
        ("request-id", "req_1"),
        ("x-request-id", "req_2"),
        ("anthropic-ratelimit-requests-remaining", "9"),
        ("x-ratelimit-remaining-tokens", "8"),
        ("retry-after", "3"),
        ("openai-processing-ms", "5"),
    ];
    let house = House::new(move |seen: &Seen| {
        let kept = well(seen).header("set-cookie", "theirs=1").header("alt-svc", "h3").header("server", "theirs");
        back.iter().fold(kept, |answer, (name, value)| answer.header(name, value))
    });
    for speech in speech::all() {
        for stream in [false, true] {
            let ask = speech
                .ask(&speech.model(), stream)
                .header("authorization", "Bearer caller-secret")
                .header("x-api-key", "caller-secret")
                .header("x-goog-api-key", "caller-secret")
                .header("cookie", "a=caller-secret")
                .header("proxy-authorization", "Basic caller-secret")
                .header("openai-organization", "org-of-the-caller")
                .header("x-forwarded-for", "10.9.8.7")
                .header("anthropic-beta", "beta-1,beta-2")
                .header("anthropic-version", "2099-01-01")
                .header("openai-beta", "assistants=v9")
                .header("idempotency-key", "idem-1")
                .header("accept-encoding", "gzip, br");
            let reply = house.gateway.ask(&ask);
            assert_eq!(reply.status(), 200);
            let seen = house.provider.requests().pop().unwrap();
            let all = format!("{:?} {}", seen.headers, seen.path);
            assert!(!all.contains("caller-secret") && !all.contains("10.9.8.7") && !all.contains("org-of-the-caller"), "{all}");
            assert!(all.contains(CREDENTIAL), "{all}");
            assert_eq!(seen.header("idempotency-key"), "idem-1", "{}", speech.name);
            let dialects_own: &[(&str, &str)] = match speech.name {
                "anthropic-messages" => {
                    &[("anthropic-beta", "beta-1,beta-2"), ("anthropic-version", "2099-01-01"), ("openai-beta", "")]
                }
                name if !name.starts_with("openai-") => &[("anthropic-beta", ""), ("openai-beta", "")],
                _ => &[("anthropic-beta", ""), ("openai-beta", "assistants=v9")],
            };
            for (name, value) in dialects_own {
                assert_eq!(seen.header(name), *value, "{} {name}", speech.name);
            }
            for (name, value) in back {
                assert_eq!(reply.header(name), value, "{} {name}", speech.name);
            }
            assert!(!reply.header("x-trunkline-request-id").is_empty());
            assert!(!reply.head.text().contains("theirs"), "{}", reply.head.text());
            assert!(!reply.head.text().contains(CREDENTIAL));
        }
    }
}

#[test]
fn a_key_in_the_query_does_not_reach_the_provider() {
    let house = House::new(well);
    for speech in speech::all() {
        for stream in [false, true] {
            let path = speech.path(&speech.model(), stream);
            let path = format!("{path}{}key=caller-secret", if path.contains('?') { '&' } else { '?' });
            assert_eq!(house.gateway.ask(&Ask::post(&path, speech.body(&speech.model(), stream))).status(), 200);
            assert!(!house.provider.requests().pop().unwrap().path.contains("caller-secret"));
        }
    }
}

#[test]
fn every_dialect_reaches_every_other_whole_and_streamed() {
    let house = House::new(well);
    for (caller, provider) in pairs() {
        let cell = format!("{} → {}", caller.name, provider.name);
        let whole = house.gateway.ask(&caller.ask(&provider.model(), false));
        assert_eq!(whole.status(), 200, "{cell}: {}", whole.text());
        assert_eq!(caller.whole_text(&whole), TEXT, "{cell}");
        let stream = house.gateway.ask(&caller.ask(&provider.model(), true));
        assert_eq!(stream.status(), 200, "{cell}: {}", stream.text());
        assert_eq!(caller.text(stream.text()), TEXT, "{cell}: {}", stream.text());
        assert!(stream.text().contains(caller.ends[0]), "{cell}: {}", stream.text());
        assert!(!events(stream.text()).iter().any(is_error), "{cell}");
        for header in [&whole, &stream] {
            assert_eq!(header.header("x-trunkline-target"), provider.model(), "{cell}");
        }
    }
}
