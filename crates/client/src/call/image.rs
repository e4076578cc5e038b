//! Texts and pictures to pictures.

use super::OperationCall;
use crate::client::Client;
use crate::ir::{Draw, File};

impl Client {
    /// Makes a picture of what `prompt` says.
    pub fn image(&self, model: impl Into<String>, prompt: impl Into<String>) -> OperationCall<Draw> {
        self.operate(Draw { model: model.into(), prompt: prompt.into(), ..Draw::default() })
    }
}

impl OperationCall<Draw> {
    /// Starts from this picture (or these, when said again) instead of from nothing.
    pub fn from(mut self, name: impl Into<String>, media: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.wanted.images.push(File { name: name.into(), media: media.into(), bytes: bytes.into() });
        self
    }

    /// How many.
    pub fn count(mut self, count: u32) -> Self {
        self.wanted.n = Some(count);
        self
    }

    /// `1024x1024`, …
    pub fn size(mut self, size: impl Into<String>) -> Self {
        self.wanted.size = Some(size.into());
        self
    }

    /// `low`, `medium`, `high`, …
    pub fn quality(mut self, quality: impl Into<String>) -> Self {
        self.wanted.quality = Some(quality.into());
        self
    }
}
