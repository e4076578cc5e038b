//! Whole answers, and what whole and streamed answers have in common.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use super::super::error::read_error_within;
use super::super::free_text::wrap_input;
use super::super::inline::{Piece, ThinkTags};
use super::super::wire::{Answer, Audio, Call, Choice, Content as Wire, Detail, Function, Said, Scalar, Str, list_of};
use crate::catalog::Quirks;
use crate::dialect::shared::compact;
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{
    self, Citation, Content, Extra, Finish, Part, Raw, Reason, Response, Signature, Source, TokenLogprob, TopLogprob,
};

/// Reads a whole answer of this dialect, or of plain completions, which has the same frame.
pub(crate) fn read_response(body: &[u8], dialect: &'static str, quirks: &Quirks) -> Result<Response> {
    read_whole(read_answer(body)?, body, dialect, quirks)
}

/// The answer that was read from `body`.
pub(crate) fn read_whole(answer: Answer<'_>, body: &[u8], dialect: &'static str, quirks: &Quirks) -> Result<Response> {
    let choices = answer.choices.unwrap_or_default();
    if choices.is_empty() {
        return Err(Error::malformed("the answer has no choices").with_raw(body));
    }
    let mut usage = answer.usage.and_then(|tokens| tokens.usage());
    let cited: Vec<Citation> = answer.citations.iter().flat_map(|many| &many.0).filter_map(read_cited).collect();
    let mut response = Response {
        id: answer.id.as_ref().and_then(Scalar::word).unwrap_or_default(),
        model: answer.model.as_ref().and_then(Scalar::word).unwrap_or_default(),
        created: answer.created.as_ref().and_then(Scalar::count),
        extra: Extra::new(dialect, read_extra(body)),
        ..Response::default()
    };
    for (position, choice) in (0..).zip(choices) {
        usage = usage.or_else(|| choice.usage.and_then(|tokens| tokens.usage()));
        response.choices.push(read_choice(position, choice, &cited, quirks)?);
    }
    response.usage = usage;
    Ok(response)
}

/// Reads an answer or a frame of one; an error in it is an `Err`.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer<'_>> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| {
        if body.trim_ascii_start().starts_with(b"<") {
            return Error::malformed("answered with an HTML page instead of JSON").with_raw(body);
        }
        Error::malformed(format!("the answer cannot be read: {error}")).with_raw(body)
    })?;
    if is_error(&answer) { Err(read_error_within(body)) } else { Ok(answer) }
}

fn is_error(answer: &Answer<'_>) -> bool {
    if answer.error.is_some_and(|raw| !matches!(raw.get(), "null" | "false" | "\"\"" | "{}" | "0")) {
        return true;
    }
    if answer.base_resp.as_ref().and_then(|base| base.status_code.as_ref()?.number()).is_some_and(|code| code != 0) {
        return true;
    }
    if answer.choices.is_some() {
        return false;
    }
    let object_is_error = answer.object.as_ref().and_then(Scalar::text) == Some("error");
    let code_is_bad = match &answer.code {
        Some(Scalar::Number(code)) => !matches!(code, 0 | 200 | 20000),
        Some(Scalar::Text(code)) => !matches!(code.as_ref(), "" | "0" | "200" | "success" | "Success"),
        _ => false,
    };
    object_is_error || code_is_bad
}

/// The top-level fields that mean nothing to us.
pub(crate) fn read_extra(body: &[u8]) -> Map<String, Value> {
    const KNOWN: [&str; 11] =
        ["id", "object", "model", "created", "choices", "usage", "error", "base_resp", "code", "message", "obfuscation"];
    let Ok(all) = serde_json::from_slice::<std::collections::BTreeMap<Str<'_>, &RawValue>>(body) else {
        return Map::new();
    };
    all.into_iter()
        .filter(|(key, value)| !KNOWN.contains(&&**key) && value.get() != "null")
        .filter_map(|(key, value)| Some((key.0.into_owned(), serde_json::from_str(value.get()).ok()?)))
        .collect()
}

