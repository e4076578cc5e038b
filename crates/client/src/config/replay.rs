//! `replay`, and what is said over the file where a program is started.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Config;
use crate::transport::FaultPlan;

/// Where recordings are played back from: `"DIR"`, or `{ dir = "DIR", timing = true }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayFrom {
    /// The folder.
    pub dir: PathBuf,
    /// Whether each piece of a reply comes when it came, and not at once.
    pub timing: bool,
}

impl<'de> Deserialize<'de> for ReplayFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            dir: PathBuf,
            #[serde(default)]
            timing: bool,
        }
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = ReplayFrom;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a folder, or { dir = \"…\", timing = true }")
            }

            fn visit_str<E: serde::de::Error>(self, dir: &str) -> Result<ReplayFrom, E> {
                Ok(ReplayFrom { dir: dir.into(), timing: false })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ReplayFrom, A::Error> {
                let Table { dir, timing } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ReplayFrom { dir, timing })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// What is said over whatever file is read, now and with every reload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    pub(crate) faults: Option<FaultPlan>,
    pub(crate) record: Option<PathBuf>,
    pub(crate) replay: Option<ReplayFrom>,
    pub(crate) simulate: bool,
    pub(crate) own_pace: bool,
}

impl Overlay {
    pub(crate) fn apply(&self, config: &mut Config) {
        if let Some(faults) = &self.faults {
            config.faults = faults.clone();
        }
        // Who asks for the one does not mean the other, which the file may ask for.
        if self.record.is_some() || self.replay.is_some() {
            config.record.clone_from(&self.record);
            config.replay.clone_from(&self.replay);
        }
        if self.own_pace {
            config.calls.attempts = 1;
            config.calls.own_pace = true;
        }
        if self.simulate {
            config.simulate = true;
            config.providers.clear();
            config.models.clear();
            config.tasks.clear();
            config.task_rules.clear();
            config.prices.clear();
        }
    }
}
