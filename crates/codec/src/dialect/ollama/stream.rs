//! Streamed answers: a line of JSON for each piece, the last one with `"done": true`.

mod observe;
mod read;
mod write;

pub(super) use observe::{Watch, observe_response};
pub(super) use read::Reader;
pub(super) use write::Writer;
