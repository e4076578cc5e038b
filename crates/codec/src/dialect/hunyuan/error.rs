//! Errors: `{"Response":{"Error":{"Code":"AuthFailure.SignatureExpire","Message":"…"},"RequestId":"…"}}`, and within a
//! stream `{"ErrorMsg":{"Code":4001,"Msg":"…"}}`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::advice;
use super::super::native::with_status;
use super::super::openai_chat::error;
use super::super::openai_chat::wire::Scalar;
use crate::error::{Error, Kind, Origin};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Said<'a> {
    #[serde(borrow)]
    code: Option<Scalar<'a>>,
    #[serde(borrow)]
    message: Option<Scalar<'a>>,
    #[serde(borrow)]
    msg: Option<Scalar<'a>>,
}

/// Beginnings of codes and what they mean; the first that fits counts.
const CODES: &[(&str, Kind)] = &[
    ("AuthFailure.UnauthorizedOperation", Kind::Forbidden),
    ("AuthFailure", Kind::Unauthenticated),
    ("UnauthorizedOperation", Kind::Forbidden),
    ("FailedOperation.UserUnAuthError", Kind::Forbidden),
    ("RequestLimitExceeded", Kind::RateLimited),
    ("LimitExceeded", Kind::RateLimited),
    ("FailedOperation.EngineServerLimitExceeded", Kind::RateLimited),
    ("FailedOperation.EngineRequestTimeout", Kind::Timeout),
    ("FailedOperation.FreeResourcePackExhausted", Kind::QuotaExhausted),
    ("FailedOperation.ResourcePackExhausted", Kind::QuotaExhausted),
    ("FailedOperation.ServiceNotActivated", Kind::QuotaExhausted),
    ("FailedOperation.ServiceStop", Kind::QuotaExhausted),
    ("FailedOperation.SetPayModeExceed", Kind::QuotaExhausted),
    ("ResourceInsufficient", Kind::QuotaExhausted),
    ("ResourceUnavailable.NotExist", Kind::NotFound),
    ("ResourceUnavailable", Kind::QuotaExhausted),
    ("InternalError", Kind::Server),
    ("FailedOperation", Kind::Server),
    ("OperationDenied", Kind::Filtered),
    ("InvalidParameterValue.Model", Kind::NotFound),
    ("Invalid", Kind::BadRequest),
    ("MissingParameter", Kind::BadRequest),
    ("UnknownParameter", Kind::BadRequest),
    ("UnsupportedOperation", Kind::BadRequest),
];

/// Reads an error object that came with status 200; `body` is all of what came.
pub(super) fn read_error_within(object: &str, body: &[u8]) -> Error {
    let said: Said<'_> = serde_json::from_str(object).unwrap_or_default();
    let code = said.code.as_ref().and_then(Scalar::word);
    let known = code.as_deref().and_then(|code| CODES.iter().find(|(front, _)| code.starts_with(front)));
    let message = said.message.or(said.msg).as_ref().and_then(Scalar::word).filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| "the provider reported an error without a message".to_owned());
    let mut error = Error::new(known.map_or(Kind::Server, |(_, kind)| *kind), Origin::Provider, message).with_raw(body);
    error.code = code;
    advice::read_within(error, body)
}

/// Reads an error answer with a status of its own, as gateways before the service give.
pub(super) fn read_error(status: u16, body: &[u8]) -> Error {
    let within = serde_json::from_slice::<Value>(body).ok().and_then(|value| value.get("Response")?.get("Error").cloned());
    match within.and_then(|object| RawValue::from_string(object.to_string()).ok()) {
        Some(object) => with_status(read_error_within(object.get(), body), status),
        None => error::read_error(status, body),
    }
}
