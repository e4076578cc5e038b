//! Rows into the store: all of a batch, or none.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use trunkline_codec::Result;

use crate::kind::CallKind;
use crate::label::Labels;
use crate::row::{CallRow, ExchangeRow};
use crate::sketch::bucket;
use crate::store::Store;
use crate::texts;

/// Rows of one statement at most: what is told to the thread of the connection row by row costs more than the rows.
const MOST: usize = 64;

const CALL: &str = "INSERT INTO call_rows (id, kind, begun_us, user_id, tags, input, output, cache_read, cache_write, reasoning, \
    usage_estimated, cost_micros, first_us, elapsed_us, bytes_in, bytes_out, losses, failed, more) VALUES ";
const CALL_COLUMNS: usize = 19;

const EXCHANGE: &str = "INSERT INTO exchanges (call_id, number, target, dialect, started_us, elapsed_us, status, error, input, \
    output, usage_estimated, cost_micros, currency, kinds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const HOUR: &str = "INSERT INTO hour_rows (hour, kind, bucket, calls, input, output, cache_read, reasoning, estimated, \
    cost_micros, elapsed_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
    ON CONFLICT (hour, kind, bucket) DO UPDATE SET \
    calls = hour_rows.calls + excluded.calls, input = hour_rows.input + excluded.input, \
    output = hour_rows.output + excluded.output, cache_read = hour_rows.cache_read + excluded.cache_read, \
    reasoning = hour_rows.reasoning + excluded.reasoning, estimated = hour_rows.estimated + excluded.estimated, \
    cost_micros = hour_rows.cost_micros + excluded.cost_micros, elapsed_us = hour_rows.elapsed_us + excluded.elapsed_us";

/// Where a call is summed up: hour, kind, bucket.
type Place = (i64, i64, i64);

/// What is summed up: calls, input, output, cache_read, reasoning, estimated, cost_micros, elapsed_us.
pub(crate) type Sums = [u64; 8];

impl Store {
    /// Writes calls in one transaction; those that are there already stay as they are. How many were new.
    ///
    /// # Errors
    /// When the store cannot take them: then none is there.
    pub async fn add(&mut self, calls: &[CallRow]) -> Result<u64> {
        match add(&mut self.connection, calls).await {
            Ok(new) => Ok(new),
            Err(error) => Err(self.wrong(&error)),
        }
    }
}

async fn add(connection: &mut SqliteConnection, calls: &[CallRow]) -> Result<u64, sqlx::Error> {
    // A transaction that begins by reading cannot wait for its turn to write.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut kinds = Kinds::default();
    let mut numbered = Vec::with_capacity(calls.len());
    for call in calls {
        numbered.push((call, kinds.number(&mut transaction, CallKind::of(call)).await?));
    }
    let mut sums: HashMap<Place, Sums> = HashMap::new();
    let mut labels = Labels::default();
    let mut new = 0;
    let mut rest = numbered.as_slice();
    while !rest.is_empty() {
        let (some, others) = rest.split_at_checked(at_once(rest.len())).unwrap_or((rest, &[]));
        rest = others;
        for (call, kind) in add_new(&mut transaction, some).await? {
            new += 1;
            texts::add(&mut transaction, call).await?;
            let hour = call.id.hour();
            let error = if call.mirror_of.is_some() { MIRROR } else { call.error.as_deref().unwrap_or_default() };
            let bucket = if error.is_empty() { bucket(call.elapsed_us) } else { 0 };
            for (currency, sum) in summed(call) {
                labels.take(call, (hour, error, currency, bucket), sum);
                let kind = match currency == call.currency.as_deref().unwrap_or_default() {
                    true => kind,
                    false => kinds.number(&mut transaction, CallKind::of(call).charged_in(currency)).await?,
                };
                let sums = sums.entry((hour, kind, bucket)).or_default();
                sums.iter_mut().zip(sum).for_each(|(sum, more)| *sum = sum.saturating_add(more));
            }
        }
    }
    for ((hour, kind, bucket), sum) in sums {
        let query = sqlx::query::<Sqlite>(HOUR).bind(hour).bind(kind).bind(bucket);
        transaction.execute(sum.into_iter().fold(query, |query, sum| query.bind(int(sum)))).await?;
    }
    labels.write(&mut transaction).await?;
    transaction.commit().await?;
    Ok(new)
}

/// How many of so many rows are written by one statement: a power of two, so that there are few statements to prepare.
fn at_once(rows: usize) -> usize {
    rows.min(MOST).checked_ilog2().map_or(0, |log| 1 << log)
}

/// The numbers of the kinds of a batch.
#[derive(Default)]
struct Kinds<'r>(HashMap<CallKind<'r>, i64>);

