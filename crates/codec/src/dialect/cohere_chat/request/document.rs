//! Documents: objects of any members on the wire, texts with a title in the canonical request.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::super::NAME;
use crate::dialect::fault::read_text;
use crate::dialect::fields::Fields;
use crate::error::Result;
use crate::ir::{Content, Extra, Part, Source};

/// Members that are the text itself.
const TEXTS: [&str; 3] = ["text", "snippet", "content"];

/// Reads a text, or an object with `data` and `id`.
pub(super) fn read(raw: &RawValue, at: &str, cite: Option<bool>) -> Result<Part> {
    if raw.get().starts_with('"') {
        let text = read_text(raw.get(), at)?;
        return Ok(Content::Document { source: Source::Text { text }, title: None, cite }.into());
    }
    let mut fields = Fields::of(raw, at)?;
    let data: Map<String, Value> = fields.need("data")?;
    let (text, title, plain) = describe(&data);
    let mut extra = fields.rest(NAME).fields;
    if !plain {
        extra.insert("data".to_owned(), Value::Object(data));
    }
    let content = Content::Document { source: Source::Text { text }, title, cite };
    Ok(Part { extra: Extra::new(NAME, extra), ..content.into() })
}

/// Text and title, and whether they are all that there is.
fn describe(data: &Map<String, Value>) -> (String, Option<String>, bool) {
    let title = data.get("title").and_then(Value::as_str).map(str::to_owned);
    let others: Vec<(&String, &Value)> = data.iter().filter(|(key, _)| title.is_none() || *key != "title").collect();
    if let [(key, Value::String(text))] = others.as_slice()
        && TEXTS.contains(&key.as_str())
    {
        return (text.clone(), title, *key == TEXTS[0]);
    }
    let line = |(key, value): &(&String, &Value)| match value {
        Value::String(text) => format!("{key}: {text}"),
        other => format!("{key}: {other}"),
    };
    (others.iter().map(line).collect::<Vec<_>>().join("\n"), title, false)
}

/// Writes a document that is text; `None` for any other.
pub(super) fn write(part: &Part) -> Option<Value> {
    let Content::Document { source: Source::Text { text }, title, .. } = &part.content else { return None };
    let own = part.extra.of(NAME);
    let mut data = Map::new();
    data.extend(title.as_ref().map(|title| ("title".to_owned(), Value::from(title.as_str()))));
    data.insert(TEXTS[0].to_owned(), Value::from(text.as_str()));
    let mut document = json!({ "data": data });
    if let (Some(object), Some(own)) = (document.as_object_mut(), own) {
        object.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    Some(document)
}
