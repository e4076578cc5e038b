//! Tokens by kind.

use serde::Serialize;

/// Tokens of one call. `None` means *the provider did not say*, which is not the same as 0.
///
/// Totals include their parts: `input` is the whole prompt, cached or not; `output` includes reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The whole prompt, with what was read from and written to a cache.
    pub input: u64,
    /// The whole answer, with reasoning.
    pub output: u64,
    /// Of `input`: read from a prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    /// Of `input`: written to a prompt cache, all lifetimes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Of `cache_write`: kept for five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<u64>,
    /// Of `cache_write`: kept for an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<u64>,
    /// Of `output`: reasoning that may or may not have been shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// Of `input`: audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<u64>,
    /// Of `output`: audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<u64>,
    /// True when the figures are a guess and not the provider's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Usage {
    /// `input` and `output` together.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Both together; what neither told stays untold, and it is a guess if one of them is.
    #[must_use]
    pub fn plus(self, other: Usage) -> Usage {
        let both = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        Usage {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: both(self.cache_read, other.cache_read),
            cache_write: both(self.cache_write, other.cache_write),
            cache_write_5m: both(self.cache_write_5m, other.cache_write_5m),
            cache_write_1h: both(self.cache_write_1h, other.cache_write_1h),
            reasoning: both(self.reasoning, other.reasoning),
            audio_input: both(self.audio_input, other.audio_input),
            audio_output: both(self.audio_output, other.audio_output),
            estimated: self.estimated || other.estimated,
        }
    }

    /// The part of the prompt that was neither read from nor written to a cache.
    pub fn uncached_input(&self) -> u64 {
        self.input.saturating_sub(self.cache_read.unwrap_or(0)).saturating_sub(self.cache_write.unwrap_or(0))
    }
}
