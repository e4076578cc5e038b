//! What providers say whose dialects no caller speaks.

use serde_json::{Value, json};

use super::Feature;
use super::reply::{End, Piece, Sample};
use Piece::{Call, Text, Thought};

pub(crate) const NAMES: [&str; 4] = ["dashscope", "hunyuan", "qianfan", "spark"];

/// What a dialect can answer with at all.
pub(crate) fn can_answer(dialect: &str, sample: &Sample) -> bool {
    let calls = sample.pieces.iter().filter(|piece| matches!(piece, Call(..))).count();
    let thinks = sample.pieces.iter().any(|piece| matches!(piece, Thought(..)));
    match dialect {
        "dashscope" => sample.end != End::Refused,
        "hunyuan" => sample.end != End::Length,
        "qianfan" => calls < 2 && !thinks,
        _ => calls < 2 && sample.end == End::Stop,
    }
}

fn calls(sample: &Sample) -> bool {
    sample.pieces.iter().any(|piece| matches!(piece, Call(..)))
}

fn arguments(city: &str) -> String {
    json!({"city": city}).to_string()
}

fn end(dialect: &str, sample: &Sample) -> &'static str {
    match (sample.end, dialect) {
        (End::Stop, "qianfan") if calls(sample) => "function_call",
        (End::Stop, "qianfan") => "normal",
        (End::Stop, _) if calls(sample) => "tool_calls",
        (End::Stop, _) => "stop",
        (End::Length, _) => "length",
        (End::Refused, "hunyuan") => "sensitive",
        (End::Refused, _) => "content_filter",
    }
}

/// The pieces of an answer, each as the fields that it adds; texts in one piece or in two.
fn deltas(dialect: &str, sample: &Sample, cut: bool) -> Vec<Value> {
    let mut out = Vec::new();
    for piece in sample.pieces {
        match (piece, dialect) {
            (Text(first, second), _) => {
                let key = if dialect == "hunyuan" { "Content" } else { "content" };
                let texts = if cut { vec![(*first).to_owned(), (*second).to_owned()] } else { vec![format!("{first}{second}")] };
                out.extend(texts.into_iter().map(|text| json!({key: text})));
            }
            (Thought(text, _), "hunyuan") => out.push(json!({"ReasoningContent": text})),
            (Thought(text, _), _) => out.push(json!({"reasoning_content": text})),
            (Call(id, city), "dashscope") => out.push(json!({"tool_calls": [{"id": format!("call_{id}"), "type": "function",
                "function": {"name": "weather", "arguments": arguments(city)}}]})),
            (Call(id, city), "hunyuan") => out.push(json!({"ToolCalls": [{"Id": format!("call_{id}"), "Type": "function",
                "Function": {"Name": "weather", "Arguments": arguments(city)}}]})),
            (Call(_, city), _) => out.push(json!({"function_call": {"name": "weather", "arguments": arguments(city)}})),
        }
    }
    out
}

/// All pieces as one message: lists grow, texts do not come twice.
fn message(dialect: &str, sample: &Sample) -> Value {
    let mut all = json!({});
    for delta in deltas(dialect, sample, false) {
        for (key, value) in delta.as_object().unwrap() {
            match (all.get_mut(key).and_then(Value::as_array_mut), value) {
                (Some(list), Value::Array(more)) => list.extend(more.clone()),
                _ => all[key] = value.clone(),
            }
        }
    }
    all
}

fn usage(dialect: &str, sample: &Sample) -> Value {
    let cached = if sample.cached { 60 } else { 0 };
    match dialect {
        "dashscope" => json!({"input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": cached}}),
        "hunyuan" => json!({"PromptTokens": 100, "CompletionTokens": 20, "TotalTokens": 120,
            "PromptTokensDetails": {"CachedTokens": cached}}),
        _ => json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}),
    }
}

