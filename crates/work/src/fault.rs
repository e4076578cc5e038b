//! The errors of this crate are the library's; these are its own occasions for them.

use std::fmt::Display;
use std::path::Path;

use trunkline::{Error, Kind, Origin};

/// The caller asked for something that makes no sense.
pub(crate) fn wrong(what: impl Into<String>) -> Error {
    Error::new(Kind::BadRequest, Origin::Caller, what)
}

/// A file cannot be read or written.
pub(crate) fn file(what: &str, path: &Path, why: impl Display) -> Error {
    Error::new(Kind::Internal, Origin::Caller, format!("cannot {what} {}: {why}", path.display()))
}
