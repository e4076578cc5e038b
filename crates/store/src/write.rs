//! Rows into the store: all of a batch, or none.

use std::collections::HashMap;

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, Executor, QueryBuilder};
use trunkline_codec::Result;

use crate::label::Labels;
use crate::row::CallRow;
use crate::sketch::bucket;
use crate::store::Store;
use crate::texts;

/// Rows of one statement at most: what is told to the thread of the connection row by row costs more than the rows.
const MOST: usize = 64;

const CALL: &str = "INSERT INTO calls (id, begun_us, request_id, key_id, user_id, tags, operation, dialect, model, task, target, \
    streamed, status, error, blame, input, output, cache_read, cache_write, cache_write_5m, cache_write_1h, reasoning, \
    audio_input, audio_output, usage_estimated, images, audio_ms, characters, requests, cost_micros, currency, price_date, \
    first_us, elapsed_us, bytes_in, bytes_out, losses, mirror_of) ";

const EXCHANGE: &str = "INSERT INTO exchanges (call_id, number, target, dialect, started_us, elapsed_us, status, error, input, \
    output, usage_estimated, cost_micros, currency, kinds) ";

const HOUR: &str = "INSERT INTO hours (hour, model, target, task, error, currency, bucket, calls, input, output, cache_read, \
    reasoning, estimated, cost_micros, elapsed_us) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
    ON CONFLICT (hour, model, target, task, error, currency, bucket) DO UPDATE SET \
    calls = hours.calls + excluded.calls, input = hours.input + excluded.input, output = hours.output + excluded.output, \
    cache_read = hours.cache_read + excluded.cache_read, reasoning = hours.reasoning + excluded.reasoning, \
    estimated = hours.estimated + excluded.estimated, cost_micros = hours.cost_micros + excluded.cost_micros, \
    elapsed_us = hours.elapsed_us + excluded.elapsed_us";

/// Where a call is summed up: hour, model, target, task, error, currency, bucket.
pub(crate) type Place<'r> = (i64, &'r str, &'r str, &'r str, &'r str, &'r str, i64);

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
    let mut sums: HashMap<Place<'_>, Sums> = HashMap::new();
    let mut labels = Labels::default();
    let mut new = 0;
    let mut rest = calls;
    while !rest.is_empty() {
        let (some, others) = rest.split_at_checked(at_once(rest.len())).unwrap_or((rest, &[]));
        rest = others;
        for call in add_new(&mut transaction, some).await? {
            new += 1;
            let summed = summed(call);
            labels.take(call, &summed);
            texts::add(&mut transaction, call).await?;
            for (place, sum) in summed {
                let sums = sums.entry(place).or_default();
                sums.iter_mut().zip(sum).for_each(|(sum, more)| *sum = sum.saturating_add(more));
            }
        }
    }
    for ((hour, model, target, task, error, currency, bucket), sum) in sums {
        let mut query = sqlx::query::<Sqlite>(HOUR);
        query = query.bind(hour).bind(model).bind(target).bind(task).bind(error).bind(currency).bind(bucket);
        for sum in sum {
            query = query.bind(int(sum));
        }
        transaction.execute(query).await?;
    }
    labels.write(&mut transaction).await?;
    transaction.commit().await?;
    Ok(new)
}

/// How many of so many rows are written by one statement: a power of two, so that there are few statements to prepare.
fn at_once(rows: usize) -> usize {
    rows.min(MOST).checked_ilog2().map_or(0, |log| 1 << log)
}

/// Writes calls with their exchanges. Those that were not there already.
async fn add_new<'r>(connection: &mut SqliteConnection, calls: &'r [CallRow]) -> Result<Vec<&'r CallRow>, sqlx::Error> {
    let mut attempt = connection.begin().await?;
    if add_calls(&mut attempt, calls).await? == calls.len() as u64 {
        add_exchanges(&mut attempt, calls).await?;
        attempt.commit().await?;
        return Ok(calls.iter().collect());
    }
    // Some are: one by one then, to know which.
    attempt.rollback().await?;
    let mut new = Vec::new();
    for call in calls {
        let one = std::slice::from_ref(call);
        if add_calls(connection, one).await? > 0 {
            add_exchanges(connection, one).await?;
            new.push(call);
        }
    }
    Ok(new)
}

