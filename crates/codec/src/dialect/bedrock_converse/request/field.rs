//! The fields of a request beside its messages and tools.

use serde_json::{Map, Value, json};

use super::super::{NAME, out};
use crate::catalog::{Quirks, ReasoningStyle};
use crate::ir::{CacheMark, Effort, Format, Reasoning, Request};
use crate::loss::Losses;

/// Why a field is lost that `refuses` lists.
pub(super) const REFUSED: &str = "the provider does not take it";
const NONE: &str = "not supported by bedrock-converse";

const LEAST_BUDGET: u64 = 1024;

/// What was sent about thinking.
#[derive(Clone, Copy)]
pub(super) struct Thinking {
    /// It is on by the model's own field, which forbids other fields.
    on: bool,
    effort: Option<Effort>,
}

/// Asks for thinking: a budget by the model's own field, effort by the dialect's. `lacks_thinking` says that a tool loop
/// is to go on whose thinking is not at hand.
pub(super) fn write_thinking(
    request: &Request,
    quirks: &Quirks,
    lacks_thinking: bool,
    body: &mut out::Body<'_>,
    losses: &mut Losses,
) -> Thinking {
    let mut thinking = Thinking { on: false, effort: None };
    let fields = &mut body.additional_model_request_fields;
    if fields.contains_key("thinking") {
        thinking.on = true;
    }
    let Some(reasoning) = &request.reasoning else { return thinking };
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    if quirks.reasoning == ReasoningStyle::None || quirks.refuses("reasoning") {
        if !off {
            losses.add("reasoning", "the provider cannot be asked to think");
        }
        return thinking;
    }
    if off {
        // Models think when they are asked to; those that know the field at all came with it.
        if request.extra.from == NAME {
            fields.insert("thinking".to_owned(), json!({"type": "disabled"}));
        }
        return thinking;
    }
    let by_budget = quirks.reasoning != ReasoningStyle::Effort;
    let budget = reasoning.budget.or_else(|| by_budget.then(|| usual_budget(reasoning, losses)));
    thinking.effort = reasoning.effort.filter(|_| !by_budget);
    let adaptive = budget.is_none() && reasoning.enabled == Some(true);
    if (budget.is_some() || adaptive) && lacks_thinking {
        losses.add("reasoning", "off for this turn: the thinking that led to the tool call is not in the history");
        return thinking;
    }
    let mut object = match budget.map(|budget| fit_budget(budget, request.max_tokens, losses)) {
        Some(Some(budget)) => json!({"type": "enabled", "budget_tokens": budget}),
        Some(None) => return thinking,
        None if adaptive => json!({"type": "adaptive"}),
        None => {
            losses.add_if_some(&reasoning.show, "reasoning.show", "thinking was not asked for");
            return thinking;
        }
    };
    if let (Some(show), Some(object)) = (reasoning.show, object.as_object_mut()) {
        object.insert("display".to_owned(), json!(if show { "summarized" } else { "omitted" }));
    }
    fields.insert("thinking".to_owned(), object);
    thinking.on = true;
    thinking
}

fn usual_budget(reasoning: &Reasoning, losses: &mut Losses) -> u64 {
    let budget = reasoning.effort.unwrap_or(Effort::Medium).budget();
    if reasoning.effort.is_some() {
        losses.add("reasoning.effort", format!("sent as a budget of {budget} tokens"));
    }
    budget
}

/// A budget has a least size and must leave room below the longest reply.
fn fit_budget(asked: u64, max_tokens: Option<u64>, losses: &mut Losses) -> Option<u64> {
    let mut budget = asked.max(LEAST_BUDGET);
    match max_tokens {
        Some(most) if most <= LEAST_BUDGET => {
            losses.add("reasoning", "off: max_tokens leaves no room for it");
            return None;
        }
        Some(most) if budget >= most => budget = most - 1,
        _ => {}
    }
    if budget != asked {
        losses.add("reasoning.budget", format!("sent as {budget}"));
    }
    Some(budget)
}

