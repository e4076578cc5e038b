//! A model: how much it takes, what it can do and what it costs. Data only; the rows stand in `models/<provider>.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ability::Abilities;
use super::money::Currency;
use super::parse::ParseError;
use super::price::{ModelPatch, Price};

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The provider's id for the model, or a pattern (`*` only) of such ids.
    pub id: String,
    /// The context window, in tokens: prompt and answer together. `None`: not known.
    pub context: Option<u64>,
    /// The longest answer, in tokens. `None`: not known.
    pub max_output: Option<u64>,
    /// What it can do. Empty: not known.
    pub able: Abilities,
    /// What it costs. `None`: not known, which is not the same as free.
    pub price: Option<Price>,
    /// Where the figures are published.
    pub source: String,
    /// When they stood there: `YYYY-MM` or `YYYY-MM-DD`.
    pub date: String,
}

impl Model {
    /// The row over another that is nearer to the user: what the other names counts. Prices go together: with one price
    /// of its own in another currency, or with tiers, the other's prices stand alone.
    #[must_use]
    pub fn with(mut self, patch: &ModelPatch) -> Self {
        set(&mut self.context, patch.context);
        set(&mut self.max_output, patch.max_output);
        self.able = patch.able.unwrap_or(self.able);
        let before = self.price.as_ref().map(|price| price.currency);
        if let Some(new) = Price::from_patch(patch, before.unwrap_or_default()) {
            self.price = Some(match self.price.take() {
                Some(old) if old.currency == new.currency && patch.tiers.is_none() => merge(old, patch),
                _ => new,
            });
            self.source = patch.source.clone().unwrap_or_else(|| "your configuration".to_owned());
            self.date = patch.date.clone().unwrap_or_default();
        }
        self
    }
}

/// New rates on every level: who has a price of his own has it for long prompts, in batches and at night too.
fn merge(mut price: Price, patch: &ModelPatch) -> Price {
    let rates = patch.rates();
    for level in &mut price.levels {
        level.rates.merge(&rates);
        match (&patch.batch, &mut level.batch) {
            (None, Some(batch)) => batch.clear(&rates),
            (None, None) => {}
            (new @ Some(_), old) => old.clone_from(new),
        }
    }
    match (&patch.off_peak, &mut price.off_peak) {
        (None, Some(off_peak)) => off_peak.clear(&rates),
        (None, None) => {}
        (new @ Some(_), old) => old.clone_from(new),
    }
    price
}

fn set<T>(target: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *target = value;
    }
}

/// The rows of one provider's file.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// By id.
    pub(super) rows: BTreeMap<String, Model>,
    /// The ids among them that are patterns, the most telling first.
    pub(super) patterns: Vec<String>,
    /// Providers whose rows serve for what is not here.
    pub(super) like: Vec<String>,
}

/// `models/<provider>.toml` as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Where the figures of all rows that name no other source are published.
    source: String,
    /// When they stood there.
    date: String,
    /// The currency of all rows that name no other.
    #[serde(default)]
    currency: Currency,
    #[serde(default)]
    like: Vec<String>,
    #[serde(default)]
    model: BTreeMap<String, ModelPatch>,
}

/// Reads one provider's rows.
///
/// # Errors
/// Names the line, the key and the nearest known one; also when a row contradicts itself.
pub(super) fn parse_table(provider: &str, text: &str) -> Result<Table, ParseError> {
    let subject = format!("models/{provider}.toml");
    let file: File = toml::from_str(text).map_err(|error| ParseError::from_toml(&subject, text, &error))?;
    let mut table = Table { like: file.like, ..Table::default() };
    for (id, patch) in &file.model {
        check(&subject, id, patch)?;
        let row = Model {
            id: id.clone(),
            context: patch.context,
            max_output: patch.max_output,
            able: patch.able.unwrap_or_default(),
            price: Price::from_patch(patch, file.currency),
            source: patch.source.clone().unwrap_or_else(|| file.source.clone()),
            date: patch.date.clone().unwrap_or_else(|| file.date.clone()),
        };
        table.rows.insert(id.clone(), row);
    }
    table.patterns = table.rows.keys().filter(|id| id.contains('*')).cloned().collect();
    let literal = |id: &String| std::cmp::Reverse(id.len() - id.matches('*').count());
    table.patterns.sort_by_key(literal);
    Ok(table)
}

/// Checks what the types cannot.
pub(super) fn check(subject: &str, id: &str, patch: &ModelPatch) -> Result<(), ParseError> {
    let wrong = |what: &str| Err(ParseError::wrong(subject, format!("\"{id}\" {what}")));
    if id.is_empty() {
        return wrong("names no model");
    }
    if patch.context == Some(0) || patch.max_output == Some(0) {
        return wrong("has room for no token; leave out what is not known");
    }
    let priced = patch.rates().iter().next().is_some();
    if !priced && (patch.tiers.is_some() || patch.batch.is_some() || patch.off_peak.is_some() || patch.currency.is_some()) {
        return wrong("has no price of its own, but tiers, batch, off_peak or a currency");
    }
    if patch.tiers.iter().flatten().any(|tier| tier.above == 0) {
        return wrong("has a tier that does not say above how many tokens it begins");
    }
    Ok(())
}
