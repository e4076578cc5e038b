//! The gateway in process, called over real sockets, in front of a provider that misbehaves on command.
//!
//! [`gateway`] starts it, [`wire`] is a bare HTTP client that hides nothing, [`speech`] is what every dialect says;
//! the tests walk over [`speech::all`], so that a new dialect inherits them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines, missing_docs)]

mod bedrock;
mod gateway;
mod reload;
mod speech;
mod wire;

mod count;
mod cut;
mod door;
mod fault;
mod go_on;
mod hangup;
mod input;
mod lane;
mod list;
mod locked;
mod log;
mod lost;
mod metric;
mod ollama;
mod operation;
mod outage;
mod oversize;
mod owner;
mod passthrough;
mod prompt;
mod quirk;
mod race;
mod record;
mod rehearse;
mod responses;
mod session;
mod shed;
mod stop;
mod summary;
mod survive;
mod task;
mod texts;
mod upload;
