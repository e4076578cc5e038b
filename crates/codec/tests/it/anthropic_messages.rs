use http::HeaderMap;
use serde_json::{Value, json};
use trunkline_codec::catalog::{Quirks, ReasoningStyle};
use trunkline_codec::dialect::{self, Cx, Framing, Head, Operation, Outgoing};
use trunkline_codec::frame::{ReadFrame, SseReader};
use trunkline_codec::ir::{
    CacheMark, Choice, Citation, Content, Delta, Effort, Event, Finish, Format, Message, Part, PartStart, Raw, Reason, Reasoning,
    Request, Response, Role, Sampling, Signature, Source, Tool, ToolChoice, ToolKind, Usage,
};
use trunkline_codec::{Downstream, Error, Kind, Upstream};

const NAME: &str = "anthropic-messages";

fn up() -> &'static dyn Upstream {
    dialect::find(NAME).unwrap().upstream
}

fn down() -> &'static dyn Downstream {
    dialect::find(NAME).unwrap().downstream()
}

pub(crate) fn cx() -> Cx {
    Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 0,
        model: "the-model".to_owned(),
        framing: Framing::Sse,
        stream_usage: true,
        asked: None,
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

fn hello() -> Request {
    asking(vec![Message::text(Role::User, "Hello")])
}

fn thinking(reasoning: Reasoning, change: impl FnOnce(&mut Request, &mut Quirks)) -> (Value, Vec<String>) {
    let mut request = Request { reasoning: Some(reasoning), ..hello() };
    let mut quirks = Quirks::default();
    change(&mut request, &mut quirks);
    let (body, out) = write_with(&request, &quirks);
    let shown = json!({"thinking": body["thinking"], "effort": body["output_config"]["effort"], "max": body["max_tokens"]});
    (shown, out.losses.iter().map(|loss| loss.field.to_string()).collect())
}

#[test]
fn effort_becomes_adaptive_thinking_and_a_budget_its_own() {
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let (body, lost) = thinking(effort(Effort::High), |_, _| {});
    assert_eq!(body, json!({"thinking": {"type": "adaptive"}, "effort": "high", "max": 8192}));
    assert!(lost.is_empty());
    let (body, lost) = thinking(effort(Effort::Minimal), |_, _| {});
    assert_eq!((&body["effort"], lost), (&json!("low"), vec!["reasoning.effort".to_owned()]));
    assert_eq!(thinking(effort(Effort::None), |_, _| {}).0["thinking"], json!({"type": "disabled"}));

    let budget = |budget| Reasoning { budget: Some(budget), show: Some(true), ..Reasoning::default() };
    let (body, lost) = thinking(budget(20_000), |_, _| {});
    let enabled = json!({"type": "enabled", "budget_tokens": 20_000, "display": "summarized"});
    assert_eq!(body, json!({"thinking": enabled, "effort": null, "max": 28_192}));
    assert!(lost.is_empty());
    // The caller's own limit holds.
    let (body, lost) = thinking(budget(20_000), |request, _| request.max_tokens = Some(4096));
    assert_eq!((&body["thinking"]["budget_tokens"], &body["max"]), (&json!(4095), &json!(4096)));
    assert_eq!(lost, ["reasoning.budget"]);
    let (body, lost) = thinking(budget(20_000), |request, _| request.max_tokens = Some(500));
    assert_eq!((&body["thinking"], lost), (&Value::Null, vec!["reasoning".to_owned()]));
    let (body, lost) = thinking(effort(Effort::Low), |_, quirks| quirks.reasoning = ReasoningStyle::Thinking);
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 2048}));
    assert_eq!(lost, ["reasoning.effort"]);
    let (body, lost) = thinking(effort(Effort::Low), |_, quirks| quirks.reasoning = ReasoningStyle::None);
    assert_eq!((&body["thinking"], lost), (&Value::Null, vec!["reasoning".to_owned()]));
}

#[test]
fn thinking_forbids_temperature_and_forced_calls() {
    let change = |request: &mut Request, _: &mut Quirks| {
        request.sampling = Sampling { temperature: Some(0.2), top_p: Some(0.5), top_k: Some(3), ..Sampling::default() };
        request.tools = vec![function("f")];
        request.tool_choice = Some(ToolChoice::Required);
    };
    let (_, lost) = thinking(Reasoning { enabled: Some(true), ..Reasoning::default() }, change);
    assert_eq!(lost, ["tool_choice", "sampling.temperature", "sampling.top_p", "sampling.top_k"]);
}

