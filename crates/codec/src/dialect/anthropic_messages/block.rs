//! Content blocks, read: the same kinds stand in requests and in answers.

use serde_json::Value;
use serde_json::value::RawValue;

use super::NAME;
use super::wire;
use crate::dialect::fault::read_json;
use crate::error::{Error, Result};
use crate::ir::{CacheMark, Citation, Content, Extra, Part, Raw, Signature, Source};

/// Marks a `redacted_thinking` block that carries the signature of the part before it, where that part's own block
/// has no field for one.
pub(super) const CARRIER: &str = "tl.part.";

/// Reads a list of blocks of a request that stands at `path`.
pub(super) fn read_list(blocks: &[&RawValue], path: &str) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::with_capacity(blocks.len());
    for (at, block) in blocks.iter().enumerate() {
        let mut part = read_block(block, &format!("{path}[{at}]"))?;
        match (carried(&part), parts.last_mut()) {
            (Some(signature), Some(before)) => before.signature = Some(signature),
            (Some(_), None) => {}
            (None, _) => {
                part.signature = part.signature.map(|signature| Signature::unseal(&signature.value, NAME));
                parts.push(part);
            }
        }
    }
    Ok(parts)
}

/// The signature of the part before, if that is what this one carries.
fn carried(part: &Part) -> Option<Signature> {
    let value = part.signature.as_ref()?.value.strip_prefix(CARRIER)?;
    Some(Signature::unseal(&format!("tl.{value}"), NAME))
}

fn read_block(raw: &RawValue, path: &str) -> Result<Part> {
    match read_json::<wire::Block<'_>>(raw.get().as_bytes(), path) {
        Ok(block) => read_fields(block, raw, path),
        // The fields of an unknown kind of block may have any type.
        Err(fault) => match kind(raw) {
            Some(kind) if !is_known(&kind) => Ok(foreign(raw)),
            _ => Err(fault),
        },
    }
}

/// Reads a block of an answer, the `index`th: never fails a call for a block that we do not understand.
///
/// Signatures stay sealed: what a provider gives is its own, and goes back to it as it came.
pub(super) fn read_reply_block(raw: &RawValue, index: usize) -> Part {
    let Ok(mut block) = serde_json::from_str::<wire::Block<'_>>(raw.get()) else {
        return foreign(raw);
    };
    if block.kind == "tool_use" && block.id.as_ref().is_none_or(String::is_empty) {
        block.id = Some(format!("toolu_{index}"));
    }
    read_fields(block, raw, "").unwrap_or_else(|_| foreign(raw))
}

fn kind(raw: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    serde_json::from_str::<Typed>(raw.get()).ok().map(|typed| typed.kind)
}

fn is_known(kind: &str) -> bool {
    matches!(kind, "text" | "image" | "document" | "tool_use" | "tool_result" | "thinking" | "redacted_thinking")
}

pub(super) fn foreign(raw: &RawValue) -> Part {
    Content::Foreign { from: NAME, value: Raw(raw.to_owned()) }.into()
}

fn read_fields(mut block: wire::Block<'_>, raw: &RawValue, path: &str) -> Result<Part> {
    let own = |value: String| Signature { owner: NAME, value };
    let mut signature = None;
    let content = match &*block.kind {
        "text" => Content::Text {
            text: need(block.text.take(), path, "text")?,
            citations: block.citations.map(read_citations).unwrap_or_default(),
        },
        "image" => Content::Image { source: read_source(block.source, path)?, detail: None },
        "document" if is_made_of_blocks(block.source) => return Ok(foreign(raw)),
        "document" => Content::Document {
            source: read_source(block.source, path)?,
            title: block.title.take(),
            cite: match block.citations {
                Some(config) => within::<wire::CitationsConfig>(config, path, "citations")?.enabled,
                None => None,
            },
        },
        "tool_use" => Content::ToolCall {
            id: need(block.id.take(), path, "id")?,
            name: need(block.name.take(), path, "name")?,
            arguments: block.input.map(|input| input.get().to_owned()).unwrap_or_default(),
        },
        "tool_result" => Content::ToolResult {
            id: need(block.tool_use_id.take(), path, "tool_use_id")?,
            name: None,
            parts: read_result(block.content, path)?,
            failed: block.is_error.unwrap_or(false),
        },
        "thinking" => {
            signature = block.signature.take().filter(|value| !value.is_empty()).map(own);
            Content::Reasoning { text: need(block.thinking.take(), path, "thinking")?, redacted: false }
        }
        "redacted_thinking" => {
            signature = Some(own(need(block.data.take(), path, "data")?));
            Content::Reasoning { text: String::new(), redacted: true }
        }
        "" => return Err(missing(path, "type")),
        _ => return Ok(foreign(raw)),
    };
    let mut extra = block.extra;
    // `direct` is what every call is that no other tool made: no news for anybody.
    if extra.get("caller").is_some_and(|caller| caller.get("type").and_then(Value::as_str) == Some("direct")) {
        extra.shift_remove("caller");
    }
    extra.retain(|_, value| !value.is_null());
    let cache = block.cache_control.map(read_cache);
    Ok(Part { content, cache, signature, extra: read_extra(extra) })
}

