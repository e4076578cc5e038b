//! The operations of `gemini`: embeddings, and images in two ways.

mod embed;
mod generate;
mod image;
mod predict;

pub(super) use embed::Embeds;
pub(super) use image::Draws;

use super::super::Operation;
use super::super::gemini::path::Verb;
use crate::error::{Error, Kind, Origin, Result};
use serde_json::Value;

/// The operation of a caller's path.
pub(super) fn route(path: &str) -> Option<Operation> {
    let model = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
    let verb = Verb::read(model.rsplit_once(':')?.1)?;
    Some(verb.operation()).filter(|operation| !matches!(operation, Operation::Chat | Operation::CountTokens))
}

/// Reads an answer that must hold one of `keys`; an error in a body of status 200 is an error.
fn read_object(body: &[u8], keys: &[&str]) -> Result<Value> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|fault| Error::malformed(format!("the provider's answer is not JSON: {fault}")).with_raw(body))?;
    if keys.iter().any(|key| value.get(*key).is_some()) {
        return Ok(value);
    }
    match value.pointer("/error/message").and_then(Value::as_str) {
        Some(message) => Err(Error::new(Kind::Server, Origin::Provider, message).with_raw(body)),
        None => Err(Error::malformed(format!("the provider's answer holds no {}", keys.join(" and no "))).with_raw(body)),
    }
}
