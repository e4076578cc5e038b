use http::HeaderMap;
use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{self, Cx, Framing, Head, Operation, Outgoing};
use trunkline_codec::frame::{ReadFrame, SseReader};
use trunkline_codec::ir::{Content, Delta, Event, Finish, Message, Part, PartStart, Reason, Request, Role, Signature, Usage};
use trunkline_codec::{Downstream, Error, Kind, Upstream};

const NAME: &str = "anthropic-messages";

fn up() -> &'static dyn Upstream {
    dialect::find(NAME).unwrap().upstream
}

fn down() -> &'static dyn Downstream {
    dialect::find(NAME).unwrap().downstream
}

fn cx() -> Cx {
    Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 0,
        model: "the-model".to_owned(),
        framing: Framing::Sse,
        stream_usage: true,
    }
}

fn head(headers: &HeaderMap) -> Head<'_> {
    Head { path: "/v1/messages", query: None, headers }
}

fn read(body: Value) -> Result<Request, Error> {
    let headers = HeaderMap::new();
    down().read_request(&head(&headers), body.to_string().as_bytes(), Operation::Chat)
}

fn write_with(request: &Request, quirks: &Quirks) -> (Value, Outgoing) {
    let out = up().write_request(request, Operation::Chat, quirks).unwrap();
    (serde_json::from_slice(&out.body).unwrap(), out)
}

fn write(request: &Request) -> (Value, Vec<String>) {
    let (body, out) = write_with(request, &Quirks::default());
    (body, out.losses.iter().map(|loss| loss.field.to_string()).collect())
}

fn asking(messages: Vec<Message>) -> Request {
    Request { model: "m".to_owned(), messages, ..Request::default() }
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extra: Default::default() }
}

fn call(id: &str, arguments: &str) -> Part {
    Content::ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments: arguments.to_owned() }.into()
}

fn result(id: &str, text: &str) -> Part {
    Content::ToolResult { id: id.to_owned(), name: None, parts: vec![Part::text(text)], failed: false }.into()
}

/// The events of a stream, up to its error if it has one.
fn events(sse: &str) -> (Vec<Event>, Option<Error>) {
    let mut frames = SseReader::new(1 << 20);
    let mut reader = up().read_stream(&Quirks::default());
    let mut events = Vec::new();
    let mut rest = sse.as_bytes();
    while let Some(frame) = frames.next(&mut rest).unwrap() {
        if let Err(error) = reader.push(frame, &mut events) {
            return (events, Some(error));
        }
    }
    let error = reader.finish(&mut events).err();
    (events, error)
}

fn stream(events: &[Event]) -> String {
    let mut writer = down().write_stream(&cx());
    let mut out = Vec::new();
    for event in events {
        writer.push(event, &mut out);
    }
    writer.finish(&mut out);
    String::from_utf8(out).unwrap()
}

/// The data of a stream's frames.
fn data(sse: &str) -> Vec<Value> {
    sse.lines().filter_map(|line| Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap())).collect()
}

fn start() -> Event {
    Event::Start { id: "msg_1".to_owned(), model: "m".to_owned(), created: None, extra: Default::default() }
}

fn text(part: u32, text: &str) -> Event {
    Event::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) }
}

fn arguments(part: u32, text: &str) -> Event {
    Event::Delta { choice: 0, part, delta: Delta::Arguments(text.to_owned()) }
}

fn open(part: u32, start: PartStart) -> Event {
    Event::PartStart { choice: 0, part, start }
}

fn tool(id: &str) -> PartStart {
    PartStart::ToolCall { id: id.to_owned(), name: "f".to_owned() }
}

fn end(part: u32) -> Event {
    Event::PartEnd { choice: 0, part }
}

fn finish(reason: Reason) -> Event {
    Event::Finish { choice: 0, finish: Finish::from(reason) }
}

#[test]
fn a_request_goes_through_unchanged() {
    let body = json!({
        "model": "m", "max_tokens": 100,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look:"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}, "title": "A", "citations": {"enabled": true}, "context": "old"}
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e"}]},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "r"}, {"type": "image", "source": {"type": "url", "url": "https://x.test/i.png"}}], "is_error": true},
                {"type": "text", "text": "Go on."}
            ]}
        ],
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}, "strict": true},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}, "task_budget": {"total": 5}},
        "stop_sequences": ["END"], "metadata": {"user_id": "u", "more": 1}, "service_tier": "standard_only",
        "cache_control": {"type": "ephemeral"}, "container": "c_1", "stream": true
    });
    let mut body = body;
    body["max_tokens"] = json!(5000);
    let request = read(body.clone()).unwrap();
    let (mut sent, losses) = write(&request);
    assert_eq!(losses, Vec::<String>::new());
    // One text block may be written as a string.
    sent["messages"][2]["content"][0]["content"] = body["messages"][2]["content"][0]["content"].clone();
    assert_eq!(sent, body);
}