/// Writes calls that are not there already. How many.
async fn add_calls(connection: &mut SqliteConnection, calls: &[CallRow]) -> Result<u64, sqlx::Error> {
    let ids: Vec<_> = calls.iter().map(|call| call.id.bytes()).collect();
    let mut query = QueryBuilder::<Sqlite>::new(CALL);
    query.push_values(calls.iter().zip(&ids), |mut row, (call, id)| {
        row.push_bind(id.as_slice())
            .push_bind(int(call.begun_us))
            .push_bind(&call.request_id)
            .push_bind(&call.key_id)
            .push_bind(&call.user_id)
            .push_bind(&call.tags)
            .push_bind(call.operation.as_ref())
            .push_bind(call.dialect.as_deref())
            .push_bind(&call.model)
            .push_bind(&call.task)
            .push_bind(&call.target)
            .push_bind(call.streamed)
            .push_bind(i64::from(call.status))
            .push_bind(call.error.as_deref())
            .push_bind(call.blame.as_deref())
            .push_bind(call.input.map(int))
            .push_bind(call.output.map(int))
            .push_bind(call.cache_read.map(int))
            .push_bind(call.cache_write.map(int))
            .push_bind(call.cache_write_5m.map(int))
            .push_bind(call.cache_write_1h.map(int))
            .push_bind(call.reasoning.map(int))
            .push_bind(call.audio_input.map(int))
            .push_bind(call.audio_output.map(int))
            .push_bind(call.usage_estimated)
            .push_bind(call.images.map(int))
            .push_bind(call.audio_ms.map(int))
            .push_bind(call.characters.map(int))
            .push_bind(call.requests.map(int))
            .push_bind(call.cost_micros.map(int))
            .push_bind(call.currency.as_deref())
            .push_bind(&call.price_date)
            .push_bind(call.first_us.map(int))
            .push_bind(int(call.elapsed_us))
            .push_bind(call.bytes_in.map(int))
            .push_bind(call.bytes_out.map(int))
            .push_bind(int(call.losses))
            .push_bind(&call.mirror_of);
    });
    query.push(" ON CONFLICT (id) DO NOTHING");
    Ok(connection.execute(query.build()).await?.rows_affected())
}

/// Writes the exchanges of calls that are new.
async fn add_exchanges(connection: &mut SqliteConnection, calls: &[CallRow]) -> Result<(), sqlx::Error> {
    let ids: Vec<_> = calls.iter().map(|call| call.id.bytes()).collect();
    let each = calls.iter().zip(&ids).flat_map(|(call, id)| (1i64..).zip(&call.exchanges).map(move |(at, it)| (id, at, it)));
    let all: Vec<_> = each.collect();
    let mut rest = all.as_slice();
    while !rest.is_empty() {
        let (some, others) = rest.split_at_checked(at_once(rest.len())).unwrap_or((rest, &[]));
        rest = others;
        let mut query = QueryBuilder::<Sqlite>::new(EXCHANGE);
        query.push_values(some, |mut row, (id, number, exchange)| {
            row.push_bind(id.as_slice())
                .push_bind(*number)
                .push_bind(&exchange.target)
                .push_bind(exchange.dialect.as_deref())
                .push_bind(int(exchange.started_us))
                .push_bind(int(exchange.elapsed_us))
                .push_bind(exchange.status.map(i64::from))
                .push_bind(exchange.error.as_deref())
                .push_bind(exchange.input.map(int))
                .push_bind(exchange.output.map(int))
                .push_bind(exchange.usage_estimated)
                .push_bind(exchange.cost_micros.map(int))
                .push_bind(exchange.currency.as_deref())
                .push_bind(exchange.kinds.as_ref().and_then(|kinds| serde_json::to_string(kinds).ok()));
        });
        connection.execute(query.build()).await?;
    }
    Ok(())
}

/// The word for what is not a call that anybody made.
pub(crate) const MIRROR: &str = "mirror";

/// Most that one call adds to a sum.
const SUMMED_MOST: u64 = 1 << 42;

/// Where a call is summed up, and what it adds there. Names that led nowhere are the caller's own, and without end: they
/// count as one.
fn summed(call: &CallRow) -> Vec<(Place<'_>, Sums)> {
    let target = call.target.as_deref().unwrap_or_default();
    let model = if target.is_empty() { "" } else { call.model.as_str() };
    let error = if call.mirror_of.is_some() { MIRROR } else { call.error.as_deref().unwrap_or_default() };
    let bucket = if error.is_empty() { bucket(call.elapsed_us) } else { 0 };
    let at = |currency| (call.id.hour(), model, target, call.task.as_deref().unwrap_or_default(), error, currency, bucket);
    // What a provider claims must not make sums run over.
    let told = |figure: Option<u64>| figure.unwrap_or(0).min(SUMMED_MOST);
    let (input, output, elapsed) = (told(call.input), told(call.output), told(Some(call.elapsed_us)));
    let rest = |cost| {
        let estimated = u64::from(call.usage_estimated);
        [1, input, output, told(call.cache_read), told(call.reasoning), estimated, told(cost), elapsed]
    };
    if let Some(currency) = call.currency.as_deref() {
        return vec![(at(currency), rest(call.cost_micros))];
    }
    // Tries in several currencies, or one without a price: what is known of each counts.
    let mut all = vec![(at(""), rest(None))];
    let costs = call.exchanges.iter().filter_map(|exchange| Some((exchange.currency.as_deref()?, exchange.cost_micros)));
    all.extend(costs.map(|(currency, cost)| (at(currency), [0, 0, 0, 0, 0, 0, told(cost), 0])));
    all
}

/// Databases count with a sign.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
