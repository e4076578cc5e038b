//! Streamed answers: named events, each with its number; the last one holds the whole answer.

mod observe;
mod open;
mod quick;
mod read;
mod slot;
mod write;

pub(super) use observe::{Watch, observe_response};
pub(super) use read::Reader;
pub(super) use write::Writer;
