//! What fixtures do not show of `ollama` and `ollama-generate`.

use http::HeaderMap;
use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{Aside, Cx, Dialect, Framing, Head, Operation, aside, find};
use trunkline_codec::frame::Frame;
use trunkline_codec::ir::fold::{Fold, unfold};
use trunkline_codec::ir::*;
use trunkline_codec::{Error, Kind};

fn dialect(name: &str) -> &'static Dialect {
    find(name).unwrap()
}

fn head(headers: &HeaderMap) -> Head<'_> {
    Head { path: "/api/chat", query: None, headers }
}

fn read(name: &str, body: Value) -> Result<Request, Error> {
    dialect(name).downstream().read_request(&head(&HeaderMap::new()), body.to_string().as_bytes(), Operation::Chat)
}

/// What is sent, and the fields that are lost.
fn sent(name: &str, request: &Request, quirks: &str) -> (Value, Vec<String>) {
    let quirks: Quirks = toml::from_str(quirks).unwrap();
    let out = dialect(name).upstream.write_request(request, Operation::Chat, &quirks).unwrap();
    (serde_json::from_slice(&out.body).unwrap(), out.losses.iter().map(|loss| loss.field.to_string()).collect())
}

fn asked(text: &str) -> Request {
    Request { model: "m".to_owned(), messages: vec![Message::text(Role::User, text)], ..Request::default() }
}

fn cx() -> Cx {
    Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 1_700_000_000,
        model: "some-model".to_owned(),
        framing: Framing::Ndjson,
        stream_usage: true,
        asked: None,
    }
}

fn written(name: &str, events: &[Event]) -> Vec<Value> {
    let mut writer = dialect(name).downstream().write_stream(&cx());
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut out));
    writer.finish(&mut out);
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn answer(parts: Vec<Part>, reason: Reason) -> Response {
    let choice = Choice { parts, finish: reason.into(), ..Choice::default() };
    Response { choices: vec![choice], usage: Some(Usage { input: 7, output: 3, ..Usage::default() }), ..Response::default() }
}

