//! Requests: callers' into canonical form, and canonical ones into what a provider is sent.

mod content;
mod message;
mod peek;
mod read;
mod write;
mod write_message;

pub(crate) use peek::{forward, peek};
pub(crate) use read::read_request;
pub(crate) use write::write_request;
