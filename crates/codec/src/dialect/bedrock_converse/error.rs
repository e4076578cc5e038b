//! Errors: an exception's name in a header (or in `__type`), its words in `message`; within a stream, a message of the type
//! `exception`.

use std::borrow::Cow;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::{advice, phrase};
use crate::error::{Error, Kind, Origin};
use crate::frame::event_stream::{Value as Header, write_header, write_message};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body<'a> {
    #[serde(rename = "__type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(rename = "Message", borrow)]
    capital: Option<&'a RawValue>,
    #[serde(rename = "originalMessage", borrow)]
    original: Option<&'a RawValue>,
}

/// Reads an error answer; any body will do.
pub(super) fn read_error(status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    build(Some(status), header("x-amzn-errortype").unwrap_or_default(), body)
}

/// Reads an error that came in spite of status 200: `name` is the exception's, if the stream told it.
pub(super) fn read_inside(name: &str, body: &[u8]) -> Error {
    advice::read_within(build(None, name, body), body)
}

fn build(status: Option<u16>, name: &str, body: &[u8]) -> Error {
    let parsed = serde_json::from_slice::<Body<'_>>(body).unwrap_or_default();
    let text = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let word = match name {
        "" | "error" => parsed.kind.map(Cow::into_owned).or_else(|| text(parsed.code)).unwrap_or_default(),
        name => name.to_owned(),
    };
    // `ThrottlingException:http://…`, `com.amazonaws.bedrock#ThrottlingException`
    let word = word.split(':').next().unwrap_or_default();
    let word = word.rsplit('#').next().unwrap_or_default().trim();
    let words = text(parsed.message).or_else(|| text(parsed.capital)).filter(|words| !words.is_empty());
    let message = words.or_else(|| text(parsed.original)).or_else(|| read_plain(body)).unwrap_or_else(|| match (status, word) {
        (Some(status), "") => format!("the provider answered with HTTP {status} and did not say why"),
        (None, "") => "the provider reported an error and did not say which".to_owned(),
        (_, word) => word.to_owned(),
    });
    let (kind, usual) = classify(status, word, &message);
    let mut error = Error::new(kind, Origin::Provider, message).with_raw(body);
    error.status = Some(status.unwrap_or(usual));
    error.code = (!word.is_empty()).then(|| word.to_owned());
    error
}

/// A short text that is no page of HTML is a message.
fn read_plain(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    (!text.is_empty() && text.len() <= 500 && !text.starts_with(['<', '{', '['])).then(|| text.to_owned())
}

/// The kind by the exception's name, else by the status; and the status that goes with it.
fn classify(status: Option<u16>, word: &str, message: &str) -> (Kind, u16) {
    // Exceptions are capitalised in headers and not in streams.
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let table = [
        ("ValidationException", Kind::BadRequest, 400),
        ("ServiceQuotaExceededException", Kind::QuotaExhausted, 400),
        ("ConflictException", Kind::Conflict, 400),
        ("AccessDeniedException", Kind::Forbidden, 403),
        ("UnrecognizedClientException", Kind::Unauthenticated, 403),
        ("ExpiredTokenException", Kind::Unauthenticated, 403),
        ("InvalidSignatureException", Kind::Unauthenticated, 403),
        ("IncompleteSignatureException", Kind::Unauthenticated, 403),
        ("MissingAuthenticationTokenException", Kind::Unauthenticated, 403),
        ("ResourceNotFoundException", Kind::NotFound, 404),
        ("UnknownOperationException", Kind::NotFound, 404),
        ("ModelTimeoutException", Kind::Timeout, 408),
        ("ModelErrorException", Kind::Server, 424),
        ("ModelStreamErrorException", Kind::Server, 424),
        ("ThrottlingException", Kind::RateLimited, 429),
        ("ModelNotReadyException", Kind::Overloaded, 429),
        ("InternalServerException", Kind::Server, 500),
        ("ServiceUnavailableException", Kind::Overloaded, 503),
    ];
    let known = table.iter().find(|(name, ..)| is(name)).map(|(_, kind, status)| (*kind, *status));
    let (kind, usual) = known.unwrap_or_else(|| match status {
        Some(424) => (Kind::Server, 424),
        Some(status) => (Kind::from_status(status), status),
        None => (Kind::Server, 500),
    });
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match kind {
        Kind::BadRequest => (phrase::read(&message).unwrap_or(kind), usual),
        Kind::RateLimited if says(&["tokens per day", "daily"]) => (Kind::QuotaExhausted, usual),
        kind => (kind, usual),
    }
}

#[derive(Serialize)]
struct Out<'a> {
    message: &'a str,
}

/// The exception's name for a caller.
pub(super) fn word(error: &Error) -> &'static str {
    match error.caller_status() {
        // A provider that rejects our credential is no business of the caller's.
        502 if matches!(error.kind, Kind::Unauthenticated | Kind::Forbidden | Kind::QuotaExhausted) => {
            Kind::Network.bedrock_exception()
        }
        _ => error.kind.bedrock_exception(),
    }
}

/// Writes an error's body; the exception's name stands in a header.
pub(super) fn write_error(error: &Error) -> Vec<u8> {
    serde_json::to_vec(&Out { message: &error.caller_message() }).unwrap_or_default()
}

/// Writes the message that ends a broken stream: one of the five exceptions that a stream may hold.
pub(super) fn write_exception(error: &Error, out: &mut Vec<u8>) {
    let name = match word(error) {
        "ThrottlingException" | "ServiceQuotaExceededException" => "throttlingException",
        "ValidationException" | "ConflictException" | "AccessDeniedException" | "ResourceNotFoundException" => {
            "validationException"
        }
        "ServiceUnavailableException" | "ModelNotReadyException" => "serviceUnavailableException",
        "InternalServerException" => "internalServerException",
        _ => "modelStreamErrorException",
    };
    let mut headers = Vec::with_capacity(96);
    write_header(":exception-type", Header::Text(name), &mut headers);
    write_header(":content-type", Header::Text("application/json"), &mut headers);
    write_header(":message-type", Header::Text("exception"), &mut headers);
    let body = write_error(error);
    write_message(&headers, out, |out| out.extend_from_slice(&body));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_named_in_a_header_or_in_the_body() {
        let mut headers = HeaderMap::new();
        let body = br#"{"message":"slow down"}"#;
        headers.insert("x-amzn-errortype", "ThrottlingException:http://internal/x".parse().unwrap());
        let error = read_error(429, &headers, body);
        assert_eq!((error.kind, error.code.as_deref()), (Kind::RateLimited, Some("ThrottlingException")));
        let body = br#"{"__type":"com.amazon.coral#ExpiredTokenException","Message":"old"}"#;
        let error = read_error(403, &HeaderMap::new(), body);
        assert_eq!((error.kind, error.message.as_str()), (Kind::Unauthenticated, "old"));
        let error = read_error(400, &HeaderMap::new(), br#"{"message":"Input is too long for requested model."}"#);
        assert_eq!(error.kind, Kind::ContextTooLong);
        assert_eq!(read_error(424, &HeaderMap::new(), b"<html>").kind, Kind::Server);
    }
}
