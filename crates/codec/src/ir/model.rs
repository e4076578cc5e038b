//! A model as the model list shows it.

use serde::Serialize;

/// One row of a model list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// What a caller writes as the model's name.
    pub id: String,
    /// Who serves it.
    pub owner: String,
    /// Unix seconds; 0 when not known.
    pub created: u64,
}
