//! Request bodies: received up to a limit, or refused without a reset.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use trunkline::codec::{Error, Kind, Origin};

use super::reply::ReplyBody;
use crate::shed::Held;

/// How long, and how much, of a refused body is thrown away so that its sender gets to read the answer.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 256 * 1024 * 1024;
/// A caller may not take for ever to send its request.
const PATIENCE: Duration = Duration::from_secs(60);

/// Receives a whole body of at most `limit` bytes.
///
/// # Errors
/// `TooLarge` as soon as that is known, with what is left of the body; `BadRequest` for encodings and broken bodies;
/// `Unavailable` when all requests together hold as much as they may.
pub async fn receive(
    head: &Parts,
    mut incoming: Incoming,
    limit: usize,
    held: &mut Held,
) -> Result<Bytes, (Option<Incoming>, Error)> {
    if let Err(error) = check_encoding(head) {
        return Err((Some(incoming), error));
    }
    let announced = incoming.size_hint().lower();
    if announced > limit as u64 {
        return Err((Some(incoming), too_large(limit as u64, "body_limit")));
    }
    if let Err(error) = held.grow(announced) {
        return Err((Some(incoming), error));
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(PATIENCE, incoming.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err((None, Error::bad_request("the body broke off before its end"))),
            Err(_) => {
                return Err((
                    Some(incoming),
                    Error::new(Kind::Timeout, Origin::Caller, "the body did not arrive within a minute"),
                ));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err((Some(incoming), too_large(limit as u64, "body_limit")));
        }
        if let Err(error) = held.grow((first.len() + rest.len() + data.len()) as u64) {
            return Err((Some(incoming), error));
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.reserve((announced as usize).max(first.len() + data.len()));
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// A body that is encoded could neither be looked at nor edited.
pub(super) fn check_encoding(head: &Parts) -> Result<(), Error> {
    match head.headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        None => Ok(()),
        Some(encoding) => {
            let what = format!("the body is encoded ({}); send it as it is", encoding.to_str().unwrap_or("?"));
            Err(Error::bad_request(what))
        }
    }
}

/// `key` is the setting that the limit is.
pub(super) fn too_large(limit: u64, key: &str) -> Error {
    let what = format!("the body is longer than the limit of {limit} bytes; shorten it or raise [server] {key}");
    Error::new(Kind::TooLarge, Origin::Caller, what)
}

/// Answers before the body was read: it is thrown away for a while, because closing a connection with unread bytes
/// resets it and the answer is lost.
pub fn refuse(incoming: Incoming, mut reply: Response<ReplyBody>) -> Response<ReplyBody> {
    if incoming.is_end_stream() {
        return reply;
    }
    reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    discard(incoming);
    reply
}

/// Throws away what comes, for a while.
pub(super) fn discard(incoming: Incoming) {
    tokio::spawn(async move {
        let mut incoming = incoming;
        let mut left = LINGER_BYTES;
        let discard = async {
            while let Some(Ok(frame)) = incoming.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, discard).await;
    });
}

/// [`refuse`], if there is something left to refuse.
pub fn refuse_some(incoming: Option<Incoming>, reply: Response<ReplyBody>) -> Response<ReplyBody> {
    match incoming {
        Some(incoming) => refuse(incoming, reply),
        None => reply,
    }
}
