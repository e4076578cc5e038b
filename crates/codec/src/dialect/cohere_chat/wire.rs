//! The shapes that answers have on the wire, for reading. What is a list in a whole answer is a single thing in a
//! stream's deltas: both are read as lists.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::NAME;
use crate::dialect::openai_chat::wire::{Call, Count, Many, Scalar, Str, list_of};
use crate::error::{Error, Result};
use crate::ir::{Content, Finish, Part, Reason, Signature, TokenLogprob, Usage};

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Scalar<'a>>,
    /// Ours: another provider's own word for it.
    #[serde(borrow)]
    pub(super) native_finish_reason: Option<Scalar<'a>>,
    pub(super) usage: Option<UsageIn>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
}

/// A frame of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Step<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Scalar<'a>>,
    pub(super) index: Option<i64>,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
    /// What an error has in place of all that.
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
}

/// What a frame adds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) message: Option<Said<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Scalar<'a>>,
    /// Ours: another provider's own word for it.
    #[serde(borrow)]
    pub(super) native_finish_reason: Option<Scalar<'a>>,
    pub(super) usage: Option<UsageIn>,
    #[serde(borrow)]
    pub(super) error: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) code: Option<Scalar<'a>>,
}

/// What is said, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Many<Block<'a>>>,
    #[serde(borrow)]
    pub(super) tool_plan: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Many<Call<'a>>>,
    #[serde(borrow)]
    pub(super) citations: Option<&'a RawValue>,
}

/// A block of content, or more of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Str<'a>>,
    /// Ours: what another dialect's maker needs to see again of its thinking.
    #[serde(borrow)]
    pub(super) signature: Option<Str<'a>>,
    pub(super) redacted: bool,
}

impl Block<'_> {
    pub(super) fn is_thinking(&self) -> bool {
        match self.r#type.as_deref() {
            Some(word) => word == "thinking",
            None => self.thinking.is_some(),
        }
    }

    pub(super) fn words(&self) -> &str {
        let words = if self.is_thinking() { &self.thinking } else { &self.text };
        words.as_deref().unwrap_or_default()
    }

    pub(super) fn signature(&self) -> Option<Signature> {
        self.signature.as_deref().filter(|value| !value.is_empty()).map(|value| Signature::unseal(value, NAME))
    }

    /// The whole block; `None` when there is nothing in it.
    pub(super) fn part(&self) -> Option<Part> {
        let (text, signature) = (self.words().to_owned(), self.signature());
        if text.is_empty() && signature.is_none() {
            return None;
        }
        let content = match self.is_thinking() {
            true => Content::Reasoning { text, redacted: self.redacted },
            false => Content::Text { text, citations: Vec::new() },
        };
        Some(Part { signature, ..content.into() })
    }
}

/// Tokens as they were, and as they are billed: the price is of the latter, which leave out what the provider adds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageIn {
    tokens: Option<Tokens>,
    billed_units: Option<Tokens>,
    cached_tokens: Option<Count>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
}

impl UsageIn {
    /// `None` when nothing is told.
    pub(super) fn usage(&self) -> Option<Usage> {
        let first = |pick: fn(&Tokens) -> Option<Count>| {
            [self.billed_units, self.tokens].iter().flatten().find_map(|tokens| pick(tokens)?.0)
        };
        let (input, output) = (first(|tokens| tokens.input_tokens), first(|tokens| tokens.output_tokens));
        let told = input.is_some() || output.is_some();
        let input = input.unwrap_or(0);
        told.then(|| Usage {
            input,
            output: output.unwrap_or(0),
            // Counted among all tokens, of which those that are billed are some.
            cache_read: self.cached_tokens.and_then(|count| count.0).map(|cached| cached.min(input)),
            ..Usage::default()
        })
    }
}

/// Why an answer ended.
pub(super) fn read_finish(word: &str, native: Option<&Scalar<'_>>, calls: bool) -> Finish {
    let reason = match word {
        "" | "COMPLETE" if calls => Reason::ToolCalls,
        "TOOL_CALL" => Reason::ToolCalls,
        "STOP_SEQUENCE" => Reason::StopSequence,
        "MAX_TOKENS" => Reason::Length,
        "ERROR_LIMIT" => Reason::ContextFull,
        "ERROR_TOXIC" => Reason::Filtered,
        "ERROR" | "TIMEOUT" => Reason::Failed,
        // `COMPLETE`, and whatever comes next year.
        _ => Reason::Stop,
    };
    let usual = matches!(word, "" | "COMPLETE" | "TOOL_CALL" | "STOP_SEQUENCE" | "MAX_TOKENS" | "ERROR_TOXIC" | "ERROR");
    let native = native.and_then(Scalar::word);
    Finish { reason, stop_sequence: None, detail: native.or((!usual).then(|| word.to_owned())) }
}

/// A stretch of text and the probabilities of its tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Logprob {
    text: Option<String>,
    logprobs: Option<Vec<f64>>,
}

/// Probabilities of stretches of text; what cannot be read is left out rather than fail the call.
pub(super) fn read_logprobs(raw: Option<&RawValue>) -> Vec<TokenLogprob> {
    let read = |item: Logprob| TokenLogprob {
        token: item.text.unwrap_or_default(),
        logprob: item.logprobs.unwrap_or_default().iter().sum(),
        bytes: None,
        top: Vec::new(),
    };
    list_of::<Logprob>(raw).into_iter().map(read).collect()
}

/// The error for what cannot be read.
pub(super) fn unreadable(json: &[u8], fault: &serde_json::Error) -> Error {
    if json.trim_ascii_start().starts_with(b"<") {
        return Error::malformed("answered with an HTML page instead of JSON").with_raw(json);
    }
    Error::malformed(format!("the answer cannot be read: {fault}")).with_raw(json)
}

/// What is said in a whole answer. An error has text in its place.
pub(super) fn read_said<'a>(raw: &'a RawValue, json: &[u8]) -> Result<Said<'a>> {
    if raw.get().starts_with('"') {
        return Err(super::error::read_within(json));
    }
    serde_json::from_str(raw.get()).map_err(|fault| unreadable(json, &fault))
}