#[test]
fn a_tool_loop_without_its_thinking_goes_on_without() {
    let mut request = asking(vec![
        Message::text(Role::User, "a"),
        message(Role::Assistant, vec![call("c", "{}")]),
        message(Role::User, vec![result("c", "r")]),
    ]);
    request.reasoning = Some(Reasoning { budget: Some(2000), ..Reasoning::default() });
    let (body, lost) = write(&request);
    assert_eq!((body.get("thinking"), lost), (None, vec!["reasoning".to_owned()]));
    let thought = Part {
        signature: Some(Signature { owner: NAME, value: "sig".to_owned() }),
        ..Content::Reasoning { text: "t".to_owned(), redacted: false }.into()
    };
    request.messages[1].parts.insert(0, thought);
    let (body, lost) = write(&request);
    assert_eq!((&body["thinking"]["budget_tokens"], lost), (&json!(2000), vec![]));
}

fn function(name: &str) -> Tool {
    let kind = ToolKind::Function { schema: Some(Raw::parse("{}").unwrap()), strict: None };
    Tool { name: name.to_owned(), description: None, kind, cache: None, extra: Default::default() }
}

#[test]
fn tools_are_filtered_and_given_schemas() {
    let mut request = hello();
    request.tools = vec![function("a"), function("b")];
    request.tools.push(Tool { kind: ToolKind::Custom { format: None }, ..function("c") });
    request.tools.push(Tool { kind: ToolKind::Foreign { from: "gemini", value: Raw::parse("{}").unwrap() }, ..function("d") });
    request.tool_choice = Some(ToolChoice::Allowed { names: vec!["a".to_owned(), "c".to_owned()], required: true });
    request.parallel_tools = Some(false);
    let (body, lost) = write(&request);
    assert_eq!(
        body["tools"],
        json!([
            {"name": "a", "input_schema": {"type": "object", "properties": {}}},
            {"name": "c", "input_schema": {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}}
        ])
    );
    assert_eq!(body["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
    assert_eq!(lost, ["tools[2]"]);
    request.tool_choice = None;
    let (body, lost) = write(&request);
    assert_eq!(body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(lost, ["tools[2]", "tools[3]"]);
}

#[test]
fn what_cannot_be_said_is_a_loss() {
    let foreign = Signature { owner: "gemini", value: "g".to_owned() };
    let mut request = asking(vec![
        message(
            Role::User,
            vec![
                Part::text("a"),
                Content::Video { source: Source::File { id: "v".to_owned() } }.into(),
                Content::Image { source: Source::Url { url: "gs://b/i.png".to_owned(), media_type: None }, detail: None }.into(),
                Part { cache: Some(CacheMark { ttl: Some("30m".to_owned()) }), ..Part::text("b") },
            ],
        ),
        message(
            Role::Assistant,
            vec![
                Part { signature: Some(foreign.clone()), ..Content::Reasoning { text: "x".to_owned(), redacted: false }.into() },
                Part { signature: Some(foreign), ..Part::text("y") },
            ],
        ),
        message(Role::User, vec![result("nobody", "late")]),
    ]);
    request.messages[0].name = Some("Ann".to_owned());
    request.n = Some(2);
    request.sampling.seed = Some(1);
    request.sampling.temperature = Some(1.7);
    request.sampling.frequency_penalty = Some(0.0);
    request.sampling.logprobs = Some(true);
    request.format = Format::Json;
    request.stop = vec!["\n".to_owned(), "x".to_owned()];
    request.service_tier = Some("flex".to_owned());
    request.metadata.insert("a".to_owned(), "b".to_owned());
    let (body, lost) = write(&request);
    assert_eq!(
        lost,
        [
            "messages[0].name",
            "messages[0].parts[1]",
            "messages[0].parts[2]",
            "messages[0].parts[3].cache.ttl",
            "messages[1].parts[0]",
            "messages[1].parts[1].signature",
            "messages[2].parts[0]",
            "format",
            "sampling.temperature",
            "sampling.seed",
            "sampling.logprobs",
            "n",
            "stop[0]",
            "metadata",
            "service_tier",
        ]
    );
    assert_eq!(body["temperature"], 1.0);
    assert_eq!(body["messages"][0]["content"][1]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    assert_eq!(body["messages"][2]["content"], "late");
}

#[test]
fn a_provider_that_refuses_is_not_asked() {
    let mut request = asking(vec![message(
        Role::User,
        vec![
            Part { cache: Some(CacheMark { ttl: None }), ..Part::text("a") },
            Content::Image { source: Source::Url { url: "https://x.test/i".to_owned(), media_type: None }, detail: None }.into(),
        ],
    )]);
    request.user = Some("u".to_owned());
    request.stop = vec!["x".to_owned()];
    request.sampling.top_k = Some(4);
    request.format = Format::Schema { name: None, description: None, schema: Raw::parse("{}").unwrap(), strict: None };
    let refuses = ["cache_control", "image_url", "user", "stop", "top_k", "response_format.json_schema"];
    let quirks = Quirks { refuses: refuses.map(str::to_owned).to_vec(), ..Quirks::default() };
    let (body, out) = write_with(&request, &quirks);
    assert_eq!(body, json!({"model": "m", "max_tokens": 8192, "messages": [{"role": "user", "content": "a"}]}));
    assert_eq!(out.losses.iter().count(), refuses.len());
}

#[test]
fn at_most_four_cache_markers_are_sent() {
    let marked = |text: &str| Part { cache: Some(CacheMark { ttl: None }), ..Part::text(text) };
    let request = asking(vec![
        message(Role::System, vec![marked("s")]),
        message(Role::User, vec![marked("1"), marked("2"), marked("3"), marked("4")]),
    ]);
    let (body, lost) = write(&request);
    assert_eq!(body["system"], "s");
    assert_eq!(lost, ["cache"]);
}

#[test]
fn odd_conversations_are_made_to_fit() {
    let (body, lost) = write(&asking(vec![Message::text(Role::System, "Only this.")]));
    assert_eq!(body["messages"], json!([{"role": "user", "content": "Only this."}]));
    assert_eq!((body.get("system"), lost), (None, vec!["messages[0].role".to_owned()]));
    let (body, lost) = write(&asking(vec![Message::text(Role::Assistant, "Me first. ")]));
    assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "Me first."}));
    assert_eq!(lost, ["messages[0]"]);
    let error = up().write_request(&asking(vec![]), Operation::Chat, &Quirks::default()).unwrap_err();
    assert_eq!(error.kind, Kind::BadRequest);
    // The same id in two turns, as some models give it.
    let turn = || [message(Role::Assistant, vec![call("0", "{}")]), message(Role::User, vec![result("0", "r")])];
    let mut messages = vec![Message::text(Role::User, "a")];
    messages.extend(turn());
    messages.extend(turn());
    let (body, lost) = write(&asking(messages));
    assert!(lost.is_empty());
    let (second, answer) = (&body["messages"][3]["content"][0]["id"], &body["messages"][4]["content"][0]["tool_use_id"]);
    assert_eq!((second, second), (answer, &json!("0_1")));
}

#[test]
fn tokens_are_counted() {
    let request = read(json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "stream": true, "temperature": 1, "container": "c"})).unwrap();
    let out = up().write_request(&request, Operation::CountTokens, &Quirks::default()).unwrap();
    assert_eq!(out.path, "/v1/messages/count_tokens");
    let body: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(body, json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}));
    assert_eq!(up().read_count(b"{\"input_tokens\":14}").unwrap().input, 14);
    assert_eq!(down().write_count(trunkline_codec::ir::TokenCount { input: 14, estimated: false }), b"{\"input_tokens\":14}");
    let headers = HeaderMap::new();
    let body = b"{\"model\":\"m\",\"messages\":[]}";
    assert!(down().read_request(&head(&headers), body, Operation::CountTokens).is_ok());
}