fn read_choice(position: u32, choice: Choice<'_>, cited: &[Citation], quirks: &Quirks) -> Result<ir::Choice> {
    let index = choice.index.as_ref().and_then(Scalar::count).and_then(|index| u32::try_from(index).ok());
    let index = index.unwrap_or(position);
    let finish = read_finish(&choice);
    let said = choice.message.map(|message| *message).or(choice.delta).unwrap_or_default();
    let mut parts = read_said(index, said);
    if let Some(text) = choice.text.as_ref().and_then(Scalar::text).filter(|text| parts.is_empty() && !text.is_empty()) {
        parts.push(Part::text(text));
    }
    if quirks.think_tags {
        take_out_thinking(ThinkTags::new(), &mut parts);
    }
    if let Some(Content::Text { citations, .. }) =
        parts.iter_mut().map(|part| &mut part.content).rfind(|content| matches!(content, Content::Text { .. }))
        && citations.is_empty()
    {
        citations.extend(cited.iter().cloned());
    }
    let mut finish = finish.unwrap_or_default();
    if finish.reason == Reason::Failed && parts.is_empty() {
        return Err(failed(&finish));
    }
    settle_finish(&mut finish, parts.iter().map(|part| &part.content));
    Ok(ir::Choice { index, parts, finish, logprobs: read_logprobs(choice.logprobs), extra: Extra::default() })
}

/// Makes the thinking that stands before the answer's text a part of its own.
fn take_out_thinking(mut tags: ThinkTags, parts: &mut Vec<Part>) {
    let Some(at) = parts.iter().position(|part| matches!(part.content, Content::Text { .. })) else { return };
    let Some(Content::Text { text, .. }) = parts.get_mut(at).map(|part| &mut part.content) else { return };
    let mut pieces = tags.push(std::mem::take(text));
    pieces.extend(tags.flush());
    let mut thought = String::new();
    for piece in pieces {
        match piece {
            Piece::Thought(more) => thought.push_str(&more),
            Piece::Text(more) => text.push_str(&more),
        }
    }
    let is_silent = text.is_empty();
    if is_silent {
        parts.remove(at);
    }
    if !thought.is_empty() {
        parts.insert(at, Content::Reasoning { text: thought, redacted: false }.into());
    }
}

/// The provider broke off before it said anything: as good as no answer.
pub(crate) fn failed(finish: &Finish) -> Error {
    let word = finish.detail.as_deref().unwrap_or("error");
    let mut error = Error::new(Kind::Overloaded, Origin::Provider, format!("the provider gave up: {word}"));
    error.code = Some(word.to_owned());
    error
}

/// Why a choice ended; `None` while it goes on.
pub(crate) fn read_finish(choice: &Choice<'_>) -> Option<Finish> {
    let word = choice.finish_reason.as_ref()?.text()?;
    let reason = match word {
        "" | "null" => return None,
        "length" | "model_length" | "max_tokens" | "max_output" => Reason::Length,
        "model_context_window_exceeded" => Reason::ContextFull,
        "tool_calls" | "function_call" | "tool_call" | "tool_use" => Reason::ToolCalls,
        "content_filter" | "sensitive" | "content_filtered" => Reason::Filtered,
        "refusal" => Reason::Refusal,
        "error" | "insufficient_system_resource" | "network_error" => Reason::Failed,
        "stop_sequence" => Reason::StopSequence,
        // `stop`, its synonyms (`eos`, `normal`, `end_turn`), and whatever comes next year.
        _ => Reason::Stop,
    };
    let native = choice.native_finish_reason.as_ref().and_then(Scalar::word).filter(|native| native != word);
    let reason = match native.as_deref() {
        Some("model_context_window_exceeded") => Reason::ContextFull,
        _ => reason,
    };
    let usual = matches!(word, "stop" | "length" | "tool_calls" | "content_filter" | "function_call");
    let mut finish = Finish { reason, stop_sequence: None, detail: native.or((!usual).then(|| word.to_owned())) };
    if let (Reason::Stop, Some(Scalar::Text(stop))) = (reason, &choice.stop_reason)
        && !stop.is_empty()
    {
        finish.reason = Reason::StopSequence;
        finish.stop_sequence = Some(stop.clone().into_owned());
    }
    Some(finish)
}

/// A plain stop after tool calls or a refusal was one because of them.
pub(crate) fn settle_finish<'a>(finish: &mut Finish, mut contents: impl Iterator<Item = &'a Content>) {
    if finish.reason != Reason::Stop {
        return;
    }
    if let Some(reason) = contents.find_map(|content| match content {
        Content::ToolCall { .. } => Some(Reason::ToolCalls),
        Content::Refusal { .. } => Some(Reason::Refusal),
        _ => None,
    }) {
        finish.reason = reason;
    }
}

