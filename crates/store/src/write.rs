//! Rows into the store: all of a batch, or none.

use std::collections::HashMap;
use std::iter;

use serde::Serialize;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe, Connection, Executor, Row, Transaction};
use trunkline_codec::Result;

use crate::forget::Forgotten;
use crate::kind::CallKind;
use crate::label::Labels;
use crate::row::{CallRow, ExchangeRow};
use crate::store::Store;
use crate::sums::{Figures, Key, Sums, Table};
use crate::texts;

/// Rows of one statement at most: what is told to the thread of the connection row by row costs more than the rows.
const MOST: usize = 512;

const CALL: &str = "INSERT INTO call_rows (id, kind, begun_us, user_id, tags, input, output, cache_read, cache_write, reasoning, \
    usage_estimated, cost_micros, first_us, elapsed_us, bytes_in, bytes_out, losses, failed, more) VALUES ";
const CALL_COLUMNS: usize = 19;

const EXCHANGE: &str = "INSERT INTO exchanges (call_id, number, target, dialect, started_us, elapsed_us, status, error, input, \
    output, usage_estimated, cost_micros, currency, kinds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const HOURS: Table = Table { name: "hour_sums", key: &["hour", "kind"] };

impl Store {
    /// Writes calls in one transaction; those that are there already stay as they are, and those of a user who was forgotten
    /// since are left out. How many were new.
    ///
    /// # Errors
    /// When the store cannot take them: then none is there.
    pub async fn add(&mut self, calls: &[CallRow]) -> Result<u64> {
        let added = match add_all(&mut self.connection, calls).await {
            Ok(true) => Ok(calls.len() as u64),
            // Some are there, or not to be: one by one then, to know which.
            Ok(false) => add_missing(&mut self.connection, calls).await,
            Err(error) => Err(error),
        };
        added.map_err(|error| self.wrong(&error))
    }
}

/// Writes calls in one transaction, or none if one of them is there already, or not to be.
async fn add_all(connection: &mut SqliteConnection, calls: &[CallRow]) -> Result<bool, sqlx::Error> {
    // A transaction that begins by reading cannot wait for its turn to write.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if Forgotten::among(&mut transaction, calls).await?.have_any(calls) {
        transaction.rollback().await?;
        return Ok(false);
    }
    let mut batch = Batch::default();
    let mut rest = calls;
    // All that is to be done with some before the next: then they are still at hand.
    while !rest.is_empty() {
        let (some, others) = rest.split_at_checked(at_once(rest.len())).unwrap_or((rest, &[]));
        let numbered = batch.number(&mut transaction, some).await?;
        if add_calls(&mut transaction, &numbered).await? < some.len() as u64 {
            transaction.rollback().await?;
            return Ok(false);
        }
        for call in &numbered {
            batch.take(&mut transaction, call).await?;
        }
        rest = others;
    }
    batch.end(transaction).await?;
    Ok(true)
}

/// Writes those calls that are not there yet, and are to be, in one transaction. How many.
async fn add_missing(connection: &mut SqliteConnection, calls: &[CallRow]) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let forgotten = Forgotten::among(&mut transaction, calls).await?;
    let (mut batch, mut new) = (Batch::default(), 0);
    for call in &batch.number(&mut transaction, calls).await? {
        if forgotten.have(call.0) {
            continue;
        }
        if add_calls(&mut transaction, std::slice::from_ref(call)).await? > 0 {
            batch.take(&mut transaction, call).await?;
            new += 1;
        }
    }
    batch.end(transaction).await?;
    Ok(new)
}

/// What is written beside the rows of a batch.
#[derive(Default)]
struct Batch<'r> {
    kinds: HashMap<CallKind<'r>, i64>,
    /// The last one that was asked for: most calls are like the one before.
    last: Option<(CallKind<'r>, i64)>,
    /// By hour and kind.
    sums: HashMap<(i64, i64), Sums>,
    labels: Labels<'r>,
}

