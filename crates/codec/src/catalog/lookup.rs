//! From a provider and a model's id to the row that tells about it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::model::{Model, Table, check, parse_table};
use super::parse::ParseError;
use super::price::{ModelPatch, Price, Work};
use super::resolve::matches;
use super::{Cost, Currency};

include!(concat!(env!("OUT_DIR"), "/models.rs"));

/// What is known of models: the rows that are compiled in, and over them those that the user wrote.
///
/// A file that is compiled in is read when a row of it is asked for, so that none costs anything at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models {
    /// By `provider/model`; the later layer counts.
    layers: Vec<BTreeMap<String, ModelPatch>>,
}

impl Models {
    /// Adds rows over those that are there, by `provider/model`; the model may be a pattern. `subject` is what errors
    /// call their place.
    ///
    /// # Errors
    /// When a key names no provider and model, or a row contradicts itself.
    pub fn add(&mut self, subject: &str, rows: BTreeMap<String, ModelPatch>) -> Result<(), ParseError> {
        for (target, patch) in &rows {
            let named = target.split_once('/').is_some_and(|(provider, model)| !provider.is_empty() && !model.is_empty());
            if !named {
                let message = format!("\"{target}\" is not provider/model; write [prices.\"provider/model\"]");
                return Err(ParseError::wrong(subject, message));
            }
            check(subject, target, patch)?;
        }
        if !rows.is_empty() {
            self.layers.push(rows);
        }
        Ok(())
    }

    /// What is known of a model. The user's rows come first, key by key; of each kind the exact id wins, then the id
    /// without its date (`-2024-08-06`, `-latest`), then the longest pattern.
    pub fn find(&self, provider: &str, model: &str) -> Option<Cow<'_, Model>> {
        let mut found = find_builtin(provider, model, &mut Vec::new()).map(Cow::Borrowed);
        if self.layers.is_empty() {
            return found;
        }
        let target = format!("{provider}/{model}");
        for layer in &self.layers {
            let patterns = || layer.keys().filter(|key| key.contains('*'));
            let longest = || patterns().filter(|key| matches(key, &target)).max_by_key(|key| key.len());
            let key = families(&target).find(|key| layer.contains_key(*key)).map(str::to_owned).or_else(|| longest().cloned());
            if let Some(patch) = key.and_then(|key| layer.get(&key)) {
                let below = found.map(Cow::into_owned).unwrap_or_else(|| Model { id: model.to_owned(), ..Model::default() });
                found = Some(Cow::Owned(below.with(patch)));
            }
        }
        found
    }

    /// All rows of a provider, by id: those that are compiled in and those that the user added.
    pub fn of(&self, provider: &str) -> Vec<Cow<'_, Model>> {
        let mut ids: Vec<&str> = table(provider).into_iter().flat_map(|table| table.rows.keys()).map(String::as_str).collect();
        let written = self.layers.iter().flat_map(BTreeMap::keys);
        ids.extend(written.filter_map(|key| key.split_once('/')).filter(|(own, _)| *own == provider).map(|(_, model)| model));
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|id| self.find(provider, id)).collect()
    }

    /// What a call to `target` (`provider/model`) came to. `None` when its price is not known.
    pub fn cost(&self, target: &str, work: &Work) -> Option<Cost> {
        let (provider, model) = target.split_once('/')?;
        self.find(provider, model)?.price.as_ref()?.cost(work)
    }

    /// What a call to `target` came to that was handed in as a batch; `percent` of the usual price is what its provider takes
    /// where the model's row does not say. `None` when the price is not known.
    pub fn batch_cost(&self, target: &str, work: &Work, percent: u32) -> Option<Cost> {
        let (provider, model) = target.split_once('/')?;
        self.find(provider, model)?.price.as_ref()?.batch_cost(work, percent)
    }

    /// The providers that have rows of their own in the files that are compiled in, by id.
    pub fn providers() -> impl Iterator<Item = &'static str> {
        MODEL_FILES.iter().map(|(id, _, _)| *id)
    }

    /// Providers whose rows serve for what `provider` has no row of its own for: the same models at the same price.
    pub fn like(provider: &str) -> &'static [String] {
        table(provider).map(|table| table.like.as_slice()).unwrap_or_default()
    }

    /// Reads the content of a `models/<provider>.toml`.
    ///
    /// # Errors
    /// Names the line, the key and the nearest known one; also when a row contradicts itself.
    pub fn check(provider: &str, text: &str) -> Result<(), ParseError> {
        parse_table(provider, text).map(drop)
    }

    /// Reads all files that are compiled in.
    ///
    /// # Errors
    /// Never in a released build: a test reads every file.
    pub fn check_builtin() -> Result<(), ParseError> {
        MODEL_FILES.iter().try_for_each(|(id, text, _)| Self::check(id, text))
    }
}

