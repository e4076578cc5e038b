//! Frames to events.

use super::super::citation::{self, Place};
use super::super::error::{give_up, read_within};
use super::super::wire::{Block, Delta as Wire, Said, Step, read_finish, read_logprobs, unreadable};
use crate::dialect::ReadStream;
use crate::dialect::openai_chat::response::made_up_id;
use crate::dialect::openai_chat::wire::{Call, Scalar};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::ir::{Content, Delta, Event, Extra, Part, PartStart, Reason};

/// More blocks or calls than this are an attack on our memory.
const MOST: usize = 1024;

/// Reads one stream.
#[derive(Default)]
pub(crate) struct Reader {
    started: bool,
    ended: bool,
    /// The part that grows, calls aside.
    open: Option<(u32, Kind)>,
    next: u32,
    /// Calls that grow: index on the wire and part.
    calls: Vec<(i64, u32)>,
    called: u32,
}

/// Parts that grow one at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Plan,
    Reasoning,
    /// A part that came whole, open for its signature.
    Redacted,
}

impl Reader {
    fn start(&mut self, id: Option<&Scalar<'_>>, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            let id = id.and_then(Scalar::word).unwrap_or_default();
            out.push(Event::Start { id, model: String::new(), created: None, extra: Extra::default() });
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((part, _)) = self.open.take() {
            out.push(Event::PartEnd { choice: 0, part });
        }
    }

    fn begin(&mut self, start: PartStart, out: &mut Vec<Event>) -> Result<u32> {
        if self.next as usize >= MOST {
            return Err(Error::malformed("the answer has too many parts"));
        }
        let part = self.next;
        self.next += 1;
        out.push(Event::PartStart { choice: 0, part, start });
        Ok(part)
    }

    /// The part of this kind that grows; another one ends for it.
    fn part(&mut self, kind: Kind, out: &mut Vec<Event>) -> Result<u32> {
        match self.open {
            Some((part, open)) if open == kind => Ok(part),
            _ => {
                self.close(out);
                let start = if kind == Kind::Reasoning { PartStart::Reasoning } else { PartStart::Text };
                let part = self.begin(start, out)?;
                self.open = Some((part, kind));
                Ok(part)
            }
        }
    }

