//! One error for everything that can go wrong with a call, and the one table of words for it.
//!
//! The same error is told to an OpenAI caller as `{"error":{"type":…}}`, to an Anthropic caller as
//! `{"type":"error",…}` and to a Gemini caller as a `google.rpc.Status`; the words of each come from
//! [`Kind::words`] and from nowhere else.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// `Result` with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the field's usual classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request makes no sense as it stands.
    BadRequest,
    /// No key, or one that is not known.
    Unauthenticated,
    /// The key is known and may not do this.
    Forbidden,
    /// No such model, path or object.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The object is in a state that does not allow this.
    Conflict,
    /// The body is larger than the limit.
    TooLarge,
    /// The prompt does not fit into the model's window.
    ContextTooLong,
    /// The dialects in play cannot carry what was asked for.
    Unsupported,
    /// Too many requests or tokens for now.
    RateLimited,
    /// Credit or a spending limit is used up: waiting does not help.
    QuotaExhausted,
    /// The provider is too busy.
    Overloaded,
    /// The provider failed by itself.
    Server,
    /// Nobody answered in time; [`Error::phase`] says what was waited for.
    Timeout,
    /// No connection, or it broke before an answer.
    Network,
    /// No secure connection: a certificate that is not trusted, or no protocol in common.
    Tls,
    /// The answer stopped before its end.
    Truncated,
    /// The prompt or the answer was blocked by a content filter.
    Filtered,
    /// The answer was not what its dialect allows.
    Malformed,
    /// The caller left, or asked to stop.
    Cancelled,
    /// No target can take the call now.
    Unavailable,
    /// The gateway has no credential for the provider that could be used: its file cannot be read, its command fails.
    Credential,
    /// The gateway itself is wrong.
    Internal,
}

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The one who called.
    Caller,
    /// Trunkline itself or its configuration.
    Gateway,
    /// The one who serves the model.
    Provider,
    /// The wire between.
    Network,
}

/// What was waited for when time ran out or the connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A connection, secure where it has to be.
    Connect,
    /// The beginning of the answer. The provider may be at work, and may charge for it.
    FirstByte,
    /// The next piece of an answer that had begun.
    BetweenBytes,
    /// The whole call, all tries together.
    Whole,
}

/// Whether the same call may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It would fail again.
    Never,
    /// It may go well; the caller chooses the wait.
    Backoff,
    /// It may go well after this long, by the provider's own word.
    After(Duration),
}

/// How one dialect family names a kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// HTTP status towards the caller.
    pub status: u16,
    /// `error.type` of the OpenAI family.
    pub openai_type: &'static str,
    /// `error.code` of the OpenAI family, if it has one.
    pub openai_code: Option<&'static str>,
    /// `error.type` of Anthropic messages.
    pub anthropic_type: &'static str,
    /// `error.status` of Gemini (`google.rpc.Code`).
    pub gemini_status: &'static str,
}

