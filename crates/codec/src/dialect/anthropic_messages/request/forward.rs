//! The same lane: what routing must know of a request, and what is changed in one that stays as it is.

use crate::dialect::fault::{expected, read_members};
use crate::dialect::person::read_metadata_user;
use crate::dialect::{Edit, Forward, Framing, Head, Operation, Peek};
use crate::error::{Error, Result};
use crate::json::{Kind, scan};
use crate::json::{quote, unquote};

/// The path of an operation, appended to the base URL.
pub(super) fn path(operation: Operation) -> &'static str {
    match operation {
        Operation::CountTokens => "/v1/messages/count_tokens",
        _ => "/v1/messages",
    }
}

/// Looks at the few fields that routing needs.
pub(in super::super) fn peek(body: &[u8], operation: Operation) -> Result<Peek> {
    let members = read_members(body)?;
    let find = |key| scan::find(body, &members, key).filter(|member| member.kind != Kind::Null);
    let model = find("model").ok_or_else(|| Error::bad_request("model is required").at("model"))?;
    let name = body.get(model.value.clone()).and_then(unquote).ok_or_else(|| expected("model", "a string", model.kind))?;
    if name.is_empty() {
        return Err(Error::bad_request("model is empty").at("model"));
    }
    let stream = match find("stream") {
        None => false,
        Some(member) if member.kind == Kind::Bool => body.get(member.value.start) == Some(&b't'),
        Some(member) => return Err(expected("stream", "true or false", member.kind)),
    };
    let max_tokens = match find("max_tokens") {
        None => None,
        Some(member) => {
            let number = body.get(member.value.clone()).and_then(|json| serde_json::from_slice::<u64>(json).ok());
            Some(number.ok_or_else(|| expected("max_tokens", "a whole number", member.kind))?)
        }
    };
    Ok(Peek {
        operation,
        model: name.into_owned(),
        model_span: Some(model.value.clone()),
        stream: stream && operation == Operation::Chat,
        max_tokens,
        framing: Framing::Sse,
        stream_usage: true,
        user: read_metadata_user(body, &members),
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
        Some(span) if peek.model != model => vec![Edit { span: span.clone(), with: quote(model).into_bytes() }],
        _ => Vec::new(),
    };
    Forward { path, edits, drop_usage: false }
}
