//! The fields of a request beside its messages and tools.

use serde_json::Value;

use super::super::NAME;
use super::super::out::{self, Item};
use crate::catalog::{Quirks, ReasoningStyle};
use crate::ir::{CacheMark, Effort, Reasoning, Request};
use crate::loss::Losses;

/// The versions of the API, as far as they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 2023-06-01.
    Sampling,
    /// 2026-10-21 and later: no sampling parameters, but system messages anywhere.
    SystemTurns,
}

impl Version {
    pub(super) const USUAL: &str = "2023-06-01";

    pub(super) fn of(quirks: &Quirks) -> Self {
        // Dates in this form sort as text.
        match quirks.api_version.as_deref() {
            Some(version) if version >= "2026-10-21" => Version::SystemTurns,
            _ => Version::Sampling,
        }
    }
}

/// What is sent about thinking, and what follows from it.
pub(super) struct Thinking<'a> {
    pub(super) written: Option<out::Thinking<'a>>,
    pub(super) effort: Option<&'static str>,
    pub(super) on: bool,
    pub(super) max_tokens: u64,
}

/// Why a field is lost that `refuses` lists.
pub(super) const REFUSED: &str = "the provider does not take it";

const LEAST_BUDGET: u64 = 1024;
const USUAL_MAX_TOKENS: u64 = 8192;

/// Decides how thinking is asked for. `own` is a kind of thinking that only this dialect knows;
/// `lacks_thinking` says that a tool loop is to go on whose thinking is not at hand.
pub(super) fn decide_thinking<'a>(
    request: &Request,
    own: Option<&'a Value>,
    quirks: &Quirks,
    lacks_thinking: bool,
    losses: &mut Losses,
) -> Thinking<'a> {
    let usual = quirks.max_tokens_default.unwrap_or(USUAL_MAX_TOKENS);
    let mut thinking = Thinking { written: None, effort: None, on: false, max_tokens: request.max_tokens.unwrap_or(usual) };
    let Some(reasoning) = &request.reasoning else { return thinking };
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    if quirks.reasoning == ReasoningStyle::None || quirks.refuses("reasoning") {
        if !off {
            losses.add("reasoning", "the provider cannot be asked to think");
        }
        return thinking;
    }
    // The words of the other styles are of other dialects; those who use them know the older way of this one.
    let by_budget = quirks.reasoning != ReasoningStyle::Effort;
    if !by_budget || !quirks.efforts.is_empty() {
        thinking.effort = reasoning.effort.and_then(|effort| word(effort, quirks, losses));
    }
    if let Some(own) = own {
        thinking.written = Some(out::Thinking::Raw(own));
        thinking.on = true;
        return thinking;
    }
    if off {
        thinking.written = Some(out::Thinking::Own { kind: "disabled", budget_tokens: None, display: None });
        return thinking;
    }
    let display = reasoning.show.map(|show| if show { "summarized" } else { "omitted" });
    // In this dialect effort without thinking is a wish of its own; elsewhere effort is how thinking is asked for.
    let effort_asks = reasoning.effort.is_some() && request.extra.from != NAME;
    let wanted = reasoning.enabled == Some(true) || effort_asks;
    let budget =
        reasoning.budget.or_else(|| (by_budget && wanted).then(|| usual_budget(reasoning, thinking.effort.is_some(), losses)));
    if let Some(budget) = budget {
        if lacks_thinking {
            losses.add("reasoning", "off for this turn: the thinking that led to the tool call is not in the history");
        } else if let Some(budget) = fit_budget(budget, reasoning, request, &mut thinking.max_tokens, usual, losses) {
            thinking.written = Some(out::Thinking::Own { kind: "enabled", budget_tokens: Some(budget), display });
            thinking.on = true;
        }
    } else if wanted {
        thinking.written = Some(out::Thinking::Own { kind: "adaptive", budget_tokens: None, display });
        thinking.on = true;
    } else {
        losses.add_if_some(&reasoning.show, "reasoning.show", "thinking was not asked for");
    }
    thinking
}

fn usual_budget(reasoning: &Reasoning, effort_is_said: bool, losses: &mut Losses) -> u64 {
    let budget = reasoning.effort.unwrap_or(Effort::Medium).budget();
    if reasoning.effort.is_some() && !effort_is_said {
        losses.add("reasoning.effort", format!("sent as a budget of {budget} tokens"));
    }
    budget
}

