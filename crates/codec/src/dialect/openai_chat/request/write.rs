//! A canonical request as a provider is sent it.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::super::NAME;
use super::write_message::write_messages;
use super::write_tool::write_tools;
use crate::catalog::{Quirks, ReasoningStyle};
use crate::dialect::Outgoing;
use crate::dialect::object::Object;
use crate::ir::{CacheMark, Effort, Format, Raw, Reasoning, Request};
use crate::loss::Losses;

/// Fields that a provider is sent, and what it cannot be told.
pub(crate) struct Draft<'q> {
    pub(crate) body: Object,
    pub(crate) losses: Losses,
    pub(crate) quirks: &'q Quirks,
}

/// Why a field is lost that the provider does not take.
pub(crate) const REFUSED: &str = "not supported by this provider";

impl<'q> Draft<'q> {
    /// Nothing yet.
    pub(crate) fn new(quirks: &'q Quirks) -> Self {
        Draft { body: Object::with_capacity(1024), losses: Losses::default(), quirks }
    }

    /// Puts a field, unless the provider refuses it; its canonical name is what a loss is called.
    pub(crate) fn put(&mut self, key: &'static str, canonical: &'static str, value: Option<&(impl serde::Serialize + ?Sized)>) {
        if let Some(value) = value {
            if self.quirks.refuses(key) {
                self.losses.add(canonical, REFUSED);
            } else {
                self.body.put(self.quirks.field(key), value);
            }
        }
    }
}

/// Writes a request.
pub(crate) fn write_request(request: &Request, quirks: &Quirks) -> Outgoing {
    let mut draft = Draft::new(quirks);
    draft.body.put("model", &request.model);
    let messages = write_messages(request, quirks, &mut draft.losses);
    draft.body.put("messages", &messages);
    write_tools(request, &mut draft);
    write_format(&request.format, &mut draft);
    if let Some(reasoning) = &request.reasoning {
        write_reasoning(reasoning, request, &mut draft);
    }
    write_settings(request, &mut draft);
    draft.put("n", "n", request.n.as_ref());
    draft.put("logprobs", "sampling.logprobs", request.sampling.logprobs.as_ref());
    draft.put("top_logprobs", "sampling.top_logprobs", request.sampling.top_logprobs.as_ref());
    draft.body.put_some(quirks.max_tokens.as_str(), request.max_tokens.as_ref());
    if let Some(speech) = &request.speech {
        draft.put("modalities", "speech", Some(&["text", "audio"]));
        let format = speech.format.as_deref().unwrap_or(if request.stream { "pcm16" } else { "wav" });
        let voice = speech.voice.clone().unwrap_or_else(|| Raw::of(&"alloy"));
        draft.put("audio", "speech", Some(&json!({ "voice": voice.value(), "format": format })));
    }
    draft.put("verbosity", "verbosity", request.verbosity.as_ref());
    draft.put("service_tier", "service_tier", request.service_tier.as_ref());
    draft.put("prompt_cache_key", "cache_key", request.cache_key.as_ref());
    if !request.metadata.is_empty() {
        draft.put("metadata", "metadata", Some(&request.metadata));
    }
    match &request.cache {
        Some(mark) if quirks.accepts("cache_control") => draft.body.put("cache_control", &cache_control(mark)),
        Some(_) => draft.losses.add("cache", "the provider caches by itself"),
        None => {}
    }
    finish(draft, request, NAME, "/chat/completions")
}

/// Adds the fields that are not ours and wraps the body up.
pub(crate) fn finish(mut draft: Draft<'_>, request: &Request, dialect: &'static str, path: &str) -> Outgoing {
    match request.extra.of(dialect) {
        Some(fields) => {
            for (key, value) in fields {
                if draft.quirks.refuses(key) {
                    draft.losses.add(key.clone(), REFUSED);
                } else {
                    draft.body.put(key, value);
                }
            }
        }
        None => draft.losses.add_foreign("", &request.extra, dialect),
    }
    draft.body.put_all(&draft.quirks.body);
    Outgoing {
        method: Method::POST,
        path: path.to_owned(),
        headers: HeaderMap::new(),
        body: draft.body.finish(),
        losses: draft.losses,
    }
}

