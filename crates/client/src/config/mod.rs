//! `trunkline.toml`: the file as written, where it is looked for, and the environment beside it.
//!
//! Strict: an unknown key is an error that names the line, the key and the nearest known one.
//! None at all is fine: then the usual environment variables switch providers on.

mod alias;
mod environment;
mod file;
mod limit;
mod log;
mod replay;
mod session;
mod store;
mod task;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::codec::catalog::{ModelPatch, ProviderPatch, SecretRef};
use crate::transport::FaultPlan;

pub use crate::credential::resolve as resolve_secret;
pub use alias::{Alias, Calls, Choice, HoldBack, Mirror, Sticky};
pub use environment::Environment;
pub(crate) use file::wrong;
pub use file::{FILE_NAME, PRICES_NAME, add_prices, locate};
pub use limit::Limit;
pub use log::{LogConfig, LogContent, LogFormat, LogLevel, Rotate};
pub(crate) use replay::Overlay;
pub use replay::ReplayFrom;
pub use session::{SessionConfig, Window};
pub use store::StoreConfig;
pub use task::TaskRule;
use value::seconds;

/// A configuration as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The gateway's own settings.
    pub server: Server,
    /// How providers are reached.
    pub network: Network,
    /// How long calls go on, and how often they are made again.
    pub calls: Calls,
    /// Where calls are recorded.
    pub store: StoreConfig,
    /// Which conversations are kept, and what of them the next call gets.
    pub sessions: SessionConfig,
    /// The gateway's log file.
    pub log: LogConfig,
    /// Providers: what differs from the catalogue, or all of a new one.
    pub providers: BTreeMap<String, ProviderPatch>,
    /// How much goes to a provider, or to one model of it (`provider/model`), at most.
    pub limits: BTreeMap<String, Limit>,
    /// Aliases: the model names that callers may use.
    pub models: BTreeMap<String, Alias>,
    /// The alias that stands first in the file.
    #[serde(skip)]
    pub first_model: Option<String>,
    /// Prices, limits and abilities of models, by `provider/model` (the model may be a pattern): over what the catalogue
    /// says and what `prices.toml` says, key by key.
    pub prices: BTreeMap<String, ModelPatch>,
    /// Task type → model name; `default` is used when nobody names a model.
    pub tasks: BTreeMap<String, String>,
    /// Which task a call is that asks for `task:auto`: that of the first rule that fits, else `default`.
    pub task_rules: Vec<TaskRule>,
    /// Which calls go wrong on purpose.
    pub faults: FaultPlan,
    /// A folder in which every exchange is kept.
    pub record: Option<PathBuf>,
    /// A folder from which every exchange is played back; then nobody is contacted.
    pub replay: Option<ReplayFrom>,
    /// Whatever the model's name, the simulator answers, and there is no other provider. See [`crate::Builder::simulate`].
    #[serde(skip)]
    pub simulate: bool,
    /// Where it was read from; errors name it.
    #[serde(skip)]
    pub path: Option<PathBuf>,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port.
    #[serde(deserialize_with = "value::address")]
    pub listen: String,
    /// What callers must send; without one the gateway listens on loopback only.
    pub key: Option<SecretRef>,
    /// The longest request body, in bytes.
    #[serde(deserialize_with = "value::amount")]
    pub body_limit: usize,
    /// The longest request body that goes through without being held: a form with files, or what is passed through.
    pub upload_limit: u64,
    /// Calls that may be open at once. What one holds beside its body is about 40 KB with its two connections.
    #[serde(deserialize_with = "value::amount")]
    pub max_calls: usize,
    /// Bytes that the held bodies of all open requests may take together.
    pub body_memory: u64,
    /// Whether callers may reach the providers' other paths under `/passthrough/`.
    pub passthrough: bool,
    /// Seconds that running calls may go on after the signal to stop.
    pub drain_seconds: u64,
    /// Threads; 0: one a core.
    pub threads: usize,
    /// Who may read `/metrics`.
    pub metrics: Metrics,
}

/// Who may read the page for Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metrics {
    /// Who has the gateway's key.
    #[default]
    Key,
    /// Everybody.
    Open,
    /// Nobody: there is no such page.
    Off,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: "127.0.0.1:4000".to_owned(),
            key: None,
            body_limit: 32 * 1024 * 1024,
            upload_limit: 1024 * 1024 * 1024,
            max_calls: 50_000,
            body_memory: 1024 * 1024 * 1024,
            passthrough: true,
            drain_seconds: 30,
            threads: 0,
            metrics: Metrics::default(),
        }
    }
}

/// `[network]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// A PEM file with certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Seconds to a connection.
    #[serde(deserialize_with = "seconds")]
    pub connect_seconds: u64,
    /// Seconds from the request to the head of the answer.
    #[serde(deserialize_with = "seconds")]
    pub head_seconds: u64,
    /// Seconds between two pieces of an answer.
    #[serde(deserialize_with = "seconds")]
    pub idle_seconds: u64,
    /// Seconds that a command may take to print a secret.
    #[serde(deserialize_with = "seconds")]
    pub command_seconds: u64,
    /// The longest whole answer, in bytes.
    #[serde(deserialize_with = "value::amount")]
    pub reply_limit: usize,
    /// The longest frame of a stream, in bytes.
    #[serde(deserialize_with = "value::amount")]
    pub frame_limit: usize,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            ca_file: None,
            connect_seconds: 10,
            head_seconds: 600,
            idle_seconds: 300,
            command_seconds: 10,
            reply_limit: 64 * 1024 * 1024,
            frame_limit: 16 * 1024 * 1024,
        }
    }
}