impl<'r> Batch<'r> {
    /// Calls with the numbers of their kinds.
    async fn number(
        &mut self,
        connection: &mut SqliteConnection,
        calls: &'r [CallRow],
    ) -> Result<Vec<Numbered<'r>>, sqlx::Error> {
        let mut numbered = Vec::with_capacity(calls.len());
        for call in calls {
            numbered.push((call, self.kind(connection, CallKind::of(call)).await?));
        }
        Ok(numbered)
    }

    /// The number of a kind, which is given one if nobody has seen it before.
    async fn kind(&mut self, connection: &mut SqliteConnection, kind: CallKind<'r>) -> Result<i64, sqlx::Error> {
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == kind) {
            return Ok(number);
        }
        if let Some(number) = self.kinds.get(&kind) {
            self.last = Some((kind, *number));
            return Ok(*number);
        }
        let number = match connection.fetch_optional(kind.find()).await? {
            Some(row) => row.try_get(0)?,
            None => connection.execute(kind.add()).await?.last_insert_rowid(),
        };
        self.kinds.insert(kind, number);
        self.last = Some((kind, number));
        Ok(number)
    }

    /// Writes what belongs to a call that is new, and sums it up.
    async fn take(&mut self, connection: &mut SqliteConnection, (call, kind): &Numbered<'r>) -> Result<(), sqlx::Error> {
        if !call.tells_its_exchanges() {
            for (number, exchange) in (1i64..).zip(&call.exchanges) {
                connection.execute(add_exchange(call, number, exchange)).await?;
            }
        }
        texts::add(connection, call).await?;
        let error = if call.mirror_of.is_some() { MIRROR } else { call.error.as_deref().unwrap_or_default() };
        for (currency, figures) in summed(call) {
            self.labels.take(call, (error, currency), figures);
            let kind = match currency == call.currency.as_deref().unwrap_or_default() {
                true => *kind,
                false => self.kind(connection, CallKind::of(call).charged_in(currency)).await?,
            };
            self.sums.entry((call.id.hour(), kind)).or_default().add(call, figures);
        }
        Ok(())
    }

    /// Writes the sums, and with them all of the batch is there.
    async fn end(self, mut transaction: Transaction<'_, Sqlite>) -> Result<(), sqlx::Error> {
        let sums = self.sums.into_iter().map(|((hour, kind), sums)| (vec![Key::Int(hour), Key::Int(kind)], sums));
        HOURS.add(&mut transaction, sums.collect()).await?;
        self.labels.write(&mut transaction).await?;
        transaction.commit().await
    }
}

/// How many of so many rows are written by one statement: a power of two, so that there are few statements to prepare.
pub(crate) fn at_once(rows: usize) -> usize {
    rows.min(MOST).checked_ilog2().map_or(0, |log| 1 << log)
}

/// Places for so many rows: `(?,?),(?,?)`.
pub(crate) fn places(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    vec![row.as_str(); rows].join(",")
}

/// A call and the number of its kind.
type Numbered<'r> = (&'r CallRow, i64);

/// Writes calls that are not there already. How many.
async fn add_calls(connection: &mut SqliteConnection, calls: &[Numbered<'_>]) -> Result<u64, sqlx::Error> {
    let sql = format!("{CALL}{} ON CONFLICT (id) DO NOTHING", places(calls.len(), CALL_COLUMNS));
    let mut arguments = SqliteArguments::default();
    arguments.reserve(calls.len() * CALL_COLUMNS, 0);
    let mut query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), arguments);
    for (call, kind) in calls {
        query = query
            .bind(call.id.bytes().to_vec())
            .bind(kind)
            .bind(int(call.begun_us))
            .bind(call.user_id.as_deref())
            .bind(call.tags.as_deref())
            .bind(call.input.map(int))
            .bind(call.output.map(int))
            .bind(call.cache_read.map(int))
            .bind(call.cache_write.map(int))
            .bind(call.reasoning.map(int))
            .bind(call.usage_estimated)
            .bind(call.cost_micros.map(int))
            .bind(call.first_us.map(int))
            .bind(int(call.elapsed_us))
            .bind(call.bytes_in.map(int))
            .bind(call.bytes_out.map(int))
            .bind(int(call.losses))
            .bind(call.error.is_some())
            .bind(More::of(call).write());
    }
    Ok(connection.execute(query).await?.rows_affected())
}