impl Kind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Kind; 23] = [
        Kind::BadRequest,
        Kind::Unauthenticated,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::Conflict,
        Kind::TooLarge,
        Kind::ContextTooLong,
        Kind::Unsupported,
        Kind::RateLimited,
        Kind::QuotaExhausted,
        Kind::Overloaded,
        Kind::Server,
        Kind::Timeout,
        Kind::Network,
        Kind::Tls,
        Kind::Truncated,
        Kind::Filtered,
        Kind::Malformed,
        Kind::Cancelled,
        Kind::Unavailable,
        Kind::Credential,
        Kind::Internal,
    ];

    /// The name of the class that users of client libraries know for it. It does not change between versions, so that
    /// programs and logs may rely on it; `docs/errors.md` has the table. All of them are an `APIError`.
    pub const fn class(self) -> &'static str {
        match self {
            Kind::BadRequest => "BadRequestError",
            Kind::Unauthenticated => "AuthenticationError",
            Kind::Forbidden => "PermissionDeniedError",
            Kind::NotFound => "NotFoundError",
            Kind::MethodNotAllowed => "MethodNotAllowedError",
            Kind::Conflict => "ConflictError",
            Kind::TooLarge => "RequestTooLargeError",
            Kind::ContextTooLong => "ContextTooLongError",
            Kind::Unsupported => "UnsupportedError",
            Kind::RateLimited => "RateLimitError",
            Kind::QuotaExhausted => "QuotaExhaustedError",
            Kind::Overloaded => "OverloadedError",
            Kind::Server => "ServerError",
            Kind::Timeout => "APITimeoutError",
            Kind::Network => "APIConnectionError",
            Kind::Tls => "TLSError",
            Kind::Truncated => "TruncatedError",
            Kind::Filtered => "ContentFilterError",
            Kind::Malformed => "MalformedReplyError",
            Kind::Cancelled => "CancelledError",
            Kind::Unavailable => "UnavailableError",
            Kind::Credential => "CredentialError",
            Kind::Internal => "InternalError",
        }
    }

    /// The one table: kind → status → each dialect's words.
    #[rustfmt::skip]
    pub const fn words(self) -> Words {
        const fn row(status: u16, openai_type: &'static str, openai_code: Option<&'static str>, anthropic_type: &'static str, gemini_status: &'static str) -> Words {
            Words { status, openai_type, openai_code, anthropic_type, gemini_status }
        }
        const INVALID: &str = "invalid_request_error";
        match self {
            Kind::BadRequest       => row(400, INVALID, None, INVALID, "INVALID_ARGUMENT"),
            Kind::Unauthenticated  => row(401, "authentication_error", Some("invalid_api_key"), "authentication_error", "UNAUTHENTICATED"),
            Kind::Forbidden        => row(403, "permission_error", None, "permission_error", "PERMISSION_DENIED"),
            Kind::NotFound         => row(404, INVALID, Some("model_not_found"), "not_found_error", "NOT_FOUND"),
            Kind::MethodNotAllowed => row(405, INVALID, Some("method_not_allowed"), INVALID, "UNIMPLEMENTED"),
            Kind::Conflict         => row(409, INVALID, Some("conflict"), "conflict_error", "ABORTED"),
            Kind::TooLarge         => row(413, INVALID, Some("request_too_large"), "request_too_large", "INVALID_ARGUMENT"),
            Kind::ContextTooLong   => row(400, INVALID, Some("context_length_exceeded"), INVALID, "INVALID_ARGUMENT"),
            Kind::Unsupported      => row(400, INVALID, Some("unsupported_parameter"), INVALID, "INVALID_ARGUMENT"),
            Kind::RateLimited      => row(429, "rate_limit_error", Some("rate_limit_exceeded"), "rate_limit_error", "RESOURCE_EXHAUSTED"),
            Kind::QuotaExhausted   => row(429, "insufficient_quota", Some("insufficient_quota"), "billing_error", "RESOURCE_EXHAUSTED"),
            Kind::Overloaded       => row(503, "server_error", Some("overloaded"), "overloaded_error", "UNAVAILABLE"),
            Kind::Server           => row(500, "server_error", None, "api_error", "INTERNAL"),
            Kind::Timeout          => row(504, "server_error", Some("timeout"), "timeout_error", "DEADLINE_EXCEEDED"),
            Kind::Network          => row(502, "server_error", Some("provider_unreachable"), "api_error", "UNAVAILABLE"),
            Kind::Tls              => row(502, "server_error", Some("provider_not_secure"), "api_error", "UNAVAILABLE"),
            Kind::Truncated        => row(502, "server_error", Some("stream_truncated"), "api_error", "UNAVAILABLE"),
            Kind::Filtered         => row(400, INVALID, Some("content_policy_violation"), INVALID, "INVALID_ARGUMENT"),
            Kind::Malformed        => row(502, "server_error", Some("malformed_reply"), "api_error", "INTERNAL"),
            Kind::Cancelled        => row(499, "server_error", Some("cancelled"), "api_error", "CANCELLED"),
            Kind::Unavailable      => row(503, "server_error", Some("unavailable"), "overloaded_error", "UNAVAILABLE"),
            Kind::Credential       => row(503, "server_error", Some("credential_unusable"), "api_error", "UNAVAILABLE"),
            Kind::Internal         => row(500, "server_error", Some("gateway_error"), "api_error", "INTERNAL"),
        }
    }

    /// The exception that bedrock-converse has for it.
    pub const fn bedrock_exception(self) -> &'static str {
        match self {
            Kind::BadRequest
            | Kind::MethodNotAllowed
            | Kind::TooLarge
            | Kind::ContextTooLong
            | Kind::Unsupported
            | Kind::Filtered => "ValidationException",
            Kind::Unauthenticated => "UnrecognizedClientException",
            Kind::Forbidden => "AccessDeniedException",
            Kind::NotFound => "ResourceNotFoundException",
            Kind::Conflict => "ConflictException",
            Kind::RateLimited => "ThrottlingException",
            Kind::QuotaExhausted => "ServiceQuotaExceededException",
            Kind::Timeout => "ModelTimeoutException",
            Kind::Overloaded | Kind::Network | Kind::Tls | Kind::Unavailable | Kind::Credential => "ServiceUnavailableException",
            Kind::Truncated => "ModelStreamErrorException",
            Kind::Malformed => "ModelErrorException",
            Kind::Server | Kind::Cancelled | Kind::Internal => "InternalServerException",
        }
    }

    /// The kind that an HTTP status stands for when the body says nothing better.
    pub const fn from_status(status: u16) -> Kind {
        match status {
            401 => Kind::Unauthenticated,
            402 => Kind::QuotaExhausted,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            405 => Kind::MethodNotAllowed,
            408 | 504 => Kind::Timeout,
            409 => Kind::Conflict,
            413 => Kind::TooLarge,
            429 => Kind::RateLimited,
            503 | 529 => Kind::Overloaded,
            400..=499 => Kind::BadRequest,
            500..=599 => Kind::Server,
            // Neither an answer nor an error: whoever is there speaks another language.
            _ => Kind::Malformed,
        }
    }

    /// What a retry may hope for, when the provider gave no wait of its own.
    pub const fn usual_retry(self) -> Retry {
        match self {
            Kind::RateLimited
            | Kind::Overloaded
            | Kind::Server
            | Kind::Timeout
            | Kind::Network
            | Kind::Truncated
            | Kind::Malformed
            | Kind::Conflict
            | Kind::Unavailable => Retry::Backoff,
            _ => Retry::Never,
        }
    }
}

