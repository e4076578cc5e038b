//! Calls read back: the newest, those that failed, one by its id.

use std::sync::Arc;
use std::time::SystemTime;

use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Executor, Row};
use trunkline_codec::Result;

use crate::find::Needle;
use crate::id::Id;
use crate::row::{CallRow, ExchangeRow, Word};
use crate::store::Store;
use crate::write::int;

/// Which calls are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// At most so many: the newest of them, or with `after` the oldest.
    pub limit: u32,
    /// Only those that failed. Whose caller left counts.
    pub failed: bool,
    /// Only those that have this text in an id, a name, a tag or a word of the error, or in what was said, where that is kept.
    pub grep: Option<String>,
    /// Only the one of this id: the request's, or the row's own.
    pub id: Option<String>,
    /// Only those that began at this time or later.
    pub since: Option<SystemTime>,
    /// Only those of this user.
    pub user: Option<String>,
    /// Only those that have each of these tags, as `name=value`, or with this name alone.
    pub tags: Vec<String>,
    /// Only those that come after this one.
    pub after: Option<Id>,
    /// Only those that were written after the first of these numbers, up to the second: see [`Store::newest`].
    pub written: Option<(u64, u64)>,
}

/// Where [`Wanted::grep`] looks.
const SEARCHED: &str = "(model || ' ' || COALESCE(target, '') || ' ' || COALESCE(task, '') || ' ' || \
    COALESCE(error, '') || ' ' || COALESCE(user_id, '') || ' ' || COALESCE(key_id, '') || ' ' || COALESCE(tags, '') || ' ' || \
    operation || ' ' || status)";

impl Store {
    /// The wanted calls in the order of time, with their exchanges.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn calls(&mut self, wanted: &Wanted) -> Result<Vec<CallRow>> {
        let (clauses, arguments) = conditions(wanted);
        let order = if wanted.after.is_some() { "ASC" } else { "DESC" };
        let sql = format!("SELECT * FROM calls {clauses} ORDER BY id {order} LIMIT {}", wanted.limit);
        let query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), arguments);
        let rows = query.fetch_all(&mut self.connection).await.map_err(|error| self.wrong(&error))?;
        let calls: std::result::Result<Vec<_>, sqlx::Error> = rows.iter().map(read_call).collect();
        let mut calls = calls.map_err(|error| self.wrong(&error))?;
        if wanted.after.is_none() {
            calls.reverse();
        }
        for (call, only) in &mut calls {
            call.exchanges = self.exchanges(call.id).await?;
            if call.exchanges.is_empty() {
                call.exchanges.extend(only.take());
            }
        }
        Ok(calls.into_iter().map(|(call, _)| call).collect())
    }

    async fn exchanges(&mut self, id: Id) -> Result<Vec<ExchangeRow>> {
        let bytes = id.bytes();
        let query = sqlx::query::<Sqlite>("SELECT * FROM exchanges WHERE call_id = $1 ORDER BY number").bind(bytes.as_slice());
        let rows = query.fetch_all(&mut self.connection).await.map_err(|error| self.wrong(&error))?;
        let read: std::result::Result<Vec<ExchangeRow>, sqlx::Error> = rows.iter().map(read_exchange).collect();
        read.map_err(|error| self.wrong(&error))
    }
}

/// `WHERE …` and what stands for its numbers. No value is ever part of the text.
fn conditions(wanted: &Wanted) -> (String, SqliteArguments) {
    use sqlx::Arguments;
    let mut clauses: Vec<String> = Vec::new();
    let mut arguments = SqliteArguments::default();
    let since = wanted.since.map(Id::first_at);
    for (bound, sign) in [(wanted.after, '>'), (since, '>')] {
        if let Some(id) = bound {
            // These types can always be encoded.
            let _ = arguments.add(id.bytes().to_vec());
            clauses.push(format!("id {sign} ${}", arguments.len()));
        }
    }
    if let Some((behind, last)) = wanted.written {
        let _ = arguments.add(int(behind));
        let _ = arguments.add(int(last));
        clauses.push(format!("number > ${} AND number <= ${}", arguments.len() - 1, arguments.len()));
    }
    if wanted.failed {
        clauses.push("failed = 1".to_owned());
    }
    if let Some(id) = &wanted.id {
        // What is no id is nobody's.
        let id = id.parse::<Id>().map_or_else(|_| Vec::new(), |id| id.bytes().to_vec());
        let _ = arguments.add(id);
        clauses.push(format!("id = ${}", arguments.len()));
    }
    if let Some(text) = &wanted.grep {
        let _ = arguments.add(Needle::new(text).pattern());
        let like = format!("GLOB ${}", arguments.len());
        let said = format!("SELECT call_id FROM texts WHERE request {like} OR answer {like}");
        let id = text.parse::<Id>().map_or_else(|_| Vec::new(), |id| id.bytes().to_vec());
        let _ = arguments.add(id);
        clauses.push(format!("({SEARCHED} {like} OR id IN ({said}) OR id = ${})", arguments.len()));
    }
    if let Some(user) = &wanted.user {
        let _ = arguments.add(user.clone());
        clauses.push(format!("user_id = ${}", arguments.len()));
    }
    for tag in &wanted.tags {
        // A tag stands between commas; a name alone goes up to its value, if it has one.
        let ends: &[&str] = if tag.contains('=') { &[","] } else { &[",", "="] };
        let found = ends.iter().map(|end| {
            let _ = arguments.add(format!(",{tag}{end}"));
            format!("INSTR(',' || tags || ',', ${}) > 0", arguments.len())
        });
        clauses.push(format!("({})", found.collect::<Vec<_>>().join(" OR ")));
    }
    let text = if clauses.is_empty() { String::new() } else { format!("WHERE {}", clauses.join(" AND ")) };
    (text, arguments)
}

