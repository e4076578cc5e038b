//! Errors of this dialect and of the many servers that speak it with errors of their own.
//!
//! `{"error":{"message","type","param","code"}}` is the dialect's own. Also read: `{"error":"text"}`,
//! `{"message","code"}`, `{"detail":…}`, `{"base_resp":{"status_code","status_msg"}}`, a list around any of them,
//! plain text, HTML, and nothing at all.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::wire::{BaseResp, Scalar, list_of};
use crate::dialect::{advice, phrase};
use crate::error::{Error, Kind, Origin};

/// What an error body says, from whichever of its shapes.
#[derive(Debug, Default)]
struct Said {
    message: Option<String>,
    code: Option<String>,
    r#type: Option<String>,
    param: Option<String>,
    /// By a status number inside the body.
    kind: Option<Kind>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<Scalar<'a>>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    error_description: Option<Scalar<'a>>,
    #[serde(borrow)]
    code: Option<Scalar<'a>>,
    #[serde(borrow)]
    r#type: Option<Scalar<'a>>,
    #[serde(borrow)]
    status: Option<Scalar<'a>>,
    #[serde(borrow)]
    param: Option<Scalar<'a>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    base_resp: Option<BaseResp<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    error_type: Option<Scalar<'a>>,
    #[serde(borrow)]
    raw: Option<Scalar<'a>>,
}

/// One entry of a list of faults: where, and what.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fault<'a> {
    #[serde(borrow)]
    loc: Option<Vec<Scalar<'a>>>,
    #[serde(borrow)]
    msg: Option<Scalar<'a>>,
    #[serde(borrow)]
    message: Option<Scalar<'a>>,
}

