//! How many tokens a prompt has.

use serde::Serialize;

/// The answer to "how many input tokens would this request be?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TokenCount {
    /// Input tokens.
    pub input: u64,
    /// True when no provider counted them and the number is a guess from the text's length.
    pub estimated: bool,
}
