//! `trunkline models`.

use std::borrow::Cow;

use serde::Serialize;
use trunkline::Client;
use trunkline::codec::catalog::{Abilities, Ability, Model, Price, Rates, nearest};

use crate::terminal::{Cell, Mark, print_json, print_rows};
use crate::{End, Global};

/// List models: how much they take, what they can do, what they cost.
#[derive(clap::Args)]
pub(crate) struct Models {
    /// All that is known of this model: provider/model, or a bare name
    name: Option<String>,
    /// Only this provider's, ready or not
    #[arg(long, value_name = "ID")]
    pub(super) provider: Option<String>,
    /// Ask the provider itself what it has now
    #[arg(long, requires = "provider", conflicts_with_all = ["able", "name"])]
    pub(crate) live: bool,
    /// Only those that can do all of this, in words with commas between: tools,vision
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    able: Vec<String>,
}

/// One line of the list.
#[derive(Serialize)]
pub(crate) struct Row {
    model: String,
    provider: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output: Option<u64>,
    #[serde(skip_serializing_if = "is_unknown")]
    able: Abilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<PriceRow>,
    #[serde(skip_serializing_if = "String::is_empty")]
    source: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    date: String,
}

fn is_unknown(able: &Abilities) -> bool {
    able.is_empty()
}

/// A price as JSON: decimals in text, for a million tokens.
#[derive(Serialize)]
struct PriceRow {
    currency: &'static str,
    #[serde(flatten)]
    rates: Rates,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tiers: Vec<TierRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<Rates>,
    #[serde(skip_serializing_if = "Option::is_none")]
    off_peak: Option<OffPeakRow>,
    #[serde(skip)]
    sign: &'static str,
}

#[derive(Serialize)]
struct TierRow {
    above: u64,
    #[serde(flatten)]
    rates: Rates,
}

#[derive(Serialize)]
struct OffPeakRow {
    utc: Vec<String>,
    #[serde(flatten)]
    rates: Rates,
}

impl From<&Price> for PriceRow {
    fn from(price: &Price) -> Self {
        let higher = price.levels.iter().skip(1);
        Self {
            currency: price.currency.as_str(),
            sign: price.currency.sign(),
            rates: price.base(),
            tiers: higher.map(|level| TierRow { above: level.above, rates: level.rates.clone() }).collect(),
            batch: price.levels.first().and_then(|level| level.batch.clone()),
            off_peak: price.off_peak.as_ref().map(|off_peak| OffPeakRow {
                utc: off_peak.utc.iter().map(ToString::to_string).collect(),
                rates: off_peak.rates(),
            }),
        }
    }
}

impl Row {
    /// Whether its price is known.
    pub(crate) fn is_priced(&self) -> bool {
        self.price.is_some()
    }

    /// `provider/model`.
    pub(crate) fn name(&self) -> &str {
        &self.model
    }

    fn plain(model: String, provider: String, ready: bool) -> Self {
        let (able, source, date) = (Abilities::default(), String::new(), String::new());
        Self { model, provider, ready, context: None, max_output: None, able, price: None, source, date }
    }

    fn with(mut self, data: &Model) -> Self {
        self.context = data.context;
        self.max_output = data.max_output;
        self.able = data.able;
        self.price = data.price.as_ref().map(PriceRow::from);
        self.source.clone_from(&data.source);
        self.date.clone_from(&data.date);
        self
    }
}

impl Models {
    pub(crate) fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let wanted = read_abilities(&self.able)?;
        if let Some(name) = &self.name {
            return detail(&client, name, self.provider.as_deref(), global);
        }
        let mut rows = Vec::new();
        if self.provider.is_none() && wanted.is_empty() {
            let config = client.config();
            rows.extend(config.models.iter().map(|(name, alias)| {
                Row::plain(
                    name.clone(),
                    alias.targets.iter().map(|choice| choice.target.as_str()).collect::<Vec<_>>().join(", "),
                    true,
                )
            }));
        }
        rows.extend(pick(&client, self.provider.as_deref())?);
        rows.retain(|row| row.able.has_all(wanted));
        show(&rows, global)
    }
}

