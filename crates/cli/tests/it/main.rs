//! The command as a process: what a person types, and what comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod batch;
mod chat;
mod check;
mod compare;
mod kill;
mod ledger;
mod models;
mod operation;
mod prompt;
mod provider_batch;
mod readme;
mod rehearse;
mod speed;
mod stop;
mod task;
mod terminal;
mod workflow;
