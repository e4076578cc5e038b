//! A provider's whole answer.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use super::super::wire::{Answer, word};
use super::read_item::read_item;
use crate::dialect::openai_chat::error::read_error_within;
use crate::dialect::openai_chat::wire::{Scalar, Str};
use crate::error::{Error, Result};
use crate::ir::{Choice, Content, Extra, Finish, Reason, Response};

/// Reads a whole answer; one that failed is an `Err`.
pub(crate) fn read_response(body: &[u8]) -> Result<Response> {
    let answer = read_answer(body)?;
    let Some(output) = &answer.output else {
        return Err(Error::malformed("the answer has no output").with_raw(body));
    };
    let mut choice = Choice::default();
    for (index, raw) in output.iter().enumerate() {
        read_item(raw, index, &mut choice);
    }
    choice.finish = read_finish(&answer);
    settle_finish(&mut choice.finish, choice.parts.iter().map(|part| &part.content));
    Ok(Response {
        id: word(&answer.id).unwrap_or_default(),
        model: word(&answer.model).unwrap_or_default(),
        created: answer.created_at.as_ref().and_then(Scalar::count),
        choices: vec![choice],
        usage: answer.usage.and_then(|tokens| tokens.usage()),
        extra: Extra::new(NAME, read_extra(body)),
    })
}

/// Reads what a body or a frame tells of an answer; an error in it is an `Err`.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer<'_>> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| {
        if body.trim_ascii_start().starts_with(b"<") {
            return Error::malformed("answered with an HTML page instead of JSON").with_raw(body);
        }
        Error::malformed(format!("the answer cannot be read: {error}")).with_raw(body)
    })?;
    let has_error = answer.error.is_some_and(|raw| !matches!(raw.get(), "null" | "false" | "\"\"" | "{}"));
    let failed = answer.status.as_ref().and_then(Scalar::text).is_some_and(|status| matches!(status, "failed" | "cancelled"));
    let is_error = answer.object.as_ref().and_then(Scalar::text) == Some("error");
    if has_error || failed || is_error { Err(read_error_within(body)) } else { Ok(answer) }
}

/// Why the answer ended, by its own words alone.
pub(crate) fn read_finish(answer: &Answer<'_>) -> Finish {
    let status = answer.status.as_ref().and_then(Scalar::text).unwrap_or("completed");
    let why = answer.incomplete_details.as_ref().and_then(|details| word(&details.reason));
    match (status, why.as_deref()) {
        ("incomplete", Some("max_output_tokens")) => Reason::Length.into(),
        ("incomplete", Some("content_filter")) => Reason::Filtered.into(),
        ("incomplete", Some(_)) => Finish { reason: Reason::Pause, stop_sequence: None, detail: why },
        ("incomplete", None) => Reason::Failed.into(),
        // Not done yet: it can be asked for later, where it is stored.
        ("queued" | "in_progress", _) => Finish { reason: Reason::Pause, stop_sequence: None, detail: Some(status.to_owned()) },
        _ => Reason::Stop.into(),
    }
}

/// A plain end after tool calls or a refusal was one because of them.
pub(crate) fn settle_finish<'a>(finish: &mut Finish, contents: impl Iterator<Item = &'a Content>) {
    if finish.reason != Reason::Stop {
        return;
    }
    for content in contents {
        match content {
            Content::ToolCall { .. } => {
                finish.reason = Reason::ToolCalls;
                return;
            }
            Content::Refusal { .. } => finish.reason = Reason::Refusal,
            _ => {}
        }
    }
}

/// What an answer repeats of its request, and what we read.
const KNOWN: [&str; 35] = [
    "id",
    "object",
    "created_at",
    "completed_at",
    "model",
    "status",
    "error",
    "incomplete_details",
    "output",
    "output_text",
    "usage",
    "access_programs",
    "background",
    "frequency_penalty",
    "image",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
];
const KNOWN_TOO: [&str; 4] = ["truncation", "user", "content_filters", "type"];

/// The fields that mean nothing to us and are no repetition.
pub(crate) fn read_extra(body: &[u8]) -> Map<String, Value> {
    let Ok(all) = serde_json::from_slice::<std::collections::BTreeMap<Str<'_>, &RawValue>>(body) else {
        return Map::new();
    };
    all.into_iter()
        .filter(|(key, value)| !KNOWN.contains(&&**key) && !KNOWN_TOO.contains(&&**key) && value.get() != "null")
        .filter_map(|(key, value)| Some((key.0.into_owned(), serde_json::from_str(value.get()).ok()?)))
        .collect()
}