#[test]
fn the_same_lane_changes_the_model_and_nothing_else() {
    let headers = HeaderMap::new();
    let head = Head { query: Some("beta=true"), ..head(&headers) };
    let body = br#" {"stream": true, "model" : "fa\u0073t", "messages": [], "max_tokens": 7}"#;
    let peek = down().peek(&head, body, Operation::Chat).unwrap();
    assert_eq!((peek.model.as_str(), peek.stream, peek.max_tokens), ("fast", true, Some(7)));
    let forward = up().forward(&head, &peek, body, "m\"1", &Quirks::default()).unwrap();
    assert_eq!(forward.path, "/v1/messages?beta=true");
    let mut edits = forward.edits;
    let sent = trunkline_codec::json::apply(body, &mut edits);
    assert_eq!(sent, br#" {"stream": true, "model" : "m\"1", "messages": [], "max_tokens": 7}"#);

    let says = |body: &str| down().peek(&head, body.as_bytes(), Operation::Chat).unwrap_err().message;
    assert_eq!(says("{}"), "model is required");
    assert_eq!(says("{\"model\":5}"), "model: expected a string, found another number");
    assert_eq!(says("{\"model\":\"m\",\"stream\":\"yes\"}"), "stream: expected true or false, found a string");
    assert_eq!(says("{\"model\":\"m\",\"model\":\"n\"}"), "the key \"model\" is repeated at line 1, column 14");
    assert!(says("[]").starts_with("the body is not valid JSON"));
}

#[test]
fn a_stream_that_passes_by_is_watched() {
    let mut frames = SseReader::new(1 << 20);
    let mut observe = up().observe(&Quirks::default());
    let mut rest = STREAM.as_bytes();
    while let Some(frame) = frames.next(&mut rest).unwrap() {
        assert!(!observe.is_complete());
        observe.frame(frame);
    }
    assert!(observe.is_complete());
    let usage = observe.usage().unwrap();
    assert_eq!((usage.input, usage.output, usage.cache_read, usage.reasoning), (17, 20, Some(5), Some(4)));
    let usage = up().observe_response(br#"{"content":[{"text":"\"usage\":{}"}],"usage":{"input_tokens":3,"output_tokens":4}}"#);
    assert_eq!(usage.map(|usage| (usage.input, usage.output)), Some((3, 4)));
}

#[test]
fn another_dialects_answer_is_written_with_all_fields() {
    let citation = Citation { url: Some("https://x.test".to_owned()), title: Some("X".to_owned()), ..Citation::default() };
    let choice = Choice {
        parts: vec![
            Content::Reasoning { text: "Hm".to_owned(), redacted: false }.into(),
            Part::text(""),
            Content::Text { text: "See".to_owned(), citations: vec![citation] }.into(),
            Part { signature: Some(Signature { owner: "gemini", value: "s".to_owned() }), ..call("call_1", "[1]") },
            Content::Foreign { from: "gemini", value: Raw::parse("{}").unwrap() }.into(),
        ],
        ..Choice::default()
    };
    let response = Response { choices: vec![choice], usage: None, ..Response::default() };
    let body: Value = serde_json::from_slice(&down().write_response(&response, &cx())).unwrap();
    assert_eq!(
        body,
        json!({
            "id": "msg_abcdefghijklmnopqrstuvwx", "type": "message", "role": "assistant", "model": "the-model",
            "content": [
                {"type": "thinking", "thinking": "Hm", "signature": ""},
                {"type": "text", "text": "See", "citations": [{"type": "web_search_result_location", "cited_text": "", "encrypted_index": "", "title": "X", "url": "https://x.test"}]},
                {"type": "tool_use", "id": "call_1", "name": "f", "input": {"input": "[1]"}, "caller": {"type": "direct"}},
                {"type": "redacted_thinking", "data": "tl.part.gemini.s"}
            ],
            "stop_reason": "tool_use", "stop_sequence": null, "stop_details": null, "container": null, "diagnostics": null,
            "usage": {"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                "cache_creation": null, "output_tokens_details": null, "server_tool_use": null, "service_tier": null,
                "inference_geo": null, "speed": null}
        })
    );
    // What comes back from the caller is what went out, as far as it was anybody's.
    let request =
        read(json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": body["content"]}]})).unwrap();
    let parts = &request.messages[0].parts;
    assert_eq!(parts[0].signature, None);
    assert_eq!(parts[2].signature, Some(Signature { owner: "gemini", value: "s".to_owned() }));
    let (_, lost) = write(&request);
    assert_eq!(
        lost,
        [
            "messages[0].parts[0]",
            "messages[0].parts[1].citations",
            "messages[0].parts[2].signature",
            "messages[0].parts[2]",
            "messages[0]"
        ]
    );
}

#[test]
fn errors_are_told_in_this_dialects_words() {
    let mut error = Error::new(Kind::RateLimited, trunkline_codec::Origin::Gateway, "slow down");
    let body: Value = serde_json::from_slice(&down().write_error(&error, "req_9")).unwrap();
    assert_eq!(
        body,
        json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}, "request_id": "req_9"})
    );
    error.kind = Kind::NotFound;
    let body: Value = serde_json::from_slice(&down().write_error(&error, "")).unwrap();
    assert_eq!((&body["error"]["type"], &body["request_id"]), (&json!("not_found_error"), &Value::Null));
}

