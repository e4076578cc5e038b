//! Streams: read from providers, written for callers.

mod partial;
mod read;
mod write;

pub(crate) use read::Reader;
pub(crate) use write::{Writer, write_error};
