//! Medians and ratios, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::contestant::Way;
use super::lifetime::Lifetime;
use super::memory::Memory;
use super::scenario::{Focus, Scenario, Slice, Slices};

/// All that a run found out.
#[derive(Debug, Default)]
pub struct Report {
    /// What was measured where: versions, cores, load. Any JSON.
    pub about: Value,
    /// Sentences for the reader: what was skipped, what failed.
    pub notes: Vec<String>,
    /// Something that is there could not be measured; the notes say what.
    pub failed: bool,
    /// The scenarios and their slices.
    pub scenarios: Vec<(Scenario, Slices)>,
    /// Memory by contestant.
    pub memory: Vec<(Way, Memory)>,
    /// Starts and stops of the gateway.
    pub lifetimes: Vec<Lifetime>,
    /// Size of the gateway's binary, in bytes.
    pub binary: Option<u64>,
}

/// A figure of a slice.
struct Figure {
    key: &'static str,
    title: &'static str,
    of: fn(&Slice) -> f64,
    /// What to divide by: 1, or the deltas of a stream.
    per: f64,
    /// The direct connection's figure of the same round is subtracted.
    added: bool,
    /// It goes into the table.
    shown: bool,
}

fn figures(scenario: &Scenario) -> Vec<Figure> {
    let focus = scenario.focus;
    let figure = |key, title, of, added, shown| Figure { key, title, of, per: 1.0, added, shown };
    let mut list = vec![
        figure("requests_per_second", "requests/s", |s| s.rate, false, focus == Focus::Throughput),
        figure("cpu_us_per_request", "CPU µs/request", |s| s.cpu, false, focus == Focus::Throughput),
        figure("added_p50_us", "p50 µs (of a proxy: added)", |s| s.p50, true, focus == Focus::Latency),
        figure("added_p99_us", "p99 µs (of a proxy: added)", |s| s.p99, true, focus == Focus::Latency),
        figure("p50_us", "p50 µs", |s| s.p50, false, false),
        figure("p99_us", "p99 µs", |s| s.p99, false, false),
    ];
    if scenario.ask.deltas > 0 {
        let first = focus == Focus::First;
        list.push(figure("added_first_p50_us", "p50 µs (of a proxy: added)", |s| s.first_p50, true, first));
        list.push(figure("added_first_p99_us", "p99 µs (of a proxy: added)", |s| s.first_p99, true, first));
        list.push(figure("first_p50_us", "first delta p50 µs", |s| s.first_p50, false, false));
        let per = scenario.ask.deltas as f64;
        let shown = focus == Focus::Stream;
        let key = "cpu_us_per_delta";
        list.push(Figure { key, title: "CPU µs/delta", of: |s| s.cpu, per, added: false, shown });
    }
    list
}

impl Figure {
    /// The figure of one way, round by round.
    fn rounds(&self, slices: &Slices, way: Way) -> Vec<f64> {
        let own = slices.get(&way).into_iter().flatten();
        let value = |slice: &Slice| (self.of)(slice) / self.per;
        if !self.added || way == Way::Direct {
            return own.map(value).collect();
        }
        let direct = slices.get(&Way::Direct).into_iter().flatten();
        own.zip(direct).map(|(own, direct)| value(own) - value(direct)).collect()
    }
}

/// The middle of a list; `None` when it is empty.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied()?;
    let lower = sorted.get((sorted.len() - 1) / 2).copied()?;
    Some((upper + lower) / 2.0)
}

/// The median of the rounds' own ratios: both sides of each were measured within seconds of each other.
fn ratio(own: &[f64], yardstick: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = own.iter().zip(yardstick).filter(|(_, y)| **y > 0.0).map(|(o, y)| o / y).collect();
    median(&ratios)
}

/// One line of the table: a name, four values by way, two ratios.
struct Row {
    key: String,
    title: String,
    rounds: [Vec<f64>; 4],
}

impl Row {
    fn ratio(&self, way: usize) -> Option<f64> {
        ratio(self.rounds.get(way)?, self.rounds.get(1)?)
    }

