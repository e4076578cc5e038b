//! Rearranging what openai-chat wrote.

use serde_json::{Map, Value, json};

use super::Chat;

/// The text of a message's content; parts that are no text are reported.
fn take_text(message: &mut Map<String, Value>, at: usize, chat: &mut Chat) -> String {
    match message.shift_remove("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => {
            let mut texts = Vec::new();
            for part in parts {
                match part.get("text").and_then(Value::as_str) {
                    Some(text) => texts.push(text.to_owned()),
                    None => chat.lose(format!("messages[{at}].parts")),
                }
            }
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// Calls of tools in the older form that knows one call a message and no ids: each call is followed by its result, and one
/// that has none is reported. Contents become text.
pub(crate) fn pair_functions(messages: Vec<Value>, chat: &mut Chat) -> Vec<Value> {
    let mut out = Vec::with_capacity(messages.len());
    let mut open = Open::default();
    for (at, message) in messages.into_iter().enumerate() {
        let Value::Object(mut message) = message else { continue };
        let text = take_text(&mut message, at, chat);
        let role = message.get("role").and_then(Value::as_str).unwrap_or("user").to_owned();
        if role == "tool" {
            let function = open.answer(message.get("tool_call_id"), &mut out);
            let name = function.get("name").or(message.get("name")).cloned().unwrap_or_else(|| "tool".into());
            out.push(json!({ "role": "function", "name": name, "content": text }));
            continue;
        }
        open.close(&mut out, chat);
        match message.shift_remove("tool_calls") {
            Some(Value::Array(calls)) if !calls.is_empty() => open = Open { at, calls, said: Some(text) },
            _ => out.push(json!({ "role": role, "content": text })),
        }
    }
    open.close(&mut out, chat);
    out
}

/// Calls that wait for their results.
#[derive(Default)]
struct Open {
    /// The message that they stood in.
    at: usize,
    calls: Vec<Value>,
    /// What was said beside them goes with the first that is answered.
    said: Option<String>,
}

impl Open {
    /// Writes the call of this id, if it is known, and says which function it was of.
    fn answer(&mut self, id: Option<&Value>, out: &mut Vec<Value>) -> Value {
        let Some(found) = self.calls.iter().position(|call| call.get("id") == id) else { return Value::Null };
        let function = self.calls.remove(found).get_mut("function").map(Value::take).unwrap_or_default();
        out.push(json!({ "role": "assistant", "content": self.said.take().unwrap_or_default(), "function_call": function }));
        function
    }

    /// The conversation went on without the other results.
    fn close(&mut self, out: &mut Vec<Value>, chat: &mut Chat) {
        if !self.calls.is_empty() {
            self.calls.clear();
            chat.losses.add(format!("messages[{}].parts", self.at), "a call that has no result cannot be told");
        }
        if let Some(text) = self.said.take().filter(|text| !text.is_empty()) {
            out.push(json!({ "role": "assistant", "content": text }));
        }
    }
}

/// Turns of one role that follow one another and hold nothing but text become one, their texts a blank line apart: some providers insist that
/// roles alternate. `alike` says which may.
pub(crate) fn merge_turns(messages: Vec<Value>, alike: &[&str]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::with_capacity(messages.len());
    for message in messages {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        let is_plain = |turn: &Value| turn.as_object().is_some_and(|turn| turn.len() == 2);
        let is_alike = is_plain(&message) && alike.contains(&role);
        let last = out.last_mut().filter(|last| is_alike && is_plain(last) && last.get("role") == message.get("role"));
        match (last, message.get("content")) {
            (Some(last), Some(Value::String(more))) if last.get("content").is_some_and(Value::is_string) => {
                if let Some(Value::String(text)) = last.get_mut("content") {
                    text.push_str("\n\n");
                    text.push_str(more);
                }
            }
            _ => out.push(message),
        }
    }
    out
}

/// Keys in the other spelling: `tool_call_id` becomes `ToolCallId`.
pub(crate) fn camel(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(camel).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (camel_key(&key), camel(value))).collect(),
        other => other,
    }
}

fn camel_key(key: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    key.split('_').map(word).collect()
}
