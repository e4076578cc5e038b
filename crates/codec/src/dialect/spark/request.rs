//! Requests.

use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::super::Outgoing;
use super::super::native::{Chat, pair_functions};
use crate::catalog::Quirks;
use crate::ir::Request;

/// The longest name of a user, in characters.
const UID_MAX: usize = 32;

/// Rearranges a request. The application's id in the header is the provider's to fill in.
pub(super) fn write_request(mut chat: Chat, request: &Request, quirks: &Quirks) -> Outgoing {
    let mut header = Map::new();
    header.insert("app_id".to_owned(), "".into());
    match chat.take("user") {
        Some(Value::String(user)) if user.chars().count() <= UID_MAX => drop(header.insert("uid".to_owned(), user.into())),
        Some(_) => chat.lose("user"),
        None => {}
    }
    let messages = chat.take_list("messages");
    let text = pair_functions(messages, &mut chat);
    let mut payload = Map::new();
    payload.insert("message".to_owned(), json!({ "text": text }));
    let tools = chat.take_list("tools");
    let functions: Vec<Value> = tools.into_iter().filter_map(|mut tool| tool.get_mut("function").map(Value::take)).collect();
    if !functions.is_empty() {
        payload.insert("functions".to_owned(), json!({ "text": functions }));
    }
    let mut parameters = Map::new();
    chat.pass("model", &mut parameters, "domain");
    // Every answer is a stream.
    chat.take("stream");
    parameters.extend(std::mem::take(&mut chat.fields));
    let endpoint = quirks.endpoint(&request.model).map_or_else(|| format!("chat/{}", request.model), str::to_owned);
    let body = json!({ "header": header, "parameter": { "chat": parameters }, "payload": payload });
    Outgoing { method: Method::GET, ..chat.finish(format!("/{endpoint}"), HeaderMap::new(), &body) }
}
