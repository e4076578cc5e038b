//! Every caller's dialect reaches every provider's dialect: each feature asked and answered, whole and streamed.
//!
//! For each caller, provider and feature: the caller's bytes are read and written for the provider; what is sent is read
//! back and compared, and looked up in the raw body. Then the provider's answer, whole and as a stream, is read, written
//! for the caller and read back with the caller's own reader. What cannot be carried must be among the losses, and the
//! losses must be those that [`DECLARED`] lists. The outcome is the table in `docs/dialects.md`.

use std::collections::BTreeSet;

use trunkline_codec::dialect::{ALL, Dialect};

mod answer;
mod ask;
mod error;
mod native;
mod reply;
mod request;
mod table;

/// The columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    Text,
    Tools,
    Images,
    Structured,
    Reasoning,
    Endings,
    Usage,
    Errors,
}

pub(crate) const FEATURES: [Feature; 8] = [
    Feature::Text,
    Feature::Tools,
    Feature::Images,
    Feature::Structured,
    Feature::Reasoning,
    Feature::Endings,
    Feature::Usage,
    Feature::Errors,
];

/// What is known to be lost: provider, feature, field with its indices left out.
const DECLARED: &[(&str, Feature, &str)] = &[
    ("openai-completions", Feature::Tools, "tools"),
    ("openai-completions", Feature::Tools, "tool_choice"),
    ("openai-completions", Feature::Tools, "messages[].parts[]"),
    ("openai-completions", Feature::Images, "messages[].parts[]"),
    ("openai-completions", Feature::Structured, "format"),
    ("openai-completions", Feature::Reasoning, "reasoning"),
    // The schema itself is sent; its name is a label that only one dialect has.
    ("anthropic-messages", Feature::Structured, "format.name"),
    ("gemini", Feature::Structured, "format.name"),
    // Items have no stop texts.
    ("openai-responses", Feature::Text, "stop"),
    // Thinking has efforts there and no budgets.
    ("openai-responses", Feature::Reasoning, "reasoning.budget"),
    ("cohere-chat", Feature::Structured, "format.name"),
    // No call can be demanded there, and a schema has no name.
    ("ollama", Feature::Tools, "tool_choice"),
    ("ollama", Feature::Structured, "format.name"),
    ("ollama-generate", Feature::Tools, "tools"),
    ("ollama-generate", Feature::Tools, "tool_choice"),
    ("ollama-generate", Feature::Tools, "messages[].parts[]"),
    ("ollama-generate", Feature::Structured, "format.name"),
    // A budget becomes the effort that comes nearest.
    ("openai-chat", Feature::Reasoning, "reasoning.budget"),
    ("ollama", Feature::Reasoning, "reasoning.budget"),
    ("ollama-generate", Feature::Reasoning, "reasoning.budget"),
    // Bounds of length, forms of answers and demands that only openai-chat's own servers take.
    ("hunyuan", Feature::Text, "max_tokens"),
    ("hunyuan", Feature::Tools, "max_tokens"),
    ("hunyuan", Feature::Images, "max_tokens"),
    ("hunyuan", Feature::Structured, "max_tokens"),
    ("hunyuan", Feature::Reasoning, "max_tokens"),
    ("hunyuan", Feature::Endings, "max_tokens"),
    ("hunyuan", Feature::Usage, "max_tokens"),
    ("hunyuan", Feature::Errors, "max_tokens"),
    ("hunyuan", Feature::Tools, "tool_choice"),
    ("hunyuan", Feature::Structured, "format"),
    ("hunyuan", Feature::Reasoning, "reasoning.budget"),
    ("qianfan", Feature::Tools, "tool_choice"),
    ("qianfan", Feature::Images, "messages[].parts[]"),
    ("qianfan", Feature::Structured, "format.schema"),
    ("qianfan", Feature::Reasoning, "reasoning"),
    ("spark", Feature::Tools, "tool_choice"),
    ("spark", Feature::Text, "stop"),
    ("spark", Feature::Images, "messages[].parts[]"),
    ("spark", Feature::Structured, "format"),
    ("spark", Feature::Reasoning, "reasoning.budget"),
    ("spark", Feature::Reasoning, "reasoning.effort"),
    // Thinking of earlier turns; a provider that wants it says so with the quirk `reasoning_replay`.
    ("openai-chat", Feature::Reasoning, "messages[].parts[]"),
    ("dashscope", Feature::Reasoning, "messages[].parts[]"),
    ("hunyuan", Feature::Reasoning, "messages[].parts[]"),
];

/// A loss with its indices left out, and why.
type Lost = BTreeSet<(String, String)>;

/// One cell.
pub(crate) enum Cell {
    /// The caller's dialect has no words for it.
    Unsayable,
    /// Carried, but for these; `whole`: they touch nothing that the feature is about.
    Carried { lost: Lost, whole: bool },
}

pub(crate) struct Row {
    pub(crate) caller: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) cells: Vec<Cell>,
}

/// One cell's work, and what is found wrong with it.
pub(crate) struct Case<'a> {
    caller: &'static Dialect,
    provider: &'static Dialect,
    feature: Feature,
    lost: Lost,
    /// Nothing of the request is missing in what is sent.
    whole: bool,
    faults: &'a mut Vec<String>,
}

impl Case<'_> {
    fn fault(&mut self, what: impl std::fmt::Display) {
        self.faults.push(format!("{} → {}, {:?}: {what}", self.caller.name, self.provider.name, self.feature));
    }

    fn expect(&mut self, holds: bool, what: impl std::fmt::Display) {
        if !holds {
            self.fault(what);
        }
    }
}

#[test]
fn every_caller_reaches_every_provider() {
    let mut faults = Vec::new();
    let mut rows = Vec::new();
    for caller in ALL.iter().filter(|dialect| dialect.downstream.is_some()) {
        for provider in ALL {
            let mut cells = Vec::new();
            for feature in FEATURES {
                cells.push(check(Case { caller, provider, feature, lost: Lost::new(), whole: true, faults: &mut faults }));
            }
            rows.push(Row { caller: caller.name, provider: provider.name, cells });
        }
    }
    for (provider, feature, field) in DECLARED {
        let at = FEATURES.iter().position(|known| known == feature).unwrap();
        let met = |row: &Row| match &row.cells[at] {
            Cell::Carried { lost, .. } => lost.iter().any(|(name, _)| name == field),
            Cell::Unsayable => false,
        };
        if !rows.iter().any(|row| row.provider == *provider && met(row)) {
            faults.push(format!("{provider}, {feature:?}: `{field}` is declared lost and is not"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    table::check(&rows);
}

fn check(mut case: Case<'_>) -> Cell {
    let sayable = request::check(&mut case);
    answer::check(&mut case);
    if case.feature == Feature::Errors {
        error::check(&mut case);
    }
    if !sayable {
        return Cell::Unsayable;
    }
    for (field, why) in case.lost.clone() {
        let declared = (case.provider.name, case.feature, field.as_str());
        case.expect(DECLARED.contains(&declared), format_args!("`{field}` is lost ({why}) and not declared"));
    }
    Cell::Carried { lost: case.lost, whole: case.whole }
}