/// What went wrong, whose fault it was, and whether to try again.
///
/// `{}` prints one sentence for people: `deepseek: insufficient balance (HTTP 402)`.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
pub struct Error {
    /// The class.
    pub kind: Kind,
    /// Who is to blame.
    pub origin: Origin,
    /// Whether to try again.
    pub retry: Retry,
    /// What was waited for when time ran out or the connection failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The provider's own HTTP status, if one answered.
    pub status: Option<u16>,
    /// One sentence: what was wrong and what to do.
    pub message: String,
    /// The provider, where one was involved.
    pub provider: Option<String>,
    /// The provider's own code or type word, e.g. `context_length_exceeded`.
    pub code: Option<String>,
    /// The request field at fault, e.g. `messages[0].content`.
    pub param: Option<String>,
    /// The provider's own body, cut at 8 KiB.
    pub raw: Option<String>,
}

const RAW_LIMIT: usize = 8 * 1024;

/// The [`Error::code`] of a call whose recording is not there to be played back.
pub const NO_RECORDING: &str = "no_recording";

impl Error {
    /// An error of this kind and origin with the kind's usual retry advice.
    pub fn new(kind: Kind, origin: Origin, message: impl Into<String>) -> Self {
        Error {
            kind,
            origin,
            retry: kind.usual_retry(),
            phase: None,
            status: None,
            message: message.into(),
            provider: None,
            code: None,
            param: None,
            raw: None,
        }
    }

