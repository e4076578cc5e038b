//! The same lane: what routing must know of a request, and what is changed in one that stays as it is.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::fault::read_json;
use crate::dialect::{Edit, Forward, Framing, Head, Operation, Peek};
use crate::error::{Error, Result};

/// The path of an operation, appended to the base URL.
pub(super) fn path(operation: Operation) -> &'static str {
    match operation {
        Operation::Chat => "/v1/messages",
        Operation::CountTokens => "/v1/messages/count_tokens",
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    max_tokens: Option<u64>,
}

/// Looks at the few fields that routing needs.
pub(in super::super) fn peek(body: &[u8], operation: Operation) -> Result<Peek> {
    let fields: Fields<'_> = read_json(body, "")?;
    let raw = fields.model.ok_or_else(|| Error::bad_request("model is required").at("model"))?;
    let model: String = read_json(raw.get().as_bytes(), "model")?;
    let start = (raw.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    Ok(Peek {
        operation,
        model,
        model_span: Some(start..start + raw.get().len()),
        stream: fields.stream.unwrap_or(false) && operation == Operation::Chat,
        max_tokens: fields.max_tokens,
        framing: Framing::Sse,
        stream_usage: true,
    })
}

/// The path, with the caller's query, and the model's name put in.
pub(in super::super) fn forward(head: &Head<'_>, peek: &Peek, model: &str) -> Forward {
    let mut path = path(peek.operation).to_owned();
    if let Some(query) = head.query.filter(|query| !query.is_empty()) {
        path.push('?');
        path.push_str(query);
    }
    let edits = match &peek.model_span {
        Some(span) if peek.model != model => {
            vec![Edit { span: span.clone(), with: serde_json::to_vec(model).unwrap_or_default() }]
        }
        _ => Vec::new(),
    };
    Forward { path, edits, drop_usage: false }
}