fn read_abilities(words: &[String]) -> anyhow::Result<Abilities> {
    let known = || Ability::ALL.iter().map(|ability| ability.as_str());
    let read = |word: &String| {
        Ability::find(word.trim()).ok_or_else(|| {
            let near = nearest(word, known()).map(|near| format!("; did you mean `{near}`?"));
            let all = known().collect::<Vec<_>>().join(", ");
            anyhow::anyhow!("there is no ability `{word}`{}", near.unwrap_or_else(|| format!("; there are {all}")))
        })
    };
    words.iter().map(read).collect()
}

/// The models of one provider, ready or not, or of all that are ready: those with data, and patterns of which no data is
/// known.
///
/// # Errors
/// When there is no such provider.
pub(crate) fn pick(client: &Client, only: Option<&str>) -> anyhow::Result<Vec<Row>> {
    let services = client.services();
    let known: Vec<&str> = services.iter().map(|service| service.provider.id.as_str()).collect();
    if let Some(id) = only.filter(|id| !known.contains(id)) {
        let near = nearest(id, known.iter().copied());
        anyhow::bail!("there is no provider `{id}`{}", near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default());
    }
    let (mut rows, known_models) = (Vec::new(), client.model_data());
    for service in &services {
        let provider = &service.provider;
        if !only.map_or(service.is_ready(), |id| id == provider.id) {
            continue;
        }
        let data = known_models.of(&provider.id);
        let row = |id: &str| Row::plain(format!("{}/{id}", provider.id), provider.name.clone(), service.is_ready());
        rows.extend(data.iter().map(|model| row(&model.id).with(model)));
        let covered = |pattern: &String| {
            let same = |model: &Cow<'_, Model>| trunkline::codec::catalog::matches(pattern, &model.id);
            data.iter().any(same)
        };
        rows.extend(provider.models.iter().filter(|pattern| !covered(pattern)).map(|pattern| row(pattern)));
    }
    Ok(rows)
}

/// Prints the list.
///
/// # Errors
/// When nobody reads it any more.
pub(crate) fn show(rows: &[Row], global: &Global) -> anyhow::Result<End> {
    if global.json {
        print_json(&rows)?;
        return Ok(End::Done);
    }
    let lines = rows.iter().map(|row| {
        let size = |tokens: Option<u64>| Cell::right(tokens.map(short).unwrap_or_default());
        let rate = |kind: &str| Cell::right(row.price.as_ref().and_then(|price| price.shown(kind)).unwrap_or_default());
        let mark = if row.ready { Mark::Yes } else { Mark::No };
        let able = if row.able.is_empty() { row.provider.clone() } else { row.able.to_string() };
        let cells = [
            Cell::left(row.model.clone()),
            size(row.context),
            size(row.max_output),
            rate("input"),
            rate("output"),
            Cell::left(able),
        ];
        (mark, cells.to_vec())
    });
    let heads = ["", "context", "output", "in", "out", "able"];
    print_rows(
        rows.iter().any(|row| row.context.is_some() || row.price.is_some()).then_some(heads.as_slice()),
        &lines.collect::<Vec<_>>(),
    )?;
    Ok(End::Done)
}

impl PriceRow {
    /// A kind's price; for what is not counted in tokens, the price of what is counted.
    fn shown(&self, kind: &str) -> Option<String> {
        let find = |wanted: &str| self.rates.iter().find(|(name, _)| *name == wanted).map(|(_, rate)| rate);
        let pieces: &[(&str, &str)] = match kind {
            "input" => &[("input", ""), ("audio_input", ""), ("characters", "/Mchar"), ("second", "/s"), ("request", "/req")],
            _ => &[("output", ""), ("audio_output", ""), ("image_output", ""), ("image", "/image")],
        };
        pieces.iter().find_map(|(name, unit)| Some(format!("{}{}{unit}", self.sign, find(name)?)))
    }
}

