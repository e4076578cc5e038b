//! Requests: callers' into canonical form, and canonical ones into what a provider is sent.

mod content;
mod message;
mod read;
mod write;
mod write_message;

pub(crate) use read::{Settings, read_request, read_settings};
pub(crate) use write::{write_request, write_settings};
