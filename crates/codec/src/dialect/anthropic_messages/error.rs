//! Errors: a provider's read, ours written.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::{advice, phrase};
use crate::error::{Error, Kind, Origin};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    // What gateways in front of a provider say instead.
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
    details: Option<Details>,
    /// Not of this dialect, but of many who imitate it.
    code: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    error_code: Option<String>,
}

/// Reads an error answer; any body will do.
pub(super) fn read_error(status: u16, body: &[u8]) -> Error {
    build(Some(status), read_object(body), body)
}

/// Reads an error that came inside an answer whose status said that all was well.
pub(super) fn read_inband_error(body: &[u8]) -> Error {
    advice::read_within(build(None, read_object(body), body), body)
}

fn read_object(body: &[u8]) -> Object {
    let Ok(body) = serde_json::from_slice::<Body<'_>>(body) else {
        return Object { message: read_plain(body), ..Object::default() };
    };
    let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
    let mut object = match body.error {
        Some(raw) => {
            serde_json::from_str::<Object>(raw.get()).unwrap_or_else(|_| Object { message: text(raw), ..Object::default() })
        }
        None => Object::default(),
    };
    let elsewhere = || body.message.and_then(text).or_else(|| body.detail.and_then(text));
    object.message = object.message.filter(|message| !message.is_empty()).or_else(elsewhere);
    object
}

/// A short text that is no page of HTML is a message.
fn read_plain(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    (!text.is_empty() && text.len() <= 500 && !text.starts_with(['<', '{', '['])).then(|| text.to_owned())
}

fn build(status: Option<u16>, object: Object, body: &[u8]) -> Error {
    let code = object.details.and_then(|details| details.error_code).or(match object.code {
        Some(Value::String(code)) => Some(code),
        Some(Value::Number(code)) => Some(code.to_string()),
        _ => None,
    });
    let word = object.kind.as_deref().unwrap_or_default();
    let message = object.message.unwrap_or_else(|| match (status, word) {
        (Some(status), "") => format!("the provider answered with HTTP {status} and did not say why"),
        (_, "") => "the provider reported an error and did not say which".to_owned(),
        (_, word) => word.to_owned(),
    });
    let kind = classify(status, word, code.as_deref(), &message);
    let mut error = Error::new(kind, Origin::Provider, message).with_raw(body);
    error.status = Some(status.unwrap_or_else(|| usual_status(word, kind)));
    error.code = code.or_else(|| object.kind.filter(|word| !word.is_empty()));
    error
}

/// The kind by the code, then by the type word, then by the status; what is only called invalid by what the text says.
fn classify(status: Option<u16>, word: &str, code: Option<&str>, message: &str) -> Kind {
    match code {
        Some("enforced_spend_limit_reached" | "contract_spend_limit_reached") => return Kind::QuotaExhausted,
        Some("request_body_too_large_after_decoding") => return Kind::TooLarge,
        _ => {}
    }
    let kind = match word {
        "invalid_request_error" => Kind::BadRequest,
        "authentication_error" => Kind::Unauthenticated,
        "billing_error" => Kind::QuotaExhausted,
        "permission_error" => Kind::Forbidden,
        "not_found_error" => Kind::NotFound,
        "conflict_error" => Kind::Conflict,
        "request_too_large" => Kind::TooLarge,
        "rate_limit_error" => Kind::RateLimited,
        "api_error" => Kind::Server,
        "timeout_error" => Kind::Timeout,
        "overloaded_error" => Kind::Overloaded,
        _ => Kind::from_status(status.unwrap_or(500)),
    };
    if kind != Kind::BadRequest {
        return kind;
    }
    if message.to_ascii_lowercase().contains("content filtering policy") {
        return Kind::Filtered;
    }
    phrase::read(message).unwrap_or(kind)
}

/// The status that goes with a type word.
fn usual_status(word: &str, kind: Kind) -> u16 {
    match word {
        "overloaded_error" => 529,
        "billing_error" => 402,
        _ => kind.words().status,
    }
}

#[derive(Serialize)]
struct Out<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: OutObject<'a>,
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct OutObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<OutDetails<'a>>,
}

#[derive(Serialize)]
struct OutDetails<'a> {
    error_code: &'a str,
    unsupported: Vec<&'a str>,
}

/// A request that leaves its history with the provider. In another lane there is nobody who has it: the official SDK
/// sends the whole conversation instead when it is told so by this code.
pub(super) const THREAD_UNSUPPORTED: &str = "thread_unsupported_request";

/// Writes an error's body.
pub(super) fn write_error(error: &Error, request_id: &str) -> Vec<u8> {
    let details = error.code.as_deref().filter(|code| *code == THREAD_UNSUPPORTED);
    let out = Out {
        kind: "error",
        error: OutObject {
            kind: error.caller_words().anthropic_type,
            message: Cow::Owned(error.caller_message()),
            details: details.map(|error_code| OutDetails { error_code, unsupported: vec!["thread"] }),
        },
        request_id: (!request_id.is_empty()).then_some(request_id),
    };
    serde_json::to_vec(&out).unwrap_or_default()
}

/// Writes the frame that ends a broken stream.
pub(super) fn write_error_frame(error: &Error, request_id: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: error\ndata: ");
    out.extend_from_slice(&write_error(error, request_id));
    out.extend_from_slice(b"\n\n");
}
