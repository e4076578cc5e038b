//! Sessions and turns read back.

use serde::Serialize;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row};
use trunkline_codec::Result;
use trunkline_codec::ir::{Content, Message};

use super::row::{SessionRow, Summary, TurnRow, read_session, read_summary, read_turn, whole_id};
use crate::find::Needle;
use crate::id::Id;
use crate::logs::count;
use crate::store::Store;

/// Which sessions are wanted.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    /// At most so many: those that were changed last.
    pub limit: u32,
    /// Only those of this user.
    pub user: Option<String>,
    /// Only those that a program on this machine has begun: no caller of the gateway has.
    pub local: bool,
    /// Only those that have this text in their title or in a turn. Of the turns the latest 10,000 that may fit are looked at.
    pub text: Option<String>,
    /// Only those that were not changed at this time or later: for the next page. Microseconds since 1970.
    pub before_us: Option<u64>,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The session.
    #[serde(flatten)]
    pub session: SessionRow,
    /// How many turns there are up to its last one.
    pub turns: u64,
}

/// Turns that a search looks at, and how many of them at one time.
const LOOKED_AT: i64 = 10_000;
const PAGE: i64 = 50;
/// After so many sessions a search ends.
const FOUND: usize = 1000;

/// Letters of the turns of one conversation that are read, so that nobody's pictures fill the memory. The last turn is read
/// however long it is.
const LETTERS: i64 = 64 * 1024 * 1024;

/// The turns up to one, and how far each is from it.
const PATH: &str = "WITH RECURSIVE path (id, parent, step) AS (SELECT id, parent, 1 FROM turns WHERE id = $1 UNION ALL \
    SELECT turns.id, turns.parent, path.step + 1 FROM turns JOIN path ON turns.id = path.parent WHERE path.step < $2)";

/// The same as far as there is room for them.
const READ: &str = "WITH RECURSIVE path (id, parent, step, letters) AS (SELECT id, parent, 1, LENGTH(asked) + LENGTH(answered) \
    FROM turns WHERE id = $1 UNION ALL SELECT turns.id, turns.parent, path.step + 1, \
    path.letters + LENGTH(turns.asked) + LENGTH(turns.answered) FROM turns JOIN path ON turns.id = path.parent \
    WHERE path.step < $2 AND path.letters + LENGTH(turns.asked) + LENGTH(turns.answered) <= $3)";

type Fetched<T> = std::result::Result<T, sqlx::Error>;

