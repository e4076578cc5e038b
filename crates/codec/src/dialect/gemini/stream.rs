//! Streams towards a caller: server-sent events or the elements of one JSON array, each a `GenerateContentResponse`.

use crate::dialect::{Cx, Framing, WriteStream};
use crate::error::Error;
use crate::ir::{Citation, Content, Delta, Event, Finish, Part, PartStart, Signature, Source, Usage};

use super::citation::{self, Ruler};
use super::error;
use super::media::seal;
use super::partial::MOST_BYTES;
use super::response::{or, write_call, write_finish, write_logprobs, write_part};
use super::text::{List, Object, put};
use super::usage;

/// Writes one stream.
pub(super) struct Writer {
    framing: Framing,
    request_id: String,
    id: String,
    model: String,
    /// What follows the candidates in every chunk, without the closing brace: model and id.
    tail: Vec<u8>,
    /// Something was written.
    begun: bool,
    /// An error was written: nothing may follow.
    dead: bool,
    answers: Vec<Answer>,
    usage: Option<Usage>,
}

/// What is known of one answer.
#[derive(Default)]
struct Answer {
    index: u32,
    open: Vec<(u32, Open)>,
    finish: Option<Finish>,
    ruler: Ruler,
    citations: Vec<Citation>,
}

/// A part that is open.
enum Open {
    Text,
    Reasoning,
    /// Sound of this type.
    Audio(String),
    /// A call waits until its arguments are whole.
    Call {
        id: String,
        name: String,
        arguments: String,
        signature: Option<Signature>,
    },
    /// Was written when it began, save for a signature.
    Whole,
}

const MOST_CITATIONS: usize = 1024;

impl Writer {
    /// For one stream.
    pub(super) fn new(cx: &Cx) -> Self {
        let mut writer = Writer {
            framing: cx.framing,
            request_id: cx.request_id.clone(),
            id: cx.id.clone(),
            model: cx.model.clone(),
            tail: Vec::new(),
            begun: false,
            dead: false,
            answers: Vec::new(),
            usage: None,
        };
        writer.prepare();
        writer
    }

    fn prepare(&mut self) {
        self.tail = b"\"modelVersion\":".to_vec();
        put(&mut self.tail, &self.model);
        self.tail.extend_from_slice(b",\"responseId\":");
        put(&mut self.tail, &self.id);
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.framing, self.begun) {
            (Framing::Sse, _) => b"data: ",
            (Framing::Array, false) => b"[",
            (Framing::Array, true) => b",\n",
        });
        self.begun = true;
    }

    fn close(&self, out: &mut Vec<u8>) {
        if self.framing == Framing::Sse {
            out.extend_from_slice(b"\n\n");
        }
    }

    /// One chunk with these bytes as the parts' elements.
    fn chunk(&mut self, choice: u32, parts: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        self.open(out);
        out.extend_from_slice(b"{\"candidates\":[{\"content\":{\"parts\":[");
        parts(out);
        out.extend_from_slice(b"],\"role\":\"model\"},\"index\":");
        out.extend_from_slice(itoa::Buffer::new().format(choice).as_bytes());
        out.extend_from_slice(b"}],");
        out.extend_from_slice(&self.tail);
        out.push(b'}');
        self.close(out);
    }

    fn text(&mut self, choice: u32, text: &str, thought: bool, out: &mut Vec<u8>) {
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"{\"text\":");
            put(out, text);
            out.extend_from_slice(if thought { b",\"thought\":true}" } else { b"}" });
        };
        self.chunk(choice, write, out);
    }

    fn whole(&mut self, choice: u32, part: &Part, out: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        let mut list = List::new(&mut bytes);
        write_part(part, &mut list);
        if !list.is_empty() {
            let elements = bytes.get(1..).unwrap_or_default().to_vec();
            self.chunk(choice, |out| out.extend_from_slice(&elements), out);
        }
    }

    fn answer(&mut self, index: u32) -> Option<&mut Answer> {
        if !self.answers.iter().any(|answer| answer.index == index) {
            self.answers.push(Answer { index, ..Answer::default() });
        }
        self.answers.iter_mut().find(|answer| answer.index == index)
    }

    fn start(&mut self, choice: u32, part: u32, start: &PartStart, out: &mut Vec<u8>) {
        let open = match start {
            PartStart::Text | PartStart::Refusal => Open::Text,
            PartStart::Reasoning => Open::Reasoning,
            PartStart::ToolCall { id, name } => {
                Open::Call { id: id.clone(), name: name.clone(), arguments: String::new(), signature: None }
            }
            PartStart::Audio { media_type, .. } => Open::Audio(media_type.clone()),
            PartStart::Whole { content } => {
                self.whole(choice, content, out);
                Open::Whole
            }
        };
        if let Some(answer) = self.answer(choice) {
            answer.open.push((part, open));
        }
    }

    fn delta(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(answer) = self.answer(choice) else { return };
        let Some(at) = answer.open.iter().position(|(number, _)| *number == part) else { return };
        let Some((_, open)) = answer.open.get_mut(at) else { return };
        match (delta, open) {
            (Delta::Text(text), Open::Reasoning) => self.text(choice, text, true, out),
            (Delta::Text(text), _) => {
                answer.ruler.add(text);
                self.text(choice, text, false, out);
            }
            (Delta::Arguments(more), Open::Call { arguments, .. }) => {
                if arguments.len() + more.len() > MOST_BYTES {
                    return self.fail(&Error::malformed("the arguments of a call are longer than 16 MiB"), out);
                }
                arguments.push_str(more);
            }
            (Delta::Signature(new), Open::Call { signature, .. }) => *signature = Some(new.clone()),
            (Delta::Signature(signature), open) => {
                let thought = matches!(open, Open::Reasoning);
                self.signature(choice, signature, thought, out);
            }
            (Delta::Citation(citation), _) if answer.citations.len() < MOST_CITATIONS => answer.citations.push(citation.clone()),
            (Delta::Audio(data), Open::Audio(media_type)) => {
                let source = Source::Base64 { media_type: media_type.clone(), data: data.clone() };
                self.whole(choice, &Content::Audio { source, transcript: None, id: None }.into(), out);
            }
            (Delta::Transcript(text), _) => self.text(choice, text, false, out),
            _ => {}
        }
    }

    fn signature(&mut self, choice: u32, signature: &Signature, thought: bool, out: &mut Vec<u8>) {
        let write = |out: &mut Vec<u8>| {
            let mut part = Object::new(out);
            part.put("text", "");
            if thought {
                part.put("thought", &true);
            }
            part.put("thoughtSignature", &seal(signature, false));
            part.end();
        };
        self.chunk(choice, write, out);
    }

    fn end_part(&mut self, choice: u32, part: u32, out: &mut Vec<u8>) {
        let Some(answer) = self.answer(choice) else { return };
        let Some(at) = answer.open.iter().position(|(number, _)| *number == part) else { return };
        if let (_, Open::Call { id, name, arguments, signature }) = answer.open.swap_remove(at) {
            let write = |out: &mut Vec<u8>| {
                let mut object = Object::new(out);
                write_call(&id, &name, &arguments, &mut object);
                object.put_some("thoughtSignature", &signature.map(|signature| seal(&signature, false)));
                object.end();
            };
            self.chunk(choice, write, out);
        }
    }

    /// The last chunk of an answer: its reason, its sources, and with the last answer the usage.
    fn last(&mut self, answer: &Answer, usage: Option<Usage>, out: &mut Vec<u8>) {
        self.open(out);
        let mut body = Object::new(out);
        let mut candidates = body.list("candidates");
        let mut candidate = candidates.object();
        let mut content = candidate.object("content");
        content.key("parts").extend_from_slice(b"[{\"text\":\"\"}]");
        content.put("role", "model");
        content.end();
        if let Some(finish) = &answer.finish {
            write_finish(finish, &mut candidate);
        }
        candidate.put("index", &answer.index);
        let citations: Vec<&Citation> = answer.citations.iter().collect();
        citation::write(&citations, &answer.ruler, &mut candidate);
        candidate.end();
        candidates.end();
        if let Some(usage) = usage {
            usage::write(&usage, &mut body);
        }
        body.put("modelVersion", &self.model);
        body.put("responseId", &self.id);
        body.end();
        self.close(out);
    }
}

