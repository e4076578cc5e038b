//! Documents to an order.

use serde::Serialize;

use super::message::{Extra, Raw};
use super::usage::Usage;

/// Documents to be put in the order of their relevance.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rerank {
    /// The model's name, as the receiver of the request knows it.
    pub model: String,
    /// Relevance to what.
    pub query: String,
    /// The documents.
    pub documents: Vec<Document>,
    /// How many of the best are wanted; `None`: all.
    pub top: Option<u64>,
    /// Whether the answer shall repeat the documents; `None`: not said.
    pub repeat: Option<bool>,
    /// Where a document is cut.
    pub max_tokens_per_document: Option<u64>,
    /// Fields that we do not act on.
    pub extra: Extra,
}

/// One document.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Document {
    /// Its text.
    pub text: String,
    /// As it came, where it was an object of several fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Raw>,
}

impl<T: Into<String>> From<T> for Document {
    fn from(text: T) -> Self {
        Document { text: text.into(), fields: None }
    }
}

/// Documents by relevance.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ranking {
    /// The provider's id for the answer; may be empty.
    pub id: String,
    /// The model, by the provider's word; may be empty.
    pub model: String,
    /// The best first.
    pub results: Vec<Ranked>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
    /// Searches that are billed, where the provider counts those.
    pub searches: Option<u64>,
}

/// One document's place.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ranked {
    /// Which of the request's documents, from 0.
    pub index: u64,
    /// How relevant; mostly 0 to 1, more is better.
    pub score: f64,
    /// Its text, where it is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
