//! Blocks of an answer as a caller reads them, whole; streams start from the same shapes.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::NAME;
use super::block::CARRIER;
use crate::dialect::Cx;
use crate::ir::{Citation, Content, Part, Raw, Signature, Source};

/// A block with every field that its type has.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Block<'a> {
    /// `text`.
    Text(Text<'a>),
    /// `thinking`.
    Thinking(Thinking<'a>),
    /// `redacted_thinking`.
    Redacted(Redacted<'a>),
    /// `tool_use`.
    ToolUse(ToolUse<'a>),
    /// `image`: no provider of this dialect makes one, but others do.
    Image(Image<'a>),
    /// As it came.
    Raw(&'a RawValue),
}

#[derive(Serialize)]
pub(super) struct Redacted<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: Cow<'a, str>,
}

#[derive(Serialize)]
pub(super) struct Text<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
    citations: Option<Vec<CitationOut<'a>>>,
}

#[derive(Serialize)]
pub(super) struct Thinking<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    thinking: &'a str,
    signature: Cow<'a, str>,
}

#[derive(Serialize)]
pub(super) struct ToolUse<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    name: &'a str,
    input: Cow<'a, RawValue>,
    caller: Caller<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    toolset_name: Option<&'a Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Caller<'a> {
    Own(&'a Value),
    Direct {
        #[serde(rename = "type")]
        kind: &'static str,
    },
}

#[derive(Serialize)]
pub(super) struct Image<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    source: ImageSource<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ImageSource<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum CitationOut<'a> {
    Own(&'a RawValue),
    Web {
        #[serde(rename = "type")]
        kind: &'static str,
        cited_text: &'a str,
        // Empty says that it is not the provider's own: see `read_citation`.
        encrypted_index: &'static str,
        title: Option<&'a str>,
        url: &'a str,
    },
}

/// An id for an answer that came without one.
pub(super) fn id(cx: &Cx) -> String {
    format!("msg_{}", cx.id)
}

/// Whether a part's block has a field for a signature.
pub(super) fn signs_itself(content: &Content) -> bool {
    matches!(content, Content::Reasoning { .. })
}

/// The block that carries a signature for the block before it.
pub(super) fn carry(signature: &Signature) -> Block<'static> {
    redacted(Cow::Owned(format!("{CARRIER}{}.{}", signature.owner, signature.value)))
}

fn redacted(data: Cow<'_, str>) -> Block<'_> {
    Block::Redacted(Redacted { kind: "redacted_thinking", data })
}

/// The block of a part; `None` for what only another dialect knows.
pub(super) fn write_part(part: &Part) -> Option<Block<'_>> {
    let sealed = || part.signature.as_ref().map(seal);
    Some(match &part.content {
        // Callers send back what they get, and an empty text is refused.
        Content::Text { text, .. } | Content::Refusal { text } if text.is_empty() => return None,
        Content::Reasoning { text, redacted: false } if text.is_empty() && part.signature.is_none() => return None,
        Content::Text { text, citations } => {
            let citations: Vec<_> = citations.iter().filter_map(write_citation).collect();
            Block::Text(Text { kind: "text", text, citations: (!citations.is_empty()).then_some(citations) })
        }
        Content::Refusal { text } => Block::Text(Text { kind: "text", text, citations: None }),
        Content::Audio { transcript, .. } => Block::Text(Text { kind: "text", text: transcript.as_deref()?, citations: None }),
        Content::Reasoning { text, redacted: false } => {
            Block::Thinking(Thinking { kind: "thinking", thinking: text, signature: sealed().unwrap_or_default() })
        }
        Content::Reasoning { redacted: true, .. } => redacted(sealed()?),
        Content::ToolCall { id, name, arguments } => {
            let own = |field: &str| part.extra.of(NAME).and_then(|fields| fields.get(field));
            Block::ToolUse(ToolUse {
                kind: "tool_use",
                id,
                name,
                input: write_input(arguments),
                caller: own("caller").map_or(Caller::Direct { kind: "direct" }, Caller::Own),
                toolset_name: own("toolset_name"),
            })
        }
        Content::Image { source, .. } => Block::Image(Image { kind: "image", source: write_source(source)? }),
        Content::Foreign { from, value } if *from == NAME => Block::Raw(&value.0),
        Content::Foreign { .. } | Content::Document { .. } | Content::Video { .. } | Content::ToolResult { .. } => return None,
    })
}

fn seal(signature: &Signature) -> Cow<'_, str> {
    if signature.owner == NAME { Cow::Borrowed(&signature.value) } else { Cow::Owned(signature.sealed(NAME)) }
}

/// The arguments as the object that they must be here; text that is none goes in as the member `input`.
fn write_input(arguments: &str) -> Cow<'_, RawValue> {
    let text = arguments.trim();
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if text.starts_with('{') => Cow::Borrowed(raw),
        _ if text.is_empty() => Cow::Owned(Raw::of(&serde_json::Map::new()).0),
        _ => Cow::Owned(Raw::of(&std::collections::BTreeMap::from([("input", arguments)])).0),
    }
}

fn write_source(source: &Source) -> Option<ImageSource<'_>> {
    match source {
        Source::Base64 { media_type, data } => Some(ImageSource::Base64 { media_type, data }),
        Source::Url { url, .. } => Some(ImageSource::Url { url }),
        Source::File { .. } | Source::Text { .. } => None,
    }
}

/// A citation as it came, or another dialect's as a search result's.
pub(super) fn write_citation(citation: &Citation) -> Option<CitationOut<'_>> {
    match &citation.raw {
        Some(raw) if citation.from == NAME => Some(CitationOut::Own(&raw.0)),
        _ => Some(CitationOut::Web {
            kind: "web_search_result_location",
            cited_text: citation.cited_text.as_deref().unwrap_or_default(),
            encrypted_index: "",
            title: citation.title.as_deref(),
            url: citation.url.as_deref()?,
        }),
    }
}
