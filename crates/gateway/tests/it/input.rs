//! Bad input gets a clear answer in the caller's dialect, reaches no provider and harms nothing.

use crate::gateway::House;
use crate::lane::well;
use crate::speech::{self, Speech};
use crate::wire::Ask;

/// Sends a body and gives status and message; checks that no provider saw it and that the gateway goes on.
fn refused(house: &House, speech: &Speech, body: impl Into<Vec<u8>>) -> (u16, String) {
    let before = house.provider.requests().len();
    let reply = house.gateway.ask(&Ask::post(&speech.path(&speech.model(), false), body));
    let refusal = speech.refusal(&reply);
    assert_eq!(house.provider.requests().len(), before, "{}: a refused body reached the provider: {refusal:?}", speech.name);
    refusal
}

#[test]
fn what_is_not_json_is_said_to_be_so() {
    let house = House::new(well);
    for speech in speech::all() {
        let good = speech.body(&speech.model(), false);
        let bodies: [(&str, Vec<u8>); 9] = [
            ("empty", Vec::new()),
            ("blank", b" \n".to_vec()),
            ("text", b"hello".to_vec()),
            ("half", good.as_bytes()[..good.len() - 1].to_vec()),
            ("more after it", format!("{good}x").into_bytes()),
            ("two", format!("{good}{good}").into_bytes()),
            ("comma", good.replacen('{', "{,", 1).into_bytes()),
            (
                "invalid UTF-8",
                [
                    good.replace("hi", "h\u{1}").as_bytes().split(|b| *b == 1).collect::<Vec<_>>()[0],
                    b"\xff\xfe",
                    good.split("hi").nth(1).unwrap().as_bytes(),
                ]
                .concat(),
            ),
            ("raw control character", good.replace("hi", "h\u{0}i").into_bytes()),
        ];
        for (what, body) in bodies {
            let (status, message) = refused(&house, speech, body);
            assert_eq!(status, 400, "{} {what}: {message}", speech.name);
            assert!(message.len() > 15, "{} {what}: {message}", speech.name);
        }
        for (what, body) in [("list", "[]"), ("null", "null"), ("number", "7"), ("string", "\"x\"")] {
            let (status, message) = refused(&house, speech, body);
            assert_eq!(status, 400, "{} {what}: {message}", speech.name);
            assert!(message.contains("object"), "{} {what} says what was expected: {message}", speech.name);
        }
    }
}

#[test]
fn a_repeated_key_is_refused_and_named() {
    let house = House::new(well);
    for speech in speech::all() {
        let good = speech.body(&speech.model(), false);
        for (what, body) in [
            ("plain", good.replacen('{', "{\"user\":\"a\",\"user\":\"b\",", 1)),
            ("escaped", good.replacen('{', "{\"user\":\"a\",\"us\\u0065r\":\"b\",", 1)),
        ] {
            let (status, message) = refused(&house, speech, body);
            assert_eq!(status, 400, "{} {what}", speech.name);
            assert!(message.contains("user"), "{} {what} names the key: {message}", speech.name);
        }
        if speech.model_in_body() {
            let twice = good.replacen('{', "{\"model\":\"at-openai-chat/other\",", 1);
            assert!(refused(&house, speech, twice).1.contains("model"));
        }
    }
}

