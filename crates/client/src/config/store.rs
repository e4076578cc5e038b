//! `[store]`: where calls are recorded, and for how long.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Environment;
use super::log::{LogContent, read_share};
use super::value::some_amount;

/// The file's usual name.
const NAME: &str = "trunkline.db";
/// The path that is none.
const NONE: &str = "none";

/// `[store]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The file; `none`: nothing is recorded. In the user's data folder where it is not given.
    pub path: Option<PathBuf>,
    /// Calls older than so many days are deleted; their hourly sums stay. For ever where it is not given.
    #[serde(deserialize_with = "some_amount")]
    pub keep_days: Option<u64>,
    /// The oldest calls are deleted when the file is larger.
    #[serde(deserialize_with = "some_amount")]
    pub max_megabytes: Option<u64>,
    /// Of which calls of the gateway the texts are kept.
    pub log_content: LogContent,
    /// The share of them where they are sampled.
    #[serde(deserialize_with = "read_share")]
    pub content_sample: f64,
    /// The most that is kept of a request, and of an answer, in bytes.
    pub content_bytes: usize,
    /// Expressions: what they find in a text is not kept.
    pub redact: Vec<String>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig {
            path: None,
            keep_days: None,
            max_megabytes: None,
            log_content: LogContent::None,
            content_sample: 0.01,
            content_bytes: 64 * 1024,
            redact: Vec::new(),
        }
    }
}

impl StoreConfig {
    /// Where the store is: as it is configured, else `trunkline.db` in the user's data folder. `None` when there is to be
    /// none, or no such folder.
    pub fn locate(&self, environment: &Environment) -> Option<PathBuf> {
        match &self.path {
            Some(path) if path == Path::new(NONE) => None,
            Some(path) => Some(path.clone()),
            None => Self::folder(environment).map(|folder| folder.join(NAME)),
        }
    }

    /// The user's data folder of ours, where each system has it. `None` when there is no such folder.
    pub fn folder(environment: &Environment) -> Option<PathBuf> {
        folder(environment)
    }
}

/// The user's data folder of ours, where each system has it.
fn folder(environment: &Environment) -> Option<PathBuf> {
    let named = environment.get("XDG_DATA_HOME").map(PathBuf::from);
    let home = || environment.get("HOME").map(PathBuf::from);
    let usual = if cfg!(windows) {
        environment.get("LOCALAPPDATA").map(PathBuf::from)
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Application Support"))
    } else {
        home().map(|home| home.join(".local/share"))
    };
    named.or(usual).map(|folder| folder.join("trunkline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_where_it_is_told_or_in_the_data_folder() {
        let at = |path: Option<&str>, variables: &[(&str, &str)]| {
            let store = StoreConfig { path: path.map(PathBuf::from), ..StoreConfig::default() };
            store.locate(&Environment::of(variables.iter().copied()))
        };
        assert_eq!(at(Some("a/b.db"), &[("HOME", "/home/me")]), Some("a/b.db".into()));
        assert_eq!(at(Some("none"), &[("HOME", "/home/me")]), None);
        assert_eq!(at(None, &[("XDG_DATA_HOME", "/data"), ("HOME", "/home/me")]), Some("/data/trunkline/trunkline.db".into()));
        assert_eq!(at(None, &[]), None);
        #[cfg(target_os = "linux")]
        assert_eq!(at(None, &[("HOME", "/home/me")]), Some("/home/me/.local/share/trunkline/trunkline.db".into()));
    }
}
