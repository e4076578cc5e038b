//! The gemini dialect by examples.

use http::HeaderMap;
use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{Cx, Dialect, Framing, Head, Operation, find};
use trunkline_codec::frame::Frame;
use trunkline_codec::ir::fold::{Fold, unfold};
use trunkline_codec::ir::*;
use trunkline_codec::{Error, Kind, Retry};

fn gemini() -> &'static Dialect {
    find("gemini").unwrap()
}

fn head<'a>(path: &'a str, query: Option<&'a str>, headers: &'a HeaderMap) -> Head<'a> {
    Head { path, query, headers }
}

fn read(body: Value) -> Result<Request, Error> {
    let headers = HeaderMap::new();
    let head = head("/v1beta/models/gemini-3-pro:generateContent", None, &headers);
    gemini().downstream.read_request(&head, body.to_string().as_bytes(), Operation::Chat)
}

fn sent(request: &Request) -> (Value, Vec<String>) {
    let out = gemini().upstream.write_request(request, Operation::Chat, &Quirks::default()).unwrap();
    (serde_json::from_slice(&out.body).unwrap(), out.losses.iter().map(|loss| loss.field.to_string()).collect())
}

fn events(frames: &[Value]) -> Result<Vec<Event>, Error> {
    let mut reader = gemini().upstream.read_stream(&Quirks::default());
    let mut out = Vec::new();
    for frame in frames {
        let data = frame.to_string();
        reader.push(Frame { event: None, data: data.as_bytes() }, &mut out)?;
    }
    reader.finish(&mut out)?;
    Ok(out)
}

fn fold(events: Vec<Event>) -> Response {
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    fold.into_response()
}

fn cx(framing: Framing) -> Cx {
    Cx { id: "abc".into(), request_id: "req_1".into(), created: 1, model: "small".into(), framing, stream_usage: true }
}

fn written(events: &[Event], framing: Framing) -> String {
    let mut writer = gemini().downstream.write_stream(&cx(framing));
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut out));
    writer.finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn text_chunk(text: &str) -> Value {
    json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}, "modelVersion": "gemini-3-pro", "responseId": "r1"})
}

fn last_chunk(reason: &str) -> Value {
    json!({"candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": reason, "index": 0}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 9},
        "modelVersion": "gemini-3-pro", "responseId": "r1"})
}

#[test]
fn a_request_comes_back_as_it_was() {
    let body = json!({
        "contents": [
            {"role": "user", "parts": [{"text": "Weather?"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [
                {"text": "hm", "thought": true},
                {"functionCall": {"name": "weather", "args": {"city": "Bonn"}}, "thoughtSignature": "c2ln"}
            ]},
            {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"result": "rain"}}}]}
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [
            {"functionDeclarations": [{"name": "weather", "description": "d",
                "parametersJsonSchema": {"type": "object", "properties": {"city": {"type": "string"}}}}]},
            {"googleSearch": {}}
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 100, "stopSequences": ["x"], "seed": 7,
            "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": true}, "imageConfig": {"aspectRatio": "1:1"}}
    });
    let request = read(body.clone()).unwrap();
    let (out, losses) = sent(&request);
    assert_eq!(out, body);
    assert_eq!(losses, Vec::<String>::new());
}

#[test]
fn faults_are_named_in_the_callers_words() {
    let fault = |body| read(body).unwrap_err().message;
    assert_eq!(fault(json!({})), "contents is required");
    assert_eq!(
        fault(json!({"contents": [{"parts": [{"text": 5}]}]})),
        "contents[0].parts[0].text: expected a string, found integer `5`"
    );
    assert_eq!(
        fault(json!({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]})),
        "contents[0].parts[0].functionCall.name is required"
    );
    assert_eq!(
        fault(json!({"contents": [{"parts": "hi"}]})),
        "contents[0].parts: expected a list of objects, found string \"hi\""
    );
}