#[test]
fn a_wrong_type_is_refused_and_the_field_is_named() {
    let house = House::new(well);
    for speech in speech::all() {
        let model = speech.model();
        let cases: Vec<(&str, String)> = match speech.name {
            "gemini" => vec![("generationConfig", r#"{"contents":[],"generationConfig":[]}"#.to_owned())],
            _ => ["null", "7", "[]", "{}", "true"]
                .map(|value| ("model", speech.body(&model, false).replace(&format!("\"{model}\""), value)))
                .into_iter()
                .chain(["\"yes\"", "1", "[]"].map(|value| ("stream", speech.body(&model, false).replace("false", value))))
                .collect(),
        };
        for (field, body) in cases {
            let (status, message) = refused(&house, speech, body.clone());
            assert_eq!(status, 400, "{}: {body}: {message}", speech.name);
            assert!(message.contains(field), "{} {body} names {field}: {message}", speech.name);
        }
    }
}

#[test]
fn translated_a_wrong_type_or_a_missing_field_is_refused_and_named() {
    let house = House::new(well);
    for speech in speech::all() {
        let other = speech::all().find(|other| other.name != speech.name).unwrap().model();
        let good = speech.body(&other, false);
        let cases: Vec<(&str, String)> = match speech.name {
            "gemini" => vec![
                ("contents", "{}".to_owned()),
                ("contents", r#"{"contents":7}"#.to_owned()),
                ("maxOutputTokens", good.replace("16", "\"many\"")),
                ("text", good.replace("\"hi\"", "[7]")),
            ],
            "openai-responses" => vec![
                ("input", good.replace("\"input\"", "\"x\"")),
                ("input", good.replace("[{\"role\":\"user\",\"content\":\"hi\"}]", "7")),
                ("input[0].content", good.replace("\"hi\"", "7")),
                ("input[0].role", good.replace("\"user\"", "7")),
                ("previous_response_id", good.replace("\"stream\"", "\"previous_response_id\":\"resp_0\",\"stream\"")),
                ("max_output_tokens", good.replace("16", "\"many\"")),
            ],
            "ollama-generate" => vec![
                ("prompt", good.replace("\"prompt\"", "\"x\"")),
                ("prompt", good.replace("\"hi\"", "{}")),
                ("options.num_predict", good.replace("16", "\"many\"")),
            ],
            "openai-completions" => vec![
                ("prompt", good.replace("\"prompt\"", "\"x\"")),
                ("prompt", good.replace("\"hi\"", "{}")),
                ("max_tokens", good.replace("16", "\"many\"")),
            ],
            _ => vec![
                ("messages", good.replace("\"messages\"", "\"x\"")),
                ("messages", good.replace("[{\"role\":\"user\",\"content\":\"hi\"}]", "7")),
                ("content", good.replace("\"hi\"", "7")),
                ("role", good.replace("\"user\"", "7")),
                (if speech.is_lines { "options.num_predict" } else { "max_tokens" }, good.replace("16", "\"many\"")),
            ],
        };
        for (field, body) in cases {
            let before = house.provider.requests().len();
            let reply = house.gateway.ask(&Ask::post(&speech.path(&other, false), body.clone()));
            let (status, message) = speech.refusal(&reply);
            assert_eq!(status, 400, "{}: {body}: {message}", speech.name);
            assert!(message.contains(field), "{} {body} names {field}: {message}", speech.name);
            assert_eq!(house.provider.requests().len(), before);
        }
    }
}

#[test]
fn a_missing_model_is_named() {
    let house = House::new(well);
    for speech in speech::all().filter(|speech| speech.model_in_body()) {
        let (status, message) = refused(&house, speech, speech.body("", false).replace("\"model\":\"\",", ""));
        assert_eq!(status, 400, "{}", speech.name);
        assert!(message.contains("model"), "{}: {message}", speech.name);
        let (status, message) = refused(&house, speech, speech.body("", false));
        assert!(matches!(status, 400 | 404) && message.contains("model"), "{} {status} {message}", speech.name);
    }
}

#[test]
fn an_unknown_model_is_404_and_the_nearest_is_named() {
    let provider = trunkline_testkit::provider::LocalProvider::start(well);
    let alias = "[models.summary]\ntargets = [\"at-gemini/tiny-1\"]\n";
    let gateway = crate::gateway::Gateway::with(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{}{alias}",
        crate::gateway::providers(&provider.url())
    ));
    for speech in speech::all() {
        for (asked, nearest) in [("sumary", "summary"), ("at-openai-chta/tiny-1", "at-openai-chat")] {
            for stream in [false, true] {
                let reply = gateway.ask(&speech.ask(asked, stream));
                let (status, message) = speech.refusal(&reply);
                assert_eq!(status, 404, "{} {asked}: {message}", speech.name);
                assert!(message.contains(asked) && message.contains(nearest), "{} {asked}: {message}", speech.name);
                let error = &reply.json()["error"];
                match speech.name {
                    "anthropic-messages" => assert_eq!(error["type"], "not_found_error"),
                    "gemini" => assert_eq!(error["status"], "NOT_FOUND"),
                    "cohere-chat" => {}
                    "ollama" | "ollama-generate" => assert_eq!(reply.json()["code"], "model_not_found"),
                    _ => assert_eq!(error["code"], "model_not_found"),
                }
            }
        }
    }
    assert!(provider.requests().is_empty());
}

#[test]
fn deeply_nested_json_harms_nothing() {
    let house = House::new(well);
    for speech in speech::all() {
        let deep = |open: &str, close: &str, depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
        for (what, value) in
            [("lists", deep("[", "]", 200_000)), ("objects", deep("{\"a\":", "}", 200_000)), ("not closed", "[".repeat(500_000))]
        {
            let body = speech.body(&speech.model(), false).replacen('{', &format!("{{\"x\":{value},"), 1);
            let (status, message) = refused(&house, speech, body);
            assert_eq!(status, 400, "{} {what}: {message}", speech.name);
            assert!(message.len() < 2000, "{} {what}", speech.name);
        }
        // As the whole body, and where a translation would read it.
        assert_eq!(refused(&house, speech, "[".repeat(500_000)).0, 400);
        let other = speech::all().find(|other| other.name != speech.name).unwrap().model();
        let body = speech.body(&other, false).replace("\"hi\"", &deep("[", "]", 100_000));
        assert_eq!(house.gateway.ask(&Ask::post(&speech.path(&other, false), body)).status(), 400, "{}", speech.name);
    }
}

#[test]
fn a_path_trick_in_a_models_name_leads_nowhere_else() {
    let house = House::new(well);
    let names = [
        "../../admin",
        "..",
        "a/../../v1/files",
        "a/./b",
        "x?key=1",
        "x#y",
        "x%2f..%2fy",
        "a\\..\\b",
        "//evil.example/x",
        "x:generateContent/../y",
    ];
    for (caller, provider) in speech::pairs() {
        for name in names {
            let cell = format!("{} → {} {name}", caller.name, provider.name);
            let full = format!("at-{}/{name}", provider.name);
            let (in_path, in_body) = (
                full.replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace("..", "%2e%2e").replace('\\', "%5C"),
                full.replace('\\', "\\\\"),
            );
            let before = house.provider.requests().len();
            let reply = house.gateway.ask(&Ask::post(&caller.path(&in_path, false), caller.body(&in_body, false)));
            let after = house.provider.requests();
            match after.get(before) {
                // The name is data in a body: it may go there, and the path must be the usual one.
                Some(seen) => {
                    let usual = seen.path.split('?').next() == Some(provider.path(name, false).as_str());
                    assert!(usual && provider.model_in_body(), "{cell}: {}", seen.path);
                    assert_eq!(seen.json()["model"], name, "{cell}");
                }
                None => {
                    let (status, message) = caller.refusal(&reply);
                    assert!(matches!(status, 400 | 404), "{cell}: {status} {message}");
                }
            }
        }
    }
}

#[test]
fn a_models_name_cannot_inject_headers_or_lines() {
    let house = House::new(well);
    for (caller, provider) in speech::pairs() {
        for name in ["x\r\nx-evil: 1\r\n\r\nGET /evil HTTP/1.1", "x\nx-evil: 1", "x\u{0}y", "x y", "模型"] {
            let cell = format!("{} → {} {name:?}", caller.name, provider.name);
            let full = format!("at-{}/{name}", provider.name);
            let in_path: String = full
                .bytes()
                .map(|b| {
                    if b.is_ascii_alphanumeric() || b"-/.".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }
                })
                .collect();
            let in_body = serde_json::to_string(&full).unwrap();
            let before = house.provider.requests().len();
            let reply =
                house.gateway.ask(&Ask::post(&caller.path(&in_path, false), caller.body(in_body.trim_matches('"'), false)));
            assert_eq!(reply.header("x-evil"), "", "{cell}");
            let seen = house.provider.requests();
            assert!(seen.len() <= before + 1, "{cell}: {seen:?}");
            for seen in &seen[before..] {
                assert_eq!((seen.header("x-evil"), seen.method.as_str()), ("", "POST"), "{cell}");
                assert!(!seen.path.contains("evil") || seen.path.contains('%'), "{cell}: {}", seen.path);
            }
            if seen.len() == before {
                assert!(matches!(caller.refusal(&reply).0, 400 | 404), "{cell}: {}", reply.text());
            }
        }
    }
}

#[test]
fn an_encoded_body_is_refused_with_a_reason() {
    let house = House::new(well);
    for speech in speech::all() {
        let reply = house.gateway.ask(&speech.ask(&speech.model(), false).header("content-encoding", "gzip"));
        let (status, message) = speech.refusal(&reply);
        assert!(matches!(status, 400 | 415) && message.contains("gzip"), "{status} {message}");
    }
}

#[test]
fn a_bad_request_is_counted_once_and_carries_ids() {
    let house = House::new(well);
    for (nth, speech) in (1..).zip(speech::all()) {
        let reply = house.gateway.ask(&Ask::post(&speech.path(&speech.model(), false), "nope"));
        let id = reply.header("x-trunkline-request-id").to_owned();
        assert_eq!(id.len(), 32);
        let sdk = if speech.name == "anthropic-messages" { "request-id" } else { "x-request-id" };
        assert_eq!(reply.header(sdk), id);
        let stats = house.gateway.stats();
        assert_eq!((stats.calls, stats.errors), (nth, nth), "{}", stats.all);
    }
}
