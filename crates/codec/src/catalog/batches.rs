//! A provider's interface for many calls at once: handed in together, done within a day, at another price.

use serde::Deserialize;

use super::parse::ParseError;
use super::resolve::matches;
use crate::dialect::batch;

/// How a provider takes batches.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batches {
    /// The dialect of the lines, and of the interface around them.
    pub dialect: String,
    /// Patterns (`*` only) of the models that it takes; empty: it does not say.
    #[serde(default)]
    pub models: Vec<String>,
    /// Most lines of one batch.
    pub lines: usize,
    /// Most bytes of one batch.
    pub bytes: usize,
    /// What a line names as its path, where it is not the one of the dialect's maker.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// What it costs in hundredths of the live price, where a model's row has no price of its own for that.
    #[serde(default = "half")]
    pub price_percent: u32,
}

const fn half() -> u32 {
    50
}

impl Batches {
    /// Whether a model may be asked.
    pub fn takes(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| matches(pattern, model))
    }

    pub(super) fn check(&self, id: &str, spoken: &[String]) -> Result<(), ParseError> {
        let wrong = |what: &str| Err(ParseError::wrong(id, format!("`batch` {what}")));
        if !spoken.contains(&self.dialect) {
            return wrong(&format!("names `{}`, which is not among its dialects", self.dialect));
        }
        if batch::find(&self.dialect).is_none() {
            return wrong(&format!("names `{}`, which has no batches", self.dialect));
        }
        if self.lines == 0 || self.bytes == 0 {
            return wrong("has room for no line");
        }
        if !(1..=100).contains(&self.price_percent) {
            return wrong("has a price that is not between 1 and 100 percent");
        }
        Ok(())
    }
}
