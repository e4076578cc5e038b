//! The store and the ledger, on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod folder;
mod forget;
mod ledger;
mod million;
mod month;
mod process;
mod prompt;
mod session;
#[cfg(target_os = "linux")]
mod shared;
mod suite;
mod trim;
mod unwritable;
mod world;
