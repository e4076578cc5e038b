//! The client's tests over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod cost;
mod credential;
mod cut;
mod documents;
mod fault;
mod go_on;
mod native;
mod operation;
mod recording;
mod route;
mod sign;
mod transport;
