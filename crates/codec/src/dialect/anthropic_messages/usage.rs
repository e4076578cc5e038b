//! Tokens by kind. On this wire `input_tokens` leaves out what was read from and written to a cache;
//! in the canonical form `input` is the whole prompt.

use serde::Serialize;
use serde_json::Value;

use super::{NAME, wire};
use crate::ir::{Extra, Usage};

impl wire::Usage {
    /// Takes over what `later` says. The figures of a stream are cumulative: none ever gets smaller.
    pub(super) fn merge(&mut self, later: wire::Usage) {
        fn most(old: &mut Option<u64>, new: Option<u64>) {
            *old = (*old).max(new);
        }
        most(&mut self.input_tokens, later.input_tokens);
        most(&mut self.output_tokens, later.output_tokens);
        most(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        most(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        if let Some(later) = later.cache_creation {
            let split = self.cache_creation.get_or_insert_default();
            most(&mut split.ephemeral_5m_input_tokens, later.ephemeral_5m_input_tokens);
            most(&mut split.ephemeral_1h_input_tokens, later.ephemeral_1h_input_tokens);
        }
        if let Some(later) = later.output_tokens_details {
            most(&mut self.output_tokens_details.get_or_insert_default().thinking_tokens, later.thinking_tokens);
        }
    }

    /// The figures in canonical form.
    pub(super) fn read(&self) -> Usage {
        let split = self.cache_creation.unwrap_or_default();
        let parts = match (split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens) {
            (None, None) => None,
            (five, hour) => Some(five.unwrap_or(0).saturating_add(hour.unwrap_or(0))),
        };
        let cache_write = self.cache_creation_input_tokens.or(parts);
        let cached = self.cache_read_input_tokens.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
        Usage {
            input: self.input_tokens.unwrap_or(0).saturating_add(cached),
            output: self.output_tokens.unwrap_or(0),
            cache_read: self.cache_read_input_tokens,
            cache_write,
            cache_write_5m: split.ephemeral_5m_input_tokens,
            cache_write_1h: split.ephemeral_1h_input_tokens,
            reasoning: self.output_tokens_details.and_then(|details| details.thinking_tokens),
            ..Usage::default()
        }
    }
}

/// `usage` of an answer, with every field that its type has.
#[derive(Serialize)]
pub(super) struct Out<'a> {
    input_tokens: u64,
    output_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: Option<OutCreation>,
    output_tokens_details: Option<OutDetails>,
    server_tool_use: Option<&'a Value>,
    service_tier: Option<&'a Value>,
    inference_geo: Option<&'a Value>,
    speed: Option<&'a Value>,
}

/// `usage` of `message_delta`, likewise. What was written to the cache for how long belongs into `message_start`, when it is
/// not known yet: it is told here, rather than not at all.
#[derive(Serialize)]
pub(super) struct OutDelta {
    input_tokens: u64,
    output_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<OutCreation>,
    output_tokens_details: Option<OutDetails>,
    server_tool_use: Option<()>,
}

#[derive(Serialize)]
struct OutCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct OutDetails {
    thinking_tokens: u64,
}

/// The figures for an answer; zeros when nobody told any. `extra` are the answer's fields that we do not act on.
pub(super) fn write_usage<'a>(usage: Option<&Usage>, extra: &'a Extra) -> Out<'a> {
    let rest = extra.of(NAME).and_then(|fields| fields.get("usage"));
    let own = |name: &str| rest.and_then(|rest| rest.get(name));
    let usage = usage.copied().unwrap_or_default();
    Out {
        input_tokens: usage.uncached_input(),
        output_tokens: usage.output,
        cache_creation_input_tokens: usage.cache_write.unwrap_or(0),
        cache_read_input_tokens: usage.cache_read.unwrap_or(0),
        cache_creation: creation(&usage),
        output_tokens_details: details(&usage),
        server_tool_use: own("server_tool_use"),
        service_tier: own("service_tier"),
        inference_geo: own("inference_geo"),
        speed: own("speed"),
    }
}

/// The figures for the end of a stream.
pub(super) fn write_delta_usage(usage: Option<&Usage>) -> OutDelta {
    let usage = usage.copied().unwrap_or_default();
    OutDelta {
        input_tokens: usage.uncached_input(),
        output_tokens: usage.output,
        cache_creation_input_tokens: usage.cache_write.unwrap_or(0),
        cache_read_input_tokens: usage.cache_read.unwrap_or(0),
        cache_creation: creation(&usage),
        output_tokens_details: details(&usage),
        server_tool_use: None,
    }
}

fn creation(usage: &Usage) -> Option<OutCreation> {
    let split = usage.cache_write_5m.is_some() || usage.cache_write_1h.is_some();
    split.then(|| OutCreation {
        ephemeral_5m_input_tokens: usage.cache_write_5m.unwrap_or(0),
        ephemeral_1h_input_tokens: usage.cache_write_1h.unwrap_or(0),
    })
}

fn details(usage: &Usage) -> Option<OutDetails> {
    usage.reasoning.map(|thinking_tokens| OutDetails { thinking_tokens })
}
