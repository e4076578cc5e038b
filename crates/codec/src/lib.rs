//! trunkline-codec

pub mod frame;
pub mod json;
