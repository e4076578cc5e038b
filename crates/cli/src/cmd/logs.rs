//! `trunkline logs`.

use std::io::{self, Write};
use std::time::Duration;

use trunkline_store::{CallRow, Store, Wanted};

use crate::column::fold;
use crate::ledger::{duration, money, number, open, since};
use crate::terminal::{Cell, Mark, columns, complain, print_json, print_rows, print_table, write_line};
use crate::{End, Global};

/// Show the calls that were made, the newest last.
#[derive(clap::Args)]
pub(crate) struct Logs {
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    number: u32,
    /// Go on with those that come, until Ctrl-C
    #[arg(short, long, conflicts_with = "id")]
    follow: bool,
    /// Only those that failed
    #[arg(long)]
    errors: bool,
    /// Only those with this text in a name, an id, a tag or an error
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Only those of this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only those with this tag, NAME=VALUE or NAME; may be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// All that is known of the call with this id, or the begin of it: the reply's x-trunkline-request-id, or the row's own
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Only those of so long: 30m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

/// How often a follower looks.
const LOOK: Duration = Duration::from_millis(500);
/// An id is looked for by its begin among so many.
const LOOK_BACK: u32 = 10_000;
/// A terminal of so many columns has room for ids.
const WITH_IDS: usize = 110;
/// So much of an id tells calls apart that do not begin in the same millisecond.
const SHORT: usize = 13;
/// The most that are shown at one look.
const LOOK_MOST: u32 = 5000;

impl Logs {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let mut store = open(global).await?;
        let since = self.since.as_deref().map(since).transpose()?;
        let (id, limit) = (self.id.clone(), if self.id.is_some() { 1 } else { self.number });
        let (user, tags, grep) = (self.user.clone(), self.tag.clone(), self.grep.clone());
        let wanted = Wanted { limit, failed: self.errors, grep, id, since, user, tags, ..Wanted::default() };
        let seen = store.newest().await?;
        let mut calls = store.calls(&wanted).await?;
        if let Some(id) = &self.id {
            if calls.is_empty() {
                calls.extend(find(&mut store, id).await?);
            }
            store.tell_texts(&mut calls).await?;
        }
        if let Some(id) = &self.id {
            let Some(call) = calls.first() else { anyhow::bail!("no call has the id {id}") };
            if global.json {
                print_json(call)?
            } else {
                show(call)?
            }
            return Ok(End::Done);
        }
        if self.follow {
            return follow(&mut store, calls, seen, wanted, global.json).await;
        }
        if global.json {
            print_json(&calls)?;
        } else if calls.is_empty() {
            complain("no such call");
        } else {
            // A pipe has room for everything.
            let ids = global.verbose || columns().is_none_or(|columns| columns >= WITH_IDS);
            let heads = ["id", "time (UTC)", "target", "in", "out", "first", "whole", "cost", "what"];
            let heads = heads.get(usize::from(!ids)..).unwrap_or_default();
            print_rows(Some(heads), &calls.iter().map(|call| row(call, ids)).collect::<Vec<_>>())?;
        }
        Ok(End::Done)
    }
}

/// The call whose id begins so, of the latest.
async fn find(store: &mut Store, id: &str) -> anyhow::Result<Option<CallRow>> {
    let all = store.calls(&Wanted { limit: LOOK_BACK, ..Wanted::default() }).await?;
    let is_meant = |call: &CallRow| {
        let own = call.id.to_string();
        own.starts_with(id) || (!call.request_id.is_empty() && call.request_id.starts_with(id))
    };
    let mut found = all.into_iter().filter(|call| !id.is_empty() && is_meant(call));
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => {
            anyhow::bail!("`{id}` may be {} or {}: write more of it", one.id, other.id)
        }
        (one, _) => Ok(one),
    }
}

/// Prints what is there, and what comes, a line each.
async fn follow(store: &mut Store, calls: Vec<CallRow>, mut seen: u64, wanted: Wanted, json: bool) -> anyhow::Result<End> {
    let mut shown = calls;
    loop {
        let mut out = io::stdout().lock();
        for call in &shown {
            if json {
                serde_json::to_writer(&mut out, call)?;
                writeln!(out)?;
            } else {
                write_line(&mut out, &line(call))?;
            }
        }
        out.flush()?;
        drop(out);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = crate::signal::next() => return Ok(End::Done),
        }
        // Those that are written meanwhile have greater numbers.
        let newest = store.newest().await?;
        shown = store.calls(&Wanted { limit: LOOK_MOST, since: None, written: Some((seen, newest)), ..wanted.clone() }).await?;
        seen = newest;
    }
}

/// The columns of a call.
fn row(call: &CallRow, with_id: bool) -> (Mark, Vec<Cell>) {
    let tokens = |tokens: Option<u64>| tokens.map_or_else(String::new, number);
    let sign = if call.usage_estimated { "~" } else { "" };
    let cells = vec![
        Cell::left(time(call.begun_us, false)),
        Cell::left(asked(call)),
        Cell::right(format!("{sign}{}", tokens(call.input))),
        Cell::right(format!("{sign}{}", tokens(call.output))),
        Cell::right(call.first_us.map_or_else(String::new, duration)),
        Cell::right(duration(call.elapsed_us)),
        Cell::right(cost(call)),
        Cell::left(what(call)),
    ];
    let id = with_id.then(|| Cell::left(call.id.to_string().chars().take(SHORT).collect()));
    (mark(call), id.into_iter().chain(cells).collect())
}

