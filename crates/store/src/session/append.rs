//! Sessions and turns into the store.

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, Executor, Row};
use trunkline_codec::{Error, Result, Retry};

use super::row::{SessionRow, Summary, TurnRow};
use crate::forget::Forgotten;
use crate::id::Id;
use crate::store::Store;
use crate::write::int;
use crate::wrong;

/// Where a turn that was appended is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The session's last one now.
    Last,
    /// Beside another one: somebody else had gone on from the same turn before, and the session stays with that. Nothing
    /// is lost; a branch can point at it.
    Beside,
}

const SESSION: &str = "INSERT INTO sessions (id, title, created_us, updated_us, key_id, user_id, model, system, kept, head, \
    branch_of, local) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING";

const SETTINGS: &str = "UPDATE sessions SET title = $2, model = $3, system = $4, kept = $5, updated_us = $6 WHERE id = $1";

const TURN: &str = "INSERT INTO turns (id, parent, depth, session, response_id, key_id, user_id, begun_us, elapsed_us, model, \
    target, asked, answered, finish, error, input, output, usage_estimated, cost_micros, currency, told_model) \
    VALUES ($1, $2, 1 + COALESCE((SELECT depth FROM turns WHERE id = $2), 0), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
    $14, $15, $16, $17, $18, $19, $20)";

const SUMMARY: &str = "INSERT INTO summaries (turn, made_us, target, text) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (turn) DO UPDATE SET made_us = excluded.made_us, target = excluded.target, text = excluded.text";

impl Store {
    /// Makes a session. False when there is one of this id already: then it stays as it is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn add_session(&mut self, session: &SessionRow) -> Result<bool> {
        let added = insert(&mut self.connection, session).await;
        added.map_err(|error| self.wrong(&error))
    }

    /// Writes a session's title, model, system text and window as they are here. False when there is no such session.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_session(&mut self, session: &SessionRow) -> Result<bool> {
        let query = sqlx::query::<Sqlite>(SETTINGS).bind(&session.id).bind(&session.title).bind(&session.model);
        let query = query.bind(&session.system).bind(&session.kept).bind(int(session.updated_us));
        let done = self.connection.execute(query).await.map_err(|error| self.wrong(&error))?;
        Ok(done.rows_affected() > 0)
    }

    /// Keeps a turn. With a session it becomes that one's last, if the session is still at the turn's parent; the session
    /// is made if it is not there. Both or nothing.
    ///
    /// # Errors
    /// When the store cannot be written; without hope of another time (`Retry::Never`) when the parent is gone, its user was
    /// forgotten since it began, or the answer's id names another turn already.
    pub async fn append_turn(&mut self, turn: &TurnRow, session: Option<&SessionRow>) -> Result<Placed> {
        let asked = serde_json::to_string(&turn.asked).map_err(|error| wrong(error.to_string()))?;
        let answered = serde_json::to_string(&turn.answered).map_err(|error| wrong(error.to_string()))?;
        match append(&mut self.connection, turn, session, (&asked, &answered)).await {
            Ok(Ok(placed)) => Ok(placed),
            Ok(Err(why)) => Err(wrong(why)),
            Err(error) => {
                let retry = if is_refused(&error) { Retry::Never } else { Retry::Backoff };
                Err(Error { retry, ..self.wrong(&error) })
            }
        }
    }

    /// Points a session at another turn, or at none, if it is still at `from`. False when it is not.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn move_session(&mut self, id: &str, from: Option<Id>, to: Option<Id>, now_us: u64) -> Result<bool> {
        let moved = point(&mut self.connection, id, (from, to), now_us).await;
        moved.map_err(|error| self.wrong(&error))
    }

    /// Keeps a summary, in the place of an earlier one of the same turn.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn add_summary(&mut self, summary: &Summary) -> Result<()> {
        let query = sqlx::query::<Sqlite>(SUMMARY).bind(summary.turn.bytes().to_vec()).bind(int(summary.made_us));
        let query = query.bind(&summary.target).bind(&summary.text);
        self.connection.execute(query).await.map(drop).map_err(|error| self.wrong(&error))
    }
}

