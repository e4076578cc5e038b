//! trunkline-codec

pub mod catalog;
