//! One part of a message, written as a block.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::out::{Block, Citations, Content as Blocks, Item, Source as OutSource};
use super::field::write_cache;
use crate::ir::{Citation, Content, Part, Raw, Role, Signature, Source};
use crate::loss::Losses;

/// Writes a part; `None` when nothing of it can be said. Ids are left as they are.
pub(super) fn write_part<'a>(part: &'a Part, role: Role, path: &str, losses: &mut Losses) -> Option<Item<'a, Block<'a>>> {
    let mut block = match &part.content {
        Content::Foreign { from, value } if *from == NAME => return Some(Item::Raw(&value.0)),
        Content::Foreign { from, .. } => {
            losses.add(path.to_owned(), format!("a block that only {from} has"));
            return None;
        }
        Content::Reasoning { text, redacted } => return write_reasoning(part, text, *redacted, path, losses).map(Item::Own),
        Content::Text { text, citations } => write_text(text, citations, role, path, losses)?,
        Content::Refusal { text } => {
            losses.add(path.to_owned(), "a refusal is sent as text");
            write_text(text, &[], role, path, losses)?
        }
        Content::Image { source, detail } => {
            if role == Role::Assistant {
                return drop_part(path, "the model's own images cannot be sent back", losses);
            }
            if detail.as_deref().is_some_and(|detail| detail != "auto") {
                losses.add(format!("{path}.detail"), "how closely to look cannot be said");
            }
            let source = write_source(source, path, losses)?;
            Block { kind: "image", source: Some(source), ..Block::default() }
        }
        Content::Document { .. } if role == Role::Assistant => {
            return drop_part(path, "a document cannot be the model's own", losses);
        }
        Content::Document { source, title, cite } => Block {
            kind: "document",
            source: Some(write_document(source, path, losses)?),
            title: title.as_deref(),
            citations: cite.map(|enabled| Citations::Config { enabled }),
            ..Block::default()
        },
        Content::Audio { .. } => return drop_part(path, "no sound here", losses),
        Content::Video { .. } => return drop_part(path, "no films here", losses),
        Content::ToolCall { id, name, arguments } => Block {
            kind: "tool_use",
            id: Some(Cow::Borrowed(id)),
            name: Some(name),
            input: Some(write_input(arguments, path, losses)),
            ..Block::default()
        },
        Content::ToolResult { id, parts, failed, .. } => Block {
            kind: "tool_result",
            tool_use_id: Some(Cow::Borrowed(id)),
            content: write_result(parts, path, losses),
            is_error: *failed,
            ..Block::default()
        },
    };
    if let Some(signature) = &part.signature {
        losses.add(format!("{path}.signature"), format!("state of {} cannot be sent to another", signature.owner));
    }
    block.cache_control = part.cache.as_ref().map(|mark| write_cache(mark, &format!("{path}.cache"), losses));
    losses.add_foreign(path, &part.extra, NAME);
    block.extra = part.extra.of(NAME);
    Some(Item::Own(block))
}

fn drop_part<'a>(path: &str, why: &'static str, losses: &mut Losses) -> Option<Item<'a, Block<'a>>> {
    losses.add(path.to_owned(), why);
    None
}

/// Empty texts are refused by the API and say nothing.
fn write_text<'a>(text: &'a str, citations: &'a [Citation], role: Role, path: &str, losses: &mut Losses) -> Option<Block<'a>> {
    if text.trim().is_empty() {
        if !text.is_empty() {
            losses.add(path.to_owned(), "text of white space alone is not accepted");
        }
        return None;
    }
    let own: Vec<&RawValue> = citations.iter().filter(|c| c.from == NAME).filter_map(|c| Some(&*c.raw.as_ref()?.0)).collect();
    let keep = role == Role::Assistant;
    if own.len() < citations.len() || (!keep && !own.is_empty()) {
        losses.add(format!("{path}.citations"), "only the provider's own, on the model's own texts");
    }
    Some(Block { citations: (keep && !own.is_empty()).then_some(Citations::List(own)), ..Block::text(text) })
}

