//! What is told of all that was counted: the page for Prometheus, and percentiles for people.

use std::collections::BTreeMap;

use serde::Serialize;
use trunkline::route::{Health, LimitHealth, State};
use trunkline_store::Sketch;

use super::cell::TOKENS;
use super::text::{Family, Text};
use super::{Histogram, Sum, provider, word};
use crate::worker::Worker;

/// How long good calls took, in microseconds. Off by 3.2 % at most.
#[derive(Serialize)]
pub(crate) struct Latency {
    /// Half of them took no longer.
    p50_us: Option<u64>,
    /// Nine of ten.
    p90_us: Option<u64>,
    /// Ninety-nine of a hundred.
    p99_us: Option<u64>,
}

impl Latency {
    fn of(sketch: &Sketch) -> Self {
        Latency { p50_us: sketch.percentile(50), p90_us: sketch.percentile(90), p99_us: sketch.percentile(99) }
    }
}

/// All calls together, and by target.
pub(crate) fn latency(sum: &Sum) -> (Latency, BTreeMap<String, Latency>) {
    let mut all = Sketch::default();
    let mut targets: BTreeMap<&str, Sketch> = BTreeMap::new();
    for cell in sum.cells.values().filter(|cell| !cell.label.copy && cell.label.error.is_none()) {
        all.join(&cell.sketch);
        targets.entry(&cell.label.target).or_default().join(&cell.sketch);
    }
    (Latency::of(&all), targets.iter().map(|(target, sketch)| ((*target).to_owned(), Latency::of(sketch))).collect())
}

/// The page.
pub(crate) fn write(worker: &Worker) -> Vec<u8> {
    let sum = worker.record.meter().sum();
    let mut text = Text::default();
    text.family("trunkline_build_info", Family::Gauge, "The version that runs.");
    text.figure("trunkline_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    write_calls(&mut text, &sum);
    write_tokens(&mut text, &sum);
    write_exchanges(&mut text, &sum);
    write_durations(&mut text, &sum);
    write_load(&mut text, worker);
    write_health(&mut text, worker);
    write_ledger(&mut text, worker);
    text.into_bytes()
}

const fn yes(it: bool) -> &'static str {
    if it { "true" } else { "false" }
}

fn write_calls(text: &mut Text, sum: &Sum) {
    let name = "trunkline_calls_total";
    text.family(name, Family::Counter, "Calls that are over. error: the kind, `none` where it went well.");
    for cell in sum.cells.values().filter(|cell| !cell.label.copy) {
        let label = &cell.label;
        let labels = [
            ("operation", label.operation),
            ("provider", provider(&label.target)),
            ("target", &label.target),
            ("model", &label.model),
            ("task", &label.task),
            ("error", label.error.map_or("none", word)),
            ("streamed", yes(label.streamed)),
        ];
        text.figure(name, &labels, cell.calls);
    }
    let mut copies: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for cell in sum.cells.values().filter(|cell| cell.label.copy) {
        *copies.entry((&cell.label.target, cell.label.error.map_or("none", word))).or_default() += cell.calls;
    }
    let name = "trunkline_copies_total";
    text.family(name, Family::Counter, "Copies of calls that were made to try a target out; they are no calls.");
    for ((target, error), count) in copies {
        text.figure(name, &[("provider", provider(target)), ("target", target), ("error", error)], count);
    }
}

/// Where tokens and money are summed up: target, model, task, and a word more.
type Place<'a> = (&'a str, &'a str, &'a str, &'a str);

