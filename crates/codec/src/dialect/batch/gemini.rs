//! Gemini: a batch is one request with all lines in it, and an operation that runs long; its answers stand in what that
//! operation came to, or in a file.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::Outgoing;
use super::super::gemini::path::{self, Verb};
use super::{
    Answer, Batch, Content, Label, Listed, Outcome, Place, State, Status, cancelled, check_id, expired, missing, post, put_line,
    read_value, told,
};
use crate::catalog::Quirks;
use crate::error::{Error, Kind, Result};
use crate::json;

pub(super) struct Inlined;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Operation<'a> {
    name: String,
    done: bool,
    metadata: Option<Metadata>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    error: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    display_name: Option<String>,
    state: String,
    batch_stats: Option<Value>,
    output: Option<Value>,
}

/// Answers as they stand in an operation, in either of the places that it has for them.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Output<'a> {
    #[serde(borrow)]
    inlined_responses: Option<List<'a>>,
    responses_file: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct List<'a> {
    #[serde(borrow)]
    inlined_responses: Vec<&'a RawValue>,
}

fn version(quirks: &Quirks) -> String {
    if quirks.gemini_version.is_empty() { String::new() } else { format!("/{}", quirks.gemini_version) }
}

/// A count as it may be told: a number, or its digits in quotes.
fn count(stats: Option<&Value>, key: &str) -> u64 {
    let value = stats.and_then(|stats| stats.get(key));
    value.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok())).unwrap_or(0)
}

/// The codes of `google.rpc.Status`: number, HTTP status, word.
const CODES: [(u64, u16, &str); 12] = [
    (1, 499, "CANCELLED"),
    (3, 400, "INVALID_ARGUMENT"),
    (4, 504, "DEADLINE_EXCEEDED"),
    (5, 404, "NOT_FOUND"),
    (6, 409, "ALREADY_EXISTS"),
    (7, 403, "PERMISSION_DENIED"),
    (8, 429, "RESOURCE_EXHAUSTED"),
    (9, 400, "FAILED_PRECONDITION"),
    (10, 409, "ABORTED"),
    (11, 400, "OUT_OF_RANGE"),
    (14, 503, "UNAVAILABLE"),
    (16, 401, "UNAUTHENTICATED"),
];

/// The HTTP status and the word of an error, whose code is that of `google.rpc.Status` and not HTTP's, mostly.
fn status(error: &Value) -> (u16, &'static str) {
    let code = error.get("code").and_then(Value::as_u64).unwrap_or(0);
    let by_word = |word: &str| error.get("status").and_then(Value::as_str) == Some(word);
    let found = CODES.iter().find(|(number, http, word)| by_word(word) || *number == code || u64::from(*http) == code);
    found.map_or((500, "INTERNAL"), |(_, http, word)| (*http, word))
}

fn refusal(error: Option<&Value>) -> Error {
    let message = error.and_then(|error| error.get("message")?.as_str()).unwrap_or("the batch failed without a reason");
    let kind = error.map_or(Kind::BadRequest, |error| Kind::from_status(status(error).0));
    told(kind, "batch_failed", message)
}

impl Operation<'_> {
    fn output(&self) -> Result<Output<'_>> {
        self.response.map_or_else(|| Ok(Output::default()), |response| read_value(response.get().as_bytes(), "a batch's output"))
    }

    fn state(&self) -> State {
        let word = self.metadata.as_ref().map(|metadata| metadata.state.as_str()).unwrap_or_default();
        match word.rsplit('_').next().unwrap_or_default() {
            "SUCCEEDED" => State::Ended(Box::new(missing())),
            "EXPIRED" => State::Ended(Box::new(expired())),
            "CANCELLED" => State::Ended(Box::new(cancelled())),
            "FAILED" => State::Refused(Box::new(refusal(self.error.as_ref()))),
            _ if !self.done => State::Going,
            _ if self.error.is_some() => State::Refused(Box::new(refusal(self.error.as_ref()))),
            _ => State::Ended(Box::new(missing())),
        }
    }
}

impl Batch for Inlined {
    fn push(&self, part: &mut Vec<u8>, key: &str, _: &str, body: &[u8]) {
        if !part.is_empty() {
            part.push(b',');
        }
        part.extend_from_slice(b"{\"request\":");
        put_line(part, body);
        part.extend_from_slice(format!(",\"metadata\":{{\"key\":{}}}}}", json::quote(key)).as_bytes());
    }

