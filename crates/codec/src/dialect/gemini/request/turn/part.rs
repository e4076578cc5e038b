//! One part for a provider.

use std::collections::HashMap;
use std::fmt;

use crate::catalog::Quirks;
use crate::dialect::gemini::request::config::knows_levels;
use crate::dialect::gemini::text::{Object, nested};
use crate::dialect::gemini::{NAME, media};
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Content, Part, Request, Signature, Source};
use crate::loss::Losses;

use super::is_made_up;
use super::result::{put_arguments, put_outcome};

pub(super) const NO_MARKS: &str = "gemini caches by itself or by a resource of its own";

/// Lets the service take calls that it did not make itself.
const FOREIGN_CALL: &str = "skip_thought_signature_validator";

/// A message and a part of it, in canonical words.
#[derive(Clone, Copy)]
pub(super) struct Path(pub(super) usize, pub(super) usize);

impl Path {
    pub(super) fn field(self, field: &str) -> String {
        format!("{self}.{field}")
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages[{}].parts[{}]", self.0, self.1)
    }
}

/// Writes the parts of a request's messages.
pub(super) struct Parts<'r> {
    pub(super) losses: &'r mut Losses,
    /// The names of the tools by the ids of their calls.
    names: HashMap<&'r str, &'r str>,
    quirks: &'r Quirks,
    /// Whether calls that the service did not make must say so.
    marks_calls: bool,
    /// The current content has a call already.
    called: bool,
}

impl<'r> Parts<'r> {
    pub(super) fn new(request: &'r Request, quirks: &'r Quirks, losses: &'r mut Losses) -> Self {
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        let names = parts.filter_map(|part| match &part.content {
            Content::ToolCall { id, name, .. } => Some((id.as_str(), name.as_str())),
            _ => None,
        });
        Parts { losses, names: names.collect(), quirks, marks_calls: knows_levels(&request.model), called: false }
    }

    /// A content begins.
    pub(super) fn begin(&mut self) {
        self.called = false;
    }

