//! Sums over the ledger: calls, errors, tokens, time and money, by whatever is asked for.
//!
//! Whole hours come from the sums that are kept as calls are written; the rest of the first hour from its rows.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::Row;
use sqlx::sqlite::{Sqlite, SqliteRow};
use trunkline_codec::Result;

use crate::id::Id;
use crate::label::{Label, TAGS_MOST, tags};
use crate::logs::count;
use crate::sketch::Sketch;
use crate::store::Store;
use crate::write::{MIRROR, int};

/// What calls are summed up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The model's name as asked for.
    Model,
    /// Who answered, `provider/model`.
    Target,
    /// Who answered.
    Provider,
    /// The task.
    Task,
    /// The kind of the error; what went well is ``.
    Error,
    /// The day in UTC, `2026-11-23`.
    Day,
    /// The hour in UTC, `2026-11-23 17:00`.
    Hour,
    /// For whom it was made. Calls that do not say are in the sum of all only, here and in the following two.
    User,
    /// Which key the caller had.
    Key,
    /// The value of the tag of this name.
    Tag(String),
}

/// What calls came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that are over.
    pub calls: u64,
    /// Of these: failed.
    pub errors: u64,
    /// Of these: left by their caller.
    pub cancelled: u64,
    /// Copies of calls, made to try a target out. They are no calls, but cost what they cost.
    pub copies: u64,
    /// Tokens.
    pub input: u64,
    /// Tokens.
    pub output: u64,
    /// Of `input`: read from a cache.
    pub cache_read: u64,
    /// Of `output`: reasoning.
    pub reasoning: u64,
    /// Calls whose tokens are a guess.
    pub estimated: u64,
    /// Output tokens of the calls that went well and took time, and how long they took together, in microseconds.
    pub good: (u64, u64),
    /// By currency, in millionths.
    pub costs: BTreeMap<String, u64>,
    /// How long calls took that went well.
    pub latency: Sketch,
}

/// A name and what its calls came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The model's, target's, …
    pub name: String,
    /// The sums.
    pub totals: Totals,
}

/// One stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its begin, in seconds since 1970.
    pub begin: u64,
    /// Calls.
    pub calls: u64,
    /// Of these: failed.
    pub errors: u64,
}

/// The answer to *what happened since*.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The most calls first; days and hours in their order.
    pub groups: Vec<Group>,
    /// All together.
    pub all: Totals,
    /// Hour after hour, those without calls left out.
    pub hours: Vec<Moment>,
}

impl Totals {
    /// Output tokens a second of a call that went well.
    pub fn tokens_per_second(&self) -> Option<f64> {
        let (tokens, micros) = self.good;
        (tokens > 0 && micros > 0).then(|| tokens as f64 * 1e6 / micros as f64)
    }

    fn join(&mut self, other: &Totals) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.cancelled += other.cancelled;
        self.copies += other.copies;
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.reasoning += other.reasoning;
        self.estimated += other.estimated;
        self.good = (self.good.0 + other.good.0, self.good.1 + other.good.1);
        for (currency, micros) in &other.costs {
            *self.costs.entry(currency.clone()).or_default() += micros;
        }
        self.latency.join(&other.latency);
    }

    fn take(&mut self, sums: &Sums) {
        if sums.error != MIRROR {
            self.calls += sums.calls;
        }
        match sums.error.as_str() {
            MIRROR => self.copies += sums.calls,
            "" => {
                self.good = (self.good.0 + sums.timed, self.good.1 + sums.elapsed_us);
                self.latency.join(&sums.times);
            }
            "cancelled" => self.cancelled += sums.calls,
            _ => self.errors += sums.calls,
        }
        self.input += sums.input;
        self.output += sums.output;
        self.cache_read += sums.cache_read;
        self.reasoning += sums.reasoning;
        self.estimated += sums.estimated;
        if !sums.currency.is_empty() {
            *self.costs.entry(sums.currency.clone()).or_default() += sums.cost_micros;
        }
    }
}

/// One line of sums.
struct Sums {
    name: String,
    /// Of one call, and not of an hour.
    is_row: bool,
    error: String,
    currency: String,
    calls: u64,
    input: u64,
    output: u64,
    cache_read: u64,
    reasoning: u64,
    estimated: u64,
    cost_micros: u64,
    timed: u64,
    elapsed_us: u64,
    times: Sketch,
}

macro_rules! hours_by {
    ($name:literal) => {
        concat!(
            "SELECT ",
            $name,
            " AS name, error, currency, calls, input, output, cache_read, reasoning, estimated, cost_micros, timed, elapsed_us, times \
             FROM hours WHERE hour >= $1"
        )
    };
}

