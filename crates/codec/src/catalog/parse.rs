//! TOML to provider, with errors that say where and what was probably meant.

use std::fmt;

use super::nearest::nearest;
use super::provider::{Provider, ProviderPatch};

/// Why a provider's table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// What was read: a provider's id, or a file's name.
    pub subject: String,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A key or a word that is not known.
    Unknown {
        /// `key` or `value`.
        kind: &'static str,
        /// The key or word as written.
        word: String,
        /// The known one that was probably meant.
        nearest: Option<String>,
    },
    /// Anything else, in one sentence.
    Wrong(String),
}

impl ParseError {
    /// An error without a line: what is wrong shows only when the whole table is known.
    pub(crate) fn wrong(subject: &str, message: impl Into<String>) -> Self {
        Self { subject: subject.to_owned(), line: None, fault: Fault::Wrong(message.into()) }
    }

    /// An unknown word among known ones.
    pub(crate) fn unknown(subject: &str, kind: &'static str, word: &str, known: &[&str]) -> Self {
        let nearest = nearest(word, known.iter().copied()).map(str::to_owned);
        Self { subject: subject.to_owned(), line: None, fault: Fault::Unknown { kind, word: word.to_owned(), nearest } }
    }

    /// Explains an error of the TOML reader. `text` is what was read: the line is counted in it. Works for any type,
    /// not only for providers, so that a whole configuration file gets the same words.
    pub fn from_toml(subject: &str, text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
        let fault = unknown_word(error.message()).unwrap_or_else(|| Fault::Wrong(first_line(error.message())));
        Self { subject: subject.to_owned(), line, fault }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        match &self.fault {
            Fault::Unknown { kind, word, nearest: None } => write!(f, ": unknown {kind} `{word}`"),
            Fault::Unknown { kind, word, nearest: Some(near) } => {
                write!(f, ": unknown {kind} `{word}`; the nearest known {kind} is `{near}`")
            }
            Fault::Wrong(message) => write!(f, ": {message}"),
        }
    }
}

/// Reads serde's own sentence ("unknown field `a`, expected one of `b`, `c`"): the words that it knows stand only there,
/// and a list of keys kept by hand beside every type would drift from the types.
fn unknown_word(message: &str) -> Option<Fault> {
    let (kind, rest) = match message.strip_prefix("unknown field `") {
        Some(rest) => ("key", rest),
        None => ("value", message.strip_prefix("unknown variant `")?),
    };
    let (word, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2);
    Some(Fault::Unknown { kind, word: word.to_owned(), nearest: nearest(word, known).map(str::to_owned) })
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or("cannot be read").to_owned()
}

/// Reads one provider's table: the content of `providers/<id>.toml`.
///
/// # Errors
/// Names the line, the key and the nearest known one; also when the table is incomplete or contradicts itself.
pub fn parse_provider(id: &str, text: &str) -> Result<Provider, ParseError> {
    Provider::build(id, parse_patch(id, text)?)
}

/// Reads what differs from a catalogue provider: the same keys, all of them optional.
///
/// # Errors
/// Names the line, the key and the nearest known one.
pub fn parse_patch(id: &str, text: &str) -> Result<ProviderPatch, ParseError> {
    toml::from_str(text).map_err(|error| ParseError::from_toml(id, text, &error))
}
