//! A canonical request as a provider is sent it.

use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::super::{NAME, PATH};
use super::read::{ENCRYPTED, LOGPROBS};
use super::write_input::write_input;
use super::write_tool::write_tools;
use crate::catalog::{Quirks, ReasoningStyle};
use crate::dialect::Outgoing;
use crate::dialect::openai_chat::request::{Draft, REFUSED, nearest_effort, nearest_temperature};
use crate::ir::{Content, Effort, Format, Reasoning, Request};

/// Writes a request.
pub(crate) fn write_request(request: &Request, quirks: &Quirks) -> Outgoing {
    let mut draft = Draft::new(quirks);
    draft.body.put("model", &request.model);
    let input = write_input(request, quirks, &mut draft.losses);
    draft.body.put("input", &input);
    write_tools(request, &mut draft);
    let mut text = left(request, "text");
    if let Some(format) = write_format(&request.format, &mut draft) {
        text.insert("format".to_owned(), format);
    }
    match &request.verbosity {
        Some(_) if quirks.refuses("verbosity") => draft.losses.add("verbosity", REFUSED),
        Some(word) => drop(text.insert("verbosity".to_owned(), word.as_str().into())),
        None => {}
    }
    if !text.is_empty() {
        draft.body.put("text", &text);
    }
    let thinks = write_reasoning(request, &mut draft);
    write_include(request, thinks, &mut draft);
    write_settings(request, &mut draft);
    note_unsayable(request, &mut draft);
    match request.extra.of(NAME) {
        Some(fields) => {
            // The others were merged into objects of ours.
            for (key, value) in fields.iter().filter(|(key, _)| !matches!(key.as_str(), "text" | "reasoning" | "include")) {
                if quirks.refuses(key) {
                    draft.losses.add(key.clone(), REFUSED);
                } else {
                    draft.body.put(key, value);
                }
            }
        }
        None => draft.losses.add_foreign("", &request.extra, NAME),
    }
    // Whoever wants an answer stored says so.
    draft.put("store", "store", Some(&false));
    Outgoing {
        method: Method::POST,
        path: PATH.to_owned(),
        headers: HeaderMap::new(),
        body: draft.body.finish(),
        losses: draft.losses,
    }
}

/// Members of an object that we do not act on.
fn left(request: &Request, name: &str) -> Map<String, Value> {
    request.extra.of(NAME).and_then(|extra| extra.get(name)?.as_object().cloned()).unwrap_or_default()
}

fn write_settings(request: &Request, draft: &mut Draft<'_>) {
    let sampling = &request.sampling;
    let temperature = nearest_temperature(request, draft);
    draft.put("temperature", "sampling.temperature", temperature.as_ref());
    draft.put("top_p", "sampling.top_p", sampling.top_p.as_ref());
    draft.put("top_logprobs", "sampling.top_logprobs", sampling.top_logprobs.as_ref());
    match sampling.top_k {
        Some(top_k) if draft.quirks.accepts("top_k") => draft.body.put("top_k", &top_k),
        Some(_) => draft.losses.add("sampling.top_k", format!("not a field of {NAME}")),
        None => {}
    }
    draft.body.put_some("max_output_tokens", request.max_tokens.as_ref());
    draft.put("parallel_tool_calls", "parallel_tools", request.parallel_tools.as_ref());
    draft.put("service_tier", "service_tier", request.service_tier.as_ref());
    draft.put("prompt_cache_key", "cache_key", request.cache_key.as_ref());
    if !request.metadata.is_empty() {
        draft.put("metadata", "metadata", Some(&request.metadata));
    }
    let key = if draft.quirks.refuses("safety_identifier") { "user" } else { "safety_identifier" };
    draft.put(key, "user", request.user.as_ref());
    if request.stream {
        draft.body.put("stream", &true);
    }
}

