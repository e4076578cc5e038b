//! What tools are given and what they give back: objects on the wire, texts in the canonical call.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::gemini::text::{Object, put};
use crate::dialect::gemini::wire::value;
use crate::ir::{Content, Part};

/// Writes the arguments of a call as an object; false when they had to be wrapped to be one.
pub(crate) fn put_arguments(arguments: &str, out: &mut Vec<u8>) -> bool {
    let text = arguments.trim();
    if text.is_empty() {
        out.extend_from_slice(b"{}");
        return true;
    }
    let whole = serde_json::from_str::<&RawValue>(text).ok();
    match whole {
        Some(raw) if text.starts_with('{') => put(out, raw),
        Some(raw) => wrap("arguments", raw, out),
        None => wrap("arguments", arguments, out),
    }
    whole.is_some_and(|_| text.starts_with('{'))
}

fn wrap(key: &str, value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    object.put(key, value);
    object.end();
}

/// The text of a tool's result, and whether the tool failed: `{"result": "text"}` and `{"error": …}` are unwrapped,
/// any other object is the text.
pub(super) fn read_response(response: Option<&RawValue>) -> (String, bool) {
    let Some(response) = response else { return ("{}".to_owned(), false) };
    let tree = value(response);
    let only = tree.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.iter().next());
    match only {
        Some((key, Value::String(text))) if key == "result" || key == "error" => (text.clone(), key == "error"),
        Some((key, error)) if key == "error" => (error.to_string(), true),
        _ => (response.get().to_owned(), false),
    }
}

/// What a tool gave back, as the object that `response` must be.
pub(super) fn put_outcome(parts: &[Part], failed: bool, out: &mut Vec<u8>) {
    let mut texts = parts.iter().filter_map(|part| match &part.content {
        Content::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let first = texts.next().unwrap_or_default();
    let text = texts.fold(Cow::Borrowed(first), |before, text| Cow::Owned(format!("{before}\n{text}")));
    let object = Some(text.trim()).filter(|text| text.starts_with('{'));
    let object = object.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    match (object, failed) {
        (Some(object), false) => put(out, object),
        (Some(object), true) => wrap("error", object, out),
        (None, true) => wrap("error", &text, out),
        (None, false) => wrap("result", &text, out),
    }
}
