//! A provider's stream: chunks of `GenerateContentResponse` to events.
//!
//! The stream has no terminator; it is whole when every candidate told its `finishReason` (or the prompt was blocked)
//! and the input ended. Because some servers tell the reason on every chunk, an answer is closed only then.

use crate::dialect::ReadStream;
use crate::error::{Error, Kind, Origin, Result};
use crate::frame::Frame;
use crate::ir::{Citation, Delta, Event, Finish, PartStart, Reason, TokenLogprob, TopLogprob, Usage};

use super::partial::Arguments;
use crate::dialect::gemini::error;
use crate::dialect::gemini::media::{self, unseal};
use crate::dialect::gemini::own_extra;
use crate::dialect::gemini::request::turn::{make_id, read_plain};
use crate::dialect::gemini::response::{citation, usage};
use crate::dialect::gemini::text::compact;
use crate::dialect::gemini::wire::{Call, Candidate, Chunk, LogprobsResult, Piece, TokenProbability, read_chunks, value};

/// Reads one stream.
#[derive(Default)]
pub(crate) struct Reader {
    started: bool,
    /// The response's id, part of the ids that are made up for calls.
    id: String,
    answers: Vec<Answer>,
    usage: Option<Usage>,
    blocked: Option<Finish>,
    /// A whole reply: an answer without a reason has ended all the same.
    whole: bool,
}

/// What is known of one candidate.
#[derive(Default)]
struct Answer {
    index: u32,
    /// The next part's number.
    next: u32,
    open: Open,
    calls: usize,
    finish: Option<Finish>,
    ruler: citation::Ruler,
    citations: citation::Reader,
}

/// The part that is open; its number is the last one given.
#[derive(Default)]
enum Open {
    #[default]
    None,
    Text,
    Reasoning,
    /// Sound of this type, and the bytes that did not fill a group of three.
    Audio(String, Vec<u8>),
    Call(Arguments),
}

impl ReadStream for Reader {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        if matches!(frame.data.trim_ascii(), b"" | b"[DONE]") {
            return Ok(());
        }
        let chunks = read_chunks(frame.data)
            .map_err(|error| Error::malformed(format!("a frame is no reply of gemini: {error}")).with_raw(frame.data))?;
        chunks.0.into_iter().try_for_each(|chunk| self.read(chunk, frame.data, out))
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<()> {
        let done = !self.answers.is_empty() && (self.whole || self.answers.iter().all(|answer| answer.finish.is_some()));
        if !done && self.blocked.is_none() {
            let words = match self.started {
                true => "the stream ended before its finishReason",
                false => "the reply is empty",
            };
            return Err(Error::truncated(words));
        }
        if let [Answer { next: 0, finish: Some(finish), .. }] = self.answers.as_slice()
            && finish.reason == Reason::Failed
        {
            return Err(gave_up(finish));
        }
        for answer in &mut self.answers {
            answer.close(out);
            let mut finish = answer.finish.take().or_else(|| self.blocked.clone()).unwrap_or_default();
            if finish.reason == Reason::Stop && answer.calls > 0 {
                finish.reason = Reason::ToolCalls;
            }
            out.push(Event::Finish { choice: answer.index, finish });
        }
        if let (true, Some(finish)) = (self.answers.is_empty(), self.blocked.take()) {
            out.push(Event::Finish { choice: 0, finish });
        }
        out.push(Event::End);
        Ok(())
    }
}

impl Reader {
    /// For a reply that came whole.
    pub(crate) fn whole() -> Self {
        Reader { whole: true, ..Reader::default() }
    }

    /// Reads one chunk; `raw` is what it came in.
    pub(crate) fn read(&mut self, chunk: Chunk<'_>, raw: &[u8], out: &mut Vec<Event>) -> Result<()> {
        if let Some(error) = chunk.error {
            return Err(error::read_inside(error.get().as_bytes(), raw));
        }
        if !self.started {
            self.started = true;
            self.id = chunk.id.as_deref().unwrap_or_default().to_owned();
            let extra = chunk.rest.into_iter().map(|(key, raw)| (key.into_owned(), value(raw))).collect();
            let model = chunk.model.map(|model| model.0.into_owned()).unwrap_or_default();
            out.push(Event::Start { id: self.id.clone(), model, created: None, extra: own_extra(extra) });
        }
        for candidate in chunk.candidates.into_iter().flat_map(|list| list.0) {
            self.read_candidate(candidate, out)?;
        }
        if let Some(feedback) = chunk.feedback
            && let Some(reason) = feedback.reason.filter(|reason| !reason.is_empty())
        {
            let detail = explain(&reason, feedback.message.as_deref());
            self.blocked = Some(Finish { reason: Reason::Filtered, stop_sequence: None, detail: Some(detail) });
        }
        if let Some(now) = chunk.usage.as_ref().map(usage::read).filter(|now| self.usage != Some(*now)) {
            self.usage = Some(now);
            out.push(Event::Usage { usage: now });
        }
        Ok(())
    }

