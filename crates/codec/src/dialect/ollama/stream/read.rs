//! Lines to events.

use super::super::Shape;
use super::super::wire::{Detail, Line, read_call, read_extra, read_image};
use crate::dialect::ReadStream;
use crate::dialect::openai_chat::wire::Call;
use crate::dialect::time::read_time;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::ir::{Content, Delta, Event, Extra, Part, PartStart};

/// More calls than this are an attack on our memory.
const MOST: usize = 1024;

/// Reads one stream.
pub(crate) struct Reader {
    shape: Shape,
    started: bool,
    ended: bool,
    /// The part that grows.
    open: Option<(u32, Kind)>,
    next: u32,
    calls: usize,
}

/// Parts that grow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
}

impl Reader {
    pub(crate) fn new(shape: Shape) -> Self {
        Reader { shape, started: false, ended: false, open: None, next: 0, calls: 0 }
    }

    fn start(&mut self, line: &Line<'_>, json: &[u8], out: &mut Vec<Event>) {
        self.started = true;
        // How long things took is told at the end; of a stream of one line it is not known before.
        let mut extra = read_extra(json);
        extra.retain(|key, _| !key.ends_with("_duration"));
        out.push(Event::Start {
            id: String::new(),
            model: line.model.as_deref().unwrap_or_default().to_owned(),
            created: line.created_at.as_ref().and_then(|time| read_time(time.text()?)),
            extra: Extra::new(self.shape.name(), extra),
        });
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((part, _)) = self.open.take() {
            out.push(Event::PartEnd { choice: 0, part });
        }
    }

    fn begin(&mut self, start: PartStart, out: &mut Vec<Event>) -> u32 {
        self.close(out);
        let part = self.next;
        self.next += 1;
        out.push(Event::PartStart { choice: 0, part, start });
        part
    }

    fn grow(&mut self, kind: Kind, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let part = match self.open {
            Some((part, open)) if open == kind => part,
            _ => {
                let start = if kind == Kind::Text { PartStart::Text } else { PartStart::Reasoning };
                let part = self.begin(start, out);
                self.open = Some((part, kind));
                part
            }
        };
        out.push(Event::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) });
    }

    fn whole(&mut self, content: Part, out: &mut Vec<Event>) {
        let part = self.begin(PartStart::Whole { content: Box::new(content) }, out);
        out.push(Event::PartEnd { choice: 0, part });
    }

    /// What another dialect's maker needs to see again: of the thinking so far, or by itself.
    fn detail(&mut self, detail: &Detail<'_>, out: &mut Vec<Event>) {
        let Part { content, signature, .. } = detail.part();
        match (content, self.open) {
            (content @ Content::Reasoning { redacted: true, .. }, _) => {
                self.whole(Part { signature, ..content.into() }, out);
            }
            (Content::Reasoning { text, .. }, open) => {
                if !text.is_empty() || open.is_none_or(|(_, kind)| kind != Kind::Reasoning) {
                    let part = self.begin(PartStart::Reasoning, out);
                    self.open = Some((part, Kind::Reasoning));
                    self.grow(Kind::Reasoning, &text, out);
                }
                if let (Some((part, _)), Some(signature)) = (self.open, signature) {
                    out.push(Event::Delta { choice: 0, part, delta: Delta::Signature(signature) });
                }
                self.close(out);
            }
            _ => {}
        }
    }

    /// A call comes whole.
    fn call(&mut self, call: &Call<'_>, out: &mut Vec<Event>) -> Result<()> {
        if self.calls >= MOST {
            return Err(Error::malformed("the answer has too many tool calls"));
        }
        let Part { content, signature, .. } = read_call(call, self.calls);
        self.calls += 1;
        let Content::ToolCall { id, name, arguments } = content else { return Ok(()) };
        let part = self.begin(PartStart::ToolCall { id, name }, out);
        let mut grow = |delta| out.push(Event::Delta { choice: 0, part, delta });
        if !arguments.is_empty() {
            grow(Delta::Arguments(arguments));
        }
        if let Some(signature) = signature {
            grow(Delta::Signature(signature));
        }
        out.push(Event::PartEnd { choice: 0, part });
        Ok(())
    }
}

impl ReadStream for Reader {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let mut line = Line::read(frame.data)?;
        if !self.started {
            // A line that is none of an answer's says nothing.
            if line.message.is_none() && line.response.is_none() && line.done.is_none() {
                return Ok(());
            }
            self.start(&line, frame.data, out);
        }
        let said = line.said();
        self.grow(Kind::Reasoning, said.thinking.as_deref().unwrap_or_default(), out);
        for detail in said.thinking_details.iter().flatten() {
            self.detail(detail, out);
        }
        self.grow(Kind::Text, said.content.as_deref().unwrap_or_default(), out);
        for image in said.images.iter().flat_map(|images| &images.0) {
            self.whole(read_image(image).into(), out);
        }
        for call in said.tool_calls.iter().flat_map(|calls| &calls.0) {
            self.call(call, out)?;
        }
        let tokens = line.logprobs();
        if !tokens.is_empty() {
            out.push(Event::Logprobs { choice: 0, tokens });
        }
        if line.done == Some(true) {
            self.close(out);
            out.push(Event::Finish { choice: 0, finish: line.finish(self.calls > 0) });
            out.extend(line.usage().map(|usage| Event::Usage { usage }));
            out.push(Event::End);
            self.ended = true;
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.ended { Ok(()) } else { Err(Error::truncated("the answer stopped before its end")) }
    }
}
