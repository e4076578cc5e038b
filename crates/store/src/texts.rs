//! What was said in calls: beside them, in a table of its own, where it is kept at all.

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Executor, Row};
use trunkline_codec::Result;

use crate::row::{CallRow, TextsRow};
use crate::store::Store;

/// Writes the texts of a call that has some.
pub(crate) async fn add(connection: &mut SqliteConnection, call: &CallRow) -> std::result::Result<(), sqlx::Error> {
    let Some(texts) = &call.texts else { return Ok(()) };
    let id = call.id.bytes();
    let sql = "INSERT INTO texts (call_id, request, answer) VALUES ($1, $2, $3) ON CONFLICT (call_id) DO NOTHING";
    let query = sqlx::query::<Sqlite>(sql).bind(id.as_slice()).bind(&texts.request).bind(&texts.answer);
    connection.execute(query).await.map(drop)
}

impl Store {
    /// Adds to these calls what was said in them, where that was kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn tell_texts(&mut self, calls: &mut [CallRow]) -> Result<()> {
        for call in calls {
            let id = call.id.bytes();
            let query = sqlx::query::<Sqlite>("SELECT request, answer FROM texts WHERE call_id = $1").bind(id.as_slice());
            let row = query.fetch_optional(&mut self.connection).await.map_err(|error| self.wrong(&error))?;
            let read = |row: &sqlx::sqlite::SqliteRow| {
                Ok(Box::new(TextsRow { request: row.try_get("request")?, answer: row.try_get("answer")? }))
            };
            call.texts = row.as_ref().map(read).transpose().map_err(|error: sqlx::Error| self.wrong(&error))?;
        }
        Ok(())
    }
}