/// A price for a row as the user wrote it, to be shown.
impl Price {
    /// The price that a row alone states.
    pub fn of(patch: &ModelPatch) -> Option<Self> {
        Self::from_patch(patch, Currency::default())
    }
}

/// A provider's rows, read at the first time. A file that cannot be read has none: [`Models::check_builtin`] tells.
fn table(provider: &str) -> Option<&'static Table> {
    let at = MODEL_FILES.binary_search_by(|(id, _, _)| (*id).cmp(provider)).ok()?;
    let (id, text, cell) = MODEL_FILES.get(at)?;
    Some(cell.get_or_init(|| parse_table(id, text).unwrap_or_default()))
}

fn find_builtin(provider: &str, model: &str, asked: &mut Vec<String>) -> Option<&'static Model> {
    let table = table(provider)?;
    let pattern = || table.patterns.iter().find(|pattern| matches(pattern, model));
    let own = families(model).find_map(|id| table.rows.get(id)).or_else(|| table.rows.get(pattern()?));
    if own.is_some() || asked.iter().any(|id| id == provider) {
        return own;
    }
    asked.push(provider.to_owned());
    table.like.iter().find_map(|other| find_builtin(other, model, asked))
}

/// The id itself, then without what tells one version of a model from the next: a date, a number, `-latest`.
fn families(id: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(id), |id| shorten(id)).take(4)
}

fn shorten(id: &str) -> Option<&str> {
    for word in ["-latest", "-preview", "-exp"] {
        if let Some(rest) = id.strip_suffix(word) {
            return Some(rest);
        }
    }
    let at = id.rfind(['-', '@'])?;
    let (rest, last) = (id.get(..at)?, id.get(at + 1..)?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(last) || rest.is_empty() {
        return None;
    }
    // `20240806`, `240806`, `0806` and `001` stand alone; `06` is the end of a longer date.
    if matches!(last.len(), 8 | 6 | 4) || (last.len() == 3 && last.starts_with('0')) {
        let month = rest.rsplit_once('-').filter(|(_, month)| last.len() == 4 && month.len() == 2 && digits(month));
        return Some(month.map_or(rest, |(rest, _)| rest));
    }
    let (rest, _) = rest.rsplit_once('-').filter(|(_, month)| last.len() == 2 && month.len() == 2 && digits(month))?;
    let year = rest.rsplit_once('-').filter(|(_, year)| year.len() == 4 && digits(year));
    Some(year.map_or(rest, |(rest, _)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_lose_their_dates() {
        for (id, shorter) in [
            ("a-4o-2024-08-06", Some("a-4o")),
            ("a-3-20250929", Some("a-3")),
            ("a-3@20250929", Some("a-3")),
            ("a-4-0613", Some("a-4")),
            ("a-r-08-2024", Some("a-r")),
            ("a-flash-preview-05-20", Some("a-flash-preview")),
            ("a-pro-260215", Some("a-pro")),
            ("a-flash-001", Some("a-flash")),
            ("a-large-latest", Some("a-large")),
            ("a-large-2411", Some("a-large")),
            ("a-128k", None),
            ("a-4", None),
            ("a-4-5", None),
            ("a-120", None),
            ("a", None),
            ("", None),
            ("-2024", None),
        ] {
            assert_eq!(shorten(id), shorter, "{id}");
        }
        assert_eq!(families("a-preview-05-20").collect::<Vec<_>>(), ["a-preview-05-20", "a-preview", "a"]);
    }
}
