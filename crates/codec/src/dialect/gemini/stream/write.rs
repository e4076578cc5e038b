//! Streams towards a caller: server-sent events or the elements of one JSON array, each a `GenerateContentResponse`.

use crate::dialect::gemini::error;
use crate::dialect::gemini::media::seal;
use crate::dialect::gemini::response::citation::{self, Ruler};
use crate::dialect::gemini::response::{or, usage, write_call, write_finish, write_logprobs, write_part};
use crate::dialect::gemini::text::{List, Object, put};
use crate::dialect::{Cx, Framing, WriteStream};
use crate::error::Error;
use crate::ir::{Citation, Content, Delta, Event, Finish, Part, PartStart, Signature, Source, TokenLogprob, Usage};

use super::partial::MOST_BYTES;

/// Writes one stream.
pub(crate) struct Writer {
    frame: Framer,
    request_id: String,
    id: String,
    model: String,
    answers: Vec<Answer>,
    /// Bytes of arguments that wait for their calls to be whole.
    held: usize,
    usage: Option<Usage>,
    /// The end was written, good or bad: nothing may follow.
    done: bool,
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
    Call(Call),
    /// A part that came whole waits for its signature.
    Whole(Part),
}

struct Call {
    id: String,
    name: String,
    arguments: String,
    signature: Option<Signature>,
}

const MOST_CITATIONS: usize = 1024;

/// Puts chunks into frames.
struct Framer {
    framing: Framing,
    /// Something was written.
    begun: bool,
    /// What follows the candidates in every chunk: the model and the id.
    tail: Vec<u8>,
}

impl Framer {
    /// Writes one frame.
    fn frame(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(match (self.framing, self.begun) {
            (Framing::Array, false) => b"[",
            (Framing::Array, true) => b",\n",
            _ => b"data: ",
        });
        self.begun = true;
        let start = out.len();
        write(out);
        if self.framing == Framing::Sse {
            // JSON that was taken over as it came may have line ends between its tokens; in an event each would end the line.
            let written = out.get_mut(start..).unwrap_or_default();
            if memchr::memchr2(b'\n', b'\r', written).is_some() {
                written.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
            }
            out.extend_from_slice(b"\n\n");
        }
    }

    /// Writes a chunk of one candidate, given what is in the list of its parts.
    fn parts(&mut self, choice: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let tail = std::mem::take(&mut self.tail);
        self.frame(out, |out| {
            out.extend_from_slice(b"{\"candidates\":[{\"content\":{\"parts\":[");
            write(out);
            out.extend_from_slice(b"],\"role\":\"model\"},\"index\":");
            out.extend_from_slice(itoa::Buffer::new().format(choice).as_bytes());
            out.extend_from_slice(b"}],");
            out.extend_from_slice(&tail);
            out.push(b'}');
        });
        self.tail = tail;
    }

    fn text(&mut self, choice: u32, text: &str, thought: bool, out: &mut Vec<u8>) {
        self.parts(choice, out, |out| {
            out.extend_from_slice(b"{\"text\":");
            put(out, text);
            out.extend_from_slice(if thought { b",\"thought\":true}" } else { b"}" });
        });
    }

    fn signature(&mut self, choice: u32, signature: &Signature, thought: bool, out: &mut Vec<u8>) {
        self.parts(choice, out, |out| {
            let mut part = Object::new(out);
            part.put("text", "");
            if thought {
                part.put("thought", &true);
            }
            part.put("thoughtSignature", &seal(signature, false));
            part.end();
        });
    }

    fn call(&mut self, choice: u32, call: &Call, out: &mut Vec<u8>) {
        self.parts(choice, out, |out| {
            let mut part = Object::new(out);
            write_call(&call.id, &call.name, &call.arguments, &mut part);
            part.put_some("thoughtSignature", &call.signature.as_ref().map(|signature| seal(signature, false)));
            part.end();
        });
    }

    /// Writes a whole part, unless gemini has no words for it.
    fn whole(&mut self, choice: u32, part: &Part, out: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        write_part(part, &mut List::new(&mut bytes));
        if let Some(elements) = bytes.get(1..).filter(|elements| !elements.is_empty()) {
            self.parts(choice, out, |out| out.extend_from_slice(elements));
        }
    }

    fn logprobs(&mut self, choice: u32, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        let tail = std::mem::take(&mut self.tail);
        self.frame(out, |out| {
            let mut body = Object::new(out);
            let mut candidates = body.list("candidates");
            let mut candidate = candidates.object();
            candidate.put("index", &choice);
            write_logprobs(tokens, &mut candidate);
            candidate.end();
            candidates.end();
            out.push(b',');
            out.extend_from_slice(&tail);
            out.push(b'}');
        });
        self.tail = tail;
    }
}

impl Writer {
    /// For one stream.
    pub(crate) fn new(cx: &Cx) -> Self {
        let frame = Framer { framing: cx.framing, begun: false, tail: Vec::new() };
        let mut writer = Writer {
            frame,
            request_id: cx.request_id.clone(),
            id: cx.id.clone(),
            model: cx.model.clone(),
            answers: Vec::new(),
            held: 0,
            usage: None,
            done: false,
        };
        writer.begin("", "");
        writer
    }

    /// The answer's own id and model count more than the ones that we were given.
    fn begin(&mut self, id: &str, model: &str) {
        self.id = or(id, &self.id).to_owned();
        self.model = or(model, &self.model).to_owned();
        let tail = &mut self.frame.tail;
        tail.clear();
        tail.extend_from_slice(b"\"modelVersion\":");
        put(tail, &self.model);
        tail.extend_from_slice(b",\"responseId\":");
        put(tail, &self.id);
    }

