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

/// The tag of a model without one. It says nothing, and only this dialect knows it.
const LATEST: &str = ":latest";

/// Fields that only a prompt can have.
const OF_A_PROMPT: &[&str] = &["suffix", "template", "context", "raw", "width", "height", "steps"];

/// Where the canonical request keeps an option that it has no field for.
const OPTION: &str = "options.";
