//! One part of a message, written as a block.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::NAME;
use super::super::cite::write_citation;
use super::super::media::Kind;
use super::super::out::{Block, Cited, Document, Enabled, Guard, Line, Media, Reasoning, Source as OutSource, ToolUse};
use super::super::reply::{write_input, write_source};
use super::field::REFUSED;
use crate::catalog::Quirks;
use crate::ir::{Citation, Content, Part, Role, Source};
use crate::loss::Losses;

/// To whom parts are written, and what got lost on the way.
pub(super) struct Scribe<'s> {
    pub(super) quirks: &'s Quirks,
    pub(super) losses: &'s mut Losses,
    /// Names of documents that are taken.
    pub(super) names: &'s mut HashSet<String>,
    /// Who speaks.
    pub(super) role: Role,
    /// Thinking without a proof of origin is taken.
    pub(super) unproven: bool,
}

/// Fields of a part that are written inside of what they belong to.
const INSIDE: [&str; 3] = ["guardContent", "format", "bucketOwner"];

impl Scribe<'_> {
    fn lose<T>(&mut self, path: &str, why: impl Into<Cow<'static, str>>) -> Option<T> {
        self.losses.add(path.to_owned(), why);
        None
    }

    fn takes(&mut self, field: &str, path: &str) -> Option<()> {
        if self.quirks.refuses(field) { self.lose(path, REFUSED) } else { Some(()) }
    }

    /// Writes a part; `None` when nothing of it can be said. Ids are left as they are.
    pub(super) fn write<'a>(&mut self, part: &'a Part, path: &str) -> Option<Block<'a>> {
        let own = part.extra.of(NAME);
        let block = match &part.content {
            Content::Foreign { from, value } if *from == NAME => return Some(Block::Raw(&value.0)),
            Content::Foreign { from, .. } => return self.lose(path, format!("a block that only {from} has")),
            Content::Reasoning { text, redacted } => return self.write_reasoning(part, text, *redacted, path),
            Content::Text { text, citations } => self.write_text(text, citations, own, path)?,
            Content::Refusal { text } => {
                self.losses.add(path.to_owned(), "a refusal is sent as text");
                self.write_text(text, &[], None, path)?
            }
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.losses.add(format!("{path}.detail"), "how closely to look cannot be said");
                }
                let image = self.write_media(Kind::Image, source, own, path)?;
                match own.is_some_and(|own| own.contains_key("guardContent")) {
                    true => Block::GuardContent(Guard::Image(image)),
                    false => Block::Image(image),
                }
            }
            Content::Video { source } => Block::Video(self.write_media(Kind::Video, source, own, path)?),
            Content::Audio { source, .. } => Block::Audio(self.write_media(Kind::Audio, source, own, path)?),
            Content::Document { source, title, cite } => {
                self.write_document(source, title.as_deref(), *cite, own, path).map(Block::Document)?
            }
            Content::ToolCall { id, name, arguments } => {
                let (input, is_object) = write_input(arguments);
                if !is_object {
                    let why = "not a JSON object: sent as the text of one member, `input`";
                    self.losses.add(format!("{path}.arguments"), why);
                }
                Block::ToolUse(ToolUse { tool_use_id: Cow::Borrowed(id), name, input, extra: own })
            }
            // Results are put in their places by those who know the calls.
            Content::ToolResult { .. } => return self.lose(path, "cannot stand here"),
        };
        if let Some(signature) = &part.signature {
            self.losses.add(format!("{path}.signature"), format!("state of {} cannot be sent to another", signature.owner));
        }
        self.losses.add_foreign(path, &part.extra, NAME);
        Some(block)
    }

    /// Empty texts are refused by the API and say nothing.
    fn write_text<'a>(
        &mut self,
        text: &'a str,
        citations: &'a [Citation],
        own: Option<&'a Map<String, Value>>,
        path: &str,
    ) -> Option<Block<'a>> {
        if text.is_empty() {
            return None;
        }
        if text.trim().is_empty() {
            return self.lose(path, "text of white space alone is not accepted");
        }
        if let Some(Value::Object(guard)) = own.and_then(|own| own.get("guardContent")) {
            return Some(Block::GuardContent(Guard::Text { text, extra: Some(guard).filter(|guard| !guard.is_empty()) }));
        }
        let mine: Vec<_> = citations.iter().filter(|citation| citation.from == NAME).map(write_citation).collect();
        if mine.len() < citations.len() {
            self.losses.add(format!("{path}.citations"), "only the provider's own");
        }
        Some(match mine.is_empty() || self.role != Role::Assistant {
            true => Block::text(text),
            false => Block::CitationsContent(Cited { content: [Line { text }], citations: mine }),
        })
    }

    /// Thinking goes back only to where it came from, with its proof.
    fn write_reasoning<'a>(&mut self, part: &'a Part, text: &'a str, redacted: bool, path: &str) -> Option<Block<'a>> {
        let signature = match &part.signature {
            Some(signature) if signature.owner == NAME => Some(signature.value.as_str()),
            None if self.unproven && !redacted && !text.is_empty() => None,
            _ => return self.lose(path, "thinking of another model cannot be sent back"),
        };
        Some(Block::ReasoningContent(match (redacted, signature) {
            (true, Some(data)) => Reasoning::RedactedContent(Cow::Borrowed(data)),
            (_, signature) => Reasoning::ReasoningText { text, signature: signature.map(Cow::Borrowed) },
        }))
    }

    fn write_media<'a>(
        &mut self,
        kind: Kind,
        source: &'a Source,
        own: Option<&'a Map<String, Value>>,
        path: &str,
    ) -> Option<Media<'a>> {
        if kind == Kind::Image {
            self.takes("image_base64", path)?;
        }
        match write_source(kind, source) {
            Some((format, source)) => {
                let guarded = own.is_some_and(|own| INSIDE.iter().any(|name| own.contains_key(*name)));
                Some(Media { format, source: with_owner(source, own), extra: own.filter(|_| !guarded) })
            }
            None => self.lose(path, why_not(source)),
        }
    }

    fn write_document<'a>(
        &mut self,
        source: &'a Source,
        title: Option<&str>,
        cite: Option<bool>,
        own: Option<&'a Map<String, Value>>,
        path: &str,
    ) -> Option<Document<'a>> {
        if self.role == Role::Assistant {
            return self.lose(path, "a document cannot be the model's own");
        }
        self.takes("file", path)?;
        let (format, source) = match source {
            Source::Text { text } if text.trim().is_empty() => return self.lose(path, "an empty document"),
            Source::Text { text } => {
                let told = own.and_then(|own| own.get("format")).and_then(Value::as_str);
                (Cow::Borrowed(told.unwrap_or("txt")), OutSource::Text(text))
            }
            source => match write_source(Kind::Document, source) {
                Some((format, source)) => (format, with_owner(source, own)),
                None => return self.lose(path, why_not(source)),
            },
        };
        let mut extra = own.cloned().unwrap_or_default();
        extra.retain(|name, _| !INSIDE.contains(&name.as_str()));
        Some(Document {
            format: Some(format),
            name: self.name(title.unwrap_or_default(), path),
            source,
            citations: cite.map(|enabled| Enabled { enabled }),
            extra,
        })
    }

    /// A name that is accepted, and that no other document has.
    fn name(&mut self, title: &str, path: &str) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '(' | ')' | '[' | ']');
        let fitted: String = title.chars().map(|c| if fits(c) { c } else { '-' }).collect();
        // One blank at a time.
        let fitted = fitted.split_whitespace().collect::<Vec<_>>().join(" ");
        let fitted: String = fitted.chars().take(180).collect();
        let base = if fitted.is_empty() { "document".to_owned() } else { fitted };
        let free = (2..).map(|number| format!("{base} {number}"));
        let name = std::iter::once(base.clone()).chain(free).find(|name| !self.names.contains(name)).unwrap_or(base);
        self.names.insert(name.clone());
        if !title.is_empty() && name != title {
            self.losses.add(format!("{path}.title"), format!("sent as {name}"));
        }
        name
    }

    /// What a tool gave back.
    pub(super) fn write_result<'a>(&mut self, parts: &'a [Part], path: &str) -> Vec<Block<'a>> {
        let mut blocks = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            let path = format!("{path}.parts[{at}]");
            match &part.content {
                Content::Text { .. }
                | Content::Image { .. }
                | Content::Document { .. }
                | Content::Video { .. }
                | Content::Foreign { .. } => blocks.extend(self.write(part, &path)),
                _ => self.losses.add(path.clone(), "cannot stand in a tool's result"),
            }
            if part.cache.is_some() {
                self.losses.add(format!("{path}.cache"), "a result is cached as a whole");
            }
        }
        blocks
    }
}

fn with_owner<'a>(source: OutSource<'a>, own: Option<&'a Map<String, Value>>) -> OutSource<'a> {
    match source {
        OutSource::S3Location { uri, .. } => {
            OutSource::S3Location { uri, bucket_owner: own.and_then(|own| own.get("bucketOwner")) }
        }
        other => other,
    }
}

fn why_not(source: &Source) -> &'static str {
    match source {
        Source::Url { .. } => "addresses are not fetched here: send it as base64",
        Source::File { .. } => "uploaded files stay with the provider that has them",
        Source::Base64 { .. } | Source::Text { .. } => "of a format that is not accepted",
    }
}

/// The texts of a result that stands where none is asked for.
pub(super) fn plain(parts: &[Part]) -> String {
    let text = |part: &Part| if let Content::Text { text, .. } = &part.content { Some(text.clone()) } else { None };
    parts.iter().filter_map(text).collect()
}