/// One message or frame. `said` are the fields of what is said, `last`: with the end and the usage.
fn wrap(dialect: &str, said: Value, sample: &Sample, last: bool, whole: bool) -> Value {
    match dialect {
        "dashscope" => {
            let end = if last { end(dialect, sample) } else { "null" };
            let mut said = said;
            said["role"] = json!("assistant");
            json!({"request_id": "r1", "output": {"choices": [{"message": said, "finish_reason": end}]},
                "usage": usage(dialect, sample)})
        }
        "hunyuan" => {
            let end = if last { end(dialect, sample) } else { "" };
            let mut said = said;
            said["Role"] = json!("assistant");
            let key = if whole { "Message" } else { "Delta" };
            let reply = json!({"Note": "n", "Id": "r1", "Created": 1700000000, "Choices": [{"FinishReason": end, key: said}],
                "Usage": usage(dialect, sample)});
            if whole { json!({"Response": reply}) } else { reply }
        }
        "qianfan" => {
            let mut reply = json!({"id": "as-1", "object": "chat.completion", "created": 1700000000,
                "result": said.get("content").cloned().unwrap_or(json!("")), "need_clear_history": false,
                "usage": usage(dialect, sample)});
            if let Some(call) = said.get("function_call") {
                reply["function_call"] = call.clone();
            }
            if !whole {
                reply["is_end"] = json!(last);
            }
            if last {
                reply["finish_reason"] = json!(end(dialect, sample));
            }
            reply
        }
        "spark" => {
            let mut said = said;
            said["role"] = json!("assistant");
            said["index"] = json!(0);
            let status = if last { 2 } else { 1 };
            let mut payload = json!({"choices": {"status": status, "seq": 1, "text": [said]}});
            if last {
                payload["usage"] = json!({"text": usage(dialect, sample)});
            }
            json!({"header": {"code": 0, "message": "Success", "sid": "r1", "status": status}, "payload": payload})
        }
        other => panic!("write down what {other} answers"),
    }
}

/// A whole answer.
pub(crate) fn whole(dialect: &str, sample: &Sample) -> Value {
    wrap(dialect, message(dialect, sample), sample, true, true)
}

/// A streamed answer.
pub(crate) fn stream(dialect: &str, sample: &Sample) -> String {
    let frame = |said: Value, last: bool| {
        let frame = wrap(dialect, said, sample, last, false);
        match dialect {
            "spark" => format!("{frame}\n"),
            "dashscope" => format!("id:1\nevent:result\n:HTTP_STATUS/200\ndata:{frame}\n\n"),
            _ => format!("data: {frame}\n\n"),
        }
    };
    let last = if dialect == "hunyuan" { json!({"Content": ""}) } else { json!({"content": ""}) };
    let pieces: String = deltas(dialect, sample, true).into_iter().map(|said| frame(said, false)).collect();
    pieces + &frame(last, true)
}

/// A refused request.
pub(crate) fn error(dialect: &str, status: u16) -> Value {
    let message = "no, not now";
    let at = [429, 400, 401].iter().position(|known| *known == status).unwrap_or(3);
    match dialect {
        "dashscope" => {
            let code = ["Throttling.RateQuota", "InvalidParameter", "InvalidApiKey", "ModelServingError"][at];
            json!({"code": code, "message": message, "request_id": "r1"})
        }
        "hunyuan" => {
            let code =
                ["RequestLimitExceeded", "InvalidParameter", "AuthFailure.SignatureFailure", "FailedOperation.EngineServerError"]
                    [at];
            json!({"Response": {"RequestId": "r1", "Error": {"Code": code, "Message": message}}})
        }
        "qianfan" => json!({"error_code": ([18, 336003, 110, 336100][at]), "error_msg": message, "id": "as-1"}),
        // So the opening handshake is refused.
        "spark" => json!({"message": message}),
        other => panic!("write down an error of {other}"),
    }
}