#[test]
fn what_is_wrong_with_a_request_is_said_in_its_words() {
    let says = |body: Value| read(body).unwrap_err().message;
    let user = json!([{"role": "user", "content": "x"}]);
    assert_eq!(says(json!({"model": "m", "messages": user})), "max_tokens is required");
    assert_eq!(says(json!({"model": "m", "max_tokens": 1})), "messages is required");
    assert_eq!(says(json!({"max_tokens": 1, "messages": user})), "model is required");
    let bad = |message: Value| says(json!({"model": "m", "max_tokens": 1, "messages": [message]}));
    assert_eq!(
        bad(json!({"role": "user", "content": 5})),
        "messages[0].content: expected a string or a list of content blocks, found integer `5`"
    );
    assert_eq!(
        bad(json!({"role": "robot", "content": ""})),
        "messages[0].role: expected user, assistant or system, found `robot`"
    );
    assert_eq!(
        bad(json!({"role": "user", "content": [{"type": "text", "text": 5}]})),
        "messages[0].content[0].text: expected a string, found integer `5`"
    );
    assert_eq!(bad(json!({"role": "user", "content": [{"type": "text"}]})), "messages[0].content[0].text is required");
    assert_eq!(
        bad(json!({"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": ""}}]})),
        "messages[0].content[0].source.media_type is required"
    );
}

#[test]
fn turns_are_put_into_the_order_that_is_demanded() {
    let request = asking(vec![
        Message::text(Role::System, "One."),
        Message::text(Role::System, "Two."),
        Message::text(Role::User, "a"),
        Message::text(Role::User, "b"),
        message(Role::Assistant, vec![call("call:1", "{\"x\": 1}"), call("call 2", ""), call("c3", "not json")]),
        message(Role::User, vec![result("call:1", "one")]),
        message(Role::User, vec![Part::text("and"), result("c3", "three")]),
        Message::text(Role::System, "Three."),
    ]);
    let (body, losses) = write(&request);
    assert_eq!(
        body,
        json!({
            "model": "m", "max_tokens": 8192,
            "system": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}, {"type": "text", "text": "Three."}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}},
                    {"type": "tool_use", "id": "call_2", "name": "f", "input": {}},
                    {"type": "tool_use", "id": "c3", "name": "f", "input": {"input": "not json"}}
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "c3", "content": "three"},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": "No result was given for this call.", "is_error": true},
                    {"type": "text", "text": "and"}
                ]}
            ]
        })
    );
    assert_eq!(losses, ["messages[4].parts[2].arguments", "messages[7]", "messages[4].parts[1]"]);
}

#[test]
fn the_later_version_takes_system_turns_and_no_sampling() {
    let mut request = asking(vec![
        Message::text(Role::System, "One."),
        Message::text(Role::User, "a"),
        message(Role::Assistant, vec![call("c", "{}")]),
        Message::text(Role::System, "Two."),
        message(Role::User, vec![result("c", "r"), Part::text("b")]),
    ]);
    request.sampling.temperature = Some(0.5);
    request.sampling.top_k = Some(5);
    let quirks = Quirks { api_version: Some("2026-10-21".to_owned()), ..Quirks::default() };
    let (body, out) = write_with(&request, &quirks);
    assert_eq!(out.headers["anthropic-version"], "2026-10-21");
    assert_eq!(body["system"], "One.");
    let roles: Vec<_> = body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "system", "user"]);
    assert!(body.get("temperature").is_none() && body.get("top_k").is_none());
    let lost: Vec<_> = out.losses.iter().map(|loss| loss.field.to_string()).collect();
    assert_eq!(lost, ["sampling.temperature", "sampling.top_k"]);
}