    fn read_candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<Event>) -> Result<()> {
        let index = candidate.index.map_or(0, |index| index.0 as u32);
        let at = self.answers.iter().position(|answer| answer.index == index).unwrap_or_else(|| {
            self.answers.push(Answer { index, ..Answer::default() });
            self.answers.len() - 1
        });
        let Some(answer) = self.answers.get_mut(at) else { return Ok(()) };
        let pieces = candidate.content.and_then(|content| content.parts).into_iter().flat_map(|parts| parts.0);
        for piece in pieces {
            answer.read_piece(piece, &self.id, out)?;
        }
        let mut citations: Vec<Citation> = Vec::new();
        for source in candidate.citations.and_then(|metadata| metadata.sources).into_iter().flatten() {
            answer.citations.read_source(source, &answer.ruler, &mut citations);
        }
        if let Some(raw) = candidate.grounding {
            answer.citations.read_grounding(raw, &answer.ruler, &mut citations);
        }
        if !citations.is_empty() {
            answer.ensure(Open::Text, out);
            citations.into_iter().for_each(|citation| answer.delta(Delta::Citation(citation), out));
        }
        if let Some(tokens) = candidate.logprobs.map(read_logprobs).filter(|tokens| !tokens.is_empty()) {
            out.push(Event::Logprobs { choice: index, tokens });
        }
        if let Some(word) = candidate.finish.filter(|word| !word.is_empty() && **word != *"FINISH_REASON_UNSPECIFIED") {
            answer.finish = Some(read_finish(&word, candidate.message.as_deref()));
        }
        Ok(())
    }
}

impl Answer {
    fn read_piece(&mut self, piece: Piece<'_>, id: &str, out: &mut Vec<Event>) -> Result<()> {
        if let Some(call) = piece.call {
            return self.read_call(call, piece.signature.as_deref(), id, out);
        }
        let media = piece.blob.is_some() || piece.file.is_some();
        if !media && (piece.text.is_some() || piece.rest.is_empty()) {
            self.read_text(&piece, out);
            return Ok(());
        }
        let sound = |media_type: &str| media_type.starts_with("audio/");
        if let Some(blob) = piece.blob.as_ref().filter(|blob| blob.media_type.as_deref().is_some_and(sound)) {
            let media_type = blob.media_type.as_deref().unwrap_or_default();
            self.read_sound(media_type, blob.data.as_deref().unwrap_or_default(), out);
            if let Some(text) = &piece.signature {
                self.sign(text, out);
            }
            return Ok(());
        }
        self.close(out);
        let content = read_plain(piece);
        self.start(PartStart::Whole { content: Box::new(content) }, out);
        self.end(out);
        Ok(())
    }

    /// Text and thoughts: pieces of one kind belong to one part, until a signature seals it.
    fn read_text(&mut self, piece: &Piece<'_>, out: &mut Vec<Event>) {
        let text = piece.text.as_deref().unwrap_or_default();
        let signature = piece.signature.as_deref().filter(|text| !text.is_empty());
        if text.is_empty() && signature.is_none() {
            return;
        }
        let thought = piece.thought == Some(true);
        self.ensure(if thought { Open::Reasoning } else { Open::Text }, out);
        if !text.is_empty() {
            if !thought {
                self.ruler.add(text);
            }
            self.delta(Delta::Text(text.to_owned()), out);
        }
        if let Some(text) = signature {
            self.sign(text, out);
            self.close(out);
        }
    }

    fn sign(&mut self, text: &str, out: &mut Vec<Event>) {
        self.delta(Delta::Signature(unseal(text).0), out);
    }

    fn read_call(&mut self, call: Call<'_>, signature: Option<&str>, id: &str, out: &mut Vec<Event>) -> Result<()> {
        let name = call.name.filter(|name| !name.is_empty());
        if let Some(name) = name {
            self.close(out);
            let made = || make_id(id, self.index as usize, self.calls);
            let id = call.id.map(|id| id.0.into_owned()).filter(|id| !id.is_empty()).unwrap_or_else(made);
            self.calls += 1;
            self.start(PartStart::ToolCall { id, name: name.0.into_owned() }, out);
            self.open = Open::Call(Arguments::default());
        }
        let Open::Call(arguments) = &mut self.open else {
            return match call.args {
                Some(_) => Err(Error::malformed("a function call has no name")),
                // The empty call that ends one whose arguments came in pieces, once more.
                None => Ok(()),
            };
        };
        let pieced = call.partial.is_some() || call.more == Some(true);
        for piece in call.partial.into_iter().flat_map(|list| list.0) {
            arguments.push(piece)?;
        }
        let signature = signature.filter(|text| !text.is_empty());
        if let Some(args) = call.args.filter(|_| !pieced) {
            // Some servers write the object as a string.
            let text = serde_json::from_str(args.get()).unwrap_or_else(|_| compact(args.get()));
            if text != "{}" {
                self.delta(Delta::Arguments(text), out);
            }
            self.open = Open::Call(Arguments::default());
        }
        if let Some(text) = signature {
            self.sign(text, out);
        }
        if call.more != Some(true) {
            self.close(out);
        }
        Ok(())
    }

