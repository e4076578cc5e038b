//! What people do with calls: converse ([`session`]), keep what they ask ([`prompt`]), run thousands of them from a file ([`batch`]), chain them
//! ([`workflow`]), and set models side by side ([`compare`]).
//!
//! Everything here calls models through [`trunkline::Client`] and tells how it goes by values and callbacks; what a person
//! sees of it is the business of the command.

pub mod batch;
pub mod compare;
pub mod prompt;
pub mod session;
pub mod workflow;

mod fault;
mod page;
pub mod schema;
mod template;
mod time;
