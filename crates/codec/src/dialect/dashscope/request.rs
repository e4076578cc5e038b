//! Requests.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::super::Outgoing;
use super::super::native::Chat;
use crate::catalog::Quirks;
use crate::ir::Request;

/// The kinds of content that text models do not take.
const MEDIA: [&str; 3] = ["image_url", "video_url", "input_audio"];

/// Rearranges a request: the conversation under `input`, all else under `parameters`.
pub(super) fn write_request(mut chat: Chat, request: &Request, quirks: &Quirks) -> Outgoing {
    let model = chat.take("model").unwrap_or_default();
    let mut messages = chat.take_list("messages");
    let kind = match quirks.endpoint(&request.model) {
        Some(kind) => kind.to_owned(),
        None if messages.iter().any(holds_media) => "multimodal".to_owned(),
        None => "text".to_owned(),
    };
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        if kind == "multimodal" { spread(message) } else { flatten(message) }
    }
    let is_stream = chat.take("stream").is_some();
    let mut parameters = std::mem::take(&mut chat.fields);
    parameters.insert("result_format".to_owned(), "message".into());
    let mut headers = HeaderMap::new();
    if is_stream {
        parameters.insert("incremental_output".to_owned(), true.into());
        headers.insert(HeaderName::from_static("x-dashscope-sse"), HeaderValue::from_static("enable"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    }
    let body = json!({ "model": model, "input": { "messages": messages }, "parameters": parameters });
    chat.finish(format!("/services/aigc/{kind}-generation/generation"), headers, &body)
}

fn holds_media(message: &Value) -> bool {
    let parts = message.get("content").and_then(Value::as_array);
    let is_media = |part: &Value| part.get("type").and_then(Value::as_str).is_some_and(|kind| MEDIA.contains(&kind));
    parts.is_some_and(|parts| parts.iter().any(is_media))
}

/// Parts whose one key is their kind: `{"image": "…"}`, `{"text": "…"}`.
fn spread(message: &mut Map<String, Value>) {
    let Some(content) = message.get_mut("content") else { return };
    let parts = match content.take() {
        Value::Array(parts) => parts.into_iter().map(spread_part).collect(),
        Value::String(text) => vec![json!({ "text": text })],
        _ => Vec::new(),
    };
    *content = Value::Array(parts);
}

fn spread_part(part: Value) -> Value {
    let inner = |outer: &str, key: &str| part.get(outer).and_then(|inner| inner.get(key)).cloned().unwrap_or_default();
    match part.get("type").and_then(Value::as_str) {
        Some("text") => json!({ "text": part.get("text") }),
        Some("image_url") => json!({ "image": inner("image_url", "url") }),
        Some("video_url") => json!({ "video": inner("video_url", "url") }),
        Some("input_audio") => {
            let (data, format) = (inner("input_audio", "data"), inner("input_audio", "format"));
            let (data, format) = (data.as_str().unwrap_or_default(), format.as_str().unwrap_or("wav"));
            json!({ "audio": format!("data:audio/{format};base64,{data}") })
        }
        _ => part,
    }
}

/// Texts in parts become one text.
fn flatten(message: &mut Map<String, Value>) {
    if let Some(content @ Value::Array(_)) = message.get_mut("content") {
        let texts = content.as_array().into_iter().flatten().filter_map(|part| part.get("text")?.as_str());
        *content = texts.collect::<Vec<_>>().join("\n").into();
    }
    // Beside tool calls nothing need be said, but the field must be there.
    if let Some(content @ Value::Null) = message.get_mut("content") {
        *content = "".into();
    }
}
