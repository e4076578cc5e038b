//! Requests: callers' into canonical form, and canonical ones into what a provider is sent.

mod document;
mod message;
mod peek;
mod read;
mod tool;
mod write;
mod write_message;

pub(super) use peek::{forward, peek};
pub(super) use read::read;
pub(super) use write::write;
