//! Deleting sessions, and the turns that nobody reaches any more.

use std::time::SystemTime;

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, Executor, Row};
use trunkline_codec::Result;

use crate::id::Id;
use crate::store::Store;

/// Turns and sessions that one transaction deletes: others wait for it.
const CHUNK: i64 = 200;

/// The turns of a session: those up to its last one, and those that were made in it.
const OWN: &str = "WITH RECURSIVE path (id, parent) AS (SELECT id, parent FROM turns WHERE id = (SELECT head FROM sessions WHERE \
    id = $1) UNION ALL SELECT turns.id, turns.parent FROM turns JOIN path ON turns.id = path.parent), \
    own (id) AS (SELECT id FROM path UNION SELECT id FROM turns WHERE session = $1), ";

/// Of those, the ones that others need: another session points at them, or a turn that is not of them goes on from them.
const KEPT: &str = "kept (id) AS (SELECT head FROM sessions WHERE id <> $1 AND head IN (SELECT id FROM own) UNION \
    SELECT parent FROM turns WHERE parent IN (SELECT id FROM own) AND id NOT IN (SELECT id FROM own) UNION \
    SELECT turns.parent FROM turns JOIN kept ON turns.id = kept.id WHERE turns.parent IS NOT NULL)";

/// Turns that only an answer's id names, and that nothing goes on from.
const LEAVES: &str = "SELECT id FROM turns WHERE session = '' AND id < $1 AND NOT EXISTS (SELECT 1 FROM turns AS next WHERE \
    next.parent = turns.id) AND NOT EXISTS (SELECT 1 FROM sessions WHERE head = turns.id) ORDER BY id LIMIT $2";

type Done<T> = std::result::Result<T, sqlx::Error>;

impl Store {
    /// Deletes a session, and its turns but for those that another one reaches. False when there is no such session.
    ///
    /// # Errors
    /// When the store cannot be written: then nothing is deleted.
    pub async fn delete_session(&mut self, id: &str) -> Result<bool> {
        let gone = self.delete_whole(id).await.map_err(|error| self.wrong(&error))?;
        self.give_back().await?;
        Ok(gone)
    }

    async fn delete_whole(&mut self, id: &str) -> Done<bool> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let gone = delete(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(gone)
    }

    /// Makes an answer's id name nothing any more, and deletes its turn unless others go on from it or it is part of a session.
    /// False when it names nothing.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn delete_response(&mut self, response_id: &str) -> Result<bool> {
        let gone = self.delete_named(response_id).await;
        gone.map_err(|error| self.wrong(&error))
    }

    async fn delete_named(&mut self, response_id: &str) -> Done<bool> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let leaf = "DELETE FROM turns WHERE response_id = $1 AND session = '' AND NOT EXISTS (SELECT 1 FROM turns AS next WHERE \
            next.parent = turns.id) AND NOT EXISTS (SELECT 1 FROM sessions WHERE head = turns.id)";
        let deleted = transaction.execute(sqlx::query::<Sqlite>(leaf).bind(response_id)).await?.rows_affected();
        let rest = "UPDATE turns SET response_id = NULL WHERE response_id = $1";
        let unnamed = transaction.execute(sqlx::query::<Sqlite>(rest).bind(response_id)).await?.rows_affected();
        transaction.commit().await?;
        Ok(deleted + unnamed > 0)
    }

    /// Deletes sessions that were not changed since `end`, and answers that only an id names and that are older: some of
    /// them. How many went; 0 when there are none.
    pub(crate) async fn delete_sessions_before(&mut self, end: SystemTime) -> Result<u64> {
        let gone = self.delete_old(end).await;
        gone.map_err(|error| self.wrong(&error))
    }

    async fn delete_old(&mut self, end: SystemTime) -> Done<u64> {
        let micros = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let chosen = "SELECT id FROM sessions WHERE updated_us < $1 ORDER BY updated_us LIMIT $2";
        let mut gone = 0;
        for row in transaction.fetch_all(sqlx::query::<Sqlite>(chosen).bind(micros).bind(CHUNK)).await? {
            delete(&mut transaction, row.try_get(0)?).await?;
            gone += 1;
        }
        gone += delete_leaves(&mut transaction, Id::first_at(end)).await?;
        transaction.commit().await?;
        Ok(gone)
    }
}

/// Deletes answers that only an id names, are older than this, and that nothing goes on from: some of them.
pub(crate) async fn delete_leaves(connection: &mut SqliteConnection, before: Id) -> Done<u64> {
    let sql = format!("DELETE FROM turns WHERE id IN ({LEAVES})");
    let query = sqlx::query::<Sqlite>(sqlx::AssertSqlSafe(sql)).bind(before.bytes().to_vec()).bind(CHUNK);
    Ok(connection.execute(query).await?.rows_affected())
}

/// Deletes a user's sessions and answers, within a transaction. What others go on from loses its words.
pub(crate) async fn delete_users(connection: &mut SqliteConnection, user: &str) -> Done<u64> {
    let chosen = sqlx::query::<Sqlite>("SELECT id FROM sessions WHERE user_id = $1").bind(user);
    let mut gone = 0;
    for row in connection.fetch_all(chosen).await? {
        delete(connection, row.try_get(0)?).await?;
        gone += 1;
    }
    let summaries = "DELETE FROM summaries WHERE turn IN (SELECT id FROM turns WHERE user_id = $1)";
    connection.execute(sqlx::query::<Sqlite>(summaries).bind(user)).await?;
    let leave = "DELETE FROM turns WHERE user_id = $1 AND NOT EXISTS (SELECT 1 FROM turns AS next WHERE next.parent = turns.id \
        AND (next.user_id IS NULL OR next.user_id <> $1)) AND NOT EXISTS (SELECT 1 FROM sessions WHERE head = turns.id)";
    connection.execute(sqlx::query::<Sqlite>(leave).bind(user)).await?;
    let empty = "UPDATE turns SET asked = '[]', answered = 'null', response_id = NULL, user_id = NULL WHERE user_id = $1";
    connection.execute(sqlx::query::<Sqlite>(empty).bind(user)).await?;
    Ok(gone)
}

async fn delete(connection: &mut SqliteConnection, id: &str) -> Done<bool> {
    let doomed = format!("{OWN}{KEPT} SELECT id FROM own WHERE id NOT IN (SELECT id FROM kept WHERE id IS NOT NULL)");
    for from in ["summaries WHERE turn", "turns WHERE id"] {
        let sql = format!("DELETE FROM {from} IN ({doomed})");
        connection.execute(sqlx::query::<Sqlite>(sqlx::AssertSqlSafe(sql)).bind(id)).await?;
    }
    // What stays is the others' now.
    let others = "UPDATE turns SET session = COALESCE((SELECT id FROM sessions WHERE branch_of = $1 ORDER BY created_us LIMIT 1), \
        session) WHERE session = $1";
    connection.execute(sqlx::query::<Sqlite>(others).bind(id)).await?;
    let done = connection.execute(sqlx::query::<Sqlite>("DELETE FROM sessions WHERE id = $1").bind(id)).await?;
    Ok(done.rows_affected() > 0)
}
