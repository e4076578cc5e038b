//! `trunkline prices`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;
use trunkline::codec::catalog::{Skipped, import_prices, write_prices};
use trunkline::config::{Environment, PRICES_NAME};

use crate::cmd::models::{Row, pick};
use crate::terminal::{complain, print_json};
use crate::{End, Global};

/// List what models cost, or import a list of prices.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Prices {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only this provider's, ready or not
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Read LiteLLM's or models.dev's list (JSON) and write it as `prices.toml`
    Import(Import),
}

/// Read a list of prices from a file.
#[derive(clap::Args)]
struct Import {
    /// The list: LiteLLM's model_prices_and_context_window.json or models.dev's api.json; - is standard input
    file: PathBuf,
    /// Only this provider's
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Where to write [default: prices.toml beside the configuration, where it is found]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// When the list was true, YYYY-MM-DD [default: today]
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
}

/// What `--json` tells of an import.
#[derive(Serialize)]
struct Report<'a> {
    format: &'a str,
    written: String,
    rows: usize,
    skipped: &'a [Skipped],
}

/// So many entries are named for each reason, unless `--verbose` asks for all.
const NAMED: usize = 3;

/// So many reasons are given, unless `--verbose` asks for all.
const REASONS: usize = 8;

impl Prices {
    pub(crate) fn run(self, global: &Global) -> anyhow::Result<End> {
        match self.command {
            Some(Command::Import(import)) => import.run(global),
            None => {
                let client = global.client()?;
                let rows = pick(&client, self.provider.as_deref())?;
                let mut rows: Vec<Row> = rows.into_iter().filter(Row::is_priced).collect();
                rows.sort_by(|a, b| a.name().cmp(b.name()));
                crate::cmd::models::show(&rows, global)
            }
        }
    }
}

impl Import {
    fn run(self, global: &Global) -> anyhow::Result<End> {
        let text = if self.file.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
        } else {
            std::fs::read_to_string(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?
        };
        // A broken prices.toml must not keep one from writing a new one.
        let environment = Environment::read()?;
        let config = trunkline::Config::find(global.config.as_deref(), &environment)?;
        let output = match self.output {
            Some(path) => path,
            None => config.prices_path(&environment).context("there is no configuration folder; name a file with --output")?,
        };
        let catalog = config.catalog()?;
        let date = self.date.unwrap_or_else(today);
        let mut import =
            import_prices(&text, &catalog, &format!("{}", self.file.display()), &date).map_err(anyhow::Error::msg)?;
        if let Some(provider) = &self.provider {
            import.rows.retain(|target, _| target.split_once('/').is_some_and(|(id, _)| id == provider));
        }
        anyhow::ensure!(!import.rows.is_empty(), "no price in {} is for a provider that is known here", self.file.display());
        if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&output, write_prices(&import.rows)).with_context(|| format!("cannot write {}", output.display()))?;
        let written = output.display().to_string();
        if global.json {
            print_json(&Report { format: import.format, written, rows: import.rows.len(), skipped: &import.skipped })?;
            return Ok(End::Done);
        }
        if !global.quiet {
            complain(&format!("{}: {} models written to {written}", import.format, import.rows.len()));
            report(&import.skipped, global.verbose);
            if output.file_name().is_none_or(|name| name != PRICES_NAME) {
                complain(&format!("note: only a {PRICES_NAME} beside the configuration is read"));
            }
        }
        Ok(End::Done)
    }
}

/// What was left out, by reason, the commonest first.
fn report(skipped: &[Skipped], all: bool) {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in skipped {
        reasons.entry(&one.why).or_default().push(&one.entry);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, entries)| std::cmp::Reverse(entries.len()));
    let given = if all { reasons.len() } else { REASONS };
    let rest: usize = reasons.iter().skip(given).map(|(_, entries)| entries.len()).sum();
    for (why, entries) in reasons.into_iter().take(given) {
        let named = if all { entries.len() } else { NAMED };
        let more = if entries.len() > named { ", …" } else { "" };
        let names = entries.iter().take(named).copied().collect::<Vec<_>>().join(", ");
        complain(&format!("skipped {}: {why} ({names}{more})", entries.len()));
    }
    if rest > 0 {
        complain(&format!("skipped {rest} more for other reasons; --verbose tells all"));
    }
}

/// Today in UTC, `YYYY-MM-DD`.
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = civil(since.as_secs() / 86_400);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The date of a day since 1970-01-01 (Howard Hinnant's `civil_from_days`, for days that are not before it).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_780), (2026, 11, 23));
    }
}
