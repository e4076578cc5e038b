//! Streamed answers: a provider's read, ours written, and those that pass by watched.
//!
//! `messageStart`, then block after block (`contentBlockStart` for calls, images and results only, `contentBlockDelta`…,
//! `contentBlockStop`), `messageStop` with the reason of the end, `metadata` with the usage; an exception anywhere.

mod observe;
mod open;
mod read;
mod write;

pub(super) use observe::Observer;
pub(super) use read::Reader;
pub(super) use write::Writer;

/// Whether a frame of this name is an error.
fn is_error(name: &str) -> bool {
    name == "error" || name == "exception" || name.ends_with("Exception")
}
