//! Why an answer ended: `stop_reason`, `stop_sequence` and `stop_details`.

use serde::Serialize;

use super::wire::StopDetails;
use crate::ir::{Finish, Reason};

/// Categories of a refusal that the API names.
const CATEGORIES: [&str; 5] = ["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"];

/// Reads the end of an answer; an unknown word is a stop that keeps its word.
pub(super) fn read_finish(
    reason: Option<&str>,
    stop_sequence: Option<String>,
    details: Option<StopDetails>,
    called: bool,
) -> Finish {
    let mut detail = None;
    let reason = match reason {
        Some("end_turn") => Reason::Stop,
        Some("max_tokens") => Reason::Length,
        Some("stop_sequence") => Reason::StopSequence,
        Some("tool_use") => Reason::ToolCalls,
        Some("pause_turn") => Reason::Pause,
        Some("refusal") => {
            detail = details.and_then(|details| match (details.category, details.explanation) {
                (Some(category), Some(explanation)) => Some(format!("{category}: {explanation}")),
                (category, explanation) => category.or(explanation),
            });
            Reason::Refusal
        }
        Some("model_context_window_exceeded") => Reason::ContextFull,
        other => {
            detail = other.map(str::to_owned);
            if called { Reason::ToolCalls } else { Reason::Stop }
        }
    };
    Finish { reason, stop_sequence, detail }
}

/// The end of an answer as a caller reads it.
#[derive(Serialize)]
pub(super) struct Stop<'a> {
    pub(super) stop_reason: &'static str,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) stop_details: Option<Details<'a>>,
}

/// Why the model declined.
#[derive(Serialize)]
pub(super) struct Details<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    category: Option<&'a str>,
    explanation: Option<&'a str>,
}

/// Writes the end of an answer. `called` and `refused` say that the answer holds tool calls or a refusal: some
/// dialects end both like any other answer, and callers of this one look at the word.
pub(super) fn write_finish(finish: &Finish, called: bool, refused: bool) -> Stop<'_> {
    let stop_reason = match finish.reason {
        Reason::Stop if called => "tool_use",
        Reason::Stop if refused => "refusal",
        Reason::Stop | Reason::Failed => "end_turn",
        Reason::StopSequence => "stop_sequence",
        Reason::Length => "max_tokens",
        Reason::ContextFull => "model_context_window_exceeded",
        Reason::ToolCalls => "tool_use",
        Reason::Refusal | Reason::Filtered => "refusal",
        Reason::Pause => "pause_turn",
    };
    let stop_details = (stop_reason == "refusal").then(|| {
        let (category, explanation) = split_detail(finish.detail.as_deref());
        Details { kind: "refusal", category, explanation }
    });
    Stop { stop_reason, stop_sequence: finish.stop_sequence.as_deref(), stop_details }
}

fn split_detail(detail: Option<&str>) -> (Option<&str>, Option<&str>) {
    let Some(detail) = detail else { return (None, None) };
    match detail.split_once(": ") {
        Some((category, explanation)) if CATEGORIES.contains(&category) => (Some(category), Some(explanation)),
        None if CATEGORIES.contains(&detail) => (Some(detail), None),
        _ => (None, Some(detail)),
    }
}
