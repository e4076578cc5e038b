//! Streamed answers: a provider's read, ours written, and those that pass by watched.
//!
//! `message_start`, then block after block (`content_block_start`, `content_block_delta`…, `content_block_stop`),
//! `message_delta` with the reason of the end, `message_stop`; `ping` anywhere; no `[DONE]`.

mod chunk;
mod observe;
mod open;
mod part;
mod quick;
mod read;
mod write;

pub(super) use chunk::Chunks;
pub(super) use observe::Observer;
pub(super) use read::Reader;
pub(super) use write::Writer;
