//! Rows into the store: all of a batch, or none.

use std::collections::HashMap;

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, Executor};
use trunkline_codec::Result;

use crate::row::{CallRow, ExchangeRow};
use crate::sketch::bucket;
use crate::store::Store;

const CALL: &str = "INSERT INTO calls (id, begun_us, request_id, key_id, user_id, tags, operation, dialect, model, task, target, \
    streamed, status, error, blame, input, output, cache_read, cache_write, cache_write_5m, cache_write_1h, reasoning, \
    audio_input, audio_output, usage_estimated, images, audio_ms, characters, requests, cost_micros, currency, price_date, \
    first_us, elapsed_us, bytes_in, bytes_out, losses, mirror_of) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, \
    $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38) ON CONFLICT (id) DO NOTHING";

const EXCHANGE: &str = "INSERT INTO exchanges (call_id, number, target, dialect, started_us, elapsed_us, status, error, input, \
    output, usage_estimated, cost_micros, currency) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

const HOUR: &str = "INSERT INTO hours (hour, model, target, task, error, currency, bucket, calls, input, output, cache_read, \
    reasoning, estimated, cost_micros, elapsed_us) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
    ON CONFLICT (hour, model, target, task, error, currency, bucket) DO UPDATE SET \
    calls = hours.calls + excluded.calls, input = hours.input + excluded.input, output = hours.output + excluded.output, \
    cache_read = hours.cache_read + excluded.cache_read, reasoning = hours.reasoning + excluded.reasoning, \
    estimated = hours.estimated + excluded.estimated, cost_micros = hours.cost_micros + excluded.cost_micros, \
    elapsed_us = hours.elapsed_us + excluded.elapsed_us";

/// Where a call is summed up: hour, model, target, task, error, currency, bucket.
type Place<'r> = (i64, &'r str, &'r str, &'r str, &'r str, &'r str, i64);

/// What is summed up: calls, input, output, cache_read, reasoning, estimated, cost_micros, elapsed_us.
type Sums = [u64; 8];

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
    let mut new = 0;
    for call in calls {
        if add_call(&mut transaction, call).await? == 0 {
            continue;
        }
        new += 1;
        for (number, exchange) in (1..).zip(&call.exchanges) {
            add_exchange(&mut transaction, call, number, exchange).await?;
        }
        for (place, sum) in summed(call) {
            let sums = sums.entry(place).or_default();
            sums.iter_mut().zip(sum).for_each(|(sum, more)| *sum = sum.saturating_add(more));
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
    transaction.commit().await?;
    Ok(new)
}

async fn add_call(connection: &mut SqliteConnection, call: &CallRow) -> Result<u64, sqlx::Error> {
    let id = call.id.bytes();
    let query = sqlx::query(CALL)
        .bind(id.as_slice())
        .bind(int(call.begun_us))
        .bind(&call.request_id)
        .bind(&call.key_id)
        .bind(&call.user_id)
        .bind(&call.tags)
        .bind(call.operation.as_ref())
        .bind(call.dialect.as_deref())
        .bind(&call.model)
        .bind(&call.task)
        .bind(&call.target)
        .bind(call.streamed)
        .bind(i64::from(call.status))
        .bind(call.error.as_deref())
        .bind(call.blame.as_deref())
        .bind(call.input.map(int))
        .bind(call.output.map(int))
        .bind(call.cache_read.map(int))
        .bind(call.cache_write.map(int))
        .bind(call.cache_write_5m.map(int))
        .bind(call.cache_write_1h.map(int))
        .bind(call.reasoning.map(int))
        .bind(call.audio_input.map(int))
        .bind(call.audio_output.map(int))
        .bind(call.usage_estimated)
        .bind(call.images.map(int))
        .bind(call.audio_ms.map(int))
        .bind(call.characters.map(int))
        .bind(call.requests.map(int))
        .bind(call.cost_micros.map(int))
        .bind(call.currency.as_deref())
        .bind(&call.price_date)
        .bind(call.first_us.map(int))
        .bind(int(call.elapsed_us))
        .bind(call.bytes_in.map(int))
        .bind(call.bytes_out.map(int))
        .bind(int(call.losses))
        .bind(&call.mirror_of);
    Ok(connection.execute(query).await?.rows_affected())
}

async fn add_exchange(
    connection: &mut SqliteConnection,
    call: &CallRow,
    number: i64,
    exchange: &ExchangeRow,
) -> Result<(), sqlx::Error> {
    let id = call.id.bytes();
    let query = sqlx::query(EXCHANGE)
        .bind(id.as_slice())
        .bind(number)
        .bind(&exchange.target)
        .bind(exchange.dialect.as_deref())
        .bind(int(exchange.started_us))
        .bind(int(exchange.elapsed_us))
        .bind(exchange.status.map(i64::from))
        .bind(exchange.error.as_deref())
        .bind(exchange.input.map(int))
        .bind(exchange.output.map(int))
        .bind(exchange.usage_estimated)
        .bind(exchange.cost_micros.map(int))
        .bind(exchange.currency.as_deref());
    connection.execute(query).await.map(drop)
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
