//! Calls that are not the real thing, or are kept: `--faults`, `--record`, `--replay`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use trunkline::Builder;
use trunkline::transport::FaultPlan;

/// Options of all commands that call a provider.
#[derive(clap::Args)]
pub(crate) struct Rehearsal {
    /// Have calls go wrong: a file with [faults], or a rule such as `rate=0.1, status=429`
    #[arg(long, global = true, value_name = "PLAN", help_heading = "Rehearsing")]
    faults: Option<String>,
    /// Keep every exchange with a provider in this folder, without secrets
    #[arg(long, global = true, value_name = "DIR", help_heading = "Rehearsing", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Play exchanges back from this folder; nobody is called, and no key is needed
    #[arg(long, global = true, value_name = "DIR", help_heading = "Rehearsing")]
    replay: Option<PathBuf>,
    /// With --replay: each piece of a reply comes when it came
    #[arg(long, global = true, help_heading = "Rehearsing", requires = "replay")]
    timing: bool,
}

impl Rehearsal {
    /// Whether recordings answer.
    pub(crate) const fn replays(&self) -> bool {
        self.replay.is_some()
    }

    /// The client with all of that.
    pub(crate) fn apply(&self, mut builder: Builder) -> anyhow::Result<Builder> {
        if let Some(plan) = &self.faults {
            builder = builder.faults(read_plan(plan)?);
        }
        if let Some(folder) = &self.record {
            builder = builder.record(folder);
        }
        if let Some(folder) = &self.replay {
            builder = builder.replay(folder, self.timing);
        }
        Ok(builder)
    }
}

fn read_plan(text: &str) -> anyhow::Result<FaultPlan> {
    if Path::new(text).is_file() {
        let plan = std::fs::read_to_string(text).with_context(|| format!("cannot read {text}"))?;
        return Ok(FaultPlan::parse_as(&plan, text)?);
    }
    anyhow::ensure!(text.contains('='), "--faults: there is no file {text}, and it is no rule such as `rate=0.1, status=429`");
    Ok(FaultPlan::parse_as(text, "--faults")?)
}
