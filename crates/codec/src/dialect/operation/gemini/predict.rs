//! Imagen's `:predict`: `{"instances":[{"prompt"}],"parameters":{"sampleCount","aspectRatio"}}` to
//! `{"predictions":[{"bytesBase64Encoded","mimeType"}]}`.

use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::super::super::fault::read_json;
use super::super::super::gemini::path::{self, Verb};
use super::super::{GEMINI, Told, unsupported};
use super::image::ratio;
use crate::catalog::Quirks;
use crate::dialect::{Head, Outgoing};
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Draw, Extra, Image, Images};
use crate::loss::Losses;

pub(super) fn write(wanted: &Draw, quirks: &Quirks) -> Result<Outgoing> {
    if !wanted.images.is_empty() {
        return Err(unsupported("this model makes images but edits none", "image"));
    }
    const WHY: &str = "this dialect has no such setting";
    let mut losses = Losses::default();
    let mut parameters = Map::new();
    parameters.insert("sampleCount".to_owned(), Value::from(wanted.n.unwrap_or(1)));
    if let Some(size) = wanted.size.as_deref().filter(|size| *size != "auto") {
        losses.add("size", "only the shape can be asked for, not the number of pixels");
        parameters.extend(ratio(size).map(|ratio| ("aspectRatio".to_owned(), Value::from(ratio))));
    }
    if let Some(format) = &wanted.format {
        parameters.insert("outputOptions".to_owned(), json!({ "mimeType": format!("image/{format}") }));
    }
    losses.add_if_some(&wanted.quality, "quality", WHY);
    losses.add_if_some(&wanted.style, "style", WHY);
    losses.add_if_some(&wanted.background, "background", WHY);
    losses.add_if_some(&wanted.user, "user", WHY);
    if wanted.delivery.as_deref() == Some("url") {
        losses.add("delivery", "images come in the answer");
    }
    parameters.extend(wanted.extra.of(GEMINI).cloned().unwrap_or_default());
    losses.add_foreign("", &wanted.extra, GEMINI);
    let body = json!({ "instances": [{ "prompt": wanted.prompt }], "parameters": parameters });
    let path = path::write(&wanted.model, Verb::Predict, quirks)?;
    Ok(Outgoing { method: Method::POST, path, headers: HeaderMap::new(), body: body.to_string().into_bytes(), losses })
}

pub(super) fn read(answer: &Value) -> Result<Images> {
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let rows = answer.get("predictions").and_then(Value::as_array).into_iter().flatten();
    let images: Vec<Image> = rows
        .filter(|row| ["bytesBase64Encoded", "url"].iter().any(|key| row.get(*key).is_some()))
        .map(|row| Image {
            base64: text(row, "bytesBase64Encoded"),
            url: text(row, "url"),
            media: text(row, "mimeType"),
            prompt: text(row, "prompt"),
        })
        .collect();
    if images.is_empty() {
        let mut rows = answer.get("predictions").and_then(Value::as_array).into_iter().flatten();
        return Err(match rows.find_map(|row| text(row, "raiFilteredReason")) {
            Some(why) => Error::new(Kind::Filtered, Origin::Provider, format!("no image was made: {why}")),
            None => Error::malformed("the provider's answer holds no images"),
        });
    }
    Ok(Images { created: None, images, usage: None, extra: Extra::default() })
}

pub(super) fn read_request(head: &Head<'_>, body: &[u8]) -> Result<Draw> {
    let (model, _) = path::read(head.path)?;
    let body: Value = read_json(body, "")?;
    let prompt = body.pointer("/instances/0/prompt").and_then(Value::as_str);
    let prompt = prompt.ok_or_else(|| Error::bad_request("instances[0].prompt is required").at("instances[0].prompt"))?;
    let mut parameters = body.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    let n = parameters.shift_remove("sampleCount").and_then(|n| n.as_u64()).and_then(|n| u32::try_from(n).ok());
    Ok(Draw { model, prompt: prompt.to_owned(), n, extra: Extra::new(GEMINI, parameters), ..Draw::default() })
}

pub(super) fn write_answer(answer: &Images) -> Told {
    let rows = answer.images.iter().map(|image| {
        let media = image.media.as_deref().unwrap_or("image/png");
        match (&image.base64, &image.url) {
            // The dialect has no addresses; better a strange field than no picture.
            (None, Some(url)) => json!({ "mimeType": media, "url": url }),
            (base64, _) => json!({ "mimeType": media, "bytesBase64Encoded": base64 }),
        }
    });
    Told::json(&json!({ "predictions": rows.collect::<Vec<_>>() }))
}
