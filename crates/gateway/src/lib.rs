//! The gateway: any program that speaks one of the dialects reaches every provider.
//!
//! The whole flow of a call is one page, [`pipeline`]; the rest is its steps: [`edge`] (HTTP in and out), [`identify`]
//! (who calls). Codec, routing and transport are the library's ([`trunkline`]).

pub mod door;
pub mod edge;
mod header;
pub mod identify;
mod keeper;
mod log;
mod meter;
mod mirror;
mod operate;
mod passthrough;
pub mod pipeline;
mod prompt;
mod record;
mod reload;
mod server;
mod session;
mod shed;
mod show;
mod worker;

pub use door::Door;
pub use prompt::Shelf;
pub use record::Record;
pub use server::{Server, Stop};
