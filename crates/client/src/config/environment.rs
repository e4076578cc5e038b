//! The environment, as an argument.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::file::wrong;
use crate::codec::Result;

/// Environment variables: the process's own, and those of a `.env` file for what the process does not set.
///
/// An empty variable counts as not set. Cheap to clone.
#[derive(Clone, Default)]
pub struct Environment(Arc<HashMap<String, String>>);

impl Environment {
    /// The process's variables and `./.env`.
    ///
    /// # Errors
    /// When there is a `.env` file that cannot be read.
    pub fn read() -> Result<Self> {
        let mut environment = Environment(Arc::new(std::env::vars_os().filter_map(unicode).collect()));
        let file = Path::new(".env");
        if file.is_file() {
            environment.add_file(file)?;
        }
        Ok(environment)
    }

    /// Just these variables.
    pub fn of<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        Environment(Arc::new(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }

    /// Adds the variables of a `.env` file that are not set yet.
    ///
    /// # Errors
    /// When it cannot be read; the line is named, its text is not.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let unreadable = |what: String| wrong(format!("cannot read {}: {what}", path.display()));
        let entries = dotenvy::from_path_iter(path).map_err(|error| unreadable(error.to_string()))?;
        for (number, entry) in (1..).zip(entries) {
            // The parser's own words would repeat the line, which may hold a secret.
            let (name, value) = entry.map_err(|_| unreadable(format!("entry {number} is not NAME=value")))?;
            if self.get(&name).is_none() {
                Arc::make_mut(&mut self.0).insert(name, value);
            }
        }
        Ok(())
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// The same with one more.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut all = self.clone();
        Arc::make_mut(&mut all.0).insert(name.to_owned(), value.to_owned());
        all
    }

    /// The first of these that is set and not empty.
    pub fn first<'a>(&'a self, names: &[String]) -> Option<&'a str> {
        names.iter().find_map(|name| self.get(name))
    }
}

fn unicode((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

impl std::fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