/// The parts of a whole message, in the order in which models make them.
fn read_said(choice: u32, said: Said<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    read_reasoning(&said, &mut parts);
    let citations: Vec<Citation> = list_of::<Map<String, Value>>(said.annotations).iter().filter_map(read_citation).collect();
    match said.content {
        Some(Wire::Text(text)) if !text.is_empty() => parts.push(Content::Text { text, citations }.into()),
        Some(Wire::Parts(list)) => parts.extend(list.into_iter().filter_map(read_part)),
        _ => {}
    }
    if let Some(text) = said.refusal.as_ref().and_then(Scalar::text).filter(|text| !text.is_empty()) {
        parts.push(Content::Refusal { text: text.to_owned() }.into());
    }
    parts.extend(said.audio.as_ref().and_then(read_audio));
    parts.extend(list_of(said.images).into_iter().filter_map(read_image));
    let calls = said.tool_calls.unwrap_or_default().0;
    parts.extend((0..).zip(calls).map(|(position, call)| read_call(choice, position, call)));
    if let Some(function) = said.function_call {
        let call = Call { function: Some(function), ..Call::default() };
        parts.push(read_call(choice, 0, call));
    }
    parts
}

/// Reasoning of a message: its details where they hold the text, else the plain field, with the details' signatures.
fn read_reasoning(said: &Said<'_>, parts: &mut Vec<Part>) {
    let details: Vec<&RawValue> = list_of(said.reasoning_details);
    parts.extend(details.into_iter().filter_map(read_detail));
    let has_text = |part: &Part| matches!(&part.content, Content::Reasoning { text, .. } if !text.is_empty());
    if parts.iter().any(has_text) {
        return;
    }
    let Some(text) = reasoning_text(said) else { return };
    let open = parts.iter_mut().find(|part| matches!(part.content, Content::Reasoning { redacted: false, .. }));
    match open.map(|part| &mut part.content) {
        Some(Content::Reasoning { text: empty, .. }) => text.clone_into(empty),
        _ => parts.insert(0, Content::Reasoning { text: text.to_owned(), redacted: false }.into()),
    }
}

/// The plain reasoning text, under whichever name.
pub(crate) fn reasoning_text<'s>(said: &'s Said<'_>) -> Option<&'s str> {
    let text = |field: &'s Option<Scalar<'_>>| field.as_ref().and_then(Scalar::text).filter(|text| !text.is_empty());
    text(&said.reasoning_content).or_else(|| text(&said.reasoning))
}

/// One entry of `reasoning_details`.
pub(crate) fn read_detail(raw: &RawValue) -> Option<Part> {
    let detail: Detail = serde_json::from_str(raw.get()).ok()?;
    let kind = detail.r#type.as_deref().unwrap_or("reasoning.text");
    let unseal = |value: String| Signature::unseal(&value, NAME);
    let mut rest = detail.rest;
    let mut part: Part = match kind {
        "reasoning.text" => Content::Reasoning { text: detail.text.unwrap_or_default(), redacted: false }.into(),
        "reasoning.summary" => {
            rest.insert("type".to_owned(), kind.into());
            Content::Reasoning { text: detail.summary.unwrap_or_default(), redacted: false }.into()
        }
        "reasoning.encrypted" => Content::Reasoning { text: String::new(), redacted: true }.into(),
        _ => return Some(Content::Foreign { from: NAME, value: Raw(raw.to_owned()) }.into()),
    };
    part.signature = detail.signature.or(detail.data).filter(|value| !value.is_empty()).map(unseal);
    rest.retain(|key, value| key != "index" && !value.is_null());
    part.extra = Extra::new(NAME, rest);
    Some(part)
}

