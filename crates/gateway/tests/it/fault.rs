//! Providers that answer with an error, or with something that is no answer.

use trunkline_testkit::provider::{Answer, Ending};

use crate::gateway::{CREDENTIAL, House};
use crate::speech::{self, TEXT, pairs};

/// A provider's error in its own words and with headers that matter.
fn error(speech: &speech::Speech, status: u16) -> Answer {
    Answer::json(status, speech.error)
        .header("retry-after", "17")
        .header("x-request-id", "theirs-1")
        .header("request-id", "theirs-1")
}

#[test]
fn same_lane_a_providers_error_keeps_its_status_its_words_and_its_headers() {
    for status in [400, 404, 409, 413, 422, 429, 500, 503, 529] {
        for speech in speech::all() {
            let house = House::new(error(speech, status));
            for stream in [false, true] {
                let reply = house.gateway.ask(&speech.ask(&speech.model(), stream));
                assert_eq!(reply.status(), status, "{}", speech.name);
                assert_eq!(reply.text(), speech.error, "{} {status}", speech.name);
                assert_eq!(reply.header("retry-after"), "17", "{} {status}", speech.name);
                assert_eq!(reply.header("request-id"), "theirs-1", "{} {status}", speech.name);
                assert_eq!(reply.header("x-trunkline-target"), speech.model());
            }
            // Not the gateway's to decide: no second try behind the caller's back for one target.
            assert_eq!(house.provider.requests().len(), 2, "{} {status}", speech.name);
        }
    }
}

#[test]
fn translated_a_providers_error_keeps_its_status_and_its_words_in_the_callers_dialect() {
    for status in [400, 404, 429, 500, 503, 529] {
        for (caller, provider) in pairs().filter(|(caller, provider)| caller.name != provider.name) {
            let house = House::new(error(provider, status));
            for stream in [false, true] {
                let cell = format!("{} → {} {status} stream {stream}", caller.name, provider.name);
                let reply = house.gateway.ask(&caller.ask(&provider.model(), stream));
                let (told, message) = caller.refusal(&reply);
                assert_eq!(told, status, "{cell}: {}", reply.text());
                assert!(message.contains("the provider's own words"), "{cell}: {message}");
                assert!(message.contains(&format!("at-{}", provider.name)), "{cell} names the provider: {message}");
                if status >= 429 {
                    assert_eq!(reply.header("retry-after"), "17", "{cell}");
                }
            }
        }
    }
}

#[test]
fn a_rejected_credential_of_the_gateway_is_the_gateways_trouble() {
    for status in [401, 402, 403] {
        for (caller, provider) in pairs() {
            let echo = provider.error.replace("the provider's own words", &format!("bad key {CREDENTIAL}"));
            let house = House::new(Answer::json(status, echo).header("www-authenticate", "Bearer realm=theirs"));
            for stream in [false, true] {
                let cell = format!("{} → {} {status}", caller.name, provider.name);
                let reply = house.gateway.ask(&caller.ask(&provider.model(), stream));
                let (told, message) = caller.refusal(&reply);
                assert_eq!(told, 502, "{cell}: {}", reply.text());
                assert!(message.contains(&format!("at-{}", provider.name)), "{cell} names the provider: {message}");
                assert!(!reply.text().contains(CREDENTIAL), "{cell} shows the credential: {}", reply.text());
                assert!(!reply.head.text().contains("realm=theirs"), "{cell}");
                assert_eq!(reply.header("x-should-retry"), "false", "{cell}");
            }
        }
    }
}

#[test]
fn an_answer_of_200_that_holds_an_error_is_an_error() {
    for (caller, provider) in pairs() {
        let house = House::new(Answer::json(200, provider.error));
        for stream in [false, true] {
            let cell = format!("{} → {} stream {stream}", caller.name, provider.name);
            let reply = house.gateway.ask(&caller.ask(&provider.model(), stream));
            let (status, message) = caller.refusal(&reply);
            assert!(status >= 400, "{cell}: {status} {}", reply.text());
            assert!(message.contains("the provider's own words"), "{cell}: {message}");
        }
    }
}

#[test]
fn a_stream_whose_first_event_is_an_error_shows_it_and_nothing_good() {
    for (caller, provider) in pairs() {
        let house = House::new(provider.framed([provider.error_frame()]));
        let cell = format!("{} → {}", caller.name, provider.name);
        let reply = house.gateway.ask(&caller.ask(&provider.model(), true));
        let message = if reply.status() == 200 { caller.broken(reply.text()) } else { caller.refusal(&reply).1 };
        assert!(message.contains("the provider's own words"), "{cell}: {message}");
        assert_eq!(house.gateway.stats().errors, 1, "{cell} is counted as an error: {}", house.gateway.stats().all);
    }
}

