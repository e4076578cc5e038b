//! Content blocks, read: the same kinds stand in requests and in answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::media::{self, Kind};
use super::{NAME, cite, own_extra};
use crate::dialect::fields::Fields;
use crate::error::{Error, Result};
use crate::ir::{CacheMark, Content, Extra, Part, Raw, Signature, Source};

/// Marks encrypted thinking that carries the signature of the part before it, whose own block has no field for one.
const CARRIER: &str = "tl.part.";
const SEAL: &str = "tl.";

/// What a block is.
#[expect(clippy::large_enum_variant, reason = "nearly every one is a part; a box would be an allocation for each")]
enum Block {
    Part(Part),
    /// Everything up to here may be cached.
    Cache(CacheMark),
    /// The signature of the part before.
    Carried(Signature),
}

/// Reads a list of blocks of a request that stands at `path`.
pub(super) fn read_list(blocks: &[&RawValue], path: &str) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::with_capacity(blocks.len());
    for (at, raw) in blocks.iter().enumerate() {
        match unseal(read_block(raw, &format!("{path}[{at}]"))?) {
            Block::Part(part) => parts.push(part),
            Block::Cache(mark) => parts.last_mut().into_iter().for_each(|part| part.cache = Some(mark.clone())),
            Block::Carried(signature) => {
                parts.last_mut().into_iter().for_each(|part| part.signature = Some(signature.clone()));
            }
        }
    }
    Ok(parts)
}

/// Reads a block of an answer: never fails a call for a block that we do not understand. Signatures stay sealed: what a
/// provider gives is its own, and goes back to it as it came.
pub(super) fn read_reply_block(raw: &RawValue, at: usize) -> Option<Part> {
    let mut part = match read_block(raw, "") {
        Ok(Block::Part(part)) => part,
        Ok(_) => return None,
        Err(_) => foreign(raw),
    };
    if let Content::ToolCall { id, .. } = &mut part.content
        && id.is_empty()
    {
        *id = format!("tooluse_{at}");
    }
    Some(part)
}

pub(super) fn foreign(raw: &RawValue) -> Part {
    Content::Foreign { from: NAME, value: Raw(raw.to_owned()) }.into()
}

/// A caller's signatures may be another dialect's, sealed.
fn unseal(block: Block) -> Block {
    let Block::Part(mut part) = block else { return block };
    let redacted = matches!(part.content, Content::Reasoning { redacted: true, .. });
    match part.signature.take() {
        Some(signature) if redacted => match read_redacted(&signature.value) {
            (signature, true) => return Block::Carried(signature),
            (signature, false) => part.signature = Some(signature),
        },
        Some(signature) => part.signature = Some(Signature::unseal(&signature.value, NAME)),
        None => {}
    }
    Block::Part(part)
}

/// How a signature is written as encrypted thinking: our own as it came, another's sealed and in base64, because the
/// field is bytes and SDKs decode it.
pub(super) fn write_redacted(signature: &Signature) -> String {
    if signature.owner == NAME { signature.value.clone() } else { STANDARD.encode(signature.sealed(NAME)) }
}

/// Encrypted thinking that carries the signature of the part before it.
pub(super) fn write_carried(signature: &Signature) -> String {
    STANDARD.encode(format!("{CARRIER}{}.{}", signature.owner, signature.value))
}

/// Reads what the two above wrote, and whether it belongs to the part before.
fn read_redacted(value: &str) -> (Signature, bool) {
    let own = || (Signature { owner: NAME, value: value.to_owned() }, false);
    // Most of a provider's own need no decoding: a seal shows in the first three bytes.
    let sealed = value.get(..4).and_then(|head| STANDARD.decode(head).ok()).is_some_and(|head| head == SEAL.as_bytes());
    let Some(text) = sealed.then(|| STANDARD.decode(value).ok()).flatten().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return own();
    };
    match text.strip_prefix(CARRIER) {
        Some(rest) => (Signature::unseal(&format!("{SEAL}{rest}"), NAME), true),
        None => match Signature::unseal(&text, NAME) {
            Signature { owner: NAME, .. } => own(),
            signature => (signature, false),
        },
    }
}

/// The kinds of media among the blocks.
const MEDIA: [(&str, Kind); 3] = [("image", Kind::Image), ("video", Kind::Video), ("audio", Kind::Audio)];

