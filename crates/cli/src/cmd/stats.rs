//! `trunkline stats`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use trunkline::config::{Config, Environment, add_prices};
use trunkline_store::{By, Group, Moment, Repriced, Store, Totals};

use crate::chart::{bar, spark, squeeze};
use crate::ledger::{duration, money, number, open, since};
use crate::terminal::{Cell, Mark, columns, complain, print_json, print_rows, write_line};
use crate::{End, Global};

/// Sum up the calls that were made: how many, how many failed, how long they took, their tokens and what they cost.
#[derive(clap::Args)]
pub(crate) struct Stats {
    /// What the lines are: model, target, provider, task, error, hour, day, user, key or tag:NAME
    #[arg(long, value_name = "WHAT", value_parser = read_line, default_value = "model")]
    by: By,
    /// Only the calls of so long: 30m, 2h, 7d
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// What the calls would come to at today's prices, or at those of --prices; no row is changed
    #[arg(long, conflicts_with = "by")]
    reprice: bool,
    /// Prices, as `trunkline prices import` writes them, over those that are known
    #[arg(long, value_name = "FILE", requires = "reprice")]
    prices: Option<PathBuf>,
}

/// The bars' width.
const BAR: usize = 16;

/// What lines are called.
const LINES: [(&str, By); 9] = [
    ("model", By::Model),
    ("target", By::Target),
    ("provider", By::Provider),
    ("task", By::Task),
    ("error", By::Error),
    ("hour", By::Hour),
    ("day", By::Day),
    ("user", By::User),
    ("key", By::Key),
];

fn read_line(text: &str) -> Result<By, String> {
    if let Some(name) = text.strip_prefix("tag:").filter(|name| !name.is_empty()) {
        return Ok(By::Tag(name.to_owned()));
    }
    let found = LINES.iter().find(|(word, _)| *word == text);
    let known = || LINES.map(|(word, _)| word).join(", ");
    found.map(|(_, by)| by.clone()).ok_or_else(|| format!("it is one of {} or tag:NAME", known()))
}

/// The head of the first column, and what stands in it for what has no name.
fn words(by: &By) -> (String, &'static str) {
    let nameless = match by {
        By::Model => "(led nowhere)",
        By::Target | By::Provider => "(nobody)",
        _ => "(none)",
    };
    let head = match by {
        By::Tag(name) => format!("tag:{name}"),
        by => LINES.iter().find(|(_, known)| known == by).map_or("", |(word, _)| word).to_owned(),
    };
    (head, nameless)
}

impl Stats {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let since = since(&self.since)?;
        let mut store = open(global).await?;
        if self.reprice {
            return self.reprice(&mut store, since, global).await;
        }
        let stats = store.stats(self.by.clone(), since).await?;
        if global.json {
            let groups = stats.groups.iter().map(|group| told(Some(&group.name), &group.totals)).collect::<Vec<_>>();
            let hours = stats.hours.iter().map(|hour| json!({"begin": hour.begin, "calls": hour.calls, "errors": hour.errors}));
            let seconds = since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let head = words(&self.by).0;
            let hours = hours.collect::<Vec<_>>();
            print_json(&json!({"since": seconds, "by": head, "all": told(None, &stats.all), "groups": groups, "hours": hours}))?;
            return Ok(End::Done);
        }
        if stats.all.calls + stats.all.copies == 0 {
            complain(&format!("no calls in {}", self.since));
            return Ok(End::Done);
        }
        summarize(&stats.all, &self.since)?;
        draw(&stats.hours, since)?;
        self.list(&stats.groups)
    }

    async fn reprice(&self, store: &mut Store, since: SystemTime, global: &Global) -> anyhow::Result<End> {
        let environment = Environment::read()?;
        let config = Config::find(global.config.as_deref(), &environment)?;
        let mut models = config.models(&environment)?;
        if let Some(path) = &self.prices {
            add_prices(&mut models, path)?;
        }
        let catalog = config.catalog()?;
        let in_batch = |target: &str| {
            let provider = target.split_once('/').and_then(|(provider, _)| catalog.get(provider));
            provider.and_then(|provider| provider.batch.as_ref()).map_or(100, |batch| batch.price_percent)
        };
        let sums = store.reprice(&models, in_batch, since).await?;
        if global.json {
            let line = |((target, currency), sum): (&(String, String), &Repriced)| {
                json!({"target": target, "currency": currency, "exchanges": sum.exchanges, "stored_micros": sum.stored,
                       "now_micros": sum.now, "changed": sum.changed, "unknown": sum.unknown})
            };
            print_json(&sums.iter().map(line).collect::<Vec<_>>())?;
            return Ok(End::Done);
        }
        let mut all: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let heads = ["target", "exchanges", "stored", "now", "changed", "no price"];
        let mut rows = Vec::new();
        for ((target, currency), sum) in &sums {
            let total = all.entry(currency).or_default();
            *total = (total.0 + sum.stored, total.1 + sum.now);
            let mut cells = vec![Cell::left(target.clone()), Cell::right(number(sum.exchanges))];
            cells.extend([sum.stored, sum.now].map(|micros| Cell::right(money(currency, micros))));
            cells.extend([sum.changed, sum.unknown].map(|count| Cell::right(number(count))));
            rows.push((if sum.changed + sum.unknown > 0 { Mark::Bad } else { Mark::Yes }, cells));
        }
        for (currency, (stored, now)) in all {
            let line = format!("{} as stored, {} at these prices", money(currency, stored), money(currency, now));
            writeln!(std::io::stdout().lock(), "{line}")?;
        }
        print_rows(Some(&heads), &rows)?;
        Ok(End::Done)
    }

    fn list(&self, groups: &[Group]) -> anyhow::Result<End> {
        if groups.iter().all(|group| group.name.is_empty() && group.totals.calls == 0) {
            complain("nothing to list");
            return Ok(End::Done);
        }
        let most = groups.iter().map(|group| group.totals.calls).max().unwrap_or(1);
        let wide = columns().is_some_and(|columns| columns >= 110);
        let (head, nameless) = words(&self.by);
        let heads = [head.as_str(), "calls", "errors", "p50", "p90", "p99", "in", "out", "tok/s", "cost", ""];
        let row = |group: &Group| {
            let totals = &group.totals;
            let name = if group.name.is_empty() { nameless.to_owned() } else { group.name.clone() };
            let percentile = |percent| totals.latency.percentile(percent).map_or_else(String::new, duration);
            let mark = if totals.errors * 20 > totals.calls { Mark::Bad } else { Mark::None };
            let mut cells = vec![Cell::left(name)];
            cells.extend([number(totals.calls), share(totals.errors, totals.calls)].map(Cell::right));
            cells.extend([50, 90, 99].map(|percent| Cell::right(percentile(percent))));
            cells.extend([number(totals.input), number(totals.output), speed(totals)].map(Cell::right));
            cells.push(Cell::right(costs(totals)));
            cells.push(Cell::left(if wide { bar(totals.calls, most, BAR) } else { String::new() }));
            (mark, cells)
        };
        print_rows(Some(&heads), &groups.iter().map(row).collect::<Vec<_>>())?;
        Ok(End::Done)
    }
}

