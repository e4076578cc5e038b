//! The operations as the OpenAI family has them; `/rerank` is not its maker's, but what many servers have beside it.

mod embed;
mod image;
mod moderate;
pub(super) mod rerank;
mod speak;
mod transcribe;

pub(super) use embed::Embeds;
pub(super) use image::Draws;
pub(super) use moderate::Moderates;
pub(super) use rerank::Reranks;
pub(super) use speak::Speaks;
pub(super) use transcribe::Transcribes;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use super::super::advice;
use super::super::object::Object;
use super::super::openai_chat::error::read_error;
use super::super::{Operation, Outgoing};
use super::{OPENAI, provider_path, usage};
use crate::error::{Error, Result};
use crate::ir::{Extra, Usage};
use crate::loss::Losses;

/// A request with a JSON body.
fn outgoing(operation: Operation, mut body: Object, extra: &Extra, mut losses: Losses) -> Outgoing {
    match extra.of(OPENAI) {
        Some(fields) => body.put_all(fields),
        None => losses.add_foreign("", extra, OPENAI),
    }
    let path = provider_path(OPENAI, operation).to_owned();
    Outgoing { method: Method::POST, path, headers: HeaderMap::new(), body: body.finish(), losses }
}

/// A request whose body is a form; `fields` do not hold those of `extra` yet.
fn form<'a>(
    operation: Operation,
    mut fields: Vec<(&'a str, String)>,
    files: &[(&str, &crate::ir::File)],
    extra: &'a Extra,
) -> Outgoing {
    let mut losses = Losses::default();
    match extra.of(OPENAI) {
        Some(more) => {
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            fields.extend(more.iter().map(|(name, value)| (name.as_str(), plain(value))));
        }
        None => losses.add_foreign("", extra, OPENAI),
    }
    let (media, body) = super::multipart::write(&fields, files);
    let mut headers = HeaderMap::new();
    if let Ok(media) = HeaderValue::from_str(&media) {
        headers.insert(CONTENT_TYPE, media);
    }
    Outgoing { method: Method::POST, path: provider_path(OPENAI, operation).to_owned(), headers, body, losses }
}

/// Reads an answer that must be a JSON object and no error.
fn read_object(body: &[u8]) -> Result<Value> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|fault| Error::malformed(format!("the provider's answer is not JSON: {fault}")).with_raw(body))?;
    if value.get("error").is_some_and(|error| !error.is_null()) {
        return Err(advice::read_within(Error { status: None, ..read_error(500, body) }, body));
    }
    if !value.is_object() {
        return Err(Error::malformed("the provider's answer is not a JSON object").with_raw(body));
    }
    Ok(value)
}

fn read_usage(answer: &Value) -> Option<Usage> {
    usage::read(answer.get("usage").or_else(|| answer.get("tokens"))?)
}

fn text_of(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn list_of<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Input and output tokens under the names of the newer endpoints.
fn write_usage(usage: Option<&Usage>) -> Value {
    match usage {
        None => Value::Null,
        Some(usage) => json!({
            "total_tokens": usage.total(),
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "input_tokens_details": { "text_tokens": usage.input, "image_tokens": 0 },
        }),
    }
}
