//! Errors: `google.rpc.Status` both ways.

use std::time::Duration;

use crate::dialect::{advice, phrase};
use crate::error::{Error, Kind, Origin, Retry};
use crate::json;

use super::text::Object;
use super::wire::{Detail, Status};

/// Reads an error answer of any shape.
pub(crate) fn read(status: u16, body: &[u8]) -> Error {
    let Some(details) = find_status(body) else {
        let kind = Kind::from_status(status);
        let text = String::from_utf8_lossy(body.get(..512).unwrap_or(body)).trim().to_owned();
        let message = match text.is_empty() || text.starts_with('<') {
            true => format!("the provider answered HTTP {status} without saying why"),
            false => text,
        };
        return Error { status: Some(status), ..Error::new(kind, Origin::Provider, message) }.with_raw(body);
    };
    translate(Some(status), &details).with_raw(body)
}

/// Reads an error that came inside an answer of status 200.
pub(crate) fn read_inside(error: &[u8], body: &[u8]) -> Error {
    match parse(error) {
        Some(status) => advice::read_within(translate(None, &status).with_raw(body), body),
        None => Error::new(Kind::Server, Origin::Provider, "the provider reported an error without saying which").with_raw(body),
    }
}

/// `{"error": {…}}`, alone or in an array, or `{"error": "words"}`.
fn find_status(body: &[u8]) -> Option<Status<'_>> {
    let body = body.trim_ascii_start();
    let element = body.strip_prefix(b"[").unwrap_or(body);
    parse(element.get(json::member(element, "error")?)?)
}

fn parse(error: &[u8]) -> Option<Status<'_>> {
    if error.first() == Some(&b'"') {
        let message = serde_json::from_slice(error).ok();
        return Some(Status { message, ..Status::default() });
    }
    serde_json::from_slice(error).ok()
}

fn translate(status: Option<u16>, body: &Status<'_>) -> Error {
    let told =
        body.code.and_then(|code| code.get().trim_matches('"').parse().ok()).filter(|code: &u16| (400..600).contains(code));
    let status = status.or(told);
    let message = body.message.as_deref().unwrap_or_default();
    let word = body.status.as_deref().unwrap_or_default();
    let details: Vec<&Detail<'_>> = body.details.iter().flat_map(|list| &list.0).collect();
    let reason = details.iter().find_map(|detail| detail.reason.as_deref());
    let has_wait = details.iter().any(|detail| detail.retry_delay.is_some());
    let mut kind = classify(word, status);
    let lower = message.to_ascii_lowercase();
    match kind {
        Kind::BadRequest if is_bad_key(reason) => kind = Kind::Unauthenticated,
        Kind::BadRequest if lower.contains("input token count") && lower.contains("exceed") => kind = Kind::ContextTooLong,
        Kind::BadRequest => kind = phrase::read(message).unwrap_or(kind),
        Kind::RateLimited if is_used_up(&details, &lower, has_wait) => kind = Kind::QuotaExhausted,
        _ => {}
    }
    let mut error = Error::new(kind, Origin::Provider, message);
    if error.message.is_empty() {
        error.message = match word {
            "" => "the provider reported an error without words".to_owned(),
            word => word.to_owned(),
        };
    }
    error.status = status;
    error.code = reason.or(Some(word)).filter(|code| !code.is_empty()).map(str::to_owned);
    error.param = details
        .iter()
        .flat_map(|detail| detail.fields.iter().flat_map(|list| &list.0))
        .find_map(|violation| violation.field.as_deref().map(str::to_owned));
    error
}

fn classify(word: &str, status: Option<u16>) -> Kind {
    match word {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => match status {
            Some(413) => Kind::TooLarge,
            _ => Kind::BadRequest,
        },
        "UNAUTHENTICATED" => Kind::Unauthenticated,
        "PERMISSION_DENIED" => Kind::Forbidden,
        "NOT_FOUND" => Kind::NotFound,
        "ABORTED" | "ALREADY_EXISTS" => Kind::Conflict,
        "RESOURCE_EXHAUSTED" if status == Some(402) => Kind::QuotaExhausted,
        "RESOURCE_EXHAUSTED" => Kind::RateLimited,
        "CANCELLED" => Kind::Cancelled,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => Kind::Server,
        "UNIMPLEMENTED" => Kind::Unsupported,
        "UNAVAILABLE" => Kind::Overloaded,
        "DEADLINE_EXCEEDED" => Kind::Timeout,
        _ => Kind::from_status(status.unwrap_or(500)),
    }
}

/// A key that is not known is an invalid argument to this service.
fn is_bad_key(reason: Option<&str>) -> bool {
    reason.is_some_and(|reason| matches!(reason, "API_KEY_INVALID" | "API_KEY_EXPIRED" | "API_KEY_SERVICE_BLOCKED"))
}

/// Whether waiting a little does not help. The words "check your plan and billing details" stand in every refusal,
/// so they count only where neither a wait nor the quota's period is given.
fn is_used_up(details: &[&Detail<'_>], message: &str, has_wait: bool) -> bool {
    let mut quotas = details.iter().flat_map(|detail| detail.quota.iter().flat_map(|list| &list.0));
    let daily = quotas.any(|violation| violation.quota_id.as_deref().is_some_and(|id| id.contains("PerDay")));
    let spent = ["credits are depleted", "spending cap", "spend limit", "spending limit", "billing account"];
    daily
        || spent.iter().any(|words| message.contains(words))
        || (!has_wait && (message.contains("billing") || message.contains("prepayment")))
}

const RPC: &str = "type.googleapis.com/google.rpc.";

/// Writes an error's body.
pub(crate) fn write(error: &Error, request_id: &str) -> Vec<u8> {
    let words = error.caller_words();
    let mut out = Vec::new();
    let mut body = Object::new(&mut out);
    let mut status = body.object("error");
    status.put("code", &words.status);
    status.put("message", &error.caller_message());
    status.put("status", words.gemini_status);
    let mut details = status.list("details");
    if let Some(code) = words.openai_code.or(error.code.as_deref()) {
        let mut info = details.object();
        info.put("@type", &format!("{RPC}ErrorInfo"));
        info.put("reason", &code.to_ascii_uppercase());
        info.put("domain", "trunkline");
        info.end();
    }
    if !request_id.is_empty() {
        let mut info = details.object();
        info.put("@type", &format!("{RPC}RequestInfo"));
        info.put("requestId", request_id);
        info.end();
    }
    if let Some(param) = &error.param {
        let mut request = details.object();
        request.put("@type", &format!("{RPC}BadRequest"));
        let mut fields = request.list("fieldViolations");
        let mut field = fields.object();
        field.put("field", param);
        field.put("description", &error.message);
        field.end();
        fields.end();
        request.end();
    }
    if let Retry::After(wait) = error.retry {
        let mut retry = details.object();
        retry.put("@type", &format!("{RPC}RetryInfo"));
        retry.put("retryDelay", &write_delay(wait));
        retry.end();
    }
    details.end();
    status.end();
    body.end();
    out
}

fn write_delay(wait: Duration) -> String {
    match wait.subsec_millis() {
        0 => format!("{}s", wait.as_secs()),
        millis => format!("{}.{millis:03}s", wait.as_secs()),
    }
}
