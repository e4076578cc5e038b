//! A streamed answer, piece by piece.
//!
//! Laws (checked by the testkit on every fixture): `Start` comes first and once; a part is opened before it is
//! filled and closed after; a part's index counts up within its choice; nothing of a choice comes after its
//! `Finish`; `Usage` may come any time, is cumulative, and the last one counts; nothing comes after `End`.
//! Parts of different choices may interleave; so may the parts of parallel tool calls.

use serde::Serialize;

use super::message::{Citation, Extra, Part, Raw};
use super::response::{Finish, TokenLogprob};
use super::usage::Usage;

/// One step of a streamed answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The answer begins.
    Start {
        /// The provider's id; may be empty.
        id: String,
        /// The model by the provider's word; may be empty.
        model: String,
        /// Unix seconds, where the wire says.
        #[serde(skip_serializing_if = "Option::is_none")]
        created: Option<u64>,
        /// Fields that we do not act on.
        #[serde(skip_serializing_if = "Extra::is_empty")]
        extra: Extra,
    },
    /// A part begins.
    PartStart {
        /// Which answer.
        choice: u32,
        /// Which part of it, counted from 0.
        part: u32,
        /// What it is.
        start: PartStart,
    },
    /// A part grows.
    Delta {
        /// Which answer.
        choice: u32,
        /// Which part of it.
        part: u32,
        /// By what.
        delta: Delta,
    },
    /// A part is whole.
    PartEnd {
        /// Which answer.
        choice: u32,
        /// Which part of it.
        part: u32,
    },
    /// Probabilities of tokens just told.
    Logprobs {
        /// Which answer.
        choice: u32,
        /// In order.
        tokens: Vec<TokenLogprob>,
    },
    /// An answer ended.
    Finish {
        /// Which.
        choice: u32,
        /// Why.
        finish: Finish,
    },
    /// What it took so far.
    Usage {
        /// Cumulative.
        usage: Usage,
    },
    /// An event that only its own dialect knows.
    Foreign {
        /// The dialect.
        from: &'static str,
        /// The event's name, where frames have one.
        name: Option<String>,
        /// The data.
        data: Raw,
    },
    /// The stream is complete: the dialect's own terminator was seen.
    End,
}

/// How a part begins.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PartStart {
    /// Text follows.
    Text,
    /// Thinking follows.
    Reasoning,
    /// A tool call follows.
    ToolCall {
        /// Never empty.
        id: String,
        /// The tool.
        name: String,
    },
    /// A refusal follows.
    Refusal,
    /// Sound follows.
    Audio {
        /// The provider's name for it.
        id: Option<String>,
        /// Such as `audio/pcm`; may be empty.
        media_type: String,
    },
    /// A part that comes whole (image, document, encrypted reasoning, foreign block): no deltas but a signature follow.
    Whole {
        /// The part.
        content: Box<Part>,
    },
}

/// By what a part grows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delta {
    /// Text, reasoning text or refusal text, as the part's start said.
    Text(String),
    /// A piece of the arguments' JSON text.
    Arguments(String),
    /// The part's signature: comes whole, replaces an earlier one.
    Signature(super::message::Signature),
    /// A source of the text so far.
    Citation(Citation),
    /// Base64 of more sound.
    Audio(String),
    /// What is said in it.
    Transcript(String),
}