    fn answer(&mut self, index: u32) -> Option<&mut Answer> {
        if !self.answers.iter().any(|answer| answer.index == index) {
            self.answers.push(Answer { index, ..Answer::default() });
        }
        self.answers.iter_mut().find(|answer| answer.index == index)
    }

    fn start(&mut self, choice: u32, part: u32, start: &PartStart) {
        let open = match start {
            PartStart::Text | PartStart::Refusal => Open::Text,
            PartStart::Reasoning => Open::Reasoning,
            PartStart::ToolCall { id, name } => {
                Open::Call(Call { id: id.clone(), name: name.clone(), arguments: String::new(), signature: None })
            }
            PartStart::Audio { media_type, .. } => Open::Audio(media_type.clone()),
            PartStart::Whole { content } => Open::Whole(Part::clone(content)),
        };
        if let Some(answer) = self.answer(choice) {
            answer.open.push((part, open));
        }
    }

    fn delta(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(answer) = self.answers.iter_mut().find(|answer| answer.index == choice) else { return };
        let Some((_, open)) = answer.open.iter_mut().find(|(number, _)| *number == part) else { return };
        match (delta, open) {
            (Delta::Text(text), Open::Reasoning) => self.frame.text(choice, text, true, out),
            (Delta::Text(text), _) => {
                answer.ruler.add(text);
                self.frame.text(choice, text, false, out);
            }
            (Delta::Arguments(more), Open::Call(call)) => {
                self.held += more.len();
                if self.held > MOST_BYTES {
                    return self.fail(&Error::malformed("the arguments of the open calls are longer than 16 MiB"), out);
                }
                call.arguments.push_str(more);
            }
            (Delta::Signature(signature), Open::Call(call)) => call.signature = Some(signature.clone()),
            (Delta::Signature(signature), Open::Whole(part)) => part.signature = Some(signature.clone()),
            (Delta::Signature(signature), open) => {
                self.frame.signature(choice, signature, matches!(open, Open::Reasoning), out);
            }
            (Delta::Citation(citation), _) if answer.citations.len() < MOST_CITATIONS => {
                answer.citations.push(citation.clone());
            }
            (Delta::Audio(data), Open::Audio(media_type)) => {
                let source = Source::Base64 { media_type: media_type.clone(), data: data.clone() };
                self.frame.whole(choice, &Content::Audio { source, transcript: None, id: None }.into(), out);
            }
            (Delta::Transcript(text), _) => self.frame.text(choice, text, false, out),
            _ => {}
        }
    }

    fn end_part(&mut self, choice: u32, part: u32, out: &mut Vec<u8>) {
        let Some(answer) = self.answers.iter_mut().find(|answer| answer.index == choice) else { return };
        let Some(at) = answer.open.iter().position(|(number, _)| *number == part) else { return };
        match answer.open.swap_remove(at).1 {
            Open::Call(call) => {
                self.held = self.held.saturating_sub(call.arguments.len());
                self.frame.call(choice, &call, out);
            }
            Open::Whole(part) => self.frame.whole(choice, &part, out),
            Open::Text | Open::Reasoning | Open::Audio(_) => {}
        }
    }

    /// The last chunk of an answer: its reason and its sources, and with the last answer the usage.
    fn last(&mut self, answer: Option<&Answer>, usage: Option<Usage>, out: &mut Vec<u8>) {
        let (model, id) = (&self.model, &self.id);
        self.frame.frame(out, |out| {
            let mut body = Object::new(out);
            if let Some(answer) = answer {
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
            }
            if let Some(usage) = usage {
                usage::write(&usage, &mut body);
            }
            body.put("modelVersion", model);
            body.put("responseId", id);
            body.end();
        });
    }
}

impl WriteStream for Writer {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.done {
            return;
        }
        match event {
            Event::Start { id, model, .. } => self.begin(id, model),
            Event::PartStart { choice, part, start } => self.start(*choice, *part, start),
            Event::Delta { choice, part, delta } => self.delta(*choice, *part, delta, out),
            Event::PartEnd { choice, part } => self.end_part(*choice, *part, out),
            Event::Logprobs { choice, tokens } => self.frame.logprobs(*choice, tokens, out),
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
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let answers = std::mem::take(&mut self.answers);
        let usage = self.usage.take();
        if let (true, Some(usage)) = (answers.is_empty(), usage) {
            self.last(None, Some(usage), out);
        }
        for (answer, left) in answers.iter().zip((0..answers.len()).rev()) {
            self.last(Some(answer), usage.filter(|_| left == 0), out);
        }
        if self.frame.framing == Framing::Array {
            out.extend_from_slice(if self.frame.begun { b"]" } else { b"[]" });
        }
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let body = error::write(error, &self.request_id);
        self.frame.frame(out, |out| out.extend_from_slice(&body));
        if self.frame.framing == Framing::Array {
            out.push(b']');
        }
    }
}

/// The error that ends a stream which was forwarded as it came: for an array, as the element after the last whole one.
pub(crate) fn write_error(error: &Error, cx: &Cx) -> Vec<u8> {
    let body = error::write(error, &cx.request_id);
    let (before, after): (&[u8], &[u8]) = match cx.framing {
        Framing::Array => (b",\n", b"\n]"),
        _ => (b"data: ", b"\n\n"),
    };
    [before, &body, after].concat()
}