/// All together, in two lines.
fn summarize(all: &Totals, since: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let left = if all.cancelled > 0 { format!(", {} left by their caller", number(all.cancelled)) } else { String::new() };
    let copies = if all.copies > 0 { format!(", {} copies beside them", number(all.copies)) } else { String::new() };
    let guessed = if all.estimated > 0 { format!(", {} calls estimated", number(all.estimated)) } else { String::new() };
    let cost = costs(all);
    let cost = if cost.is_empty() { cost } else { format!(", {cost}") };
    let calls = format!("{} calls in {since}, {} failed{left}{copies}", number(all.calls), share(all.errors, all.calls));
    let tokens = format!("{} tokens in, {} out{guessed}{cost}", number(all.input), number(all.output));
    write_line(&mut out, &calls)?;
    write_line(&mut out, &tokens)?;
    writeln!(out)?;
    Ok(())
}

/// The calls over time, as wide as the terminal; in a pipe nothing.
fn draw(hours: &[Moment], since: SystemTime) -> anyhow::Result<()> {
    let Some(room) = columns().map(|columns| columns.saturating_sub(18).clamp(10, 84)) else { return Ok(()) };
    let hour = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 3600);
    let earliest = hours.first().map_or(0, |first| first.begin / 3600);
    let (first, last) = (hour(since).max(earliest), hour(SystemTime::now()));
    let length = usize::try_from(last.saturating_sub(first) + 1).unwrap_or(1).min(24 * 3660);
    if length < 2 {
        return Ok(());
    }
    let line = |figure: fn(&Moment) -> u64| {
        let mut values = vec![0; length];
        for moment in hours {
            let at = usize::try_from((moment.begin / 3600).saturating_sub(first)).unwrap_or(usize::MAX);
            if let Some(value) = values.get_mut(at) {
                *value += figure(moment);
            }
        }
        squeeze(&values, room)
    };
    let (calls, errors) = (line(|moment| moment.calls), line(|moment| moment.errors));
    let mut out = std::io::stdout().lock();
    let most = calls.iter().max().copied().unwrap_or(0);
    writeln!(out, "  calls   {}  ≤ {}", spark(&calls), number(most))?;
    if errors.iter().any(|count| *count > 0) {
        let most = errors.iter().max().copied().unwrap_or(0);
        writeln!(out, "  errors  {}  ≤ {}", spark(&errors), number(most))?;
    }
    writeln!(out)?;
    Ok(())
}

/// A number, and how much of all it is.
fn share(part: u64, all: u64) -> String {
    if part == 0 {
        return "0".to_owned();
    }
    format!("{} ({:.1}%)", number(part), part as f64 * 100.0 / all.max(1) as f64)
}

fn speed(totals: &Totals) -> String {
    totals.tokens_per_second().map_or_else(String::new, |speed| format!("{speed:.1}"))
}

fn costs(totals: &Totals) -> String {
    let all = totals.costs.iter().map(|(currency, micros)| money(currency, *micros));
    all.collect::<Vec<_>>().join(" + ")
}

fn told(name: Option<&str>, totals: &Totals) -> Value {
    let mut told = json!({
        "calls": totals.calls,
        "errors": totals.errors,
        "cancelled": totals.cancelled,
        "copies": totals.copies,
        "input_tokens": totals.input,
        "output_tokens": totals.output,
        "cache_read_tokens": totals.cache_read,
        "reasoning_tokens": totals.reasoning,
        "estimated": totals.estimated,
        "tokens_per_second": totals.tokens_per_second(),
        "p50_us": totals.latency.percentile(50),
        "p90_us": totals.latency.percentile(90),
        "p99_us": totals.latency.percentile(99),
        "cost_micros": totals.costs,
    });
    if let (Some(name), Some(told)) = (name, told.as_object_mut()) {
        told.shift_insert(0, "name".to_owned(), name.into());
    }
    told
}