/// Writes the fields that chat shares with plain completions.
pub(crate) fn write_settings(request: &Request, draft: &mut Draft<'_>) {
    let sampling = &request.sampling;
    let temperature = nearest_temperature(request, draft);
    draft.put("temperature", "sampling.temperature", temperature.as_ref());
    draft.put("top_p", "sampling.top_p", sampling.top_p.as_ref());
    match sampling.top_k {
        Some(top_k) if draft.quirks.accepts("top_k") => draft.body.put("top_k", &top_k),
        Some(_) => draft.losses.add("sampling.top_k", format!("not a field of {NAME}")),
        None => {}
    }
    draft.put("frequency_penalty", "sampling.frequency_penalty", sampling.frequency_penalty.as_ref());
    draft.put("presence_penalty", "sampling.presence_penalty", sampling.presence_penalty.as_ref());
    draft.put("seed", "sampling.seed", sampling.seed.as_ref());
    draft.put("logit_bias", "sampling.logit_bias", sampling.logit_bias.as_ref());
    if !request.stop.is_empty() {
        draft.put("stop", "stop", Some(&request.stop));
    }
    draft.put("user", "user", request.user.as_ref());
    if request.stream {
        draft.body.put("stream", &true);
        if draft.quirks.stream_usage {
            draft.body.put("stream_options", &json!({ "include_usage": true }));
        }
    }
}

/// The temperature that was asked for, or the nearest that the provider takes.
pub(crate) fn nearest_temperature(request: &Request, draft: &mut Draft<'_>) -> Option<f64> {
    let bound = |thousandths: Option<u32>| thousandths.map(|thousandths| f64::from(thousandths) / 1000.0);
    let (least, most) = (bound(draft.quirks.temperature_min), bound(draft.quirks.temperature_max));
    request.sampling.temperature.map(|asked| {
        let taken = asked.max(least.unwrap_or(asked)).min(most.unwrap_or(f64::MAX));
        if taken != asked {
            draft.losses.add("sampling.temperature", format!("{taken} instead, the nearest that the provider takes"));
        }
        taken
    })
}

/// A cache marker in the words of `prompt_cache_breakpoint`.
pub(crate) fn cache_breakpoint(mark: &CacheMark) -> Value {
    match mark.ttl.as_deref() {
        Some(ttl @ ("30m" | "12h")) => json!({ "mode": "explicit", "ttl": ttl }),
        _ => json!({ "mode": "explicit" }),
    }
}

/// A cache marker in the words of `cache_control`.
pub(super) fn cache_control(mark: &CacheMark) -> Value {
    match mark.ttl.as_deref() {
        Some(ttl @ ("5m" | "1h")) => json!({ "type": "ephemeral", "ttl": ttl }),
        _ => json!({ "type": "ephemeral" }),
    }
}

fn write_format(format: &Format, draft: &mut Draft<'_>) {
    let refuses = |word: &str| draft.quirks.refuses(word) || draft.quirks.refuses("response_format");
    let schema_refused = refuses("response_format.json_schema");
    let json_refused = refuses("response_format.json_object");
    match format {
        Format::Text => {}
        Format::Schema { name, description, schema, strict } if !schema_refused => {
            let mut inner = Object::with_capacity(64 + schema.get().len());
            inner.put("name", name.as_deref().unwrap_or("answer"));
            inner.put_some("description", description.as_deref());
            inner.put("schema", schema);
            inner.put_some("strict", strict.as_ref());
            let mut outer = Object::with_capacity(64);
            outer.put("type", "json_schema");
            outer.put("json_schema", &inner);
            draft.body.put("response_format", &outer);
        }
        Format::Schema { .. } if json_refused => draft.losses.add("format", REFUSED),
        Format::Schema { .. } => {
            draft.losses.add("format.schema", "the provider is asked for JSON only, without the schema");
            draft.body.put("response_format", &json!({ "type": "json_object" }));
        }
        Format::Json if json_refused => draft.losses.add("format", REFUSED),
        Format::Json => draft.body.put("response_format", &json!({ "type": "json_object" })),
    }
}