    fn grow(&mut self, kind: Kind, text: &str, out: &mut Vec<Event>) -> Result<()> {
        if !text.is_empty() {
            let part = self.part(kind, out)?;
            out.push(Event::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) });
        }
        Ok(())
    }

    fn block(&mut self, block: &Block<'_>, out: &mut Vec<Event>) -> Result<()> {
        let kind = if block.is_thinking() { Kind::Reasoning } else { Kind::Text };
        if block.redacted {
            let hidden: Part = Content::Reasoning { text: String::new(), redacted: true }.into();
            self.close(out);
            let part = self.begin(PartStart::Whole { content: Box::new(hidden) }, out)?;
            self.open = Some((part, Kind::Redacted));
        } else {
            self.grow(kind, block.words(), out)?;
        }
        if let Some(signature) = block.signature() {
            let part = match self.open {
                Some((part, Kind::Redacted)) => part,
                _ => self.part(kind, out)?,
            };
            out.push(Event::Delta { choice: 0, part, delta: Delta::Signature(signature) });
        }
        Ok(())
    }

    fn call(&mut self, index: i64, call: &Call<'_>, begins: bool, out: &mut Vec<Event>) -> Result<()> {
        let known = self.calls.iter().find(|(known, _)| *known == index).map(|(_, part)| *part);
        let part = match known {
            Some(part) if !begins => part,
            _ => {
                self.close(out);
                self.calls.retain(|(known, _)| *known != index);
                out.extend(known.map(|part| Event::PartEnd { choice: 0, part }));
                let id = call.id().unwrap_or_else(|| made_up_id(0, self.called));
                self.called += 1;
                let part = self.begin(PartStart::ToolCall { id, name: call.name().to_owned() }, out)?;
                self.calls.push((index, part));
                part
            }
        };
        let arguments = call.arguments();
        if !arguments.is_empty() {
            out.push(Event::Delta { choice: 0, part, delta: Delta::Arguments(arguments) });
        }
        if let Some(signature) = call.signature() {
            out.push(Event::Delta { choice: 0, part, delta: Delta::Signature(signature) });
        }
        Ok(())
    }

    fn end_call(&mut self, index: i64, out: &mut Vec<Event>) {
        if let Some(at) = self.calls.iter().position(|(known, _)| *known == index) {
            let (_, part) = self.calls.swap_remove(at);
            out.push(Event::PartEnd { choice: 0, part });
        }
    }

    /// A source of the text so far, if that is still open: it mostly is, because nothing closes it but what comes next.
    fn cite(&self, said: &Said<'_>, out: &mut Vec<Event>) {
        let Some((part, Kind::Text | Kind::Plan)) = self.open else { return };
        let cited = citation::read(said.citations).filter(|(place, _)| *place != Place::Thinking);
        out.extend(cited.map(|(_, citation)| Event::Delta { choice: 0, part, delta: Delta::Citation(citation) }));
    }

    fn end(&mut self, delta: &Wire<'_>, json: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let word = delta.finish_reason.as_ref().and_then(Scalar::text).unwrap_or_default();
        let words = delta.error.as_ref().and_then(Scalar::text).filter(|words| !words.is_empty());
        let finish = read_finish(word, delta.native_finish_reason.as_ref(), self.called > 0);
        if delta.code.is_some() && words.is_some() {
            // Written by one of us, class and all.
            let inner = serde_json::from_slice::<serde_json::Value>(json).ok().and_then(|json| json.get("delta").cloned());
            return Err(read_within(inner.unwrap_or_default().to_string().as_bytes()).with_raw(json));
        }
        if words.is_some() || finish.reason == Reason::Failed && self.next == 0 {
            return Err(give_up(word, words).with_raw(json));
        }
        self.close(out);
        for (_, part) in std::mem::take(&mut self.calls) {
            out.push(Event::PartEnd { choice: 0, part });
        }
        out.push(Event::Finish { choice: 0, finish });
        out.extend(delta.usage.and_then(|usage| usage.usage()).map(|usage| Event::Usage { usage }));
        out.push(Event::End);
        self.ended = true;
        Ok(())
    }

    fn step(&mut self, kind: &str, step: &Step<'_>, json: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let nothing = Wire::default();
        let delta = step.delta.as_ref().unwrap_or(&nothing);
        let said = delta.message.as_ref();
        let blocks = || said.and_then(|said| said.content.as_ref()).into_iter().flat_map(|blocks| &blocks.0);
        let calls = || said.and_then(|said| said.tool_calls.as_ref()).into_iter().flat_map(|calls| &calls.0);
        let index = step.index.unwrap_or(0);
        match kind {
            "content-start" => {
                self.close(out);
                blocks().try_for_each(|block| self.block(block, out))?;
            }
            "content-delta" => {
                blocks().try_for_each(|block| self.block(block, out))?;
                let tokens = read_logprobs(step.logprobs);
                if !tokens.is_empty() {
                    out.push(Event::Logprobs { choice: 0, tokens });
                }
            }
            "tool-plan-delta" => {
                let plan = said.and_then(|said| said.tool_plan.as_deref()).unwrap_or_default();
                self.grow(Kind::Plan, plan, out)?;
            }
            "tool-call-start" => calls().try_for_each(|call| self.call(index, call, true, out))?,
            "tool-call-delta" => calls().try_for_each(|call| self.call(index, call, false, out))?,
            "tool-call-end" => self.end_call(index, out),
            "citation-start" => {
                if let Some(said) = said {
                    self.cite(said, out);
                }
            }
            "message-end" => self.end(delta, json, out)?,
            // `message-start`, ends of blocks and citations, `debug`, and whatever comes next year.
            _ => {}
        }
        Ok(())
    }
}

impl ReadStream for Reader {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim_ascii();
        if data.is_empty() || self.ended || data == b"[DONE]" {
            return Ok(());
        }
        let step: Step<'_> = serde_json::from_slice(data).map_err(|fault| unreadable(data, &fault))?;
        let kind = step.r#type.as_deref().or(frame.event).unwrap_or_default();
        if kind.is_empty() && step.message.is_some_and(|message| message.get().starts_with('"')) {
            return Err(read_within(data));
        }
        let known = ["message-", "content-", "tool-", "citation-"].iter().any(|start| kind.starts_with(start));
        if known {
            self.start(step.id.as_ref(), out);
        }
        self.step(kind, &step, data, out)
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.ended { Ok(()) } else { Err(Error::truncated("the answer stopped before its end")) }
    }
}
