//! What only ollama callers and providers do: lines of JSON, streams that nobody asked for, small paths of their own.

use serde_json::{Value, json};
use trunkline_testkit::provider::{Answer, Seen};

use crate::gateway::House;
use crate::lane::well;
use crate::speech::{self, Speech, TEXT};
use crate::wire::{Ask, Reply};

fn speaks(name: &str) -> &'static Speech {
    speech::all().find(|speech| speech.name == name).unwrap()
}

fn lines(reply: &Reply) -> Vec<Value> {
    reply.text().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no line of JSON: {line}"))).collect()
}

#[test]
fn a_stream_is_what_a_request_asks_for_that_does_not_say() {
    let house = House::new(|seen: &Seen| {
        let speech = speech::all().find(|speech| seen.path == speech.path("", true)).unwrap();
        let usual = json!(speech.is_lines);
        if seen.json().get("stream").unwrap_or(&usual) == true { speech.stream() } else { speech.answer() }
    });
    for (path, what) in
        [("/api/chat", json!({"messages": [{"role": "user", "content": "hi"}]})), ("/api/generate", json!({"prompt": "hi"}))]
    {
        for provider in ["ollama", "ollama-generate", "openai-chat", "cohere-chat"] {
            let mut body = what.clone();
            body["model"] = json!(speaks(provider).model());
            let reply = house.gateway.ask(&Ask::post(path, body.to_string()));
            assert_eq!(reply.status(), 200, "{path} → {provider}: {}", reply.text());
            assert!(reply.header("content-type").starts_with("application/x-ndjson"), "{path} → {provider}");
            let lines = lines(&reply);
            let text: String =
                lines.iter().filter_map(|line| line.pointer("/message/content").or(line.get("response"))?.as_str()).collect();
            assert_eq!(text, TEXT, "{path} → {provider}");
            let last = lines.last().unwrap();
            assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")), "{path} → {provider}");
            assert_eq!((&last["prompt_eval_count"], &last["eval_count"]), (&json!(7), &json!(3)), "{path} → {provider}");
            let other = if path == "/api/chat" { "ollama" } else { "ollama-generate" };
            if provider != other {
                assert!(last["eval_duration"].is_u64() && last["created_at"].is_string(), "{path} → {provider}: {last}");
            }

            body["stream"] = json!(false);
            let whole = house.gateway.ask(&Ask::post(path, body.to_string()));
            let whole = whole.json();
            assert_eq!(whole.pointer("/message/content").or(whole.get("response")), Some(&json!(TEXT)), "{path} → {provider}");
        }
    }
}

#[test]
fn a_provider_is_told_whether_to_stream() {
    let house = House::new(well);
    for stream in [false, true] {
        for caller in speech::all().filter(|caller| caller.name != "ollama") {
            let reply = house.gateway.ask(&caller.ask(&speaks("ollama").model(), stream));
            assert_eq!(reply.status(), 200, "{}: {}", caller.name, reply.text());
            assert_eq!(house.provider.requests().pop().unwrap().json()["stream"], stream, "{}", caller.name);
        }
    }
}

#[test]
fn the_tag_that_says_nothing_is_no_part_of_a_name() {
    let house = House::new(well);
    for provider in ["ollama", "openai-chat"] {
        let name = format!("{}:latest", speaks(provider).model());
        let reply = house.gateway.ask(&speaks("ollama").ask(&name, false));
        assert_eq!(reply.status(), 200, "{}", reply.text());
        assert_eq!(house.provider.requests().pop().unwrap().json()["model"], "tiny-1");
    }
    let tagged = house.gateway.ask(&speaks("ollama").ask("at-ollama/tiny:1b-q4", false));
    assert_eq!(tagged.status(), 200);
    assert_eq!(house.provider.requests().pop().unwrap().json()["model"], "tiny:1b-q4");
}

const TOOLS: &str = r#"[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]"#;