/// Why a turn is never taken.
const GONE: &str = "the turn that this one goes on from was deleted in the meantime";
const FORGOTTEN: &str = "its user was forgotten in the meantime";

/// Whether the tables do not take this row, now or later.
fn is_refused(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation() || error.is_check_violation())
}

fn bytes(id: Option<Id>) -> Option<Vec<u8>> {
    id.map(|id| id.bytes().to_vec())
}

async fn insert(connection: &mut SqliteConnection, session: &SessionRow) -> Result<bool, sqlx::Error> {
    let query = sqlx::query::<Sqlite>(SESSION).bind(&session.id).bind(&session.title);
    let query = query.bind(int(session.created_us)).bind(int(session.updated_us)).bind(&session.key_id).bind(&session.user_id);
    let query = query.bind(&session.model).bind(&session.system).bind(&session.kept).bind(bytes(session.head));
    Ok(connection.execute(query.bind(&session.branch_of).bind(session.local)).await?.rows_affected() > 0)
}

async fn point(
    connection: &mut SqliteConnection,
    id: &str,
    (from, to): (Option<Id>, Option<Id>),
    now_us: u64,
) -> Result<bool, sqlx::Error> {
    let at = if from.is_some() { "head = $4" } else { "head IS NULL AND $4 IS NULL" };
    let sql = format!("UPDATE sessions SET head = $2, updated_us = $3 WHERE id = $1 AND {at}");
    let query = sqlx::query::<Sqlite>(sqlx::AssertSqlSafe(sql)).bind(id).bind(bytes(to)).bind(int(now_us)).bind(bytes(from));
    Ok(connection.execute(query).await?.rows_affected() > 0)
}

async fn append(
    connection: &mut SqliteConnection,
    turn: &TurnRow,
    session: Option<&SessionRow>,
    (asked, answered): (&str, &str),
) -> Result<Result<Placed, &'static str>, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let begun_us = int(turn.begun_us);
    if Forgotten::since(&mut transaction, begun_us).await?.have_of(turn.user_id.as_deref(), begun_us) {
        return Ok(Err(FORGOTTEN));
    }
    if let Some(parent) = bytes(turn.parent) {
        let there = sqlx::query::<Sqlite>("SELECT COUNT(*) FROM turns WHERE id = $1").bind(parent);
        if transaction.fetch_one(there).await?.try_get::<i64, _>(0)? == 0 {
            return Ok(Err(GONE));
        }
    }
    let query = sqlx::query::<Sqlite>(TURN).bind(turn.id.bytes().to_vec()).bind(bytes(turn.parent)).bind(&turn.session);
    let query = query.bind(&turn.response_id).bind(&turn.key_id).bind(&turn.user_id);
    let query = query.bind(int(turn.begun_us)).bind(int(turn.elapsed_us)).bind(&turn.model).bind(&turn.target);
    let query = query.bind(asked).bind(answered).bind(turn.finish.as_deref()).bind(turn.error.as_deref());
    let query = query.bind(turn.input.map(int)).bind(turn.output.map(int)).bind(turn.usage_estimated);
    let query = query.bind(turn.cost_micros.map(int)).bind(turn.currency.as_deref());
    transaction.execute(query.bind(&turn.told_model)).await?;
    let mut placed = Placed::Last;
    if let Some(session) = session {
        let new = SessionRow { head: turn.parent, ..session.clone() };
        insert(&mut transaction, &new).await?;
        let now_us = turn.begun_us.saturating_add(turn.elapsed_us).max(session.updated_us);
        if !point(&mut transaction, &session.id, (turn.parent, Some(turn.id)), now_us).await? {
            placed = Placed::Beside;
        }
    }
    transaction.commit().await?;
    Ok(Ok(placed))
}
