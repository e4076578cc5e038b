//! What a reply says to the call's credential: mostly its status does, sometimes only its body.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, StatusCode, header};

use crate::client::Client;
use crate::codec::dialect;
use crate::codec::{Error, Kind, Result, Retry};
use crate::credential::Verdict;
use crate::exchange::{ERROR_LIMIT, explain};
use crate::operate::error_dialect;
use crate::target::Target;
use crate::transport::{Body, Reply};

/// A reply that was listened to.
pub(crate) struct Heard {
    /// As it came.
    pub(crate) reply: Reply,
    /// The error that it holds in spite of its status.
    pub(crate) error: Option<Error>,
    /// What it says to the credential.
    pub(crate) verdict: Verdict,
}

/// Beside 403, the statuses whose body may say that it is about the credential: some services tell of a bad key or an empty
/// account with the status of a bad request.
const READ: [StatusCode; 5] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::PAYMENT_REQUIRED,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::TOO_MANY_REQUESTS,
];

/// A longer answer is no error.
const LONGEST: usize = 64 * 1024;

/// Listens to a reply, whose body is read only where it may say more than the status does: in dialects that tell errors
/// with status 200; and where another credential or a newer form of this one may do better (`has_choice`, whether or not
/// this request can be sent again): some say of an expired token that it is forbidden, and of a busy day that it is too
/// much.
///
/// # Errors
/// When an answer that must be read breaks off, or is longer than replies may be.
pub(crate) async fn listen(reply: Reply, client: &Client, target: &Target, dialect: &str, has_choice: bool) -> Result<Heard> {
    let status = reply.status();
    if status == StatusCode::FORBIDDEN && has_choice {
        let (reply, is_over) = read_forbidden(reply).await;
        return Ok(Heard { reply, error: None, verdict: Verdict::of(status, is_over) });
    }
    if READ.contains(&status) && has_choice {
        let (reply, verdict) = read_refusal(reply, client, dialect).await;
        return Ok(Heard { reply, error: None, verdict });
    }
    let plain = |reply| Heard { reply, error: None, verdict: Verdict::of(status, false) };
    let may_hide_one = status.is_success() && is_json(reply.headers());
    let Some(dialect) = may_hide_one.then(|| dialect::find(dialect)).flatten() else { return Ok(plain(reply)) };
    if !dialect.upstream.has_errors_in_success(target.quirks()) {
        return Ok(plain(reply));
    }
    let (head, body) = reply.into_parts();
    let limit = client.config().network.reply_limit;
    let body = body.collect(limit).await.map_err(|failure| explain(&failure, target))?;
    let read = if body.len() > LONGEST { None } else { dialect.upstream.read_reply(&body, target.quirks()).err() };
    // What cannot be read is no word of the provider's; who wants the answer will say what is wrong with it.
    let error = read.filter(|error| error.kind != Kind::Malformed);
    let verdict = error.as_ref().map_or(Verdict::of(status, false), |error| judge(error, status));
    Ok(Heard { reply: Reply::from_parts(head, Body::whole(body)), error, verdict })
}

/// By what stands in the body.
fn judge(error: &Error, status: StatusCode) -> Verdict {
    let may_renew = match error.kind {
        Kind::Unauthenticated => true,
        Kind::Forbidden => false,
        _ => return judge_spent(error),
    };
    let told = error.code.as_deref().map_or_else(|| "an error".to_owned(), |code| format!("error {code}"));
    Verdict::Refused { told: format!("{told} with HTTP {}", status.as_u16()), may_renew }
}

/// Whether an error is about how much this credential may do. What is too much for the service is so for every other.
fn judge_spent(error: &Error) -> Verdict {
    match error.kind {
        Kind::RateLimited | Kind::QuotaExhausted => {
            let passes = error.kind == Kind::RateLimited || matches!(error.retry, Retry::After(_));
            Verdict::Spent { rest: rest_after(error), passes }
        }
        _ => Verdict::Silent,
    }
}

/// A credential whose quota is used up rests as long as this when its provider does not say; one with too many calls for
/// the moment a second.
const SPENT: Duration = Duration::from_secs(60);

/// What the body makes of one of the statuses to [`READ`]. The body stays what it was.
async fn read_refusal(reply: Reply, client: &Client, dialect: &str) -> (Reply, Verdict) {
    let (head, body) = reply.into_parts();
    let status = head.status;
    let read = |body: &[u8]| {
        let read =
            |dialect: &dialect::Dialect| dialect.upstream.read_error(status.as_u16(), &head.headers, body, client.clock().unix());
        let error = error_dialect(dialect).map(read);
        match (status, error) {
            (_, None) => Verdict::of(status, false),
            (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Some(error)) => judge(&error, status),
            (_, Some(error)) => match judge_spent(&error) {
                Verdict::Silent => Verdict::of(status, false),
                spent => spent,
            },
        }
    };
    let (verdict, body) = match body.collect(ERROR_LIMIT).await {
        Ok(body) => (read(&body), Body::whole(body)),
        // Then the head has to do.
        Err(failure) => (read(&[]), Body::stream(stream::iter([Err::<Bytes, _>(failure)]))),
    };
    (Reply::from_parts(head, body), verdict)
}

fn rest_after(error: &Error) -> Duration {
    match (error.retry, error.kind) {
        (Retry::After(wait), _) => wait,
        (_, Kind::QuotaExhausted) => SPENT,
        _ => Duration::from_secs(1),
    }
}

/// Words for a token that has had its time, in small letters.
const OVER: [&str; 6] = [
    "expiredtoken",
    "token included in the request is expired",
    "token expired",
    "token is expired",
    "token has expired",
    "expired token",
];

/// Whether the body, or a header, says that a token has had its time. The body stays what it was.
async fn read_forbidden(reply: Reply) -> (Reply, bool) {
    let (head, body) = reply.into_parts();
    let name = head.headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok()).unwrap_or_default();
    if says_over(name.as_bytes()) {
        return (Reply::from_parts(head, body), true);
    }
    match body.collect(ERROR_LIMIT).await {
        Ok(body) => {
            let is_over = says_over(&body);
            (Reply::from_parts(head, Body::whole(body)), is_over)
        }
        Err(failure) => {
            let broken = Body::stream(stream::iter([Err::<Bytes, _>(failure)]));
            (Reply::from_parts(head, broken), false)
        }
    }
}

fn says_over(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    OVER.iter().any(|words| text.contains(words))
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.trim_start().starts_with("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_token_is_told_from_a_forbidden_deed() {
        for text in ["ExpiredTokenException:http://x", "{\"message\":\"The security token included in the request is expired\"}"]
        {
            assert!(says_over(text.as_bytes()), "{text}");
        }
        for text in ["", "AccessDeniedException", "{\"message\":\"your trial has expired\"}", "{\"message\":\"no token\"}"] {
            assert!(!says_over(text.as_bytes()), "{text}");
        }
    }
}
