//! Where a piece of an answer comes from, both ways.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::NAME;
use crate::dialect::openai_chat::wire::list_of;
use crate::ir::{Citation, Raw};

/// More than these are an attack on our memory.
pub(super) const MOST: usize = 1024;

/// What a citation is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The block of content with this index; none is said where there is just one.
    Block(Option<usize>),
    /// The plan.
    Plan,
    /// Thinking, which has no citations here.
    Thinking,
}

/// A list of citations, or a single one.
pub(super) fn read(raw: Option<&RawValue>) -> impl Iterator<Item = (Place, Citation)> {
    list_of::<Map<String, Value>>(raw).into_iter().take(MOST).map(|citation| (place(&citation), read_one(&citation)))
}

fn place(citation: &Map<String, Value>) -> Place {
    let index = citation.get("content_index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
    match citation.get("type").and_then(Value::as_str) {
        Some("PLAN") => Place::Plan,
        Some("THINKING_CONTENT") => Place::Thinking,
        _ => Place::Block(index),
    }
}

fn read_one(citation: &Map<String, Value>) -> Citation {
    let source = citation.get("sources").and_then(Value::as_array).and_then(|sources| sources.first());
    let inner = source.and_then(|source| source.get("document").or_else(|| source.get("tool_output")));
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| inner?.get(*name)?.as_str());
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let id = || source.and_then(|source| source.get("id")?.as_str()).map(str::to_owned);
    Citation {
        url: text(&["url"]),
        title: text(&["title"]).or_else(id),
        cited_text: text(&["snippet", "text", "content"]),
        start: citation.get("start").and_then(Value::as_u64),
        end: citation.get("end").and_then(Value::as_u64),
        from: NAME,
        raw: Some(Raw::of(citation)),
    }
}

/// Writes one about `text`, the answer's text so far, in the block with this index.
pub(super) fn write(citation: &Citation, text: &str, index: usize) -> Value {
    if let (NAME, Some(raw)) = (citation.from, &citation.raw) {
        return raw.value();
    }
    #[derive(Serialize)]
    struct Document<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        snippet: Option<&'a str>,
    }
    let (title, url, snippet) = (citation.title.as_deref(), citation.url.as_deref(), citation.cited_text.as_deref());
    let document = Document { title, url, snippet };
    let letters = text.chars().count() as u64;
    let (start, end) = (citation.start.unwrap_or(0), citation.end.unwrap_or(letters));
    let length = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
    let words: String = text.chars().skip(usize::try_from(start).unwrap_or(usize::MAX)).take(length).collect();
    let source = json!({ "type": "document", "id": url.or(title).unwrap_or_default(), "document": document });
    json!({ "start": start, "end": end, "text": words, "sources": [source], "content_index": index, "type": "TEXT_CONTENT" })
}
