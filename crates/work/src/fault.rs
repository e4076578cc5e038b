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

/// What a file says, without the mark that some programs put before a text.
pub(crate) fn read(path: &Path) -> trunkline::Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| file("read", path, error))?;
    Ok(unmarked(&text).to_owned())
}

/// A text without that mark.
pub(crate) fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
