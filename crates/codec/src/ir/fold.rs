//! Events to a response and back: streamed and whole answers are the same answer.

use std::mem;

use super::event::{Delta, Event, PartStart};
use super::message::{Content, Part, Source};
use super::response::{Choice, Response};

/// Gathers events into the response that the unstreamed call would have given.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    response: Response,
    ended: bool,
}

impl Fold {
    /// Takes one event.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Start { id, model, created, extra } => {
                self.response.id = id;
                self.response.model = model;
                self.response.created = created;
                self.response.extra = extra;
            }
            Event::PartStart { choice, start, .. } => self.choice(choice).parts.push(open(start)),
            Event::Delta { choice, part, delta } => {
                if let Some(part) = self.choice(choice).parts.get_mut(part as usize) {
                    grow(part, delta);
                }
            }
            Event::Logprobs { choice, tokens } => self.choice(choice).logprobs.extend(tokens),
            Event::Finish { choice, finish } => self.choice(choice).finish = finish,
            Event::Usage { usage } => self.response.usage = Some(usage),
            Event::End => self.ended = true,
            Event::PartEnd { .. } | Event::Foreign { .. } => {}
        }
    }

    /// True once [`Event::End`] was seen.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The response so far.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The response.
    pub fn into_response(self) -> Response {
        self.response
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let choices = &mut self.response.choices;
        let at = choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            choices.push(Choice { index, ..Choice::default() });
            choices.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut choices[at]
    }
}

fn open(start: PartStart) -> Part {
    match start {
        PartStart::Text => Part::text(""),
        PartStart::Reasoning => Content::Reasoning { text: String::new(), redacted: false }.into(),
        PartStart::ToolCall { id, name } => Content::ToolCall { id, name, arguments: String::new() }.into(),
        PartStart::Refusal => Content::Refusal { text: String::new() }.into(),
        PartStart::Audio { id, media_type } => {
            Content::Audio { source: Source::Base64 { media_type, data: String::new() }, transcript: None, id }.into()
        }
        PartStart::Whole { content } => *content,
    }
}

fn grow(part: &mut Part, delta: Delta) {
    match (delta, &mut part.content) {
        (Delta::Text(more), Content::Text { text, .. } | Content::Reasoning { text, .. } | Content::Refusal { text }) => {
            text.push_str(&more)
        }
        (Delta::Arguments(more), Content::ToolCall { arguments, .. }) => arguments.push_str(&more),
        (Delta::Citation(citation), Content::Text { citations, .. }) => citations.push(citation),
        (Delta::Audio(more), Content::Audio { source: Source::Base64 { data, .. }, .. }) => data.push_str(&more),
        (Delta::Transcript(more), Content::Audio { transcript, .. }) => {
            transcript.get_or_insert_default().push_str(&more);
        }
        (Delta::Signature(signature), _) => part.signature = Some(signature),
        _ => {}
    }
}

/// The events of a whole response, each part in one delta.
pub fn unfold(response: Response) -> Vec<Event> {
    let Response { id, model, created, choices, usage, extra } = response;
    let mut events = vec![Event::Start { id, model, created, extra }];
    for mut choice in choices {
        for (part, content) in (0..).zip(choice.parts) {
            let is_text = matches!(content.content, Content::Text { .. });
            unfold_part(choice.index, part, content, &mut events);
            // They are of the first text, and belong where it grows.
            if is_text && !choice.logprobs.is_empty() {
                let tokens = mem::take(&mut choice.logprobs);
                events.insert(events.len() - 1, Event::Logprobs { choice: choice.index, tokens });
            }
        }
        if !choice.logprobs.is_empty() {
            events.push(Event::Logprobs { choice: choice.index, tokens: choice.logprobs });
        }
        events.push(Event::Finish { choice: choice.index, finish: choice.finish });
    }
    events.extend(usage.map(|usage| Event::Usage { usage }));
    events.push(Event::End);
    events
}

fn unfold_part(choice: u32, part: u32, mut content: Part, events: &mut Vec<Event>) {
    let signature = content.signature.take();
    let mut deltas = Vec::new();
    let start = match &mut content.content {
        Content::Text { text, citations } => {
            deltas.push(Delta::Text(mem::take(text)));
            deltas.extend(mem::take(citations).into_iter().map(Delta::Citation));
            PartStart::Text
        }
        Content::Reasoning { text, redacted: false } => {
            deltas.push(Delta::Text(mem::take(text)));
            PartStart::Reasoning
        }
        Content::Refusal { text } => {
            deltas.push(Delta::Text(mem::take(text)));
            PartStart::Refusal
        }
        Content::ToolCall { id, name, arguments } => {
            deltas.push(Delta::Arguments(mem::take(arguments)));
            PartStart::ToolCall { id: mem::take(id), name: mem::take(name) }
        }
        Content::Audio { source: Source::Base64 { media_type, data }, transcript, id } => {
            deltas.push(Delta::Audio(mem::take(data)));
            deltas.extend(transcript.take().map(Delta::Transcript));
            PartStart::Audio { id: id.take(), media_type: mem::take(media_type) }
        }
        _ => PartStart::Whole { content: Box::new(content) },
    };
    events.push(Event::PartStart { choice, part, start });
    deltas.retain(|delta| !matches!(delta, Delta::Text(t) | Delta::Arguments(t) | Delta::Audio(t) if t.is_empty()));
    deltas.extend(signature.map(Delta::Signature));
    events.extend(deltas.into_iter().map(|delta| Event::Delta { choice, part, delta }));
    events.push(Event::PartEnd { choice, part });
}
