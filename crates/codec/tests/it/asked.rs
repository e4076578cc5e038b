//! What an answer takes from its request: which tools take free text, and what is repeated.

use std::sync::Arc;

use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{ALL, Asked, Cx, Dialect, Framing, Head, Operation, find};
use trunkline_codec::frame::{Frame, ReadFrame, SseReader};
use trunkline_codec::ir::fold::{Fold, unfold};
use trunkline_codec::ir::{Choice, Content, Delta, Event, Part, Reason, Response, ToolChoice};

const INPUT: &str = "*** Begin \"Patch\"\n\\ é 🌧\u{1}";

fn cx(framing: Framing, asked: Option<Arc<Asked>>) -> Cx {
    Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 1_700_000_000,
        model: "some-model".to_owned(),
        framing,
        stream_usage: true,
        asked,
    }
}

/// What the caller asked: a tool that takes free text and one that does not.
fn request(caller: &str) -> Vec<u8> {
    let body = match caller {
        "openai-chat" => json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [
            {"type": "custom", "custom": {"name": "patch"}}, {"type": "function", "function": {"name": "plain"}}]}),
        _ => json!({"model": "m", "input": "hi", "tools": [
            {"type": "custom", "name": "patch"}, {"type": "function", "name": "plain", "parameters": {}, "strict": false}]}),
    };
    body.to_string().into_bytes()
}

/// A call of each tool, with the same arguments.
fn answer() -> Response {
    let call = |id: &str, name: &str| -> Part {
        let arguments = json!({"input": INPUT}).to_string();
        Content::ToolCall { id: id.to_owned(), name: name.to_owned(), arguments }.into()
    };
    let parts = vec![Part::text("Let me."), call("call_1", "patch"), call("call_2", "plain")];
    Response { choices: vec![Choice { parts, finish: Reason::ToolCalls.into(), ..Choice::default() }], ..Response::default() }
}

fn written(dialect: &Dialect, events: &[Event], cx: &Cx) -> Vec<u8> {
    let mut writer = dialect.downstream().write_stream(cx);
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut out));
    writer.finish(&mut out);
    out
}

fn read(dialect: &Dialect, bytes: &[u8]) -> Vec<Event> {
    let mut frames = dialect.upstream.framing().reader(1 << 20);
    let mut reader = dialect.upstream.read_stream(&Quirks::default());
    let (mut rest, mut events) = (bytes, Vec::new());
    while let Some(frame) = frames.next(&mut rest).unwrap() {
        reader.push(frame, &mut events).unwrap();
    }
    if let Some(frame) = frames.finish().frame {
        reader.push(frame, &mut events).unwrap();
    }
    reader.finish(&mut events).unwrap();
    events
}

/// The same events, with arguments letter by letter.
fn letter_by_letter(events: Vec<Event>) -> Vec<Event> {
    let mut out = Vec::new();
    for event in events {
        match event {
            Event::Delta { choice, part, delta: Delta::Arguments(text) } => {
                let delta = |letter: char| Event::Delta { choice, part, delta: Delta::Arguments(letter.to_string()) };
                out.extend(text.chars().map(delta));
            }
            other => out.push(other),
        }
    }
    out
}

/// The two calls as the caller's bytes tell them: kind, name, text or arguments.
fn told(caller: &str, whole: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let calls = if caller == "openai-chat" { &whole["choices"][0]["message"]["tool_calls"] } else { &whole["output"] };
    let calls = calls.as_array().unwrap().iter().filter(|call| call["type"] != "message");
    calls
        .map(|call| {
            let inner = if caller == "openai-chat" { &call[call["type"].as_str().unwrap()] } else { call };
            (text(&call["type"]), text(&inner["name"]), text(inner.get("input").unwrap_or(&inner["arguments"])))
        })
        .collect()
}

