//! Events to frames. Frames are read as those of `openai-chat`.

use serde::Serialize;

use super::response::{ColumnsOut, write_finish};
use crate::dialect::openai_chat::error::write_error_frame;
use crate::dialect::openai_chat::response::UsageOut;
use crate::dialect::{Cx, WriteStream};
use crate::error::Error;
use crate::ir::{Content, Delta, Event, PartStart, Usage};

/// Writes one stream.
pub(super) struct Writer {
    id: String,
    created: u64,
    model: String,
    stream_usage: bool,
    /// What every chunk begins with, up to the list of choices.
    head: Vec<u8>,
    tail: &'static [u8],
    usage: Option<Usage>,
    /// Parts that are text, of those that are open.
    texts: Vec<(u32, u32)>,
    /// How many characters of each choice had their probabilities told.
    offsets: Vec<(u32, usize)>,
}

impl Writer {
    pub(super) fn new(cx: &Cx) -> Self {
        let mut writer = Writer {
            id: format!("cmpl-{}", cx.id),
            created: cx.created,
            model: cx.model.clone(),
            stream_usage: cx.stream_usage,
            head: Vec::new(),
            tail: if cx.stream_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" },
            usage: None,
            texts: Vec::new(),
            offsets: Vec::new(),
        };
        writer.set_head();
        writer
    }

    fn set_head(&mut self) {
        self.head.clear();
        self.head.extend_from_slice(b"data: {\"id\":");
        put(&mut self.head, &self.id);
        self.head.extend_from_slice(b",\"object\":\"text_completion\",\"created\":");
        put(&mut self.head, &self.created);
        self.head.extend_from_slice(b",\"model\":");
        put(&mut self.head, &self.model);
        self.head.extend_from_slice(b",\"choices\":[");
    }

    fn chunk(&self, choice: u32, text: &str, logprobs: Option<ColumnsOut<'_>>, finish: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"text\":");
        put(out, text);
        out.extend_from_slice(b",\"index\":");
        put(out, &choice);
        out.extend_from_slice(b",\"logprobs\":");
        put(out, &logprobs);
        out.extend_from_slice(b",\"finish_reason\":");
        put(out, &finish);
        out.push(b'}');
        out.extend_from_slice(self.tail);
    }
}

impl WriteStream for Writer {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created, .. } => {
                if !id.is_empty() {
                    id.clone_into(&mut self.id);
                }
                if !model.is_empty() {
                    model.clone_into(&mut self.model);
                }
                self.created = created.unwrap_or(self.created);
                self.set_head();
            }
            Event::PartStart { choice, part, start } => match start {
                PartStart::Text | PartStart::Refusal => self.texts.push((*choice, *part)),
                PartStart::Whole { content } => {
                    if let Content::Text { text, .. } = &content.content {
                        self.chunk(*choice, text, None, None, out);
                    }
                }
                _ => {}
            },
            Event::Delta { choice, part, delta: Delta::Text(text) } if self.texts.contains(&(*choice, *part)) => {
                self.chunk(*choice, text, None, None, out);
            }
            Event::PartEnd { choice, part } => self.texts.retain(|text| text != &(*choice, *part)),
            Event::Logprobs { choice, tokens } => {
                let told: usize = tokens.iter().map(|token| token.token.chars().count()).sum();
                let known = self.offsets.iter().position(|(index, _)| index == choice);
                let offset = known.and_then(|at| self.offsets.get(at)).map_or(0, |(_, offset)| *offset);
                self.chunk(*choice, "", ColumnsOut::new(tokens, offset), None, out);
                match known.and_then(|at| self.offsets.get_mut(at)) {
                    Some((_, offset)) => *offset += told,
                    None => self.offsets.push((*choice, told)),
                }
            }
            Event::Finish { choice, finish } => self.chunk(*choice, "", None, Some(write_finish(finish)), out),
            Event::Usage { usage } => self.usage = Some(*usage),
            Event::Delta { .. } | Event::Foreign { .. } | Event::End => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.stream_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            put(out, &UsageOut::new(&usage));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        write_error_frame(error, out);
    }
}

/// Writing to memory does not fail.
fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(out, value);
}
