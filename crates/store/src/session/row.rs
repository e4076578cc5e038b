//! What is stored of a conversation.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use trunkline_codec::ir::Message;

use crate::id::Id;
use crate::logs::count;
use crate::row::Word;

/// A session: a name for a place in a conversation, and how it goes on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Its name, which whoever made it chose.
    pub id: String,
    /// What it is about; may be empty.
    pub title: String,
    /// When it was made: microseconds since 1970 in UTC.
    pub created_us: u64,
    /// When it was changed last.
    pub updated_us: u64,
    /// Which of our keys its caller has.
    pub key_id: Option<String>,
    /// Whose it is, as the caller says.
    pub user_id: Option<String>,
    /// The model's name that it asks, if none is named.
    pub model: Option<String>,
    /// Instructions before the conversation.
    pub system: Option<String>,
    /// What of the history the next call gets, in words.
    pub kept: Option<String>,
    /// Its last turn; `None` when there is none yet.
    pub head: Option<Id>,
    /// The session that it was branched off.
    pub branch_of: Option<String>,
    /// Whether a program on this machine has made it: then no caller of the gateway goes on with it.
    #[serde(default)]
    pub local: bool,
}

/// A turn: what was asked, and what was answered to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnRow {
    /// Made when it is kept.
    pub id: Id,
    /// The turn before it: what it was an answer to has all turns up to that one.
    pub parent: Option<Id>,
    /// The session that it was made in; empty for one that only an answer's id names.
    pub session: String,
    /// The id that the caller knows the answer by, where answers have one. No two turns have the same.
    pub response_id: Option<String>,
    /// Which of our keys the caller has.
    pub key_id: Option<String>,
    /// For whom it was made, as the caller says.
    pub user_id: Option<String>,
    /// When it began: microseconds since 1970 in UTC.
    pub begun_us: u64,
    /// How long the answer took, in microseconds.
    pub elapsed_us: u64,
    /// The model's name as asked for.
    pub model: String,
    /// Who answered, `provider/model`. State that only its maker understands is for this provider alone.
    pub target: Option<String>,
    /// The model's name as the answer told it.
    #[serde(default)]
    pub told_model: Option<String>,
    /// What was new: the question, or the results of tools.
    pub asked: Vec<Message>,
    /// The answer, or as much of it as had come; `None` when nothing had.
    pub answered: Option<Message>,
    /// Why the answer ended: `stop`, `tool_calls`, `length`, …; `None` when it did not come to its end.
    pub finish: Option<Word>,
    /// The kind of the error that it ended with.
    pub error: Option<Word>,
    /// Tokens of the whole prompt; `None` means that nobody said.
    pub input: Option<u64>,
    /// Tokens of the answer.
    pub output: Option<u64>,
    /// Whether the tokens are a guess and not the provider's figures.
    pub usage_estimated: bool,
    /// Millionths of a currency's unit.
    pub cost_micros: Option<u64>,
    /// Such as `USD`.
    pub currency: Option<Word>,
}

/// What all turns up to and with one come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The last turn that is in it.
    pub turn: Id,
    /// When it was made: microseconds since 1970 in UTC.
    pub made_us: u64,
    /// Who made it, `provider/model`.
    pub target: Option<String>,
    /// In words.
    pub text: String,
}

impl SessionRow {
    /// A session without turns.
    pub fn new(id: impl Into<String>, made_us: u64) -> Self {
        SessionRow { id: id.into(), created_us: made_us, updated_us: made_us, ..SessionRow::default() }
    }
}

impl TurnRow {
    /// A turn of which nothing is known but its id.
    pub fn new(id: Id) -> Self {
        TurnRow {
            id,
            parent: None,
            session: String::new(),
            response_id: None,
            key_id: None,
            user_id: None,
            begun_us: 0,
            elapsed_us: 0,
            model: String::new(),
            target: None,
            told_model: None,
            asked: Vec::new(),
            answered: None,
            finish: None,
            error: None,
            input: None,
            output: None,
            usage_estimated: false,
            cost_micros: None,
            currency: None,
        }
    }

    /// Whether the answer did not come to its end.
    pub const fn is_partial(&self) -> bool {
        self.finish.is_none()
    }
}

type Read<T> = Result<T, sqlx::Error>;

pub(super) fn read_id(row: &SqliteRow, name: &str) -> Read<Option<Id>> {
    let bytes = row.try_get::<Option<Vec<u8>>, _>(name)?;
    let read = |bytes: Vec<u8>| Id::from_bytes(&bytes).ok_or_else(|| sqlx::Error::Decode("an id that is none".into()));
    bytes.map(read).transpose()
}

pub(super) fn whole_id(row: &SqliteRow, name: &str) -> Read<Id> {
    read_id(row, name)?.ok_or_else(|| sqlx::Error::Decode("an id is missing".into()))
}

pub(super) fn read_session(row: &SqliteRow) -> Read<SessionRow> {
    Ok(SessionRow {
        id: row.try_get("id")?,
        title: row.try_get("title")?,
        created_us: count(row.try_get("created_us")?),
        updated_us: count(row.try_get("updated_us")?),
        key_id: row.try_get("key_id")?,
        user_id: row.try_get("user_id")?,
        model: row.try_get("model")?,
        system: row.try_get("system")?,
        kept: row.try_get("kept")?,
        head: read_id(row, "head")?,
        branch_of: row.try_get("branch_of")?,
        local: row.try_get("local")?,
    })
}

pub(super) fn read_turn(row: &SqliteRow) -> Read<TurnRow> {
    let figure = |name| row.try_get::<Option<i64>, _>(name).map(|number| number.map(count));
    let word = |name| row.try_get::<Option<String>, _>(name).map(|text| text.map(Word::Owned));
    let wrong = |error: serde_json::Error| sqlx::Error::Decode(Box::new(error));
    let (asked, answered) = (row.try_get::<String, _>("asked")?, row.try_get::<String, _>("answered")?);
    Ok(TurnRow {
        id: whole_id(row, "id")?,
        parent: read_id(row, "parent")?,
        session: row.try_get("session")?,
        response_id: row.try_get("response_id")?,
        key_id: row.try_get("key_id")?,
        user_id: row.try_get("user_id")?,
        begun_us: count(row.try_get("begun_us")?),
        elapsed_us: count(row.try_get("elapsed_us")?),
        model: row.try_get("model")?,
        target: row.try_get("target")?,
        told_model: row.try_get("told_model")?,
        asked: serde_json::from_str(&asked).map_err(wrong)?,
        answered: serde_json::from_str(&answered).map_err(wrong)?,
        finish: word("finish")?,
        error: word("error")?,
        input: figure("input")?,
        output: figure("output")?,
        usage_estimated: row.try_get("usage_estimated")?,
        cost_micros: figure("cost_micros")?,
        currency: word("currency")?,
    })
}

pub(super) fn read_summary(row: &SqliteRow) -> Read<Summary> {
    let turn = whole_id(row, "turn")?;
    Ok(Summary { turn, made_us: count(row.try_get("made_us")?), target: row.try_get("target")?, text: row.try_get("text")? })
}
