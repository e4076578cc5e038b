//! Requests: callers' into canonical form, and canonical ones into what a provider is sent.

mod content;
mod message;
mod peek;
mod read;
mod write;
mod write_message;
mod write_tool;

pub(crate) use content::{media_type_of_file, read_cache};
pub(crate) use peek::{Seen, USER, forward, forward_model, peek, required};
pub(crate) use read::{read_metadata, read_request, read_settings};
pub(crate) use write::{
    Draft, REFUSED, cache_breakpoint, finish, nearest_effort, nearest_temperature, write_request, write_settings,
};
pub(crate) use write_tool::{Words, free_text_schema, no_arguments, write_tools_as};
