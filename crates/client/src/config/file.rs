//! Finding and reading the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Config, Environment};
use crate::codec::catalog::{Catalog, ModelPatch, Models, ParseError};
use crate::codec::{Error, Kind, Origin, Result};

/// The file's usual name.
pub const FILE_NAME: &str = "trunkline.toml";

/// The usual name of the file of imported prices. It stands beside the configuration, and has its `[prices]` tables only.
pub const PRICES_NAME: &str = "prices.toml";

impl Config {
    /// Reads a configuration from text. `name` is what errors call it.
    ///
    /// # Errors
    /// One sentence with line, key and the nearest known key.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut config: Config =
            toml::from_str(text).map_err(|error| wrong(ParseError::from_toml(name, text, &error).to_string()))?;
        config.first_model = first_model(text);
        Ok(config)
    }

    /// The name that is asked for when nobody says: the `default` task's, else the first alias of the file.
    pub fn usual_model(&self) -> Option<&str> {
        let first = self.first_model.as_ref().filter(|name| self.models.contains_key(*name));
        self.tasks.get("default").or(first).or_else(|| self.models.keys().next()).map(String::as_str)
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read or is not valid.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| wrong(format!("cannot read the configuration {}: {error}", path.display())))?;
        let mut config = Config::parse(&text, &path.display().to_string())?;
        config.path = Some(path.to_owned());
        Ok(config)
    }

    /// The configuration from `path`, else from where [`locate`] finds one, else the default.
    ///
    /// # Errors
    /// When the file that was named or found cannot be read or is not valid.
    pub fn find(path: Option<&Path>, environment: &Environment) -> Result<Self> {
        match path.map(Path::to_owned).or_else(|| locate(environment)) {
            Some(path) => Config::read(&path),
            None => Ok(Config::default()),
        }
    }
}

/// The alias that stands first in the file; maps are in the order of the alphabet.
fn first_model(text: &str) -> Option<String> {
    let file = toml::de::DeTable::parse(text).ok()?;
    let models = file.get_ref().get("models")?.get_ref().as_table()?;
    models.keys().min_by_key(|name| name.span().start).map(|name| name.get_ref().clone().into_owned())
}

/// `prices.toml` as written.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PricesFile {
    #[serde(default)]
    prices: BTreeMap<String, ModelPatch>,
}

impl Config {
    /// Where imported prices are: `prices.toml` beside the configuration that was read; without one, in the user's
    /// configuration folder. `None` when there is no such folder either.
    pub fn prices_path(&self, environment: &Environment) -> Option<PathBuf> {
        match &self.path {
            Some(path) => Some(path.with_file_name(PRICES_NAME)),
            None => folder(environment).map(|folder| folder.join(PRICES_NAME)),
        }
    }

    /// Whom there is: the catalogue, over it `[providers]`.
    ///
    /// # Errors
    /// When an entry contradicts itself.
    pub fn catalog(&self) -> Result<Catalog> {
        let read = || {
            let mut catalog = Catalog::builtin()?;
            self.providers.iter().try_for_each(|(id, patch)| catalog.apply(id, patch.clone()))?;
            Ok(catalog)
        };
        read().map_err(|error: ParseError| wrong(error.to_string()))
    }

    /// What is known of models: the catalogue, over it `prices.toml` if it is there, over that `[prices]`.
    ///
    /// # Errors
    /// When `prices.toml` cannot be read or is not valid, or a row of either contradicts itself.
    pub fn models(&self, environment: &Environment) -> Result<Models> {
        let mut models = Models::default();
        let wrong_row = |error: ParseError| wrong(error.to_string());
        if let Some(path) = self.prices_path(environment).filter(|path| path.is_file()) {
            add_prices(&mut models, &path)?;
        }
        let name = self.path.as_ref().map_or_else(|| FILE_NAME.to_owned(), |path| path.display().to_string());
        models.add(&name, self.prices.clone()).map_err(wrong_row)?;
        Ok(models)
    }
}

/// Adds a file of prices, which has `[prices]` tables and nothing else, to what is known of models.
///
/// # Errors
/// When it cannot be read or is not valid.
pub fn add_prices(models: &mut Models, path: &Path) -> Result<()> {
    let wrong_row = |error: ParseError| wrong(error.to_string());
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))?;
    let name = path.display().to_string();
    let file: PricesFile = toml::from_str(&text).map_err(|error| wrong_row(ParseError::from_toml(&name, &text, &error)))?;
    models.add(&name, file.prices).map_err(wrong_row)
}

/// The user's configuration folder of ours.
fn folder(environment: &Environment) -> Option<PathBuf> {
    let folder = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| environment.get("HOME").map(|home| Path::new(home).join(".config")));
    folder.map(|folder| folder.join("trunkline"))
}

/// Where the configuration is: `TRUNKLINE_CONFIG`, `./trunkline.toml`, the user's configuration folder.
pub fn locate(environment: &Environment) -> Option<PathBuf> {
    if let Some(named) = environment.get("TRUNKLINE_CONFIG") {
        return Some(PathBuf::from(named));
    }
    let usual = folder(environment).map(|folder| folder.join(FILE_NAME));
    [Some(PathBuf::from(FILE_NAME)), usual].into_iter().flatten().find(|path| path.is_file())
}

pub(crate) fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Internal, Origin::Gateway, message)
}