#[test]
fn a_stream_is_asked_for_unless_it_is_refused() {
    let down = dialect("ollama").downstream();
    let headers = HeaderMap::new();
    let peek = |body: &str| down.peek(&head(&headers), body.as_bytes(), Operation::Chat).unwrap();
    for (body, stream) in [
        (r#"{"model":"m"}"#, true),
        (r#"{"model":"m","stream":null}"#, true),
        (r#"{"model":"m","stream":true}"#, true),
        (r#"{"model":"m","stream": false}"#, false),
    ] {
        let peek = peek(body);
        assert_eq!((peek.stream, peek.framing), (stream, Framing::Ndjson), "{body}");
    }
    let limits = |options: &str| peek(&format!(r#"{{"model":"m","options":{options}}}"#)).max_tokens;
    assert_eq!(limits(r#"{"num_ctx":1,"num_predict":9}"#), Some(9));
    assert_eq!((limits(r#"{"num_predict":-1}"#), limits("{}"), limits("null")), (None, None, None));
}

#[test]
fn the_same_lane_changes_the_models_name_and_nothing_else() {
    let headers = HeaderMap::new();
    let forward = |body: &str, model: &str| {
        let peek = dialect("ollama").downstream().peek(&head(&headers), body.as_bytes(), Operation::Chat).unwrap();
        let mut forward =
            dialect("ollama").upstream.forward(&head(&headers), &peek, body.as_bytes(), model, &Quirks::default()).unwrap();
        assert!(!forward.drop_usage);
        String::from_utf8(trunkline_codec::json::apply(body.as_bytes(), &mut forward.edits)).unwrap()
    };
    assert_eq!(forward(r#"{ "model" : "a/b:1b", "x":1e9 }"#, "b:1b"), r#"{ "model" : "b:1b", "x":1e9 }"#);
    assert_eq!(forward(r#"{"model":"b:latest"}"#, "b"), r#"{"model":"b:latest"}"#);
}

#[test]
fn what_cannot_be_asked_is_lost_and_said() {
    let mut request = asked("hi");
    request.n = Some(2);
    request.user = Some("u".to_owned());
    request.sampling.logit_bias = Some(Raw::of(&json!({"1": 2})));
    request.metadata.insert("a".to_owned(), "b".to_owned());
    request.parallel_tools = Some(false);
    request.reasoning = Some(Reasoning { effort: Some(Effort::Minimal), show: Some(false), ..Reasoning::default() });
    let (body, lost) = sent("ollama", &request, "");
    assert_eq!(body["think"], "low");
    let all = ["parallel_tools", "reasoning.show", "reasoning.effort", "sampling.logit_bias", "n", "user", "metadata"];
    assert_eq!(lost, all);
    let (body, lost) = sent("ollama", &asked("hi"), "refuses = ['temperature']\nbody = { keep_alive = '1h' }");
    assert_eq!((body["keep_alive"].as_str(), lost.len()), (Some("1h"), 0));
    request = asked("hi");
    request.sampling.temperature = Some(1.5);
    assert_eq!(sent("ollama", &request, "refuses = ['temperature']").1, ["sampling.temperature"]);
    let (body, lost) = sent("ollama", &request, "temperature_max = 1");
    assert_eq!((body["options"]["temperature"].as_f64(), lost), (Some(1.0), vec!["sampling.temperature".to_owned()]));
}

fn tools(choice: ToolChoice) -> (Vec<String>, Vec<String>) {
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        description: None,
        kind: ToolKind::Function { schema: None, strict: None },
        cache: None,
        extra: Extra::default(),
    };
    let request = Request { tools: vec![tool("a"), tool("b")], tool_choice: Some(choice), ..asked("hi") };
    let (body, lost) = sent("ollama", &request, "");
    let names = body["tools"].as_array().into_iter().flatten();
    (names.map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect(), lost)
}

#[test]
fn tools_that_may_not_be_called_are_left_out() {
    let lost = vec!["tool_choice".to_owned()];
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<String>>();
    assert_eq!(tools(ToolChoice::Auto), (names(&["a", "b"]), vec![]));
    assert_eq!(tools(ToolChoice::None), (vec![], vec![]));
    assert_eq!(tools(ToolChoice::Required), (names(&["a", "b"]), lost.clone()));
    assert_eq!(tools(ToolChoice::Tool("b".to_owned())), (names(&["b"]), lost.clone()));
    assert_eq!(tools(ToolChoice::Allowed { names: names(&["b"]), required: false }), (names(&["b"]), vec![]));
    assert_eq!(tools(ToolChoice::Allowed { names: names(&["a"]), required: true }), (names(&["a"]), lost));
}

#[test]
fn results_find_their_calls_by_id_by_tool_or_by_place() {
    let call = |name: &str| json!({"function": {"name": name, "arguments": "{\"a\": 1}"}});
    let request = read(
        "ollama",
        json!({"model": "m", "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "", "tool_calls": [call("f"), call("g"), call("f")]},
            {"role": "tool", "tool_name": "g", "content": "1"},
            {"role": "tool", "content": "2"},
            {"role": "tool", "name": "f", "content": "3"},
            {"role": "tool", "tool_name": "h", "content": "4"}]}),
    )
    .unwrap();
    assert_eq!(request.messages.len(), 3);
    let ids: Vec<(&str, Option<&str>)> = request.messages[2]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolResult { id, name, .. } => (id.as_str(), name.as_deref()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [("call_1_1", Some("g")), ("call_1_0", Some("f")), ("call_1_2", Some("f")), ("call_5", Some("h"))]);
    assert!(matches!(&request.messages[1].parts[0].content, Content::ToolCall { arguments, .. } if arguments == "{\"a\": 1}"));
}

#[test]
fn arguments_become_an_object_on_one_line() {
    let calls = ["{\"a\":\n [1,\r\n 2]}", "", "[1]", "oops"].map(|arguments| {
        Part::from(Content::ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: arguments.to_owned() })
    });
    let response = answer(calls.to_vec(), Reason::ToolCalls);
    let whole: Value = serde_json::from_slice(&dialect("ollama").downstream().write_response(&response, &cx())).unwrap();
    let lines = written("ollama", &unfold(response));
    let streamed: Vec<Value> = lines.iter().filter_map(|line| line["message"].get("tool_calls")?.get(0).cloned()).collect();
    assert_eq!(whole["message"]["tool_calls"], json!(streamed));
    let arguments: Vec<&Value> = streamed.iter().map(|call| &call["function"]["arguments"]).collect();
    assert_eq!(arguments, [&json!({"a": [1, 2]}), &json!({}), &json!({"arguments": "[1]"}), &json!({"arguments": "oops"})]);
    let indices: Vec<&Value> = streamed.iter().map(|call| &call["function"]["index"]).collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    // A prompt has no calls, and says that it had to stop.
    let lines = written("ollama-generate", &unfold(answer(calls.to_vec(), Reason::ToolCalls)));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["done"], true);
}

#[test]
fn state_of_others_travels_sealed_whole_and_streamed() {
    let signed = |content: Content, owner: &str| {
        let signature = Signature { owner: find(owner).unwrap().name, value: "c2ln".to_owned() };
        Part { signature: Some(signature), ..content.into() }
    };
    let thought = |text: &str| Content::Reasoning { text: text.to_owned(), redacted: false };
    let parts = vec![
        signed(thought("First."), "anthropic-messages"),
        signed(Content::Reasoning { text: String::new(), redacted: true }, "anthropic-messages"),
        thought("Last.").into(),
        Part::text("Hello"),
        signed(Content::ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned() }, "gemini"),
    ];
    let response = answer(parts.clone(), Reason::ToolCalls);
    let up = dialect("ollama").upstream;
    let whole = dialect("ollama").downstream().write_response(&response, &cx());
    assert_eq!(up.read_response(&whole).unwrap().choices[0].parts, parts);
    let (mut reader, mut events) = (up.read_stream(&Quirks::default()), Vec::new());
    for line in written("ollama", &unfold(response)) {
        reader.push(Frame { event: None, data: line.to_string().as_bytes() }, &mut events).unwrap();
    }
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    assert_eq!(fold.response().choices[0].parts, parts);
    // The caller sends it back, and its maker gets it.
    let message = serde_json::from_slice::<Value>(&whole).unwrap()["message"].clone();
    let next = json!({"model": "m", "messages": [{"role": "user", "content": "x"}, message]});
    let back = read("ollama", next).unwrap();
    assert_eq!(back.messages[1].parts, parts);
}

#[test]
fn other_answers_are_told_in_this_dialects_words() {
    let word =
        |reason: Reason| written("ollama", &unfold(answer(vec![Part::text("x")], reason))).pop().unwrap()["done_reason"].clone();
    for (reason, expected) in [
        (Reason::Stop, "stop"),
        (Reason::ToolCalls, "stop"),
        (Reason::StopSequence, "stop"),
        (Reason::Length, "length"),
        (Reason::ContextFull, "length"),
        (Reason::Refusal, "content_filter"),
        (Reason::Filtered, "content_filter"),
        (Reason::Failed, "error"),
    ] {
        assert_eq!(word(reason), expected, "{reason:?}");
    }
    let last = written("ollama", &unfold(answer(vec![Part::text("x")], Reason::Stop))).pop().unwrap();
    assert_eq!((&last["prompt_eval_count"], &last["eval_count"], &last["total_duration"]), (&json!(7), &json!(3), &json!(0)));
    assert_eq!(last["created_at"], "2023-11-14T22:13:20Z");
}

#[test]
fn a_prompt_and_a_conversation_become_each_other() {
    let body = json!({"model": "m", "system": "Be brief.", "prompt": "Hi", "suffix": "!", "raw": true, "keep_alive": 3,
        "options": {"num_ctx": 9}});
    let request = read("ollama-generate", body).unwrap();
    let (chat, lost) = sent("ollama", &request, "");
    assert_eq!(chat["messages"], json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]));
    assert_eq!((&chat["keep_alive"], &chat["options"]["num_ctx"]), (&json!(3), &json!(9)));
    assert_eq!(lost, ["suffix", "raw"]);
    let mut talk = asked("One");
    talk.messages.push(Message::text(Role::Assistant, "Two"));
    talk.messages.push(Message::text(Role::User, "Three"));
    let (prompt, lost) = sent("ollama-generate", &talk, "");
    assert_eq!(prompt["prompt"], "User: One\n\nAssistant: Two\n\nUser: Three\n\nAssistant:");
    assert!(lost.is_empty(), "{lost:?}");
    let lone = Request { messages: vec![Message::text(Role::System, "Sing.")], ..asked("") };
    assert_eq!(sent("ollama-generate", &lone, "").0["prompt"], "Sing.");
    let refused = dialect("ollama-generate").upstream.write_request(&asked(""), Operation::Chat, &Quirks::default());
    assert_eq!(refused.unwrap_err().kind, Kind::Unsupported);
}

#[test]
fn calls_without_ids_get_the_same_ones_again_and_different_ones_apart() {
    let read = |arguments: &str| {
        let body = format!(
            r#"{{"message":{{"role":"assistant","tool_calls":[{{"function":{{"name":"f","arguments":{arguments}}}}},{{"function":{{"name":"f","arguments":{arguments}}}}}]}},"done":true}}"#
        );
        let response = dialect("ollama").upstream.read_response(body.as_bytes()).unwrap();
        let id = |part: &Part| match &part.content {
            Content::ToolCall { id, .. } => id.clone(),
            other => panic!("{other:?}"),
        };
        response.choices[0].parts.iter().map(id).collect::<Vec<_>>()
    };
    let (one, again, other) = (read(r#"{"a":1}"#), read(r#"{ "a": 1 }"#), read(r#"{"a":2}"#));
    assert_eq!(one, again);
    assert_ne!(one[0], one[1]);
    assert!(one.iter().all(|id| !other.contains(id) && id.len() <= 40), "{one:?} {other:?}");
}

#[test]
fn small_paths_are_known() {
    let kind = |path: &str| aside(path).map(|(dialect, aside)| (dialect.name, aside.method().to_string()));
    let get = Some(("ollama", "GET".to_owned()));
    for path in ["/", "/api/version", "/api/ps", "/api/tags"] {
        assert_eq!(kind(path), get, "{path}");
    }
    assert_eq!(kind("/api/show"), Some(("ollama", "POST".to_owned())));
    assert_eq!(kind("/api/pull"), None);
    let Some((_, Aside::Model(read))) = aside("/api/show") else { panic!("a name is read from the body") };
    assert_eq!(read(br#"{"model":"a:latest"}"#).unwrap(), "a");
    assert_eq!(read(br#"{"name":"a:7b"}"#).unwrap(), "a:7b");
    assert_eq!(read(b"{}").unwrap_err().message, "model is required");
}

#[test]
fn a_last_line_is_known_by_itself_not_by_a_word_in_a_tool_call() {
    let upstream = dialect("ollama").upstream;
    let mut watch = upstream.observe(&Default::default());
    let last = br#"{"message":{"role":"assistant","tool_calls":[{"function":{"name":"todo","arguments":{"done":false}}}]},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":3}"#;
    watch.frame(Frame { event: None, data: last });
    assert!(watch.is_complete());
    assert_eq!(watch.usage().unwrap().output, 3);
}
