//! What an answer may hold that not every dialect has words for. Where a caller's dialect lacks them, that is a loss.

use super::Dialect;
use crate::ir::{Content, Delta, Event, Finish, Part, PartStart, Response};
use crate::loss::Losses;

/// Something that an answer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Thinking.
    Reasoning,
    /// A tool call.
    ToolCall,
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// A source of the text.
    Citation,
    /// Probabilities of tokens.
    Logprobs,
    /// More answers than one.
    Choices,
    /// Which stop text was met.
    StopSequence,
}

impl Feature {
    const fn field(self) -> &'static str {
        match self {
            Self::Reasoning => "answer.reasoning",
            Self::ToolCall => "answer.tool_calls",
            Self::Image => "answer.images",
            Self::Audio => "answer.audio",
            Self::Citation => "answer.citations",
            Self::Logprobs => "answer.logprobs",
            Self::Choices => "answer.choices",
            Self::StopSequence => "answer.stop_sequence",
        }
    }
}

impl Dialect {
    /// What of this answer its caller is not told.
    pub fn lost_of(&self, response: &Response) -> Losses {
        let mut losses = Losses::default();
        for choice in &response.choices {
            if choice.index > 0 {
                self.note(Feature::Choices, &mut losses);
            }
            choice.parts.iter().for_each(|part| self.note_part(part, &mut losses));
            if !choice.logprobs.is_empty() {
                self.note(Feature::Logprobs, &mut losses);
            }
            self.note_finish(&choice.finish, &mut losses);
        }
        losses
    }

    /// Adds what of this event its caller is not told.
    pub fn note_lost(&self, event: &Event, losses: &mut Losses) {
        match event {
            Event::PartStart { choice, start, .. } => {
                if *choice > 0 {
                    self.note(Feature::Choices, losses);
                }
                match start {
                    PartStart::Reasoning => self.note(Feature::Reasoning, losses),
                    PartStart::ToolCall { .. } => self.note(Feature::ToolCall, losses),
                    PartStart::Audio { .. } => self.note(Feature::Audio, losses),
                    PartStart::Whole { content } => self.note_part(content, losses),
                    PartStart::Text | PartStart::Refusal => {}
                }
            }
            Event::Delta { delta: Delta::Citation(_), .. } => self.note(Feature::Citation, losses),
            Event::Logprobs { .. } => self.note(Feature::Logprobs, losses),
            Event::Finish { finish, .. } => self.note_finish(finish, losses),
            Event::Start { .. }
            | Event::Delta { .. }
            | Event::PartEnd { .. }
            | Event::Usage { .. }
            | Event::Foreign { .. }
            | Event::End => {}
        }
    }

    fn note_part(&self, part: &Part, losses: &mut Losses) {
        match &part.content {
            Content::Text { citations, .. } if !citations.is_empty() => self.note(Feature::Citation, losses),
            Content::Reasoning { .. } => self.note(Feature::Reasoning, losses),
            Content::ToolCall { .. } => self.note(Feature::ToolCall, losses),
            Content::Image { .. } => self.note(Feature::Image, losses),
            Content::Audio { .. } => self.note(Feature::Audio, losses),
            Content::Foreign { from, .. } if *from != self.name => {
                losses.add("answer.blocks", format!("a block that only {from} knows"));
            }
            _ => {}
        }
    }

    fn note_finish(&self, finish: &Finish, losses: &mut Losses) {
        if finish.stop_sequence.is_some() {
            self.note(Feature::StopSequence, losses);
        }
    }

    fn note(&self, feature: Feature, losses: &mut Losses) {
        if self.downstream().lacks().contains(&feature) {
            losses.add(feature.field(), format!("{} has no words for it", self.name));
        }
    }
}
