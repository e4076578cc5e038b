//! `:generateContent` with pictures in the answer: `responseModalities` asks for them, `inlineData` parts are them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::super::super::gemini::path::{self, Verb};
use super::super::{GEMINI, usage};
use super::image::ratio;
use crate::catalog::Quirks;
use crate::dialect::Outgoing;
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Draw, Extra, File, Image, Images};
use crate::loss::Losses;

fn write_picture(file: &File) -> Value {
    let media = if file.media.is_empty() { "image/png" } else { &file.media };
    json!({ "inlineData": { "mimeType": media, "data": STANDARD.encode(&file.bytes) } })
}

pub(super) fn write(wanted: &Draw, quirks: &Quirks) -> Result<Outgoing> {
    const WHY: &str = "this dialect has no such setting";
    let mut losses = Losses::default();
    let mut parts = vec![json!({ "text": wanted.prompt })];
    parts.extend(wanted.images.iter().map(write_picture));
    let mut config = Map::new();
    config.insert("responseModalities".to_owned(), json!(["IMAGE"]));
    if let Some(size) = wanted.size.as_deref().filter(|size| *size != "auto") {
        losses.add("size", "only the shape can be asked for, not the number of pixels");
        config.extend(ratio(size).map(|ratio| ("imageConfig".to_owned(), json!({ "aspectRatio": ratio }))));
    }
    losses.add_if_some(&wanted.mask, "mask", "this dialect has no masks; say in the prompt what may change");
    losses.add_if_some(&wanted.quality, "quality", WHY);
    losses.add_if_some(&wanted.style, "style", WHY);
    losses.add_if_some(&wanted.background, "background", WHY);
    losses.add_if_some(&wanted.format, "format", WHY);
    losses.add_if_some(&wanted.user, "user", WHY);
    if wanted.delivery.as_deref() == Some("url") {
        losses.add("delivery", "images come in the answer");
    }
    config.extend(wanted.extra.of(GEMINI).cloned().unwrap_or_default());
    losses.add_foreign("", &wanted.extra, GEMINI);
    let body = json!({ "contents": [{ "role": "user", "parts": parts }], "generationConfig": config });
    let path = path::write(&wanted.model, Verb::Generate, quirks)?;
    Ok(Outgoing { method: Method::POST, path, headers: HeaderMap::new(), body: body.to_string().into_bytes(), losses })
}

pub(super) fn read(answer: &Value) -> Result<Images> {
    let candidates = || answer.get("candidates").and_then(Value::as_array).into_iter().flatten();
    let parts = candidates().filter_map(|candidate| candidate.pointer("/content/parts")?.as_array()).flatten();
    let images: Vec<Image> = parts
        // Drafts that the model made while it thought are marked.
        .filter(|part| part.get("thought") != Some(&Value::Bool(true)))
        .filter_map(|part| {
            let blob = part.get("inlineData").or_else(|| part.get("inline_data"))?;
            let text = |key: &str| blob.get(key).and_then(Value::as_str).map(str::to_owned);
            Some(Image { base64: Some(text("data")?), url: None, media: text("mimeType"), prompt: None })
        })
        .collect();
    if images.is_empty() {
        let blocked = answer.pointer("/promptFeedback/blockReason").and_then(Value::as_str);
        let ended = candidates().filter_map(|candidate| candidate.get("finishReason")?.as_str()).find(|why| *why != "STOP");
        return Err(match blocked.or(ended) {
            Some(why) => Error::new(Kind::Filtered, Origin::Provider, format!("no image was made: {why}")),
            None => Error::malformed("the provider's answer holds no images"),
        });
    }
    Ok(Images { created: None, images, usage: answer.get("usageMetadata").and_then(usage::read), extra: Extra::default() })
}
