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
    gemini().downstream().read_request(&head, body.to_string().as_bytes(), Operation::Chat)
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
    Cx {
        id: "abc".into(),
        request_id: "req_1".into(),
        created: 1,
        model: "small".into(),
        framing,
        stream_usage: true,
        asked: None,
    }
}

fn written(events: &[Event], framing: Framing) -> String {
    let mut writer = gemini().downstream().write_stream(&cx(framing));
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
    let error = gemini().upstream.read_error(429, &HeaderMap::new(), body.to_string().as_bytes(), 0);
    assert_eq!((error.kind, error.retry), (Kind::RateLimited, Retry::After(std::time::Duration::from_secs(22))));
    let body = json!([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}]);
    let error = gemini().upstream.read_error(400, &HeaderMap::new(), body.to_string().as_bytes(), 0);
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Unauthenticated, Some("API_KEY_INVALID")));
}

#[test]
fn the_model_is_read_from_the_path() {
    let headers = HeaderMap::new();
    let peek = |path: &str, query| {
        gemini().downstream().peek(
            &head(path, query, &headers),
            b"{\"generationConfig\":{\"maxOutputTokens\":9}}",
            Operation::Chat,
        )
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

#[test]
fn a_second_candidate_may_be_cut_off() {
    let second = json!({"candidates": [{"content": {"parts": [{"text": "b"}]}, "index": 1}]});
    let frames = [text_chunk("a"), second, last_chunk("STOP")];
    assert_eq!(events(&frames).unwrap_err().kind, Kind::Truncated);
}

/// A thinking block of another provider goes to a caller of gemini and comes back as it was.
#[test]
fn state_of_others_travels_sealed() {
    let anthropic = find("anthropic-messages").unwrap().name;
    let signature = Some(Signature { owner: anthropic, value: "Eq+/=?".into() });
    let thought = Part { signature: signature.clone(), ..Content::Reasoning { text: "Hm.".into(), redacted: false }.into() };
    let hidden = Part { signature, ..Content::Reasoning { text: String::new(), redacted: true }.into() };
    let choice = Choice { parts: vec![thought.clone(), hidden.clone(), Part::text("Hi")], ..Choice::default() };
    let response = Response { choices: vec![choice], ..Response::default() };
    let whole: Value = serde_json::from_slice(&gemini().downstream().write_response(&response, &cx(Framing::Sse))).unwrap();
    let back = read(json!({"contents": [{"parts": [{"text": "?"}]}, whole["candidates"][0]["content"]]})).unwrap();
    assert_eq!(back.messages[1].parts, response.choices[0].parts);
    // As chunks that the SDK keeps, each as a content of its own.
    let chunks: Vec<Value> = serde_json::from_str(&written(&unfold(response), Framing::Array)).unwrap();
    let mut contents = vec![json!({"parts": [{"text": "?"}]})];
    contents.extend(chunks.iter().map(|chunk| chunk["candidates"][0]["content"].clone()));
    let back = read(json!({ "contents": contents })).unwrap();
    assert_eq!(back.messages.len(), 2);
    assert_eq!(back.messages[1].parts, [thought, hidden, Part::text("Hi")]);
    // The field is bytes to SDKs, which decode it and write it in the other alphabet.
    let sealed = whole["candidates"][0]["content"]["parts"][0]["thoughtSignature"].as_str().unwrap();
    assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)), "{sealed}");
}

#[test]
fn what_breaks_ends_as_json() {
    let error = Error::truncated("it broke");
    for begun in [false, true] {
        let mut writer = gemini().downstream().write_stream(&cx(Framing::Array));
        let mut out = Vec::new();
        if begun {
            events(&[text_chunk("a"), last_chunk("STOP")]).unwrap().iter().take(3).for_each(|event| writer.push(event, &mut out));
        }
        writer.fail(&error, &mut out);
        writer.finish(&mut out);
        let array: Vec<Value> = serde_json::from_slice(&out).unwrap();
        assert_eq!(array.len(), 1 + usize::from(begun));
        assert_eq!(array.last().unwrap()["error"]["status"], "UNAVAILABLE");
    }
    let tail = gemini().downstream().write_stream_error(&error, &cx(Framing::Array));
    let array: Vec<Value> = serde_json::from_slice(&[b"[{}".as_slice(), &tail].concat()).unwrap();
    assert_eq!(array[1]["error"]["message"], "it broke");
}

