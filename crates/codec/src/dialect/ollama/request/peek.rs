//! The few fields that routing needs, and the one that the same lane changes.

use std::ops::Range;

use super::super::Shape;
use super::untag;
use crate::dialect::fault::{expected, read_members};
use crate::dialect::openai_chat::cannot_count;
use crate::dialect::{Edit, Forward, Framing, Operation, Peek};
use crate::error::{Error, Result};
use crate::json::{self, Kind};

/// Looks at a request. A stream is asked for unless it says that none is.
pub(in super::super) fn peek(body: &[u8], operation: Operation) -> Result<Peek> {
    if operation != Operation::Chat {
        return Err(cannot_count(super::super::CHAT));
    }
    let members = read_members(body)?;
    let find = |key| json::find(body, &members, key).filter(|member| member.kind != Kind::Null);
    let model = find("model").ok_or_else(|| Error::bad_request("model is required").at("model"))?;
    let name = body.get(model.value.clone()).and_then(json::unquote).ok_or_else(|| expected("model", "a string", model.kind))?;
    let name = untag(&name);
    if name.is_empty() {
        return Err(Error::bad_request("model is empty").at("model"));
    }
    let stream = match find("stream") {
        None => true,
        Some(member) if member.kind == Kind::Bool => body.get(member.value.start) == Some(&b't'),
        Some(member) => return Err(expected("stream", "true or false", member.kind)),
    };
    Ok(Peek {
        operation,
        model: name.to_owned(),
        model_span: Some(model.value.clone()),
        stream,
        max_tokens: find("options").and_then(|options| limit(body, options.value.clone())),
        framing: Framing::Ndjson,
        stream_usage: true,
        user: None,
    })
}

/// `num_predict`, unless it stands for no limit; a wrong type is for the reader to refuse.
fn limit(body: &[u8], options: Range<usize>) -> Option<u64> {
    let options = body.get(options)?;
    std::str::from_utf8(options.get(json::member(options, "num_predict")?)?).ok()?.parse().ok()
}

/// Same lane: the model's name.
pub(in super::super) fn forward(shape: Shape, peek: &Peek, model: &str) -> Forward {
    let edits = match &peek.model_span {
        Some(span) if peek.model != model => vec![Edit { span: span.clone(), with: json::quote(model).into_bytes() }],
        _ => Vec::new(),
    };
    Forward { path: shape.path().to_owned(), edits, drop_usage: false }
}
