//! `POST /images/generations` (JSON) and `/images/edits` (a form).

use serde_json::{Value, json};

use super::super::super::fields::Fields;
use super::super::super::object::Object;
use super::super::multipart;
use super::super::{OPENAI, Told, Wire};
use super::{form, list_of, outgoing, read_object, read_usage, text_of, write_usage};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Operation, Outgoing};
use crate::error::{Error, Result};
use crate::ir::{Draw, Extra, Image, Images};
use crate::loss::Losses;

/// Images.
pub(in super::super) struct Draws;

/// The plain settings and their names on the wire.
fn settings(wanted: &Draw) -> [(&'static str, Option<&String>); 7] {
    [
        ("size", wanted.size.as_ref()),
        ("quality", wanted.quality.as_ref()),
        ("style", wanted.style.as_ref()),
        ("background", wanted.background.as_ref()),
        ("output_format", wanted.format.as_ref()),
        ("response_format", wanted.delivery.as_ref()),
        ("user", wanted.user.as_ref()),
    ]
}

fn write_form(wanted: &Draw) -> Outgoing {
    let mut fields = vec![("model", wanted.model.clone()), ("prompt", wanted.prompt.clone())];
    fields.extend(wanted.n.map(|n| ("n", n.to_string())));
    fields.extend(settings(wanted).into_iter().filter_map(|(name, value)| Some((name, value?.clone()))));
    // One picture goes by the name that the older models know.
    let name = if wanted.images.len() == 1 { "image" } else { "image[]" };
    let mut files: Vec<_> = wanted.images.iter().map(|file| (name, file)).collect();
    files.extend(wanted.mask.as_ref().map(|mask| ("mask", mask)));
    form(Operation::ImageEdit, fields, &files, &wanted.extra)
}

fn read_form(head: &Head<'_>, body: &[u8]) -> Result<Draw> {
    let media = head.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut wanted = Draw::default();
    let mut extra = serde_json::Map::new();
    for field in multipart::read(&multipart::boundary(media)?, body)? {
        match field.name.as_str() {
            "image" | "image[]" => wanted.images.push(field.file()),
            "mask" => wanted.mask = Some(field.file()),
            "model" => wanted.model = field.text()?,
            "prompt" => wanted.prompt = field.text()?,
            "n" => {
                let wrong = |_| Error::bad_request("n: expected a whole number").at("n");
                wanted.n = Some(field.text()?.trim().parse().map_err(wrong)?);
            }
            "size" => wanted.size = Some(field.text()?),
            "quality" => wanted.quality = Some(field.text()?),
            "background" => wanted.background = Some(field.text()?),
            "output_format" => wanted.format = Some(field.text()?),
            "response_format" => wanted.delivery = Some(field.text()?),
            "user" => wanted.user = Some(field.text()?),
            _ if field.file.is_none() => {
                extra.insert(field.name.clone(), Value::from(field.text()?));
            }
            _ => {}
        }
    }
    if wanted.images.is_empty() {
        return Err(Error::bad_request("image is required").at("image"));
    }
    if wanted.prompt.is_empty() {
        return Err(Error::bad_request("prompt is required").at("prompt"));
    }
    wanted.extra = Extra::new(OPENAI, extra);
    Ok(wanted)
}

fn read_image(row: &Value, media: Option<&String>) -> Image {
    Image {
        base64: text_of(row, "b64_json"),
        url: text_of(row, "url"),
        media: media.cloned(),
        prompt: text_of(row, "revised_prompt"),
    }
}

impl Wire<Draw> for Draws {
    fn write_request(&self, wanted: &Draw, _: &Quirks) -> Result<Outgoing> {
        if !wanted.images.is_empty() {
            return Ok(write_form(wanted));
        }
        let mut body = Object::with_capacity(256 + wanted.prompt.len());
        body.put("model", &wanted.model);
        body.put("prompt", &wanted.prompt);
        body.put_some("n", wanted.n.as_ref());
        for (name, value) in settings(wanted) {
            body.put_some(name, value);
        }
        Ok(outgoing(Operation::ImageGenerate, body, &wanted.extra, Losses::default()))
    }

    fn read_answer(&self, _: &str, body: &[u8]) -> Result<Images> {
        let answer = read_object(body)?;
        let rows = ["data", "images"].iter().map(|key| list_of(&answer, key)).find(|rows| !rows.is_empty());
        let rows = rows.ok_or_else(|| Error::malformed("the provider's answer holds no images").with_raw(body))?;
        let media = text_of(&answer, "output_format").map(|format| format!("image/{format}"));
        let mut extra = serde_json::Map::new();
        for key in ["background", "output_format", "quality", "size"] {
            extra.extend(answer.get(key).filter(|value| !value.is_null()).map(|value| (key.to_owned(), value.clone())));
        }
        Ok(Images {
            created: answer.get("created").and_then(Value::as_u64),
            images: rows.iter().map(|row| read_image(row, media.as_ref())).collect(),
            usage: read_usage(&answer),
            extra: if extra.is_empty() { Extra::default() } else { Extra::new(OPENAI, extra) },
        })
    }

    fn read_request(&self, head: &Head<'_>, body: &[u8]) -> Result<Draw> {
        if head.path.ends_with("/edits") {
            return read_form(head, body);
        }
        let mut fields = Fields::read(body, "")?;
        Ok(Draw {
            model: fields.take("model")?.unwrap_or_default(),
            prompt: fields.need("prompt")?,
            images: Vec::new(),
            mask: None,
            n: fields.take("n")?,
            size: fields.take("size")?,
            quality: fields.take("quality")?,
            style: fields.take("style")?,
            background: fields.take("background")?,
            format: fields.take("output_format")?,
            delivery: fields.take("response_format")?,
            user: fields.take("user")?,
            extra: fields.rest(OPENAI),
        })
    }

    fn write_answer(&self, _: &Draw, answer: &Images, cx: &Cx) -> Told {
        let rows = answer.images.iter().map(|image| {
            let members = [("b64_json", &image.base64), ("url", &image.url), ("revised_prompt", &image.prompt)];
            let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.clone()?))));
            Value::Object(there.collect())
        });
        let mut told = json!({
            "created": answer.created.unwrap_or(cx.created),
            "data": rows.collect::<Vec<_>>(),
        });
        if let Some(told) = told.as_object_mut() {
            told.extend(answer.extra.of(OPENAI).cloned().unwrap_or_default());
            told.extend(answer.usage.as_ref().map(|usage| ("usage".to_owned(), write_usage(Some(usage)))));
        }
        Told::json(&told)
    }
}