/// A budget has a least size and must leave room below `max_tokens`, which is the caller's word or else raised.
fn fit_budget(
    asked: u64,
    reasoning: &Reasoning,
    request: &Request,
    max_tokens: &mut u64,
    usual: u64,
    losses: &mut Losses,
) -> Option<u64> {
    let mut budget = asked.max(LEAST_BUDGET);
    if request.max_tokens.is_none() {
        if budget >= *max_tokens {
            *max_tokens = budget.saturating_add(usual);
        }
    } else if *max_tokens <= LEAST_BUDGET {
        losses.add("reasoning", "off: max_tokens leaves no room for it");
        return None;
    } else if budget >= *max_tokens {
        budget = *max_tokens - 1;
    }
    if reasoning.budget.is_some() && budget != asked {
        losses.add("reasoning.budget", format!("sent as {budget}"));
    }
    Some(budget)
}

/// The nearest effort that the provider has a word for.
fn word(effort: Effort, quirks: &Quirks, losses: &mut Losses) -> Option<&'static str> {
    const WORDS: [Effort; 5] = [Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];
    if effort == Effort::None {
        return None;
    }
    let taken = |candidate: &&Effort| quirks.efforts.is_empty() || quirks.efforts.iter().any(|word| word == candidate.word());
    let nearest = WORDS.iter().filter(taken).min_by_key(|candidate| (**candidate as i32).abs_diff(effort as i32));
    match nearest {
        None => {
            losses.add("reasoning.effort", "the provider takes none");
            None
        }
        Some(nearest) => {
            if *nearest != effort {
                losses.add("reasoning.effort", format!("sent as {}", nearest.word()));
            }
            Some(nearest.word())
        }
    }
}

/// Temperature and its kin, where this version of the API takes them.
pub(super) fn write_sampling(
    request: &Request,
    version: Version,
    thinking: bool,
    quirks: &Quirks,
    body: &mut out::RequestBody<'_>,
    losses: &mut Losses,
) {
    let sampling = &request.sampling;
    let bound = |thousandths: u32| f64::from(thousandths) / 1000.0;
    let least = quirks.temperature_min.map_or(0.0, bound);
    let most = quirks.temperature_max.map_or(1.0, bound).max(least);
    let mut allow = |field: &'static str, short: &str, harmless_with_thinking: bool| {
        let why = match (version, thinking && !harmless_with_thinking, quirks.refuses(short)) {
            (Version::SystemTurns, ..) => "not accepted by this version of the API",
            (_, true, _) => "not accepted together with thinking",
            (.., true) => REFUSED,
            _ => return true,
        };
        losses.add(field, why);
        false
    };
    let temperature = sampling.temperature.filter(|t| allow("sampling.temperature", "temperature", *t == 1.0));
    let top_p = sampling.top_p.filter(|p| allow("sampling.top_p", "top_p", *p >= 0.95));
    body.top_k = sampling.top_k.filter(|_| allow("sampling.top_k", "top_k", false));
    body.temperature = temperature.map(|asked| {
        let sent = asked.clamp(least, most);
        if sent != asked {
            losses.add("sampling.temperature", format!("sent as {sent}"));
        }
        sent
    });
    // Some models refuse both together; 1 says nothing.
    body.top_p = top_p.filter(|p| temperature.is_none() || *p != 1.0);

    const NONE: &str = "not supported by anthropic-messages";
    let told = |penalty: &Option<f64>| penalty.filter(|p| *p != 0.0);
    losses.add_if_some(&told(&sampling.frequency_penalty), "sampling.frequency_penalty", NONE);
    losses.add_if_some(&told(&sampling.presence_penalty), "sampling.presence_penalty", NONE);
    losses.add_if_some(&sampling.seed, "sampling.seed", NONE);
    losses.add_if_some(&sampling.logit_bias, "sampling.logit_bias", NONE);
    losses.add_if_some(&sampling.logprobs.filter(|asked| *asked), "sampling.logprobs", NONE);
    losses.add_if_some(&sampling.top_logprobs.filter(|most| *most > 0), "sampling.top_logprobs", NONE);
    losses.add_if_some(&request.n.filter(|n| *n > 1), "n", "one answer a request");
    losses.add_if_some(&request.speech, "speech", NONE);
    losses.add_if_some(&request.verbosity, "verbosity", NONE);
    losses.add_if_some(&request.cache_key, "cache_key", NONE);
}