/// The calls of a part of an hour; and of those that have no cost of their own, what is known of their tries.
macro_rules! rows_by {
    ($name:literal) => {
        concat!(
            "SELECT ",
            $name,
            " AS name, CASE WHEN mirror_of IS NULL THEN COALESCE(error, '') ELSE 'mirror' END AS error, COALESCE(currency, '') AS currency, elapsed_us, 1 AS calls, \
             COALESCE(input, 0) AS input, COALESCE(output, 0) AS output, COALESCE(cache_read, 0) AS cache_read, \
             COALESCE(reasoning, 0) AS reasoning, CAST(usage_estimated AS INTEGER) AS estimated, \
             COALESCE(cost_micros, 0) AS cost_micros, CASE WHEN elapsed_us > 0 THEN COALESCE(output, 0) ELSE 0 END AS timed \
             FROM calls WHERE id >= $1 AND id < $2 UNION ALL SELECT ",
            $name,
            " AS name, CASE WHEN mirror_of IS NULL THEN COALESCE(error, '') ELSE 'mirror' END AS error, paid_in AS currency, 0 AS elapsed_us, 0 AS calls, 0 AS input, 0 AS output, \
             0 AS cache_read, 0 AS reasoning, 0 AS estimated, COALESCE(paid, 0) AS cost_micros, 0 AS timed FROM calls JOIN (SELECT call_id, \
             currency AS paid_in, cost_micros AS paid FROM exchanges WHERE currency IS NOT NULL AND call_id >= $1 AND \
             call_id < $2) ON call_id = id WHERE currency IS NULL AND id >= $1 AND id < $2"
        )
    };
}

impl By {
    /// The sums of whole hours, and the rows of a part of one.
    const fn statements(&self) -> (&'static str, &'static str) {
        match self {
            By::Model => (hours_by!("model"), rows_by!("kind_model")),
            By::Target | By::Provider => (hours_by!("target"), rows_by!("kind_target")),
            By::Task => (hours_by!("task"), rows_by!("COALESCE(task, '')")),
            By::Error => (hours_by!("error"), rows_by!("CASE WHEN mirror_of IS NULL THEN COALESCE(error, '') ELSE 'mirror' END")),
            By::Day => (hours_by!("CAST(hour / 24 AS TEXT)"), rows_by!("''")),
            By::Hour => (hours_by!("CAST(hour AS TEXT)"), rows_by!("''")),
            By::User => (LABELS, rows_by!("COALESCE(user_id, '')")),
            By::Key => (hours_by!("key_id"), rows_by!("COALESCE(key_id, '')")),
            By::Tag(_) => (LABELS, rows_by!("COALESCE(tags, '')")),
        }
    }
}

/// The sums by a label.
const LABELS: &str = "SELECT name, error, currency, calls, input, output, cache_read, reasoning, estimated, cost_micros, \
    timed, elapsed_us, times FROM label_sums WHERE hour >= $1 AND label = $2";

