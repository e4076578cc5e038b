//! Texts to vectors.

use super::OperationCall;
use crate::client::Client;
use crate::ir::{Embed, EmbedInput, Purpose};

impl Client {
    /// Turns texts into vectors, one each.
    pub fn embed<I, T>(&self, model: impl Into<String>, inputs: I) -> OperationCall<Embed>
    where
        I: IntoIterator<Item = T>,
        T: Into<EmbedInput>,
    {
        let inputs = inputs.into_iter().map(Into::into).collect();
        self.operate(Embed { model: model.into(), inputs, ..Embed::default() })
    }
}

impl OperationCall<Embed> {
    /// The vectors' length.
    pub fn dimensions(mut self, dimensions: u32) -> Self {
        self.wanted.dimensions = Some(dimensions);
        self
    }

    /// What the vectors are for.
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.wanted.purpose = Some(purpose);
        self
    }
}
