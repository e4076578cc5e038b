//! A file as written, TOML or YAML: values that know their lines, and keys that are strict.

mod node;
mod value;
mod yaml;

use trunkline::codec::catalog::nearest;

use crate::fault::wrong;

pub(crate) use node::{Held, Node};
pub(crate) use value::Placed;

/// Collects what is wrong, each with its line.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) faults: Vec<String>,
}

/// A table of the file.
pub(crate) struct Table<'a> {
    entries: Vec<(&'a str, usize, &'a Node)>,
}

/// A text of the file, and the line on which its first character stands.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

impl Form {
    /// By the file's name: YAML by its ending, else TOML.
    pub fn of(path: &str) -> Self {
        let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        if matches!(ending.as_deref(), Some("yaml" | "yml")) { Form::Yaml } else { Form::Toml }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Form::Toml => "toml",
            Form::Yaml => "yaml",
        }
    }

    /// By that word.
    pub fn find(word: &str) -> Option<Self> {
        [Form::Toml, Form::Yaml].into_iter().find(|form| form.word() == word)
    }
}

impl Page {
    /// Reads a file whose top is a table. `path` is what errors call it.
    ///
    /// # Errors
    /// One sentence with the line, when it is not written as it should be.
    pub(crate) fn read(text: &str, form: Form, path: &str) -> trunkline::Result<(Self, Node)> {
        let read = match form {
            Form::Toml => node::read(text),
            Form::Yaml => yaml::read(text),
        };
        let node = read.map_err(|(line, why)| wrong(format!("{path}, line {line}: {why}")))?;
        Ok((Page { path: path.to_owned(), faults: Vec::new() }, node))
    }

    pub(crate) fn complain(&mut self, line: usize, what: impl AsRef<str>) {
        self.faults.push(format!("{}, line {line}: {}", self.path, what.as_ref()));
    }

    /// The entries of a table, in the order of the file; keys that are not known are complained of.
    pub(crate) fn table<'a>(&mut self, node: &'a Node, known: Option<&[&str]>, what: &str) -> Table<'a> {
        let mut kept = Vec::new();
        for (name, line, value) in node.entries() {
            if let Some(known) = known.filter(|known| !known.contains(&name)) {
                let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean {near}?"));
                let hint = near.unwrap_or_else(|| format!("there are {}", known.join(", ")));
                self.complain(line, format!("{what} has no {name}; {hint}"));
            }
            kept.push((name, line, value));
        }
        Table { entries: kept }
    }

    /// The text of a value; complained of where it is none.
    pub(crate) fn text(&mut self, name: &str, value: &Node) -> Option<Text> {
        let Held::Text(text) = &value.held else {
            self.complain(value.line, format!("{name} must be a text in quotes"));
            return None;
        };
        Some(Text { text: text.clone(), line: value.text_line })
    }
}

impl<'a> Table<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(key, _, _)| *key == name).map(|(_, _, value)| *value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, usize, &'a Node)> + use<'_, 'a> {
        self.entries.iter().copied()
    }
}
