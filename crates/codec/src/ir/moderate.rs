//! Texts and pictures to verdicts.

use serde::Serialize;

use super::message::Extra;
use super::usage::Usage;

/// What is to be judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Moderate {
    /// The model's name, as the receiver of the request knows it.
    pub model: String,
    /// One verdict each; texts and pictures of one item are judged together.
    pub items: Vec<Vec<Suspect>>,
    /// Whether one text was sent by itself and not as a list of one.
    pub single: bool,
    /// Fields that we do not act on.
    pub extra: Extra,
}

/// A text or a picture that may be harmful.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspect {
    /// A text.
    Text(String),
    /// A picture, as an address or a `data:` URI.
    Image(String),
}

/// Verdicts, in the order of the items.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Moderation {
    /// The provider's id for the answer; may be empty.
    pub id: String,
    /// The model, by the provider's word; may be empty.
    pub model: String,
    /// One an item.
    pub verdicts: Vec<Verdict>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
}

/// One verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether anything is wrong with it.
    pub flagged: bool,
    /// What, by the provider's own categories.
    pub categories: Vec<Category>,
}

/// One kind of harm.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Category {
    /// Its name on the wire: `harassment/threatening`, …
    pub name: String,
    /// Whether it is found.
    pub flagged: bool,
    /// 0 to 1, where the provider says.
    pub score: Option<f64>,
    /// Which kinds of input it was judged by: `text`, `image`.
    pub by: Vec<String>,
}