#[test]
fn calls_of_tools_pass_between_lines_and_events() {
    let house = House::new(|seen: &Seen| {
        if seen.path == "/api/chat" {
            let call = r#"{"function":{"name":"weather","arguments":{"city":"Bonn"}}}"#;
            return speaks("ollama").framed([
                format!("{{\"model\":\"m\",\"message\":{{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{call},{call}]}},\"done\":false}}\n"),
                "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n".to_owned(),
            ]);
        }
        let chunk = |delta: &str, end: &str| {
            format!("data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{end}}}]}}\n\n")
        };
        Answer::sse([
            chunk(
                r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"ci"}}]}"#,
                "null",
            ),
            chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"ty\":\n\"Bonn\"}"}}]}"#, "null"),
            chunk("{}", "\"tool_calls\""),
            "data: [DONE]\n\n".to_owned(),
        ])
    });
    let body = |model: &str| {
        format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"hi"}}],"tools":{TOOLS}}}"#)
    };
    let reply = house.gateway.ask(&Ask::post("/api/chat", body("at-openai-chat/tiny-1")));
    let lines = lines(&reply);
    let call = &lines.iter().find_map(|line| line.pointer("/message/tool_calls")).unwrap()[0];
    assert_eq!(
        (&call["function"]["name"], &call["function"]["arguments"]),
        (&json!("weather"), &json!({"city": "Bonn"})),
        "{call}"
    );
    assert_eq!(lines.last().unwrap()["done_reason"], "stop");

    let reply = house.gateway.ask(&Ask::post("/v1/chat/completions", body("at-ollama/tiny-1")));
    let events = speech::events(reply.text());
    let ids: Vec<&Value> = events.iter().filter_map(|event| event.pointer("/choices/0/delta/tool_calls/0/id")).collect();
    assert_eq!(ids.len(), 2, "{}", reply.text());
    assert_ne!(ids[0], ids[1]);
    assert!(reply.text().contains(r#""finish_reason":"tool_calls""#), "{}", reply.text());
}

#[test]
fn an_error_line_ends_a_stream_in_both_lanes() {
    let house = House::new(|_: &Seen| {
        speaks("ollama").framed([speaks("ollama").frames[0].to_owned(), "{\"error\":\"the runner died\"}\n".to_owned()])
    });
    for caller in speech::all() {
        let reply = house.gateway.ask(&caller.ask("at-ollama/tiny-1", true));
        assert_eq!(caller.text(reply.text()), "Hel", "{}: {}", caller.name, reply.text());
        assert!(caller.broken(reply.text()).contains("the runner died"), "{}", caller.name);
    }
    assert_eq!(house.gateway.stats().errors, speech::all().count() as u64);
}

#[test]
fn programs_find_what_they_ask_before_they_call() {
    let house = House::with(well, "[server]\nkey = \"env:GATE_KEY\"");
    let get = |path: &str| house.gateway.ask(&Ask::get(path));
    // These tell nothing, and are asked without a key.
    assert_eq!(get("/").text(), "Ollama is running");
    assert!(get("/api/version").json()["version"].as_str().unwrap().split('.').count() == 3);
    assert_eq!(get("/api/ps").json(), json!({"models": []}));
    let mut head = Ask::method("HEAD", "/").open(house.gateway.address);
    assert_eq!(head.head().status, 200);
    let show = |body: &str| Ask::post("/api/show", body);
    for ask in [Ask::get("/api/tags"), show(r#"{"model":"at-ollama/tiny-1"}"#)] {
        let refused = house.gateway.ask(&ask);
        assert_eq!(refused.status(), 401);
        assert!(refused.json()["error"].as_str().unwrap().contains("key"));
        assert_eq!(house.gateway.ask(&ask.header("authorization", "Bearer gate-key-1")).status(), 200);
    }
    let keyed = |ask: Ask| house.gateway.ask(&ask.header("authorization", "Bearer gate-key-1"));
    let shown = keyed(show(r#"{"name":"at-ollama/tiny-1:latest","verbose":true}"#)).json();
    assert_eq!(shown["model_info"]["general.basename"], "at-ollama/tiny-1");
    assert_eq!(shown["capabilities"][0], "completion");
    for (ask, status, word) in [
        (show("{}"), 400, "model"),
        (show("nope"), 400, "JSON"),
        (show(r#"{"model":7}"#), 400, "model"),
        (show(r#"{"model":"at-olama/x"}"#), 404, "at-ollama"),
        (Ask::get("/api/show"), 405, "POST"),
        (Ask::post("/api/tags", "{}"), 405, "GET"),
        (Ask::method("DELETE", "/api/delete"), 404, "/api/delete"),
        (Ask::post("/api/pull", "{}"), 404, "/api/pull"),
    ] {
        let reply = keyed(ask);
        assert_eq!(reply.status(), status, "{}", reply.text());
        assert!(reply.json()["error"].as_str().unwrap().contains(word), "{}", reply.text());
    }
}