/// Length, dice and stop texts.
pub(super) fn write_inference<'a>(
    request: &'a Request,
    thinking: Thinking,
    own: Map<String, Value>,
    quirks: &Quirks,
    body: &mut out::Body<'a>,
    losses: &mut Losses,
) {
    let sampling = &request.sampling;
    let bound = |thousandths: u32| f64::from(thousandths) / 1000.0;
    let least = quirks.temperature_min.map_or(0.0, bound);
    let most = quirks.temperature_max.map_or(1.0, bound).max(least);
    let mut allow = |field: &'static str, short: &str, harmless: bool| {
        let why = match (thinking.on && !harmless, quirks.refuses(short)) {
            (true, _) => "not accepted together with thinking",
            (_, true) => REFUSED,
            _ => return true,
        };
        losses.add(field, why);
        false
    };
    let mut inference = out::Inference { extra: own, ..out::Inference::default() };
    inference.max_tokens = request.max_tokens.filter(|_| allow("max_tokens", "max_tokens", true));
    let temperature = sampling.temperature.filter(|t| allow("sampling.temperature", "temperature", *t == 1.0));
    inference.top_p = sampling.top_p.filter(|p| allow("sampling.top_p", "top_p", *p >= 0.95));
    let top_k = sampling.top_k.filter(|_| allow("sampling.top_k", "top_k", false));
    if !request.stop.is_empty() && allow("stop", "stop", true) {
        inference.stop_sequences = request.stop.iter().map(String::as_str).filter(|stop| !stop.is_empty()).collect();
    }
    inference.temperature = temperature.map(|asked| {
        let sent = asked.clamp(least, most);
        if sent != asked {
            losses.add("sampling.temperature", format!("sent as {sent}"));
        }
        sent
    });
    if let Some(top_k) = top_k {
        body.additional_model_request_fields.insert("top_k".to_owned(), json!(top_k));
    }
    let is_empty = inference.max_tokens.is_none()
        && inference.temperature.is_none()
        && inference.top_p.is_none()
        && inference.stop_sequences.is_empty()
        && inference.extra.is_empty();
    body.inference_config = (!is_empty).then_some(inference);

    let told = |penalty: &Option<f64>| penalty.filter(|p| *p != 0.0);
    losses.add_if_some(&told(&sampling.frequency_penalty), "sampling.frequency_penalty", NONE);
    losses.add_if_some(&told(&sampling.presence_penalty), "sampling.presence_penalty", NONE);
    losses.add_if_some(&sampling.seed, "sampling.seed", NONE);
    losses.add_if_some(&sampling.logit_bias, "sampling.logit_bias", NONE);
    losses.add_if_some(&sampling.logprobs.filter(|asked| *asked), "sampling.logprobs", NONE);
    losses.add_if_some(&sampling.top_logprobs.filter(|most| *most > 0), "sampling.top_logprobs", NONE);
    losses.add_if_some(&request.n.filter(|n| *n > 1), "n", "one answer a request");
    losses.add_if_some(&request.speech, "speech", NONE);
}

/// The answer's form, and how hard to think.
pub(super) fn write_output<'a>(
    request: &'a Request,
    thinking: Thinking,
    own: Map<String, Value>,
    quirks: &Quirks,
    body: &mut out::Body<'a>,
    losses: &mut Losses,
) {
    let mut config = out::OutputConfig { extra: own, ..out::OutputConfig::default() };
    config.effort = thinking.effort.map(|effort| nearest(effort, quirks, losses).word());
    match &request.format {
        Format::Text => {}
        Format::Json => losses.add("format", "bedrock-converse has no JSON without a schema"),
        Format::Schema { .. } if quirks.refuses("response_format.json_schema") => losses.add("format", REFUSED),
        Format::Schema { name, description, schema, .. } => {
            config.text_format = Some(out::TextFormat {
                kind: "json_schema",
                structure: out::Structure::JsonSchema {
                    schema: schema.get(),
                    name: name.as_deref(),
                    description: description.as_deref(),
                },
            });
        }
    }
    let is_empty = config.effort.is_none() && config.text_format.is_none() && config.extra.is_empty();
    body.output_config = (!is_empty).then_some(config);
}

/// The nearest effort that the provider has a word for.
fn nearest(effort: Effort, quirks: &Quirks, losses: &mut Losses) -> Effort {
    const ALL: [Effort; 6] = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];
    let taken = |candidate: &&Effort| quirks.efforts.is_empty() || quirks.efforts.iter().any(|word| word == candidate.word());
    let nearest = ALL.iter().filter(taken).min_by_key(|candidate| (**candidate as i32).abs_diff(effort as i32));
    let nearest = nearest.copied().unwrap_or(effort);
    if nearest != effort {
        losses.add("reasoning.effort", format!("sent as {}", nearest.word()));
    }
    nearest
}

/// The end user, labels, the tier.
pub(super) fn write_rest<'a>(request: &'a Request, quirks: &Quirks, body: &mut out::Body<'a>, losses: &mut Losses) {
    losses.add_if_some(&request.user, "user", NONE);
    losses.add_if_some(&request.verbosity, "verbosity", NONE);
    losses.add_if_some(&request.cache_key, "cache_key", NONE);
    for (key, value) in &request.metadata {
        if body.request_metadata.len() < 16 && is_label(key, 1) && is_label(value, 0) {
            body.request_metadata.insert(key.clone(), Value::String(value.clone()));
        } else {
            losses.add(format!("metadata.{key}"), "at most 16 labels of 256 plain characters");
        }
    }
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some(_) if quirks.refuses("service_tier") => losses.add("service_tier", REFUSED),
        Some(kind @ ("default" | "priority" | "flex" | "reserved")) => body.service_tier = Some(out::Tier { kind }),
        Some(_) => losses.add("service_tier", "no such tier here"),
    }
}

fn is_label(text: &str, least: usize) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || ":_@$#=/+,-.".contains(c);
    (least..=256).contains(&text.chars().count()) && text.chars().all(plain)
}

/// A prompt-cache marker; of the lifetimes only 5m and 1h exist.
pub(super) fn write_cache(mark: &CacheMark, path: &str, losses: &mut Losses) -> out::CachePoint {
    let ttl = match mark.ttl.as_deref() {
        None => None,
        Some("5m") => Some("5m"),
        Some("1h") => Some("1h"),
        Some(other) => {
            let short = other.strip_suffix('m').and_then(|n| n.parse::<u64>().ok()).is_some_and(|minutes| minutes <= 15);
            let nearest = if short { "5m" } else { "1h" };
            losses.add(format!("{path}.ttl"), format!("sent as {nearest}"));
            Some(nearest)
        }
    };
    out::CachePoint { kind: "default", ttl }
}
