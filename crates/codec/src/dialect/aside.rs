//! Small paths that only one dialect has, beside its calls and the lists of models that several share.

use http::Method;

use super::{Dialect, find, ollama};
use crate::error::Result;

/// Reads a model's name in the body of a request.
pub type ReadName = fn(&[u8]) -> Result<String>;

/// What is asked there.
#[derive(Clone, Copy, Debug)]
pub enum Aside {
    /// What is always answered alike, and to everybody.
    Fixed {
        /// The media type.
        media: &'static str,
        /// The body.
        body: &'static str,
    },
    /// The list of models.
    Models,
    /// One model, whose name this reads from the request's body.
    Model(ReadName),
}

impl Aside {
    /// The method that the path takes.
    pub const fn method(&self) -> Method {
        match self {
            Aside::Fixed { .. } | Aside::Models => Method::GET,
            Aside::Model(_) => Method::POST,
        }
    }
}

/// The dialect that has this path, and what it stands for.
pub fn aside(path: &str) -> Option<(&'static Dialect, Aside)> {
    Some((find(ollama::CHAT)?, ollama::aside(path)?))
}