/// A stream for callers of chat, put together as their SDKs do; for those of Responses, what its last frame repeats.
fn gathered(caller: &str, stream: &[u8]) -> Value {
    let mut frames: Vec<Value> = Vec::new();
    let (mut reader, mut rest) = (SseReader::new(1 << 20), stream);
    while let Some(Frame { data, .. }) = reader.next(&mut rest).unwrap() {
        frames.extend(serde_json::from_slice::<Value>(data));
    }
    if caller == "openai-responses" {
        return frames.last().unwrap()["response"].clone();
    }
    let mut calls: Vec<Value> = Vec::new();
    for piece in frames.iter().flat_map(|frame| frame["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten()) {
        let at = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
        if at == calls.len() {
            calls.push(piece.clone());
            continue;
        }
        for (kind, key) in [("function", "arguments"), ("custom", "input")] {
            if let Some(more) = piece[kind][key].as_str() {
                let whole = calls[at][kind][key].as_str().expect("a call keeps its kind").to_owned() + more;
                calls[at][kind][key] = whole.into();
            }
        }
    }
    json!({"choices": [{"message": {"tool_calls": calls}}]})
}

#[test]
fn tools_of_free_text_are_called_with_it_whoever_answers() {
    let arguments = json!({"input": INPUT}).to_string();
    for caller in ["openai-chat", "openai-responses"] {
        let down = find(caller).unwrap();
        let cx_down = cx(Framing::Sse, down.downstream().recall(&request(caller)));
        let expected = match caller {
            "openai-chat" => [("custom", "patch", INPUT), ("function", "plain", &arguments)],
            _ => [("custom_tool_call", "patch", INPUT), ("function_call", "plain", &arguments)],
        };
        let expected = expected.map(|(kind, name, text)| (kind.to_owned(), name.to_owned(), text.to_owned()));
        let same = |found: Vec<(String, String, String)>, what: &str| {
            let plain = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(found[0], expected[0], "{what}");
            assert_eq!((&found[1].0, plain(&found[1].2)), (&expected[1].0, plain(&expected[1].2)), "{what}");
        };
        let callable = |dialect: &&Dialect| {
            dialect.downstream.is_some() && !matches!(dialect.name, "openai-completions" | "ollama-generate")
        };
        for provider in ALL.iter().filter(callable) {
            let what = format!("{} to {caller}", provider.name);
            // The providers of the dialects that know such tools call them by their kind.
            let cx_up = cx(
                provider.upstream.framing(),
                Some(Arc::new(Asked { custom_tools: vec!["patch".to_owned()], repeated: Vec::new() })),
            );
            let response = provider.upstream.read_response(&provider.downstream().write_response(&answer(), &cx_up)).unwrap();
            let whole: Value = serde_json::from_slice(&down.downstream().write_response(&response, &cx_down)).unwrap();
            same(told(caller, &whole), &what);
            let events = read(provider, &written(provider, &letter_by_letter(unfold(answer())), &cx_up));
            for events in [events.clone(), letter_by_letter(events), unfold(response)] {
                let stream = written(down, &events, &cx_down);
                same(told(caller, &gathered(caller, &stream)), &format!("{what}, streamed"));
                // And it is read as what it was.
                let mut fold = Fold::default();
                read(down, &stream).into_iter().for_each(|event| fold.push(event));
                let calls = fold.response().choices[0].parts.iter().filter_map(|part| match &part.content {
                    Content::ToolCall { arguments, .. } => Some(serde_json::from_str::<Value>(arguments).unwrap()),
                    _ => None,
                });
                assert!(calls.eq([json!({"input": INPUT}), json!({"input": INPUT})]), "{what}, read again");
            }
        }
    }
}

#[test]
fn responses_tell_free_text_in_events_of_its_own() {
    let down = find("openai-responses").unwrap();
    let cx = cx(Framing::Sse, down.downstream().recall(&request("openai-responses")));
    let stream = String::from_utf8(written(down, &letter_by_letter(unfold(answer())), &cx)).unwrap();
    let count = |name: &str| stream.matches(&format!("event: {name}\n")).count();
    assert!(count("response.custom_tool_call_input.delta") > 10);
    assert_eq!(count("response.custom_tool_call_input.done"), 1);
    assert_eq!(count("response.function_call_arguments.done"), 1);
    let done = stream.split("\n\n").find(|frame| frame.starts_with("event: response.custom_tool_call_input.done")).unwrap();
    let done: Value = serde_json::from_str(done.split_once("data: ").unwrap().1).unwrap();
    assert_eq!((&done["input"], &done["output_index"]), (&json!(INPUT), &json!(1)));
}

#[test]
fn responses_repeat_what_was_asked() {
    let asked = json!({
        "instructions": "Be brief.\nAnd kind.",
        "max_output_tokens": 100,
        "metadata": {"a": "b"},
        "parallel_tool_calls": false,
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "user-1",
        "temperature": 0.5,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "plain"},
        "tools": [{"type": "function", "name": "plain", "parameters": {"type": "object"}, "strict": true}],
        "top_logprobs": 2,
        "top_p": 0.9,
    });
    let mut body = asked.clone();
    body["model"] = json!("m");
    body["input"] = json!("hi");
    body["user"] = Value::Null;
    let down = find("openai-responses").unwrap();
    let pretty = serde_json::to_vec_pretty(&body).unwrap();
    let with = cx(Framing::Sse, down.downstream().recall(&pretty));
    let without = cx(Framing::Sse, None);
    // Fields that the official type requires, and null where it takes that.
    const REQUIRED: [&str; 14] = [
        "id",
        "created_at",
        "error",
        "incomplete_details",
        "instructions",
        "metadata",
        "model",
        "object",
        "output",
        "parallel_tool_calls",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    ];
    const NULLABLE: [&str; 6] = ["error", "incomplete_details", "instructions", "metadata", "temperature", "top_p"];
    for (cx, repeats) in [(&with, true), (&without, false)] {
        let whole: Value = serde_json::from_slice(&down.downstream().write_response(&answer(), cx)).unwrap();
        let stream = String::from_utf8(written(down, &unfold(answer()), cx)).unwrap();
        let frames = stream.split("\n\n").filter_map(|frame| serde_json::from_str::<Value>(frame.split_once("data: ")?.1).ok());
        let answers = frames.filter_map(|frame| frame.get("response").cloned()).chain([whole]);
        let mut count = 0;
        for answer in answers {
            count += 1;
            for name in REQUIRED {
                let value = answer.get(name).unwrap_or_else(|| panic!("{name} is missing"));
                assert!(!value.is_null() || NULLABLE.contains(&name), "{name} is null");
            }
            for (name, value) in asked.as_object().unwrap() {
                assert_eq!(answer[name] == *value, repeats, "{name}: {}", answer[name]);
            }
            assert_eq!(answer["user"], Value::Null);
        }
        assert_eq!(count, 4, "created, in progress, completed, whole");
    }
}