/// A number that is not less than 0.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A call, and its exchange where it had only one of which there is nothing more to say.
fn read_call(row: &SqliteRow) -> std::result::Result<(CallRow, Option<ExchangeRow>), sqlx::Error> {
    let number = |name| row.try_get::<i64, _>(name).map(count);
    let figure = |name| row.try_get::<Option<i64>, _>(name).map(|number| number.map(count));
    let text = |name| row.try_get::<Option<String>, _>(name);
    let word = |name| row.try_get::<Option<String>, _>(name).map(|text| text.map(Word::Owned));
    let name = |name| row.try_get::<Option<Arc<str>>, _>(name);
    let id = row.try_get::<Vec<u8>, _>("id")?;
    let id = Id::from_bytes(&id).ok_or_else(|| sqlx::Error::Decode("an id that is none".into()))?;
    let dialect = word("dialect")?;
    let call = CallRow {
        id,
        begun_us: number("begun_us")?,
        request_id: if dialect.is_some() { id.digits() } else { String::new() },
        key_id: name("key_id")?,
        user_id: text("user_id")?,
        tags: text("tags")?,
        operation: Word::Owned(row.try_get("operation")?),
        dialect,
        model: row.try_get("model")?,
        task: text("task")?,
        target: name("target")?,
        streamed: row.try_get("streamed")?,
        status: u16::try_from(row.try_get::<i64, _>("status")?).unwrap_or(0),
        error: word("error")?,
        blame: word("blame")?,
        input: figure("input")?,
        output: figure("output")?,
        cache_read: figure("cache_read")?,
        cache_write: figure("cache_write")?,
        cache_write_5m: figure("cache_write_5m")?,
        cache_write_1h: figure("cache_write_1h")?,
        reasoning: figure("reasoning")?,
        audio_input: figure("audio_input")?,
        audio_output: figure("audio_output")?,
        usage_estimated: row.try_get("usage_estimated")?,
        images: figure("images")?,
        audio_ms: figure("audio_ms")?,
        characters: figure("characters")?,
        requests: figure("requests")?,
        cost_micros: figure("cost_micros")?,
        currency: word("currency")?,
        price_date: text("price_date")?,
        first_us: figure("first_us")?,
        elapsed_us: number("elapsed_us")?,
        bytes_in: figure("bytes_in")?,
        bytes_out: figure("bytes_out")?,
        losses: number("losses")?,
        mirror_of: text("mirror_of")?,
        exchanges: Vec::new(),
        texts: None,
    };
    let only = if figure("asked")?.is_none() { call.only_exchange(word("spoken")?) } else { None };
    Ok((call, only))
}

fn read_exchange(row: &SqliteRow) -> std::result::Result<ExchangeRow, sqlx::Error> {
    let figure = |name| row.try_get::<Option<i64>, _>(name).map(|number| number.map(count));
    let word = |name| row.try_get::<Option<String>, _>(name).map(|text| text.map(Word::Owned));
    Ok(ExchangeRow {
        target: row.try_get("target")?,
        dialect: word("dialect")?,
        started_us: count(row.try_get("started_us")?),
        elapsed_us: count(row.try_get("elapsed_us")?),
        status: row.try_get::<Option<i64>, _>("status")?.and_then(|status| u16::try_from(status).ok()),
        error: word("error")?,
        input: figure("input")?,
        output: figure("output")?,
        usage_estimated: row.try_get("usage_estimated")?,
        cost_micros: figure("cost_micros")?,
        currency: word("currency")?,
        kinds: row.try_get::<Option<String>, _>("kinds")?.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

impl Store {
    /// The number of the call that was written last, for [`Wanted::written`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn newest(&mut self) -> Result<u64> {
        self.number("SELECT COALESCE(MAX(number), 0) FROM call_rows").await
    }

    /// How many calls there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn count(&mut self) -> Result<u64> {
        self.number("SELECT COUNT(*) FROM call_rows").await
    }

    /// The number that a statement or pragma gives.
    pub(crate) async fn number(&mut self, statement: &'static str) -> Result<u64> {
        let row = self.connection.fetch_one(statement).await.map_err(|error| self.wrong(&error))?;
        row.try_get::<i64, _>(0).map(count).map_err(|error| self.wrong(&error))
    }
}