#[test]
fn a_wait_is_the_providers_own() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "7".parse().unwrap());
    let body = |code: &str| {
        json!({"type": "error", "error": {"type": "rate_limit_error", "message": "m", "details": {"error_code": code}}})
            .to_string()
    };
    let error = up().read_error(429, &headers, body("x").as_bytes(), 0);
    assert_eq!(error.retry_after_seconds(), Some(7));
    let error = up().read_error(429, &headers, body("contract_spend_limit_reached").as_bytes(), 0);
    assert_eq!((error.kind, error.retry), (Kind::QuotaExhausted, trunkline_codec::Retry::Never));
}

/// What a client sees of a stream: blocks strictly one after the other, each with the text that belongs to it.
fn blocks(sse: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for frame in data(sse) {
        match frame["type"].as_str().unwrap() {
            "content_block_start" => {
                assert!(open.is_none(), "{sse}");
                assert_eq!(frame["index"], blocks.len());
                open = Some((frame["content_block"]["type"].as_str().unwrap().to_owned(), String::new()));
            }
            "content_block_delta" => {
                assert_eq!(frame["index"], blocks.len());
                let delta = &frame["delta"];
                let piece = ["text", "thinking", "partial_json"].iter().find_map(|name| delta[name].as_str());
                open.as_mut().unwrap().1.push_str(piece.unwrap());
            }
            "content_block_stop" => blocks.push(open.take().unwrap()),
            _ => assert!(open.is_none(), "{sse}"),
        }
    }
    blocks
}