    fn write(&self, out: &mut String) {
        let _ = write!(out, "  {:<34}", self.title);
        for (way, rounds) in Way::ALL.iter().zip(&self.rounds) {
            let absent = *way == Way::Direct && rounds.iter().all(|value| *value == 0.0);
            let value = if absent { None } else { median(rounds) };
            let _ = write!(out, "{:>11}", value.map_or("–".into(), show));
        }
        for way in [2, 3] {
            let _ = write!(out, "{:>12}", self.ratio(way).map_or("–".into(), |r| format!("{r:.2}×")));
        }
        out.push('\n');
    }

    fn json(&self) -> Value {
        let mut by_way = Map::new();
        for (at, (way, rounds)) in Way::ALL.iter().zip(&self.rounds).enumerate() {
            if !rounds.is_empty() {
                let ratio = if at == 0 { None } else { self.ratio(at) };
                let value = json!({"median": median(rounds), "rounds": rounds, "ratio_to_nginx": ratio});
                by_way.insert(way.name().into(), value);
            }
        }
        Value::Object(by_way)
    }
}

fn row(figure: &Figure, slices: &Slices) -> Row {
    let rounds = Way::ALL.map(|way| figure.rounds(slices, way));
    Row { key: figure.key.into(), title: figure.title.into(), rounds }
}

/// What one more delta costs, the request's own cost taken out: the difference of the two paced streams.
fn marginal(scenarios: &[(Scenario, Slices)]) -> Option<Row> {
    let find = |key: &str| scenarios.iter().find(|(scenario, _)| scenario.key == key);
    let (short, few) = find("stream_50")?;
    let (long, many) = find("stream_500")?;
    let deltas = (long.ask.deltas - short.ask.deltas) as f64;
    let rounds = Way::ALL.map(|way| {
        let few = few.get(&way).into_iter().flatten();
        let many = many.get(&way).into_iter().flatten();
        many.zip(few).map(|(many, few)| (many.cpu - few.cpu) / deltas).collect()
    });
    Some(Row { key: "cpu_us_per_further_delta".into(), title: "CPU µs/further delta".into(), rounds })
}