/// Thinking goes back only to where it came from, with its proof.
fn write_reasoning<'a>(part: &'a Part, text: &'a str, redacted: bool, path: &str, losses: &mut Losses) -> Option<Block<'a>> {
    let Some(Signature { value, .. }) = part.signature.as_ref().filter(|signature| signature.owner == NAME) else {
        losses.add(path.to_owned(), "thinking of another model cannot be sent back");
        return None;
    };
    if part.cache.is_some() {
        losses.add(format!("{path}.cache"), "thinking cannot carry a cache marker");
    }
    Some(match redacted {
        true => Block { kind: "redacted_thinking", data: Some(value), ..Block::default() },
        false => Block { kind: "thinking", thinking: Some(text), signature: Some(value), ..Block::default() },
    })
}

/// The arguments as the object that they must be here; text that is none goes in as the member `input`.
fn write_input<'a>(arguments: &'a str, path: &str, losses: &mut Losses) -> Cow<'a, RawValue> {
    match arguments.trim() {
        "" => Cow::Owned(Raw::of(&serde_json::Map::new()).0),
        text => match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) if text.starts_with('{') => Cow::Borrowed(raw),
            _ => {
                losses.add(format!("{path}.arguments"), "not a JSON object: sent as the text of one member, `input`");
                Cow::Owned(Raw::of(&std::collections::BTreeMap::from([("input", arguments)])).0)
            }
        },
    }
}

fn write_result<'a>(parts: &'a [Part], path: &str, losses: &mut Losses) -> Blocks<'a> {
    let mut blocks = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        let path = format!("{path}.parts[{at}]");
        match &part.content {
            Content::Text { .. } | Content::Image { .. } | Content::Document { .. } | Content::Foreign { .. } => {
                blocks.extend(write_part(part, Role::User, &path, losses));
            }
            _ => losses.add(path, "cannot stand in a tool's result"),
        }
    }
    Blocks(blocks)
}

/// What cannot be part of a result or stands where none is asked for: its texts.
pub(super) fn plain(parts: &[Part]) -> String {
    parts
        .iter()
        .filter_map(|part| if let Content::Text { text, .. } = &part.content { Some(text.as_str()) } else { None })
        .collect()
}

fn write_source<'a>(source: &'a Source, path: &str, losses: &mut Losses) -> Option<OutSource<'a>> {
    Some(match source {
        Source::Base64 { media_type, data } => OutSource {
            kind: "base64",
            media_type: Some(if media_type == "image/jpg" { "image/jpeg" } else { media_type }),
            data: Some(Cow::Borrowed(data)),
            ..OutSource::default()
        },
        Source::Url { url, .. } if is_web(url) => OutSource { kind: "url", url: Some(url), ..OutSource::default() },
        Source::Url { .. } => {
            losses.add(path.to_owned(), "only web addresses can be given");
            return None;
        }
        Source::File { id } => OutSource { kind: "file", file_id: Some(id), ..OutSource::default() },
        Source::Text { text } => {
            OutSource { kind: "text", media_type: Some("text/plain"), data: Some(Cow::Borrowed(text)), ..OutSource::default() }
        }
    })
}

fn is_web(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

/// Of the documents given as bytes only PDF is taken; text goes as text.
fn write_document<'a>(source: &'a Source, path: &str, losses: &mut Losses) -> Option<OutSource<'a>> {
    match source {
        Source::Base64 { media_type, data } if is_text(media_type) => {
            let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let Some(text) = text else { return write_source(source, path, losses) };
            Some(OutSource { kind: "text", media_type: Some("text/plain"), data: Some(Cow::Owned(text)), ..OutSource::default() })
        }
        _ => write_source(source, path, losses),
    }
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type.starts_with("application/json") || media_type.starts_with("application/xml")
}
