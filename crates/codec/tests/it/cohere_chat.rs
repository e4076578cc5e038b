//! What fixtures do not show of `cohere-chat`.

use http::HeaderMap;
use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{Cx, Dialect, Framing, Head, Operation, find};
use trunkline_codec::frame::{ReadFrame, SseReader};
use trunkline_codec::ir::fold::{Fold, unfold};
use trunkline_codec::ir::*;

fn cohere() -> &'static Dialect {
    find("cohere-chat").unwrap()
}

fn read(dialect: &str, path: &str, body: Value) -> Request {
    let headers = HeaderMap::new();
    let head = Head { path, query: None, headers: &headers };
    find(dialect).unwrap().downstream().read_request(&head, body.to_string().as_bytes(), Operation::Chat).unwrap()
}

/// What is sent, and the fields that are lost.
fn sent(dialect: &str, request: &Request) -> (Value, Vec<String>) {
    let out = find(dialect).unwrap().upstream.write_request(request, Operation::Chat, &Quirks::default()).unwrap();
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
        framing: Framing::Sse,
        stream_usage: true,
        asked: None,
    }
}

fn written(events: &[Event]) -> String {
    let mut writer = cohere().downstream().write_stream(&cx());
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut out));
    writer.finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn read_stream(stream: &str) -> Response {
    let mut frames = SseReader::new(1 << 20);
    let (mut reader, mut events, mut rest) = (cohere().upstream.read_stream(&Quirks::default()), Vec::new(), stream.as_bytes());
    while let Some(frame) = frames.next(&mut rest).unwrap() {
        reader.push(frame, &mut events).unwrap();
    }
    reader.finish(&mut events).unwrap();
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    fold.into_response()
}

#[test]
fn numbers_are_moved_into_the_range_that_is_taken() {
    let mut request = asked("hi");
    request.sampling = Sampling {
        temperature: Some(1.7),
        top_p: Some(1.0),
        frequency_penalty: Some(-1.0),
        presence_penalty: Some(0.5),
        top_logprobs: Some(3),
        ..Sampling::default()
    };
    request.stop = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
    let (body, lost) = sent("cohere-chat", &request);
    assert_eq!((&body["temperature"], &body["p"]), (&json!(1.0), &json!(0.99)));
    assert_eq!((&body["frequency_penalty"], &body["presence_penalty"]), (&json!(0.0), &json!(0.5)));
    assert_eq!(body["stop_sequences"].as_array().unwrap().len(), 5);
    let expected = ["sampling.temperature", "sampling.top_p", "sampling.frequency_penalty", "stop", "sampling.top_logprobs"];
    assert_eq!(lost, expected);
}

#[test]
fn one_tool_is_demanded_by_leaving_the_others_out() {
    let tool = |name: &str, strict| Tool {
        name: name.to_owned(),
        description: None,
        kind: ToolKind::Function { schema: None, strict },
        cache: None,
        extra: Extra::default(),
    };
    let mut request = Request { tools: vec![tool("a", None), tool("b", Some(true))], ..asked("hi") };
    request.tool_choice = Some(ToolChoice::Tool("b".to_owned()));
    let (body, lost) = sent("cohere-chat", &request);
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!((&body["tools"][0]["function"]["name"], &body["tool_choice"]), (&json!("b"), &json!("REQUIRED")));
    assert_eq!(lost, ["tools[1].strict"]);
    request.tools = vec![tool("a", Some(true)), tool("b", Some(true))];
    request.tool_choice = Some(ToolChoice::None);
    let (body, lost) = sent("cohere-chat", &request);
    assert_eq!((&body["strict_tools"], &body["tool_choice"], lost.len()), (&json!(true), &json!("NONE"), 0));
}

#[test]
fn documents_of_others_are_cited_from_and_ours_are_read_elsewhere() {
    let document = |cite: bool| {
        let source = json!({"type": "text", "media_type": "text/plain", "data": "Penguins swim."});
        let block = json!({"type": "document", "title": "Penguins", "source": source, "citations": {"enabled": cite}});
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [block, {"type": "text", "text": "Do they?"}]}]})
    };
    let request = read("anthropic-messages", "/v1/messages", document(true));
    let (body, lost) = sent("cohere-chat", &request);
    assert_eq!(body["documents"], json!([{"data": {"title": "Penguins", "text": "Penguins swim."}}]));
    assert_eq!((&body["messages"][0]["content"], body.get("citation_options")), (&json!("Do they?"), None));
    assert!(lost.is_empty(), "{lost:?}");
    let off = read("anthropic-messages", "/v1/messages", document(false));
    assert_eq!(sent("cohere-chat", &off).0["citation_options"], json!({"mode": "OFF"}));

    let own = json!({"model": "m", "messages": [{"role": "user", "content": "Do they?"}],
        "documents": ["Plain.", {"data": {"title": "Penguins", "text": "They swim."}}]});
    let (body, lost) = sent("anthropic-messages", &read("cohere-chat", "/v2/chat", own));
    let blocks = &body["messages"][0]["content"];
    assert_eq!((&blocks[0]["source"]["data"], &blocks[1]["title"]), (&json!("Plain."), &json!("Penguins")), "{body}");
    assert_eq!((&blocks[1]["citations"]["enabled"], &blocks[2]["text"]), (&json!(true), &json!("Do they?")), "{body}");
    assert!(lost.iter().all(|field| field == "max_tokens"), "{lost:?}");
}