    /// The caller sent something that makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Error::new(Kind::BadRequest, Origin::Caller, message)
    }

    /// The provider sent something that its dialect does not allow.
    pub fn malformed(message: impl Into<String>) -> Self {
        Error::new(Kind::Malformed, Origin::Provider, message)
    }

    /// The provider's answer stopped before its end.
    pub fn truncated(message: impl Into<String>) -> Self {
        Error::new(Kind::Truncated, Origin::Provider, message)
    }

    /// Time ran out.
    pub fn timeout(phase: Phase, origin: Origin, message: impl Into<String>) -> Self {
        Error { phase: Some(phase), ..Error::new(Kind::Timeout, origin, message) }
    }

    /// The name of its class: [`Kind::class`].
    pub const fn class(&self) -> &'static str {
        self.kind.class()
    }

    /// The kind is another one after all. A wait that the provider named stays, where waiting makes sense.
    pub(crate) fn set_kind(&mut self, kind: Kind) {
        self.kind = kind;
        self.retry = match (kind.usual_retry(), self.retry) {
            (Retry::Backoff, Retry::After(wait)) => Retry::After(wait),
            (usual, _) => usual,
        };
    }

    /// Names the request field at fault.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Names the provider.
    #[must_use]
    pub fn from_provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Keeps the provider's own body, as text, cut at 8 KiB.
    #[must_use]
    pub fn with_raw(mut self, body: &[u8]) -> Self {
        let body = body.get(..RAW_LIMIT).unwrap_or(body);
        self.raw = Some(String::from_utf8_lossy(body).into_owned());
        self
    }

    /// The HTTP status towards the caller.
    ///
    /// A provider that rejects *our* credential is the gateway's trouble, so its 401, 402 and 403
    /// become 502; its other statuses stay what they are.
    pub fn caller_status(&self) -> u16 {
        match (self.origin, self.kind, self.status) {
            (Origin::Provider, Kind::Unauthenticated | Kind::Forbidden, _) => 502,
            (Origin::Provider, Kind::QuotaExhausted, Some(402)) => 502,
            (Origin::Provider, Kind::Malformed | Kind::Truncated, _) => 502,
            (Origin::Provider, _, Some(status @ 400..=599)) => status,
            _ => self.kind.words().status,
        }
    }

    /// [`Kind::words`] as the caller should read them: a rejected credential of ours is a server error
    /// to the caller, so that no SDK asks its user for another key.
    pub fn caller_words(&self) -> Words {
        let status = self.caller_status();
        let words = if status == 502 { Kind::Network.words() } else { self.kind.words() };
        let code = match (status, self.kind) {
            (502, Kind::Unauthenticated | Kind::Forbidden) => Some("provider_rejected_credential"),
            (502, Kind::QuotaExhausted) => Some("provider_quota_exhausted"),
            _ if self.lacks_recording() => Some(NO_RECORDING),
            _ => self.kind.words().openai_code,
        };
        Words { status, openai_code: code, ..words }
    }

    /// Nobody was asked, for recordings are played back, and none fits.
    fn lacks_recording(&self) -> bool {
        self.origin != Origin::Provider && self.code.as_deref() == Some(NO_RECORDING)
    }

    /// The sentence for the caller: names the provider when it is to blame. Where the gateway's secrets are kept is the
    /// operator's business.
    pub fn caller_message(&self) -> String {
        if self.kind == Kind::Credential {
            let whom = self.provider.as_deref().unwrap_or("the provider");
            return format!(
                "the gateway has no usable credential for {whom}; its operator finds the reason with `trunkline check`"
            );
        }
        match (&self.provider, self.origin) {
            (Some(provider), Origin::Provider | Origin::Network) => {
                let status = self.status.map(|s| format!(" (HTTP {s})")).unwrap_or_default();
                match self.kind {
                    Kind::Unauthenticated | Kind::Forbidden => format!(
                        "the provider {provider} rejected the gateway's credential{status}: {}; check the key configured for {provider}",
                        self.message
                    ),
                    _ => format!("{provider}: {}", self.message),
                }
            }
            _ => self.message.clone(),
        }
    }

    /// Seconds for a `Retry-After` header, rounded up.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self.retry {
            Retry::After(wait) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = &self.provider {
            write!(f, "{provider}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(status) = self.status {
            write!(f, " (HTTP {status})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_kinds_is_whole() {
        assert!(Kind::ALL.iter().enumerate().all(|(at, kind)| *kind as usize == at), "in order, none twice");
        assert_eq!(Kind::ALL.len(), Kind::Internal as usize + 1, "the last kind is declared last");
        let classes: std::collections::BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.class()).collect();
        assert_eq!(classes.len(), Kind::ALL.len(), "every kind has a class of its own");
    }

    #[test]
    fn another_kind_keeps_the_wait_where_waiting_helps() {
        let wait = Retry::After(Duration::from_secs(3));
        let mut error = Error { retry: wait, ..Error::new(Kind::RateLimited, Origin::Provider, "later") };
        error.set_kind(Kind::Overloaded);
        assert_eq!(error.retry, wait);
        error.set_kind(Kind::QuotaExhausted);
        assert_eq!(error.retry, Retry::Never);
        error.set_kind(Kind::Server);
        assert_eq!(error.retry, Retry::Backoff);
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_as_none() {
        let told = |wait| Error { retry: Retry::After(wait), ..Error::bad_request("") }.retry_after_seconds();
        assert_eq!(told(Duration::from_nanos(1)), Some(1));
        assert_eq!(told(Duration::from_secs(7)), Some(7));
        assert_eq!(told(Duration::from_millis(7001)), Some(8));
    }
}