fn write_tokens(text: &mut Text, sum: &Sum) {
    let mut tokens: BTreeMap<Place<'_>, u64> = BTreeMap::new();
    let mut costs: BTreeMap<Place<'_>, u64> = BTreeMap::new();
    let mut guessed: BTreeMap<&str, u64> = BTreeMap::new();
    for cell in sum.cells.values() {
        let label = &cell.label;
        for (kind, count) in TOKENS.iter().zip(cell.tokens).filter(|(_, count)| *count > 0) {
            *tokens.entry((&label.target, &label.model, &label.task, kind)).or_default() += count;
        }
        for (currency, micros) in &cell.costs {
            *costs.entry((&label.target, &label.model, &label.task, currency.as_str())).or_default() += micros;
        }
        if cell.estimated > 0 {
            *guessed.entry(&label.target).or_default() += cell.estimated;
        }
    }
    let families = [
        (
            "trunkline_tokens_total",
            "kind",
            "Tokens, copies included. `input` and `output` are whole; the other kinds are parts of them.",
            tokens,
        ),
        (
            "trunkline_cost_micros_total",
            "currency",
            "What calls and copies came to, in millionths of the currency's unit.",
            costs,
        ),
    ];
    for (name, word, help, sums) in families {
        text.family(name, Family::Counter, help);
        for ((target, model, task, value), count) in sums {
            let labels = [("provider", provider(target)), ("target", target), ("model", model), ("task", task), (word, value)];
            text.figure(name, &labels, count);
        }
    }
    let name = "trunkline_calls_estimated_total";
    text.family(name, Family::Counter, "Calls whose tokens are a guess, in part at least.");
    for (target, count) in guessed {
        text.figure(name, &[("provider", provider(target)), ("target", target)], count);
    }
}

fn write_exchanges(text: &mut Text, sum: &Sum) {
    let name = "trunkline_exchanges_total";
    text.family(name, Family::Counter, "Tries of calls against a target, good and failed.");
    for ((target, error), count) in &sum.tries {
        let error = if error.is_empty() { "none" } else { error };
        text.figure(name, &[("provider", provider(target)), ("target", target), ("error", error)], count);
    }
    type Figure = fn(&(u64, u64)) -> u64;
    let families: [(_, _, Figure); 2] = [
        ("trunkline_retries_total", "Exchanges that followed another one with the same target.", |pair| pair.0),
        ("trunkline_failovers_total", "Exchanges that followed another one with a different target, by the target.", |pair| {
            pair.1
        }),
    ];
    for (name, help, figure) in families {
        text.family(name, Family::Counter, help);
        for (target, pair) in sum.again.iter().filter(|(_, pair)| figure(pair) > 0) {
            text.figure(name, &[("provider", provider(target)), ("target", target)], figure(pair));
        }
    }
    let name = "trunkline_credentials_refused_total";
    text.family(name, Family::Counter, "Requests that were sent again because their credential was refused.");
    sum.refused.iter().for_each(|(provider, count)| text.figure(name, &[("provider", provider)], count));
}

fn write_durations(text: &mut Text, sum: &Sum) {
    let mut whole: BTreeMap<(&str, &str, bool), Histogram> = BTreeMap::new();
    let mut first: BTreeMap<(&str, &str), Histogram> = BTreeMap::new();
    for cell in sum.cells.values().filter(|cell| !cell.label.copy) {
        let label = &cell.label;
        if cell.whole.count() > 0 {
            whole.entry((label.operation, &label.target, label.streamed)).or_default().join(&cell.whole);
        }
        if cell.first.count() > 0 {
            first.entry((label.operation, &label.target)).or_default().join(&cell.first);
        }
    }
    let name = "trunkline_call_seconds";
    text.family(name, Family::Histogram, "How long calls took that went well, from the request to the last byte.");
    for ((operation, target, streamed), histogram) in &whole {
        let labels =
            [("operation", *operation), ("provider", provider(target)), ("target", target), ("streamed", yes(*streamed))];
        text.histogram(name, &labels, histogram);
    }
    let name = "trunkline_first_byte_seconds";
    text.family(name, Family::Histogram, "How long streamed calls that went well took to their first byte.");
    for ((operation, target), histogram) in &first {
        text.histogram(name, &[("operation", *operation), ("provider", provider(target)), ("target", target)], histogram);
    }
}

fn write_load(text: &mut Text, worker: &Worker) {
    let counted = worker.record.counters().snapshot();
    let load = worker.shed.load();
    let figures = [
        ("trunkline_calls_open", Family::Gauge, "Calls that are on their way.", load.calls),
        ("trunkline_connections_open", Family::Gauge, "Connections of callers.", load.connections),
        ("trunkline_body_bytes_held", Family::Gauge, "Bytes of requests that are held.", load.bytes),
        (
            "trunkline_shed_total",
            Family::Counter,
            "Requests that were refused because there was as much to do as may be.",
            counted.shed,
        ),
        ("trunkline_copies_skipped_total", Family::Counter, "Copies that were not sent.", counted.mirror.skipped),
    ];
    for (name, family, help, value) in figures {
        text.family(name, family, help);
        text.figure(name, &[], value);
    }
}

