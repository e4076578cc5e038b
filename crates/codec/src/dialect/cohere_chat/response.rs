//! Whole answers.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::{UsageOut, logprob_out, write, write_finish};