/// A part of an answer's content, where content is a list.
pub(crate) fn read_part(raw: &RawValue) -> Option<Part> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        r#type: Option<Str<'a>>,
        text: Option<String>,
        refusal: Option<String>,
        #[serde(borrow)]
        thinking: Option<super::super::wire::Content<'a>>,
    }
    let part: Wire<'_> = serde_json::from_str(raw.get()).ok()?;
    let content = match (part.r#type.as_deref(), part.text, part.refusal, part.thinking) {
        (Some("text" | "output_text") | None, Some(text), ..) => Content::Text { text, citations: Vec::new() },
        (Some("refusal"), _, Some(text), _) => Content::Refusal { text },
        (Some("thinking"), .., Some(thinking)) => Content::Reasoning { text: flatten(thinking), redacted: false },
        (Some("image_url"), ..) => return read_image(serde_json::from_str(raw.get()).ok()?),
        _ => Content::Foreign { from: NAME, value: Raw(raw.to_owned()) },
    };
    Some(content.into())
}

/// The text of a content, whatever its form.
pub(crate) fn flatten(content: Wire<'_>) -> String {
    #[derive(Deserialize)]
    struct Text {
        text: Option<String>,
    }
    match content {
        Wire::Text(text) => text,
        Wire::Parts(parts) => parts.iter().filter_map(|raw| serde_json::from_str::<Text>(raw.get()).ok()?.text).collect(),
    }
}

/// `{"type":"image_url","image_url":{"url":…}}`.
pub(crate) fn read_image(image: Map<String, Value>) -> Option<Part> {
    let image = image.get("image_url")?;
    let url = image.get("url").unwrap_or(image).as_str()?;
    Some(Content::Image { source: read_url(url), detail: None }.into())
}

/// An address, or the bytes in a `data:` address.
pub(crate) fn read_url(url: &str) -> Source {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, data)) => Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() },
        None => Source::Url { url: url.to_owned(), media_type: None },
    }
}

fn read_audio(audio: &Audio<'_>) -> Option<Part> {
    let word = |field: &Option<Scalar<'_>>| field.as_ref().and_then(Scalar::word);
    let data = word(&audio.data)?;
    let source = Source::Base64 { media_type: String::new(), data };
    let mut part: Part = Content::Audio { source, transcript: word(&audio.transcript), id: word(&audio.id) }.into();
    if let Some(until) = audio.expires_at.as_ref().and_then(Scalar::number) {
        part.extra = Extra::new(NAME, Map::from_iter([("expires_at".to_owned(), until.into())]));
    }
    Some(part)
}

fn read_call(choice: u32, position: u32, call: Call<'_>) -> Part {
    let mut extra = Map::new();
    let (name, arguments) = match (&call.function, &call.custom) {
        (None, Some(custom)) => {
            extra.insert("type".to_owned(), "custom".into());
            let input = custom.input.as_ref().and_then(Scalar::text).unwrap_or_default();
            (custom.name.as_ref(), wrap_input(input))
        }
        (function, _) => {
            (function.as_ref().and_then(|f| f.name.as_ref()), function.as_ref().map(read_arguments).unwrap_or_default())
        }
    };
    let name = name.and_then(Scalar::text).unwrap_or_default().to_owned();
    let id = call.id.as_ref().and_then(Scalar::word).filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| made_up_id(choice, position));
    let mut part: Part = Content::ToolCall { id, name, arguments }.into();
    if let Some(raw) = call.extra_content {
        part.signature = read_call_signature(raw);
        extra.insert("extra_content".to_owned(), serde_json::from_str(raw.get()).unwrap_or_default());
    }
    part.extra = Extra::new(NAME, extra);
    part
}

/// An id for a call that came without one; stable, because clients send it back.
pub(crate) fn made_up_id(choice: u32, position: u32) -> String {
    format!("call_{choice}_{position}")
}

/// Arguments as JSON text, whether they came as text or as an object.
pub(crate) fn read_arguments(function: &Function<'_>) -> String {
    match function.arguments.map(RawValue::get) {
        None | Some("null") => String::new(),
        Some(text) if text.starts_with('"') => serde_json::from_str(text).unwrap_or_default(),
        Some(object) => compact(object),
    }
}

impl Call<'_> {
    /// The call's own id, if it has one.
    pub(crate) fn id(&self) -> Option<String> {
        self.id.as_ref().and_then(Scalar::word).filter(|id| !id.is_empty())
    }

    /// The function's name; may be empty.
    pub(crate) fn name(&self) -> &str {
        self.function.as_ref().and_then(|function| function.name.as_ref()?.text()).unwrap_or_default()
    }

    /// The function's arguments as JSON text.
    pub(crate) fn arguments(&self) -> String {
        self.function.as_ref().map(read_arguments).unwrap_or_default()
    }

    /// What its maker needs to see again.
    pub(crate) fn signature(&self) -> Option<Signature> {
        self.extra_content.and_then(read_call_signature)
    }
}

