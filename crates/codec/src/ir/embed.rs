//! Texts to vectors.

use serde::Serialize;

use super::message::Extra;
use super::usage::Usage;

/// What is to be turned into vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Embed {
    /// The model's name, as the receiver of the request knows it.
    pub model: String,
    /// One vector each.
    pub inputs: Vec<EmbedInput>,
    /// The vectors' length; `None`: the model's own.
    pub dimensions: Option<u32>,
    /// What the vectors are for.
    pub purpose: Option<Purpose>,
    /// The title of the documents, where the purpose is [`Purpose::Document`].
    pub title: Option<String>,
    /// What becomes of an input that is too long; `None`: as the provider likes.
    pub truncate: Option<Truncate>,
    /// Whether the answer shall hold base64 of little-endian `f32` instead of numbers.
    pub base64: bool,
    /// Whether one input was sent by itself and not as a list of one.
    pub single: bool,
    /// An opaque id of the end user.
    pub user: Option<String>,
    /// Fields that we do not act on.
    pub extra: Extra,
}

/// One thing to be turned into a vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbedInput {
    /// A text.
    Text(String),
    /// Tokens of the model's own.
    Tokens(Vec<u32>),
    /// A picture, as an address or a `data:` URI.
    Image(String),
}

impl EmbedInput {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            EmbedInput::Text(text) => Some(text),
            EmbedInput::Tokens(_) | EmbedInput::Image(_) => None,
        }
    }
}

impl<T: Into<String>> From<T> for EmbedInput {
    fn from(text: T) -> Self {
        EmbedInput::Text(text.into())
    }
}

/// What vectors are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To look for documents.
    Query,
    /// To be found.
    Document,
    /// To tell how alike texts are.
    Similarity,
    /// To sort into known classes.
    Classification,
    /// To find classes.
    Clustering,
    /// To find an answer.
    Question,
    /// To find what supports or refutes.
    FactCheck,
    /// To look for code.
    CodeQuery,
}

/// Where an input that is too long is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncate {
    /// It is refused.
    None,
    /// Its start goes.
    Start,
    /// Its end goes.
    End,
}

/// Vectors, in the order of the inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Embeddings {
    /// The provider's id for the answer; may be empty.
    pub id: String,
    /// The model, by the provider's word; may be empty.
    pub model: String,
    /// One an input.
    pub vectors: Vec<Vec<f32>>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
}