    fn write_part(&self, label: &Label<'_>, content: Content<'_>, quirks: &Quirks) -> Result<Outgoing> {
        let Content::Lines(lines) = content else { return Err(Error::bad_request("a batch is made of lines")) };
        let (model, name) = (json::quote(&path::resource(label.model)), json::quote(label.name));
        let head =
            format!("{{\"batch\":{{\"displayName\":{name},\"model\":{model},\"inputConfig\":{{\"requests\":{{\"requests\":[");
        let path = path::write(label.model, Verb::GenerateBatch, quirks)?;
        Ok(post(path, [head.as_bytes(), lines, b"]}}}}"].concat()))
    }

    fn status_path(&self, id: &str, quirks: &Quirks) -> String {
        format!("{}/{id}", version(quirks))
    }

    fn read_status(&self, body: &[u8], quirks: &Quirks) -> Result<Status> {
        let operation: Operation<'_> = read_value(body, "a batch")?;
        let state = operation.state();
        let metadata = operation.metadata.as_ref();
        let stats = metadata.and_then(|metadata| metadata.batch_stats.as_ref());
        let done = count(stats, "successfulRequestCount").saturating_add(count(stats, "failedRequestCount"));
        let told = metadata.and_then(|metadata| metadata.output.as_ref()?.get("responsesFile")?.as_str()).map(str::to_owned);
        let results = match operation.output()?.responses_file.or(told) {
            Some(file) => vec![Place::Path(format!("/download{}/{}:download?alt=media", version(quirks), check_id(&file)?))],
            None => vec![Place::Status],
        };
        Ok(Status { id: check_id(&operation.name)?, state, done, results })
    }

    fn list_path(&self, after: Option<&str>, quirks: &Quirks) -> Option<String> {
        let page = after.map(|after| format!("&pageToken={after}")).unwrap_or_default();
        Some(format!("{}/batches?pageSize=100{page}", version(quirks)))
    }

    fn read_list(&self, body: &[u8]) -> Result<Listed> {
        #[derive(Deserialize, Default)]
        #[serde(default, rename_all = "camelCase")]
        struct Page<'a> {
            #[serde(borrow)]
            operations: Vec<Operation<'a>>,
            next_page_token: Option<String>,
        }
        let page: Page<'_> = read_value(body, "a list of batches")?;
        let named = page.operations.iter();
        let named = named.filter_map(|row| Some((vec![row.metadata.as_ref()?.display_name.clone()?], check_id(&row.name).ok()?)));
        let named = named.collect();
        let plain =
            |token: &String| !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=.".contains(&b));
        Ok(Listed { named, after: page.next_page_token.filter(plain) })
    }

    fn is_inlined(&self) -> bool {
        true
    }

    fn read_status_answers(&self, body: &[u8]) -> Result<Vec<Answer>> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Whole<'a> {
            #[serde(borrow)]
            response: Option<Output<'a>>,
            #[serde(borrow)]
            metadata: Option<Inside<'a>>,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Inside<'a> {
            #[serde(borrow)]
            output: Option<Output<'a>>,
        }
        let Whole { response, metadata } = read_value(body, "a batch")?;
        let lists = [response, metadata.and_then(|metadata| metadata.output)];
        let list = lists.into_iter().flatten().find_map(|output| output.inlined_responses).unwrap_or_default();
        list.inlined_responses.iter().map(|line| self.read_answer(line.get().as_bytes())).collect()
    }

    fn read_answer(&self, line: &[u8]) -> Result<Answer> {
        #[derive(Deserialize)]
        struct Line<'a> {
            #[serde(default)]
            key: Option<String>,
            #[serde(default)]
            metadata: Option<Value>,
            #[serde(borrow, default)]
            response: Option<&'a RawValue>,
            #[serde(default)]
            error: Option<Value>,
        }
        let Line { key, metadata, response, error } = read_value(line, "a line of a batch")?;
        let told = metadata.as_ref().and_then(|metadata| metadata.get("key")?.as_str()).map(str::to_owned);
        let key = told.or(key).ok_or_else(|| Error::malformed("a line of the batch does not say whose it is").with_raw(line))?;
        let outcome = match (response, error) {
            (Some(response), _) => Outcome::Reply(response.get().as_bytes().to_vec()),
            (None, Some(mut error)) => {
                let (status, word) = status(&error);
                if let Some(error) = error.as_object_mut() {
                    error.insert("code".to_owned(), Value::from(status));
                    error.insert("status".to_owned(), Value::from(word));
                }
                Outcome::Refusal(status, json!({ "error": error }).to_string().into_bytes())
            }
            (None, None) => Outcome::Lost(Box::new(missing())),
        };
        Ok(Answer { key, outcome })
    }
}