proptest::proptest! {
    /// Whatever the order in which parts grow and end, the caller reads each whole, in the order of their starts.
    #[test]
    fn any_interleaving_is_written_in_order(steps in proptest::collection::vec((0u32..5, 0u8..3), 0..60)) {
        let mut events = vec![start()];
        let mut texts: Vec<String> = Vec::new();
        let mut ended = [false; 5];
        for (part, step) in steps {
            let at = part as usize;
            if at > texts.len() || (at < texts.len() && ended[at]) {
                continue;
            }
            if at == texts.len() {
                texts.push(String::new());
                events.push(open(part, if part % 2 == 0 { tool(&format!("c{part}")) } else { PartStart::Text }));
            } else if step == 0 {
                ended[at] = true;
                events.push(end(part));
            } else {
                let piece = format!("{step}\n\"");
                texts[at].push_str(&piece);
                events.push(if part % 2 == 0 { arguments(part, &piece) } else { text(part, &piece) });
            }
        }
        events.push(finish(Reason::Stop));
        let wanted: Vec<_> = texts
            .into_iter()
            .enumerate()
            .map(|(at, text)| match at % 2 {
                0 if text.is_empty() => ("tool_use".to_owned(), "{}".to_owned()),
                0 => ("tool_use".to_owned(), text),
                _ => ("text".to_owned(), text),
            })
            .filter(|(kind, text)| kind == "tool_use" || !text.is_empty())
            .collect();
        proptest::prop_assert_eq!(blocks(&stream(&events)), wanted);
    }
}

#[test]
fn an_unknown_stop_word_is_a_stop_that_keeps_its_word() {
    let response = up().read_response(br#"{"content":[],"stop_reason":"tired"}"#).unwrap();
    assert_eq!(response.choices[0].finish, Finish { detail: Some("tired".to_owned()), ..Finish::from(Reason::Stop) });
}