    /// Writes a part's fields; false when there is nothing to say.
    pub(super) fn write(&mut self, part: &Part, path: Path, object: &mut Object<'_>) -> Result<bool> {
        self.losses.add_foreign(&path.to_string(), &part.extra, NAME);
        let signature = self.signature(part, path);
        match &part.content {
            Content::Text { text, .. } if text.is_empty() && signature.is_none() => return Ok(false),
            Content::Text { text, .. } | Content::Refusal { text } => object.put("text", text),
            Content::Reasoning { text, redacted } => {
                let foreign = part.signature.is_some() && signature.is_none();
                if foreign || *redacted || (text.is_empty() && signature.is_none()) {
                    self.losses.add(path.to_string(), "only the model that thought it can read it");
                    return Ok(false);
                }
                object.put("text", text);
                object.put("thought", &true);
            }
            Content::ToolCall { id, name, arguments } => {
                self.write_call((id, name, arguments), path, object);
                let first = !std::mem::replace(&mut self.called, true);
                if first && signature.is_none() && self.marks_calls {
                    object.put("thoughtSignature", FOREIGN_CALL);
                }
            }
            Content::ToolResult { id, name, parts, failed } => {
                self.write_result((id, name.as_deref(), parts, *failed), part, path, object)?;
            }
            Content::Foreign { from: NAME, value } => {
                let block = value.value();
                object.put_all(block.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value)));
            }
            Content::Foreign { from, .. } => {
                self.losses.add(path.to_string(), format!("only {from} knows this block"));
                return Ok(false);
            }
            content if self.quirks.refuses(kind_of(content)) => {
                self.losses.add(path.to_string(), "this provider does not take it");
                return Ok(false);
            }
            _ => self.write_media(part, path, object)?,
        }
        object.put_some("thoughtSignature", &signature);
        object.put_all(nested(&part.extra, "", &["inlineData.", "fileData.", "functionResponse."]));
        Ok(true)
    }

    fn signature(&mut self, part: &Part, path: Path) -> Option<String> {
        match &part.signature {
            Some(Signature { owner: NAME, value }) => Some(value.clone()),
            Some(_) => {
                self.losses.add(path.field("signature"), "belongs to another provider");
                None
            }
            None => None,
        }
    }

    fn write_media(&mut self, part: &Part, path: Path, object: &mut Object<'_>) -> Result<()> {
        match &part.content {
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|word| word != "auto") {
                    self.losses.add(path.field("detail"), "not every gemini model takes a resolution for one image");
                }
                self.write_source(source, "image/jpeg", part, path, object)
            }
            Content::Document { source, title, cite } => {
                if title.is_some() {
                    self.losses.add(path.field("title"), "gemini documents have no titles");
                }
                if *cite == Some(true) {
                    self.losses.add(path.field("cite"), "not supported by gemini");
                }
                self.write_source(source, "application/pdf", part, path, object)
            }
            Content::Audio { source, .. } => self.write_source(source, "audio/wav", part, path, object),
            Content::Video { source } => self.write_source(source, "video/mp4", part, path, object),
            _ => Ok(()),
        }
    }

    /// Writes where media is; `usual` is its type when nothing tells it.
    fn write_source(
        &mut self,
        source: &Source,
        usual: &'static str,
        part: &Part,
        path: Path,
        object: &mut Object<'_>,
    ) -> Result<()> {
        let (url, media_type) = match source {
            Source::Base64 { media_type, data } => {
                let mut blob = object.object("inlineData");
                blob.put("mimeType", if media_type.is_empty() { usual } else { media_type });
                blob.put("data", data);
                blob.put_all(nested(&part.extra, "inlineData.", &[]));
                blob.end();
                return Ok(());
            }
            Source::Text { text } => {
                let mut blob = object.object("inlineData");
                blob.put("mimeType", "text/plain");
                blob.put("data", &media::encode(text.as_bytes()));
                blob.end();
                return Ok(());
            }
            Source::Url { url, media_type } => (url, media_type.as_deref()),
            Source::File { id } if id.starts_with("files/") || id.contains("://") => (id, None),
            Source::File { id } => {
                let words =
                    format!("gemini has no file `{id}`: it was uploaded to another provider; send its bytes or its address");
                return Err(Error::new(Kind::Unsupported, Origin::Caller, words).at(path.to_string()));
            }
        };
        let known = media_type.or_else(|| media::guess(url));
        // The service knows the types of its own files.
        let own = url.starts_with("files/") || url.contains("/v1beta/files/") || url.contains("/v1/files/");
        let mut file = object.object("fileData");
        if let Some(media_type) = known.or(Some(usual).filter(|_| !own)) {
            file.put("mimeType", media_type);
        }
        if known.is_none() && !own {
            self.losses.add(path.field("source.media_type"), format!("approximated as {usual}"));
        }
        file.put("fileUri", url);
        file.put_all(nested(&part.extra, "fileData.", &[]));
        file.end();
        Ok(())
    }

    fn write_call(&mut self, (id, name, arguments): (&str, &str, &str), path: Path, object: &mut Object<'_>) {
        let mut call = object.object("functionCall");
        if !is_made_up(id) {
            call.put("id", id);
        }
        call.put("name", name);
        if !put_arguments(arguments, call.key("args")) {
            self.losses.add(path.field("arguments"), "wrapped into an object, because gemini takes nothing else");
        }
        call.end();
    }

    fn write_result(
        &mut self,
        (id, name, parts, failed): (&str, Option<&str>, &[Part], bool),
        part: &Part,
        path: Path,
        object: &mut Object<'_>,
    ) -> Result<()> {
        let mut result = object.object("functionResponse");
        if !is_made_up(id) {
            result.put("id", id);
        }
        let name = name.or_else(|| self.names.get(id).copied());
        if name.is_none() {
            self.losses.add(path.field("name"), "no call has this id, so the id stands for the tool's name");
        }
        result.put("name", name.unwrap_or(id));
        put_outcome(parts, failed, result.key("response"));
        if parts.iter().any(stands_inside) {
            let mut list = result.list("parts");
            for inner in parts.iter().filter(|part| stands_inside(part)) {
                let mut object = list.object();
                self.write_media(inner, path, &mut object)?;
                object.end();
            }
            list.end();
        }
        result.put_all(nested(&part.extra, "functionResponse.", &[]));
        result.end();
        Ok(())
    }
}

/// Those parts of a result that cannot stand inside it.
pub(super) fn outside(part: &Part) -> impl Iterator<Item = &Part> {
    let parts = match &part.content {
        Content::ToolResult { parts, .. } => parts.as_slice(),
        _ => &[],
    };
    parts.iter().filter(|part| !stands_inside(part) && !matches!(part.content, Content::Text { .. }))
}

/// What quirks call media of this kind.
fn kind_of(content: &Content) -> &'static str {
    match content {
        Content::Image { source: Source::Url { .. } | Source::File { .. }, .. } => "image_url",
        Content::Image { .. } => "image_base64",
        Content::Audio { .. } => "audio",
        Content::Video { .. } => "video",
        _ => "file",
    }
}

/// Media that a result may hold: bytes, no addresses.
fn stands_inside(part: &Part) -> bool {
    match &part.content {
        Content::Image { source, .. }
        | Content::Document { source, .. }
        | Content::Audio { source, .. }
        | Content::Video { source } => matches!(source, Source::Base64 { .. } | Source::Text { .. }),
        _ => false,
    }
}