impl WriteStream for Writer {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.dead {
            return;
        }
        match event {
            Event::Start { id, model, .. } => {
                self.id = or(id, &self.id).to_owned();
                self.model = or(model, &self.model).to_owned();
                self.prepare();
            }
            Event::PartStart { choice, part, start } => self.start(*choice, *part, start, out),
            Event::Delta { choice, part, delta } => self.delta(*choice, *part, delta, out),
            Event::PartEnd { choice, part } => self.end_part(*choice, *part, out),
            Event::Logprobs { choice, tokens } => {
                self.open(out);
                out.extend_from_slice(b"{\"candidates\":[");
                let mut candidate = Object::new(out);
                candidate.put("index", choice);
                write_logprobs(tokens, &mut candidate);
                candidate.end();
                out.extend_from_slice(b"],");
                out.extend_from_slice(&self.tail);
                out.push(b'}');
                self.close(out);
            }
            Event::Finish { choice, finish } => {
                if let Some(answer) = self.answer(*choice) {
                    answer.finish = Some(finish.clone());
                }
            }
            Event::Usage { usage } => self.usage = Some(*usage),
            Event::Foreign { .. } | Event::End => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.dead {
            return;
        }
        let answers = std::mem::take(&mut self.answers);
        let mut left = answers.len();
        for answer in &answers {
            left -= 1;
            let usage = self.usage.filter(|_| left == 0);
            self.last(answer, usage, out);
        }
        if self.framing == Framing::Array {
            out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
        self.dead = true;
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        if self.dead {
            return;
        }
        self.open(out);
        out.extend_from_slice(&error::write(error, &self.request_id));
        self.close(out);
        if self.framing == Framing::Array {
            out.push(b']');
        }
        self.dead = true;
    }
}

/// The error that ends a stream which was forwarded as it came: for an array, as the element after the last whole one.
pub(super) fn write_error(error: &Error, cx: &Cx) -> Vec<u8> {
    let body = error::write(error, &cx.request_id);
    let (before, after): (&[u8], &[u8]) = match cx.framing {
        Framing::Sse => (b"data: ", b"\n\n"),
        Framing::Array => (b",\n", b"\n]"),
    };
    [before, &body, after].concat()
}
