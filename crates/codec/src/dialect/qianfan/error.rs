//! Errors: `{"error_code":336003,"error_msg":"…","id":"as-…"}`.

use serde::Deserialize;

use super::super::advice;
use super::super::native::with_status;
use super::super::openai_chat::error;
use super::super::openai_chat::wire::Scalar;
use crate::error::{Error, Kind, Origin};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    error_code: Option<Scalar<'a>>,
    #[serde(borrow)]
    error_msg: Option<Scalar<'a>>,
}

fn kind_of(code: i64) -> Kind {
    match code {
        2 | 4 | 336_100 => Kind::Overloaded,
        3 | 15 | 336_101 => Kind::NotFound,
        6 => Kind::Forbidden,
        13 | 14 | 110 | 111 | 336_004 | 336_005 => Kind::Unauthenticated,
        17 | 19 => Kind::QuotaExhausted,
        18 | 336_501 | 336_502 => Kind::RateLimited,
        336_007 | 336_103 => Kind::ContextTooLong,
        100..=109 | 112..=199 | 336_001..=336_003 | 336_006 | 336_104 | 336_105 => Kind::BadRequest,
        _ => Kind::Server,
    }
}

/// Reads an error that came with status 200.
pub(super) fn read_error_within(body: &[u8]) -> Error {
    let said: Said<'_> = serde_json::from_slice(body).unwrap_or_default();
    let code = said.error_code.as_ref().and_then(Scalar::number);
    let message = said.error_msg.as_ref().and_then(Scalar::word).filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| "the provider reported an error without a message".to_owned());
    let mut error = Error::new(code.map_or(Kind::Server, kind_of), Origin::Provider, message).with_raw(body);
    error.code = code.map(|code| code.to_string());
    advice::read_within(error, body)
}

/// Reads an error answer with a status of its own.
pub(super) fn read_error(status: u16, body: &[u8]) -> Error {
    match serde_json::from_slice::<Said<'_>>(body) {
        Ok(Said { error_code: Some(_), .. }) => with_status(read_error_within(body), status),
        _ => error::read_error(status, body),
    }
}
