//! The pieces of a caller's message or of a tool's result.

use serde_json::value::RawValue;

use super::super::NAME;
use crate::dialect::fault::read_text;
use crate::dialect::fields::Fields;
use crate::dialect::openai_chat::request::{media_type_of_file, read_cache};
use crate::dialect::openai_chat::response::read_url;
use crate::dialect::openai_chat::wire::{Content as Wire, Str};
use crate::error::{Error, Result};
use crate::ir::{Content, Part, Raw, Source};

/// Reads text or a list of pieces that stands at `at`, such as `input[0].content`.
pub(super) fn read_content(raw: &RawValue, at: &str) -> Result<Vec<Part>> {
    match read_text(raw.get(), at)? {
        Wire::Text(text) => Ok(vec![Part::text(text)]),
        Wire::Parts(parts) => parts.iter().enumerate().map(|(index, raw)| read_piece(raw, &format!("{at}[{index}]"))).collect(),
    }
}

fn read_piece(raw: &RawValue, at: &str) -> Result<Part> {
    let mut fields = Fields::of(raw, at)?;
    let cache = fields.take("prompt_cache_breakpoint")?.map(read_cache);
    let kind: Str<'_> = fields.need("type")?;
    let content = match &*kind {
        "input_text" | "output_text" | "text" | "summary_text" => {
            // Parts of answers that come back; the text says it all.
            let _ = (fields.raw("annotations"), fields.raw("logprobs"));
            Content::Text { text: fields.need("text")?, citations: Vec::new() }
        }
        "refusal" => Content::Refusal { text: fields.need("refusal")? },
        "input_image" => read_image(&mut fields, at)?,
        "input_file" => read_file(&mut fields, at)?,
        _ => return Ok(Content::Foreign { from: NAME, value: Raw(raw.to_owned()) }.into()),
    };
    Ok(Part { content, cache, signature: None, extra: fields.rest(NAME) })
}

fn read_image(fields: &mut Fields<'_>, at: &str) -> Result<Content> {
    let source = match (fields.take::<Str<'_>>("image_url")?, fields.take("file_id")?) {
        (Some(url), _) => read_url(&url),
        (None, Some(id)) => Source::File { id },
        (None, None) => return Err(Error::bad_request(format!("{at}: an image has image_url or file_id")).at(at)),
    };
    Ok(Content::Image { source, detail: fields.take("detail")? })
}

fn read_file(fields: &mut Fields<'_>, at: &str) -> Result<Content> {
    let title: Option<String> = fields.take("filename")?;
    let data: Option<Str<'_>> = fields.take("file_data")?;
    let source = match (data, fields.take("file_url")?, fields.take("file_id")?) {
        (Some(data), ..) => match read_url(&data) {
            // Bare base64 is taken as well.
            Source::Url { url, .. } => Source::Base64 { media_type: media_type_of_file(title.as_deref()), data: url },
            source => source,
        },
        (None, Some(url), _) => Source::Url { url, media_type: None },
        (None, None, Some(id)) => Source::File { id },
        (None, None, None) => {
            return Err(Error::bad_request(format!("{at}: a file has file_data, file_url or file_id")).at(at));
        }
    };
    Ok(Content::Document { source, title, cite: None })
}