impl<'r> Kinds<'r> {
    /// The number of a kind, which is given one if nobody has seen it before.
    async fn number(&mut self, connection: &mut SqliteConnection, kind: CallKind<'r>) -> Result<i64, sqlx::Error> {
        if let Some(number) = self.0.get(&kind) {
            return Ok(*number);
        }
        let found = connection.fetch_optional(kind.find()).await?;
        let number = match found {
            Some(row) => row.try_get(0)?,
            None => connection.execute(kind.add()).await?.last_insert_rowid(),
        };
        self.0.insert(kind, number);
        Ok(number)
    }
}

/// A call and the number of its kind.
type Numbered<'r> = (&'r CallRow, i64);

/// Writes calls with their exchanges. Those that were not there already.
async fn add_new<'r>(connection: &mut SqliteConnection, calls: &[Numbered<'r>]) -> Result<Vec<Numbered<'r>>, sqlx::Error> {
    let mut attempt = connection.begin().await?;
    if add_calls(&mut attempt, calls).await? == calls.len() as u64 {
        add_exchanges(&mut attempt, calls).await?;
        attempt.commit().await?;
        return Ok(calls.to_vec());
    }
    // Some are: one by one then, to know which.
    attempt.rollback().await?;
    let mut new = Vec::new();
    for call in calls {
        let one = std::slice::from_ref(call);
        if add_calls(connection, one).await? > 0 {
            add_exchanges(connection, one).await?;
            new.push(*call);
        }
    }
    Ok(new)
}

/// Writes calls that are not there already. How many.
async fn add_calls(connection: &mut SqliteConnection, calls: &[Numbered<'_>]) -> Result<u64, sqlx::Error> {
    let row = format!("({})", vec!["?"; CALL_COLUMNS].join(","));
    let sql = format!("{CALL}{} ON CONFLICT (id) DO NOTHING", vec![row.as_str(); calls.len()].join(","));
    let mut query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), SqliteArguments::default());
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
            model: call.target.is_none().then_some(call.model.as_str()).filter(|model| !model.is_empty()),
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

/// Writes the exchanges of calls that are new, where there is more to say of them than the calls say.
async fn add_exchanges(connection: &mut SqliteConnection, calls: &[Numbered<'_>]) -> Result<(), sqlx::Error> {
    for (call, _) in calls.iter().filter(|(call, _)| !call.tells_its_exchanges()) {
        for (number, exchange) in (1i64..).zip(&call.exchanges) {
            connection.execute(add_exchange(call, number, exchange)).await?;
        }
    }
    Ok(())
}

fn add_exchange<'q>(call: &CallRow, number: i64, exchange: &'q ExchangeRow) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
    sqlx::query::<Sqlite>(EXCHANGE)
        .bind(call.id.bytes().to_vec())
        .bind(number)
        .bind(exchange.target.as_str())
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
fn summed(call: &CallRow) -> Vec<(&str, Sums)> {
    // What a provider claims must not make sums run over.
    let told = |figure: Option<u64>| figure.unwrap_or(0).min(SUMMED_MOST);
    let (input, output, elapsed) = (told(call.input), told(call.output), told(Some(call.elapsed_us)));
    let rest = |cost| {
        let estimated = u64::from(call.usage_estimated);
        [1, input, output, told(call.cache_read), told(call.reasoning), estimated, told(cost), elapsed]
    };
    if let Some(currency) = call.currency.as_deref() {
        return vec![(currency, rest(call.cost_micros))];
    }
    // Tries in several currencies, or one without a price: what is known of each counts.
    let mut all = vec![("", rest(None))];
    let costs = call.exchanges.iter().filter_map(|exchange| Some((exchange.currency.as_deref()?, exchange.cost_micros)));
    all.extend(costs.map(|(currency, cost)| (currency, [0, 0, 0, 0, 0, 0, told(cost), 0])));
    all
}

/// Databases count with a sign.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