/// The signature in a tool call's `extra_content`, under whoever's name it stands there.
pub(crate) fn read_call_signature(raw: &RawValue) -> Option<Signature> {
    let by_owner: Map<String, Value> = serde_json::from_str(raw.get()).ok()?;
    by_owner.values().find_map(|value| {
        if let Some(sealed) = value.get("signature").and_then(Value::as_str) {
            return Some(Signature::unseal(sealed, NAME));
        }
        let owner = crate::dialect::find("gemini")?.name;
        Some(Signature::unseal(value.get("thought_signature")?.as_str()?, owner))
    })
}

/// One entry of `annotations`.
pub(crate) fn read_citation(annotation: &Map<String, Value>) -> Option<Citation> {
    let source = annotation.get("url_citation").and_then(Value::as_object)?;
    let text = |key: &str| source.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let number = |key: &str| source.get(key).and_then(Value::as_u64);
    Some(Citation {
        url: text("url"),
        title: text("title"),
        cited_text: text("content"),
        start: number("start_index"),
        end: number("end_index"),
        from: NAME,
        raw: Some(Raw::of(annotation)),
    })
}

/// One entry of a list of addresses that belongs to the whole answer.
fn read_cited(url: &Scalar<'_>) -> Option<Citation> {
    Some(Citation { url: Some(url.text()?.to_owned()), from: NAME, ..Citation::default() })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Logprobs {
    content: Option<Vec<Logprob>>,
    refusal: Option<Vec<Logprob>>,
    reasoning_content: Option<Vec<Logprob>>,
    /// Plain completions have lists side by side instead.
    tokens: Option<Vec<String>>,
    token_logprobs: Option<Vec<Option<f64>>>,
    top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Logprob {
    token: String,
    logprob: Option<f64>,
    bytes: Option<Vec<u8>>,
    top_logprobs: Option<Vec<Logprob>>,
}

/// Probabilities; what cannot be read is left out rather than fail the call.
pub(crate) fn read_logprobs(raw: Option<&RawValue>) -> Vec<TokenLogprob> {
    let logprobs: Logprobs = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    if let Some(tokens) = logprobs.tokens {
        let chosen = logprobs.token_logprobs.unwrap_or_default();
        return read_columns(tokens, chosen, logprobs.top_logprobs.unwrap_or_default());
    }
    let lists = [logprobs.reasoning_content, logprobs.content, logprobs.refusal];
    lists.into_iter().flatten().flat_map(to_tokens).collect()
}

/// Probabilities that stand in a list.
pub(crate) fn read_tokens(raw: Option<&RawValue>) -> Vec<TokenLogprob> {
    to_tokens(raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default())
}

fn to_tokens(list: Vec<Logprob>) -> Vec<TokenLogprob> {
    let odd = |token: &str, bytes: Option<Vec<u8>>| bytes.filter(|bytes| bytes != token.as_bytes());
    let read = |item: Logprob| TokenLogprob {
        bytes: odd(&item.token, item.bytes),
        logprob: item.logprob.unwrap_or_default(),
        top: item
            .top_logprobs
            .unwrap_or_default()
            .into_iter()
            .map(|top| TopLogprob {
                bytes: odd(&top.token, top.bytes),
                logprob: top.logprob.unwrap_or_default(),
                token: top.token,
            })
            .collect(),
        token: item.token,
    };
    list.into_iter().map(read).collect()
}

fn read_columns(tokens: Vec<String>, chosen: Vec<Option<f64>>, tops: Vec<Option<Map<String, Value>>>) -> Vec<TokenLogprob> {
    let mut chosen = chosen.into_iter();
    let mut tops = tops.into_iter();
    let mut read = |token| TokenLogprob {
        token,
        logprob: chosen.next().flatten().unwrap_or_default(),
        bytes: None,
        top: tops
            .next()
            .flatten()
            .into_iter()
            .flatten()
            .filter_map(|(token, logprob)| Some(TopLogprob { token, logprob: logprob.as_f64()?, bytes: None }))
            .collect(),
    };
    tokens.into_iter().map(&mut read).collect()
}
