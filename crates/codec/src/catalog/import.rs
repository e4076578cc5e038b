//! Price lists of others, read into rows of ours: the JSON of LiteLLM and that of models.dev.
//!
//! Numbers go from their text into whole numbers and never through a float; both lists price in US dollars.

mod litellm;
mod models_dev;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ability::{Abilities, Ability};
use super::money::{Currency, Rate};
use super::{Catalog, ModelPatch, Models};

pub use write::write_prices;

/// What was read of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Which list it was, in words.
    pub format: &'static str,
    /// The rows, by `provider/model`.
    pub rows: BTreeMap<String, ModelPatch>,
    /// What was left out, with the reason.
    pub skipped: Vec<Skipped>,
}

/// An entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The entry's own name.
    pub entry: String,
    /// Why, in words that are the same for all entries of that kind.
    pub why: Cow<'static, str>,
}

/// An object of a list: its values as they are written.
type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Reads a list, whichever it is. Providers are found by their id or by a name that others have for them
/// ([`super::Provider::known_as`]). `source` and `date` are put on every row that names none.
///
/// # Errors
/// One sentence, when it is no JSON object or neither of the lists.
pub fn import_prices(text: &str, catalog: &Catalog, source: &str, date: &str) -> Result<Import, String> {
    let list: Object<'_> = serde_json::from_str(text).map_err(|error| format!("this is no list of prices: {error}"))?;
    let first = list.values().find_map(|value| object(value).filter(|object| !object.is_empty()));
    let first = first.ok_or("this is no list of prices: it names no model")?;
    let known = Known::new(catalog);
    let mut import = if list.values().any(|value| object(value).is_some_and(|entry| entry.contains_key("litellm_provider"))) {
        litellm::read(&list, &known)
    } else if first.contains_key("models") {
        models_dev::read(&list, &known)
    } else {
        return Err(
            "this is neither LiteLLM's list (entries with `litellm_provider`) nor that of models.dev (providers with `models`)"
                .to_owned(),
        );
    };
    let rows = std::mem::take(&mut import.rows);
    for (target, mut row) in rows {
        let provider = target.split_once('/').map_or("", |(provider, _)| provider);
        if let Some(other) = currency(provider).filter(|&currency| currency != Currency::Usd) {
            let why = Cow::Owned(format!("{provider} asks for {} and the list has dollars", other.as_str()));
            import.skipped.push(Skipped { entry: target, why });
            continue;
        }
        row.currency = Some(Currency::Usd);
        // What a model can do is known better here than there.
        let model = target.split_once('/').map_or("", |(_, model)| model);
        if Models::default().find(provider, model).is_some_and(|known| !known.able.is_empty()) {
            row.able = None;
        }
        row.source.get_or_insert_with(|| source.to_owned());
        row.date.get_or_insert_with(|| date.to_owned());
        import.rows.insert(target, row);
    }
    Ok(import)
}

/// The currency of a provider's own prices, as far as they are known.
fn currency(provider: &str) -> Option<Currency> {
    Models::default().of(provider).iter().find_map(|model| Some(model.price.as_ref()?.currency))
}

/// The ids of providers by all their names.
struct Known(BTreeMap<String, String>);

impl Known {
    fn new(catalog: &Catalog) -> Self {
        let mut names = BTreeMap::new();
        for provider in catalog.iter() {
            names.extend(provider.known_as.iter().map(|name| (name.clone(), provider.id.clone())));
        }
        // What others call by a name outranks the id: theirs is the list.
        for provider in catalog.iter() {
            names.entry(provider.id.clone()).or_insert_with(|| provider.id.clone());
        }
        Self(names)
    }

    fn id(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn object(value: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(value.get()).ok()
}

fn text(object: &Object<'_>, key: &str) -> Option<String> {
    serde_json::from_str(object.get(key)?.get()).ok()
}

fn is_true(object: &Object<'_>, key: &str) -> bool {
    object.get(key).is_some_and(|value| value.get() == "true")
}

fn words(object: &Object<'_>, key: &str) -> Vec<String> {
    object.get(key).and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
}

/// A count of tokens: a whole number above 0, also when it is written `1e6` or `32000.0`.
fn count(object: &Object<'_>, key: &str) -> Option<u64> {
    let nanos = Rate::from_number(object.get(key)?.get(), 0)?.nanos();
    Some(nanos / 1_000_000_000).filter(|&count| count > 0)
}

/// A price as it is written, times ten to the power of `shift`.
///
/// # Errors
/// When it is there and is not a price.
fn rate(object: &Object<'_>, key: &str, shift: i32) -> Result<Option<Rate>, Cow<'static, str>> {
    match object.get(key).map(|value| value.get()) {
        None | Some("null") => Ok(None),
        Some(number) => {
            Rate::from_number(number, shift).map(Some).ok_or(Cow::Borrowed("a price in it is not a number from 0 on"))
        }
    }
}

/// A set of those that are there.
fn abilities(list: &[(bool, Ability)]) -> Option<Abilities> {
    let set: Abilities = list.iter().filter(|(there, _)| *there).map(|(_, ability)| *ability).collect();
    (!set.is_empty()).then_some(set)
}
