//! The gateway bench: what a call costs when it goes through the gateway, beside what it costs through a plain
//! reverse proxy and beside a direct connection, in one run.
//!
//! The pieces, in the order in which a run uses them:
//!
//! - [`option`]: what the command line asks for
//! - [`provider`], [`reply`]: a local provider that speaks `openai-chat` and answers from memory
//! - [`contestant`], [`process`]: the proxies under test, started and measured as child processes
//! - [`prompt`], [`connection`], [`load`]: the load generator (raw HTTP/1.1, closed loop, fixed number of requests)
//! - [`scenario`]: the rounds in which the contestants alternate
//! - [`memory`], [`lifetime`]: resident memory; start and stop
//! - [`report`]: medians, ratios, the table and the JSON
//!
//! Only loopback addresses are contacted. Every loop has a bound, and child processes end with the run.

pub mod connection;
pub mod contestant;
pub mod lifetime;
pub mod load;
pub mod memory;
pub mod option;
pub mod process;
pub mod prompt;
pub mod provider;
pub mod reply;
pub mod report;
pub mod scenario;
