//! Requests: callers' into canonical form, and canonical ones into what a provider is sent.

mod content;
mod input;
mod item;
mod peek;
mod read;
mod recall;
mod tool;
mod write;
mod write_input;
mod write_tool;

pub(super) use peek::peek;
pub(super) use read::read_request;
pub(super) use recall::{read_kept, recall};
pub(super) use write::write_request;
