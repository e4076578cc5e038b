//! `prices.toml`, written.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::catalog::{ModelPatch, Rates};

/// The text of a `prices.toml` with these rows. What it says is read back the same.
pub fn write_prices(rows: &BTreeMap<String, ModelPatch>) -> String {
    let mut out = String::from(
        "# Written by `trunkline prices import`. Prices are for a million tokens; what trunkline.toml says comes first.\n",
    );
    for (target, row) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n[prices.{}]", quote(target));
        for (key, value) in [("context", row.context), ("max_output", row.max_output)] {
            if let Some(value) = value {
                let _ = writeln!(out, "{key} = {value}");
            }
        }
        if let Some(able) = row.able {
            let words: Vec<String> = able.iter().map(|ability| quote(ability.as_str())).collect();
            let _ = writeln!(out, "able = [{}]", words.join(", "));
        }
        if let Some(currency) = row.currency {
            let _ = writeln!(out, "currency = {}", quote(currency.as_str()));
        }
        for (kind, rate) in row.rates().iter() {
            let _ = writeln!(out, "{kind} = \"{rate}\"");
        }
        let tiers = row.tiers.iter().flatten().map(|tier| {
            let batch = tier.batch.as_ref().map(|batch| format!(", batch = {{ {} }}", inline(batch))).unwrap_or_default();
            format!("{{ above = {}, {}{batch} }}", tier.above, inline(&tier.rates()))
        });
        if row.tiers.is_some() {
            let _ = writeln!(out, "tiers = [{}]", tiers.collect::<Vec<_>>().join(", "));
        }
        if let Some(batch) = &row.batch {
            let _ = writeln!(out, "batch = {{ {} }}", inline(batch));
        }
        if let Some(off_peak) = &row.off_peak {
            let hours: Vec<String> = off_peak.utc.iter().map(|window| quote(&window.to_string())).collect();
            let _ = writeln!(out, "off_peak = {{ utc = [{}], {} }}", hours.join(", "), inline(&off_peak.rates()));
        }
        for (key, value) in [("source", &row.source), ("date", &row.date)] {
            if let Some(value) = value {
                let _ = writeln!(out, "{key} = {}", quote(value));
            }
        }
    }
    out
}

fn inline(rates: &Rates) -> String {
    rates.iter().map(|(kind, rate)| format!("{kind} = \"{rate}\"")).collect::<Vec<_>>().join(", ")
}

/// A TOML string. JSON's escapes are TOML's, but for DEL.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}