#[test]
fn arguments_of_any_kind_become_an_object_on_one_line() {
    let written = |arguments: &str| {
        let call = Content::ToolCall { id: "c".into(), name: "f".into(), arguments: arguments.into() };
        let choice = Choice { parts: vec![call.into()], ..Choice::default() };
        let out = written(&unfold(Response { choices: vec![choice], ..Response::default() }), Framing::Sse);
        let line = out.lines().next().unwrap().strip_prefix("data: ").unwrap().to_owned();
        let frame: Value = serde_json::from_str(&line).unwrap();
        frame["candidates"][0]["content"]["parts"][0]["functionCall"]["args"].clone()
    };
    assert_eq!(written(""), json!({}));
    assert_eq!(written("{\n \"a\":\r\n 1 }"), json!({"a": 1}));
    assert_eq!(written("[1,\n2]"), json!({"arguments": [1, 2]}));
    assert_eq!(written("{\"a\": tru"), json!({"arguments": "{\"a\": tru"}));
}

#[test]
fn no_call_may_fill_the_memory() {
    let mut writer = gemini().downstream().write_stream(&cx(Framing::Sse));
    let mut out = Vec::new();
    writer.push(&Event::Start { id: "r".into(), model: "m".into(), created: None, extra: Extra::default() }, &mut out);
    let piece = Delta::Arguments("x".repeat(1 << 20));
    for part in 0..20 {
        let start = PartStart::ToolCall { id: format!("c{part}"), name: "f".into() };
        writer.push(&Event::PartStart { choice: 0, part, start }, &mut out);
        writer.push(&Event::Delta { choice: 0, part, delta: piece.clone() }, &mut out);
    }
    writer.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("16 MiB") && text.len() < 4096, "{text}");
}

#[test]
fn errors_are_told_in_the_words_of_the_service() {
    let wait = std::time::Duration::from_millis(1500);
    let mut error = Error::new(Kind::RateLimited, trunkline_codec::Origin::Gateway, "too many").at("contents");
    error.retry = Retry::After(wait);
    let body: Value = serde_json::from_slice(&gemini().downstream().write_error(&error, "req_1")).unwrap();
    assert_eq!(body["error"]["code"], 429);
    assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED");
    let details = body["error"]["details"].to_string();
    for word in ["RATE_LIMIT_EXCEEDED", "\"requestId\":\"req_1\"", "\"field\":\"contents\"", "\"retryDelay\":\"1.500s\""] {
        assert!(details.contains(word), "{word} in {details}");
    }
    let again = gemini().upstream.read_error(429, &HeaderMap::new(), body.to_string().as_bytes(), 0);
    assert_eq!((again.kind, again.retry), (Kind::RateLimited, Retry::After(wait)));
}

#[test]
fn models_and_counts_have_their_shape() {
    let model = Model { id: "house/small".into(), owner: "house".into(), created: 0 };
    let list: Value = serde_json::from_slice(&gemini().downstream().write_models(std::slice::from_ref(&model))).unwrap();
    assert_eq!(list["models"][0]["name"], "models/house/small");
    let one: Value = serde_json::from_slice(&gemini().downstream().write_model(&model)).unwrap();
    assert_eq!(one, list["models"][0]);
    let count = gemini().upstream.read_count(b"{\"totalTokens\": 31, \"promptTokensDetails\": []}").unwrap();
    assert_eq!(count.input, 31);
    assert_eq!(gemini().downstream().write_count(count), b"{\"totalTokens\":31}");
    assert_eq!(
        gemini().upstream.read_count(b"{\"error\":{\"code\":404,\"status\":\"NOT_FOUND\"}}").unwrap_err().kind,
        Kind::NotFound
    );
}

