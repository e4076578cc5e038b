//! A provider's whole answer.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use super::super::citation::{self, Place};
use super::super::error::{give_up, read_within};
use super::super::wire::{Answer, Said, read_finish, read_logprobs, read_said, unreadable};
use crate::dialect::openai_chat::response::made_up_id;
use crate::dialect::openai_chat::wire::{Scalar, Str};
use crate::error::{Error, Result};
use crate::ir::{Choice, Content, Extra, Part, Reason, Response};

/// Reads it; an error in it is an `Err`.
pub(in super::super) fn read(body: &[u8]) -> Result<Response> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|fault| unreadable(body, &fault))?;
    let Some(message) = answer.message else {
        // An error of another shape, or nothing of ours.
        let odd = Error::malformed("the answer has no message").with_raw(body);
        return Err(if is_error(body) { read_within(body) } else { odd });
    };
    let said = read_said(message, body)?;
    let word = answer.finish_reason.as_ref().and_then(Scalar::text).unwrap_or_default();
    let parts = read_parts(said);
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let finish = read_finish(word, answer.native_finish_reason.as_ref(), calls);
    if finish.reason == Reason::Failed && parts.is_empty() {
        return Err(give_up(word, None));
    }
    let logprobs = read_logprobs(answer.logprobs);
    Ok(Response {
        id: answer.id.as_ref().and_then(Scalar::word).unwrap_or_default(),
        model: String::new(),
        created: None,
        choices: vec![Choice { index: 0, parts, finish, logprobs, extra: Extra::default() }],
        usage: answer.usage.and_then(|usage| usage.usage()),
        extra: Extra::new(NAME, read_extra(body)),
    })
}

fn is_error(body: &[u8]) -> bool {
    let members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    members.get("error").is_some_and(|error| !error.is_null())
}

/// What is thought, then the plan, then what is said, then the calls.
fn read_parts(said: Said<'_>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    // Which part a block of content became.
    let mut places: Vec<Option<usize>> = Vec::new();
    let mut plan = said.tool_plan.as_deref().filter(|plan| !plan.is_empty());
    let mut plan_at = None;
    let mut put_plan = |parts: &mut Vec<Part>| {
        if let Some(text) = plan.take() {
            plan_at = Some(parts.len());
            let mark = Map::from_iter([("tool_plan".to_owned(), Value::Bool(true))]);
            parts.push(Part { extra: Extra::new(NAME, mark), ..Part::text(text) });
        }
    };
    for block in said.content.iter().flat_map(|blocks| &blocks.0) {
        if !block.is_thinking() {
            put_plan(&mut parts);
        }
        let part = block.part();
        places.push(part.is_some().then_some(parts.len()));
        parts.extend(part);
    }
    put_plan(&mut parts);
    for (place, cited) in citation::read(said.citations) {
        let at = match place {
            Place::Plan => plan_at,
            Place::Thinking => None,
            Place::Block(Some(index)) => places.get(index).copied().flatten(),
            Place::Block(None) => parts.iter().position(|part| matches!(part.content, Content::Text { .. })),
        };
        if let Some(Content::Text { citations, .. }) = at.and_then(|at| parts.get_mut(at)).map(|part| &mut part.content) {
            citations.push(cited);
        }
    }
    for (position, call) in (0..).zip(said.tool_calls.unwrap_or_default().0) {
        let id = call.id().unwrap_or_else(|| made_up_id(0, position));
        let content = Content::ToolCall { id, name: call.name().to_owned(), arguments: call.arguments() };
        parts.push(Part { signature: call.signature(), ..content.into() });
    }
    parts
}

/// The top-level fields that mean nothing to us.
fn read_extra(body: &[u8]) -> Map<String, Value> {
    const KNOWN: [&str; 6] = ["id", "message", "finish_reason", "native_finish_reason", "usage", "logprobs"];
    let all: std::collections::BTreeMap<Str<'_>, &RawValue> = serde_json::from_slice(body).unwrap_or_default();
    all.into_iter()
        .filter(|(key, value)| !KNOWN.contains(&&**key) && value.get() != "null")
        .filter_map(|(key, value)| Some((key.0.into_owned(), serde_json::from_str(value.get()).ok()?)))
        .collect()
}
