//! Headers that belong to a wire format: which of a caller's reach the provider, and which of a provider's come back.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::catalog::Quirks;

/// A caller's header that goes along in every lane.
const ALWAYS: &str = "idempotency-key";

/// A caller's headers that go along in the same lane, by dialect. `*` at the end stands for any rest.
/// Organisation and project headers do not: they belong to the caller's own account, not to our credential.
const REQUEST: &[(&str, &[&str])] = &[
    ("openai-chat", &["openai-beta", "x-client-request-id"]),
    ("openai-completions", &["openai-beta", "x-client-request-id"]),
    ("openai-responses", &["openai-beta", "x-client-request-id"]),
    ("anthropic-messages", &["anthropic-beta", "anthropic-version"]),
    ("cohere-chat", &["x-client-name"]),
    ("gemini", &["x-goog-api-client", "x-goog-request-params", "x-server-timeout"]),
];

/// A provider's headers that come back to the caller in the same lane, whatever the dialect.
const REPLY: &[&str] = &[
    "x-request-id",
    "request-id",
    "x-ratelimit-*",
    "ratelimit-*",
    "anthropic-*",
    "openai-*",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-goog-*",
    "x-amzn-*",
    "x-amz-retry-after",
    "x-groq-*",
    "x-log-id",
    "x-tt-logid",
    "x-ds-trace-id",
    "msh-*",
    "x-debug-trace-id",
    "x-endpoint-monthly-call-limit",
    "x-trial-endpoint-call-*",
    "server-timing",
];

/// Of these, the ones that also make sense to a caller of another dialect.
const REPLY_ANY: &[&str] =
    &["x-ratelimit-*", "ratelimit-*", "anthropic-ratelimit-*", "retry-after", "retry-after-ms", "x-should-retry"];

/// Names that never leave, whatever a pattern says: they carry secrets.
const NEVER: &[&str] = &["x-goog-api-key"];

/// The headers that a dialect needs on every request.
pub fn defaults(dialect: &str, quirks: &Quirks) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    if dialect == "anthropic-messages" {
        let version = quirks.api_version.as_deref().and_then(|version| HeaderValue::from_str(version).ok());
        let version = version.unwrap_or(HeaderValue::from_static("2023-06-01"));
        headers.insert(HeaderName::from_static("anthropic-version"), version);
    }
    headers
}

/// Copies those of a caller's headers that reach a provider spoken to in the caller's own `dialect`
/// (an empty name: in another one).
pub fn forward(dialect: &str, from: &HeaderMap, to: &mut HeaderMap) {
    let own = REQUEST.iter().find(|(name, _)| *name == dialect).map_or(&[][..], |(_, names)| names);
    // Values of one name come one after another, the first of which takes the place of a default.
    let mut last = None;
    for (name, value) in from.iter().filter(|(name, _)| *name == ALWAYS || own.contains(&name.as_str())) {
        match last.replace(name) == Some(name) {
            true => _ = to.append(name.clone(), value.clone()),
            false => _ = to.insert(name.clone(), value.clone()),
        }
    }
}

/// Copies those of a provider's headers that come back to the caller.
pub fn reply(same_lane: bool, from: &HeaderMap, to: &mut HeaderMap) {
    let patterns = if same_lane { REPLY } else { REPLY_ANY };
    for (name, value) in from {
        let name_text = name.as_str();
        if patterns.iter().any(|pattern| covers(pattern, name_text)) && !NEVER.contains(&name_text) {
            to.append(name.clone(), value.clone());
        }
    }
}

/// The header by which the official SDK of a dialect learns the id of its request.
pub fn request_id(dialect: &str) -> HeaderName {
    HeaderName::from_static(match dialect {
        "anthropic-messages" => "request-id",
        "bedrock-converse" => "x-amzn-requestid",
        _ => "x-request-id",
    })
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}
