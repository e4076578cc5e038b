//! Operations beyond chat: both lanes, errors, broken answers.

use serde_json::{Value, json};
use trunkline_testkit::provider::{Answer, Seen};

use crate::gateway::{CREDENTIAL, Gateway, House, until};
use crate::wire::Ask;

const SIM: &str = "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n";

/// Embeddings as each dialect's provider would answer.
fn embeddings(seen: &Seen) -> Answer {
    match seen.path.split('?').next().unwrap() {
        "/v1/embeddings" => Answer::json(
            200,
            r#"{"object":"list", "x_new":1e30,"data":[{"object":"embedding","index":0,"embedding":[0.5,-0.25]}],"model":"tiny-1","usage":{"prompt_tokens":7,"total_tokens":7}}"#,
        ),
        "/v1beta/models/tiny-1:embedContent" => {
            Answer::json(200, r#"{"embedding":{"values":[0.5,-0.25]},"usageMetadata":{"promptTokenCount":7}}"#)
        }
        "/v1beta/models/tiny-1:batchEmbedContents" => {
            Answer::json(200, r#"{"embeddings":[{"values":[0.5,-0.25]}],"usageMetadata":{"promptTokenCount":7}}"#)
        }
        "/v1/rerank" => Answer::json(
            200,
            r#"{"id":"r1","results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":0.1}],"usage":{"total_tokens":7}}"#,
        ),
        _ => Answer::status(404),
    }
}

#[test]
fn the_same_lane_changes_the_models_name_and_nothing_else() {
    let house = House::new(embeddings);
    let odd = |model: &str| {
        format!(
            "\r\n{{ \"input\" : \"h\\u00e9 \\\"model\\\":1\",\"x\":[1e400,{{\"model\":\"no\"}}] ,\t\"model\" : \"{model}\"}} "
        )
    };
    let reply = house.gateway.ask(&Ask::post("/v1/embeddings", odd("at-openai-chat/tiny-1")));
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let seen = house.provider.requests().pop().unwrap();
    assert_eq!(String::from_utf8_lossy(&seen.body), odd("tiny-1"));
    assert_eq!((seen.path.as_str(), seen.header("authorization")), ("/v1/embeddings", format!("Bearer {CREDENTIAL}").as_str()));
    assert!(reply.text().contains("\"list\", \"x_new\":1e30"), "byte for byte: {}", reply.text());
    assert_eq!(reply.header("x-trunkline-target"), "at-openai-chat/tiny-1");
    assert!(reply.header("content-length").parse::<usize>().unwrap() > 0);
    let stats = house.gateway.stats();
    assert_eq!((stats.calls, stats.errors, stats.cancelled), (1, 0, 0));
    assert_eq!(stats.all["input_tokens"], 7);
}

#[test]
fn gemini_in_its_own_lane_gets_its_own_name_wherever_it_stands() {
    let house = House::new(embeddings);
    let body = |model: &str| {
        format!(r#"{{"requests":[{{"model":"models/{model}","content":{{"parts":[{{"text":"\"model\":\"x\""}}]}},"zzz":1}}]}}"#)
    };
    let path = "/v1beta/models/at-gemini%2Ftiny-1:batchEmbedContents";
    let reply = house.gateway.ask(&Ask::post(path, body("at-gemini/tiny-1")));
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let seen = house.provider.requests().pop().unwrap();
    assert_eq!(String::from_utf8_lossy(&seen.body), body("tiny-1"));
    assert_eq!(house.gateway.stats().all["input_tokens"], 7);
}

/// Caller's path, its body, and where its vector is; the provider's model.
fn callers(model: &str) -> Vec<(String, Value, &'static str)> {
    let encoded = model.replace('/', "%2F");
    vec![
        ("/v1/embeddings".to_owned(), json!({"model": model, "input": "x"}), "/data/0/embedding"),
        (format!("/v1beta/models/{encoded}:embedContent"), json!({"content": {"parts": [{"text": "x"}]}}), "/embedding/values"),
        (
            format!("/v1/models/{encoded}:batchEmbedContents"),
            json!({"requests": [{"model": "models/x", "content": {"parts": [{"text": "x"}]}}]}),
            "/embeddings/0/values",
        ),
        ("/v2/embed".to_owned(), json!({"model": model, "texts": ["x"], "input_type": "search_query"}), "/embeddings/float/0"),
        ("/api/embed".to_owned(), json!({"model": model, "input": ["x"]}), "/embeddings/0"),
        ("/api/embeddings".to_owned(), json!({"model": model, "prompt": "x"}), "/embedding"),
    ]
}

#[test]
fn every_caller_gets_vectors_from_every_provider() {
    let house = House::new(embeddings);
    let mut calls = 0;
    for provider in ["openai-chat", "gemini"] {
        for (path, body, at) in callers(&format!("at-{provider}/tiny-1")) {
            let reply = house.gateway.ask(&Ask::post(&path, body.to_string()));
            calls += 1;
            assert_eq!(reply.status(), 200, "{path} to {provider}: {}", reply.text());
            assert_eq!(reply.json().pointer(at), Some(&json!([0.5, -0.25])), "{path} to {provider}: {}", reply.text());
        }
    }
    let stats = house.gateway.stats();
    assert_eq!((stats.calls, stats.errors, stats.all["input_tokens"].as_u64()), (calls, 0, Some(calls * 7)));
}

#[test]
fn base64_is_what_the_official_client_asks_for_and_gets() {
    let house = House::new(embeddings);
    let body = json!({"model": "at-gemini/tiny-1", "input": ["x"], "encoding_format": "base64"});
    let reply = house.gateway.ask(&Ask::post("/v1/embeddings", body.to_string()));
    assert_eq!(reply.json()["data"][0]["embedding"], "AAAAPwAAgL4=", "{}", reply.text());
}

#[test]
fn losses_are_told_and_what_cannot_be_said_is_refused() {
    let house = House::new(embeddings);
    let body = json!({"model": "at-openai-chat/tiny-1", "texts": ["x"], "input_type": "search_query", "truncate": "START"});
    let reply = house.gateway.ask(&Ask::post("/v2/embed", body.to_string()));
    assert_eq!(reply.header("x-trunkline-lost"), "purpose, truncate");
    let body = json!({"model": "at-gemini/tiny-1", "input": [1, 2, 3]});
    let reply = house.gateway.ask(&Ask::post("/v1/embeddings", body.to_string()));
    assert_eq!((reply.status(), reply.json()["error"]["param"].as_str()), (400, Some("input")), "{}", reply.text());
    let reply = house.gateway.ask(&Ask::post("/v1/embeddings", r#"{"model":"at-anthropic-messages/tiny-1","input":"x"}"#));
    assert_eq!(reply.status(), 400);
    assert!(reply.text().contains("at-anthropic-messages does not offer embed"), "{}", reply.text());
}

#[test]
fn rerank_passes_in_both_shapes() {
    let house = House::new(embeddings);
    let ask = |path: &str, more: Value| {
        let mut body = json!({"model": "at-openai-chat/tiny-1", "query": "q", "documents": ["one", "two"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        house.gateway.ask(&Ask::post(path, body.to_string()))
    };
    let same = ask("/v1/rerank", json!({"top_n": 2}));
    assert_eq!(same.json()["results"][0], json!({"index": 1, "relevance_score": 0.9}), "{}", same.text());
    let translated = ask("/v2/rerank", json!({"return_documents": true}));
    let best = json!({"index": 1, "relevance_score": 0.9, "document": {"text": "two"}});
    assert_eq!(translated.json()["results"][0], best, "{}", translated.text());
    assert_eq!(house.provider.requests().pop().unwrap().json()["documents"], json!(["one", "two"]));
    assert_eq!(house.gateway.stats().all["input_tokens"], 14);
}

#[test]
fn an_alias_goes_on_to_the_next_target() {
    let house = House::new(|seen: &Seen| match seen.path.contains("/v1/embeddings") {
        true => Answer::json(500, r#"{"error":{"message":"broken","type":"x"}}"#),
        false => embeddings(seen),
    });
    let config = format!(
        "{SIM}{}[models.any]\ntargets = [\"at-anthropic-messages/tiny-1\", \"at-openai-chat/tiny-1\", \"at-gemini/tiny-1\"]\n",
        crate::gateway::providers(&house.provider.url())
    );
    let gateway = Gateway::with(&config);
    let reply = gateway.ask(&Ask::post("/v1/embeddings", r#"{"model":"any","input":["x"]}"#));
    assert_eq!((reply.status(), reply.header("x-trunkline-target")), (200, "at-gemini/tiny-1"), "{}", reply.text());
    assert_eq!(reply.header("x-trunkline-attempts"), "3");
}

#[test]
fn bad_requests_are_told_in_the_callers_words() {
    let gateway = Gateway::with(SIM);
    for (path, body, says) in [
        ("/v1/embeddings", r#"{"input":"x"}"#, "model is required"),
        ("/v1/embeddings", r#"{"model":3,"input":"x"}"#, "model: expected a string"),
        ("/v1/embeddings", r#"{"model":"sim/echo","model":"sim/echo"}"#, "the key \\\"model\\\" is repeated"),
        ("/v1/embeddings", r#"{"model":"sim/echo","input":{}}"#, "input: expected a string"),
        ("/v1/embeddings", r#"{"model":"sim/echo","input":[]}"#, "input is an empty list"),
        ("/v1/embeddings", r#"{"model":"sim/nothing","input":"x"}"#, "no model `nothing`"),
        ("/v1/rerank", r#"{"model":"sim/echo","query":"x","documents":[5]}"#, "documents[0]: expected a string"),
        ("/v1/moderations", "not json", "not valid JSON"),
        ("/v1/images/generations", r#"{"model":"sim/echo"}"#, "prompt is required"),
        ("/v1beta/models/sim%2Fecho:embedContent", "{}", "content is required"),
        ("/api/embed", r#"{"model":"sim/echo"}"#, "input is required"),
        ("/v2/embed", r#"{"model":"sim/echo","input_type":"search_query"}"#, "texts is required"),
    ] {
        let reply = gateway.ask(&Ask::post(path, body));
        assert!((400..=404).contains(&reply.status()), "{path}: {}", reply.status());
        assert!(reply.text().contains(says), "{path} {body}: {}", reply.text());
    }
    let reply = gateway.ask(&Ask::get("/v1/embeddings"));
    assert_eq!((reply.status(), reply.header("allow")), (405, "POST"));
    let stats = gateway.stats();
    assert_eq!((stats.calls, stats.errors), (12, 12));
}

#[test]
fn a_caller_who_names_no_model_gets_the_tasks() {
    let house = House::new(|_: &Seen| Answer::json(200, r#"{"results":[{"flagged":false}]}"#));
    let config =
        format!("{SIM}{}[tasks]\nmoderate = \"at-openai-chat/tiny-1\"\n", crate::gateway::providers(&house.provider.url()));
    let gateway = Gateway::with(&config);
    for (sent, seen) in [
        ("{ \"input\":\"x\"}", "{\"model\":\"tiny-1\", \"input\":\"x\"}"),
        ("{\"model\":null,\"input\":\"x\"}", "{\"model\":\"tiny-1\",\"input\":\"x\"}"),
    ] {
        assert_eq!(gateway.ask(&Ask::post("/v1/moderations", sent)).status(), 200);
        assert_eq!(String::from_utf8_lossy(&house.provider.requests().pop().unwrap().body), seen);
    }
    let reply = gateway.ask(&Ask::post("/v1/images/generations", r#"{"prompt":"x"}"#));
    assert!(reply.status() == 400 && reply.text().contains("`image_generate` among its [tasks]"), "{}", reply.text());
    let reply = gateway.ask(&Ask::post("/v1/embeddings", r#"{"input":"x"}"#));
    assert!(reply.status() == 400 && reply.text().contains("model is required"), "{}", reply.text());
}

#[test]
fn sound_and_pictures_pass_as_they_are() {
    let sound: Vec<u8> = (0..300_000_u32).map(|number| (number * 7 % 251) as u8).collect();
    let copy = sound.clone();
    let house = House::new(move |_: &Seen| {
        let pieces: Vec<Vec<u8>> = copy.chunks(50_000).map(<[u8]>::to_vec).collect();
        Answer::status(200).header("content-type", "audio/mpeg").chunks(pieces)
    });
    let reply = house.gateway.ask(&Ask::post("/v1/audio/speech", r#"{"model":"at-openai-chat/tiny-1","input":"x","voice":"y"}"#));
    assert_eq!((reply.status(), reply.header("content-type")), (200, "audio/mpeg"));
    assert!(reply.body == sound);
    assert!(until(|| house.gateway.stats().calls == 1));
    assert_eq!(house.gateway.stats().errors, 0);
}

#[test]
fn a_sound_that_breaks_off_does_not_look_whole() {
    for whole in [true, false] {
        let house = House::new(move |_: &Seen| {
            let answer = Answer::status(200).header("content-type", "audio/mpeg");
            let answer = if whole { answer.body(vec![7; 1000]) } else { answer.chunks([vec![7; 1000]]) };
            answer.cut_after(600)
        });
        let ask = Ask::post("/v1/audio/speech", r#"{"model":"at-openai-chat/tiny-1","input":"x","voice":"y"}"#);
        let mut line = ask.open(house.gateway.address);
        let head = line.head();
        assert_eq!(head.status, 200);
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match head.get("content-length") {
            Some(_) => drop(line.chunks_until("never")),
            None => drop(line.rest()),
        }));
        assert!(broken.is_err(), "the connection must break");
        assert!(until(|| house.gateway.stats().errors == 1), "whole: {whole}");
    }
}

#[test]
fn an_event_stream_passes_with_its_usage_and_ends_in_an_error_when_it_breaks() {
    let events = [
        "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\"}\n\n",
        "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"usage\":{\"input_tokens\":5,\"output_tokens\":9,\"total_tokens\":14}}\n\n",
    ];
    let house =
        House::new(
            move |seen: &Seen| {
                if seen.json()["prompt"] == "break" { Answer::sse(events).cut_after(140) } else { Answer::sse(events) }
            },
        );
    let body = |prompt: &str| json!({"model": "at-openai-chat/tiny-1", "prompt": prompt, "stream": true}).to_string();
    let reply = house.gateway.ask(&Ask::post("/v1/images/generations", body("x")));
    assert_eq!(reply.text(), events.concat());
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    assert!(until(|| house.gateway.stats().all["output_tokens"] == 9));
    let reply = house.gateway.ask(&Ask::post("/v1/images/generations", body("break")));
    let last = reply.text().rsplit("\n\n").find(|block| !block.is_empty()).unwrap();
    assert!(last.contains("\"error\""), "{}", reply.text());
    assert!(until(|| house.gateway.stats().errors == 1));
}

#[test]
fn a_providers_error_comes_through_and_one_in_a_good_status_does_not_look_good() {
    let house = House::new([
        Answer::json(429, r#"{"error":{"message":"slow down","type":"rate","param":null,"code":"x"}}"#)
            .header("retry-after", "3"),
        Answer::json(200, r#"{"error":{"message":"in spite of 200","type":"server_error"}}"#),
        Answer::html(200),
        Answer::json(401, format!(r#"{{"error":{{"message":"wrong key {CREDENTIAL}"}}}}"#)),
    ]);
    let ask = || house.gateway.ask(&Ask::post("/v1/embeddings", r#"{"model":"at-openai-chat/tiny-1","input":"x"}"#));
    let reply = ask();
    assert_eq!((reply.status(), reply.header("retry-after")), (429, "3"));
    assert_eq!(reply.json()["error"]["code"], "x");
    let reply = ask();
    assert!(reply.status() >= 500 && reply.text().contains("in spite of 200"), "{}: {}", reply.status(), reply.text());
    let reply = ask();
    assert_eq!(reply.status(), 502, "{}", reply.text());
    let reply = ask();
    assert_eq!(reply.status(), 502);
    assert!(!reply.text().contains(CREDENTIAL), "{}", reply.text());
    assert_eq!(house.gateway.stats().errors, 4);
}

#[test]
fn everything_can_be_tried_without_a_key() {
    let gateway = Gateway::with(SIM);
    let ask = |path: &str, body: Value| gateway.ask(&Ask::post(path, body.to_string()));
    let drawn = ask("/v1/images/generations", json!({"model": "sim/echo", "prompt": "a fox", "n": 2}));
    assert_eq!(drawn.json()["data"].as_array().unwrap().len(), 2, "{}", drawn.text());
    let spoken = ask("/v1/audio/speech", json!({"model": "sim/echo", "input": "Hello", "voice": "nova"}));
    assert!(spoken.body.starts_with(b"RIFF") && spoken.header("content-type") == "audio/wav");
    let events = ask("/v1/audio/speech", json!({"model": "sim/echo", "input": "Hello", "voice": "nova", "stream_format": "sse"}));
    assert!(events.text().contains("speech.audio.done"));
    let judged = ask("/v1/moderations", json!({"model": "sim/echo", "input": "I will kill you"}));
    assert_eq!(judged.json()["results"][0]["categories"]["violence"], true, "{}", judged.text());
    let predicted = ask("/v1beta/models/sim%2Fecho:predict", json!({"instances": [{"prompt": "a fox"}]}));
    assert_eq!(predicted.json()["predictions"][0]["mimeType"], "image/png", "{}", predicted.text());
    assert_eq!(gateway.stats().errors, 0);
}
