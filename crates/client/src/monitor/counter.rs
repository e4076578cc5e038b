//! Counts since the start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::{Outcome, Recorder};
use crate::codec::Kind;

/// Running totals of calls, errors and tokens.
#[derive(Debug, Default)]
pub struct Counters {
    calls: AtomicU64,
    errors: AtomicU64,
    cancelled: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    cache_read: AtomicU64,
    reasoning: AtomicU64,
    shed: AtomicU64,
}

/// The totals at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Calls that are over.
    pub calls: u64,
    /// Of these: failed.
    pub errors: u64,
    /// Of these: left by their caller.
    pub cancelled: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Of the input tokens: read from a cache.
    pub cache_read_tokens: u64,
    /// Of the output tokens: reasoning.
    pub reasoning_tokens: u64,
    /// Requests that were refused before they became calls, because the gateway had as much to do as it may.
    pub shed: u64,
}

impl Counters {
    /// A request was refused because there is as much to do as may be.
    pub fn shed(&self) {
        self.shed.fetch_add(1, Relaxed);
    }

    /// The totals now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            calls: self.calls.load(Relaxed),
            errors: self.errors.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            input_tokens: self.input.load(Relaxed),
            output_tokens: self.output.load(Relaxed),
            cache_read_tokens: self.cache_read.load(Relaxed),
            reasoning_tokens: self.reasoning.load(Relaxed),
            shed: self.shed.load(Relaxed),
        }
    }
}

impl Recorder for Counters {
    fn record(&self, outcome: Outcome) {
        self.count(&outcome);
    }
}

impl Counters {
    /// Counts a call that is over.
    pub fn count(&self, outcome: &Outcome) {
        self.calls.fetch_add(1, Relaxed);
        match outcome.error.as_ref().map(|error| error.kind) {
            Some(Kind::Cancelled) => _ = self.cancelled.fetch_add(1, Relaxed),
            Some(_) => _ = self.errors.fetch_add(1, Relaxed),
            None => {}
        }
        if let Some(usage) = outcome.usage {
            self.input.fetch_add(usage.input, Relaxed);
            self.output.fetch_add(usage.output, Relaxed);
            self.cache_read.fetch_add(usage.cache_read.unwrap_or(0), Relaxed);
            self.reasoning.fetch_add(usage.reasoning.unwrap_or(0), Relaxed);
        }
    }
}
