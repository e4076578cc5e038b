//! What the tests of every other crate stand on. A dev-dependency only: nothing here ships.
// Test support: a wrong step here should stop the test on the spot, with a backtrace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod bench;
pub mod guard;
pub mod provider;
pub mod socket;
