//! The OpenAI family: a file of lines is uploaded, a batch is made of it, and its answers are files again.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::Outgoing;
use super::super::operation::multipart;
use super::{
    Answer, Batch, Content, Label, Listed, Outcome, Place, State, Status, cancelled, check_id, expired, missing, post, post_as,
    put_line, read_value, told,
};
use crate::catalog::Quirks;
use crate::error::{Error, Kind, Result};
use crate::ir::File;
use crate::json;

/// Batches of lines for this endpoint.
pub(super) struct Files {
    endpoint: &'static str,
}

pub(super) static CHAT: Files = Files { endpoint: "/v1/chat/completions" };
pub(super) static RESPONSES: Files = Files { endpoint: "/v1/responses" };

/// Under which our name stands among a batch's metadata.
const NAME: &str = "trunkline";

#[derive(Deserialize, Default)]
#[serde(default)]
struct Row {
    id: String,
    status: String,
    input_file_id: Option<String>,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    request_counts: Option<Value>,
    metadata: Option<Value>,
    errors: Option<Value>,
}

impl Row {
    fn name(&self) -> Option<String> {
        self.metadata.as_ref()?.get(NAME)?.as_str().map(str::to_owned)
    }

    fn done(&self) -> u64 {
        let count = |key: &str| self.request_counts.as_ref()?.get(key)?.as_u64();
        count("completed").unwrap_or(0).saturating_add(count("failed").unwrap_or(0))
    }

    /// Why it was not begun: the first reasons.
    fn refusal(&self) -> Error {
        let listed = self.errors.as_ref().map(|errors| errors.get("data").unwrap_or(errors));
        let reasons = listed.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text = |reason: &Value, key: &str| reason.get(key).and_then(Value::as_str).map(str::to_owned);
        let words = reasons.iter().take(3).filter_map(|reason| {
            let line = reason.get("line").and_then(Value::as_u64).map(|line| format!(" (its line {line})")).unwrap_or_default();
            Some(format!("{}{line}", text(reason, "message")?))
        });
        let words = words.collect::<Vec<_>>().join("; ");
        let code = reasons.iter().find_map(|reason| text(reason, "code")).unwrap_or_else(|| "batch_failed".to_owned());
        // Too much waits at the provider already: the one refusal that passes by itself.
        let kind = if code.contains("limit_exceeded") { Kind::RateLimited } else { Kind::BadRequest };
        let words = if words.is_empty() { "the batch was refused without a reason".to_owned() } else { words };
        told(kind, &code, words)
    }
}

fn path_of(file: &str) -> Result<Place> {
    Ok(Place::Path(format!("/files/{}/content", check_id(file)?)))
}

impl Batch for Files {
    fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    fn push(&self, part: &mut Vec<u8>, key: &str, endpoint: &str, body: &[u8]) {
        let (key, url) = (json::quote(key), json::quote(endpoint));
        part.extend_from_slice(format!("{{\"custom_id\":{key},\"method\":\"POST\",\"url\":{url},\"body\":").as_bytes());
        put_line(part, body);
        part.extend_from_slice(b"}\n");
    }

    fn write_file(&self, part: &[u8]) -> Option<Outgoing> {
        let file = File { name: "batch.jsonl".to_owned(), media: "application/jsonl".to_owned(), bytes: part.to_vec() };
        let (media, body) = multipart::write(&[("purpose", "batch".to_owned())], &[("file", &file)]);
        Some(post_as("/files", &media, body))
    }

    fn write_part(&self, label: &Label<'_>, content: Content<'_>, _: &Quirks) -> Result<Outgoing> {
        let Content::File(file) = content else { return Err(Error::bad_request("a batch is made of a file")) };
        let body = json!({ "input_file_id": file, "endpoint": label.endpoint, "completion_window": "24h",
                           "metadata": { NAME: label.name } });
        Ok(post("/batches".to_owned(), body.to_string().into_bytes()))
    }

    fn status_path(&self, id: &str, _: &Quirks) -> String {
        format!("/batches/{id}")
    }

    fn read_status(&self, body: &[u8], _: &Quirks) -> Result<Status> {
        let row: Row = read_value(body, "a batch")?;
        let state = match row.status.as_str() {
            "failed" => State::Refused(Box::new(row.refusal())),
            "completed" => State::Ended(Box::new(missing())),
            "expired" => State::Ended(Box::new(expired())),
            "cancelled" => State::Ended(Box::new(cancelled())),
            _ => State::Going,
        };
        let files = [&row.output_file_id, &row.error_file_id].into_iter().flatten().filter(|file| !file.is_empty());
        let results = files.map(|file| path_of(file)).collect::<Result<_>>()?;
        Ok(Status { id: check_id(&row.id)?, state, done: row.done(), results })
    }

    fn list_path(&self, after: Option<&str>, _: &Quirks) -> Option<String> {
        Some(after.map_or_else(|| "/batches?limit=100".to_owned(), |after| format!("/batches?limit=100&after={after}")))
    }

    fn read_list(&self, body: &[u8]) -> Result<Listed> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            data: Vec<Row>,
            #[serde(default)]
            has_more: bool,
        }
        let page: Page = read_value(body, "a list of batches")?;
        let last = page.data.last().map(|row| row.id.clone());
        // Not everybody who takes metadata keeps it; the file is ours alone, too.
        let marks = |row: &Row| row.name().into_iter().chain(row.input_file_id.clone()).collect::<Vec<_>>();
        let named = page.data.iter().filter_map(|row| Some((marks(row), check_id(&row.id).ok()?))).collect();
        Ok(Listed { named, after: last.filter(|id| page.has_more && check_id(id).is_ok()) })
    }

    fn read_answer(&self, line: &[u8]) -> Result<Answer> {
        #[derive(Deserialize)]
        struct Line<'a> {
            custom_id: String,
            #[serde(borrow, default)]
            response: Option<Response<'a>>,
            #[serde(default)]
            error: Option<Value>,
        }
        #[derive(Deserialize)]
        struct Response<'a> {
            #[serde(default)]
            status_code: Option<u16>,
            #[serde(borrow, default)]
            body: Option<&'a RawValue>,
        }
        let Line { custom_id, response, error } = read_value(line, "a line of a batch")?;
        let body = response.as_ref().and_then(|response| response.body).map(|body| body.get().as_bytes().to_vec());
        let status = response.and_then(|response| response.status_code).unwrap_or(200);
        let outcome = match (body, error) {
            (Some(body), _) if (200..300).contains(&status) => Outcome::Reply(body),
            (Some(body), _) => Outcome::Refusal(status, body),
            (None, Some(error)) if !error.is_null() => Outcome::Lost(Box::new(read_lost(&error))),
            (None, _) => Outcome::Lost(Box::new(missing())),
        };
        Ok(Answer { key: custom_id, outcome })
    }
}

fn read_lost(error: &Value) -> Error {
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    match text("code").unwrap_or_default() {
        "batch_expired" => expired(),
        "batch_cancelled" => cancelled(),
        code => told(Kind::BadRequest, code, text("message").unwrap_or("the provider refused this line without a reason")),
    }
}
