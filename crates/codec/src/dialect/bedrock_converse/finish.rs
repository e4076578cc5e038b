//! Why an answer ended: `stopReason`.

use crate::ir::{Finish, Reason};

/// Reads the end of an answer; an unknown word is a stop that keeps its word.
pub(super) fn read_finish(word: &str, stop_sequence: Option<String>, called: bool) -> Finish {
    let mut detail = None;
    let reason = match word {
        "end_turn" => Reason::Stop,
        "tool_use" => Reason::ToolCalls,
        "max_tokens" => Reason::Length,
        "stop_sequence" => Reason::StopSequence,
        "content_filtered" => Reason::Filtered,
        "refusal" => Reason::Refusal,
        "model_context_window_exceeded" => Reason::ContextFull,
        other => {
            detail = Some(other.to_owned()).filter(|word| !word.is_empty());
            match other {
                "guardrail_intervened" => Reason::Filtered,
                "malformed_model_output" | "malformed_tool_use" => Reason::Failed,
                _ if called => Reason::ToolCalls,
                _ => Reason::Stop,
            }
        }
    };
    Finish { reason, stop_sequence, detail }
}

/// The word for the end of an answer. `called` and `refused` say that the answer holds tool calls or a refusal: some
/// dialects end both like any other answer, and callers of this one look at the word.
pub(super) fn write_finish(finish: &Finish, called: bool, refused: bool) -> &'static str {
    match (finish.reason, finish.detail.as_deref()) {
        (Reason::Stop, _) if called => "tool_use",
        (Reason::Stop, _) if refused => "content_filtered",
        (Reason::Filtered, Some("guardrail_intervened")) => "guardrail_intervened",
        (Reason::Failed, Some("malformed_tool_use")) => "malformed_tool_use",
        (Reason::Failed, _) => "malformed_model_output",
        (Reason::Stop | Reason::Pause, _) => "end_turn",
        (Reason::StopSequence, _) => "stop_sequence",
        (Reason::Length, _) => "max_tokens",
        (Reason::ContextFull, _) => "model_context_window_exceeded",
        (Reason::ToolCalls, _) => "tool_use",
        (Reason::Refusal | Reason::Filtered, _) => "content_filtered",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_and_unknown_ones_fail_nobody() {
        for word in ["end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filtered", "guardrail_intervened"] {
            assert_eq!(write_finish(&read_finish(word, None, false), false, false), word);
        }
        for word in ["malformed_model_output", "malformed_tool_use", "model_context_window_exceeded"] {
            assert_eq!(write_finish(&read_finish(word, None, false), false, false), word);
        }
        let odd = read_finish("sunset", None, false);
        assert_eq!((odd.reason, odd.detail.as_deref()), (Reason::Stop, Some("sunset")));
        assert_eq!(read_finish("sunset", None, true).reason, Reason::ToolCalls);
    }
}