/// What few calls have.
#[derive(Default, PartialEq, Serialize)]
struct More<'r> {
    /// A name that led nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'r str>,
    /// Who was asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_5m: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_1h: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_input: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_output: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    characters: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror_of: Option<&'r str>,
    /// 0: nobody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    exchanges: Option<u64>,
}

impl<'r> More<'r> {
    fn of(call: &'r CallRow) -> Self {
        // Databases count with a sign.
        let figure = |figure: Option<u64>| figure.map(|figure| figure.min(i64::MAX as u64));
        More {
            model: call.led_nowhere().then_some(call.model.as_str()).filter(|model| !model.is_empty()),
            target: call.target.as_deref().filter(|_| call.led_nowhere()),
            cache_write_5m: figure(call.cache_write_5m),
            cache_write_1h: figure(call.cache_write_1h),
            audio_input: figure(call.audio_input),
            audio_output: figure(call.audio_output),
            images: figure(call.images),
            audio_ms: figure(call.audio_ms),
            characters: figure(call.characters),
            requests: figure(call.requests),
            mirror_of: call.mirror_of.as_deref(),
            exchanges: (call.exchanges.is_empty() && call.target.is_some() && call.error.is_none()).then_some(0),
        }
    }

    /// As JSON, if there is anything.
    fn write(&self) -> Option<String> {
        (*self != More::default()).then(|| serde_json::to_string(self).unwrap_or_default())
    }
}

fn add_exchange<'q>(call: &CallRow, number: i64, exchange: &'q ExchangeRow) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
    sqlx::query::<Sqlite>(EXCHANGE)
        .bind(call.id.bytes().to_vec())
        .bind(number)
        .bind(exchange.target.as_ref())
        .bind(exchange.dialect.as_deref())
        .bind(int(exchange.started_us))
        .bind(int(exchange.elapsed_us))
        .bind(exchange.status.map(i64::from))
        .bind(exchange.error.as_deref())
        .bind(exchange.input.map(int))
        .bind(exchange.output.map(int))
        .bind(exchange.usage_estimated)
        .bind(exchange.cost_micros.map(int))
        .bind(exchange.currency.as_deref())
        .bind(exchange.kinds.as_ref().and_then(|kinds| serde_json::to_string(kinds).ok()))
}

/// The word for what is not a call that anybody made.
pub(crate) const MIRROR: &str = "mirror";

/// Most that one call adds to a sum.
const SUMMED_MOST: u64 = 1 << 42;

/// What a call adds to the sums, by currency.
fn summed(call: &CallRow) -> impl Iterator<Item = (&str, Figures)> {
    // What a provider claims must not make sums run over.
    let told = |figure: Option<u64>| figure.unwrap_or(0).min(SUMMED_MOST);
    let (input, output, elapsed) = (told(call.input), told(call.output), told(Some(call.elapsed_us)));
    let rest = |cost| {
        let estimated = u64::from(call.usage_estimated);
        let timed = if elapsed > 0 { output } else { 0 };
        [1, input, output, told(call.cache_read), told(call.reasoning), estimated, told(cost), timed, elapsed]
    };
    let (first, tries) = match call.currency.as_deref() {
        Some(currency) => ((currency, rest(call.cost_micros)), &[][..]),
        // Tries in several currencies, or one without a price: what is known of each counts.
        None => (("", rest(None)), call.exchanges.as_slice()),
    };
    let costs = tries.iter().filter_map(|exchange| Some((exchange.currency.as_deref()?, exchange.cost_micros)));
    iter::once(first).chain(costs.map(move |(currency, cost)| (currency, [0, 0, 0, 0, 0, 0, told(cost), 0, 0])))
}

/// Databases count with a sign.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
