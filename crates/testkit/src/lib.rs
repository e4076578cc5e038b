//! trunkline-testkit

pub mod bench;
