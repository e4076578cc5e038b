//! Old rows are deleted: by age, and by how large the file is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, Executor, Row};
use trunkline_codec::Result;

use crate::id::Id;
use crate::session::{delete_leaves, delete_sessions, oldest_leaf, oldest_session};
use crate::store::Store;

/// How long calls and conversations are kept. The sums of whole hours stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days; `None` is for ever.
    pub days: Option<u64>,
    /// The most that the file may have, in bytes; the oldest go first.
    pub bytes: Option<u64>,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Rows that went.
    pub rows: u64,
    /// Bytes that the file has, where that is still too much and all that may go has gone.
    pub over: Option<u64>,
}

/// What is younger than this is not deleted because of its size.
const YOUNG: Duration = Duration::from_secs(3600);
/// Rows and sessions that one transaction deletes: others wait for it.
const CALLS: i64 = 2000;
const SESSIONS: i64 = 200;
/// The same where it is looked at after each whether that is enough.
const FEW_CALLS: i64 = 500;
const FEW_SESSIONS: i64 = 10;
/// What is kept of different kinds and of one time goes together.
const MOMENT: Duration = Duration::from_millis(1);

type Done<T> = std::result::Result<T, sqlx::Error>;

/// What there is to delete.
#[derive(Clone, Copy)]
enum What {
    Calls,
    Sessions,
    Answers,
}

impl Store {
    /// Deletes what is kept no longer, the oldest first, and stops after about `most` rows. Sessions count by when they were
    /// changed last, answers that nothing but an id names by when they were kept. By size nothing goes that is less than an hour
    /// old.
    ///
    /// # Errors
    /// When the store cannot be written; what was deleted before stays deleted.
    pub async fn trim(&mut self, keep: Retention, now: SystemTime, most: u64) -> Result<Trimmed> {
        let mut trimmed = Trimmed::default();
        if let Some(days) = keep.days {
            let end = now.checked_sub(Duration::from_secs(days.saturating_mul(86_400))).unwrap_or(UNIX_EPOCH);
            for (what, chunk) in [(What::Calls, CALLS), (What::Sessions, SESSIONS), (What::Answers, SESSIONS)] {
                while trimmed.rows < most {
                    let gone = self.delete_older(what, end, chunk).await?;
                    trimmed.rows += gone;
                    if gone == 0 {
                        break;
                    }
                }
            }
        }
        if let Some(room) = keep.bytes {
            let end = now.checked_sub(YOUNG).unwrap_or(UNIX_EPOCH);
            while trimmed.rows < most {
                let bytes = self.bytes().await?;
                if bytes <= room {
                    break;
                }
                let gone = self.delete_oldest(end).await?;
                trimmed.rows += gone;
                if gone == 0 {
                    trimmed.over = Some(bytes);
                    break;
                }
            }
        }
        if trimmed.rows > 0 {
            self.give_back().await?;
        }
        Ok(trimmed)
    }

    /// Deletes some of what is the oldest of all that is older than `end`.
    async fn delete_oldest(&mut self, end: SystemTime) -> Result<u64> {
        let oldest = oldest(&mut self.connection).await.map_err(|error| self.wrong(&error))?;
        let mut oldest: Vec<_> = oldest.into_iter().filter(|(begin, _)| *begin < end).collect();
        oldest.sort_by_key(|(begin, _)| *begin);
        let Some((_, what)) = oldest.first().copied() else { return Ok(0) };
        // Not further than to the oldest of another kind.
        let end = oldest.get(1).map_or(end, |(next, _)| end.min(*next + MOMENT));
        let chunk = if matches!(what, What::Sessions) { FEW_SESSIONS } else { FEW_CALLS };
        self.delete_older(what, end, chunk).await
    }

    /// Deletes some of what is older than this: `chunk` at most.
    async fn delete_older(&mut self, what: What, end: SystemTime, chunk: i64) -> Result<u64> {
        let deleted = delete(&mut self.connection, what, end, chunk).await;
        deleted.map_err(|error| self.wrong(&error))
    }

    /// Gives free pages back to the system, and empties the log, which still has what was deleted. False when somebody reads
    /// what stands in the log: then it stays as it is.
    pub(crate) async fn give_back(&mut self) -> Result<bool> {
        let mut free = self.number("PRAGMA freelist_count").await?;
        while free > 0 {
            // Some pages at a time: others wait for it. It gives rows, which have to be fetched for all of it to be done.
            let done = self.connection.fetch_all("PRAGMA incremental_vacuum(2000)").await;
            done.map_err(|error| self.wrong(&error))?;
            let left = self.number("PRAGMA freelist_count").await?;
            if left >= free {
                break;
            }
            free = left;
        }
        Ok(self.number("PRAGMA wal_checkpoint(TRUNCATE)").await? == 0)
    }
}

/// When the oldest of each kind is from.
async fn oldest(connection: &mut SqliteConnection) -> Done<Vec<(SystemTime, What)>> {
    let mut oldest = Vec::new();
    let first = "SELECT id FROM call_rows ORDER BY id LIMIT 1";
    if let Some(row) = connection.fetch_optional(first).await? {
        let id: Vec<u8> = row.try_get(0)?;
        oldest.extend(Id::from_bytes(&id).map(|id| (id.time(), What::Calls)));
    }
    oldest.extend(oldest_session(connection).await?.map(|time| (time, What::Sessions)));
    oldest.extend(oldest_leaf(connection).await?.map(|id| (id.time(), What::Answers)));
    Ok(oldest)
}

async fn delete(connection: &mut SqliteConnection, what: What, end: SystemTime, chunk: i64) -> Done<u64> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let gone = match what {
        What::Calls => delete_calls(&mut transaction, Id::first_at(end), chunk).await?,
        What::Sessions => delete_sessions(&mut transaction, end, chunk).await?,
        What::Answers => delete_leaves(&mut transaction, Id::first_at(end), chunk).await?,
    };
    transaction.commit().await?;
    Ok(gone)
}

async fn delete_calls(connection: &mut SqliteConnection, before: Id, chunk: i64) -> Done<u64> {
    let end = before.bytes();
    let chosen = "SELECT id FROM call_rows WHERE id < $1 ORDER BY id LIMIT $2";
    let rows = connection.fetch_all(sqlx::query::<Sqlite>(chosen).bind(end.as_slice()).bind(chunk)).await?;
    let Some(last) = rows.last() else { return Ok(0) };
    let last: Vec<u8> = last.try_get("id")?;
    connection.execute(sqlx::query::<Sqlite>("DELETE FROM exchanges WHERE call_id <= $1").bind(last.as_slice())).await?;
    connection.execute(sqlx::query::<Sqlite>("DELETE FROM texts WHERE call_id <= $1").bind(last.as_slice())).await?;
    // Sums that name a person or a tag go with the last call of their hour.
    let hour = Id::from_bytes(&last).map_or(0, Id::hour);
    connection.execute(sqlx::query::<Sqlite>("DELETE FROM label_sums WHERE hour < $1").bind(hour)).await?;
    let done = connection.execute(sqlx::query::<Sqlite>("DELETE FROM call_rows WHERE id <= $1").bind(last.as_slice())).await?;
    Ok(done.rows_affected())
}
