//! The parts of a caller's message.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::response::{flatten, read_url};
use super::super::wire::{Content as Wire, Str};
use crate::dialect::fault::read_text;
use crate::dialect::fields::Fields;
use crate::error::Result;
use crate::ir::{CacheMark, Content, Part, Raw, Source};

/// `{"type":"ephemeral","ttl":…}` or `{"mode":"explicit","ttl":…}`.
#[derive(Debug, Deserialize)]
pub(crate) struct WireCache {
    #[serde(default)]
    ttl: Option<String>,
}

/// A cache marker.
pub(crate) fn read_cache(wire: WireCache) -> CacheMark {
    CacheMark { ttl: wire.ttl }
}

/// Reads what stands at `at`, such as `messages[0].content`.
pub(super) fn read_content(content: Wire<'_>, at: &str) -> Result<Vec<Part>> {
    match content {
        Wire::Text(text) => Ok(vec![Part::text(text)]),
        Wire::Parts(parts) => parts.iter().enumerate().map(|(index, raw)| read_part(raw, &format!("{at}[{index}]"))).collect(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextPart<'a> {
    #[serde(borrow)]
    r#type: Str<'a>,
    text: String,
}

fn read_part(raw: &RawValue, at: &str) -> Result<Part> {
    if raw.get().starts_with('"') {
        let text: String = read_text(raw.get(), at)?;
        return Ok(Part::text(text));
    }
    // What most parts are.
    if let Ok(TextPart { r#type: Str(kind), text }) = serde_json::from_str(raw.get())
        && kind == "text"
    {
        return Ok(Part::text(text));
    }
    let mut fields = Fields::of(raw, at)?;
    let cache = match fields.take("prompt_cache_breakpoint")? {
        Some(mark) => Some(read_cache(mark)),
        None => fields.take("cache_control")?.map(read_cache),
    };
    let kind: Str<'_> = fields.need("type")?;
    let content = match &*kind {
        "text" => Some(Content::Text { text: fields.need("text")?, citations: Vec::new() }),
        "refusal" => Some(Content::Refusal { text: fields.need("refusal")? }),
        "image_url" => Some(read_image(&mut fields)?),
        "input_audio" => read_audio(&mut fields)?,
        "file" => read_file(&mut fields)?,
        "video_url" => read_address(&mut fields, "video_url")?.map(|url| Content::Video { source: read_url(&url) }),
        "thinking" => {
            let text = fields.take("thinking")?.map(flatten).unwrap_or_default();
            Some(Content::Reasoning { text, redacted: false })
        }
        _ => None,
    };
    let Some(content) = content else {
        return Ok(Content::Foreign { from: NAME, value: Raw(raw.to_owned()) }.into());
    };
    Ok(Part { content, cache, signature: None, extra: fields.rest(NAME) })
}

/// `{"url":…}` or the address itself; `None` for an object with anything else in it.
fn read_address(fields: &mut Fields<'_>, name: &str) -> Result<Option<String>> {
    let path = fields.path(name);
    let raw: &RawValue = fields.need(name)?;
    if !raw.get().starts_with('{') {
        return read_text(raw.get(), &path).map(Some);
    }
    let mut object = Fields::of(raw, &path)?;
    let url = object.need("url")?;
    Ok(object.rest(NAME).is_empty().then_some(url))
}

fn read_image(fields: &mut Fields<'_>) -> Result<Content> {
    let path = fields.path("image_url");
    let raw: &RawValue = fields.need("image_url")?;
    if !raw.get().starts_with('{') {
        let url: Str<'_> = read_text(raw.get(), &path)?;
        return Ok(Content::Image { source: read_url(&url), detail: None });
    }
    let mut object = Fields::of(raw, &path)?;
    let url: Str<'_> = object.need("url")?;
    Ok(Content::Image { source: read_url(&url), detail: object.take("detail")? })
}

fn read_audio(fields: &mut Fields<'_>) -> Result<Option<Content>> {
    let path = fields.path("input_audio");
    let raw: &RawValue = fields.need("input_audio")?;
    if !raw.get().starts_with('{') {
        return Ok(None);
    }
    let mut object = Fields::of(raw, &path)?;
    let format: Option<Str<'_>> = object.take("format")?;
    let data: Str<'_> = object.need("data")?;
    let source = match read_url(&data) {
        Source::Url { url, .. } if url.starts_with("http") => Source::Url { url, media_type: None },
        Source::Url { url, .. } => {
            Source::Base64 { media_type: media_type_of_audio(format.as_deref().unwrap_or("wav")), data: url }
        }
        source => source,
    };
    Ok(Some(Content::Audio { source, transcript: None, id: None }))
}

fn media_type_of_audio(format: &str) -> String {
    match format {
        "mp3" => "audio/mpeg".to_owned(),
        other => format!("audio/{other}"),
    }
}

/// The word for a format of sound: `wav`, `mp3`, …
pub(super) fn audio_format(media_type: &str) -> &str {
    match media_type {
        "audio/mpeg" => "mp3",
        "audio/x-wav" | "audio/wave" => "wav",
        other => other.strip_prefix("audio/").unwrap_or("wav"),
    }
}

fn read_file(fields: &mut Fields<'_>) -> Result<Option<Content>> {
    let path = fields.path("file");
    let raw: &RawValue = fields.need("file")?;
    let mut object = Fields::of(raw, &path)?;
    let title: Option<String> = object.take("filename")?;
    let source = match (object.take::<Str<'_>>("file_data")?, object.take("file_id")?) {
        (Some(data), _) => match read_url(&data) {
            Source::Url { url, .. } if url.starts_with("http") => Source::Url { url, media_type: None },
            Source::Url { url, .. } => Source::Base64 { media_type: media_type_of_file(title.as_deref()), data: url },
            source => source,
        },
        (None, Some(id)) => Source::File { id },
        (None, None) => return Ok(None),
    };
    Ok(Some(Content::Document { source, title, cite: None }))
}

/// By a file's name; most documents that are sent are PDF.
pub(crate) fn media_type_of_file(name: Option<&str>) -> String {
    let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("txt") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("html") => "text/html",
        Some("json") => "application/json",
        _ => "application/pdf",
    }
    .to_owned()
}
