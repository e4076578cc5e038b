//! Blocks of an answer as a caller reads them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::block::{write_carried, write_redacted};
use super::cite::write_citation;
use super::media::{self, Kind};
use super::out::{Block, Cited, Line, Media, Reasoning, Source as OutSource, ToolUse};
use super::{NAME, out};
use crate::ir::{Content, Part, Raw, Signature, Source};

/// Whether a part's block has a field for a signature.
pub(super) fn signs_itself(content: &Content) -> bool {
    matches!(content, Content::Reasoning { .. })
}

/// The block that carries a signature for the block before it.
pub(super) fn carry(signature: &Signature) -> Block<'static> {
    Block::ReasoningContent(Reasoning::RedactedContent(Cow::Owned(write_carried(signature))))
}

/// The blocks of a part: its own, and one with its signature where its own has no field for it. None for what only
/// another dialect knows.
pub(super) fn write_part(part: &Part) -> impl Iterator<Item = Block<'_>> {
    let block = write_block(part);
    let carried = part.signature.as_ref().filter(|_| !signs_itself(&part.content) && block.is_some());
    block.into_iter().chain(carried.map(carry))
}

fn write_block(part: &Part) -> Option<Block<'_>> {
    Some(match &part.content {
        // Callers send back what they get, and an empty text is refused.
        Content::Text { text, .. } | Content::Refusal { text } if text.is_empty() => return None,
        Content::Text { text, citations } if !citations.is_empty() => {
            Block::CitationsContent(Cited { content: [Line { text }], citations: citations.iter().map(write_citation).collect() })
        }
        Content::Text { text, .. } | Content::Refusal { text } => Block::text(text),
        Content::Reasoning { text, redacted: false } if text.is_empty() && part.signature.is_none() => return None,
        Content::Reasoning { text, redacted: false } => Block::ReasoningContent(Reasoning::ReasoningText {
            text,
            signature: part.signature.as_ref().map(|signature| Cow::Owned(signature.sealed(NAME))),
        }),
        Content::Reasoning { redacted: true, .. } => {
            Block::ReasoningContent(Reasoning::RedactedContent(Cow::Owned(write_redacted(part.signature.as_ref()?))))
        }
        Content::ToolCall { id, name, arguments } => Block::ToolUse(ToolUse {
            tool_use_id: Cow::Borrowed(id),
            name,
            input: write_input(arguments).0,
            extra: part.extra.of(NAME),
        }),
        Content::Image { source, .. } => Block::Image(write_media(Kind::Image, source)?),
        Content::Video { source } => Block::Video(write_media(Kind::Video, source)?),
        Content::Audio { source, transcript, .. } => match transcript {
            Some(text) if !text.is_empty() => Block::text(text),
            _ => Block::Audio(write_media(Kind::Audio, source)?),
        },
        Content::Foreign { from, value } if *from == NAME => Block::Raw(&value.0),
        Content::Foreign { .. } | Content::Document { .. } | Content::ToolResult { .. } => return None,
    })
}

/// Media with its bytes at hand, or in a bucket.
fn write_media(kind: Kind, source: &Source) -> Option<Media<'_>> {
    let (format, source) = write_source(kind, source)?;
    Some(Media { format, source, extra: None })
}

/// The format's word and the source; `None` when this dialect has none for it.
pub(super) fn write_source(kind: Kind, source: &Source) -> Option<(Cow<'static, str>, out::Source<'_>)> {
    match source {
        Source::Base64 { media_type, data } => {
            Some((Cow::Borrowed(media::word(kind, media_type)?), OutSource::Bytes(Cow::Borrowed(data))))
        }
        Source::Url { url, media_type } if url.starts_with("s3://") => {
            let word = media_type.as_deref().and_then(|media_type| media::word(kind, media_type));
            let word = word.or_else(|| media::word_of_address(kind, url))?;
            Some((Cow::Borrowed(word), OutSource::S3Location { uri: url, bucket_owner: None }))
        }
        _ => None,
    }
}

/// The arguments as the object that they must be here; text that is none goes in as the member `input`, and is told to
/// be none.
pub(super) fn write_input(arguments: &str) -> (Cow<'_, RawValue>, bool) {
    let text = arguments.trim();
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if text.starts_with('{') => (Cow::Borrowed(raw), true),
        _ if text.is_empty() => (Cow::Owned(Raw::of(&serde_json::Map::new()).0), true),
        _ => (Cow::Owned(Raw::of(&std::collections::BTreeMap::from([("input", arguments)])).0), false),
    }
}
