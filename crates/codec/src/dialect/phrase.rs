//! What providers say in sentences where their codes and statuses say no more than "invalid".
//!
//! A provider repeats what callers sent, so words inside a sentence may be the caller's. They count where at most the
//! caller's own call depends on them. What is said of the *credential*, which would then rest for everybody, must be how the
//! sentence begins.

use crate::error::Kind;

/// What a prompt that is too long is said to be. In small letters, anywhere.
const TOO_LONG: &[&str] = &[
    "maximum context length",
    "maximum context limit",
    "maximum prompt length",
    "maximum model length",
    "maximum input length is",
    "exceeds maximum input length",
    "exceeds the maximum input length",
    "maximum sequence length",
    "context length",
    "context window",
    "available context size",
    "exceed context limit",
    "prompt is too long",
    "prompt too long",
    "prompt exceeds max length",
    "prompt tokens exceed",
    "prompt token count of",
    "input is too long for",
    "input tokens exceed",
    "input length exceeds",
    "input length and `max_tokens` exceed",
    "range of input length should be",
    "exceeds the maximum number of tokens",
    "exceeded model token limit",
    "exceed max message tokens",
    "exceeds token limit",
    "exceeds the model's max input",
    "too many tokens",
    "`inputs` tokens + `max_new_tokens` must be",
    "`inputs` must have less than",
    "reduce the length of the messages",
    "reduce the length of the prompt",
    "reduce the length of your prompt",
    "超出最大上下文",
    "超过最大上下文",
    "上下文长度",
    "prompt 超长",
    "prompt超长",
    "输入过长",
    "输入长度超",
];

/// How a sentence about the credential begins, in small letters, and what it means.
const CREDENTIAL: &[(&str, Kind)] = &[
    ("incorrect api key", Kind::Unauthenticated),
    ("invalid api key", Kind::Unauthenticated),
    ("invalid api-key", Kind::Unauthenticated),
    ("invalid x-api-key", Kind::Unauthenticated),
    ("invalid authentication", Kind::Unauthenticated),
    ("api key not valid", Kind::Unauthenticated),
    ("api key not found", Kind::Unauthenticated),
    ("api key expired", Kind::Unauthenticated),
    ("api key has expired", Kind::Unauthenticated),
    ("api key is invalid", Kind::Unauthenticated),
    ("api key is expired", Kind::Unauthenticated),
    ("api key format is incorrect", Kind::Unauthenticated),
    ("the api key is invalid", Kind::Unauthenticated),
    ("your api key is invalid", Kind::Unauthenticated),
    ("your api key has expired", Kind::Unauthenticated),
    ("authentication fails", Kind::Unauthenticated),
    ("authentication failed", Kind::Unauthenticated),
    ("the security token included in the request is", Kind::Unauthenticated),
    ("this organization has been disabled", Kind::Forbidden),
    ("your organization has been disabled", Kind::Forbidden),
    ("your credit balance is too low", Kind::QuotaExhausted),
    ("you have reached your specified api usage limits", Kind::QuotaExhausted),
    ("you exceeded your current quota", Kind::QuotaExhausted),
    ("you have insufficient", Kind::QuotaExhausted),
    ("insufficient balance", Kind::QuotaExhausted),
    ("insufficient account balance", Kind::QuotaExhausted),
    ("insufficient credit", Kind::QuotaExhausted),
    ("insufficient quota", Kind::QuotaExhausted),
    ("access denied, please make sure your account is in good standing", Kind::QuotaExhausted),
    ("billing hard limit has been reached", Kind::QuotaExhausted),
    ("余额不足", Kind::QuotaExhausted),
    ("账户余额不足", Kind::QuotaExhausted),
    ("账户已欠费", Kind::QuotaExhausted),
];

/// Of a model that the provider does not have. In small letters, anywhere.
const NO_MODEL: &[&str] = &[
    "is not a valid model",
    "no such model",
    "model identifier is invalid",
    "unexpected model name format",
    "requested model is not supported",
    "with on-demand throughput isn",
    "模型不存在",
];

/// Before a model's name, or alone.
const UNKNOWN: &[&str] = &["unknown model", "invalid model", "invalid model name", "invalid model id"];

/// After a model's name.
const GONE: &[&str] = &[
    "not found",
    "is not found",
    "was not found",
    "could not be found",
    "cannot be found",
    "not exist",
    "does not exist",
    "doesn't exist",
    "has been decommissioned",
    "is decommissioned",
    "has been retired",
    "is no longer available",
    "is no longer supported",
];

/// What may stand where a model's name would, and is none.
const NO_NAMES: &[&str] = &["response", "output", "message", "parameter", "property", "field", "file", "tool", "function"];

/// What a refusal that is called no more than invalid is about, by its words; `None` where nothing more is said.
pub(super) fn read(message: &str) -> Option<Kind> {
    let text = message.trim().to_lowercase();
    if let Some((_, kind)) = CREDENTIAL.iter().find(|(front, _)| text.starts_with(front)) {
        return Some(*kind);
    }
    if TOO_LONG.iter().any(|words| text.contains(words)) {
        return Some(Kind::ContextTooLong);
    }
    let is_unknown = NO_MODEL.iter().any(|words| text.contains(words)) || names_unknown(&text) || lacks_model(&text);
    is_unknown.then_some(Kind::NotFound)
}

const QUOTES: [char; 6] = ['"', '\'', '`', '“', '”', '\\'];

/// `Invalid model: m`, `unknown model 'm'`; not `invalid model parameter`.
fn names_unknown(text: &str) -> bool {
    UNKNOWN.iter().any(|words| {
        text.match_indices(words).any(|(at, _)| {
            let rest = text.get(at + words.len()..).unwrap_or_default().trim_start_matches(' ');
            rest.chars().next().is_none_or(|next| QUOTES.contains(&next) || [':', ',', '.', '='].contains(&next))
        })
    })
}

/// `Model m not found`, ``the model `m` does not exist``; not `the tool of the model was not found`.
fn lacks_model(text: &str) -> bool {
    text.match_indices("model").any(|(at, word)| {
        let (before, rest) = (text.get(..at).unwrap_or_default(), text.get(at + word.len()..).unwrap_or_default());
        if before.ends_with(is_of_name) || rest.starts_with(is_of_name) {
            return false;
        }
        let rest = rest.trim_start_matches([' ', ':', '=']).trim_start_matches(QUOTES);
        if says_gone(rest) {
            return true;
        }
        let end = rest.find(|c: char| c == ' ' || QUOTES.contains(&c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).unwrap_or_default();
        says_gone(after.trim_start_matches(QUOTES)) && !NO_NAMES.contains(&name)
    })
}

/// `model_config`, `models`, `my-model`, `x.model`
fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || ['_', '-', '.', '/', '['].contains(&c)
}

fn says_gone(text: &str) -> bool {
    let text = text.trim_start_matches([' ', ',', ':']);
    GONE.iter().any(|words| text.starts_with(words))
}
