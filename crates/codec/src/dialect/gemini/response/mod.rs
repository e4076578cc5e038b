//! Whole answers, counts and model lists.

pub(crate) mod citation;
pub(crate) mod usage;

use serde_json::Map;

use crate::dialect::gemini::media::seal;
use crate::dialect::gemini::request::turn::put_arguments;
use crate::dialect::gemini::stream::Reader;
use crate::dialect::gemini::text::{List, Object, nested};
use crate::dialect::gemini::wire::{Chunk, Count, Num, read_chunks, value};
use crate::dialect::gemini::{NAME, error};
use crate::dialect::{Cx, ReadStream};
use crate::error::{Error, Kind, Result};
use crate::ir::fold::Fold;
use crate::ir::{Choice, Citation, Content, Extra, Finish, Model, Part, Reason, Response, Source, TokenCount, TokenLogprob};
use crate::json;

use self::citation::Ruler;

/// Reads a whole answer: a stream of one chunk.
pub(crate) fn read(body: &[u8]) -> Result<Response> {
    let chunks = read_chunks(body)
        .map_err(|error| Error::malformed(format!("the answer is no reply of gemini: {error}")).with_raw(body))?;
    let mut reader = Reader::whole();
    let mut events = Vec::new();
    let mut extras = Vec::new();
    for mut chunk in chunks.0 {
        take_extras(&mut chunk, &mut extras);
        reader.read(chunk, body, &mut events)?;
    }
    reader.finish(&mut events).map_err(|error| match error.kind {
        Kind::Truncated => Error::malformed("the answer has no candidates").with_raw(body),
        _ => error.with_raw(body),
    })?;
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    let mut response = fold.into_response();
    for (index, extra) in extras {
        if let Some(choice) = response.choices.iter_mut().find(|choice| choice.index == index) {
            choice.extra = extra;
        }
    }
    Ok(response)
}

/// Fields of candidates that we do not act on: events have no place for them.
fn take_extras(chunk: &mut Chunk<'_>, extras: &mut Vec<(u32, Extra)>) {
    for candidate in chunk.candidates.iter_mut().flat_map(|list| &mut list.0) {
        let rest = std::mem::take(&mut candidate.rest);
        let fields: Map<_, _> = rest.into_iter().map(|(key, raw)| (key.into_owned(), value(raw))).collect();
        if !fields.is_empty() {
            extras.push((candidate.index.map_or(0, |index| index.0 as u32), Extra::new(NAME, fields)));
        }
    }
}

/// Reads `countTokens`.
pub(crate) fn read_count(body: &[u8]) -> Result<TokenCount> {
    if let Some(error) = json::member(body, "error").and_then(|span| body.get(span)) {
        return Err(error::read_inside(error, body));
    }
    let count: Count<'_> = serde_json::from_slice(body)
        .map_err(|error| Error::malformed(format!("the answer is no token count: {error}")).with_raw(body))?;
    // A count of 0 is left out on the wire.
    Ok(TokenCount { input: count.total.map_or(0, Num::count), estimated: false })
}

/// Writes `countTokens`.
pub(crate) fn write_count(count: TokenCount) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = Object::new(&mut out);
    body.put("totalTokens", &count.input);
    body.end();
    out
}

/// Writes a whole answer.
pub(crate) fn write(response: &Response, cx: &Cx) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut body = Object::new(&mut out);
    let mut candidates = body.list("candidates");
    for choice in &response.choices {
        let mut candidate = candidates.object();
        write_choice(choice, &mut candidate);
        candidate.end();
    }
    candidates.end();
    if let Some(usage) = &response.usage {
        usage::write(usage, &mut body);
    }
    body.put("modelVersion", or(&response.model, &cx.model));
    body.put("responseId", or(&response.id, &cx.id));
    body.put_all(nested(&response.extra, "", &[]));
    body.end();
    out
}

/// The first, unless it is empty.
pub(crate) fn or<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}

fn write_choice(choice: &Choice, candidate: &mut Object<'_>) {
    let mut ruler = Ruler::default();
    let mut citations: Vec<&Citation> = Vec::new();
    let mut content = candidate.object("content");
    let mut parts = content.list("parts");
    for part in &choice.parts {
        if let Content::Text { text, citations: found } = &part.content {
            ruler.add(text);
            citations.extend(found);
        }
        write_part(part, &mut parts);
    }
    parts.end();
    content.put("role", "model");
    content.end();
    write_finish(&choice.finish, candidate);
    candidate.put("index", &choice.index);
    citation::write(&citations, &ruler, candidate);
    write_logprobs(&choice.logprobs, candidate);
    candidate.put_all(nested(&choice.extra, "", &[]));
}