#[test]
fn a_stream_is_read_and_written() {
    let stream = [text_chunk("Hel"), text_chunk("lo"), last_chunk("STOP")];
    let events = events(&stream).unwrap();
    let response = fold(events.clone());
    assert_eq!(response.choices[0].parts, [Part::text("Hello")]);
    assert_eq!(response.usage.unwrap().output, 5);
    assert_eq!(response.choices[0].finish, Reason::Stop.into());
    let sse = written(&events, Framing::Sse);
    let array: Value = serde_json::from_str(&written(&events, Framing::Array)).unwrap();
    let frames: Vec<Value> = sse
        .split("\n\n")
        .filter(|f| !f.is_empty())
        .map(|f| serde_json::from_str(f.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    assert_eq!(array, Value::Array(frames.clone()));
    assert_eq!(fold(self::events(&frames).unwrap()), response);
}

#[test]
fn a_stream_without_its_reason_is_truncated() {
    assert_eq!(events(&[text_chunk("Hel")]).unwrap_err().kind, Kind::Truncated);
    assert_eq!(events(&[]).unwrap_err().kind, Kind::Truncated);
}

#[test]
fn calls_are_read_whole() {
    let chunk = json!({"candidates": [{"content": {"parts": [
        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "g", "args": {}}}
    ]}, "finishReason": "STOP"}], "responseId": "r1"});
    let whole = gemini().upstream.read_response(chunk.to_string().as_bytes()).unwrap();
    assert_eq!(whole.choices[0].finish.reason, Reason::ToolCalls);
    let Content::ToolCall { id, arguments, .. } = &whole.choices[0].parts[0].content else { panic!() };
    assert_eq!((id.as_str(), arguments.as_str()), ("call_r1_0_0", "{\"a\":1}"));
    assert_eq!(whole.choices[0].parts[0].signature.as_ref().unwrap().value, "c2ln");
    assert_eq!(fold(events(&[chunk]).unwrap()), whole);
    let again = written(&unfold(whole.clone()), Framing::Array);
    let again: Vec<Value> = serde_json::from_str(&again).unwrap();
    assert_eq!(fold(events(&again).unwrap()).choices, whole.choices);
}

#[test]
fn errors_are_read() {
    let body = json!({"error": {"code": 429, "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "22s"}]}});
    let error = gemini().upstream.read_error(429, &HeaderMap::new(), body.to_string().as_bytes());
    assert_eq!((error.kind, error.retry), (Kind::RateLimited, Retry::After(std::time::Duration::from_secs(22))));
    let body = json!([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}]);
    let error = gemini().upstream.read_error(400, &HeaderMap::new(), body.to_string().as_bytes());
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Unauthenticated, Some("API_KEY_INVALID")));
}

#[test]
fn the_model_is_read_from_the_path() {
    let headers = HeaderMap::new();
    let peek = |path: &str, query| {
        gemini().downstream.peek(&head(path, query, &headers), b"{\"generationConfig\":{\"maxOutputTokens\":9}}", Operation::Chat)
    };
    for path in ["/v1beta/models/house/small:generateContent", "/v1beta/models/house%2Fsmall:generateContent"] {
        let peek = peek(path, None).unwrap();
        assert_eq!((peek.model.as_str(), peek.stream, peek.max_tokens), ("house/small", false, Some(9)));
    }
    let stream = "/v1/models/m:streamGenerateContent";
    assert_eq!(peek(stream, Some("key=x&alt=sse")).unwrap().framing, Framing::Sse);
    assert_eq!(peek(stream, None).unwrap().framing, Framing::Array);
    for path in [
        "/v1beta/models/../x:generateContent",
        "/v1beta/models/%2e%2e/x:generateContent",
        "/v1beta/models/a//b:generateContent",
        "/v1beta/models/a%252Fb:generateContent",
        "/v1beta/models/a%00:generateContent",
        "/v1beta/models/:generateContent",
    ] {
        assert_eq!(peek(path, None).unwrap_err().kind, Kind::BadRequest, "{path}");
    }
    let peek = peek(stream, Some("key=x&alt=sse&prettyPrint=false")).unwrap();
    let head = head(stream, Some("key=x&alt=sse&prettyPrint=false"), &headers);
    let forward = gemini().upstream.forward(&head, &peek, b"{}", "big", &Quirks::default()).unwrap();
    assert_eq!(forward.path, "/v1beta/models/big:streamGenerateContent?alt=sse&prettyPrint=false");
}