#[test]
fn what_is_no_answer_at_all_is_a_bad_gateway_in_the_callers_dialect() {
    let answers = [
        ("html", Answer::html(200)),
        ("empty", Answer::json(200, "")),
        ("blank", Answer::json(200, " \n")),
        ("text", Answer::json(200, "ok")),
        ("array", Answer::json(200, "[]")),
        ("object", Answer::json(200, "{}")),
        ("half", Answer::json(200, r#"{"id": "x", "choi"#)),
        ("not http", Answer::garbage()),
        ("nothing", Answer::never().ending(Ending::Cut)),
        ("reset", Answer::never().ending(Ending::Reset)),
        ("cut", Answer::json(200, speech::all().next().unwrap().whole).cut_after(20)),
        ("no content", Answer::status(204)),
        ("moved", Answer::status(302).header("location", "http://127.0.0.1:1/")),
    ];
    let mut wrong = Vec::new();
    for (what, answer) in answers {
        let house = House::new(answer);
        for (caller, provider) in pairs() {
            for stream in [false, true] {
                let cell = format!("{what}: {} → {} stream {stream}", caller.name, provider.name);
                let reply = house.gateway.ask(&caller.ask(&provider.model(), stream));
                if stream && reply.status() == 200 {
                    // The head had promised events: the error comes as one.
                    caller.broken(reply.text());
                } else if reply.status() / 100 != 5 {
                    wrong.push(format!("{cell}: {} {}", reply.status(), reply.text()));
                } else {
                    let (_, message) = caller.refusal(&reply);
                    assert!(message.contains(&format!("at-{}", provider.name)), "{cell} names the provider: {message}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_error_page_in_html_keeps_its_status_and_is_told_in_the_callers_dialect() {
    for status in [404, 500, 502, 503] {
        let house = House::new(Answer::html(status).header("retry-after", "4"));
        for (caller, provider) in pairs() {
            let reply = house.gateway.ask(&caller.ask(&provider.model(), false));
            let (told, message) = caller.refusal(&reply);
            assert_eq!(told, status, "{} → {}", caller.name, provider.name);
            assert!(message.contains(&format!("at-{}", provider.name)) && !message.contains("<html"), "{message}");
            assert_eq!(reply.header("retry-after"), "4");
        }
    }
}

#[test]
fn nobody_listens_there() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!("[server]\nlisten = \"127.0.0.1:0\"\n{}", crate::gateway::providers(&format!("http://{gone}")));
    let gateway = crate::gateway::Gateway::with(&config);
    for (caller, provider) in pairs() {
        let (status, message) = caller.refusal(&gateway.ask(&caller.ask(&provider.model(), true)));
        assert_eq!(status, 502);
        assert!(message.contains(&format!("at-{}", provider.name)), "{message}");
    }
}

#[test]
fn a_whole_answer_where_a_stream_was_asked_for_is_streamed() {
    for (caller, provider) in pairs() {
        let house = House::new(provider.answer());
        let cell = format!("{} → {}", caller.name, provider.name);
        let reply = house.gateway.ask(&caller.ask(&provider.model(), true));
        assert_eq!(reply.status(), 200, "{cell}: {}", reply.text());
        assert!(reply.header("content-type").starts_with(caller.media()), "{cell}: {}", reply.head.text());
        assert_eq!(caller.text(reply.text()), TEXT, "{cell}: {}", reply.text());
        assert!(reply.text().contains(caller.ends[0]), "{cell}: {}", reply.text());
        assert_eq!(house.gateway.stats().all["input_tokens"], 7, "{cell}");
    }
}

#[test]
fn a_provider_that_takes_too_long_for_its_head_is_a_timeout() {
    let house = House::with(Answer::never(), "[network]\nhead_seconds = 1");
    std::thread::scope(|scope| {
        for caller in speech::all() {
            let address = house.gateway.address;
            scope.spawn(move || {
                let reply = caller.ask(&caller.model(), false).send(address);
                assert_eq!(caller.refusal(&reply).0, 504, "{}", reply.text());
            });
        }
    });
}

#[test]
fn an_answer_longer_than_the_limit_is_refused() {
    let house = House::with(Answer::json(200, "x".repeat(20_000)), "[network]\nreply_limit = 10000");
    for caller in speech::all() {
        let (status, message) = caller.refusal(&house.gateway.ask(&caller.ask(&caller.model(), false)));
        assert_eq!(status, 502, "{message}");
        assert!(message.contains("10000"), "{message}");
    }
}

#[test]
fn what_is_neither_an_answer_nor_an_error_is_the_providers_fault_and_told_as_502() {
    for status in [301, 302, 304, 600, 999] {
        for (caller, provider) in pairs() {
            let house = House::new(Answer::json(status, provider.error).header("location", "http://127.0.0.1:1/elsewhere"));
            for stream in [false, true] {
                let cell = format!("{} → {} {status} stream {stream}", caller.name, provider.name);
                let reply = house.gateway.ask(&caller.ask(&provider.model(), stream));
                let (told, message) = caller.refusal(&reply);
                assert_eq!((told, reply.header("location")), (502, ""), "{cell}: {}", reply.text());
                assert!(message.contains(&format!("HTTP {status}")), "{cell}: {message}");
            }
        }
    }
}

#[test]
fn an_answer_without_any_choice_is_none_and_the_next_target_is_asked() {
    let speech = speech::all().find(|speech| speech.name == "openai-chat").unwrap();
    let usage = "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}";
    for choices in ["\"choices\": [ ],", "\"choices\":null,", "", "\"note\":\"choices\","] {
        let body = format!("{{\"id\":\"x\",\"model\":\"m\",{choices}{usage}}}");
        let house = House::new([Answer::json(200, body.clone()), speech.answer()]);
        let (status, message) = speech.refusal(&house.gateway.ask(&speech.ask(&speech.model(), false)));
        assert!(status == 502 && message.contains("no choices"), "{body}: {message}");
        let alias = format!("[models.any]\ntargets = [\"{0}\", \"{0}-b\"]\n[server]\n", speech.model());
        let house = House::with([Answer::json(200, body), speech.answer()], &alias);
        let reply = house.gateway.ask(&speech.ask("any", false));
        assert_eq!((reply.status(), reply.header("x-trunkline-attempts")), (200, "2"), "{}", reply.text());
    }
    // The word may stand anywhere else.
    let fine = format!(
        "{{\"id\":\"choices\",\"choices\" : [ {{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"hi\"}},\"finish_reason\":\"stop\"}}],{usage}}}"
    );
    let house = House::new(Answer::json(200, fine.clone()));
    assert_eq!(house.gateway.ask(&speech.ask(&speech.model(), false)).text(), fine);
}

#[test]
fn a_date_to_come_back_at_is_told_as_the_true_wait() {
    for speech in speech::all() {
        let date = |at: u64| {
            let (days, rest) = (at / 86400, at % 86400);
            // 2000-03-01 was day 11017 and a Wednesday; all that is needed lies in one month.
            assert!((11017..11017 + 31).contains(&days));
            format!("Wed, {:02} Mar 2000 {:02}:{:02}:{:02} GMT", days - 11017 + 1, rest / 3600, rest / 60 % 60, rest % 60)
        };
        let now = 11017 * 86400 + 12 * 3600;
        let answer = Answer::json(429, speech.error).header("date", &date(now)).header("retry-after", &date(now + 40));
        let house = House::new(answer);
        for stream in [false, true] {
            let reply = house.gateway.ask(&speech.ask(&speech.model(), stream));
            assert_eq!((reply.status(), reply.header("retry-after")), (429, "40"), "{}", speech.name);
            assert_eq!(reply.head.text().to_lowercase().matches("retry-after").count(), 1, "{}", speech.name);
        }
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_told_without_its_place_and_others_are_tried() {
    for speech in speech::all() {
        let provider = trunkline_testkit::provider::LocalProvider::start(speech.answer());
        let url = provider.url();
        let good = crate::gateway::providers(&url);
        let lost = good.replace("providers.at-", "providers.lost-").replace("env:HOUSE_KEY", "file:/nowhere/at-all/key");
        let alias = format!("[models.any]\ntargets = [\"lost-{0}/tiny-1\", \"at-{0}/tiny-1\"]\n", speech.name);
        let gateway =
            crate::gateway::Gateway::with(&format!("[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n{alias}{good}{lost}"));
        let reply = gateway.ask(&speech.ask(&format!("lost-{}/tiny-1", speech.name), false));
        let (status, message) = speech.refusal(&reply);
        assert_eq!((status, reply.header("x-should-retry")), (503, "false"), "{}", reply.text());
        assert!(message.contains("no usable credential for lost-") && !reply.text().contains("nowhere"), "{message}");
        let reply = gateway.ask(&speech.ask("any", false));
        assert_eq!((reply.status(), reply.header("x-trunkline-target")), (200, &*speech.model()), "{}", reply.text());
    }
}
