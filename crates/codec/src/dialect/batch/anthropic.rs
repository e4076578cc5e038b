//! Anthropic messages: a batch is one request with all lines in it, its answers are one file.
//!
//! A batch carries no name of ours, so one whose id got lost cannot be found again.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Outgoing;
use super::{
    Answer, Batch, Content, Label, Listed, Outcome, Place, State, Status, cancelled, check_id, expired, missing, post, put_line,
    read_value,
};
use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::json;

pub(super) struct Messages;

const PATH: &str = "/v1/messages/batches";

#[derive(Deserialize, Default)]
#[serde(default)]
struct Counts {
    succeeded: u64,
    errored: u64,
    canceled: u64,
    expired: u64,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(default)]
    processing_status: String,
    #[serde(default)]
    request_counts: Option<Counts>,
}

impl Batch for Messages {
    fn push(&self, part: &mut Vec<u8>, key: &str, _: &str, body: &[u8]) {
        if !part.is_empty() {
            part.push(b',');
        }
        part.extend_from_slice(format!("{{\"custom_id\":{},\"params\":", json::quote(key)).as_bytes());
        put_line(part, body);
        part.push(b'}');
    }

    fn write_part(&self, _: &Label<'_>, content: Content<'_>, _: &Quirks) -> Result<Outgoing> {
        let Content::Lines(lines) = content else { return Err(Error::bad_request("a batch is made of lines")) };
        Ok(post(PATH.to_owned(), [&b"{\"requests\":["[..], lines, b"]}"].concat()))
    }

    fn status_path(&self, id: &str, _: &Quirks) -> String {
        format!("{PATH}/{id}")
    }

    fn read_status(&self, body: &[u8], _: &Quirks) -> Result<Status> {
        let row: Row = read_value(body, "a batch")?;
        let id = check_id(&row.id)?;
        let counts = row.request_counts.unwrap_or_default();
        let ended = row.processing_status == "ended";
        // The address that is told may be another host's; this path is the interface's own.
        let results = if ended { vec![Place::Path(format!("{PATH}/{id}/results"))] } else { Vec::new() };
        let done = [counts.succeeded, counts.errored, counts.canceled, counts.expired].iter().sum();
        let state = if ended { State::Ended(Box::new(missing())) } else { State::Going };
        Ok(Status { id, state, done, results })
    }

    fn list_path(&self, _: Option<&str>, _: &Quirks) -> Option<String> {
        None
    }

    fn read_list(&self, _: &[u8]) -> Result<Listed> {
        Ok(Listed::default())
    }

    fn read_answer(&self, line: &[u8]) -> Result<Answer> {
        #[derive(Deserialize)]
        struct Line<'a> {
            custom_id: String,
            #[serde(borrow)]
            result: Told<'a>,
        }
        #[derive(Deserialize)]
        struct Told<'a> {
            #[serde(rename = "type", default)]
            kind: String,
            #[serde(borrow, default)]
            message: Option<&'a RawValue>,
            #[serde(borrow, default)]
            error: Option<&'a RawValue>,
        }
        let Line { custom_id: key, result } = read_value(line, "a line of a batch")?;
        let bytes = |raw: &RawValue| raw.get().as_bytes().to_vec();
        let outcome = match (result.kind.as_str(), result.message, result.error) {
            ("succeeded", Some(message), _) => Outcome::Reply(bytes(message)),
            // The status is not told; the type word says more than it would.
            ("errored", _, Some(error)) => Outcome::Refusal(status(error), bytes(error)),
            ("expired", ..) => Outcome::Lost(Box::new(expired())),
            ("canceled", ..) => Outcome::Lost(Box::new(cancelled())),
            _ => Outcome::Lost(Box::new(missing())),
        };
        Ok(Answer { key, outcome })
    }
}

/// The status that goes with an error's type word.
fn status(error: &RawValue) -> u16 {
    let value: serde_json::Value = serde_json::from_str(error.get()).unwrap_or_default();
    match value.pointer("/error/type").and_then(serde_json::Value::as_str).unwrap_or_default() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        _ => 500,
    }
}
