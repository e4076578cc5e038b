//! The shapes that answers of this dialect have on the wire, for reading.
//!
//! Source: the type definitions of the `openai` package for Python. Read leniently, as those of chat are: a word where
//! a number is usual does no harm.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::openai_chat::wire::{Count, Details, Scalar};
use crate::ir::Usage;

/// An answer: whole, or as a stream's first and last frames tell it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) object: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) created_at: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) status: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) incomplete_details: Option<Incomplete<'a>>,
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
    pub(super) usage: Option<Tokens>,
}

/// Why an answer is not complete.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Incomplete<'a> {
    #[serde(borrow)]
    pub(super) reason: Option<Scalar<'a>>,
}

/// An item of any kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) summary: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) encrypted_content: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) call_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) result: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) output_format: Option<Scalar<'a>>,
}

/// A piece of a message or of thinking.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
}

/// A frame of a stream, whatever it tells.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Step<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Scalar<'a>>,
    pub(super) output_index: Option<Count>,
    pub(super) content_index: Option<Count>,
    pub(super) summary_index: Option<Count>,
    #[serde(borrow)]
    pub(super) delta: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) part: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    /// Proxies tell errors as chat does, in a frame that has no type.
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// Token counts.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
}

impl Tokens {
    /// The canonical usage; `None` when nothing was told.
    pub(super) fn usage(&self) -> Option<Usage> {
        let told = |count: Option<Count>| count.and_then(|count| count.0);
        let (input, output) = (told(self.input_tokens), told(self.output_tokens));
        if input.is_none() && output.is_none() {
            return None;
        }
        let prompt = self.input_tokens_details.unwrap_or_default();
        let answer = self.output_tokens_details.unwrap_or_default();
        Some(Usage {
            input: input.unwrap_or(0),
            output: output.unwrap_or(0),
            cache_read: told(prompt.cached_tokens),
            cache_write: told(prompt.cache_write_tokens),
            reasoning: told(answer.reasoning_tokens),
            audio_input: told(prompt.audio_tokens),
            audio_output: told(answer.audio_tokens),
            ..Usage::default()
        })
    }
}

/// A field's word, if it is there and not empty.
pub(super) fn word(field: &Option<Scalar<'_>>) -> Option<String> {
    field.as_ref().and_then(Scalar::word).filter(|word| !word.is_empty())
}

/// A field's text; empty where there is none.
pub(super) fn text<'s>(field: &'s Option<Scalar<'_>>) -> &'s str {
    field.as_ref().and_then(Scalar::text).unwrap_or_default()
}
