//! Requests: callers' into canonical form, and canonical ones into what a provider is sent.

mod content;
mod message;
mod peek;
mod read;
mod write;
mod write_message;
mod write_tool;

pub(crate) use peek::{forward, peek};
pub(crate) use read::{read_request, read_settings};
pub(crate) use write::{Draft, finish, write_request, write_settings};
