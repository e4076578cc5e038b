//! The scenarios, and the rounds in which the ways alternate.
//!
//! A shared or throttled machine drifts by tens of percent within a minute. So the ways take turns in short slices,
//! the first of a round is another one each time, and what is compared is always two slices of the same round.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::contestant::{Ask, Field, Way};
use super::load::{self, Sample, percentile};
use super::option::Options;

/// Which figures of a scenario go into the table; the JSON has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// Requests a second and CPU per request.
    Throughput,
    /// Latency beyond the direct connection's.
    Latency,
    /// CPU per delta.
    Stream,
    /// Time to the first delta beyond the direct connection's.
    First,
}

/// One line of inquiry: the same ask, on every way.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name in the JSON.
    pub key: String,
    /// The words in the table.
    pub title: String,
    /// The section that `--only` selects it by.
    pub section: &'static str,
    /// What the table shows.
    pub focus: Focus,
    /// What is sent.
    pub ask: Ask,
}

/// What one way did in one round.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Good replies a second.
    pub rate: f64,
    /// CPU of the proxy's processes per request, in microseconds; zero for the direct way.
    pub cpu: f64,
    /// Median latency to the end of the reply, in microseconds.
    pub p50: f64,
    /// 99th percentile of the same.
    pub p99: f64,
    /// Median time to the first delta, in microseconds.
    pub first_p50: f64,
    /// 99th percentile of the same.
    pub first_p99: f64,
    /// Replies that were not as expected.
    pub errors: usize,
    /// The first of them.
    pub error: Option<String>,
}

/// The slices of one scenario: for each way one a round, in order.
pub type Slices = BTreeMap<Way, Vec<Slice>>;

/// Everything that the options select.
#[must_use]
pub fn list(options: &Options) -> Vec<Scenario> {
    let mut all = Vec::new();
    for (kilobytes, requests) in [(1, 8000), (16, 4000), (100, 1200), (150, 1000)] {
        all.push(Scenario {
            key: format!("whole_{kilobytes}k"),
            title: format!("whole reply, {kilobytes} KB prompt, 16 at once"),
            section: "whole",
            focus: Focus::Throughput,
            ask: ask("m", kilobytes, 0, 16, requests),
        });
    }
    let mut add = |key: &str, title: &str, section, focus, ask| {
        all.push(Scenario { key: key.into(), title: title.into(), section, focus, ask });
    };
    add("latency_1", "whole reply, 1 KB prompt, one at a time", "latency", Focus::Latency, ask("m", 1, 0, 1, 2000));
    add("latency_50ms", "provider takes 50 ms, 16 at once", "latency", Focus::Latency, ask("m-50ms", 1, 0, 16, 640));
    add("first_delta", "first delta, reused connection", "latency", Focus::First, ask("m-s5-gap", 1, 5, 1, 150));
    add("stream_50", "stream, 50 deltas, 1 ms apart, 16 at once", "stream", Focus::Stream, ask("m-s50", 1, 50, 16, 320));
    add("stream_500", "stream, 500 deltas, 1 ms apart, 16 at once", "stream", Focus::Stream, ask("m-s500", 1, 500, 16, 48));
    add("burst_500", "stream, 500 deltas, no pause, 16 at once", "stream", Focus::Stream, ask("m-s500-burst", 1, 500, 16, 160));
    add("ready_500", "stream, 500 deltas, all there, 16 at once", "stream", Focus::Stream, ask("m-s500-ready", 1, 500, 16, 800));
    all.retain(|scenario| options.wants(scenario.section));
    for scenario in &mut all {
        scenario.ask.requests = options.scale(scenario.ask.requests);
    }
    all
}

fn ask(model: &str, kilobytes: usize, deltas: usize, connections: usize, requests: usize) -> Ask {
    Ask { model: model.into(), prompt: kilobytes * 1024, deltas, hold: false, connections, requests }
}

/// What one scenario gave.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The slices of every way that could be measured.
    pub slices: Slices,
    /// Why the others could not be: the connection was refused, or a reply of the warm-up was wrong.
    pub failures: BTreeMap<Way, String>,
}

/// Runs one scenario: `rounds` times each way that something serves. A way that fails is left out from then on.
pub async fn run(field: &Field, scenario: &Scenario, rounds: usize) -> Outcome {
    let mut outcome = Outcome::default();
    for round in 0..rounds {
        let turn = Way::ALL.iter().cycle().skip(round % Way::ALL.len()).take(Way::ALL.len());
        for way in turn.copied() {
            if outcome.failures.contains_key(&way) {
                continue;
            }
            match measure(field, way, &scenario.ask).await {
                Ok(Some(slice)) => outcome.slices.entry(way).or_default().push(slice),
                Ok(None) => {}
                Err(error) => {
                    outcome.slices.remove(&way);
                    outcome.failures.insert(way, error.to_string());
                }
            }
        }
    }
    outcome
}

async fn measure(field: &Field, way: Way, ask: &Ask) -> io::Result<Option<Slice>> {
    let Some(mut load) = field.load(way, ask) else { return Ok(None) };
    load.warm = if ask.deltas > 5 { 1 } else { 8 };
    let connections = load::open(&load).await?;
    let before = field.server(way).map(super::process::Server::cpu);
    let sample = load::drive(&load, connections).await?;
    let spent = match (field.server(way), before) {
        (Some(server), Some(before)) => server.cpu().since(before),
        _ => Duration::ZERO,
    };
    Ok(Some(sum_up(&sample, spent)))
}

fn sum_up(sample: &Sample, spent: Duration) -> Slice {
    let micros = |d: Duration| d.as_secs_f64() * 1e6;
    Slice {
        rate: sample.rate(),
        cpu: micros(spent) / sample.totals.len().max(1) as f64,
        p50: micros(percentile(&sample.totals, 0.5)),
        p99: micros(percentile(&sample.totals, 0.99)),
        first_p50: micros(percentile(&sample.firsts, 0.5)),
        first_p99: micros(percentile(&sample.firsts, 0.99)),
        errors: sample.errors,
        error: sample.error.clone(),
    }
}
