//! `trunkline models --live`.

use std::io::Write;

use super::models::Models;
use crate::terminal::print_json;
use crate::{End, Global};

impl Models {
    /// Asks the provider itself what it has.
    pub(crate) async fn run_live(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let Some(provider) = self.provider else { anyhow::bail!("--live takes --provider") };
        let names = client.live_models(&provider).await?;
        let names: Vec<String> = names.into_iter().map(|name| format!("{provider}/{name}")).collect();
        if global.json {
            print_json(&names)?;
            return Ok(End::Done);
        }
        let mut out = std::io::stdout().lock();
        for name in names {
            writeln!(out, "{name}")?;
        }
        Ok(End::Done)
    }
}
