//! Providers as data.

mod quirks;

pub use quirks::{MaxTokensField, Quirks, ReasoningField, ReasoningReplay, ReasoningStyle, SystemRole};