/// Reads an error answer.
pub(crate) fn read_error(status: u16, body: &[u8]) -> Error {
    let said = read_said(body);
    let kind = classify(&said, Some(status));
    let message = said.message.unwrap_or_else(|| describe(status, body));
    let mut error = Error::new(kind, Origin::Provider, message).with_raw(body);
    error.status = Some(status);
    error.code = said.code.or(said.r#type);
    error.param = said.param;
    error
}

/// Reads an error that came inside an answer whose status was 200.
pub(crate) fn read_error_within(body: &[u8]) -> Error {
    let said = read_said(body);
    let status = said.code.as_deref().and_then(|code| code.parse().ok()).filter(|status| (400..600).contains(status));
    let kind = classify(&said, status);
    let message = said.message.unwrap_or_else(|| "the provider reported an error without a message".to_owned());
    let mut error = Error::new(kind, Origin::Provider, message).with_raw(body);
    error.status = status;
    error.code = said.code.or(said.r#type);
    error.param = said.param;
    advice::read_within(error, body)
}

fn read_said(body: &[u8]) -> Said {
    let Ok(text) = std::str::from_utf8(body) else { return Said::default() };
    let text = text.trim();
    if text.starts_with('[') {
        let first = serde_json::from_str::<Vec<&RawValue>>(text).ok().and_then(|list| list.first().copied());
        return first.map(|first| read_object(first.get(), 0)).unwrap_or_default();
    }
    read_object(text, 0)
}

/// `depth` bounds how often an error may stand inside an error.
fn read_object(text: &str, depth: u8) -> Said {
    let Ok(body) = serde_json::from_str::<Body<'_>>(text) else {
        let message = serde_json::from_str::<String>(text).ok();
        return Said { message, ..Said::default() };
    };
    if let Some(said) = body.base_resp.as_ref().and_then(read_base) {
        return said;
    }
    let word = |scalar: &Option<Scalar<'_>>| scalar.as_ref().and_then(Scalar::word).filter(|word| !word.is_empty());
    let inner = [body.error, body.message, body.detail, body.errors].into_iter().flatten();
    let mut said = Said::default();
    for raw in inner {
        let next = match raw.get().as_bytes().first() {
            Some(b'{') if depth < 3 => read_object(raw.get(), depth + 1),
            Some(b'"') => Said { message: serde_json::from_str(raw.get()).ok(), ..Said::default() },
            Some(b'[') => Said { message: read_faults(raw), ..Said::default() },
            _ => Said::default(),
        };
        said.message = said.message.or(next.message.filter(|message| !message.is_empty()));
        said.code = said.code.or(next.code);
        said.r#type = said.r#type.or(next.r#type);
        said.param = said.param.or(next.param);
        said.kind = said.kind.or(next.kind);
    }
    said.message = said.message.or_else(|| word(&body.msg)).or_else(|| word(&body.error_description));
    said.code = said.code.or_else(|| word(&body.code));
    said.r#type = said.r#type.or_else(|| word(&body.r#type)).or_else(|| word(&body.status));
    said.param = said.param.or_else(|| word(&body.param));
    if let Some(metadata) = body.metadata {
        said.r#type = word(&metadata.error_type).or(said.r#type);
        if let (Some(message), Some(raw)) = (&mut said.message, word(&metadata.raw)) {
            *message = format!("{message}: {}", cut(&raw));
        }
    }
    said
}

/// `[{"loc":["body","messages"],"msg":"field required"}]`.
fn read_faults(raw: &RawValue) -> Option<String> {
    let faults: Vec<Fault<'_>> = list_of(Some(raw));
    let said: Vec<String> = faults
        .iter()
        .filter_map(|fault| {
            let what = fault.msg.as_ref().or(fault.message.as_ref())?.text()?;
            let at: Vec<String> = fault.loc.iter().flatten().filter_map(Scalar::word).collect();
            Some(if at.is_empty() { what.to_owned() } else { format!("{}: {what}", at.join(".")) })
        })
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn read_base(base: &BaseResp<'_>) -> Option<Said> {
    let code = base.status_code.as_ref()?.number().filter(|code| *code != 0)?;
    let kind = kind_of_base(code).unwrap_or(Kind::Server);
    let message = base.status_msg.as_ref().and_then(Scalar::word).filter(|message| !message.is_empty());
    Some(Said { message, code: Some(code.to_string()), kind: Some(kind), ..Said::default() })
}

/// What the numbers in `base_resp` mean, which also stand in brackets at the end of messages.
fn kind_of_base(code: i64) -> Option<Kind> {
    Some(match code {
        1001 => Kind::Timeout,
        1002 | 1039 | 1041 | 2045 => Kind::RateLimited,
        1004 | 2049 => Kind::Unauthenticated,
        1008 | 2056 => Kind::QuotaExhausted,
        1026 | 1027 => Kind::Filtered,
        1042 | 2013 => Kind::BadRequest,
        _ => return None,
    })
}

/// Words that providers use in `code` or `type`, and what they mean. Compared without case, `_`, `-` and `.`.
const WORDS: &[(&str, Kind)] = &[
    ("contextlengthexceeded", Kind::ContextTooLong),
    ("tokenlimitexceeded", Kind::ContextTooLong),
    ("maxtokensexceeded", Kind::ContextTooLong),
    ("prompttokensexceeded", Kind::ContextTooLong),
    ("contextwindowexceeded", Kind::ContextTooLong),
    ("exceedcontextsize", Kind::ContextTooLong),
    ("prompttoolong", Kind::ContextTooLong),
    ("inputtoolong", Kind::ContextTooLong),
    ("insufficientquota", Kind::QuotaExhausted),
    ("exceededcurrentquota", Kind::QuotaExhausted),
    ("quotaexceeded", Kind::QuotaExhausted),
    ("insufficientbalance", Kind::QuotaExhausted),
    ("billing", Kind::QuotaExhausted),
    ("paymentrequired", Kind::QuotaExhausted),
    ("arrear", Kind::QuotaExhausted),
    ("billoverdue", Kind::QuotaExhausted),
    ("accountoverdue", Kind::QuotaExhausted),
    ("notpurchased", Kind::QuotaExhausted),
    ("freetieronly", Kind::QuotaExhausted),
    ("setlimitexceeded", Kind::QuotaExhausted),
    ("ratelimit", Kind::RateLimited),
    ("toomanyrequests", Kind::RateLimited),
    ("throttling", Kind::RateLimited),
    ("resourceexhausted", Kind::RateLimited),
    ("overloaded", Kind::Overloaded),
    ("capacityexceeded", Kind::Overloaded),
    ("nocapacity", Kind::Overloaded),
    ("provideroverloaded", Kind::Overloaded),
    ("providerunavailable", Kind::Overloaded),
    ("serviceunavailable", Kind::Overloaded),
    ("modelunavailable", Kind::Overloaded),
    ("insufficientsystemresource", Kind::Overloaded),
    ("invalidapikey", Kind::Unauthenticated),
    ("incorrectapikey", Kind::Unauthenticated),
    ("authentication", Kind::Unauthenticated),
    ("unauthorized", Kind::Unauthenticated),
    ("permission", Kind::Forbidden),
    ("accessdenied", Kind::Forbidden),
    ("modelnotfound", Kind::NotFound),
    ("modelnotexist", Kind::NotFound),
    ("modeldecommissioned", Kind::NotFound),
    ("modelnotsupported", Kind::NotFound),
    ("modelnotavailable", Kind::NotFound),
    ("unsupportedmodel", Kind::NotFound),
    ("unknownmodel", Kind::NotFound),
    ("invalidmodel", Kind::NotFound),
    ("deploymentnotfound", Kind::NotFound),
    ("notfound", Kind::NotFound),
    ("unsaferequest", Kind::Filtered),
    ("contentfilter", Kind::Filtered),
    ("contentpolicy", Kind::Filtered),
    ("datainspectionfailed", Kind::Filtered),
    ("responsibleai", Kind::Filtered),
    ("payloadtoolarge", Kind::TooLarge),
    ("requesttoolarge", Kind::TooLarge),
    ("timeout", Kind::Timeout),
    ("servererror", Kind::Server),
    ("apierror", Kind::Server),
    ("internalerror", Kind::Server),
    ("internalservererror", Kind::Server),
    ("invalid", Kind::BadRequest),
    ("unsupported", Kind::BadRequest),
    ("badrequest", Kind::BadRequest),
];

/// Codes in digits that mean something else than their status says.
const NUMBERS: &[(&str, Kind)] = &[
    ("1113", Kind::QuotaExhausted),
    ("1304", Kind::QuotaExhausted),
    ("1308", Kind::QuotaExhausted),
    ("1309", Kind::QuotaExhausted),
    ("1310", Kind::QuotaExhausted),
    ("1311", Kind::QuotaExhausted),
    ("1313", Kind::QuotaExhausted),
    ("1211", Kind::NotFound),
    ("1261", Kind::ContextTooLong),
    ("1301", Kind::Filtered),
    ("1305", Kind::Overloaded),
    ("1312", Kind::Overloaded),
    ("10006", Kind::RateLimited),
    ("10007", Kind::RateLimited),
    ("10008", Kind::Overloaded),
    ("10010", Kind::Overloaded),
    ("10012", Kind::Overloaded),
    ("10013", Kind::Filtered),
    ("10014", Kind::Filtered),
    ("10019", Kind::Filtered),
    ("10110", Kind::Overloaded),
    ("10222", Kind::Overloaded),
    ("10907", Kind::ContextTooLong),
    ("11200", Kind::QuotaExhausted),
    ("11201", Kind::QuotaExhausted),
    ("11202", Kind::RateLimited),
    ("11203", Kind::RateLimited),
    ("20012", Kind::NotFound),
    ("30001", Kind::QuotaExhausted),
    ("50505", Kind::Overloaded),
];

fn classify(said: &Said, status: Option<u16>) -> Kind {
    let kind = said.kind.unwrap_or_else(|| classify_words(said, status));
    let Some(message) = said.message.as_deref() else { return kind };
    match kind {
        Kind::BadRequest => phrase::read(message).unwrap_or(kind),
        Kind::RateLimited if is_unpaid(message) => Kind::QuotaExhausted,
        kind => kind,
    }
}

fn classify_words(said: &Said, status: Option<u16>) -> Kind {
    let code = said.code.as_deref().and_then(read_word);
    let r#type = said.r#type.as_deref().and_then(read_word);
    let from_status = status.map(kind_of_status);
    let by_word = match (code, r#type) {
        // "invalid" is said of everything; the other word or the status knows better.
        (Some(Kind::BadRequest), Some(kind)) => Some(kind),
        (Some(kind), _) => Some(kind),
        (None, kind) => kind,
    };
    match (by_word, from_status) {
        (Some(Kind::BadRequest | Kind::Server), Some(kind)) => kind,
        (Some(kind), _) | (None, Some(kind)) => kind,
        (None, None) => Kind::Server,
    }
}

fn kind_of_status(status: u16) -> Kind {
    match status {
        451 => Kind::Filtered,
        498 => Kind::Overloaded,
        424 | 499 => Kind::Server,
        524 => Kind::Timeout,
        _ => Kind::from_status(status),
    }
}

fn read_word(word: &str) -> Option<Kind> {
    if let Some((_, kind)) = NUMBERS.iter().find(|(number, _)| *number == word) {
        return Some(*kind);
    }
    let plain: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    WORDS.iter().find(|(known, _)| plain.contains(known)).map(|(_, kind)| *kind)
}

fn is_unpaid(message: &str) -> bool {
    let bracketed = message.trim_end().strip_suffix(')').and_then(|rest| rest.rsplit_once('(')?.1.parse().ok());
    let message = message.to_ascii_lowercase();
    bracketed.and_then(kind_of_base) == Some(Kind::QuotaExhausted)
        || message.contains("insufficient balance")
        || message.contains("exceeded your current quota")
        // A day's limit without a word on when it ends.
        || ["rpd limit reached", "tpd limit reached"].iter().any(|words| message.contains(words))
}

/// One sentence for a body that says nothing itself.
fn describe(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return format!("answered with HTTP {status} and no body");
    }
    if text.starts_with('<') {
        let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        return match title.map(|(title, _)| title.trim()).filter(|title| !title.is_empty()) {
            Some(title) => format!("answered with an HTML page: {}", cut(title)),
            None => "answered with an HTML page".to_owned(),
        };
    }
    cut(text)
}

fn cut(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The error's body for a caller, all four members always there.
pub(crate) fn write_error(error: &Error) -> Vec<u8> {
    #[derive(Serialize)]
    struct Outer<'a> {
        error: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        message: String,
        r#type: &'a str,
        param: Option<&'a str>,
        code: Option<&'a str>,
    }
    let words = error.caller_words();
    let inner = Inner {
        message: error.caller_message(),
        r#type: words.openai_type,
        param: error.param.as_deref(),
        code: words.openai_code.or(error.code.as_deref()),
    };
    serde_json::to_vec(&Outer { error: inner }).unwrap_or_default()
}

/// The error as the last frame of a stream.
pub(crate) fn write_error_frame(error: &Error, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&write_error(error));
    out.extend_from_slice(b"\n\n");
}