fn write_health(text: &mut Text, worker: &Worker) {
    let Health { targets, credentials, limits } = worker.client.health();
    let meter = worker.record.meter();
    let mut states: BTreeMap<String, (u32, Option<State>)> = BTreeMap::new();
    for target in targets {
        let shown = meter.shown(&target.target);
        let named = shown == target.target;
        let entry = states.entry(shown).or_default();
        *entry = (entry.0.saturating_add(target.in_flight), named.then_some(target.state));
    }
    let name = "trunkline_in_flight";
    text.family(name, Family::Gauge, "Exchanges that are out.");
    for (target, (in_flight, _)) in &states {
        text.figure(name, &[("provider", provider(target)), ("target", target)], in_flight);
    }
    let name = "trunkline_target_state";
    text.family(name, Family::Gauge, "How a target stands: 1 for the state that it is in.");
    let words =
        [(State::Fit, "fit"), (State::Recovering, "recovering"), (State::OnTrial, "on_trial"), (State::Resting, "resting")];
    for (target, state) in states.iter().filter_map(|(target, (_, state))| Some((target, (*state)?))) {
        for (one, word) in words {
            let labels = [("provider", provider(target)), ("target", target), ("state", word)];
            text.figure(name, &labels, u8::from(one == state));
        }
    }
    type Figure = fn(&LimitHealth) -> u32;
    let families: [(_, _, Figure); 2] = [
        ("trunkline_limited_in_flight", "Calls that are out to a provider whose calls are limited.", |limit| limit.in_flight),
        ("trunkline_queue_length", "Calls that wait for their turn at a provider whose calls are limited.", |limit| {
            limit.waiting
        }),
    ];
    for (name, help, figure) in families {
        text.family(name, Family::Gauge, help);
        limits.iter().for_each(|limit| text.figure(name, &[("provider", &limit.provider)], figure(limit)));
    }
    let mut resting: BTreeMap<&str, u64> = BTreeMap::new();
    credentials.iter().for_each(|credential| *resting.entry(&credential.provider).or_default() += 1);
    let name = "trunkline_credentials_resting";
    text.family(name, Family::Gauge, "Credentials that are not used for now.");
    resting.iter().for_each(|(provider, count)| text.figure(name, &[("provider", provider)], count));
}

fn write_ledger(text: &mut Text, worker: &Worker) {
    use trunkline_store::State;
    if let Some(lines) = worker.record.lines() {
        for (name, help, value) in [
            ("trunkline_log_lines_total", "Lines of the log that were written.", lines.written),
            ("trunkline_log_lost_total", "Lines of the log that could not be written.", lines.lost),
        ] {
            text.family(name, Family::Counter, help);
            text.figure(name, &[], value);
        }
    }
    if let Some(tally) = worker.record.tally() {
        for (name, help, value) in [
            ("trunkline_texts_kept_total", "Calls whose texts were kept.", tally.kept),
            ("trunkline_texts_left_out_total", "Calls whose texts came too fast to be kept.", tally.left_out),
        ] {
            text.family(name, Family::Counter, help);
            text.figure(name, &[], value);
        }
    }
    let Some(status) = worker.record.status() else { return };
    let figures = [
        ("trunkline_ledger_written_total", Family::Counter, "Rows that are in the store, since the start.", status.written),
        ("trunkline_ledger_lost_total", Family::Counter, "Rows that could not be kept.", status.lost),
        ("trunkline_ledger_waiting", Family::Gauge, "Rows that wait for the store.", status.waiting),
    ];
    for (name, family, help, value) in figures {
        text.family(name, family, help);
        text.figure(name, &[], value);
    }
    let name = "trunkline_ledger_state";
    text.family(name, Family::Gauge, "Whether rows arrive in the store: 1 for the state that it is in.");
    for (one, word) in [(State::Ok, "ok"), (State::Waiting, "waiting"), (State::Losing, "losing")] {
        text.figure(name, &[("state", word)], u8::from(one == status.state));
    }
}