fn read_block(raw: &RawValue, path: &str) -> Result<Block> {
    let mut fields = Fields::of(raw, path)?;
    if let Some(text) = fields.take::<String>("text")? {
        return Ok(Block::Part(Part::text(text)));
    }
    for (name, kind) in MEDIA {
        if let Some(inner) = fields.raw(name) {
            return read_media(kind, Fields::of(inner, &fields.path(name))?).map(Block::Part);
        }
    }
    let mut inner = |name: &str| fields.raw(name).map(|inner| Fields::of(inner, &fields.path(name))).transpose();
    let part = if let Some(inner) = inner("toolUse")? {
        read_call(inner)?
    } else if let Some(inner) = inner("toolResult")? {
        read_result(inner)?
    } else if let Some(inner) = inner("document")? {
        read_document(inner)?
    } else if let Some(inner) = inner("reasoningContent")? {
        read_reasoning(inner)?
    } else if let Some(inner) = inner("citationsContent")? {
        Some(read_cited(inner)?)
    } else if let Some(inner) = inner("guardContent")? {
        read_guarded(inner)?
    } else if let Some(mut inner) = inner("cachePoint")? {
        return Ok(Block::Cache(CacheMark { ttl: inner.take("ttl")? }));
    } else if fields.rest(NAME).is_empty() {
        return Err(Error::bad_request(format!("{path}: expected a block such as {{\"text\": …}}")).at(path));
    } else {
        None
    };
    Ok(Block::Part(part.unwrap_or_else(|| foreign(raw))))
}

fn rest(fields: Fields<'_>) -> Extra {
    own_extra(fields.rest(NAME).fields)
}

/// `{"bytes": …}` or `{"s3Location": {…}}`; another kind of source is not ours to understand.
fn read_source(kind: Kind, format: &str, mut source: Fields<'_>, extra: &mut Map<String, Value>) -> Result<Option<Source>> {
    let media_type = media::media_type(kind, format);
    if let Some(data) = source.take("bytes")? {
        return Ok(Some(Source::Base64 { media_type, data }));
    }
    let Some(place) = source.raw("s3Location") else { return Ok(None) };
    let mut place = Fields::of(place, &source.path("s3Location"))?;
    let url = place.need("uri")?;
    if let Some(owner) = place.take::<Value>("bucketOwner")? {
        extra.insert("bucketOwner".to_owned(), owner);
    }
    Ok(Some(Source::Url { url, media_type: Some(media_type).filter(|_| !format.is_empty()) }))
}

fn need_source<'a>(fields: &mut Fields<'a>) -> Result<Fields<'a>> {
    let raw: &RawValue = fields.need("source")?;
    Fields::of(raw, &fields.path("source"))
}

fn read_media(kind: Kind, mut fields: Fields<'_>) -> Result<Part> {
    let format: String = fields.need("format")?;
    let source = need_source(&mut fields)?;
    let mut extra = Map::new();
    let at = source.path("");
    let at = at.trim_end_matches('.');
    let missing = || Error::bad_request(format!("{at}: expected bytes or s3Location")).at(at);
    let source = read_source(kind, &format, source, &mut extra)?.ok_or_else(missing)?;
    let content = match kind {
        Kind::Video => Content::Video { source },
        Kind::Audio => Content::Audio { source, transcript: None, id: None },
        _ => Content::Image { source, detail: None },
    };
    extra.extend(fields.rest(NAME).fields);
    Ok(Part { extra: own_extra(extra), ..content.into() })
}

/// A document; one that is given as a list of pieces stays as it is.
fn read_document(mut fields: Fields<'_>) -> Result<Option<Part>> {
    let format: Option<String> = fields.take("format")?;
    let name: String = fields.need("name")?;
    let mut source = need_source(&mut fields)?;
    let cite = match fields.raw("citations") {
        Some(raw) => Fields::of(raw, &fields.path("citations"))?.take("enabled")?,
        None => None,
    };
    let mut extra = Map::new();
    let source = match source.take("text")? {
        Some(text) => {
            extra.extend(format.map(|format| ("format".to_owned(), Value::String(format))));
            Source::Text { text }
        }
        None => match read_source(Kind::Document, &format.unwrap_or_default(), source, &mut extra)? {
            Some(source) => source,
            None => return Ok(None),
        },
    };
    extra.extend(fields.rest(NAME).fields);
    let content = Content::Document { source, title: Some(name), cite };
    Ok(Some(Part { extra: own_extra(extra), ..content.into() }))
}

