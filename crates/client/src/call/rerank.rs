//! Documents to an order.

use super::OperationCall;
use crate::client::Client;
use crate::ir::{Document, Rerank};

impl Client {
    /// Puts documents in the order of their relevance to a query.
    pub fn rerank<I, T>(&self, model: impl Into<String>, query: impl Into<String>, documents: I) -> OperationCall<Rerank>
    where
        I: IntoIterator<Item = T>,
        T: Into<Document>,
    {
        let documents = documents.into_iter().map(Into::into).collect();
        self.operate(Rerank { model: model.into(), query: query.into(), documents, ..Rerank::default() })
    }
}

impl OperationCall<Rerank> {
    /// Only the best of them.
    pub fn top(mut self, top: u64) -> Self {
        self.wanted.top = Some(top);
        self
    }
}
