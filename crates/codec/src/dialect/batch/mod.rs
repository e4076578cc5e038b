//! Many calls handed in at once, to be done within hours: how the dialects' makers take them, and give the answers back.
//!
//! A *part* is what is handed in together: lines of one model, each with a key of ours by which its answer is known again.
//! Everything here is bytes and values; who sends them, waits and asks again is somebody else.
//!
//! Sources: the type definitions of the official SDKs and the published OpenAPI documents.

mod anthropic;
mod gemini;
mod openai;

use http::{HeaderMap, HeaderValue, Method, header};

use super::Outgoing;
use crate::catalog::Quirks;
use crate::error::{Error, Kind, Origin, Result};
use crate::loss::Losses;

/// The interface that goes with a dialect; `None` where there is none.
pub fn find(dialect: &str) -> Option<&'static dyn Batch> {
    Some(match dialect {
        "openai-chat" => &openai::CHAT,
        "openai-responses" => &openai::RESPONSES,
        "anthropic-messages" => &anthropic::Messages,
        "gemini" => &gemini::Inlined,
        _ => return None,
    })
}

/// How batches are handed in, asked after and fetched.
pub trait Batch: Sync {
    /// What a line names as its path where the provider's data has no other.
    fn endpoint(&self) -> &'static str {
        ""
    }

    /// Appends a line to a part: a request in the dialect's form.
    fn push(&self, part: &mut Vec<u8>, key: &str, endpoint: &str, body: &[u8]);

    /// Where the lines go first, if that is not with the rest of the part: a file.
    fn write_file(&self, part: &[u8]) -> Option<Outgoing> {
        let _ = part;
        None
    }

    /// The id of that file.
    fn read_file(&self, body: &[u8]) -> Result<String> {
        read_id(body, "id")
    }

    /// Hands a part in.
    fn write_part(&self, label: &Label<'_>, content: Content<'_>, quirks: &Quirks) -> Result<Outgoing>;

    /// Where a batch is asked after.
    fn status_path(&self, id: &str, quirks: &Quirks) -> String;

    /// How a batch is.
    fn read_status(&self, body: &[u8], quirks: &Quirks) -> Result<Status>;

    /// Where batches are listed, the latest first, if ours can be told from others there. `after`: the next page.
    fn list_path(&self, after: Option<&str>, quirks: &Quirks) -> Option<String>;

    /// A page of that list, and what leads to the next.
    fn read_list(&self, body: &[u8]) -> Result<Listed>;

    /// Whether all answers stand in the status, in one reply.
    fn is_inlined(&self) -> bool {
        false
    }

    /// The answers that stand in the status itself.
    fn read_status_answers(&self, body: &[u8]) -> Result<Vec<Answer>> {
        let _ = body;
        Ok(Vec::new())
    }

    /// One line of a file of answers.
    fn read_answer(&self, line: &[u8]) -> Result<Answer>;
}

/// What a part is called, and whom it is for.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    /// By which we know it again.
    pub name: &'a str,
    /// The provider's own name for the model.
    pub model: &'a str,
    /// What its lines name as their path.
    pub endpoint: &'a str,
}

/// The lines of a part.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// In a file that is there already, by its id.
    File(&'a str),
    /// As they were pushed.
    Lines(&'a [u8]),
}

/// How a batch is.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The provider's id of it.
    pub id: String,
    /// How far it is.
    pub state: State,
    /// Lines that are done, well or not, as far as that is told.
    pub done: u64,
    /// Where answers are, once it has ended.
    pub results: Vec<Place>,
}

/// How far a batch is.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Not at its end.
    Going,
    /// At its end: what has no answer now will get none, for this reason.
    Ended(Box<Error>),
    /// It was not begun, for this reason.
    Refused(Box<Error>),
}

/// Where answers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file with an answer a line, at this path.
    Path(String),
    /// The status itself.
    Status,
}

/// A page of a list of batches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// By what we know them, a name or the id of their file, and the provider's ids.
    pub named: Vec<(Vec<String>, String)>,
    /// What leads to the next page.
    pub after: Option<String>,
}

/// What came of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The key of the line.
    pub key: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// An answer in the dialect's form.
    Reply(Vec<u8>),
    /// An error in the dialect's form, with its status.
    Refusal(u16, Vec<u8>),
    /// None: an error of the batch.
    Lost(Box<Error>),
}

/// The batch did not come to a line in time.
fn expired() -> Error {
    told(Kind::Timeout, "batch_expired", "the provider's batch ran out of time before it came to this line; send it again")
}

/// The batch was called off before it came to a line.
fn cancelled() -> Error {
    told(Kind::Cancelled, "batch_cancelled", "the provider's batch was cancelled before it came to this line; send it again")
}

/// A batch came to its end and has nothing to say of a line.
fn missing() -> Error {
    told(Kind::Malformed, "batch_without_result", "the provider's batch ended without a result for this line")
}

fn told(kind: Kind, code: &str, message: impl Into<String>) -> Error {
    Error { code: Some(code.to_owned()), ..Error::new(kind, Origin::Provider, message) }
}

fn read_value<'a, T: serde::Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T> {
    serde_json::from_slice(body).map_err(|_| Error::malformed(format!("the provider's answer is not {what}")).with_raw(body))
}

fn read_id(body: &[u8], key: &str) -> Result<String> {
    let value: serde_json::Value = read_value(body, "JSON")?;
    let id = value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    check_id(id).map_err(|error| error.with_raw(body))
}

/// An id that may stand in a path.
fn check_id(id: &str) -> Result<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    let fine =
        !id.is_empty() && id.len() <= 256 && id.bytes().all(plain) && !id.split('/').any(|part| matches!(part, "" | "." | ".."));
    if fine { Ok(id.to_owned()) } else { Err(Error::malformed("the provider's answer names no batch")) }
}

/// A request with a JSON body.
fn post(path: String, body: Vec<u8>) -> Outgoing {
    Outgoing { method: Method::POST, path, headers: HeaderMap::new(), body, losses: Losses::default() }
}

/// A request with another.
fn post_as(path: &str, media: &str, body: Vec<u8>) -> Outgoing {
    let mut outgoing = post(path.to_owned(), body);
    if let Ok(media) = HeaderValue::from_str(media) {
        outgoing.headers.insert(header::CONTENT_TYPE, media);
    }
    outgoing
}

/// JSON on one line: line breaks stand between tokens only, those within texts are escaped.
fn put_line(part: &mut Vec<u8>, json: &[u8]) {
    part.extend(json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
}
