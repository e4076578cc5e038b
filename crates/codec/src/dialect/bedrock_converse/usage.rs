//! Tokens by kind. On this wire `inputTokens` leaves out what was read from and written to a cache; in the canonical form
//! `input` is the whole prompt.

use serde::{Deserialize, Serialize};

use crate::ir::Usage;

/// `usage`, as it is read.
#[derive(Clone, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Wire {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    cache_details: Option<Vec<Detail>>,
}

/// Tokens that were written to the cache for one lifetime.
#[derive(Clone, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    ttl: Option<String>,
    input_tokens: Option<u64>,
}

impl Wire {
    /// The figures in canonical form.
    pub(super) fn read(&self) -> Usage {
        let details = self.cache_details.as_deref().unwrap_or_default();
        let of = |ttl: &str| details.iter().find(|detail| detail.ttl.as_deref() == Some(ttl))?.input_tokens;
        let (short, long) = (of("5m"), of("1h"));
        let parts = (short.is_some() || long.is_some()).then(|| short.unwrap_or(0).saturating_add(long.unwrap_or(0)));
        let cache_write = self.cache_write_input_tokens.or(parts);
        let cached = self.cache_read_input_tokens.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
        Usage {
            input: self.input_tokens.unwrap_or(0).saturating_add(cached),
            output: self.output_tokens.unwrap_or(0),
            cache_read: self.cache_read_input_tokens,
            cache_write,
            cache_write_5m: short,
            cache_write_1h: long,
            ..Usage::default()
        }
    }
}

/// `usage`, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Out {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_details: Vec<OutDetail>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutDetail {
    ttl: &'static str,
    input_tokens: u64,
}

/// The figures for a caller; zeros when nobody told any.
pub(super) fn write_usage(usage: Option<&Usage>) -> Out {
    let usage = usage.copied().unwrap_or_default();
    let details = [("5m", usage.cache_write_5m), ("1h", usage.cache_write_1h)];
    Out {
        input_tokens: usage.uncached_input(),
        output_tokens: usage.output,
        total_tokens: usage.total(),
        cache_read_input_tokens: usage.cache_read,
        cache_write_input_tokens: usage.cache_write,
        cache_details: details.iter().filter_map(|(ttl, told)| Some(OutDetail { ttl, input_tokens: (*told)? })).collect(),
    }
}
