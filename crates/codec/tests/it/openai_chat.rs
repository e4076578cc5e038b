//! What fixtures do not show of `openai-chat`: peeking, forwarding, refusing.

use http::HeaderMap;
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{self, Cx, Framing, Head, Operation};
use trunkline_codec::frame::{ReadFrame, SseReader};
use trunkline_codec::{Downstream, Upstream};

fn up() -> &'static dyn Upstream {
    dialect::find("openai-chat").unwrap().upstream
}

fn down() -> &'static dyn Downstream {
    dialect::find("openai-chat").unwrap().downstream()
}

fn read(body: &str) -> Result<trunkline_codec::ir::Request, trunkline_codec::Error> {
    let headers = HeaderMap::new();
    let head = Head { path: "/v1/chat/completions", query: None, headers: &headers };
    down().peek(&head, body.as_bytes(), Operation::Chat)?;
    down().read_request(&head, body.as_bytes(), Operation::Chat)
}

fn forward(body: &str, model: &str) -> (String, bool) {
    let headers = HeaderMap::new();
    let head = Head { path: "/v1/chat/completions", query: None, headers: &headers };
    let peek = down().peek(&head, body.as_bytes(), Operation::Chat).unwrap();
    let mut forward = up().forward(&head, &peek, body.as_bytes(), model, &Quirks::default()).unwrap();
    let out = trunkline_codec::json::apply(body.as_bytes(), &mut forward.edits);
    (String::from_utf8(out).unwrap(), forward.drop_usage)
}

#[test]
fn what_is_wrong_is_named_in_the_callers_words() {
    let say = |body: &str| read(body).unwrap_err().message;
    assert_eq!(say(r#"{"messages":[]}"#), "model is required");
    assert_eq!(say(r#"{"model":"m"}"#), "messages is required");
    assert_eq!(say(r#"{"model":"m","messages":"x"}"#), "messages: expected a list of messages, found a string");
    assert_eq!(say(r#"{"model":"m","messages":[]}"#), "messages: at least one message is required");
    assert_eq!(
        say(r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":5}]}"#),
        "messages[1].content: expected a string or a list of parts, found integer `5`"
    );
    assert_eq!(
        say(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":{}}]}]}"#),
        "messages[0].content[1].text: expected a string, found an object"
    );
    assert_eq!(
        say(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#),
        "messages[0].content[0].image_url is required"
    );
    assert_eq!(say(r#"{"model":"m","messages":[{"content":"a"}]}"#), "messages[0].role is required");
    assert!(say(r#"{"model":"m","messages":[{"role":"robot","content":"a"}]}"#).starts_with("messages[0].role: expected"));
    assert_eq!(say(r#"{"model":"m","messages":[{"role":"tool","content":"a"}]}"#), "messages[0].tool_call_id is required");
    assert_eq!(say(r#"{"model":"m","messages":[1]}"#), "messages[0]: expected an object, found integer `1`");
    assert_eq!(
        say(r#"{"model":"m","messages":[{"role":"user","content":"a"}],"temperature":"hot"}"#),
        "temperature: expected a number, found string \"hot\""
    );
    assert!(say(r#"{"model":"m","model":"n","messages":[]}"#).contains("repeated"));
    assert!(say(r#"{"model":"m","messages":["#).contains("line 1"));
}

#[test]
fn the_same_lane_changes_only_the_model_and_the_usage_option() {
    let body = r#"{ "model" : "fast",  "messages":[ ] , "x":1.0 }"#;
    assert_eq!(forward(body, "gpt"), (r#"{ "model" : "gpt",  "messages":[ ] , "x":1.0 }"#.to_owned(), false));
    assert_eq!(forward(body, "fast"), (body.to_owned(), false));
    let body = r#"{"stream":true,"model":"m","messages":[]}"#;
    assert_eq!(
        forward(body, "n"),
        (r#"{"stream":true,"model":"n","stream_options":{"include_usage":true},"messages":[]}"#.to_owned(), true)
    );
    let body = r#"{"stream_options":{"include_obfuscation":false},"stream":true,"messages":[],"model":"m"}"#;
    assert_eq!(
        forward(body, "n").0,
        r#"{"stream_options":{"include_obfuscation":false,"include_usage":true},"stream":true,"messages":[],"model":"n"}"#
    );
    let body = r#"{"stream_options":{"include_usage":true},"stream":true,"messages":[],"model":"m"}"#;
    assert_eq!(forward(body, "m"), (body.to_owned(), false));
}

#[test]
fn a_stream_is_read_and_written_again() {
    let sse = concat!(
        "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    );
    let mut frames = SseReader::new(1 << 20);
    let mut reader = up().read_stream(&Quirks::default());
    let mut watch = up().observe(&Quirks::default());
    let mut events = Vec::new();
    let mut rest = sse.as_bytes();
    while let Some(frame) = frames.next(&mut rest).unwrap() {
        watch.frame(frame);
        reader.push(frame, &mut events).unwrap();
    }
    reader.finish(&mut events).unwrap();
    assert!(watch.is_complete());
    assert_eq!(watch.usage().unwrap().total(), 3);
    let cx = Cx {
        id: "abc".into(),
        request_id: "r".into(),
        created: 7,
        model: "m".into(),
        framing: Framing::Sse,
        stream_usage: true,
        asked: None,
    };
    let mut writer = down().write_stream(&cx);
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut out));
    writer.finish(&mut out);
    let out = String::from_utf8(out).unwrap();
    let head =
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":null,"choices":["#;
    let expected = [
        r#"{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
        r#"],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#,
    ];
    let expected: String = expected.iter().map(|chunk| format!("{head}{chunk}\n\n")).collect();
    assert_eq!(out, format!("{expected}data: [DONE]\n\n"));
}
