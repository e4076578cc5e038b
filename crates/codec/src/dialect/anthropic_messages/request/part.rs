//! One part of a message, written as a block.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::out::{Block, Citations, Content as Blocks, Item, Source as OutSource};
use super::field::write_cache;
use crate::catalog::Quirks;
use crate::ir::{Citation, Content, Part, Raw, Role, Source};
use crate::loss::Losses;

/// To whom parts are written, and what got lost on the way.
pub(super) struct Scribe<'s> {
    pub(super) quirks: &'s Quirks,
    pub(super) losses: &'s mut Losses,
    /// Who speaks.
    pub(super) role: Role,
    /// Thinking without a proof of origin is taken (and wanted): those who imitate this dialect give none.
    pub(super) unproven: bool,
}

impl Scribe<'_> {
    fn lose<T>(&mut self, path: &str, why: impl Into<Cow<'static, str>>) -> Option<T> {
        self.losses.add(path.to_owned(), why);
        None
    }

    fn takes(&mut self, field: &str, path: &str) -> Option<()> {
        if self.quirks.refuses(field) { self.lose(path, "the provider does not take it") } else { Some(()) }
    }

    /// Writes a part; `None` when nothing of it can be said. Ids are left as they are.
    pub(super) fn write<'a>(&mut self, part: &'a Part, path: &str) -> Option<Item<'a, Block<'a>>> {
        let mut block = match &part.content {
            Content::Foreign { from, value } if *from == NAME => return Some(Item::Raw(&value.0)),
            Content::Foreign { from, .. } => return self.lose(path, format!("a block that only {from} has")),
            Content::Reasoning { text, redacted } => return self.write_reasoning(part, text, *redacted, path).map(Item::Own),
            Content::Text { text, citations } => self.write_text(text, citations, path)?,
            Content::Refusal { text } => {
                self.losses.add(path.to_owned(), "a refusal is sent as text");
                self.write_text(text, &[], path)?
            }
            Content::Image { source, detail } => self.write_image(source, detail.as_deref(), path)?,
            Content::Document { source, title, cite } => Block {
                kind: "document",
                source: Some(self.write_document(source, path)?),
                title: title.as_deref(),
                citations: cite.map(|enabled| Citations::Config { enabled }),
                ..Block::default()
            },
            Content::Audio { .. } => return self.lose(path, "no sound here"),
            Content::Video { .. } => return self.lose(path, "no films here"),
            Content::ToolCall { id, name, arguments } => Block {
                kind: "tool_use",
                id: Some(Cow::Borrowed(id)),
                name: Some(name),
                input: Some(self.write_input(arguments, path)),
                ..Block::default()
            },
            Content::ToolResult { id, parts, failed, .. } => Block {
                kind: "tool_result",
                tool_use_id: Some(Cow::Borrowed(id)),
                content: self.write_result(parts, path),
                is_error: *failed,
                ..Block::default()
            },
        };
        if let Some(signature) = &part.signature {
            self.losses.add(format!("{path}.signature"), format!("state of {} cannot be sent to another", signature.owner));
        }
        if let Some(mark) = &part.cache {
            let path = format!("{path}.cache");
            block.cache_control = self.takes("cache_control", &path).map(|()| write_cache(mark, &path, self.losses));
        }
        self.losses.add_foreign(path, &part.extra, NAME);
        block.extra = part.extra.of(NAME);
        Some(Item::Own(block))
    }

    /// Empty texts are refused by the API and say nothing.
    fn write_text<'a>(&mut self, text: &'a str, citations: &'a [Citation], path: &str) -> Option<Block<'a>> {
        if text.is_empty() {
            return None;
        }
        if text.trim().is_empty() {
            return self.lose(path, "text of white space alone is not accepted");
        }
        let own = citations.iter().filter(|citation| citation.from == NAME);
        let mut own: Vec<&RawValue> = own.filter_map(|citation| Some(&*citation.raw.as_ref()?.0)).collect();
        if self.role != Role::Assistant {
            own.clear();
        }
        if own.len() < citations.len() {
            self.losses.add(format!("{path}.citations"), "only the provider's own, on the model's own texts");
        }
        Some(Block { citations: (!own.is_empty()).then_some(Citations::List(own)), ..Block::text(text) })
    }

    /// Thinking goes back only to where it came from, with its proof.
    fn write_reasoning<'a>(&mut self, part: &'a Part, text: &'a str, redacted: bool, path: &str) -> Option<Block<'a>> {
        let proof = match &part.signature {
            Some(signature) if signature.owner == NAME => signature.value.as_str(),
            None if self.unproven && !redacted && !text.is_empty() => "",
            _ => return self.lose(path, "thinking of another model cannot be sent back"),
        };
        if part.cache.is_some() {
            self.losses.add(format!("{path}.cache"), "thinking cannot carry a cache marker");
        }
        Some(match redacted {
            true => Block { kind: "redacted_thinking", data: Some(proof), ..Block::default() },
            false => Block { kind: "thinking", thinking: Some(text), signature: Some(proof), ..Block::default() },
        })
    }

    /// The arguments as the object that they must be here; text that is none goes in as the member `input`.
    fn write_input<'a>(&mut self, arguments: &'a str, path: &str) -> Cow<'a, RawValue> {
        match arguments.trim() {
            "" => Cow::Owned(Raw::of(&serde_json::Map::new()).0),
            text => match serde_json::from_str::<&RawValue>(text) {
                Ok(raw) if text.starts_with('{') => Cow::Borrowed(raw),
                _ => {
                    let why = "not a JSON object: sent as the text of one member, `input`";
                    self.losses.add(format!("{path}.arguments"), why);
                    Cow::Owned(Raw::of(&std::collections::BTreeMap::from([("input", arguments)])).0)
                }
            },
        }
    }

    fn write_result<'a>(&mut self, parts: &'a [Part], path: &str) -> Blocks<'a> {
        let mut blocks = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            let path = format!("{path}.parts[{at}]");
            match &part.content {
                Content::Text { .. } | Content::Image { .. } | Content::Document { .. } | Content::Foreign { .. } => {
                    blocks.extend(self.write(part, &path));
                }
                _ => self.losses.add(path, "cannot stand in a tool's result"),
            }
        }
        Blocks(blocks)
    }

    fn write_image<'a>(&mut self, source: &'a Source, detail: Option<&str>, path: &str) -> Option<Block<'a>> {
        if self.role == Role::Assistant {
            return self.lose(path, "the model's own images cannot be sent back");
        }
        match source {
            Source::Base64 { .. } => self.takes("image_base64", path)?,
            _ => self.takes("image_url", path)?,
        }
        if detail.is_some_and(|detail| detail != "auto") {
            self.losses.add(format!("{path}.detail"), "how closely to look cannot be said");
        }
        Some(Block { kind: "image", source: Some(self.write_source(source, path)?), ..Block::default() })
    }

    /// Of the documents given as bytes only PDF is taken; text goes as text.
    fn write_document<'a>(&mut self, source: &'a Source, path: &str) -> Option<OutSource<'a>> {
        if self.role == Role::Assistant {
            return self.lose(path, "a document cannot be the model's own");
        }
        self.takes("file", path)?;
        if let Source::Base64 { media_type, data } = source
            && is_text(media_type)
            && let Some(text) = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        {
            let data = Some(Cow::Owned(text));
            return Some(OutSource { kind: "text", media_type: Some("text/plain"), data, ..OutSource::default() });
        }
        self.write_source(source, path)
    }

    fn write_source<'a>(&mut self, source: &'a Source, path: &str) -> Option<OutSource<'a>> {
        Some(match source {
            Source::Base64 { media_type, data } => OutSource {
                kind: "base64",
                media_type: Some(if media_type == "image/jpg" { "image/jpeg" } else { media_type }),
                data: Some(Cow::Borrowed(data)),
                ..OutSource::default()
            },
            Source::Url { url, .. } if is_web(url) => OutSource { kind: "url", url: Some(url), ..OutSource::default() },
            Source::Url { .. } => return self.lose(path, "only web addresses can be given"),
            Source::File { id } => OutSource { kind: "file", file_id: Some(id), ..OutSource::default() },
            Source::Text { text } => OutSource {
                kind: "text",
                media_type: Some("text/plain"),
                data: Some(Cow::Borrowed(text)),
                ..OutSource::default()
            },
        })
    }
}

/// The texts of a result that stands where none is asked for.
pub(super) fn plain(parts: &[Part]) -> String {
    let text = |part: &Part| if let Content::Text { text, .. } = &part.content { Some(text.clone()) } else { None };
    parts.iter().filter_map(text).collect()
}

fn is_web(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

fn is_text(media_type: &str) -> bool {
    ["text/", "application/json", "application/xml"].iter().any(|start| media_type.starts_with(start))
}
