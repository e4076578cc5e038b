//! Deleting sessions, and the turns that nobody reaches any more.

use std::time::{Duration, SystemTime};

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use trunkline_codec::Result;

use super::row::whole_id;
use crate::id::Id;
use crate::logs::count;
use crate::store::Store;

/// The turns of a session: those up to its last one, and those that were made in it.
const OWN: &str = "WITH RECURSIVE path (id, parent) AS (SELECT id, parent FROM turns WHERE id = (SELECT head FROM sessions WHERE \
    id = $1) UNION ALL SELECT turns.id, turns.parent FROM turns JOIN path ON turns.id = path.parent), \
    own (id) AS (SELECT id FROM path UNION SELECT id FROM turns WHERE session = $1), ";

/// Of those, the ones that others need: another session points at them, or a turn that is not of them goes on from them.
const KEPT: &str = "kept (id) AS (SELECT head FROM sessions WHERE id <> $1 AND head IN (SELECT id FROM own) UNION \
    SELECT parent FROM turns WHERE parent IN (SELECT id FROM own) AND id NOT IN (SELECT id FROM own) UNION \
    SELECT turns.parent FROM turns JOIN kept ON turns.id = kept.id WHERE turns.parent IS NOT NULL)";

/// Turns that only an answer's id names, if anything does, and that nothing goes on from.
const LEAVES: &str = "SELECT id FROM turns WHERE session = '' AND id < $1 AND NOT EXISTS (SELECT 1 FROM turns AS next WHERE \
    next.parent = turns.id) AND NOT EXISTS (SELECT 1 FROM sessions WHERE head = turns.id) ORDER BY id LIMIT $2";

/// Those that stay are in a session that reaches them now; where none does, only an id names what goes on from them.
const HANDED_ON: &str = "UPDATE turns SET session = COALESCE((WITH RECURSIVE later (id) AS (SELECT turns.id UNION ALL SELECT \
    next.id FROM turns AS next JOIN later ON next.parent = later.id) SELECT sessions.id FROM sessions JOIN later ON \
    sessions.head = later.id WHERE sessions.id <> $1 ORDER BY sessions.created_us, sessions.id LIMIT 1), '') WHERE session = $1";

/// The turn of an answer, and all that go on from it.
const LATER_THAN_ANSWER: &str = "WITH RECURSIVE later (id) AS (SELECT id FROM turns WHERE response_id = $1 UNION SELECT turns.id \
    FROM turns JOIN later ON turns.parent = later.id)";

/// The turns of a user, and all that go on from them.
const LATER_THAN_USERS: &str = "WITH RECURSIVE later (id) AS (SELECT id FROM turns WHERE user_id = $1 UNION SELECT turns.id \
    FROM turns JOIN later ON turns.parent = later.id)";

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

    /// Makes an answer's id name nothing any more, and deletes its turn; where others go on from it, or it is part of a session,
    /// its words. False when it names nothing.
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
        // What comes after it knows its words, too: summaries, and the title, which begins with the first question.
        let summaries = format!("{LATER_THAN_ANSWER} DELETE FROM summaries WHERE turn IN (SELECT id FROM later)");
        let titles = format!(
            "{LATER_THAN_ANSWER} UPDATE sessions SET title = '' WHERE head IN (SELECT id FROM later) AND EXISTS (SELECT 1 FROM \
             turns WHERE response_id = $1 AND parent IS NULL)"
        );
        for sql in [summaries, titles] {
            transaction.execute(sqlx::query::<Sqlite>(AssertSqlSafe(sql)).bind(response_id)).await?;
        }
        let rest = "UPDATE turns SET response_id = NULL, asked = '[]', answered = 'null' WHERE response_id = $1";
        let unnamed = transaction.execute(sqlx::query::<Sqlite>(rest).bind(response_id)).await?.rows_affected();
        transaction.commit().await?;
        Ok(deleted + unnamed > 0)
    }
}

