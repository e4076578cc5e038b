//! What is particular to `openai-responses`; all else is in the fixtures and the table.

use http::HeaderMap;
use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{self, Cx, Dialect, Framing, Head, Operation};
use trunkline_codec::frame::{Frame, ReadFrame, SseReader};
use trunkline_codec::ir::{
    Content, Delta, Event, Extra, Finish, Part, PartStart, Reason, Request, Response, Signature, Source, fold::Fold,
};

fn dialect() -> &'static Dialect {
    dialect::find("openai-responses").unwrap()
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

fn read(body: &Value) -> Request {
    let headers = HeaderMap::new();
    let head = Head { path: "/v1/responses", query: None, headers: &headers };
    dialect().downstream().read_request(&head, body.to_string().as_bytes(), Operation::Chat).unwrap()
}

fn sent(name: &str, request: &Request) -> Value {
    let upstream = dialect::find(name).unwrap().upstream;
    serde_json::from_slice(&upstream.write_request(request, Operation::Chat, &Quirks::default()).unwrap().body).unwrap()
}

fn start() -> Event {
    Event::Start { id: String::new(), model: String::new(), created: None, extra: Extra::default() }
}

fn stop(reason: Reason) -> [Event; 2] {
    [Event::Finish { choice: 0, finish: Finish::from(reason) }, Event::End]
}

/// The stream of these events, and the answer that its last frame repeats.
fn written(events: &[Event]) -> (String, Value) {
    let mut writer = dialect().downstream().write_stream(&cx());
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut out));
    writer.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let last: Value = serde_json::from_str(text.trim_end().rsplit("data: ").next().unwrap()).unwrap();
    (text, last["response"].clone())
}

fn folded(stream: &str) -> Response {
    let mut reader = dialect().upstream.read_stream(&Quirks::default());
    let mut frames = SseReader::new(1 << 20);
    let (mut rest, mut events) = (stream.as_bytes(), Vec::new());
    while let Some(frame) = frames.next(&mut rest).unwrap() {
        reader.push(frame, &mut events).unwrap();
    }
    reader.finish(&mut events).unwrap();
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    fold.into_response()
}

#[test]
fn a_grammar_is_flat_here_and_nested_in_chat() {
    let flat = json!({"type": "grammar", "syntax": "lark", "definition": "start: /.+/"});
    let request = read(&json!({"model": "m", "input": "x", "tools": [{"type": "custom", "name": "patch", "format": flat}]}));
    let nested = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /.+/"}});
    assert_eq!(sent("openai-chat", &request)["tools"][0]["custom"]["format"], nested);
    assert_eq!(sent("openai-responses", &request)["tools"][0]["format"], flat);
}

#[test]
fn signatures_of_calls_that_grow_side_by_side_find_their_own() {
    let call = |part: u32, id: &str| Event::PartStart {
        choice: 0,
        part,
        start: PartStart::ToolCall { id: id.to_owned(), name: "weather".to_owned() },
    };
    let delta = |part, delta| Event::Delta { choice: 0, part, delta };
    let signed = Signature { owner: "gemini", value: "c2ln".to_owned() };
    let mut events = vec![start(), call(0, "a.1"), call(1, "b"), delta(0, Delta::Signature(signed.clone()))];
    events.extend([0, 1].map(|part| delta(part, Delta::Arguments("{}".to_owned()))));
    events.extend([1, 0].map(|part| Event::PartEnd { choice: 0, part }));
    events.extend(stop(Reason::ToolCalls));
    let (_, answer) = written(&events);
    let mut input = vec![json!({"role": "user", "content": "Weather?"})];
    input.extend(answer["output"].as_array().unwrap().iter().cloned());
    let request = read(&json!({"model": "m", "input": input}));
    let signatures: Vec<_> = request.messages[1].parts.iter().map(|part| part.signature.clone()).collect();
    assert_eq!(signatures, [Some(signed), None]);
}

#[test]
fn a_picture_with_an_address_and_no_bytes_is_told_by_it() {
    let source = Source::Url { url: "https://example.com/cat.png".to_owned(), media_type: None };
    let part: Part = Content::Image { source, detail: None }.into();
    let mut events = vec![start(), Event::PartStart { choice: 0, part: 0, start: PartStart::Text }];
    events.push(Event::Delta { choice: 0, part: 0, delta: Delta::Text("Here: ".to_owned()) });
    events.push(Event::PartEnd { choice: 0, part: 0 });
    events.push(Event::PartStart { choice: 0, part: 1, start: PartStart::Whole { content: Box::new(part) } });
    events.push(Event::PartEnd { choice: 0, part: 1 });
    events.extend(stop(Reason::Stop));
    let (stream, answer) = written(&events);
    assert_eq!(answer["output"][1]["content"][0]["text"], "https://example.com/cat.png");
    let read = folded(&stream);
    assert_eq!(read.choices[0].parts.len(), 2, "{stream}");
}

#[test]
fn a_call_of_a_tool_that_takes_free_text_stays_one() {
    let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
        "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_1", "type": "custom", "custom": {"name": "patch", "input": "say \"hi\""}}]}}]});
    let chat = dialect::find("openai-chat").unwrap();
    let response = chat.upstream.read_response(body.to_string().as_bytes()).unwrap();
    let answer: Value = serde_json::from_slice(&dialect().downstream().write_response(&response, &cx())).unwrap();
    let item = &answer["output"][0];
    assert_eq!((item["type"].as_str(), item["input"].as_str()), (Some("custom_tool_call"), Some("say \"hi\"")));
}

#[test]
fn the_observer_sees_the_end_of_a_stream_whose_frames_have_no_names() {
    let mut watch = dialect().upstream.observe(&Quirks::default());
    let text = json!({"type": "response.output_text.delta", "delta": "x \"response\": 1"}).to_string();
    watch.frame(Frame { event: None, data: text.as_bytes() });
    assert!(!watch.is_complete());
    let output = json!([{"type": "message", "content": [{"type": "output_text", "text": "response.output_text.delta"}]}]);
    let end =
        json!({"response": {"output": output, "usage": {"input_tokens": 7, "output_tokens": 3}}, "type": "response.completed"});
    watch.frame(Frame { event: None, data: end.to_string().as_bytes() });
    assert!(watch.is_complete());
    assert_eq!(watch.usage().map(|usage| (usage.input, usage.output)), Some((7, 3)));
}
