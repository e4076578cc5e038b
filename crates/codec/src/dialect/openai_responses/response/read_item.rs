//! The items of a provider's answer.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::wire::{Item, Piece, text, word};
use super::super::{NAME, seal};
use crate::dialect::openai_chat::free_text::wrap_input;
use crate::dialect::openai_chat::response::{read_arguments, read_tokens};
use crate::dialect::openai_chat::wire::{Function, Scalar, list_of};
use crate::ir::{Choice, Citation, Content, Extra, Part, Raw, Signature, Source};

/// Reads the item at `index` of an answer's output; one that we do not understand stays as it came.
pub(super) fn read_item(raw: &RawValue, index: usize, choice: &mut Choice) {
    let Ok(item) = serde_json::from_str::<Item<'_>>(raw.get()) else {
        return choice.parts.push(foreign(raw));
    };
    match text(&item.r#type) {
        "message" => {
            for (_, raw, piece) in pieces_of(&item) {
                choice.logprobs.extend(read_tokens(piece.logprobs));
                choice.parts.push(read_piece(raw, &piece));
            }
        }
        "reasoning" => {
            let (signature, content, extra) = read_reasoning(&item);
            choice.parts.push(Part { content, cache: None, signature, extra: Extra::new(NAME, extra) });
        }
        "function_call" | "custom_tool_call" => choice.parts.push(read_call(&item, index)),
        _ => choice.parts.push(read_whole(raw)),
    }
}

/// The pieces of a message with their places.
pub(crate) fn pieces_of<'a>(item: &Item<'a>) -> impl Iterator<Item = (u64, &'a RawValue, Piece<'a>)> {
    let pieces: Vec<&'a RawValue> = list_of(item.content);
    (0..).zip(pieces).map(|(at, raw)| (at, raw, serde_json::from_str(raw.get()).unwrap_or_default()))
}

/// What a piece of a message says; one that we do not understand stays as it came.
fn read_piece(raw: &RawValue, piece: &Piece<'_>) -> Part {
    match kind_of(piece) {
        Some(PieceKind::Refusal) => Content::Refusal { text: text(&piece.refusal).to_owned() }.into(),
        Some(PieceKind::Text) => {
            Content::Text { text: text(&piece.text).to_owned(), citations: read_annotations(piece.annotations) }.into()
        }
        None => foreign(raw),
    }
}

/// The kinds of pieces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PieceKind {
    Text,
    Refusal,
}

/// What a piece is; `None` for what we do not understand.
pub(crate) fn kind_of(piece: &Piece<'_>) -> Option<PieceKind> {
    match (text(&piece.r#type), &piece.text, &piece.refusal) {
        ("refusal", _, Some(_)) => Some(PieceKind::Refusal),
        ("output_text" | "text" | "", Some(_), _) => Some(PieceKind::Text),
        _ => None,
    }
}

/// Thinking: what must come back with it, what is shown of it, and how that stood there.
///
/// What stands in `encrypted_content` stays sealed: a provider's word is its own, and goes back to it as it came.
pub(crate) fn read_reasoning(item: &Item<'_>) -> (Option<Signature>, Content, Map<String, Value>) {
    let id = word(&item.id).unwrap_or_default();
    let signature = word(&item.encrypted_content).map(|state| seal::join(&id, &state));
    let (text, extra) = read_thoughts(item.summary, item.content);
    (signature, Content::Reasoning { text, redacted: false }, extra)
}

/// The text of thinking: its summaries or, where there are none, its own words; and what else the two lists tell.
pub(crate) fn read_thoughts(summary: Option<&RawValue>, content: Option<&RawValue>) -> (String, Map<String, Value>) {
    let texts = |raw| {
        let pieces: Vec<Piece<'_>> = list_of(raw);
        let texts = pieces.iter().map(|piece| text(&piece.text).to_owned()).filter(|text| !text.is_empty());
        texts.collect::<Vec<String>>()
    };
    let value = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Value::Null);
    let (summaries, own) = (texts(summary), texts(content));
    let mut extra = Map::new();
    if summaries.is_empty() && !own.is_empty() {
        extra.insert("content".to_owned(), value(content));
        return (own.join("\n\n"), extra);
    }
    if summaries.len() > 1 || !own.is_empty() {
        extra.insert("summary".to_owned(), value(summary));
    }
    if !own.is_empty() {
        extra.insert("content".to_owned(), value(content));
    }
    (summaries.join("\n\n"), extra)
}

/// A call of a tool; one without an id gets one from its place.
pub(crate) fn read_call(item: &Item<'_>, index: usize) -> Part {
    let id = word(&item.call_id).or_else(|| word(&item.id)).unwrap_or_else(|| format!("call_{index}"));
    let name = text(&item.name).to_owned();
    if text(&item.r#type) == "custom_tool_call" {
        let kind = Map::from_iter([("type".to_owned(), "custom_tool_call".into())]);
        let content = Content::ToolCall { id, name, arguments: wrap_input(text(&item.input)) };
        return Part { extra: Extra::new(NAME, kind), ..content.into() };
    }
    let function = Function { name: None, arguments: item.arguments };
    Content::ToolCall { id, name, arguments: read_arguments(&function) }.into()
}

/// A picture that was made, or an item that only this dialect knows.
pub(crate) fn read_whole(raw: &RawValue) -> Part {
    let Ok(item) = serde_json::from_str::<Item<'_>>(raw.get()) else { return foreign(raw) };
    let (Some("image_generation_call"), Some(data)) = (item.r#type.as_ref().and_then(Scalar::text), word(&item.result)) else {
        return foreign(raw);
    };
    let media_type = format!("image/{}", word(&item.output_format).unwrap_or_else(|| "png".to_owned()));
    let mut extra: Map<String, Value> = serde_json::from_str(raw.get()).unwrap_or_default();
    extra.retain(|key, value| !matches!(key.as_str(), "type" | "result" | "status" | "output_format") && !value.is_null());
    let content = Content::Image { source: Source::Base64 { media_type, data }, detail: None };
    Part { extra: Extra::new(NAME, extra), ..content.into() }
}

/// What only this dialect knows, as it came.
pub(crate) fn foreign(raw: &RawValue) -> Part {
    Content::Foreign { from: NAME, value: Raw(raw.to_owned()) }.into()
}

/// Where a text comes from.
pub(crate) fn read_annotations(raw: Option<&RawValue>) -> Vec<Citation> {
    list_of::<Map<String, Value>>(raw).iter().filter_map(read_annotation).collect()
}

fn read_annotation(annotation: &Map<String, Value>) -> Option<Citation> {
    let text = |key: &str| annotation.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let number = |key: &str| annotation.get(key).and_then(Value::as_u64);
    annotation.get("type")?;
    Some(Citation {
        url: text("url"),
        title: text("title").or_else(|| text("filename")),
        cited_text: None,
        start: number("start_index"),
        end: number("end_index"),
        from: NAME,
        raw: Some(Raw::of(annotation)),
    })
}
