//! The few fields that routing needs, and the one that the same lane changes.

use super::super::{NAME, PATH};
use crate::dialect::fault::{expected, read_members};
use crate::dialect::openai_chat::cannot_count;
use crate::dialect::{Edit, Forward, Framing, Operation, Peek};
use crate::error::{Error, Result};
use crate::json::{self, Kind};

/// Looks at a request.
pub(in super::super) fn peek(body: &[u8], operation: Operation) -> Result<Peek> {
    if operation != Operation::Chat {
        return Err(cannot_count(NAME));
    }
    let members = read_members(body)?;
    let find = |key| json::find(body, &members, key).filter(|member| member.kind != Kind::Null);
    let model = find("model").ok_or_else(|| Error::bad_request("model is required").at("model"))?;
    let name = body.get(model.value.clone()).and_then(json::unquote).ok_or_else(|| expected("model", "a string", model.kind))?;
    if name.is_empty() {
        return Err(Error::bad_request("model is empty").at("model"));
    }
    let stream = match find("stream") {
        None => false,
        Some(member) if member.kind == Kind::Bool => body.get(member.value.start) == Some(&b't'),
        Some(member) => return Err(expected("stream", "true or false", member.kind)),
    };
    let max_tokens = find("max_tokens").and_then(|member| serde_json::from_slice(body.get(member.value.clone())?).ok());
    Ok(Peek {
        operation,
        model: name.into_owned(),
        model_span: Some(model.value.clone()),
        stream,
        max_tokens,
        framing: Framing::Sse,
        stream_usage: true,
        user: None,
    })
}

/// Same lane: the model's name.
pub(in super::super) fn forward(peek: &Peek, model: &str) -> Forward {
    let edits = match &peek.model_span {
        Some(span) if peek.model != model => vec![Edit { span: span.clone(), with: json::quote(model).into_bytes() }],
        _ => Vec::new(),
    };
    Forward { path: PATH.to_owned(), edits, drop_usage: false }
}
