//! Events to frames.

use serde::Serialize;
use serde_json::json;

use super::super::response::{UsageOut, logprob_out, write_finish};
use super::super::{NAME, citation, error};
use crate::dialect::{Cx, WriteStream};
use crate::error::Error;
use crate::ir::{Citation, Content, Delta, Event, Finish, Part, PartStart, Signature, TokenLogprob, Usage};

/// Longest text that is kept to quote from it in citations.
const MOST_BYTES: usize = 16 << 20;

/// Writes one stream.
pub(crate) struct Writer {
    id: String,
    started: bool,
    blocks: usize,
    calls: usize,
    citations: usize,
    /// Citations wait for the end of their block: some dialects tell them before the text that they quote.
    cited: Vec<(usize, Citation)>,
    open: Vec<(u32, Open)>,
    /// The text of the block that grows, which citations quote.
    text: String,
    finish: Finish,
    usage: Option<Usage>,
}

/// A part that is open, with its place on the wire.
#[derive(Clone, Copy)]
enum Open {
    Text(usize),
    Reasoning(usize),
    /// And whether arguments were told.
    Call(usize, bool),
    Other,
}

impl Writer {
    pub(crate) fn new(cx: &Cx) -> Self {
        Writer {
            id: cx.id.clone(),
            started: false,
            blocks: 0,
            calls: 0,
            citations: 0,
            cited: Vec::new(),
            open: Vec::new(),
            text: String::new(),
            finish: Finish::default(),
            usage: None,
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            let message = json!({ "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [] });
            let id = self.id.clone();
            frame("message-start", None, out, |out| {
                out.extend_from_slice(b",\"id\":");
                put(out, &id);
                delta_message(&message, out);
            });
        }
    }

    fn start(&mut self, part: u32, start: &PartStart, out: &mut Vec<u8>) {
        let open = match start {
            PartStart::Text | PartStart::Refusal | PartStart::Audio { .. } => self.block("text", None, false, out),
            PartStart::Reasoning => self.block("thinking", None, false, out),
            PartStart::ToolCall { id, name } => self.call(id, name, "", out),
            PartStart::Whole { content } => self.whole(content, out),
        };
        self.open.push((part, open));
    }

    fn block(&mut self, kind: &str, signature: Option<&Signature>, redacted: bool, out: &mut Vec<u8>) -> Open {
        let index = self.blocks;
        self.blocks += 1;
        self.text.clear();
        let mut block = json!({ "type": kind, kind: "" });
        if let Some(object) = block.as_object_mut() {
            object.extend(signature.map(|signature| ("signature".to_owned(), signature.sealed(NAME).into())));
            if redacted {
                object.insert("redacted".to_owned(), true.into());
            }
        }
        frame("content-start", Some(index), out, |out| delta_message(&json!({ "content": block }), out));
        if kind == "thinking" { Open::Reasoning(index) } else { Open::Text(index) }
    }

    fn call(&mut self, id: &str, name: &str, arguments: &str, out: &mut Vec<u8>) -> Open {
        let index = self.calls;
        self.calls += 1;
        let call = json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
        frame("tool-call-start", Some(index), out, |out| delta_message(&json!({ "tool_calls": call }), out));
        Open::Call(index, !arguments.is_empty())
    }

    /// A part that comes whole.
    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) -> Open {
        let signature = part.signature.as_ref();
        match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => {
                let open = self.block("text", None, false, out);
                self.grow(open, text, out);
                open
            }
            Content::Reasoning { text, redacted } => {
                let open = self.block("thinking", signature, *redacted, out);
                self.grow(open, text, out);
                open
            }
            Content::ToolCall { id, name, arguments } => {
                let open = self.call(id, name, arguments, out);
                if let Some(signature) = signature {
                    self.sign(open, signature, out);
                }
                open
            }
            _ => Open::Other,
        }
    }

    fn grow(&mut self, open: Open, text: &str, out: &mut Vec<u8>) {
        let (index, key): (usize, &[u8]) = match open {
            Open::Text(index) => (index, b",\"delta\":{\"message\":{\"content\":{\"text\":"),
            Open::Reasoning(index) => (index, b",\"delta\":{\"message\":{\"content\":{\"thinking\":"),
            _ => return,
        };
        if text.is_empty() {
            return;
        }
        if matches!(open, Open::Text(_)) && self.text.len() + text.len() <= MOST_BYTES {
            self.text.push_str(text);
        }
        frame("content-delta", Some(index), out, |out| {
            out.extend_from_slice(key);
            put(out, text);
            out.extend_from_slice(b"}}}");
        });
    }

