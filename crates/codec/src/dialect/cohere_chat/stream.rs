//! Streamed answers: named events, ended by `message-end`.

mod observe;
mod read;
mod write;

pub(super) use observe::{Watch, observe_response};
pub(super) use read::Reader;
pub(super) use write::Writer;
