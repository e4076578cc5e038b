//! trunkline-gateway
