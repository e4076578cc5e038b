//! trunkline-codec
