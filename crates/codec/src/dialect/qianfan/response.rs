//! Answers, whole and in frames.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::openai_chat::wire::{Answer, Choice, Content, Function, Said, Scalar, Tokens};
use super::error::read_error_within;
use crate::error::{Error, Result};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply<'a> {
    #[serde(borrow)]
    id: Option<Scalar<'a>>,
    #[serde(borrow)]
    created: Option<Scalar<'a>>,
    #[serde(borrow)]
    result: Option<Scalar<'a>>,
    #[serde(borrow)]
    function_call: Option<Function<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Scalar<'a>>,
    /// Absent from whole answers.
    is_end: Option<bool>,
    is_truncated: Option<bool>,
    /// The conversation must not go on: it was found unsafe.
    need_clear_history: Option<bool>,
    usage: Option<Tokens>,
    #[serde(borrow)]
    error_code: Option<Scalar<'a>>,
}

/// Reads an answer or a frame of one; an error in it is an `Err`, whatever the status was.
pub(super) fn read_answer(body: &[u8]) -> Result<Answer<'_>> {
    let malformed = |fault| Error::malformed(format!("the answer cannot be read: {fault}")).with_raw(body);
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(malformed)?;
    if reply.error_code.as_ref().and_then(Scalar::number).is_some_and(|code| code != 0) {
        return Err(read_error_within(body));
    }
    if reply.result.is_none() && reply.function_call.is_none() && reply.is_end.is_none() {
        return Ok(Answer::default());
    }
    let finish_reason = if reply.is_end == Some(false) { None } else { Some(finish(&reply)) };
    let content = reply.result.as_ref().and_then(Scalar::text).map(|text| Content::Text(text.to_owned()));
    let message = Box::new(Said { content, function_call: reply.function_call, ..Said::default() });
    let choice = Choice { message: Some(message), finish_reason, ..Choice::default() };
    Ok(Answer { id: reply.id, created: reply.created, choices: Some(vec![choice]), usage: reply.usage, ..Answer::default() })
}

fn finish<'a>(reply: &Reply<'a>) -> Scalar<'a> {
    let word = |word| Scalar::Text(Cow::Borrowed(word));
    if reply.need_clear_history == Some(true) {
        return word("content_filter");
    }
    let told = reply.finish_reason.clone().filter(|reason| reason.text().is_some_and(|text| !text.is_empty()));
    told.unwrap_or_else(|| word(if reply.is_truncated == Some(true) { "length" } else { "stop" }))
}
