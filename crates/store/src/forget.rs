//! A person's data goes, and its traces.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, Executor, Row};
use trunkline_codec::Result;

use crate::ledger::adopt_all;
use crate::row::CallRow;
use crate::session::delete_users;
use crate::store::Store;
use crate::wrong;

/// How often the log is tried to be emptied, each time as long as a statement waits for others.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// After so long nothing is set aside any more that would come back.
const REMEMBERED: Duration = Duration::from_secs(400 * 86_400);

type Done<T> = std::result::Result<T, sqlx::Error>;

impl Store {
    /// Deletes every call of this user, every session and every turn, and their traces in the file; also what processes that
    /// are gone have set aside. What running ones still have of the time before is not written any more. How many calls and
    /// sessions they were.
    ///
    /// # Errors
    /// When the store cannot be written: then nothing is deleted. When others read it all the time: then all is deleted, and
    /// traces are left until it is called again.
    pub async fn forget(&mut self, user: &str) -> Result<u64> {
        adopt_all(self).await?;
        let gone = self.delete_user(user, SystemTime::now()).await.map_err(|error| self.wrong(&error))?;
        for _ in 0..TRIES {
            if self.give_back().await.unwrap_or(false) {
                return Ok(gone);
            }
            tokio::time::sleep(PAUSE).await;
        }
        let what = format!("{gone} calls and sessions are deleted, but somebody reads the store, whose log still has traces");
        Err(wrong(format!("{what}: run it again in a moment")))
    }

    async fn delete_user(&mut self, user: &str, now: SystemTime) -> Done<u64> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for (table, column) in [("texts", "call_id"), ("exchanges", "call_id")] {
            let sql = format!("DELETE FROM {table} WHERE {column} IN (SELECT id FROM call_rows WHERE user_id = $1)");
            transaction.execute(sqlx::query::<Sqlite>(sqlx::AssertSqlSafe(sql)).bind(user)).await?;
        }
        let sums = "DELETE FROM label_sums WHERE label = 'user' AND name = $1";
        transaction.execute(sqlx::query::<Sqlite>(sums).bind(user)).await?;
        let done = transaction.execute(sqlx::query::<Sqlite>("DELETE FROM call_rows WHERE user_id = $1").bind(user)).await?;
        let sessions = delete_users(&mut transaction, user).await?;
        let old = now.checked_sub(REMEMBERED).unwrap_or(UNIX_EPOCH);
        transaction.execute(sqlx::query::<Sqlite>("DELETE FROM forgotten WHERE at_us < $1").bind(micros(old))).await?;
        let sql = "INSERT INTO forgotten (user, at_us) VALUES ($1, $2) ON CONFLICT (user) DO UPDATE SET at_us = excluded.at_us";
        transaction.execute(sqlx::query::<Sqlite>(sql).bind(mark(user).to_vec()).bind(micros(now))).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() + sessions)
    }
}

/// Whose calls and turns are not to be written, if they began before this time.
pub(crate) struct Forgotten(HashMap<Vec<u8>, i64>);

impl Forgotten {
    /// Those who may have something among these calls.
    pub(crate) async fn among(connection: &mut SqliteConnection, calls: &[CallRow]) -> Done<Self> {
        match calls.iter().map(|call| call.id).min() {
            Some(oldest) => Forgotten::since(connection, micros(oldest.time())).await,
            None => Ok(Forgotten(HashMap::new())),
        }
    }

    /// Those who were forgotten at this time or later.
    pub(crate) async fn since(connection: &mut SqliteConnection, micros: i64) -> Done<Self> {
        let query = sqlx::query::<Sqlite>("SELECT user, at_us FROM forgotten WHERE at_us >= $1").bind(micros);
        let rows = connection.fetch_all(query).await?;
        let read: Done<HashMap<_, _>> = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
        read.map(Forgotten)
    }

    /// Whether any of these calls is one of theirs.
    pub(crate) fn have_any(&self, calls: &[CallRow]) -> bool {
        !self.0.is_empty() && calls.iter().any(|call| self.have(call))
    }

    /// Whether it is one of theirs.
    pub(crate) fn have(&self, call: &CallRow) -> bool {
        self.have_of(call.user_id.as_deref(), micros(call.id.time()))
    }

    /// Whether what this user began at this time is theirs.
    pub(crate) fn have_of(&self, user: Option<&str>, begun_us: i64) -> bool {
        let Some(user) = user.filter(|_| !self.0.is_empty()) else { return false };
        self.0.get(mark(user).as_slice()).is_some_and(|at| begun_us <= *at)
    }
}

fn micros(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

/// What stands for a user's id in the list of the forgotten (FNV-1a): whoever has the id can find it there, but nobody reads
/// it off the list.
fn mark(user: &str) -> [u8; 16] {
    const BEGIN: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    user.bytes().fold(BEGIN, |mark, byte| (mark ^ u128::from(byte)).wrapping_mul(PRIME)).to_be_bytes()
}