/// What other dialects can ask for and this one cannot.
fn note_unsayable(request: &Request, draft: &mut Draft<'_>) {
    let sampling = &request.sampling;
    let losses = &mut draft.losses;
    let why = "not a field of openai-responses";
    losses.add_if_some(&sampling.frequency_penalty, "sampling.frequency_penalty", why);
    losses.add_if_some(&sampling.presence_penalty, "sampling.presence_penalty", why);
    losses.add_if_some(&sampling.seed, "sampling.seed", why);
    losses.add_if_some(&sampling.logit_bias, "sampling.logit_bias", why);
    losses.add_if_some(&request.speech, "speech", why);
    losses.add_if_some(&request.cache, "cache", "the provider caches by itself");
    if !request.stop.is_empty() {
        losses.add("stop", why);
    }
    if request.n.is_some_and(|n| n > 1) {
        losses.add("n", why);
    }
}

fn write_format(format: &Format, draft: &mut Draft<'_>) -> Option<Value> {
    let refuses = |word: &str| draft.quirks.refuses(word) || draft.quirks.refuses("response_format");
    let schema_refused = refuses("response_format.json_schema");
    let json_refused = refuses("response_format.json_object");
    let object = || Some(json!({ "type": "json_object" }));
    match format {
        Format::Text => None,
        Format::Schema { name, description, schema, strict } if !schema_refused => {
            let mut fields = Map::new();
            fields.insert("type".to_owned(), "json_schema".into());
            fields.insert("name".to_owned(), name.as_deref().unwrap_or("answer").into());
            fields.extend(description.as_ref().map(|text| ("description".to_owned(), text.as_str().into())));
            fields.insert("schema".to_owned(), schema.value());
            fields.extend(strict.map(|strict| ("strict".to_owned(), strict.into())));
            Some(Value::Object(fields))
        }
        Format::Schema { .. } | Format::Json if json_refused => {
            draft.losses.add("format", REFUSED);
            None
        }
        Format::Schema { .. } => {
            draft.losses.add("format.schema", "the provider is asked for JSON only, without the schema");
            object()
        }
        Format::Json => object(),
    }
}

/// Asks for thinking; whether any is asked for.
fn write_reasoning(request: &Request, draft: &mut Draft<'_>) -> bool {
    let mut object = left(request, "reasoning");
    let asked = request.reasoning.clone().unwrap_or_default();
    if asked != Reasoning::default() {
        if draft.quirks.refuses("reasoning") || draft.quirks.reasoning == ReasoningStyle::None {
            if !is_off(&asked) {
                draft.losses.add("reasoning", REFUSED);
            }
            return false;
        }
        if let Some(effort) = effort_of(&asked, draft) {
            object.entry("effort").or_insert(nearest_effort(effort, draft).word().into());
        }
        if asked.show == Some(true) && !object.contains_key("generate_summary") {
            object.entry("summary").or_insert("auto".into());
        }
    }
    if !object.is_empty() {
        draft.body.put("reasoning", &object);
    }
    !object.is_empty() && !is_off(&asked)
}

fn is_off(asked: &Reasoning) -> bool {
    asked.enabled == Some(false) || asked.effort == Some(Effort::None) || asked.budget == Some(0)
}

fn effort_of(asked: &Reasoning, draft: &mut Draft<'_>) -> Option<Effort> {
    if is_off(asked) {
        return Some(Effort::None);
    }
    if let (None, Some(budget)) = (asked.effort, asked.budget) {
        draft.losses.add("reasoning.budget", "told as an effort");
        return Some(Effort::from_budget(budget));
    }
    asked.effort.or((asked.enabled == Some(true)).then_some(Effort::Medium))
}

/// What else the answer shall hold. State is asked for where there is some: models that do not think refuse to give it.
fn write_include(request: &Request, thinks: bool, draft: &mut Draft<'_>) {
    let own = request.extra.of(NAME).and_then(|extra| extra.get("include")?.as_array().cloned());
    let mut words = own.unwrap_or_default();
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    let thought = parts.any(|part| {
        let is_own = part.signature.as_ref().is_some_and(|signature| signature.owner == NAME);
        is_own && matches!(part.content, Content::Reasoning { .. })
    });
    if thinks || thought {
        words.push(ENCRYPTED.into());
    }
    if request.sampling.logprobs == Some(true) {
        if draft.quirks.refuses("logprobs") {
            draft.losses.add("sampling.logprobs", REFUSED);
        } else {
            words.push(LOGPROBS.into());
        }
    }
    if !words.is_empty() {
        draft.body.put("include", &words);
    }
}