/// A call; one of a tool that the provider runs itself stays as it is.
fn read_call(mut fields: Fields<'_>) -> Result<Option<Part>> {
    if fields.get("type").is_some_and(|kind| kind.get() != "null") {
        return Ok(None);
    }
    let input: Option<&RawValue> = fields.take("input")?;
    let content = Content::ToolCall {
        id: fields.need("toolUseId")?,
        name: fields.need("name")?,
        arguments: input.map(|input| input.get().to_owned()).unwrap_or_default(),
    };
    Ok(Some(Part { extra: rest(fields), ..content.into() }))
}

fn read_result(mut fields: Fields<'_>) -> Result<Option<Part>> {
    if fields.get("type").is_some_and(|kind| kind.get() != "null") {
        return Ok(None);
    }
    let list: Vec<&RawValue> = fields.need("content")?;
    let path = fields.path("content");
    let mut parts = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        let mut block = Fields::of(raw, &path)?;
        // Results do not nest, whatever is sent.
        parts.push(match (block.raw("json"), block.get("toolResult")) {
            (Some(json), _) => Part::text(json.get()),
            (None, Some(_)) => foreign(raw),
            (None, None) => match read_block(raw, &path)? {
                Block::Part(part) => part,
                Block::Cache(_) | Block::Carried(_) => continue,
            },
        });
    }
    let status: Option<String> = fields.take("status")?;
    let failed = status.as_deref() == Some("error");
    let content = Content::ToolResult { id: fields.need("toolUseId")?, name: None, parts, failed };
    Ok(Some(Part { extra: rest(fields), ..content.into() }))
}

fn read_reasoning(mut fields: Fields<'_>) -> Result<Option<Part>> {
    let own = |value: String| Signature { owner: NAME, value };
    if let Some(data) = fields.take::<String>("redactedContent")? {
        let content = Content::Reasoning { text: String::new(), redacted: true };
        return Ok(Some(Part { signature: Some(own(data)), ..content.into() }));
    }
    let Some(raw) = fields.raw("reasoningText") else { return Ok(None) };
    let mut fields = Fields::of(raw, &fields.path("reasoningText"))?;
    let signature: Option<String> = fields.take("signature")?;
    let signature = signature.filter(|value| !value.is_empty()).map(own);
    let content = Content::Reasoning { text: fields.need("text")?, redacted: false };
    Ok(Some(Part { signature, extra: rest(fields), ..content.into() }))
}

fn read_cited(mut fields: Fields<'_>) -> Result<Part> {
    let content: Vec<&RawValue> = fields.take("content")?.unwrap_or_default();
    let path = fields.path("content");
    let mut text = String::new();
    for (at, raw) in content.into_iter().enumerate() {
        text += &Fields::of(raw, &format!("{path}[{at}]"))?.take::<String>("text")?.unwrap_or_default();
    }
    let citations: Vec<&RawValue> = fields.take("citations")?.unwrap_or_default();
    let citations = citations.into_iter().map(cite::read_citation).collect();
    Ok(Part { extra: rest(fields), ..Content::Text { text, citations }.into() })
}

/// What a guardrail looks at is text or a picture like any other; that it looks at it stays beside.
fn read_guarded(mut fields: Fields<'_>) -> Result<Option<Part>> {
    let (mut part, rest) = if let Some(raw) = fields.raw("text") {
        let mut inner = Fields::of(raw, &fields.path("text"))?;
        (Part::text(inner.need::<String>("text")?), rest(inner))
    } else if let Some(raw) = fields.raw("image") {
        let part = read_media(Kind::Image, Fields::of(raw, &fields.path("image"))?)?;
        let extra = part.extra.clone();
        (part, extra)
    } else {
        return Ok(None);
    };
    part.extra = own_extra(Map::from_iter([("guardContent".to_owned(), Value::Object(rest.fields))]));
    Ok(Some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_come_back_and_are_bytes() {
        let other = Signature { owner: "gemini", value: "c2lnbmVk".to_owned() };
        assert_eq!(read_redacted(&write_redacted(&other)), (other.clone(), false));
        assert_eq!(read_redacted(&write_carried(&other)), (other, true));
        let own = Signature { owner: NAME, value: "AQIDBAUG".to_owned() };
        assert_eq!(write_redacted(&own), "AQIDBAUG");
        assert_eq!(read_redacted("AQIDBAUG"), (own, false));
        // A seal of an owner that nobody is, or one that is no base64, is a provider's own.
        assert_eq!(read_redacted(&STANDARD.encode("tl.nobody.x")).0.owner, NAME);
        assert_eq!(read_redacted("dGwu!").0, Signature { owner: NAME, value: "dGwu!".to_owned() });
    }
}
