//! `[sessions]`: which conversations are kept, and what of them the next call gets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `[sessions]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Whether the gateway keeps them, and answers that a later call may go on from; and whether `trunkline chat` does.
    pub keep: bool,
    /// Whether `trunkline ask` keeps what was said also when it is not told to, so that `ask -c` can go on with it.
    pub ask: bool,
    /// What of a session's history the next call gets.
    pub window: Window,
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig { keep: true, ask: false, window: Window::All }
    }
}

/// What of a conversation's history the next call gets. A question and everything until its answer, calls of tools
/// included, is one turn: it is left out as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Window {
    /// `all`: everything.
    #[default]
    All,
    /// `N turns`: the last so many.
    Turns(u32),
    /// `N tokens`: as many of the last turns as this is enough for, by estimate.
    Tokens(u64),
    /// `summarise after N turns with MODEL`: between N and 2 × N turns as they were, and what was before them as a summary
    /// that this model makes.
    Summary {
        /// N.
        turns: u32,
        /// The model's name.
        model: String,
    },
}

/// What the text of a window looks like.
const FORMS: &str = "a window is `all`, `20 turns`, `8000 tokens` or `summarise after 20 turns with MODEL`";

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| word.replace('_', "").parse::<u64>().ok().filter(|number| *number > 0);
        let turns = |word: &str| number(word).and_then(|number| u32::try_from(number).ok());
        let window = match words.as_slice() {
            ["all"] => Some(Window::All),
            [count, "turns" | "turn"] => turns(count).map(Window::Turns),
            [count, "tokens"] => number(count).map(Window::Tokens),
            ["summarise" | "summarize", "after", count, "turns" | "turn", "with", model] => {
                turns(count).map(|turns| Window::Summary { turns, model: (*model).to_owned() })
            }
            _ => None,
        };
        window.ok_or_else(|| format!("{FORMS}, not `{text}`"))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::All => f.write_str("all"),
            Window::Turns(turns) => write!(f, "{turns} turns"),
            Window::Tokens(tokens) => write!(f, "{tokens} tokens"),
            Window::Summary { turns, model } => write!(f, "summarise after {turns} turns with {model}"),
        }
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_as_it_is_written() {
        for text in ["all", "20 turns", "8000 tokens", "summarise after 6 turns with house/small"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        assert_eq!("1 turn".parse(), Ok(Window::Turns(1)));
        for text in ["", "0 turns", "20", "-1 tokens", "summarise after 6 turns", "some tokens"] {
            assert!(text.parse::<Window>().unwrap_err().contains("`20 turns`"), "{text}");
        }
    }
}