/// Stop texts, the end user, the tier.
pub(super) fn write_rest<'a>(
    request: &'a Request,
    own_metadata: Option<&'a Value>,
    quirks: &Quirks,
    body: &mut out::RequestBody<'a>,
    losses: &mut Losses,
) {
    let refused = |value: bool, field: &'static str, losses: &mut Losses| {
        let refused = value && quirks.refuses(field);
        if refused {
            losses.add(field, REFUSED);
        }
        refused
    };
    let stop = if refused(!request.stop.is_empty(), "stop", losses) { &[][..] } else { &request.stop };
    for (at, stop) in stop.iter().enumerate() {
        if stop.trim().is_empty() {
            losses.add(format!("stop[{at}]"), "white space alone cannot end an answer here");
        } else {
            body.stop_sequences.push(stop);
        }
    }
    let metadata = own_metadata.and_then(Value::as_object);
    let user = if refused(request.user.is_some(), "user", losses) { None } else { request.user.as_deref() };
    if user.is_some() || metadata.is_some() {
        body.metadata = Some(out::Metadata { user_id: user, extra: metadata });
    }
    if !request.metadata.is_empty() {
        losses.add("metadata", "no labels but the end user's id");
    }
    body.service_tier = match request.service_tier.as_deref() {
        Some(_) if quirks.refuses("service_tier") => None,
        Some("auto") => Some("auto"),
        Some("default" | "standard" | "standard_only") => Some("standard_only"),
        Some("priority") => Some("auto"),
        _ => None,
    };
    match request.service_tier.as_deref() {
        Some("priority") if body.service_tier.is_some() => losses.add("service_tier", "sent as auto"),
        Some(_) if body.service_tier.is_none() => losses.add("service_tier", "no such tier here"),
        _ => {}
    }
}

/// The marker that puts itself on the last part that can carry one.
pub(super) fn write_top_cache(request: &Request, quirks: &Quirks, losses: &mut Losses) -> Option<out::CacheControl> {
    let mark = request.cache.as_ref()?;
    if quirks.refuses("cache_control") {
        losses.add("cache", REFUSED);
        return None;
    }
    Some(write_cache(mark, "cache", losses))
}

/// A prompt-cache marker; of the lifetimes only 5m and 1h exist.
pub(super) fn write_cache(mark: &CacheMark, path: &str, losses: &mut Losses) -> out::CacheControl {
    let ttl = match mark.ttl.as_deref() {
        None => None,
        Some("5m") => Some("5m"),
        Some("1h") => Some("1h"),
        Some(other) => {
            let nearest = if minutes(other).is_some_and(|minutes| minutes <= 15) { "5m" } else { "1h" };
            losses.add(format!("{path}.ttl"), format!("sent as {nearest}"));
            Some(nearest)
        }
    };
    out::CacheControl { kind: "ephemeral", ttl }
}

fn minutes(ttl: &str) -> Option<u64> {
    let (number, unit) = ttl.split_at_checked(ttl.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => return number.parse::<u64>().ok().map(|seconds| seconds / 60),
        "m" => 1,
        "h" => 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// At most four cache markers are taken; the last ones cover the most.
pub(super) fn limit_cache_marks(body: &mut out::RequestBody<'_>, losses: &mut Losses) {
    let mut left = if body.cache_control.is_some() { 3 } else { 4 };
    let mut dropped = 0;
    let mut visit = |mark: &mut Option<out::CacheControl>| {
        if mark.is_some() && left == 0 {
            *mark = None;
            dropped += 1;
        } else if mark.is_some() {
            left -= 1;
        }
    };
    let messages = body.messages.iter_mut().rev().flat_map(|message| message.content.0.iter_mut().rev());
    for item in messages.chain(body.system.0.iter_mut().rev()) {
        if let Item::Own(block) = item {
            visit(&mut block.cache_control);
        }
    }
    for item in body.tools.iter_mut().rev() {
        if let Item::Own(tool) = item {
            visit(&mut tool.cache_control);
        }
    }
    if dropped > 0 {
        losses.add("cache", format!("{dropped} of the markers left out: at most four are taken"));
    }
}
