//! What becomes of old rows, of copies, and of a person's data.

use std::path::Path;
use std::time::{Duration, SystemTime};

use sqlx::sqlite::Sqlite;
use sqlx::{Connection, Executor, Row};
use trunkline_codec::Result;

use crate::id::Id;
use crate::session::{delete_leaves, delete_users};
use crate::store::Store;
use crate::{store, wrong};

/// How long calls and conversations are kept. The sums of whole hours stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days; `None` is for ever.
    pub days: Option<u64>,
    /// The most that the file may have, in bytes; the oldest go first.
    pub bytes: Option<u64>,
}

/// How large a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Calls.
    pub calls: u64,
    /// Bytes of the file that are in use.
    pub bytes: u64,
}

/// Rows that one transaction deletes: others wait for it.
const CHUNK: i64 = 2000;

impl Store {
    /// Deletes what is kept no longer, the oldest first, and stops after about `most` rows. How many went. By age sessions go,
    /// too, if they were not changed for so long; by size only calls do, and answers that nothing but an id names.
    ///
    /// # Errors
    /// When the store cannot be written; what was deleted before stays deleted.
    pub async fn trim(&mut self, keep: Retention, now: SystemTime, most: u64) -> Result<u64> {
        let mut gone = 0;
        if let Some(days) = keep.days {
            let age = Duration::from_secs(days.saturating_mul(86_400));
            let end = now.checked_sub(age).map(Id::first_at);
            while let Some(end) = end.filter(|_| gone < most) {
                let chunk = self.delete_oldest(Some(end)).await?;
                gone += chunk;
                if chunk == 0 {
                    break;
                }
            }
            while let Some(end) = now.checked_sub(age).filter(|_| gone < most) {
                let chunk = self.delete_sessions_before(end).await?;
                gone += chunk;
                if chunk == 0 {
                    break;
                }
            }
        }
        if let Some(room) = keep.bytes {
            while gone < most && self.bytes().await? > room {
                let chunk = self.delete_oldest(None).await?;
                gone += chunk;
                if chunk == 0 {
                    break;
                }
            }
        }
        if gone > 0 {
            self.give_back().await?;
        }
        Ok(gone)
    }

    /// Deletes every call of this user, every session and every turn, and their traces in the file. How many calls and
    /// sessions they were.
    ///
    /// # Errors
    /// When the store cannot be written: then nothing is deleted.
    pub async fn forget(&mut self, user: &str) -> Result<u64> {
        let gone = self.delete_user(user).await.map_err(|error| self.wrong(&error))?;
        self.give_back().await?;
        Ok(gone)
    }

    async fn delete_user(&mut self, user: &str) -> std::result::Result<u64, sqlx::Error> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let texts = "DELETE FROM texts WHERE call_id IN (SELECT id FROM call_rows WHERE user_id = $1)";
        transaction.execute(sqlx::query::<Sqlite>(texts).bind(user)).await?;
        let children = "DELETE FROM exchanges WHERE call_id IN (SELECT id FROM call_rows WHERE user_id = $1)";
        transaction.execute(sqlx::query::<Sqlite>(children).bind(user)).await?;
        let sums = "DELETE FROM label_sums WHERE label = 'user' AND name = $1";
        transaction.execute(sqlx::query::<Sqlite>(sums).bind(user)).await?;
        let done = transaction.execute(sqlx::query::<Sqlite>("DELETE FROM call_rows WHERE user_id = $1").bind(user)).await?;
        let sessions = delete_users(&mut transaction, user).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() + sessions)
    }

    async fn delete_oldest(&mut self, before: Option<Id>) -> Result<u64> {
        let deleted = self.delete_chunk(before).await;
        deleted.map_err(|error| self.wrong(&error))
    }

    async fn delete_chunk(&mut self, before: Option<Id>) -> std::result::Result<u64, sqlx::Error> {
        let end = before.unwrap_or(Id::last()).bytes();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let chosen = "SELECT id FROM call_rows WHERE id < $1 ORDER BY id LIMIT $2";
        let rows = transaction.fetch_all(sqlx::query::<Sqlite>(chosen).bind(end.as_slice()).bind(CHUNK)).await?;
        let Some(last) = rows.last() else {
            // By age these go later, with the sessions.
            let leaves = if before.is_none() { delete_leaves(&mut transaction, Id::last()).await? } else { 0 };
            transaction.commit().await?;
            return Ok(leaves);
        };
        let last: Vec<u8> = last.try_get("id")?;
        transaction.execute(sqlx::query::<Sqlite>("DELETE FROM exchanges WHERE call_id <= $1").bind(last.as_slice())).await?;
        transaction.execute(sqlx::query::<Sqlite>("DELETE FROM texts WHERE call_id <= $1").bind(last.as_slice())).await?;
        // Sums that name a person or a tag go with the last call of their hour.
        let hour = Id::from_bytes(&last).map_or(0, Id::hour);
        transaction.execute(sqlx::query::<Sqlite>("DELETE FROM label_sums WHERE hour < $1").bind(hour)).await?;
        let done =
            transaction.execute(sqlx::query::<Sqlite>("DELETE FROM call_rows WHERE id <= $1").bind(last.as_slice())).await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    /// Gives free pages back to the system, and empties the log, which still has what was deleted.
    pub(crate) async fn give_back(&mut self) -> Result<()> {
        for statement in ["PRAGMA incremental_vacuum", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            // Both give rows, which have to be fetched for all of it to be done.
            let done = self.connection.fetch_all(statement).await;
            done.map_err(|error| self.wrong(&error))?;
        }
        Ok(())
    }

    async fn bytes(&mut self) -> Result<u64> {
        let pages = self.number("PRAGMA page_count").await?.saturating_sub(self.number("PRAGMA freelist_count").await?);
        Ok(pages * self.number("PRAGMA page_size").await?)
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn size(&mut self) -> Result<Kept> {
        Ok(Kept { calls: self.count().await?, bytes: self.bytes().await? })
    }

    /// Writes a copy of the whole store as it is at this moment, while others go on writing.
    ///
    /// # Errors
    /// When there is a file of this name already, or it cannot be written.
    pub async fn backup(&mut self, to: &Path) -> Result<()> {
        let said = |what: String| wrong(format!("cannot write the copy {}: {what}", to.display()));
        let name = to.to_str().ok_or_else(|| said("its name is no text".to_owned()))?;
        // An empty file would be taken; a copy is never written over.
        store::private().write(true).create_new(true).open(to).map_err(|error| said(error.to_string()))?;
        let done = self.connection.execute(sqlx::query::<Sqlite>("VACUUM INTO $1").bind(name)).await;
        if let Err(error) = done {
            let _ = std::fs::remove_file(to);
            return Err(said(self.wrong(&error).message));
        }
        std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(|error| said(error.to_string()))
    }
}
