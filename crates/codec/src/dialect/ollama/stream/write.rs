//! Events to lines.

use serde::Serialize;

use super::super::error::write_line;
use super::super::request::CallOut;
use super::super::response::{CountsOut, DetailOut, write_finish, write_logprobs};
use super::super::{CHAT, Shape};
use crate::dialect::time::write_time;
use crate::dialect::{Cx, WriteStream};
use crate::error::Error;
use crate::ir::{Content, Delta, Event, Finish, Part, PartStart, Signature, Source, Usage};

/// The most bytes of arguments that are held back until their calls are whole.
const MOST_BYTES: usize = 16 << 20;

/// Writes one stream.
pub(crate) struct Writer {
    shape: Shape,
    created: u64,
    model: String,
    /// What every line begins with, up to what is said.
    head: Vec<u8>,
    open: Vec<(u32, Open)>,
    calls: usize,
    /// Bytes of arguments that wait.
    held: usize,
    finish: Finish,
    usage: Option<Usage>,
}

/// A part that is open.
enum Open {
    Text,
    Reasoning,
    Redacted,
    /// A call waits until its arguments are whole.
    Call {
        id: String,
        name: String,
        arguments: String,
        signature: Option<Signature>,
    },
    Other,
}

impl Writer {
    pub(crate) fn new(shape: Shape, cx: &Cx) -> Self {
        let mut writer = Writer {
            shape,
            created: cx.created,
            model: cx.model.clone(),
            head: Vec::new(),
            open: Vec::new(),
            calls: 0,
            held: 0,
            finish: Finish::default(),
            usage: None,
        };
        writer.set_head();
        writer
    }

    fn set_head(&mut self) {
        self.head.clear();
        self.head.extend_from_slice(b"{\"model\":");
        put(&mut self.head, &self.model);
        self.head.extend_from_slice(b",\"created_at\":");
        put(&mut self.head, &write_time(self.created));
        self.head.extend_from_slice(match self.shape {
            Shape::Chat => b",\"message\":{\"role\":\"assistant\",\"content\":",
            Shape::Generate => b",\"response\":",
        });
    }

    /// One line; `more` writes members beside the text, each with a comma before it.
    fn line(&self, text: &str, out: &mut Vec<u8>, more: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.head);
        put(out, text);
        let start = out.len();
        more(out);
        // Arguments are taken over as their model wrote them; a line end in them would end the line.
        for byte in out.get_mut(start..).unwrap_or_default() {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        out.extend_from_slice(if self.shape == Shape::Chat { b"},\"done\":false}\n" } else { b",\"done\":false}\n" });
    }

    /// One line without text.
    fn member(&self, key: &str, value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
        self.line("", out, |out| {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":");
            put(out, value);
        });
    }

    fn start(&mut self, part: u32, start: &PartStart, out: &mut Vec<u8>) {
        let open = match start {
            PartStart::Text | PartStart::Refusal => Open::Text,
            PartStart::Reasoning => Open::Reasoning,
            PartStart::ToolCall { id, name } => {
                Open::Call { id: id.clone(), name: name.clone(), arguments: String::new(), signature: None }
            }
            PartStart::Audio { .. } => Open::Text,
            PartStart::Whole { content } => self.whole(content, out),
        };
        self.open.push((part, open));
    }

    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) -> Open {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => self.line(text, out, |_| {}),
            Content::Image { source: Source::Base64 { data, .. }, .. } if self.shape == Shape::Chat => {
                self.member("images", &[data], out);
            }
            Content::Reasoning { text, redacted } => {
                if !text.is_empty() {
                    self.member("thinking", text, out);
                }
                if let Some(signature) = &part.signature {
                    self.sign(signature, *redacted, out);
                }
                return if *redacted { Open::Redacted } else { Open::Reasoning };
            }
            Content::ToolCall { id, name, arguments } => {
                self.call(id, name, arguments, part.signature.as_ref(), out);
            }
            _ => {}
        }
        Open::Other
    }

    fn call(&mut self, id: &str, name: &str, arguments: &str, signature: Option<&Signature>, out: &mut Vec<u8>) {
        if self.shape == Shape::Generate {
            return;
        }
        let sealed = signature.map(|signature| signature.sealed(CHAT));
        self.member("tool_calls", &[CallOut::new(self.calls, id, name, arguments).signed(sealed)], out);
        self.calls += 1;
    }

    fn sign(&self, signature: &Signature, redacted: bool, out: &mut Vec<u8>) {
        let detail = DetailOut { thinking: "", signature: Some(signature.sealed(CHAT)), redacted };
        self.member("thinking_details", &[detail], out);
    }

    fn grow(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().rposition(|(open, _)| *open == part) else { return };
        let Some((_, open)) = self.open.get_mut(at) else { return };
        match (delta, open) {
            (Delta::Text(text) | Delta::Transcript(text), Open::Text) => self.line(text, out, |_| {}),
            (Delta::Text(text), Open::Reasoning) => self.member("thinking", text, out),
            (Delta::Signature(signature), open @ (Open::Reasoning | Open::Redacted)) => {
                let redacted = matches!(open, Open::Redacted);
                self.sign(signature, redacted, out);
            }
            (Delta::Signature(new), Open::Call { signature, .. }) => *signature = Some(new.clone()),
            (Delta::Arguments(more), Open::Call { arguments, .. }) => {
                self.held += more.len();
                if self.held <= MOST_BYTES {
                    arguments.push_str(more);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, part: u32, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().rposition(|(open, _)| *open == part) else { return };
        if let (_, Open::Call { id, name, arguments, signature }) = self.open.swap_remove(at) {
            self.held = self.held.saturating_sub(arguments.len());
            self.call(&id, &name, &arguments, signature.as_ref(), out);
        }
    }
}

impl WriteStream for Writer {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { model, created, .. } => {
                if !model.is_empty() {
                    model.clone_into(&mut self.model);
                }
                self.created = created.unwrap_or(self.created);
                self.set_head();
            }
            Event::Usage { usage } => self.usage = Some(*usage),
            // There is room for one answer.
            Event::PartStart { choice: 0, part, start } => self.start(*part, start, out),
            Event::Delta { choice: 0, part, delta } => self.grow(*part, delta, out),
            Event::PartEnd { choice: 0, part } => self.end(*part, out),
            Event::Logprobs { choice: 0, tokens } => {
                let tokens = write_logprobs(tokens);
                out.extend_from_slice(&self.head);
                out.extend_from_slice(if self.shape == Shape::Chat { b"\"\"},\"logprobs\":" } else { b"\"\",\"logprobs\":" });
                put(out, &tokens);
                out.extend_from_slice(b",\"done\":false}\n");
            }
            Event::Finish { choice: 0, finish } => self.finish.clone_from(finish),
            _ => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Last<'a> {
            done: bool,
            done_reason: &'a str,
            #[serde(flatten)]
            counts: CountsOut,
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(if self.shape == Shape::Chat { b"\"\"}" } else { b"\"\"" });
        let last = Last { done: true, done_reason: write_finish(&self.finish), counts: CountsOut::new(self.usage, None) };
        let start = out.len();
        put(out, &last);
        // The object's own brace becomes the comma between what came and what it says.
        if let Some(brace) = out.get_mut(start) {
            *brace = b',';
        }
        out.push(b'\n');
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(&write_line(error));
    }
}

/// Writing to memory does not fail.
fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(out, value);
}