/// The same within a stream that began well.
pub(crate) fn error_frame(dialect: &str) -> Option<String> {
    let body = error(dialect_or(dialect)?, 429);
    Some(match dialect {
        "dashscope" => format!("id:2\nevent:error\n:HTTP_STATUS/429\ndata:{body}\n\n"),
        "hunyuan" => format!("data: {}\n\n", json!({"Note": "n", "ErrorMsg": {"Msg": "no, not now", "Code": 4001}})),
        "spark" => format!("{}\n", json!({"header": {"code": 11202, "message": "no, not now", "sid": "r1", "status": 2}})),
        _ => format!("data: {body}\n\n"),
    })
}

fn dialect_or(dialect: &str) -> Option<&str> {
    NAMES.contains(&dialect).then_some(dialect)
}

/// What must stand in the body that a provider is sent.
pub(crate) fn must_stand(provider: &str, feature: Feature, schema: &Value, picture: &str) -> Vec<(&'static str, Value)> {
    let arguments = json!(arguments("Bonn"));
    match (provider, feature) {
        ("dashscope", Feature::Text) => vec![
            ("/model", json!("some-model")),
            ("/parameters/temperature", json!(0.5)),
            ("/parameters/stop/0", json!("END")),
            ("/parameters/result_format", json!("message")),
        ],
        ("dashscope", Feature::Tools) => vec![
            ("/parameters/tools/0/function/parameters", schema.clone()),
            ("/parameters/tool_choice", json!("required")),
            ("/input/messages/1/tool_calls/0/function/arguments", arguments),
            ("/input/messages/2/role", json!("tool")),
            ("/input/messages/3/content", json!("sun")),
        ],
        ("dashscope", Feature::Images) => vec![("/input/messages/0/content/1/image", json!(picture))],
        ("dashscope", Feature::Structured) => vec![("/parameters/response_format/json_schema/schema", schema.clone())],
        ("dashscope", Feature::Reasoning) => vec![("/parameters/enable_thinking", json!(true))],
        ("hunyuan", Feature::Text) => vec![("/Temperature", json!(0.5)), ("/Stop/0", json!("END"))],
        ("hunyuan", Feature::Tools) => vec![
            ("/Tools/0/Function/Parameters", json!(schema.to_string())),
            ("/Messages/1/ToolCalls/0/Function/Arguments", arguments),
            ("/Messages/2/Role", json!("tool")),
            ("/Messages/3/Content", json!("sun")),
        ],
        ("hunyuan", Feature::Images) => vec![("/Messages/0/Contents/1/ImageUrl/Url", json!(picture))],
        ("hunyuan", Feature::Reasoning) => vec![("/EnableThinking", json!(true))],
        ("qianfan", Feature::Text) => vec![("/temperature", json!(0.5)), ("/stop/0", json!("END"))],
        ("qianfan", Feature::Tools) => vec![
            ("/functions/0/parameters", schema.clone()),
            ("/messages/1/function_call/arguments", arguments),
            ("/messages/2/role", json!("function")),
            ("/messages/2/content", json!("rain")),
            ("/messages/4/content", json!("sun")),
        ],
        ("qianfan", Feature::Structured) => vec![("/response_format", json!("json_object"))],
        ("spark", Feature::Text) => vec![
            ("/parameter/chat/domain", json!("some-model")),
            ("/parameter/chat/temperature", json!(0.5)),
            ("/header/app_id", json!("")),
        ],
        ("spark", Feature::Tools) => vec![
            ("/payload/functions/text/0/parameters", schema.clone()),
            ("/payload/message/text/1/function_call/arguments", arguments),
            ("/payload/message/text/4/content", json!("sun")),
        ],
        ("spark", Feature::Reasoning) => vec![("/parameter/chat/thinking/type", json!("enabled"))],
        _ => Vec::new(),
    }
}

/// Where losses of what a feature is about stand.
pub(crate) fn about(feature: Feature) -> &'static [&'static str] {
    match feature {
        Feature::Text => &["messages", "sampling", "stop"],
        Feature::Tools => &["messages", "tools", "tool_choice"],
        Feature::Images => &["messages"],
        Feature::Structured => &["format"],
        Feature::Reasoning => &["messages", "reasoning"],
        _ => &[],
    }
}