    fn arguments(&self, index: usize, text: &str, out: &mut Vec<u8>) {
        frame("tool-call-delta", Some(index), out, |out| {
            out.extend_from_slice(b",\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":");
            put(out, text);
            out.extend_from_slice(b"}}}}");
        });
    }

    fn sign(&self, open: Open, signature: &Signature, out: &mut Vec<u8>) {
        let sealed = signature.sealed(NAME);
        match open {
            Open::Reasoning(index) => {
                let content = json!({ "content": { "thinking": "", "signature": sealed } });
                frame("content-delta", Some(index), out, |out| delta_message(&content, out));
            }
            Open::Call(index, _) => {
                let call = json!({ "tool_calls": { "extra_content": { "trunkline": { "signature": sealed } } } });
                frame("tool-call-delta", Some(index), out, |out| delta_message(&call, out));
            }
            Open::Text(_) | Open::Other => {}
        }
    }

    /// Tells the citations of a block.
    fn cite(&mut self, block: usize, out: &mut Vec<u8>) {
        let (told, rest) = std::mem::take(&mut self.cited).into_iter().partition(|(index, _)| *index == block);
        self.cited = rest;
        let told: Vec<(usize, Citation)> = told;
        for (_, cited) in told {
            let citation = citation::write(&cited, &self.text, block);
            let at = self.citations;
            self.citations += 1;
            frame("citation-start", Some(at), out, |out| delta_message(&json!({ "citations": citation }), out));
            frame("citation-end", Some(at), out, |_| {});
        }
    }

    fn take(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some((_, open)) = self.open.iter_mut().rfind(|(open, _)| *open == part) else { return };
        match (delta, *open) {
            (Delta::Text(text) | Delta::Transcript(text), kind) => self.grow(kind, text, out),
            (Delta::Arguments(text), Open::Call(index, _)) => {
                *open = Open::Call(index, true);
                self.arguments(index, text, out);
            }
            (Delta::Signature(signature), kind) => self.sign(kind, signature, out),
            (Delta::Citation(cited), Open::Text(index)) if self.cited.len() < citation::MOST => {
                self.cited.push((index, cited.clone()));
            }
            _ => {}
        }
    }

    fn end(&mut self, part: u32, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().rposition(|(open, _)| *open == part) else { return };
        let (_, open) = self.open.swap_remove(at);
        match open {
            Open::Text(index) | Open::Reasoning(index) => {
                self.cite(index, out);
                frame("content-end", Some(index), out, |_| {});
            }
            Open::Call(index, told) => {
                if !told {
                    // Clients parse the arguments, and nothing is no JSON.
                    self.arguments(index, "{}", out);
                }
                frame("tool-call-end", Some(index), out, |_| {});
            }
            Open::Other => {}
        }
    }

    /// Probabilities stand beside the text that they are of; here they follow it.
    fn logprobs(&self, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        for token in tokens {
            frame("content-delta", Some(self.blocks.saturating_sub(1)), out, |out| {
                delta_message(&json!({ "content": { "text": "" } }), out);
                out.extend_from_slice(b",\"logprobs\":");
                put(out, &logprob_out(token));
            });
        }
    }
}

impl WriteStream for Writer {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, .. } => {
                if !id.is_empty() {
                    id.clone_into(&mut self.id);
                }
                self.begin(out);
            }
            Event::Usage { usage } => self.usage = Some(*usage),
            // There is room for one answer.
            Event::PartStart { choice: 0, part, start } => self.start(*part, start, out),
            Event::Delta { choice: 0, part, delta } => self.take(*part, delta, out),
            Event::PartEnd { choice: 0, part } => self.end(*part, out),
            Event::Logprobs { choice: 0, tokens } => self.logprobs(tokens, out),
            Event::Finish { choice: 0, finish } => self.finish.clone_from(finish),
            _ => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Last<'a> {
            finish_reason: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            native_finish_reason: Option<&'a str>,
            usage: Option<UsageOut>,
        }
        self.begin(out);
        let usage = self.usage.as_ref().map(UsageOut::new);
        let (id, finish) = (&self.id, &self.finish);
        frame("message-end", None, out, |out| {
            out.extend_from_slice(b",\"id\":");
            put(out, id);
            out.extend_from_slice(b",\"delta\":");
            let (finish_reason, native_finish_reason) = (write_finish(finish), finish.detail.as_deref());
            put(out, &Last { finish_reason, native_finish_reason, usage });
        });
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::write_frame(error, &self.id));
    }
}

/// One frame; `more` writes members beside its type and index, each with a comma before it.
fn frame(kind: &str, index: Option<usize>, out: &mut Vec<u8>, more: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: {\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    if let Some(index) = index {
        out.extend_from_slice(b",\"index\":");
        out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
    }
    let start = out.len();
    more(out);
    // A citation that is passed on as it came may have line ends between its tokens; in an event each would end the line.
    for byte in out.get_mut(start..).unwrap_or_default() {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"}\n\n");
}

fn delta_message(message: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"delta\":{\"message\":");
    put(out, message);
    out.push(b'}');
}

/// Writing to memory does not fail.
fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(out, value);
}
