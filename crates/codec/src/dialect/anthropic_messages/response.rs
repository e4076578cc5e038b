//! Whole answers: a provider's read, ours written.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::block::{read_extra, read_reply_block};
use super::error::read_inband_error;
use super::finish::{Stop, read_finish, write_finish};
use super::usage::write_usage;
use super::{NAME, reply, usage, wire};
use crate::dialect::Cx;
use crate::error::{Error, Result};
use crate::ir::{Choice, Content, Part, Response, TokenCount, Usage};

/// Reads a whole answer.
pub(super) fn read_response(body: &[u8]) -> Result<Response> {
    let wire: wire::Reply<'_> = match serde_json::from_slice(body) {
        Ok(wire) => wire,
        Err(fault) => return Err(Error::malformed(format!("the provider's answer cannot be read: {fault}")).with_raw(body)),
    };
    if wire.kind == "error" || wire.error.is_some() {
        return Err(read_inband_error(body));
    }
    let Some(content) = wire.content else {
        return Err(Error::malformed("the provider's answer has no content").with_raw(body));
    };
    let parts: Vec<Part> = content.into_iter().enumerate().map(|(at, raw)| read_reply_block(raw, at)).collect();
    let called = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let finish = read_finish(wire.stop_reason.as_deref(), wire.stop_sequence, wire.stop_details, called);
    let mut extra = wire.extra;
    let usage = read_usage(wire.usage, &mut extra);
    extra.retain(|_, value| !value.is_null());
    Ok(Response {
        id: wire.id.unwrap_or_default(),
        model: wire.model.unwrap_or_default(),
        created: None,
        choices: vec![Choice { index: 0, parts, finish, logprobs: Vec::new(), extra: Default::default() }],
        usage: usage.map(|usage| usage.read()),
        extra: read_extra(extra),
    })
}

/// The token figures; what else stands beside them stays in `extra` under the same name.
pub(super) fn read_usage(raw: Option<&RawValue>, extra: &mut Map<String, Value>) -> Option<wire::Usage> {
    const READ: [&str; 6] = [
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "output_tokens_details",
    ];
    let raw = raw?;
    let usage = serde_json::from_str(raw.get()).ok()?;
    let mut rest: Map<String, Value> = serde_json::from_str(raw.get()).unwrap_or_default();
    rest.retain(|name, value| !value.is_null() && !READ.contains(&name.as_str()));
    if !rest.is_empty() {
        extra.insert("usage".to_owned(), Value::Object(rest));
    }
    Some(usage)
}

/// The usage of an answer that passes by.
pub(super) fn observe_response(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Fields {
        usage: Option<wire::Usage>,
    }
    Some(serde_json::from_slice::<Fields>(body).ok()?.usage?.read())
}

/// Reads the answer to a count.
pub(super) fn read_count(body: &[u8]) -> Result<TokenCount> {
    match serde_json::from_slice::<wire::Usage>(body) {
        Ok(wire::Usage { input_tokens: Some(input), .. }) => Ok(TokenCount { input, estimated: false }),
        _ if serde_json::from_slice::<wire::Reply<'_>>(body).is_ok_and(|reply| reply.error.is_some()) => {
            Err(read_inband_error(body))
        }
        _ => Err(Error::malformed("the provider's count has no input_tokens").with_raw(body)),
    }
}

/// Writes the answer to a count.
pub(super) fn write_count(count: TokenCount) -> Vec<u8> {
    format!("{{\"input_tokens\":{}}}", count.input).into_bytes()
}

#[derive(Serialize)]
struct Out<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<reply::Block<'a>>,
    #[serde(flatten)]
    stop: Stop<'a>,
    container: Option<&'a Value>,
    diagnostics: Option<&'a Value>,
    usage: usage::Out<'a>,
}

/// Writes a whole answer: the first of the choices, because this dialect has one.
pub(super) fn write_response(response: &Response, cx: &Cx) -> Vec<u8> {
    let made_up = reply::id(cx);
    let choice = response.choices.iter().min_by_key(|choice| choice.index);
    let parts = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let finish = choice.map(|choice| choice.finish.clone()).unwrap_or_default();
    let own = |name: &str| response.extra.of(NAME).and_then(|fields| fields.get(name));
    let out = Out {
        id: if response.id.is_empty() { &made_up } else { &response.id },
        kind: "message",
        role: "assistant",
        model: if response.model.is_empty() { &cx.model } else { &response.model },
        content: parts.iter().flat_map(write_part).collect(),
        stop: write_finish(
            &finish,
            has(parts, |c| matches!(c, Content::ToolCall { .. })),
            has(parts, |c| matches!(c, Content::Refusal { .. })),
        ),
        container: own("container"),
        diagnostics: own("diagnostics"),
        usage: write_usage(response.usage.as_ref(), &response.extra),
    };
    serde_json::to_vec(&out).unwrap_or_default()
}

fn has(parts: &[Part], wanted: impl Fn(&Content) -> bool) -> bool {
    parts.iter().any(|part| wanted(&part.content))
}

/// A part's block, and behind it one that carries the part's signature where its own cannot.
fn write_part(part: &Part) -> impl Iterator<Item = reply::Block<'_>> {
    let block = reply::write_part(part);
    let carried = part.signature.as_ref().filter(|_| !reply::signs_itself(&part.content) && block.is_some());
    block.into_iter().chain(carried.map(reply::carry))
}
