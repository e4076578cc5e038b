//! What is answered.

use serde::{Deserialize, Serialize};

use super::message::{Extra, Part};
use super::usage::Usage;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Response {
    /// The provider's id for it; may be empty.
    pub id: String,
    /// The model that answered, by the provider's word; may be empty.
    pub model: String,
    /// Unix seconds, where the wire says.
    pub created: Option<u64>,
    /// The answers, by index.
    pub choices: Vec<Choice>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
    /// Fields that we do not act on.
    pub extra: Extra,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Choice {
    /// 0 for the first.
    pub index: u32,
    /// What was said, in order.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Finish,
    /// Probabilities, when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<TokenLogprob>,
    /// Fields that we do not act on.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Finish {
    /// The class.
    pub reason: Reason,
    /// The stop text that was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_sequence: Option<String>,
    /// The provider's own word, and its explanation if it gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl From<Reason> for Finish {
    fn from(reason: Reason) -> Self {
        Finish { reason, stop_sequence: None, detail: None }
    }
}

/// The classes of an answer's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The model was done.
    #[default]
    Stop,
    /// A stop text was met.
    StopSequence,
    /// `max_tokens` was reached.
    Length,
    /// The model's window is full.
    ContextFull,
    /// Tools are to be called.
    ToolCalls,
    /// The model declined.
    Refusal,
    /// A filter stopped it.
    Filtered,
    /// The provider wants the answer sent back to go on.
    Pause,
    /// The provider says that the answer is broken.
    Failed,
}

/// One token and how likely it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenLogprob {
    /// Its text.
    pub token: String,
    /// Natural logarithm.
    pub logprob: f64,
    /// Its bytes, where it is not whole UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
    /// The likeliest in its place.
    pub top: Vec<TopLogprob>,
}

/// A token that could have stood there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopLogprob {
    /// Its text.
    pub token: String,
    /// Natural logarithm.
    pub logprob: f64,
    /// Its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
}