/// What a caller of another dialect may ask, and what of it gemini cannot be told.
#[test]
fn foreign_requests_are_carried_as_far_as_they_go() {
    let call = |id: &str| Content::ToolCall { id: id.into(), name: "f".into(), arguments: "{}".into() }.into();
    let result = |id: &str, parts: Vec<Part>| Content::ToolResult { id: id.into(), name: None, parts, failed: false }.into();
    let url = |url: &str| Content::Image { source: Source::Url { url: url.into(), media_type: None }, detail: None }.into();
    let message = |role, parts| Message { role, name: None, parts, extra: Extra::default() };
    let request = Request {
        model: "gemini-3-pro".into(),
        messages: vec![
            Message::text(Role::System, "One."),
            Message::text(Role::User, "Hi"),
            message(Role::Assistant, vec![call("a")]),
            message(Role::Assistant, vec![call("b")]),
            message(Role::User, vec![result("a", vec![Part::text("1"), url("https://x.example/p.png")])]),
            message(Role::User, vec![result("b", vec![Part::text("{\"n\": 2}")])]),
            Message::text(Role::System, "Two."),
            message(Role::User, vec![url("https://x.example/picture"), Part::text("?")]),
        ],
        reasoning: Some(Reasoning { effort: Some(Effort::Max), ..Reasoning::default() }),
        parallel_tools: Some(false),
        user: Some("u".into()),
        ..Request::default()
    };
    let (body, losses) = sent(&request);
    assert_eq!(body["systemInstruction"]["parts"], json!([{"text": "One."}, {"text": "Two."}]));
    assert_eq!(body["contents"][1]["parts"].as_array().unwrap().len(), 2);
    assert_eq!(
        body["contents"][2]["parts"],
        json!([
            {"functionResponse": {"id": "a", "name": "f", "response": {"result": "1"}}},
            {"functionResponse": {"id": "b", "name": "f", "response": {"n": 2}}},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/p.png"}}
        ])
    );
    assert_eq!(body["contents"][3]["parts"][0]["fileData"]["mimeType"], "image/jpeg");
    assert_eq!(body["generationConfig"]["thinkingConfig"], json!({"thinkingLevel": "HIGH"}));
    let expected =
        ["messages[6].position", "messages[7].parts[0].source.media_type", "reasoning.effort", "parallel_tools", "user"];
    assert_eq!(losses, expected);
    let lone = Request { messages: vec![Message::text(Role::System, "Alone.")], ..request };
    assert_eq!(sent(&lone).0["contents"], json!([{"role": "user", "parts": [{"text": "Alone."}]}]));
}

#[test]
fn a_models_name_leads_to_its_own_collection_only() {
    let path = |model: &str| {
        let messages = vec![Message::text(Role::User, "x")];
        let request = Request { model: model.into(), messages, stream: true, ..Request::default() };
        gemini().upstream.write_request(&request, Operation::Chat, &Quirks::default()).map(|outgoing| outgoing.path)
    };
    for (model, place) in [
        ("gemini-3-pro", "models/gemini-3-pro"),
        ("models/gemini-3-pro", "models/gemini-3-pro"),
        ("tunedModels/my-1", "tunedModels/my-1"),
        ("projects/p/locations/global/publishers/google/models/m@1", "projects/p/locations/global/publishers/google/models/m@1"),
        ("house/größe 1", "models/house/gr%C3%B6%C3%9Fe%201"),
    ] {
        assert_eq!(path(model).unwrap(), format!("/v1beta/{place}:streamGenerateContent?alt=sse"));
    }
    for model in ["", "..", "a/../b", "a//b", "/a", "a?key=x", "a#b", "a%2fb", "a\\b", "a\nb"] {
        assert!(path(model).is_err(), "{model:?}");
    }
}

#[test]
fn media_that_a_provider_refuses_is_a_loss() {
    let request =
        read(json!({"contents": [{"parts": [{"text": "x"}, {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]}]}));
    let mut quirks = Quirks::default();
    quirks.refuses.push("audio".into());
    let out = gemini().upstream.write_request(&request.unwrap(), Operation::Chat, &quirks).unwrap();
    assert_eq!(out.body, b"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}]}");
    assert_eq!(out.losses.iter().next().unwrap().field, "messages[0].parts[1]");
}
