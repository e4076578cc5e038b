//! trunkline
pub mod transport;