/// Tokens in short: `128K`, `1M`, `1.05M`.
fn short(tokens: u64) -> String {
    match tokens {
        0..1_000 => tokens.to_string(),
        1_000..1_000_000 => format!("{}K", (tokens + 500) / 1_000),
        _ => {
            let hundredths = (tokens + 5_000) / 10_000;
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            format!("{}M", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

/// One model, key by key.
fn detail(client: &Client, name: &str, provider: Option<&str>, global: &Global) -> anyhow::Result<End> {
    let rows: Vec<Row> = find(client, name, provider)?;
    if global.json {
        print_json(&rows)?;
        return Ok(End::Done);
    }
    for (number, row) in rows.iter().enumerate() {
        let mut lines = vec![
            ("model", row.model.clone()),
            ("provider", format!("{}{}", row.provider, if row.ready { "" } else { " (not set up)" })),
            ("context", row.context.map(|tokens| format!("{tokens} tokens")).unwrap_or_default()),
            ("longest answer", row.max_output.map(|tokens| format!("{tokens} tokens")).unwrap_or_default()),
            ("able", row.able.to_string()),
        ];
        match &row.price {
            Some(price) => lines.extend(priced(price)),
            None => lines.push(("price", "not known; see `trunkline prices import --help`".to_owned())),
        }
        let source = if row.date.is_empty() { row.source.clone() } else { format!("{} ({})", row.source, row.date) };
        lines.push(("source", source));
        let cells = lines.into_iter().filter(|(_, text)| !text.is_empty());
        let cells = cells.map(|(key, text)| (Mark::None, vec![Cell::left(key.to_owned()), Cell::left(text)]));
        if number > 0 {
            print_rows(None, &[(Mark::None, vec![Cell::left(String::new())])])?;
        }
        print_rows(None, &cells.collect::<Vec<_>>())?;
    }
    Ok(End::Done)
}

fn priced(price: &PriceRow) -> Vec<(&'static str, String)> {
    let words = |rates: &Rates| {
        let word = |(kind, rate): (&str, _)| format!("{} {}{rate}", kind.replace('_', " "), price.sign);
        rates.iter().map(word).collect::<Vec<_>>().join(", ")
    };
    let mut lines = vec![("price", format!("{} ({}, a million tokens)", words(&price.rates), price.currency))];
    lines.extend(price.tiers.iter().map(|tier| ("", format!("above {}: {}", tier.above, words(&tier.rates)))));
    lines.extend(price.batch.iter().map(|batch| ("", format!("batch: {}", words(batch)))));
    let off_peak = price.off_peak.iter();
    lines.extend(off_peak.map(|off| ("", format!("off-peak ({} UTC): {}", off.utc.join(", "), words(&off.rates)))));
    lines
}

/// The model at every provider that is meant: the one that is named, or all that have a bare name.
fn find(client: &Client, name: &str, provider: Option<&str>) -> anyhow::Result<Vec<Row>> {
    let services = client.services();
    let named = name.split_once('/').filter(|(first, _)| services.iter().any(|service| service.provider.id == *first));
    let (provider, model) = named.map_or((provider, name), |(first, model)| (Some(first), model));
    let (mut rows, known) = (Vec::new(), client.model_data());
    for service in &services {
        let own = &service.provider;
        let meant = provider.is_none_or(|id| id == own.id);
        let data = known.find(&own.id, model).filter(|_| meant);
        let served = provider.is_some_and(|id| id == own.id) || (provider.is_none() && own.claims(model));
        if data.is_some() || served {
            let row = Row::plain(format!("{}/{model}", own.id), own.name.clone(), service.is_ready());
            rows.push(match data {
                Some(data) => row.with(&data),
                None => row,
            });
        }
    }
    if rows.is_empty() {
        let of = |service: &std::sync::Arc<trunkline::target::Service>| known.of(&service.provider.id);
        let ids: Vec<String> = services.iter().flat_map(of).map(|model| model.id.clone()).collect();
        let near = nearest(model, ids.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
        anyhow::bail!("no provider is known to serve `{name}`{}", near.unwrap_or_default());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn tokens_in_short() {
        let shown = [512, 8_192, 128_000, 200_000, 999_999, 1_000_000, 1_048_576, 10_000_000].map(short);
        assert_eq!(shown, ["512", "8K", "128K", "200K", "1000K", "1M", "1.05M", "10M"]);
    }
}
