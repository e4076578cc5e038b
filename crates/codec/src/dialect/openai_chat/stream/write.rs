//! Events to frames.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::NAME;
use super::super::error::write_error_frame;
use super::super::free_text::{Unwrap, unwrap_input};
use super::super::response::{DataUrl, LogprobsOut, UsageOut, citation_out, write_finish};
use crate::dialect::{Asked, Cx, WriteStream};
use crate::error::Error;
use crate::ir::{Content, Delta, Event, Finish, Part, PartStart, Signature, TokenLogprob, Usage};

/// Writes one stream.
pub(crate) struct Writer {
    id: String,
    created: u64,
    model: String,
    /// `system_fingerprint` and `service_tier`, where the provider told them.
    fingerprint: Value,
    tier: Value,
    /// Whether the caller asked for usage.
    stream_usage: bool,
    /// What every chunk begins with, up to the list of choices.
    head: Vec<u8>,
    /// What every chunk but the last ends with.
    tail: &'static [u8],
    usage: Option<Usage>,
    choices: Vec<Told>,
    asked: Option<Arc<Asked>>,
}

/// What a choice has been told so far.
#[derive(Default)]
struct Told {
    index: u32,
    calls: u32,
    details: usize,
    refused: bool,
    parts: Vec<Growing>,
}

/// A part that grows, and how its deltas are written.
struct Growing {
    part: u32,
    kind: Kind,
    /// Whether a delta of it was written.
    grown: bool,
    /// Of a call of a tool that takes free text.
    unwrap: Option<Unwrap>,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Refusal,
    /// With its place among the reasoning details.
    Reasoning(usize),
    /// With its place among the tool calls.
    Call(u32),
    Audio,
    Encrypted(usize),
    Other,
}

impl Writer {
    pub(crate) fn new(cx: &Cx) -> Self {
        let mut writer = Writer {
            id: format!("chatcmpl-{}", cx.id),
            created: cx.created,
            model: cx.model.clone(),
            fingerprint: Value::Null,
            tier: Value::Null,
            stream_usage: cx.stream_usage,
            head: Vec::new(),
            tail: if cx.stream_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" },
            usage: None,
            choices: Vec::new(),
            asked: cx.asked.clone(),
        };
        writer.set_head();
        writer
    }

