//! `[log]`: the gateway's log file. And how much of what is said is kept, in `[store]`.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The file; without it there is no log.
    pub file: Option<PathBuf>,
    /// How a line is written.
    pub format: LogFormat,
    /// What is written: this, and what is worse.
    pub level: LogLevel,
    /// When the file is put away and a new one begun.
    pub rotate: Rotate,
    /// It is put away when it would become longer, whatever `rotate` says.
    pub max_megabytes: u64,
    /// How many that were put away are kept.
    pub keep: usize,
    /// Which share of the good calls is written; all others are.
    #[serde(deserialize_with = "read_share")]
    pub sample: f64,
    /// Users are written as a fingerprint, and no text of theirs is.
    pub redact: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            file: None,
            format: LogFormat::default(),
            level: LogLevel::default(),
            rotate: Rotate::default(),
            max_megabytes: 100,
            keep: 7,
            sample: 1.0,
            redact: true,
        }
    }
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// A JSON object.
    #[default]
    Json,
    /// `name=value` for people.
    Text,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// As `info`, with the exchanges of each call.
    Debug,
    /// Good calls, and what the gateway does.
    #[default]
    Info,
    /// Calls that failed by their caller's fault, and what the operator should know.
    Warn,
    /// Calls that failed otherwise.
    Error,
}

/// When a new file is begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotate {
    /// When it is long.
    #[default]
    Size,
    /// At the begin of a day in UTC.
    Day,
}

/// Of which calls the texts are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogContent {
    /// None.
    #[default]
    None,
    /// Those that failed.
    Errors,
    /// Some, by chance.
    Sampled,
    /// All.
    All,
}

/// A number from 0 to 1.
pub(super) fn read_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(de::Error::custom("it is a share, from 0.0 to 1.0")) }
}
