//! Finding and reading the file.

use std::path::{Path, PathBuf};

use super::{Config, Environment};
use crate::codec::catalog::ParseError;
use crate::codec::{Error, Kind, Origin, Result};

/// The file's usual name.
pub const FILE_NAME: &str = "trunkline.toml";

impl Config {
    /// Reads a configuration from text. `name` is what errors call it.
    ///
    /// # Errors
    /// One sentence with line, key and the nearest known key.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| wrong(ParseError::from_toml(name, text, &error).to_string()))
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

/// Where the configuration is: `TRUNKLINE_CONFIG`, `./trunkline.toml`, the user's configuration folder.
pub fn locate(environment: &Environment) -> Option<PathBuf> {
    if let Some(named) = environment.get("TRUNKLINE_CONFIG") {
        return Some(PathBuf::from(named));
    }
    let folder = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| environment.get("HOME").map(|home| Path::new(home).join(".config")));
    let usual = folder.map(|folder| folder.join("trunkline").join(FILE_NAME));
    [Some(PathBuf::from(FILE_NAME)), usual].into_iter().flatten().find(|path| path.is_file())
}

pub(crate) fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Internal, Origin::Gateway, message)
}