/// A call as a line of its own: what follows it is not known yet.
fn line(call: &CallRow) -> String {
    let mark = match mark(call) {
        Mark::Yes => '✓',
        Mark::Bad => '✗',
        Mark::No | Mark::None => '·',
    };
    let tokens = |tokens: Option<u64>| tokens.map_or_else(|| "-".to_owned(), number);
    let took = duration(call.elapsed_us);
    let figures = format!("{} in, {} out, {took}", tokens(call.input), tokens(call.output));
    let parts = [format!("{mark} {}", time(call.begun_us, false)), asked(call), figures, cost(call), what(call)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

fn mark(call: &CallRow) -> Mark {
    match call.error.as_deref() {
        None => Mark::Yes,
        Some("cancelled") => Mark::No,
        Some(_) => Mark::Bad,
    }
}

/// Who answered; else what was asked for.
fn asked(call: &CallRow) -> String {
    call.target.as_deref().unwrap_or(&call.model).to_owned()
}

fn cost(call: &CallRow) -> String {
    let cost = call.cost_micros.zip(call.currency.as_deref());
    cost.map_or_else(String::new, |(micros, currency)| money(currency, micros))
}

/// What is special about a call.
fn what(call: &CallRow) -> String {
    let error = call.error.as_ref().map(|error| format!("{error} ({})", call.status));
    let operation = (call.operation != "chat").then(|| call.operation.to_string());
    let tries = (call.exchanges.len() > 1).then(|| format!("{} tries", call.exchanges.len()));
    let task = call.task.as_ref().map(|task| format!("task {task}"));
    let losses = (call.losses > 0).then(|| format!("{} lost", call.losses));
    let copy = call.mirror_of.as_ref().map(|_| "copy".to_owned());
    [error, copy, operation, tries, task, losses].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A time of UTC, with its year or without.
fn time(micros: u64, whole: bool) -> String {
    let seconds = micros / 1_000_000;
    let date = trunkline_store::date(seconds / 86_400);
    let date = if whole { date.as_str() } else { date.split_once('-').map_or("", |(_, rest)| rest) };
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{date} {hour:02}:{minute:02}:{second:02}")
}

/// All that is known of one call.
fn show(call: &CallRow) -> anyhow::Result<()> {
    let mut rows: Vec<(Mark, Vec<String>)> = Vec::new();
    let mut tell = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push((Mark::None, vec![name.to_owned(), value]));
        }
    };
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let figure = |figure: Option<u64>| figure.map_or_else(String::new, |figure| figure.to_string());
    let ways = [call.dialect.as_deref(), call.exchanges.last().and_then(|last| last.dialect.as_deref())];
    let ways: Vec<&str> = ways.into_iter().flatten().collect();
    let price = call.price_date.as_ref().map_or_else(String::new, |date| format!(" at the price of {date}"));
    tell("request", call.request_id.clone());
    tell("id", call.id.to_string());
    tell("time", format!("{} UTC", time(call.begun_us, true)));
    tell("operation", format!("{}{}", call.operation, if call.streamed { ", streamed" } else { "" }));
    tell("dialect", ways.join(" → "));
    tell("copy of", text(call.mirror_of.as_deref()));
    tell("model", call.model.clone());
    tell("task", text(call.task.as_deref()));
    tell("target", text(call.target.as_deref()));
    tell("status", call.status.to_string());
    tell("error", text(call.error.as_deref()));
    tell("blame", text(call.blame.as_deref()));
    tell("key", text(call.key_id.as_deref()));
    tell("user", text(call.user_id.as_deref()));
    tell("tags", text(call.tags.as_deref()));
    tell("tokens in", figure(call.input));
    tell("  from cache", figure(call.cache_read));
    tell("  to cache", figure(call.cache_write));
    tell("tokens out", figure(call.output));
    tell("  reasoning", figure(call.reasoning));
    tell("estimated", if call.usage_estimated { "yes".to_owned() } else { String::new() });
    tell("cost", if call.cost_micros.is_some() { format!("{}{price}", cost(call)) } else { String::new() });
    tell("first", call.first_us.map_or_else(String::new, duration));
    tell("whole", duration(call.elapsed_us));
    tell("bytes in", figure(call.bytes_in));
    tell("bytes out", figure(call.bytes_out));
    tell("losses", figure(Some(call.losses).filter(|losses| *losses > 0)));
    print_table(&rows)?;
    let exchange = |exchange: &trunkline_store::ExchangeRow| {
        let status = exchange.status.map_or_else(String::new, |status| format!(" ({status})"));
        let mark = if exchange.error.is_some() { Mark::Bad } else { Mark::Yes };
        let error = exchange.error.as_ref().map_or_else(String::new, |error| format!("{error}{status}"));
        let cost = exchange.cost_micros.zip(exchange.currency.as_deref());
        let cost = cost.map_or_else(String::new, |(micros, currency)| money(currency, micros));
        let begin = format!("after {}", duration(exchange.started_us));
        (mark, vec![exchange.target.to_string(), begin, format!("took {}", duration(exchange.elapsed_us)), cost, error])
    };
    if !call.exchanges.is_empty() {
        writeln!(io::stdout())?;
        print_table(&call.exchanges.iter().map(exchange).collect::<Vec<_>>())?;
    }
    let said = call.texts.iter().flat_map(|texts| [("request", &texts.request), ("answer", &texts.answer)]);
    for (what, text) in said.filter_map(|(what, text)| Some((what, text.as_ref()?))) {
        writeln!(io::stdout(), "\n{what}\n")?;
        let room = columns().unwrap_or(usize::MAX / 2);
        fold(text, room).iter().try_for_each(|line| writeln!(io::stdout(), "{line}"))?;
    }
    Ok(())
}
