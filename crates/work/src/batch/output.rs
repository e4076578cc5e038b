//! The lines of the output, in the shape of OpenAI's batch output:
//! `{"id", "custom_id", "response": {"status_code", "request_id", "body"} | null, "error": {"code", "message"} | null}`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::RawValue;
use trunkline::codec::dialect::{Cx, Dialect, Framing};
use trunkline::{Error, Reply};

use super::journal::Mark;

/// Whose line it is, and how its answers are written.
pub(super) struct Sender<'a> {
    pub(super) mark: Mark,
    pub(super) custom_id: &'a str,
    pub(super) dialect: Option<&'static Dialect>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    custom_id: &'a str,
    response: Option<Answer<'a>>,
    error: Option<Fault<'a>>,
}

#[derive(Serialize)]
struct Answer<'a> {
    status_code: u16,
    request_id: &'a str,
    body: Box<RawValue>,
}

#[derive(Serialize)]
struct Fault<'a> {
    code: &'a str,
    message: &'a str,
}

impl Sender<'_> {
    /// The same whenever it is asked for.
    fn id(&self) -> String {
        format!("batch_req_{:08}{:08x}", self.mark.number, self.mark.crc)
    }

    /// With an answer.
    pub(super) fn answered(&self, reply: &Reply) -> String {
        let id = self.id();
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let cx = Cx {
            id: format!("{:012}{:012x}", self.mark.number, self.mark.crc),
            request_id: id.clone(),
            created,
            model: reply.target.clone(),
            framing: Framing::Sse,
            stream_usage: true,
            asked: None,
        };
        let body = self.dialect.map(|dialect| dialect.downstream().write_response(&reply.response, &cx));
        let answer = Answer { status_code: 200, request_id: &id, body: raw(&body.unwrap_or_default()) };
        self.write(&id, Some(answer), None)
    }

    /// With an error.
    pub(super) fn failed(&self, error: &Error) -> String {
        let id = self.id();
        let body = self.dialect.map(|dialect| dialect.downstream().write_error(error, &id));
        let status = error.status.unwrap_or_else(|| error.caller_status());
        let answer = Answer { status_code: status, request_id: &id, body: raw(&body.unwrap_or_default()) };
        let message = error.caller_message();
        self.write(&id, Some(answer), Some(Fault { code: error.class(), message: &message }))
    }

    /// Without either: what became of it is not known.
    pub(super) fn doubtful(&self) -> String {
        let message = "the run ended after this line had been sent and before an answer was recorded; it was not sent again";
        self.write(&self.id(), None, Some(Fault { code: "in_doubt", message }))
    }

    fn write(&self, id: &str, response: Option<Answer<'_>>, error: Option<Fault<'_>>) -> String {
        let row = Row { id, custom_id: self.custom_id, response, error };
        serde_json::to_string(&row).unwrap_or_default()
    }
}

/// JSON on one line.
fn raw(body: &[u8]) -> Box<RawValue> {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    // Line breaks stand between tokens only: those within texts are escaped.
    let text = if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text.to_owned() };
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
