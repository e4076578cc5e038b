//! What is counted of calls that have all names in common.

use trunkline::codec::Kind;
use trunkline::codec::catalog::{Cost, Currency};
use trunkline::monitor::Outcome;
use trunkline_store::Sketch;

/// What calls of one place have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// `chat`, `embed`, …
    pub(crate) operation: &'static str,
    /// As asked for.
    pub(crate) model: String,
    /// Empty: none.
    pub(crate) task: String,
    /// `provider/model`; empty: nobody.
    pub(crate) target: String,
    /// How it failed.
    pub(crate) error: Option<Kind>,
    pub(crate) streamed: bool,
    /// A copy of a call, made to try a target out.
    pub(crate) copy: bool,
}

impl Label {
    fn order(&self) -> (&str, &str, &str, &str, Option<u8>, bool, bool) {
        let Label { operation, model, task, target, error, streamed, copy } = self;
        (operation, target, model, task, error.map(|kind| kind as u8), *streamed, *copy)
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// The kinds of tokens that are told.
pub(crate) const TOKENS: [&str; 7] = ["input", "output", "cache_read", "cache_write", "reasoning", "audio_input", "audio_output"];

/// The upper bounds of the buckets of durations, in microseconds.
pub(crate) const BOUNDS: [u64; 16] = [
    1_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
];

/// How many durations there were up to each bound, each counted in one bucket; the last is for those beyond all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    pub(crate) buckets: [u64; BOUNDS.len() + 1],
    pub(crate) micros: u64,
}

impl Histogram {
    fn add(&mut self, micros: u64) {
        let at = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.micros = self.micros.saturating_add(micros);
    }

    pub(crate) fn join(&mut self, other: &Histogram) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(bucket, more)| *bucket += more);
        self.micros = self.micros.saturating_add(other.micros);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The sums of one place.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) label: Label,
    pub(crate) calls: u64,
    /// Of these: with exactly one exchange.
    pub(crate) single: u64,
    pub(crate) estimated: u64,
    /// In the order of [`TOKENS`].
    pub(crate) tokens: [u64; TOKENS.len()],
    /// Millionths by currency.
    pub(crate) costs: Vec<(Currency, u64)>,
    /// Of good calls.
    pub(crate) whole: Histogram,
    /// Of those that were streamed: to the first byte.
    pub(crate) first: Histogram,
    /// Of good calls, for percentiles.
    pub(crate) sketch: Sketch,
}

impl Cell {
    pub(crate) fn new(label: Label) -> Self {
        Cell {
            label,
            calls: 0,
            single: 0,
            estimated: 0,
            tokens: [0; TOKENS.len()],
            costs: Vec::new(),
            whole: Histogram::default(),
            first: Histogram::default(),
            sketch: Sketch::default(),
        }
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.calls += 1;
        self.single += u64::from(outcome.exchanges.len() == 1);
        if let Some(usage) = outcome.usage {
            self.estimated += u64::from(usage.estimated);
            let parts = [usage.cache_read, usage.cache_write, usage.reasoning, usage.audio_input, usage.audio_output];
            let all = [Some(usage.input), Some(usage.output)].into_iter().chain(parts);
            self.tokens.iter_mut().zip(all).for_each(|(sum, more)| *sum = sum.saturating_add(more.unwrap_or(0)));
        }
        match outcome.cost {
            Some(cost) => self.pay(cost),
            // In several currencies, or not known to the end.
            None => outcome.exchanges.iter().filter_map(|exchange| exchange.cost).for_each(|cost| self.pay(cost)),
        }
        if outcome.error.is_none() {
            let micros = micros(outcome.elapsed);
            self.whole.add(micros);
            self.sketch.count(micros);
            if let Some(first) = outcome.first.filter(|_| outcome.streamed) {
                self.first.add(self::micros(first));
            }
        }
    }

    fn pay(&mut self, cost: Cost) {
        match self.costs.iter_mut().find(|(currency, _)| *currency == cost.currency) {
            Some((_, micros)) => *micros = micros.saturating_add(cost.micros),
            None => self.costs.push((cost.currency, cost.micros)),
        }
    }

    pub(crate) fn join(&mut self, other: &Cell) {
        self.calls += other.calls;
        self.single += other.single;
        self.estimated += other.estimated;
        self.tokens.iter_mut().zip(other.tokens).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        other.costs.iter().for_each(|(currency, micros)| self.pay(Cost { currency: *currency, micros: *micros }));
        self.whole.join(&other.whole);
        self.first.join(&other.first);
        self.sketch.join(&other.sketch);
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