    /// Whether a call is one of a tool that takes free text.
    fn is_custom(&self, tool: &str) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.is_custom(tool))
    }

    fn set_head(&mut self) {
        self.head.clear();
        self.head.extend_from_slice(b"data: {\"id\":");
        put(&mut self.head, &self.id);
        self.head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        put(&mut self.head, &self.created);
        self.head.extend_from_slice(b",\"model\":");
        put(&mut self.head, &self.model);
        self.head.extend_from_slice(b",\"system_fingerprint\":");
        put(&mut self.head, &self.fingerprint);
        if !self.tier.is_null() {
            self.head.extend_from_slice(b",\"service_tier\":");
            put(&mut self.head, &self.tier);
        }
        self.head.extend_from_slice(b",\"choices\":[");
    }

    /// One chunk of one choice; `delta` writes the members of its delta.
    fn chunk(&self, choice: u32, out: &mut Vec<u8>, delta: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":");
        put(out, &choice);
        out.extend_from_slice(b",\"delta\":{");
        delta(out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":null}");
        out.extend_from_slice(self.tail);
    }

    /// One chunk whose delta is one member.
    fn member(&self, choice: u32, key: &'static str, value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
        self.chunk(choice, out, |out| {
            put(out, key);
            out.push(b':');
            put(out, value);
        });
    }

    /// The choice's state; its first mention tells the role.
    fn told(&mut self, choice: u32, out: &mut Vec<u8>) -> Option<&mut Told> {
        let at = match self.choices.iter().position(|told| told.index == choice) {
            Some(at) => at,
            None => {
                self.chunk(choice, out, |out| {
                    out.extend_from_slice(b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
                });
                self.choices.push(Told { index: choice, ..Told::default() });
                self.choices.len() - 1
            }
        };
        self.choices.get_mut(at)
    }

    fn start(&mut self, choice: u32, part: u32, start: &PartStart, out: &mut Vec<u8>) {
        let is_custom = matches!(start, PartStart::ToolCall { name, .. } if self.is_custom(name));
        let Some(told) = self.told(choice, out) else { return };
        let kind = match start {
            PartStart::Text => Kind::Text,
            PartStart::Refusal => {
                told.refused = true;
                Kind::Refusal
            }
            PartStart::Reasoning => {
                told.details += 1;
                Kind::Reasoning(told.details - 1)
            }
            PartStart::ToolCall { .. } => {
                told.calls += 1;
                Kind::Call(told.calls - 1)
            }
            PartStart::Audio { .. } => Kind::Audio,
            PartStart::Whole { content } => match &content.content {
                Content::Reasoning { redacted: true, .. } => {
                    told.details += 1;
                    Kind::Encrypted(told.details - 1)
                }
                _ => Kind::Other,
            },
        };
        let unwrap = is_custom.then(Unwrap::default);
        told.parts.push(Growing { part, kind, grown: false, unwrap });
        match (kind, start) {
            (Kind::Call(index), PartStart::ToolCall { id, name }) => self.call(choice, index, (id, name, ""), out),
            (Kind::Audio, PartStart::Audio { id, .. }) => {
                self.member(choice, "audio", &json!({ "id": id.as_deref().unwrap_or_default() }), out);
            }
            (_, PartStart::Whole { content }) => self.whole(choice, part, content, out),
            _ => {}
        }
    }

    /// Begins a call; of one of a tool that takes free text, the arguments are that text.
    fn call(&self, choice: u32, index: u32, (id, name, arguments): (&str, &str, &str), out: &mut Vec<u8>) {
        let call = if self.is_custom(name) {
            json!([{ "index": index, "id": id, "type": "custom", "custom": { "name": name, "input": arguments } }])
        } else {
            json!([{ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }])
        };
        self.member(choice, "tool_calls", &call, out);
    }

    /// A part that comes whole.
    fn whole(&mut self, choice: u32, part: u32, whole: &Part, out: &mut Vec<u8>) {
        let text = match &whole.content {
            Content::Image { source, .. } => {
                if let Some(url) = DataUrl::new(source) {
                    let image = json!([{ "type": "image_url", "image_url": { "url": url } }]);
                    self.member(choice, "images", &image, out);
                }
                return;
            }
            Content::Reasoning { redacted: true, .. } => {
                if let Some(signature) = &whole.signature {
                    self.sign(choice, part, signature, out);
                }
                return;
            }
            Content::Foreign { from, value } if *from == NAME && value.get().contains("\"reasoning.") => {
                self.member(choice, "reasoning_details", &[value.value()], out);
                return;
            }
            Content::ToolCall { id, name, arguments } => {
                let Some(told) = self.told(choice, out) else { return };
                told.calls += 1;
                let index = told.calls - 1;
                if self.is_custom(name) {
                    return self.call(choice, index, (id, name, &unwrap_input(arguments)), out);
                }
                let arguments = if arguments.is_empty() { "{}" } else { arguments };
                return self.call(choice, index, (id, name, arguments), out);
            }
            Content::Text { text, .. } => ("content", text),
            Content::Reasoning { text, .. } => ("reasoning_content", text),
            Content::Refusal { text } => ("refusal", text),
            _ => return,
        };
        self.member(choice, text.0, text.1, out);
    }

    fn grow(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(told) = self.choices.iter_mut().find(|told| told.index == choice) else { return };
        let Some(grown) = told.parts.iter_mut().rfind(|told| told.part == part) else { return };
        let kind = grown.kind;
        match delta {
            Delta::Text(text) => match kind {
                Kind::Text => self.member(choice, "content", text, out),
                Kind::Refusal => self.member(choice, "refusal", text, out),
                Kind::Reasoning(index) => self.reasoning(choice, index, text, out),
                _ => {}
            },
            Delta::Arguments(text) => {
                grown.grown |= !text.is_empty();
                let input = grown.unwrap.as_mut().map(|unwrap| unwrap.push(text));
                match (kind, input) {
                    (Kind::Call(index), Some(input)) => self.input(choice, index, &input, out),
                    (Kind::Call(index), None) => self.arguments(choice, index, text, out),
                    _ => {}
                }
            }
            Delta::Signature(signature) => self.sign(choice, part, signature, out),
            Delta::Citation(citation) => {
                if let Some(citation) = citation_out(citation) {
                    self.member(choice, "annotations", &[citation], out);
                }
            }
            Delta::Audio(data) => self.member(choice, "audio", &json!({ "data": data }), out),
            Delta::Transcript(text) => self.member(choice, "audio", &json!({ "transcript": text }), out),
        }
    }

    /// Thinking goes out twice: for those who show it, and for those who send it back.
    fn reasoning(&self, choice: u32, index: usize, text: &str, out: &mut Vec<u8>) {
        self.chunk(choice, out, |out| {
            out.extend_from_slice(b"\"reasoning_content\":");
            put(out, text);
            out.extend_from_slice(b",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":");
            put(out, text);
            out.extend_from_slice(b",\"index\":");
            put(out, &index);
            out.extend_from_slice(b"}]");
        });
    }

    fn arguments(&self, choice: u32, index: u32, text: &str, out: &mut Vec<u8>) {
        self.chunk(choice, out, |out| {
            out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
            put(out, &index);
            out.extend_from_slice(b",\"function\":{\"arguments\":");
            put(out, text);
            out.extend_from_slice(b"}}]");
        });
    }

    /// More of the free text of a call.
    fn input(&self, choice: u32, index: u32, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.member(choice, "tool_calls", &json!([{ "index": index, "custom": { "input": text } }]), out);
        }
    }

    fn sign(&self, choice: u32, part: u32, signature: &Signature, out: &mut Vec<u8>) {
        let told = self.choices.iter().find(|told| told.index == choice);
        let kind = told.and_then(|told| told.parts.iter().rfind(|told| told.part == part)).map(|told| told.kind);
        let sealed = signature.sealed(NAME);
        let detail = match kind {
            Some(Kind::Reasoning(index)) => {
                json!([{ "type": "reasoning.text", "signature": sealed, "index": index }])
            }
            Some(Kind::Encrypted(index)) => json!([{ "type": "reasoning.encrypted", "data": sealed, "index": index }]),
            Some(Kind::Call(index)) => {
                let extra = json!({ "trunkline": { "signature": sealed } });
                let call = json!([{ "index": index, "extra_content": extra }]);
                return self.member(choice, "tool_calls", &call, out);
            }
            _ => return,
        };
        self.member(choice, "reasoning_details", &detail, out);
    }

    fn end(&mut self, choice: u32, part: u32, out: &mut Vec<u8>) {
        let Some(told) = self.choices.iter_mut().find(|told| told.index == choice) else { return };
        let Some(at) = told.parts.iter().rposition(|told| told.part == part) else { return };
        let told = told.parts.swap_remove(at);
        match (told.kind, told.unwrap) {
            (Kind::Call(index), Some(unwrap)) => self.input(choice, index, &unwrap.finish(), out),
            // Clients parse the arguments, and nothing is no JSON.
            (Kind::Call(index), None) if !told.grown => self.arguments(choice, index, "{}", out),
            _ => {}
        }
    }

    fn logprobs(&mut self, choice: u32, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        if self.told(choice, out).is_none() {
            return;
        }
        out.extend_from_slice(&self.head);
        put(out, &json!({ "index": choice, "delta": {}, "logprobs": LogprobsOut::new(tokens), "finish_reason": Value::Null }));
        out.extend_from_slice(self.tail);
    }

    fn finish_choice(&mut self, choice: u32, finish: &Finish, out: &mut Vec<u8>) {
        let refused = self.told(choice, out).is_some_and(|told| told.refused);
        let word = write_finish(finish, refused);
        let mut last = json!({ "index": choice, "delta": {}, "logprobs": Value::Null, "finish_reason": word });
        if let Some(object) = last.as_object_mut() {
            object.extend(finish.detail.as_ref().map(|word| ("native_finish_reason".to_owned(), word.as_str().into())));
            object.extend(finish.stop_sequence.as_ref().map(|stop| ("stop_reason".to_owned(), stop.as_str().into())));
        }
        out.extend_from_slice(&self.head);
        put(out, &last);
        out.extend_from_slice(self.tail);
    }
}

impl WriteStream for Writer {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created, extra } => {
                let own = |key: &str| extra.of(NAME).and_then(|extra| extra.get(key)).cloned().unwrap_or_default();
                self.fingerprint = own("system_fingerprint");
                self.tier = own("service_tier");
                if !id.is_empty() {
                    id.clone_into(&mut self.id);
                }
                if !model.is_empty() {
                    model.clone_into(&mut self.model);
                }
                self.created = created.unwrap_or(self.created);
                self.set_head();
                self.told(0, out);
            }
            Event::PartStart { choice, part, start } => self.start(*choice, *part, start, out),
            Event::Delta { choice, part, delta } => self.grow(*choice, *part, delta, out),
            Event::PartEnd { choice, part } => self.end(*choice, *part, out),
            Event::Logprobs { choice, tokens } => self.logprobs(*choice, tokens, out),
            Event::Finish { choice, finish } => self.finish_choice(*choice, finish, out),
            Event::Usage { usage } => self.usage = Some(*usage),
            Event::Foreign { .. } | Event::End => {}
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