impl By {
    /// Which of the sums by label it is.
    fn label(&self) -> Option<Label<'_>> {
        match self {
            By::User => Some(Label::User),
            By::Tag(name) => Some(Label::Tag(name)),
            _ => None,
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

impl Store {
    /// What happened since then, by `by`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn stats(&mut self, by: By, since: SystemTime) -> Result<Stats> {
        let seconds = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let whole = i64::try_from(seconds.as_nanos().div_ceil(HOUR.as_nanos())).unwrap_or(i64::MAX);
        let mut groups: BTreeMap<String, Totals> = BTreeMap::new();
        for sums in &self.sums(&by, since, whole).await? {
            for name in names(&by, sums, whole) {
                groups.entry(name).or_default().take(sums);
            }
        }
        let mut all = Totals::default();
        if by.label().is_some() || by == By::Key {
            // Those that do not say count in the sum, and those that say several things count once.
            self.sums(&By::Error, since, whole).await?.iter().for_each(|sums| all.take(sums));
        } else {
            groups.values().for_each(|totals| all.join(totals));
        }
        let hours = self.hours(since, whole).await?;
        let mut groups: Vec<Group> = groups.into_iter().map(|(name, totals)| Group { name, totals }).collect();
        if !matches!(by, By::Day | By::Hour) {
            groups.sort_by_key(|group| std::cmp::Reverse(group.totals.calls));
        }
        Ok(Stats { groups, all, hours })
    }

    /// The sums of whole hours from `whole` on, and the rows of the rest of the hour before.
    async fn sums(&mut self, by: &By, since: SystemTime, whole: i64) -> Result<Vec<Sums>> {
        let (hours, rows) = by.statements();
        let mut query = sqlx::query::<Sqlite>(hours).bind(whole);
        if let Some(label) = by.label() {
            query = query.bind(label.word());
        }
        let found = query.fetch_all(&mut self.connection).await.map_err(|error| self.wrong(&error))?;
        let read: std::result::Result<Vec<Sums>, sqlx::Error> = found.iter().map(read_sums).collect();
        let mut found = read.map_err(|error| self.wrong(&error))?;
        found.extend(self.part(rows, since, whole).await?);
        Ok(found)
    }

    async fn part(&mut self, rows: &'static str, since: SystemTime, whole: i64) -> Result<Vec<Sums>> {
        let begin = UNIX_EPOCH + HOUR.saturating_mul(u32::try_from(whole).unwrap_or(u32::MAX));
        if begin <= since {
            return Ok(Vec::new());
        }
        let (from, to) = (Id::first_at(since).bytes(), Id::first_at(begin).bytes());
        let part = sqlx::query::<Sqlite>(rows).bind(from.as_slice()).bind(to.as_slice());
        let part = part.fetch_all(&mut self.connection).await.map_err(|error| self.wrong(&error))?;
        let part: std::result::Result<Vec<Sums>, sqlx::Error> = part.iter().map(read_row).collect();
        part.map_err(|error| self.wrong(&error))
    }

    /// Hour after hour.
    async fn hours(&mut self, since: SystemTime, whole: i64) -> Result<Vec<Moment>> {
        let part = self.part(By::Error.statements().1, since, whole).await?;
        let mut moments = self.whole_hours(whole).await?;
        moments.splice(0..0, moment(whole - 1, &part));
        Ok(moments)
    }

    async fn whole_hours(&mut self, from: i64) -> Result<Vec<Moment>> {
        let sql = "SELECT hour, SUM(calls) AS calls, SUM(CASE WHEN error IN ('', 'cancelled') THEN 0 ELSE calls END) AS errors \
                   FROM hours WHERE hour >= $1 AND error <> 'mirror' GROUP BY hour ORDER BY hour";
        let rows = sqlx::query::<Sqlite>(sql).bind(from).fetch_all(&mut self.connection).await;
        let read = |row: &SqliteRow| {
            let figure = |name| row.try_get::<i64, _>(name).map(count);
            Ok(Moment { begin: figure("hour")? * HOUR.as_secs(), calls: figure("calls")?, errors: figure("errors")? })
        };
        let rows = rows.map_err(|error| self.wrong(&error))?;
        let moments: std::result::Result<Vec<Moment>, sqlx::Error> = rows.iter().map(read).collect();
        moments.map_err(|error| self.wrong(&error))
    }
}

/// The calls of a part of an hour.
fn moment(hour: i64, part: &[Sums]) -> Option<Moment> {
    let of_calls = || part.iter().filter(|sums| sums.calls > 0 && sums.error != MIRROR);
    let errors = of_calls().filter(|sums| !matches!(sums.error.as_str(), "" | "cancelled")).count() as u64;
    let calls = of_calls().count() as u64;
    (calls > 0).then(|| Moment { begin: count(hour) * HOUR.as_secs(), calls, errors })
}

fn read_sums(row: &SqliteRow) -> std::result::Result<Sums, sqlx::Error> {
    read(row, Sketch::read(row.try_get("times")?), false)
}

fn read_row(row: &SqliteRow) -> std::result::Result<Sums, sqlx::Error> {
    let elapsed = row.try_get("elapsed_us").map(count)?;
    let times = if elapsed > 0 { Sketch::of(elapsed) } else { Sketch::default() };
    read(row, times, true)
}

fn read(row: &SqliteRow, times: Sketch, is_row: bool) -> std::result::Result<Sums, sqlx::Error> {
    let figure = |name| row.try_get::<i64, _>(name).map(count);
    Ok(Sums {
        name: row.try_get("name")?,
        is_row,
        error: row.try_get("error")?,
        currency: row.try_get("currency")?,
        calls: figure("calls")?,
        input: figure("input")?,
        output: figure("output")?,
        cache_read: figure("cache_read")?,
        reasoning: figure("reasoning")?,
        estimated: figure("estimated")?,
        cost_micros: figure("cost_micros")?,
        timed: figure("timed")?,
        elapsed_us: figure("elapsed_us")?,
        times,
    })
}

/// The groups that sums belong to.
fn names(by: &By, sums: &Sums, whole: i64) -> Vec<String> {
    let stored = sums.name.as_str();
    // Rows of a part of an hour are of the one before the whole ones, and have no number.
    let hour = |stored: &str, each: i64| stored.parse().unwrap_or_else(|_| count((whole - 1) / each));
    vec![match by {
        By::Provider => stored.split('/').next().unwrap_or_default().to_owned(),
        By::Day => date(hour(stored, 24)),
        By::Hour => {
            let hour = hour(stored, 1);
            format!("{} {:02}:00", date(hour / 24), hour % 24)
        }
        By::User | By::Key if stored.is_empty() => return Vec::new(),
        By::Tag(name) if sums.is_row => {
            return tags(stored).take(TAGS_MOST).filter(|(of, _)| of == name).map(|(_, value)| value.to_owned()).collect();
        }
        _ => stored.to_owned(),
    }]
}

/// The date of a day that is counted from 1970, as ISO 8601 writes it.
pub fn date(day: u64) -> String {
    let day = int(day.min(1 << 40));
    // Years that begin in March have their leap day at the end; eras of 400 years are all alike.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_have_dates() {
        for (day, text) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (11_017, "2000-03-01"), (20_780, "2026-11-23")] {
            assert_eq!(date(day), text);
        }
    }
}
