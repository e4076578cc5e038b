//! When to try again: the tables in `fixtures/retry/`, and what holds of any input.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;
use trunkline_codec::dialect;
use trunkline_codec::dialect::advice::{LONGEST, ProviderLimits, Room};
use trunkline_codec::frame::Frame;
use trunkline_codec::{Error, Retry};

/// 2026-11-23T05:00:00Z.
const NOW: u64 = 1_795_410_000;

fn table<T: for<'a> Deserialize<'a>>(name: &str) -> Vec<T> {
    #[derive(Deserialize)]
    struct Table<T> {
        case: Vec<T>,
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/retry").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    toml::from_str::<Table<T>>(&text).unwrap_or_else(|error| panic!("{name}: {error}")).case
}

fn headers(lines: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(name.trim().parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap());
    }
    headers
}

fn read(dialect: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
    dialect::find(dialect).unwrap().upstream.read_error(status, headers, body, NOW)
}

fn words(retry: Retry) -> String {
    match retry {
        Retry::Never => "never".to_owned(),
        Retry::Backoff => "backoff".to_owned(),
        Retry::After(wait) => format!("{}s", wait.as_secs_f64()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    what: String,
    #[serde(default = "openai_chat")]
    dialect: String,
    #[serde(default = "too_many")]
    status: u16,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    body: String,
    wait: String,
}

fn openai_chat() -> String {
    "openai-chat".to_owned()
}

fn too_many() -> u16 {
    429
}

const TABLES: [&str; 4] = ["header.toml", "date.toml", "reset.toml", "body.toml"];

#[test]
fn every_form_of_a_wait_is_read() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for name in TABLES {
        for case in table::<Case>(name) {
            let error = read(&case.dialect, case.status, &headers(&case.headers), case.body.as_bytes());
            let found = words(error.retry);
            if found != case.wait {
                wrong.push(format!("{name}: {}: {found} instead of {} ({:?})", case.what, case.wait, error.kind));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {count} forms:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 25, "{count} forms");
}

/// The same bodies mean the same in every dialect that reads errors of any shape.
#[test]
fn a_header_counts_in_every_dialect() {
    for dialect in dialect::ALL {
        for status in [429, 500, 503, 529] {
            let headers = headers(&["retry-after-ms: 2500".to_owned()]);
            let error = read(dialect.name, status, &headers, b"");
            assert_eq!(error.retry, Retry::After(Duration::from_millis(2500)), "{} {status}", dialect.name);
            assert_eq!(error.retry_after_seconds(), Some(3), "{}", dialect.name);
        }
        let never = read(dialect.name, 500, &headers(&["x-should-retry: false".to_owned()]), b"");
        assert_eq!(never.retry, Retry::Never, "{}", dialect.name);
    }
}

/// The frame of an error within a stream has no head: what it says itself is read.
#[test]
fn an_error_within_a_stream_names_its_wait() {
    let hint = "Rate limit reached. Please try again in 5.3s.";
    let frames = [
        ("openai-chat", None, format!(r#"{{"error":{{"message":"{hint}","type":"rate_limit_error"}}}}"#)),
        ("openai-responses", Some("error"), format!(r#"{{"type":"error","code":"rate_limit_exceeded","message":"{hint}"}}"#)),
        (
            "openai-responses",
            Some("response.failed"),
            format!(
                r#"{{"type":"response.failed","response":{{"status":"failed","error":{{"code":"rate_limit_exceeded","message":"{hint}"}}}}}}"#
            ),
        ),
        (
            "anthropic-messages",
            Some("error"),
            format!(r#"{{"type":"error","error":{{"type":"rate_limit_error","message":"{hint}"}}}}"#),
        ),
        (
            "gemini",
            None,
            r#"{"error":{"code":429,"message":"later","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"5.3s"}]}}"#
                .to_owned(),
        ),
        ("qianfan", None, format!(r#"{{"error_code":18,"error_msg":"{hint}"}}"#)),
        ("dashscope", None, format!(r#"{{"code":"Throttling","message":"{hint}"}}"#)),
        ("hunyuan", None, format!(r#"{{"Response":{{"Error":{{"Code":"LimitExceeded","Message":"{hint}"}}}}}}"#)),
        ("bedrock-converse", Some("throttlingException"), format!(r#"{{"message":"{hint}"}}"#)),
    ];
    for (name, event, data) in frames {
        let mut reader = dialect::find(name).unwrap().upstream.read_stream(&Default::default());
        let error = reader.push(Frame { event, data: data.as_bytes() }, &mut Vec::new()).unwrap_err();
        assert_eq!(error.retry, Retry::After(Duration::from_millis(5300)), "{name}: {error:?}");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomCase {
    what: String,
    headers: Vec<String>,
    #[serde(default)]
    requests: Told,
    #[serde(default)]
    tokens: Told,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Told {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<f64>,
}

impl From<Told> for Room {
    fn from(told: Told) -> Self {
        Room { limit: told.limit, remaining: told.remaining, reset: told.reset.map(Duration::from_secs_f64) }
    }
}

#[test]
fn every_form_of_a_limit_is_read() {
    for case in table::<RoomCase>("room.toml") {
        let read = ProviderLimits::read(&headers(&case.headers), NOW);
        let expected = ProviderLimits { requests: case.requests.into(), tokens: case.tokens.into() };
        assert_eq!(read, expected, "{}", case.what);
        assert_eq!(read.is_empty(), expected == ProviderLimits::default(), "{}", case.what);
    }
}

// What holds of any input.

fn name() -> impl Strategy<Value = String> {
    let known = select(vec![
        "date",
        "retry-after",
        "retry-after-ms",
        "x-amz-retry-after",
        "x-should-retry",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
        "ratelimit",
        "ratelimit-reset",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => "(x-)?ratelimit-[a-z]{1,8}(-[a-z]{1,8})?"]
}

/// So few that they meet again and again.
fn few() -> impl Strategy<Value = String> {
    let known = select(vec!["date", "retry-after", "x-should-retry", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit"]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => name()]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        (0u32..100).prop_map(|number| number.to_string()),
        select(vec!["0", "true", "false", "6m0s", "20ms", "1e999", "NaN", "-0", "2026-11-23T05:00:09Z", "\"api\";r=0;t=9"])
            .prop_map(str::to_owned),
        select(vec![
            "Mon, 23 Nov 2026 05:00:20 GMT",
            "Monday, 23-Nov-26 05:00:20 GMT",
            "Mon Nov 23 05:00:20 2026",
            "Thu, 31 Dec 9999 23:59:59 GMT",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,40}",
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let field = select(vec!["retry_after", "retryDelay", "message", "error", "headers", "details", "retry_after_ms"]);
    let text = select(vec![
        "try again in ",
        "retry after ",
        "wait ",
        "请在",
        "秒后重试",
        "999999999999999999999",
        "5.3",
        "s",
        " minutes",
        "resets at ",
        "9999-12-31T23:59:59Z",
        "İ",
        "µs",
        ".",
        ":",
    ]);
    let words = prop::collection::vec(prop_oneof![4 => text.prop_map(str::to_owned), 1 => "\\PC{0,6}"], 0..8);
    let leaf = prop_oneof![
        words.prop_map(|words| serde_json::Value::from(words.concat())),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
    ];
    let json = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec((field.clone(), inner.clone()), 0..4)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            prop::collection::vec(inner, 0..4).prop_map(serde_json::Value::from),
        ]
    });
    prop_oneof![4 => json.prop_map(|json| json.to_string().into_bytes()), 1 => prop::collection::vec(any::<u8>(), 0..80)]
}

fn dialect_name() -> impl Strategy<Value = &'static str> {
    select(dialect::ALL.iter().map(|dialect| dialect.name).collect::<Vec<_>>())
}

/// Headers in this order; what is no header is left out.
fn map<'a>(lines: impl Iterator<Item = &'a (String, String)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            map.append(name, value);
        }
    }
    map
}

proptest! {
    /// No input makes the reading panic, and no wait is longer than the longest or none at all.
    #[test]
    fn a_wait_is_never_absurd(
        dialect in dialect_name(),
        status in 400u16..600,
        lines in prop::collection::vec((name(), value()), 0..8),
        body in body(),
        now: u64,
    ) {
        let headers = map(lines.iter());
        let error = dialect::find(dialect).unwrap().upstream.read_error(status, &headers, &body, now);
        if let Retry::After(wait) = error.retry {
            prop_assert!(wait <= LONGEST && !wait.is_zero(), "{wait:?}");
            prop_assert!(error.retry_after_seconds().is_some_and(|seconds| seconds > 0));
        }
        let limits = ProviderLimits::read(&headers, now);
        for room in [limits.requests, limits.tokens] {
            prop_assert!(room.reset.is_none_or(|reset| reset <= LONGEST));
        }
        // Within a stream there is no head at all.
        let mut reader = dialect::find(dialect).unwrap().upstream.read_stream(&Default::default());
        if let Err(Error { retry: Retry::After(wait), .. }) = reader.push(Frame { event: Some("error"), data: &body }, &mut Vec::new()) {
            prop_assert!(wait <= LONGEST && !wait.is_zero(), "{wait:?}");
        }
    }

    /// The order of headers says nothing, not even of those with one name.
    #[test]
    fn the_order_of_headers_does_not_matter(
        (lines, shuffled) in prop::collection::vec((few(), prop_oneof![value(), (1u32..100).prop_map(|n| n.to_string())]), 0..10)
            .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
        body in body(),
    ) {
        let (left, right) = (map(lines.iter()), map(shuffled.iter()));
        prop_assert_eq!(read("openai-chat", 429, &left, &body).retry, read("openai-chat", 429, &right, &body).retry);
        prop_assert_eq!(ProviderLimits::read(&left, NOW), ProviderLimits::read(&right, NOW));
    }
}
