//! `[[task_rules]]`: which task a call is that leaves it to us.

use serde::Deserialize;

/// One rule, as written. It fits a call when all of its conditions hold; it has one at least.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRule {
    /// The task, one of `[tasks]`.
    pub task: String,
    /// Whether there is a picture in the conversation.
    pub image: Option<bool>,
    /// Whether tools are on offer.
    pub tools: Option<bool>,
    /// The prompt has more tokens than this, by estimate.
    pub longer_than: Option<u64>,
    /// The prompt has fewer tokens than this, by estimate.
    pub shorter_than: Option<u64>,
    /// Whether the user's last words hold code.
    pub code: Option<bool>,
    /// What the user's last words are written in: `zh`, `ja`, `ko`, `th`, `el`, `he`, or a script that several languages
    /// share: `latin`, `cyrillic`, `arabic`, `devanagari`.
    pub language: Option<String>,
    /// A regular expression that is found in the user's last words.
    pub matches: Option<String>,
    /// What is asked for: `chat`, `embed`, `image_generate`, …
    pub operation: Option<String>,
}
