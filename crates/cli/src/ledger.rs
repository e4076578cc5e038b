//! Where the command's calls are recorded, and read back from.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use trunkline::Client;
use trunkline::config::{Config, Environment, StoreConfig};
use trunkline_store::{Ledger, Opening, Options, Retention, Store};

use crate::Global;
use crate::terminal::complain;

/// Has the calls of a client recorded, unless there is to be no store. Nothing is opened before the first of them.
pub(crate) fn attach(global: &Global, client: &Client) {
    let config = client.config();
    let Some(path) = locate(global, &config.store, &client.environment()) else { return };
    let keep = Retention {
        days: config.store.keep_days,
        bytes: config.store.max_megabytes.map(|megabytes| megabytes.saturating_mul(1_000_000)),
    };
    let quiet = global.quiet;
    let record = Arc::downgrade(&global.record);
    let tell = move |line: &str| {
        record.upgrade().iter().for_each(|record| record.notice(line));
        if !quiet {
            complain(line);
        }
    };
    let tell: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(tell);
    global.record.keep_sessions_in(Opening::at(path.clone()), Arc::clone(&tell));
    global.record.keep_in(Ledger::new(Options { keep, ..Options::at(path) }, tell));
}

fn locate(global: &Global, config: &StoreConfig, environment: &Environment) -> Option<PathBuf> {
    match &global.store {
        Some(path) => StoreConfig { path: Some(path.clone()), ..StoreConfig::default() }.locate(environment),
        None => config.locate(environment),
    }
}

/// Where the store is; `None` when there is to be none.
pub(crate) fn place(global: &Global) -> anyhow::Result<Option<PathBuf>> {
    let environment = Environment::read()?;
    let config = Config::find(global.config.as_deref(), &environment)?;
    Ok(locate(global, &config.store, &environment))
}

/// Opens the store to be read.
pub(crate) async fn open(global: &Global) -> anyhow::Result<Store> {
    let Some(path) = place(global)? else {
        bail!("calls are not recorded; name a file by --store or [store] path");
    };
    if !path.exists() {
        bail!("no call is recorded yet: there is no {}", shown(&path, &Environment::read()?));
    }
    open_to_read(&path).await
}

/// Opens a store that is there. Says so when it can only be read, as on a full disk.
pub(crate) async fn open_to_read(path: &Path) -> anyhow::Result<Store> {
    let store = Store::open(&Opening::existing(path)).await?;
    if let Some(why) = store.unwritable() {
        complain(&format!("{why}; what is there is read"));
    }
    Ok(store)
}

/// Where prompts are, if they are anywhere.
pub(crate) fn path(global: &Global, client: &Client) -> Option<PathBuf> {
    locate(global, &client.config().store, &client.environment())
}

/// Opens the store to be written, and makes it if it is not there.
pub(crate) async fn make(global: &Global) -> anyhow::Result<Store> {
    let environment = Environment::read()?;
    let config = Config::find(global.config.as_deref(), &environment)?;
    let Some(path) = locate(global, &config.store, &environment) else {
        bail!("there is no store; name a file by --store or [store] path");
    };
    Ok(Store::open(&Opening::at(path)).await?)
}

/// A path as people write it.
fn shown(path: &Path, environment: &Environment) -> String {
    let short = environment.get("HOME").and_then(|home| path.strip_prefix(home).ok());
    short.map_or_else(|| path.display().to_string(), |rest| format!("~/{}", rest.display()))
}

/// The time that lies so long back: `30m`, `2h`, `7d`, `2w`.
pub(crate) fn since(text: &str) -> anyhow::Result<SystemTime> {
    let wrong = || format!("`{text}` is not a time like 30m, 2h, 7d or 2w");
    let (at, unit) = text.char_indices().next_back().with_context(wrong)?;
    let number: u64 = text.get(..at).and_then(|digits| digits.parse().ok()).with_context(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => bail!(wrong()),
    };
    let back = Duration::from_secs(number.saturating_mul(seconds));
    Ok(SystemTime::now().checked_sub(back).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// Millionths of a currency's unit, with as many digits as it takes, two at least.
pub(crate) fn money(currency: &str, micros: u64) -> String {
    let sign = match currency {
        "USD" => "$".to_owned(),
        "CNY" => "¥".to_owned(),
        "EUR" => "€".to_owned(),
        other => format!("{other} "),
    };
    let part = format!("{:06}", micros % 1_000_000);
    let part = part.trim_end_matches('0');
    format!("{sign}{}.{part:0<2}", micros / 1_000_000)
}

/// A duration as people read it: `340 ms`, `2.1 s`, `3:05 min`.
pub(crate) fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..100_000_000 => format!("{:.1} s", micros as f64 / 1e6),
        _ => format!("{}:{:02} min", micros / 60_000_000, micros / 1_000_000 % 60),
    }
}

/// A number as people read it: `950`, `12.4k`, `3.1M`.
pub(crate) fn number(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..1_000_000 => format!("{:.1}k", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", number as f64 / 1e6),
        _ => format!("{:.1}G", number as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_true() {
        assert_eq!(["USD", "CNY", "GBP"].map(|currency| money(currency, 1_230_000)), ["$1.23", "¥1.23", "GBP 1.23"]);
        assert_eq!([0, 1, 1_000_000].map(|micros| money("EUR", micros)), ["€0.00", "€0.000001", "€1.00"]);
        let durations = [7, 1_250, 340_500, 2_140_000, 185_000_000].map(duration);
        assert_eq!(durations, ["7 µs", "1.2 ms", "340 ms", "2.1 s", "3:05 min"]);
        assert_eq!([950, 12_400, 3_100_000].map(number), ["950", "12.4k", "3.1M"]);
        let back = |text| {
            let then = since(text).unwrap();
            SystemTime::now().duration_since(then).unwrap().as_secs()
        };
        assert_eq!(["90s", "30m", "2h", "7d", "2w"].map(back), [90, 1800, 7200, 604_800, 1_209_600]);
        assert!(["", "h", "5", "5y", "-1h", "五h"].iter().all(|text| since(text).is_err()));
    }
}