fn show(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl Report {
    /// The table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::new();
        self.write_scenarios(&mut out);
        self.write_memory(&mut out);
        self.write_lifetime(&mut out);
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        out
    }

    fn write_scenarios(&self, out: &mut String) {
        if self.scenarios.is_empty() {
            return;
        }
        let _ = write!(out, "\n{:<36}", "median of the rounds");
        for way in Way::ALL {
            let _ = write!(out, "{:>11}", way.name());
        }
        let _ = writeln!(out, "{:>12}{:>12}", "same/nginx", "trans/nginx");
        for (scenario, slices) in &self.scenarios {
            let _ = writeln!(out, "{}", scenario.title);
            for figure in figures(scenario).iter().filter(|figure| figure.shown) {
                row(figure, slices).write(out);
            }
            for (way, slices) in slices {
                let errors: usize = slices.iter().map(|slice| slice.errors).sum();
                if errors > 0 {
                    let said = slices.iter().find_map(|slice| slice.error.as_deref()).unwrap_or_default();
                    let _ = writeln!(out, "  !! {}: {errors} wrong replies: {said}", way.name());
                }
            }
        }
        if let Some(row) = marginal(&self.scenarios) {
            let _ = writeln!(out, "stream, from 50 deltas to 500");
            row.write(out);
        }
    }

    fn write_memory(&self, out: &mut String) {
        if self.memory.is_empty() {
            return;
        }
        let _ = write!(out, "\n{:<28}", "resident memory, MiB");
        for head in ["idle", "peak", "after", "open", "closed"] {
            let _ = write!(out, "{head:>9}");
        }
        let _ = writeln!(out, "{:>9}{:>15}", "streams", "KiB/stream");
        for (way, memory) in &self.memory {
            let _ = write!(out, "  {:<26}", if *way == Way::Nginx { "nginx" } else { "gateway" });
            for size in [memory.idle, memory.peak, memory.after, memory.open, memory.closed] {
                let _ = write!(out, "{:>9.1}", size as f64 / 1024.0);
            }
            let _ = writeln!(out, "{:>9}{:>15.1}", memory.streams, memory.per_stream());
            if let Some(growth) = memory.growth() {
                let blocks: Vec<_> = memory.blocks.iter().map(|kib| format!("{:.1}", *kib as f64 / 1024.0)).collect();
                let _ = writeln!(out, "    after each 10,000 calls: {}", blocks.join(" "));
                let _ = writeln!(out, "    growth: {growth:.2} KiB per 1,000 calls");
            }
        }
    }

    fn write_lifetime(&self, out: &mut String) {
        let times = |of: fn(&Lifetime) -> f64| self.lifetimes.iter().map(of).collect::<Vec<_>>();
        if let (Some(start), Some(stop)) = (median(&times(|l| l.start)), median(&times(|l| l.stop))) {
            let most = times(|l| l.start).into_iter().fold(0.0, f64::max);
            let _ = writeln!(out, "\nstart to first reply  {start:.1} ms (slowest of {}: {most:.1})", self.lifetimes.len());
            let _ = writeln!(out, "SIGTERM to exit       {stop:.1} ms");
        }
        if let Some(bytes) = self.binary {
            let _ = writeln!(out, "binary                {:.1} MiB", bytes as f64 / 1_048_576.0);
        }
    }

    /// The same, and all rounds of all figures.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut scenarios = Map::new();
        for (scenario, slices) in &self.scenarios {
            let mut entry = Map::new();
            entry.insert("title".into(), json!(scenario.title));
            for figure in figures(scenario) {
                let row = row(&figure, slices);
                entry.insert(row.key.clone(), row.json());
            }
            let errors: usize = slices.values().flatten().map(|slice| slice.errors).sum();
            entry.insert("wrong_replies".into(), json!(errors));
            scenarios.insert(scenario.key.clone(), Value::Object(entry));
        }
        if let Some(row) = marginal(&self.scenarios) {
            scenarios.insert("stream_50_to_500".into(), json!({ row.key.clone(): row.json() }));
        }
        let memory: Map<String, Value> = self.memory.iter().map(|(way, memory)| memory_json(*way, memory)).collect();
        let times = |of: fn(&Lifetime) -> f64| self.lifetimes.iter().map(of).collect::<Vec<_>>();
        let (starts, stops) = (times(|l| l.start), times(|l| l.stop));
        json!({
            "about": self.about,
            "notes": self.notes,
            "scenarios": scenarios,
            "memory": memory,
            "lifetime": {
                "start_to_first_reply_ms": {"median": median(&starts), "all": starts},
                "sigterm_to_exit_ms": {"median": median(&stops), "all": stops},
            },
            "binary_bytes": self.binary,
        })
    }

    /// Whether everything that is there was measured, and every reply was as expected.
    #[must_use]
    pub fn clean(&self) -> bool {
        !self.failed && self.scenarios.iter().flat_map(|(_, slices)| slices.values().flatten()).all(|slice| slice.errors == 0)
    }
}

fn memory_json(way: Way, memory: &Memory) -> (String, Value) {
    let name = if way == Way::Nginx { "nginx" } else { "gateway" };
    let value = json!({
        "idle_kib": memory.idle,
        "peak_kib": memory.peak,
        "after_kib": memory.after,
        "streams": memory.streams,
        "open_kib": memory.open,
        "closed_kib": memory.closed,
        "kib_per_stream": memory.per_stream(),
        "blocks_kib": memory.blocks,
        "growth_kib_per_1000_calls": memory.growth(),
    });
    (name.into(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        // The second round was slow for both: the ratio does not care.
        assert_eq!(ratio(&[10.0, 30.0, 10.0], &[5.0, 15.0, 5.0]), Some(2.0));
        assert_eq!(ratio(&[1.0], &[0.0]), None);
    }
}