#[test]
fn citations_of_others_quote_the_answer_whole_and_streamed() {
    let citation = |start, end| Citation {
        url: Some("https://example.com/p".to_owned()),
        title: Some("Penguins".to_owned()),
        cited_text: Some("They swim.".to_owned()),
        start,
        end,
        from: "anthropic-messages",
        raw: None,
    };
    let cited = vec![citation(Some(3), Some(7)), citation(None, None)];
    let text = Content::Text { text: "Ja, séhr.".to_owned(), citations: cited };
    let thought = Content::Reasoning { text: "Hm.".to_owned(), redacted: false };
    let parts = vec![thought.into(), text.into()];
    let response = Response { choices: vec![Choice { parts, ..Choice::default() }], ..Response::default() };
    let whole: Value = serde_json::from_slice(&cohere().downstream().write_response(&response, &cx())).unwrap();
    let cited = whole["message"]["citations"].as_array().unwrap().clone();
    assert_eq!((&cited[0]["text"], &cited[0]["content_index"]), (&json!(" séh"), &json!(1)));
    assert_eq!((&cited[1]["start"], &cited[1]["end"], &cited[1]["text"]), (&json!(0), &json!(9), &json!("Ja, séhr.")));
    assert_eq!(cited[0]["sources"][0]["document"]["url"], "https://example.com/p");
    let stream = written(&unfold(response));
    let events: Vec<Value> = stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let starts = events.iter().filter(|event| event["type"] == "citation-start");
    assert_eq!(starts.map(|event| event["delta"]["message"]["citations"].clone()).collect::<Vec<_>>(), cited);
    let again = read_stream(&stream);
    assert!(matches!(&again.choices[0].parts[1].content, Content::Text { citations, .. } if citations.len() == 2));
}

#[test]
fn state_of_others_travels_sealed_whole_and_streamed() {
    let signed = |content: Content, owner: &str| {
        let signature = Signature { owner: find(owner).unwrap().name, value: "c2ln".to_owned() };
        Part { signature: Some(signature), ..content.into() }
    };
    let call = Content::ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned() };
    let parts = vec![
        signed(Content::Reasoning { text: "First.".to_owned(), redacted: false }, "anthropic-messages"),
        signed(Content::Reasoning { text: String::new(), redacted: true }, "anthropic-messages"),
        Part::text("Hello"),
        signed(call, "gemini"),
    ];
    let choice = Choice { parts: parts.clone(), finish: Reason::ToolCalls.into(), ..Choice::default() };
    let response = Response { choices: vec![choice], ..Response::default() };
    let whole = cohere().downstream().write_response(&response, &cx());
    assert_eq!(cohere().upstream.read_response(&whole).unwrap().choices[0].parts, parts);
    assert_eq!(read_stream(&written(&unfold(response))).choices[0].parts, parts);
    let message = serde_json::from_slice::<Value>(&whole).unwrap()["message"].clone();
    let back = read("cohere-chat", "/v2/chat", json!({"model": "m", "messages": [message]}));
    let bare = |part: &Part| Part { extra: Extra::default(), ..part.clone() };
    assert_eq!(back.messages[0].parts.iter().map(bare).collect::<Vec<_>>(), parts);
}

#[test]
fn pictures_that_a_tool_gave_back_follow_in_a_message_of_their_own() {
    let picture = |id: &str| {
        let source = Source::Base64 { media_type: "image/png".to_owned(), data: "AA==".to_owned() };
        let parts = vec![Part::text("see"), Content::Image { source, detail: None }.into()];
        Part::from(Content::ToolResult { id: id.to_owned(), name: None, parts, failed: id == "b" })
    };
    let mut request = asked("x");
    let results = vec![picture("a"), picture("b"), Part::text("And?")];
    request.messages.push(Message { role: Role::User, name: None, parts: results, extra: Extra::default() });
    let (body, lost) = sent("cohere-chat", &request);
    let roles: Vec<&Value> = body["messages"].as_array().unwrap().iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "tool", "tool", "user"]);
    let kinds: Vec<&Value> = body["messages"][3]["content"].as_array().unwrap().iter().map(|part| &part["type"]).collect();
    assert_eq!(kinds, ["text", "image_url", "text", "image_url", "text"]);
    assert_eq!(lost, ["messages[1].parts[1].failed"]);
}

#[test]
fn models_have_the_shape_of_the_dialect() {
    let model = Model { id: "a/b".to_owned(), owner: "a".to_owned(), created: 0 };
    let list: Value = serde_json::from_slice(&cohere().downstream().write_models(std::slice::from_ref(&model))).unwrap();
    let one: Value = serde_json::from_slice(&cohere().downstream().write_model(&model)).unwrap();
    assert_eq!((&list["models"][0], &one["name"], &one["endpoints"]), (&one, &json!("a/b"), &json!(["chat"])));
}