/// Asks for thinking in the provider's way.
fn write_reasoning(asked: &Reasoning, request: &Request, draft: &mut Draft<'_>) {
    if draft.quirks.refuses("reasoning") {
        return draft.losses.add("reasoning", REFUSED);
    }
    let off = asked.enabled == Some(false) || asked.effort == Some(Effort::None) || asked.budget == Some(0);
    if asked.show.is_some() && draft.quirks.reasoning != ReasoningStyle::ReasoningObject {
        draft.losses.add("reasoning.show", REFUSED);
    }
    match draft.quirks.reasoning {
        ReasoningStyle::None if off => {}
        ReasoningStyle::None => draft.losses.add("reasoning", REFUSED),
        ReasoningStyle::Effort => {
            let effort = if off { Some(Effort::None) } else { asked.effort };
            let effort = effort.or_else(|| {
                let budget = asked.budget?;
                draft.losses.add("reasoning.budget", "told as an effort");
                Some(Effort::from_budget(budget))
            });
            let effort = effort.or((asked.enabled == Some(true)).then_some(Effort::Medium));
            if let Some(effort) = effort {
                write_effort(effort, draft);
            }
        }
        ReasoningStyle::Thinking => {
            // The caller may know more members of `thinking` than we do.
            if request.extra.of(NAME).is_none_or(|extra| !extra.contains_key("thinking")) {
                let word = if off { "disabled" } else { "enabled" };
                let mut thinking = json!({ "type": word });
                match (asked.budget, thinking.as_object_mut()) {
                    (Some(budget), Some(object)) if !off && draft.quirks.accepts("thinking.budget_tokens") => {
                        object.insert("budget_tokens".to_owned(), budget.into());
                    }
                    (Some(_), _) if !off => draft.losses.add("reasoning.budget", REFUSED),
                    _ => {}
                }
                draft.body.put("thinking", &thinking);
            }
            match asked.effort {
                Some(effort) if !off && !draft.quirks.efforts.is_empty() => write_effort(effort, draft),
                Some(_) if !off => draft.losses.add("reasoning.effort", "thinking is only on or off here"),
                _ => {}
            }
        }
        ReasoningStyle::EnableThinking => {
            draft.body.put("enable_thinking", &!off);
            let budget = asked.budget.or(asked.effort.map(Effort::budget));
            if let Some(budget) = budget.filter(|_| !off) {
                draft.put("thinking_budget", "reasoning.budget", Some(&budget));
            }
        }
        ReasoningStyle::ReasoningObject => {
            let mut object = serde_json::Map::new();
            if off {
                object.insert("effort".to_owned(), "none".into());
            } else {
                // Effort and budget exclude each other.
                match (asked.effort, asked.budget) {
                    (_, Some(budget)) => drop(object.insert("max_tokens".to_owned(), budget.into())),
                    (Some(effort), None) => drop(object.insert("effort".to_owned(), effort.word().into())),
                    (None, None) => {
                        object.extend(asked.enabled.map(|enabled| ("enabled".to_owned(), enabled.into())));
                    }
                }
            }
            object.extend(asked.show.map(|show| ("exclude".to_owned(), (!show).into())));
            draft.body.put("reasoning", &object);
        }
    }
}

/// Asks for an effort.
fn write_effort(asked: Effort, draft: &mut Draft<'_>) {
    let effort = nearest_effort(asked, draft);
    draft.put("reasoning_effort", "reasoning.effort", Some(effort.word()));
}

/// The effort, or the nearest that the provider knows.
pub(crate) fn nearest_effort(asked: Effort, draft: &mut Draft<'_>) -> Effort {
    let known: Vec<Effort> = draft.quirks.efforts.iter().filter_map(|word| Effort::parse(word)).collect();
    let distance = |effort: &Effort| (*effort as i32 - asked as i32).abs();
    let effort = known.iter().copied().min_by_key(distance).unwrap_or(asked);
    if effort != asked {
        draft.losses.add("reasoning.effort", format!("{} instead of {}", effort.word(), asked.word()));
    }
    effort
}
