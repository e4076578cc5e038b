//! What the codec costs. One group a subject; `cargo bench -p trunkline-codec -- <group>` runs one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use criterion::{criterion_group, criterion_main};

mod chat;
mod frame;
mod json;
mod messages;
mod responses;

criterion_group!(benches, json::bench, frame::bench, chat::bench, messages::bench, responses::bench);
criterion_main!(benches);
