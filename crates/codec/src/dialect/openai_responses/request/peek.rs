//! The few fields that routing needs.

use crate::dialect::fault::{expected, read_members};
use crate::dialect::openai_chat::request::{Seen, USER, required};
use crate::dialect::person::read_user;
use crate::dialect::{Framing, Operation, Peek};
use crate::error::{Error, Kind, Origin, Result};
use crate::json;

/// What a request may have instead of `input`: the server has the conversation.
const STORED: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Looks at a request.
pub(crate) fn peek(body: &[u8], operation: Operation) -> Result<Peek> {
    if !matches!(operation, Operation::Chat | Operation::CountTokens) {
        return Err(Error::new(Kind::Unsupported, Origin::Caller, "this dialect has answers and token counts only"));
    }
    let members = read_members(body)?;
    let seen = Seen { body, members: &members };
    let (model, model_span) = seen.text("model")?.filter(|(model, _)| !model.is_empty()).ok_or_else(|| required("model"))?;
    match seen.value("input") {
        Some((_, json::Kind::String | json::Kind::Array)) => {}
        Some((_, kind)) => return Err(expected("input", "a string or a list of items", kind)),
        None if STORED.iter().any(|field| seen.value(field).is_some()) => {}
        None => return Err(required("input")),
    }
    Ok(Peek {
        operation,
        model,
        model_span: Some(model_span),
        stream: seen.flag("stream")?.unwrap_or(false),
        max_tokens: seen.number("max_output_tokens")?,
        framing: Framing::Sse,
        stream_usage: true,
        user: read_user(body, &members, &USER),
    })
}