impl Store {
    /// The session of this id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn session(&mut self, id: &str) -> Result<Option<SessionRow>> {
        let query = sqlx::query::<Sqlite>("SELECT * FROM sessions WHERE id = $1").bind(id);
        let row = query.fetch_optional(&mut self.connection).await;
        let read = row.and_then(|row| row.as_ref().map(read_session).transpose());
        read.map_err(|error| self.wrong(&error))
    }

    /// The wanted sessions, the one that was changed last first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sessions(&mut self, sought: &Sought) -> Result<Vec<Listed>> {
        let mut arguments = SqliteArguments::default();
        let mut clauses = Vec::new();
        if let Some(user) = &sought.user {
            // These types can always be encoded.
            let _ = arguments.add(user.clone());
            clauses.push(format!("user_id = ${}", arguments.len()));
        }
        if sought.local {
            clauses.push("local = 1".to_owned());
        }
        if let Some(before) = sought.before_us {
            let _ = arguments.add(crate::write::int(before));
            clauses.push(format!("updated_us < ${}", arguments.len()));
        }
        if let Some(text) = &sought.text {
            let needle = Needle::new(text);
            let found = self.holding(&needle).await?;
            let _ = arguments.add(needle.pattern());
            let title = format!("title GLOB ${}", arguments.len());
            let mut ids = Vec::new();
            for id in found {
                let _ = arguments.add(id);
                ids.push(format!("${}", arguments.len()));
            }
            clauses.push(if ids.is_empty() { title } else { format!("({title} OR id IN ({}))", ids.join(", ")) });
        }
        let wanted = if clauses.is_empty() { String::new() } else { format!("WHERE {}", clauses.join(" AND ")) };
        let depth = "(SELECT depth FROM turns WHERE turns.id = sessions.head) AS turns";
        let sql = format!("SELECT *, {depth} FROM sessions {wanted} ORDER BY updated_us DESC, id LIMIT {}", sought.limit);
        let rows = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), arguments).fetch_all(&mut self.connection).await;
        let listed = |row: &SqliteRow| {
            let turns = row.try_get::<Option<i64>, _>("turns")?.map_or(0, count);
            Ok(Listed { session: read_session(row)?, turns })
        };
        let read: Fetched<Vec<Listed>> = rows.and_then(|rows| rows.iter().map(listed).collect());
        read.map_err(|error| self.wrong(&error))
    }

    /// The sessions whose last turns, or any before, hold this text.
    async fn holding(&mut self, needle: &Needle) -> Result<Vec<String>> {
        let sql = "SELECT * FROM turns WHERE session <> '' AND id < $1 AND (asked GLOB $2 OR answered GLOB $2) \
            ORDER BY id DESC LIMIT $3";
        let (mut found, mut looked_at, mut before) = (Vec::new(), 0, Id::last());
        while looked_at < LOOKED_AT && found.len() < FOUND {
            let query = sqlx::query::<Sqlite>(sql).bind(before.bytes().to_vec()).bind(needle.pattern_in_json()).bind(PAGE);
            let rows = query.fetch_all(&mut self.connection).await.map_err(|error| self.wrong(&error))?;
            let turns: Fetched<Vec<TurnRow>> = rows.iter().map(read_turn).collect();
            let turns = turns.map_err(|error| self.wrong(&error))?;
            let Some(last) = turns.last() else { break };
            (before, looked_at) = (last.id, looked_at + PAGE);
            // What the JSON has beside the words does not count.
            for turn in turns.iter().filter(|turn| said(turn).any(|said| needle.is_in(said))) {
                let sessions = self.sessions_at(turn.id).await?;
                found.extend(sessions.into_iter().filter(|id| !found.contains(id)).collect::<Vec<_>>());
            }
        }
        Ok(found)
    }

    /// The sessions that have this turn among theirs.
    async fn sessions_at(&mut self, turn: Id) -> Result<Vec<String>> {
        let sql = "WITH RECURSIVE later (id) AS (SELECT id FROM turns WHERE id = $1 UNION ALL SELECT turns.id FROM turns JOIN \
            later ON turns.parent = later.id) SELECT sessions.id FROM sessions JOIN later ON sessions.head = later.id";
        let query = sqlx::query::<Sqlite>(sql).bind(turn.bytes().to_vec());
        let rows = query.fetch_all(&mut self.connection).await;
        let read: Fetched<Vec<String>> = rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect());
        read.map_err(|error| self.wrong(&error))
    }

    /// The turns up to this one, the oldest first, and of them the last `most`; fewer where they have more than 64 million
    /// letters.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn turns(&mut self, last: Id, most: u32) -> Result<Vec<TurnRow>> {
        let sql = format!("{READ} SELECT turns.* FROM path JOIN turns ON turns.id = path.id ORDER BY path.step DESC");
        let query = sqlx::query::<Sqlite>(AssertSqlSafe(sql)).bind(last.bytes().to_vec()).bind(i64::from(most)).bind(LETTERS);
        let rows = query.fetch_all(&mut self.connection).await;
        let read: Fetched<Vec<TurnRow>> = rows.and_then(|rows| rows.iter().map(read_turn).collect());
        read.map_err(|error| self.wrong(&error))
    }

    /// Every turn that was made in this session, in the order of time: also those that it went back over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn turns_made_in(&mut self, session: &str) -> Result<Vec<TurnRow>> {
        let query = sqlx::query::<Sqlite>("SELECT * FROM turns WHERE session = $1 ORDER BY id").bind(session);
        let rows = query.fetch_all(&mut self.connection).await;
        let read: Fetched<Vec<TurnRow>> = rows.and_then(|rows| rows.iter().map(read_turn).collect());
        read.map_err(|error| self.wrong(&error))
    }

    /// The turn that an answer's id names.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn turn_of_response(&mut self, response_id: &str) -> Result<Option<TurnRow>> {
        let query = sqlx::query::<Sqlite>("SELECT * FROM turns WHERE response_id = $1").bind(response_id);
        let row = query.fetch_optional(&mut self.connection).await;
        let read = row.and_then(|row| row.as_ref().map(read_turn).transpose());
        read.map_err(|error| self.wrong(&error))
    }

    /// Where that turn is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn place_of_response(&mut self, response_id: &str) -> Result<Option<Id>> {
        let query = sqlx::query::<Sqlite>("SELECT id FROM turns WHERE response_id = $1").bind(response_id);
        let row = query.fetch_optional(&mut self.connection).await;
        let read = row.and_then(|row| row.map(|row| whole_id(&row, "id")).transpose());
        read.map_err(|error| self.wrong(&error))
    }

    /// The answer's id of a turn.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn response_of(&mut self, turn: Id) -> Result<Option<String>> {
        let query = sqlx::query::<Sqlite>("SELECT response_id FROM turns WHERE id = $1").bind(turn.bytes().to_vec());
        let row = query.fetch_optional(&mut self.connection).await;
        let read: Fetched<Option<String>> = row.and_then(|row| row.map_or(Ok(None), |row| row.try_get(0)));
        read.map_err(|error| self.wrong(&error))
    }

    /// How many letters [`Store::turns`] would read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn letters(&mut self, last: Id, most: u32) -> Result<u64> {
        let sql = format!("{READ} SELECT MAX(letters) FROM path");
        let query = sqlx::query::<Sqlite>(AssertSqlSafe(sql)).bind(last.bytes().to_vec()).bind(i64::from(most)).bind(LETTERS);
        let row = query.fetch_one(&mut self.connection).await;
        let read: Fetched<Option<i64>> = row.and_then(|row| row.try_get(0));
        read.map(|letters| letters.map_or(0, count)).map_err(|error| self.wrong(&error))
    }

    /// The latest summary of turns up to this one: of `most` turns back at most.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn summary(&mut self, last: Id, most: u32) -> Result<Option<Summary>> {
        let sql =
            format!("{PATH} SELECT summaries.* FROM path JOIN summaries ON summaries.turn = path.id ORDER BY path.step LIMIT 1");
        let query = sqlx::query::<Sqlite>(AssertSqlSafe(sql)).bind(last.bytes().to_vec()).bind(i64::from(most));
        let row = query.fetch_optional(&mut self.connection).await;
        let read = row.and_then(|row| row.as_ref().map(read_summary).transpose());
        read.map_err(|error| self.wrong(&error))
    }
}

/// What a turn says in words.
fn said(turn: &TurnRow) -> impl Iterator<Item = &str> {
    let messages = turn.asked.iter().chain(&turn.answered);
    messages.flat_map(|message: &Message| &message.parts).filter_map(|part| match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } | Content::Reasoning { text, .. } => Some(text.as_str()),
        Content::ToolCall { arguments, .. } => Some(arguments.as_str()),
        _ => None,
    })
}
