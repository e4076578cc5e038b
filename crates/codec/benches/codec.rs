//! What the codec costs. One group a subject; `cargo bench -p trunkline-codec -- <group>` runs one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use criterion::{criterion_group, criterion_main};

mod frame;
mod json;
mod messages;

criterion_group!(benches, json::bench, frame::bench, messages::bench);
criterion_main!(benches);
