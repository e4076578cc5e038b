//! Requests.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::super::Outgoing;
use super::super::native::{Chat, merge_turns, pair_functions};
use crate::catalog::Quirks;
use crate::ir::Request;

/// Rearranges a request.
pub(super) fn write_request(mut chat: Chat, request: &Request, quirks: &Quirks) -> Outgoing {
    chat.take("model");
    let messages = chat.take_list("messages");
    let turns = pair_functions(messages, &mut chat);
    let role = |turn: &Value, role: &str| turn.get("role").and_then(Value::as_str) == Some(role);
    let (system, turns): (Vec<Value>, Vec<Value>) = turns.into_iter().partition(|turn| role(turn, "system"));
    let mut body = Map::new();
    body.insert("messages".to_owned(), merge_turns(turns, &["user", "assistant"]).into());
    let texts: Vec<&str> = system.iter().filter_map(|turn| turn.get("content")?.as_str()).collect();
    if !texts.is_empty() {
        body.insert("system".to_owned(), texts.join("\n\n").into());
    }
    chat.pass("max_tokens", &mut body, "max_output_tokens");
    chat.pass("user", &mut body, "user_id");
    let tools = chat.take_list("tools");
    let functions: Vec<Value> = tools.into_iter().filter_map(|mut tool| tool.get_mut("function").map(Value::take)).collect();
    if !functions.is_empty() {
        body.insert("functions".to_owned(), functions.into());
    }
    // `auto` is what happens anyway.
    match chat.take("tool_choice") {
        Some(choice) if choice.is_object() => drop(body.insert("tool_choice".to_owned(), choice)),
        _ => {}
    }
    if let Some(format) = chat.take("response_format") {
        body.extend(format.get("type").cloned().map(|word| ("response_format".to_owned(), word)));
    }
    body.extend(std::mem::take(&mut chat.fields));
    let endpoint = quirks.endpoint(&request.model).map_or_else(|| request.model.to_lowercase(), str::to_owned);
    chat.finish(format!("/chat/{endpoint}"), HeaderMap::new(), &Value::Object(body))
}