#[test]
fn a_choice_of_a_tool_of_free_text_is_named_as_the_tool_is_sent() {
    let headers = http::HeaderMap::new();
    let head = Head { path: "/v1/any", query: None, headers: &headers };
    let without: Quirks = toml::from_str("refuses = ['tools.custom']").unwrap();
    for name in ["openai-chat", "openai-responses"] {
        let dialect = find(name).unwrap();
        let read = dialect.downstream().read_request(&head, &request(name), Operation::Chat);
        let mut request = read.unwrap();
        for choice in
            [ToolChoice::Tool("patch".to_owned()), ToolChoice::Allowed { names: vec!["patch".to_owned()], required: true }]
        {
            request.tool_choice = Some(choice);
            for (quirks, kind) in [(&Quirks::default(), "custom"), (&without, "function")] {
                let sent = dialect.upstream.write_request(&request, Operation::Chat, quirks).unwrap();
                let body: Value = serde_json::from_slice(&sent.body).unwrap();
                assert_eq!(body["tools"][0]["type"], kind, "{name}");
                let chosen = ["/tool_choice/allowed_tools/tools/0", "/tool_choice/tools/0", "/tool_choice"];
                let chosen = chosen.iter().find_map(|at| body.pointer(at)).unwrap();
                assert_eq!(chosen["type"], kind, "{name}");
            }
        }
    }
}
