//! Requests.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::super::Outgoing;
use super::super::native::{Chat, camel, merge_turns};

/// Rearranges a request.
pub(super) fn write_request(mut chat: Chat) -> Outgoing {
    chat.drop("max_tokens", "max_tokens");
    chat.drop("max_completion_tokens", "max_tokens");
    chat.drop("thinking_budget", "reasoning.budget");
    if chat.fields.get("seed").is_some_and(|seed| !seed.as_i64().is_some_and(|seed| (1..=10_000).contains(&seed))) {
        chat.drop("seed", "sampling.seed");
    }
    let messages = write_messages(&mut chat);
    let choice = chat.take("tool_choice");
    let tools: Vec<Value> = chat.take_list("tools").into_iter().filter_map(write_tool).collect();
    let mut body = Map::new();
    let mut move_field = |name: &str, key: &str, chat: &mut Chat| chat.pass(name, &mut body, key);
    move_field("model", "Model", &mut chat);
    move_field("stream", "Stream", &mut chat);
    let rest = camel(Value::Object(std::mem::take(&mut chat.fields)));
    body.insert("Messages".to_owned(), Value::Array(messages));
    if let Value::Object(rest) = rest {
        body.extend(rest);
    }
    write_choice(choice, &tools, &mut body);
    if !tools.is_empty() {
        body.insert("Tools".to_owned(), Value::Array(tools));
    }
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-tc-action"), HeaderValue::from_static("ChatCompletions"));
    headers.insert(HeaderName::from_static("x-tc-version"), HeaderValue::from_static("2023-09-01"));
    chat.finish("/".to_owned(), headers, &Value::Object(body))
}

/// One system text, and it comes first; then the roles alternate.
fn write_messages(chat: &mut Chat) -> Vec<Value> {
    let is_system = |message: &Value| message.get("role").and_then(Value::as_str) == Some("system");
    let (mut system, others): (Vec<Value>, Vec<Value>) = chat.take_list("messages").into_iter().partition(is_system);
    system.iter_mut().filter_map(Value::as_object_mut).for_each(|message| {
        if let Some(Value::Array(parts)) = message.get("content") {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            message.insert("content".to_owned(), texts.join("\n\n").into());
        }
    });
    let all = system.into_iter().chain(others).collect();
    merge_turns(all, &["system", "user", "assistant"]).into_iter().map(write_message).collect()
}

fn write_message(message: Value) -> Value {
    let Value::Object(mut message) = message else { return message };
    match message.get_mut("content") {
        Some(Value::Array(_)) => {
            if let Some(parts) = message.shift_remove("content") {
                message.insert("contents".to_owned(), parts);
            }
        }
        Some(content @ Value::Null) => *content = "".into(),
        _ => {}
    }
    camel(Value::Object(message))
}

/// A tool whose schema is JSON text.
fn write_tool(mut tool: Value) -> Option<Value> {
    let parameters = tool.get_mut("function")?.get_mut("parameters")?;
    *parameters = parameters.to_string().into();
    Some(camel(tool))
}

/// A tool that must be called is told whole.
fn write_choice(choice: Option<Value>, tools: &[Value], body: &mut Map<String, Value>) {
    let Some(choice) = choice else { return };
    let Some(name) = choice.get("function").and_then(|function| function.get("name")) else {
        body.insert("ToolChoice".to_owned(), choice);
        return;
    };
    let named = |tool: &&Value| tool.get("Function").and_then(|function| function.get("Name")) == Some(name);
    if let Some(tool) = tools.iter().find(named) {
        body.insert("ToolChoice".to_owned(), "custom".into());
        body.insert("CustomTool".to_owned(), tool.clone());
    }
}
