//! One line to every generative-AI model.
//!
//! ```no_run
//! # async fn example() -> trunkline::Result<()> {
//! let client = trunkline::Client::from_env()?;
//! let reply = client.chat("sim/echo", "Hello").await?;
//! println!("{}", reply.text());
//! # Ok(())
//! # }
//! ```
//!
//! A call is planned ([`Client::plan`]), exchanged with a provider ([`exchange`]) and relayed ([`relay`]) to
//! whoever asked. The wire formats are the business of [`codec`]; providers are data ([`codec::catalog`]).

pub use trunkline_codec as codec;

pub mod batch;
mod body_values;
pub mod call;
mod carry;
mod client;
pub mod clock;
pub mod config;
mod credential;
pub mod exchange;
pub mod monitor;
pub mod operate;
mod redact;
mod refusal;
pub mod relay;
pub mod route;
mod runtime;
mod secret;
pub mod target;
pub mod transport;

pub use call::{Call, ChatStream, OperationCall, Piece, Reply};
pub use client::{Builder, Client};
pub use codec::dialect::advice::{ProviderLimits, Room};
pub use codec::error::{Error, Kind, Origin, Phase, Result, Retry};
pub use codec::ir;
pub use codec::loss::{Loss, Losses};
pub use config::Config;
pub use credential::sign;
pub use operate::Done;
pub use redact::Redactor;
pub use runtime::ConfigView;
pub use secret::Secret;
pub use target::Target;
