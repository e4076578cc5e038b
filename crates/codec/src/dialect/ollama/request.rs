//! Requests: callers' into canonical form, and canonical ones into what a provider is sent.

mod message;
mod peek;
mod prompt;
mod read;
mod tool;
mod write;
mod write_message;

pub(super) use peek::{forward, peek};
pub(super) use read::read;
pub(super) use write::write;
pub(super) use write_message::CallOut;

/// A model's name without the tag of those that have none: it says nothing, and only this dialect knows it.
pub(super) fn untag(name: &str) -> &str {
    name.strip_suffix(":latest").unwrap_or(name)
}

/// Fields that only a prompt can have.
const OF_A_PROMPT: &[&str] = &["suffix", "template", "context", "raw", "width", "height", "steps"];

/// Where the canonical request keeps an option that it has no field for.
const OPTION: &str = "options.";