const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":2,"output_tokens":1,"service_tier":"standard"}}}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"s1","name":"web_search","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"query\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"q\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":20,"output_tokens_details":{"thinking_tokens":4}}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[test]
fn a_stream_is_read_and_written_again() {
    let (events, error) = events(STREAM);
    assert_eq!(error, None);
    let mut fold = trunkline_codec::ir::fold::Fold::default();
    events.iter().cloned().for_each(|event| fold.push(event));
    assert!(fold.is_ended());
    let response = fold.into_response();
    let usage =
        Usage { input: 17, output: 20, cache_read: Some(5), cache_write: Some(2), reasoning: Some(4), ..Usage::default() };
    assert_eq!(response.usage, Some(usage));
    let choice = &response.choices[0];
    assert_eq!(choice.finish, Finish::from(Reason::ToolCalls));
    assert_eq!(choice.parts[0].signature, Some(Signature { owner: NAME, value: "sig".to_owned() }));
    assert_eq!(choice.parts[3], call("toolu_1", "{\"a\":1}"));

    let again = stream(&events);
    let (read_again, error) = self::events(&again);
    assert_eq!(error, None);
    let strip = |events: Vec<Event>| {
        events.into_iter().filter(|e| !matches!(e, Event::Usage { .. } | Event::Start { .. })).collect::<Vec<_>>()
    };
    assert_eq!(strip(read_again), strip(events));
    assert!(again.contains(r#""usage":{"input_tokens":10,"output_tokens":20,"cache_creation_input_tokens":2,"cache_read_input_tokens":5,"output_tokens_details":{"thinking_tokens":4}"#), "{again}");
}

#[test]
fn interleaved_parts_are_written_one_after_the_other() {
    let sse = stream(&[
        start(),
        open(0, PartStart::Text),
        text(0, "a\nb"),
        open(1, tool("c1")),
        arguments(1, "{\"x\":"),
        open(2, tool("c2")),
        arguments(1, "1}"),
        arguments(2, ""),
        end(2),
        end(0),
        end(1),
        finish(Reason::Stop),
        Event::Usage { usage: Usage { input: 3, output: 4, ..Usage::default() } },
        Event::End,
    ]);
    let data = data(&sse);
    let kinds: Vec<_> = data.iter().map(|d| (d["type"].as_str().unwrap(), d["index"].as_u64())).collect();
    assert_eq!(
        kinds,
        [
            ("message_start", None),
            ("ping", None),
            ("content_block_start", Some(0)),
            ("content_block_delta", Some(0)),
            ("content_block_stop", Some(0)),
            ("content_block_start", Some(1)),
            ("content_block_delta", Some(1)),
            ("content_block_delta", Some(1)),
            ("content_block_stop", Some(1)),
            ("content_block_start", Some(2)),
            ("content_block_delta", Some(2)),
            ("content_block_stop", Some(2)),
            ("message_delta", None),
            ("message_stop", None),
        ]
    );
    assert_eq!(data[3]["delta"]["text"], "a\nb");
    assert_eq!(data[10]["delta"]["partial_json"], "{}");
    assert_eq!(data[12]["delta"]["stop_reason"], "tool_use");
    assert_eq!(data[12]["usage"]["input_tokens"], 3);
}

#[test]
fn a_stream_without_its_end_is_truncated() {
    let cut = STREAM.split("event: message_stop").next().unwrap();
    assert_eq!(events(cut).1.unwrap().kind, Kind::Truncated);
}

#[test]
fn an_error_within_a_stream_is_an_error() {
    let sse = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let error = events(sse).1.unwrap();
    assert_eq!((error.kind, error.status, error.message.as_str()), (Kind::Overloaded, Some(529), "Overloaded"));
}

#[test]
fn a_failed_stream_ends_with_its_error() {
    let mut writer = down().write_stream(&cx());
    let mut out = Vec::new();
    writer.push(&start(), &mut out);
    writer.fail(&Error::truncated("cut"), &mut out);
    writer.push(&open(0, PartStart::Text), &mut out);
    writer.finish(&mut out);
    let sse = String::from_utf8(out).unwrap();
    assert!(sse.ends_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"cut\"},\"request_id\":\"req_1\"}\n\n"), "{sse}");
}

#[test]
fn a_signature_without_a_field_comes_back_with_its_part() {
    let signature = Signature { owner: NAME, value: "x".to_owned() };
    // No other dialect need be there for this: the owner is found by its name.
    let event = Event::Delta { choice: 0, part: 0, delta: Delta::Signature(signature.clone()) };
    let sse = stream(&[start(), open(0, tool("c1")), event, end(0), finish(Reason::ToolCalls), Event::End]);
    let data = data(&sse);
    let carrier = data.iter().find(|d| d["content_block"]["type"] == "redacted_thinking").unwrap();
    let request = read(json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [
        {"type": "tool_use", "id": "c1", "name": "f", "input": {}}, carrier["content_block"]
    ]}]}))
    .unwrap();
    assert_eq!(request.messages[0].parts.len(), 1);
    assert_eq!(request.messages[0].parts[0].signature, Some(signature));
}