    /// Sound comes in pieces that are each base64 of their own; ours must be one text when put together.
    fn read_sound(&mut self, media_type: &str, data: &str, out: &mut Vec<Event>) {
        if !matches!(&self.open, Open::Audio(open, _) if open == media_type) {
            self.close(out);
            self.start(PartStart::Audio { id: None, media_type: media_type.to_owned() }, out);
            self.open = Open::Audio(media_type.to_owned(), Vec::new());
        }
        let Open::Audio(_, held) = &mut self.open else { return };
        if held.is_empty() && data.len().is_multiple_of(4) && !data.ends_with('=') {
            let data = media::standard(data.into());
            return self.delta(Delta::Audio(data), out);
        }
        held.extend(media::decode(data).unwrap_or_default());
        let rest = held.split_off(held.len() - held.len() % 3);
        let full = std::mem::replace(held, rest);
        if !full.is_empty() {
            self.delta(Delta::Audio(media::encode(&full)), out);
        }
    }

    /// Opens a part of text or thought, unless one is open.
    fn ensure(&mut self, kind: Open, out: &mut Vec<Event>) {
        if std::mem::discriminant(&self.open) == std::mem::discriminant(&kind) {
            return;
        }
        self.close(out);
        self.start(if matches!(kind, Open::Reasoning) { PartStart::Reasoning } else { PartStart::Text }, out);
        self.open = kind;
    }

    fn start(&mut self, start: PartStart, out: &mut Vec<Event>) {
        out.push(Event::PartStart { choice: self.index, part: self.next, start });
        self.next += 1;
    }

    fn delta(&mut self, delta: Delta, out: &mut Vec<Event>) {
        out.push(Event::Delta { choice: self.index, part: self.next.saturating_sub(1), delta });
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        out.push(Event::PartEnd { choice: self.index, part: self.next.saturating_sub(1) });
    }

    /// Closes the open part, with what is still due of it.
    fn close(&mut self, out: &mut Vec<Event>) {
        match std::mem::take(&mut self.open) {
            Open::None => return,
            Open::Text | Open::Reasoning => {}
            Open::Audio(_, held) if held.is_empty() => {}
            Open::Audio(_, held) => self.delta(Delta::Audio(media::encode(&held)), out),
            Open::Call(arguments) => match arguments.finish() {
                empty if empty == "{}" => {}
                text => self.delta(Delta::Arguments(text), out),
            },
        }
        self.end(out);
    }
}

/// The provider broke off before it said anything: as good as no answer.
fn gave_up(finish: &Finish) -> Error {
    let detail = finish.detail.as_deref().unwrap_or_default();
    let mut error = Error::new(Kind::Server, Origin::Provider, format!("the provider gave up: {detail}"));
    error.code = detail.split(':').next().map(str::to_owned);
    error
}

fn explain(word: &str, message: Option<&str>) -> String {
    match message.filter(|message| !message.is_empty()) {
        Some(message) => format!("{word}: {message}"),
        None => word.to_owned(),
    }
}

fn read_finish(word: &str, message: Option<&str>) -> Finish {
    let reason = match word {
        "STOP" => Reason::Stop,
        "MAX_TOKENS" => Reason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "PUP_LIMITED_DISABLED" => Reason::Filtered,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE"
        | "OTHER"
        | "IMAGE_OTHER"
        | "NO_IMAGE" => Reason::Failed,
        "CONTINUATION" | "ESCALATION" => Reason::Pause,
        // A word of the future says at least that the answer has ended.
        _ => Reason::Stop,
    };
    let usual = matches!(word, "STOP" | "MAX_TOKENS") && message.is_none_or(str::is_empty);
    Finish { reason, stop_sequence: None, detail: (!usual).then(|| explain(word, message)) }
}

fn read_logprobs(result: LogprobsResult<'_>) -> Vec<TokenLogprob> {
    let text = |token: &TokenProbability<'_>| token.token.as_deref().unwrap_or_default().to_owned();
    let likelihood = |token: &TokenProbability<'_>| token.logprob.map_or(0.0, |number| number.0);
    let mut top = result.top.into_iter().flat_map(|list| list.0);
    let chosen = result.chosen.into_iter().flat_map(|list| list.0);
    chosen
        .map(|token| {
            let others = top.next().and_then(|top| top.candidates).into_iter().flat_map(|list| list.0);
            let top = others.map(|other| TopLogprob { token: text(&other), logprob: likelihood(&other), bytes: None });
            TokenLogprob { token: text(&token), logprob: likelihood(&token), bytes: None, top: top.collect() }
        })
        .collect()
}