/// When the session was changed that was not for the longest time.
pub(crate) async fn oldest_session(connection: &mut SqliteConnection) -> Done<Option<SystemTime>> {
    let row = connection.fetch_one("SELECT MIN(updated_us) FROM sessions").await?;
    let micros = row.try_get::<Option<i64>, _>(0)?.map(count);
    Ok(micros.map(|micros| SystemTime::UNIX_EPOCH + Duration::from_micros(micros)))
}

/// The oldest answer that only an id names, and that nothing goes on from.
pub(crate) async fn oldest_leaf(connection: &mut SqliteConnection) -> Done<Option<Id>> {
    let query = sqlx::query::<Sqlite>(LEAVES).bind(Id::last().bytes().to_vec()).bind(1);
    let row = connection.fetch_optional(query).await?;
    row.map(|row| whole_id(&row, "id")).transpose()
}

/// Deletes sessions that were not changed since `end`: some of them. How many.
pub(crate) async fn delete_sessions(connection: &mut SqliteConnection, end: SystemTime, most: i64) -> Done<u64> {
    let micros = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
    let micros = i64::try_from(micros).unwrap_or(i64::MAX);
    let chosen = "SELECT id FROM sessions WHERE updated_us < $1 ORDER BY updated_us LIMIT $2";
    let mut gone = 0;
    for row in connection.fetch_all(sqlx::query::<Sqlite>(chosen).bind(micros).bind(most)).await? {
        delete(connection, row.try_get(0)?).await?;
        gone += 1;
    }
    Ok(gone)
}

/// Deletes answers that only an id names, are older than this, and that nothing goes on from: some of them.
pub(crate) async fn delete_leaves(connection: &mut SqliteConnection, before: Id, most: i64) -> Done<u64> {
    let mut gone = 0;
    for from in ["summaries WHERE turn", "turns WHERE id"] {
        let sql = format!("DELETE FROM {from} IN ({LEAVES})");
        let query = sqlx::query::<Sqlite>(AssertSqlSafe(sql)).bind(before.bytes().to_vec()).bind(most);
        gone = connection.execute(query).await?.rows_affected();
    }
    Ok(gone)
}

/// Deletes a user's sessions and answers, within a transaction. What others go on from loses its words.
pub(crate) async fn delete_users(connection: &mut SqliteConnection, user: &str) -> Done<u64> {
    // Of others' sessions that go on from this user's turns: summaries of these, the title, which begins with the first
    // question, and instructions that came with them.
    let summaries = format!("{LATER_THAN_USERS} DELETE FROM summaries WHERE turn IN (SELECT id FROM later)");
    let sessions = format!(
        "{LATER_THAN_USERS} UPDATE sessions SET title = '', system = CASE WHEN system IN (SELECT own.system FROM sessions AS own \
         WHERE own.user_id = $1 AND own.system IS NOT NULL) THEN NULL ELSE system END WHERE head IN (SELECT id FROM later) \
         AND user_id IS NOT $1"
    );
    for sql in [summaries, sessions] {
        connection.execute(sqlx::query::<Sqlite>(AssertSqlSafe(sql)).bind(user)).await?;
    }
    let chosen = sqlx::query::<Sqlite>("SELECT id FROM sessions WHERE user_id = $1").bind(user);
    let mut gone = 0;
    for row in connection.fetch_all(chosen).await? {
        delete(connection, row.try_get(0)?).await?;
        gone += 1;
    }
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
        connection.execute(sqlx::query::<Sqlite>(AssertSqlSafe(sql)).bind(id)).await?;
    }
    connection.execute(sqlx::query::<Sqlite>(HANDED_ON).bind(id)).await?;
    let done = connection.execute(sqlx::query::<Sqlite>("DELETE FROM sessions WHERE id = $1").bind(id)).await?;
    Ok(done.rows_affected() > 0)
}