/// Writes a part of an answer, unless gemini has no words for it.
pub(crate) fn write_part(part: &Part, parts: &mut List<'_>) {
    match &part.content {
        Content::Foreign { from: NAME, value } => return parts.element().extend_from_slice(value.get().as_bytes()),
        Content::Foreign { .. } | Content::ToolResult { .. } => return,
        _ => {}
    }
    let mut object = parts.object();
    let mut redacted = false;
    match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } => object.put("text", text),
        Content::Reasoning { text, redacted: encrypted } => {
            redacted = *encrypted;
            object.put("text", text);
            object.put("thought", &true);
        }
        Content::ToolCall { id, name, arguments } => write_call(id, name, arguments, &mut object),
        Content::Image { source, .. } | Content::Document { source, .. } | Content::Video { source } => {
            write_media(source, &mut object)
        }
        Content::Audio { source, transcript, .. } => match transcript {
            Some(text) if is_silent(source) => object.put("text", text),
            _ => write_media(source, &mut object),
        },
        Content::ToolResult { .. } | Content::Foreign { .. } => {}
    }
    object.put_some("thoughtSignature", &part.signature.as_ref().map(|signature| seal(signature, redacted)));
    object.put_all(nested(&part.extra, "", &["inlineData.", "fileData."]));
    object.end();
    if let Content::Audio { source, transcript: Some(text), .. } = &part.content
        && !is_silent(source)
    {
        let mut object = parts.object();
        object.put("text", text);
        object.end();
    }
}

fn is_silent(source: &Source) -> bool {
    matches!(source, Source::Base64 { data, .. } if data.is_empty())
}

fn write_media(source: &Source, object: &mut Object<'_>) {
    match source {
        Source::Base64 { media_type, data } => {
            let mut blob = object.object("inlineData");
            blob.put("mimeType", media_type);
            blob.put("data", data);
            blob.end();
        }
        Source::Url { url, media_type } => {
            let mut file = object.object("fileData");
            file.put_some("mimeType", media_type);
            file.put("fileUri", url);
            file.end();
        }
        Source::File { id } => {
            let mut file = object.object("fileData");
            file.put("fileUri", id);
            file.end();
        }
        Source::Text { text } => object.put("text", text),
    }
}

/// Writes the field `functionCall`.
pub(crate) fn write_call(id: &str, name: &str, arguments: &str, object: &mut Object<'_>) {
    let mut call = object.object("functionCall");
    call.put("id", id);
    call.put("name", name);
    put_arguments(arguments, call.key("args"));
    call.end();
}

/// Words for reasons that the wire has, by which a detail is recognised as one.
const WORDS: [&str; 22] = [
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "IMAGE_RECITATION",
    "NO_IMAGE",
    "ESCALATION",
    "CONTINUATION",
    "MODEL_ARMOR",
    "STOP",
    "MAX_TOKENS",
];

/// Writes `finishReason` and, where there is more to say, `finishMessage`.
pub(crate) fn write_finish(finish: &Finish, candidate: &mut Object<'_>) {
    let usual = match finish.reason {
        Reason::Stop | Reason::StopSequence | Reason::ToolCalls => "STOP",
        Reason::Length | Reason::ContextFull => "MAX_TOKENS",
        Reason::Refusal | Reason::Filtered => "SAFETY",
        Reason::Pause | Reason::Failed => "OTHER",
    };
    let detail = finish.detail.as_deref();
    let (first, rest) = detail.map_or((None, None), |text| match text.split_once(": ") {
        Some((word, rest)) => (Some(word), Some(rest)),
        None => (Some(text), None),
    });
    // A word that only the future knows was read as a stop.
    let is_word = |word: &&str| match usual {
        "STOP" => word.len() > 3 && word.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'_')),
        _ => WORDS.contains(word),
    };
    match first.filter(is_word) {
        Some(word) => {
            candidate.put("finishReason", word);
            candidate.put_some("finishMessage", &rest);
        }
        None => {
            candidate.put("finishReason", usual);
            candidate.put_some("finishMessage", &detail.filter(|_| usual != "STOP"));
        }
    }
}

/// Writes `logprobsResult`, if there is something in it.
pub(crate) fn write_logprobs(tokens: &[TokenLogprob], candidate: &mut Object<'_>) {
    if tokens.is_empty() {
        return;
    }
    fn put(list: &mut List<'_>, token: &str, logprob: f64) {
        let mut one = list.object();
        one.put("token", token);
        one.put("logProbability", &logprob);
        one.end();
    }
    let mut result = candidate.object("logprobsResult");
    let mut chosen = result.list("chosenCandidates");
    tokens.iter().for_each(|token| put(&mut chosen, &token.token, token.logprob));
    chosen.end();
    let mut steps = result.list("topCandidates");
    for token in tokens {
        let mut step = steps.object();
        let mut top = step.list("candidates");
        token.top.iter().for_each(|other| put(&mut top, &other.token, other.logprob));
        top.end();
        step.end();
    }
    steps.end();
    result.end();
}

/// Writes the list of models.
pub(crate) fn write_models(models: &[Model]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = Object::new(&mut out);
    let mut list = body.list("models");
    for model in models {
        put_model(model, list.object());
    }
    list.end();
    body.end();
    out
}

/// Writes one model.
pub(crate) fn write_model(model: &Model) -> Vec<u8> {
    let mut out = Vec::new();
    put_model(model, Object::new(&mut out));
    out
}

fn put_model(model: &Model, mut object: Object<'_>) {
    object.put("name", &format!("models/{}", model.id));
    object.put("baseModelId", &model.id);
    object.put("version", "");
    object.put("displayName", &model.id);
    object.put("description", &format!("served by {}", model.owner));
    object.put("supportedGenerationMethods", &["generateContent", "streamGenerateContent", "countTokens"]);
    object.end();
}
