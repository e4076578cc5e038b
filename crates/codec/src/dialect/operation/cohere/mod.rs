//! The operations of `cohere-chat`'s second version: `/v2/embed` and `/v2/rerank`.

mod embed;
mod rerank;

pub(super) use embed::Embeds;
pub(super) use rerank::Reranks;

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::super::object::Object;
use super::super::{Operation, Outgoing};
use super::{COHERE, provider_path};
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Extra, Usage};
use crate::loss::Losses;

fn outgoing(operation: Operation, mut body: Object, extra: &Extra, mut losses: Losses) -> Outgoing {
    match extra.of(COHERE) {
        Some(fields) => body.put_all(fields),
        None => losses.add_foreign("", extra, COHERE),
    }
    let path = provider_path(COHERE, operation).to_owned();
    Outgoing { method: Method::POST, path, headers: HeaderMap::new(), body: body.finish(), losses }
}

/// Reads an answer that must hold `key`; an error says `message` instead.
fn read_object(body: &[u8], key: &str) -> Result<Value> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|fault| Error::malformed(format!("the provider's answer is not JSON: {fault}")).with_raw(body))?;
    match value.get("message").and_then(Value::as_str) {
        _ if value.get(key).is_some() => Ok(value),
        Some(message) => Err(Error::new(Kind::Server, Origin::Provider, message).with_raw(body)),
        None => Err(Error::malformed(format!("the provider's answer holds no {key}")).with_raw(body)),
    }
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn write_meta(usage: Option<&Usage>, searches: Option<u64>) -> Value {
    let mut units = serde_json::Map::new();
    units.extend(usage.map(|usage| ("input_tokens".to_owned(), Value::from(usage.input))));
    units.extend(searches.map(|searches| ("search_units".to_owned(), Value::from(searches))));
    json!({ "api_version": { "version": "2" }, "billed_units": units })
}