pub(super) fn read_extra(fields: serde_json::Map<String, Value>) -> Extra {
    if fields.is_empty() { Extra::default() } else { Extra::new(NAME, fields) }
}

pub(super) fn read_cache(control: wire::CacheControl) -> CacheMark {
    CacheMark { ttl: control.ttl }
}

pub(super) fn need<T>(value: Option<T>, path: &str, field: &str) -> Result<T> {
    value.ok_or_else(|| missing(path, field))
}

pub(super) fn missing(path: &str, field: &str) -> Error {
    let path = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    Error::bad_request(format!("{path} is required")).at(path)
}

fn within<'a, T: serde::Deserialize<'a>>(raw: &'a RawValue, path: &str, field: &str) -> Result<T> {
    read_json(raw.get().as_bytes(), &format!("{path}.{field}"))
}

/// A document may be given as text and image blocks, which no other dialect knows.
fn is_made_of_blocks(source: Option<&RawValue>) -> bool {
    source.and_then(kind).is_some_and(|kind| kind == "content")
}

fn read_source(source: Option<&RawValue>, path: &str) -> Result<Source> {
    let raw = need(source, path, "source")?;
    let source: wire::Source = within(raw, path, "source")?;
    let path = format!("{path}.source");
    Ok(match source.kind.as_str() {
        "base64" => {
            Source::Base64 { media_type: need(source.media_type, &path, "media_type")?, data: need(source.data, &path, "data")? }
        }
        "url" => Source::Url { url: need(source.url, &path, "url")?, media_type: source.media_type },
        "file" => Source::File { id: need(source.file_id, &path, "file_id")? },
        "text" => Source::Text { text: need(source.data, &path, "data")? },
        "" => return Err(missing(&path, "type")),
        other => {
            let message = format!("{path}.type: expected base64, url, file or text, found `{other}`");
            return Err(Error::bad_request(message).at(format!("{path}.type")));
        }
    })
}

fn read_result(content: Option<&RawValue>, path: &str) -> Result<Vec<Part>> {
    let Some(content) = content else { return Ok(Vec::new()) };
    match within::<wire::Blocks<'_>>(content, path, "content")? {
        wire::Blocks::Text(text) => Ok(vec![Part::text(text)]),
        wire::Blocks::List(blocks) => read_list(&blocks, &format!("{path}.content")),
    }
}

fn read_citations(raw: &RawValue) -> Vec<Citation> {
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    list.into_iter().map(read_citation).collect()
}

/// Reads one citation of any of the five kinds; an unknown kind keeps what it shares with them.
pub(super) fn read_citation(raw: &RawValue) -> Citation {
    let fields: wire::Citation = serde_json::from_str(raw.get()).unwrap_or_default();
    // Ours, written for a caller (see `write_citation`): its provider has no use for it.
    let ours = fields.encrypted_index.as_deref() == Some("");
    Citation {
        url: fields.url.or(fields.source.filter(|source| source.starts_with("http"))),
        title: fields.title.or(fields.document_title),
        cited_text: fields.cited_text.filter(|text| !text.is_empty()),
        start: None,
        end: None,
        from: if ours { "" } else { NAME },
        raw: (!ours).then(|| Raw(raw.to_owned())),
    }
}
