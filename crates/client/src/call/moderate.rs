//! Texts to verdicts.

use super::OperationCall;
use crate::client::Client;
use crate::ir::{Moderate, Suspect};

impl Client {
    /// Judges texts, one verdict each.
    pub fn moderate<I, T>(&self, model: impl Into<String>, texts: I) -> OperationCall<Moderate>
    where
        I: IntoIterator<Item = T>,
        T: Into<String>,
    {
        let items = texts.into_iter().map(|text| vec![Suspect::Text(text.into())]).collect();
        self.operate(Moderate { model: model.into(), items, ..Moderate::default() })
    }
}
