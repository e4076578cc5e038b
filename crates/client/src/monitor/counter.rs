//! Counts since the start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::{Outcome, Recorder};
use crate::codec::Kind;

/// Running totals of calls, errors and tokens.
#[derive(Debug, Default)]
pub struct Counters {
    real: Sums,
    /// Of the copies that are sent to try a target out.
    copies: Sums,
    skipped: AtomicU64,
    shed: AtomicU64,
}

#[derive(Debug, Default)]
struct Sums {
    calls: AtomicU64,
    errors: AtomicU64,
    cancelled: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    cache_read: AtomicU64,
    reasoning: AtomicU64,
    estimated: AtomicU64,
    estimated_tokens: AtomicU64,
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
    /// Calls whose tokens are estimated, in part at least: cut, left, or never told.
    pub estimated: u64,
    /// Tokens of these, input and output.
    pub estimated_tokens: u64,
    /// Requests that were refused before they became calls, because the gateway had as much to do as it may.
    pub shed: u64,
    /// Copies of calls that were sent to try a target out. None of the other numbers counts them.
    pub mirror: Copies,
}

/// The totals of the copies of calls at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Copies {
    /// Copies that are over.
    pub calls: u64,
    /// Of these: failed.
    pub errors: u64,
    /// Of these: given up.
    pub cancelled: u64,
    /// Copies that were not sent: too many were out, or the target did not take them.
    pub skipped: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

impl Counters {
    /// A request was refused because there is as much to do as may be.
    pub fn shed(&self) {
        self.shed.fetch_add(1, Relaxed);
    }

    /// The totals now.
    pub fn snapshot(&self) -> Snapshot {
        let Counters { real, copies, skipped, shed } = self;
        Snapshot {
            calls: real.calls.load(Relaxed),
            errors: real.errors.load(Relaxed),
            cancelled: real.cancelled.load(Relaxed),
            input_tokens: real.input.load(Relaxed),
            output_tokens: real.output.load(Relaxed),
            cache_read_tokens: real.cache_read.load(Relaxed),
            reasoning_tokens: real.reasoning.load(Relaxed),
            estimated: real.estimated.load(Relaxed),
            estimated_tokens: real.estimated_tokens.load(Relaxed),
            shed: shed.load(Relaxed),
            mirror: Copies {
                calls: copies.calls.load(Relaxed),
                errors: copies.errors.load(Relaxed),
                cancelled: copies.cancelled.load(Relaxed),
                skipped: skipped.load(Relaxed),
                input_tokens: copies.input.load(Relaxed),
                output_tokens: copies.output.load(Relaxed),
            },
        }
    }
}

impl Sums {
    fn add(&self, outcome: &Outcome) {
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
            if usage.estimated {
                self.estimated.fetch_add(1, Relaxed);
                self.estimated_tokens.fetch_add(usage.total(), Relaxed);
            }
        }
    }
}

impl Counters {
    /// Counts a call that is over.
    pub fn count(&self, outcome: &Outcome) {
        match outcome.mirror_of {
            None => self.real.add(outcome),
            Some(_) => self.copies.add(outcome),
        }
    }
}

impl Recorder for Counters {
    fn record(&self, outcome: Outcome) {
        self.count(&outcome);
    }

    fn skip_copy(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }
}
