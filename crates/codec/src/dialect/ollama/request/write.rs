//! A canonical request as a provider is sent it.

use http::{HeaderMap, Method};
use serde::Serialize;

use super::super::{CHAT, GENERATE, Shape};
use super::{OF_A_PROMPT, OPTION, prompt, tool, write_message};
use crate::catalog::Quirks;
use crate::dialect::Outgoing;
use crate::dialect::object::Object;
use crate::error::Result;
use crate::ir::{Effort, Format, Reasoning, Request};
use crate::loss::Losses;

const REFUSED: &str = "not supported by this provider";

/// Writes it.
pub(in super::super) fn write(shape: Shape, request: &Request, quirks: &Quirks) -> Result<Outgoing> {
    let mut losses = Losses::default();
    let mut body = Object::with_capacity(1024);
    body.put("model", &request.model);
    match shape {
        Shape::Chat => {
            body.put("messages", &write_message::write(request, &mut losses));
            if quirks.refuses("tools") && !request.tools.is_empty() {
                losses.add("tools", REFUSED);
            } else {
                tool::write(request, &mut body, &mut losses);
            }
        }
        Shape::Generate => {
            prompt::write(request, &mut body, &mut losses)?;
            if !request.tools.is_empty() {
                losses.add("tools", "a prompt has no tools");
            }
            losses.add_if_some(&request.tool_choice, "tool_choice", "a prompt has no tools");
            losses.add_if_some(&request.parallel_tools, "parallel_tools", "a prompt has no tools");
        }
    }
    body.put("stream", &request.stream);
    write_format(&request.format, quirks, &mut body, &mut losses);
    if let Some(asked) = &request.reasoning {
        write_think(asked, quirks, &mut body, &mut losses);
    }
    let options = write_options(shape, request, quirks, &mut losses);
    if !options.is_empty() {
        body.put("options", &options);
    }
    body.put_some("logprobs", request.sampling.logprobs.as_ref());
    body.put_some("top_logprobs", request.sampling.top_logprobs.as_ref());
    write_extra(shape, request, &mut body, &mut losses);
    body.put_all(&quirks.body);
    lose_rest(request, &mut losses);
    let path = shape.path().to_owned();
    Ok(Outgoing { method: Method::POST, path, headers: HeaderMap::new(), body: body.finish(), losses })
}

fn write_format(format: &Format, quirks: &Quirks, body: &mut Object, losses: &mut Losses) {
    match format {
        Format::Text => {}
        _ if quirks.refuses("response_format") => losses.add("format", REFUSED),
        Format::Json => body.put("format", "json"),
        Format::Schema { name, description, schema, strict } => {
            losses.add_if_some(name, "format.name", "a schema has no name here");
            losses.add_if_some(description, "format.description", "a schema has no description here");
            if *strict == Some(false) {
                losses.add("format.strict", "a schema always binds here");
            }
            body.put("format", schema);
        }
    }
}

/// On, off, or how hard.
fn write_think(asked: &Reasoning, quirks: &Quirks, body: &mut Object, losses: &mut Losses) {
    const LEVELS: [Effort; 4] = [Effort::Low, Effort::Medium, Effort::High, Effort::Max];
    if quirks.refuses("reasoning") {
        return losses.add("reasoning", REFUSED);
    }
    if asked.show == Some(false) {
        losses.add("reasoning.show", "thinking is always shown");
    }
    if asked.enabled == Some(false) || asked.effort == Some(Effort::None) || asked.budget == Some(0) {
        return body.put("think", &false);
    }
    if asked.budget.is_some() {
        losses.add("reasoning.budget", "told as an effort");
    }
    match asked.effort.or(asked.budget.map(Effort::from_budget)) {
        Some(effort) => {
            let distance = |level: &Effort| (*level as i32 - effort as i32).abs();
            let level = LEVELS.into_iter().min_by_key(distance).unwrap_or(Effort::Medium);
            if level != effort && asked.effort.is_some() {
                losses.add("reasoning.effort", format!("{} instead of {}", level.word(), effort.word()));
            }
            body.put("think", level.word());
        }
        None => body.put_some("think", asked.enabled.as_ref()),
    }
}

fn write_options(shape: Shape, request: &Request, quirks: &Quirks, losses: &mut Losses) -> Object {
    let mut options = Object::with_capacity(128);
    let sampling = &request.sampling;
    let bound = |thousandths: Option<u32>| thousandths.map(|number| f64::from(number) / 1000.0);
    let (least, most) = (bound(quirks.temperature_min), bound(quirks.temperature_max));
    let temperature = sampling.temperature.map(|asked| asked.max(least.unwrap_or(asked)).min(most.unwrap_or(f64::MAX)));
    if temperature != sampling.temperature {
        losses.add("sampling.temperature", "moved into the range that this provider takes");
    }
    let stop = Some(&request.stop).filter(|stop| !stop.is_empty());
    let mut pen = Pen { quirks, options: &mut options, losses };
    pen.put("temperature", ("temperature", "sampling.temperature"), temperature);
    pen.put("top_p", ("top_p", "sampling.top_p"), sampling.top_p);
    pen.put("top_k", ("top_k", "sampling.top_k"), sampling.top_k);
    pen.put("frequency_penalty", ("frequency_penalty", "sampling.frequency_penalty"), sampling.frequency_penalty);
    pen.put("presence_penalty", ("presence_penalty", "sampling.presence_penalty"), sampling.presence_penalty);
    pen.put("seed", ("seed", "sampling.seed"), sampling.seed);
    pen.put("num_predict", ("max_tokens", "max_tokens"), request.max_tokens);
    pen.put("stop", ("stop", "stop"), stop);
    for (key, value) in own(shape, request) {
        if let Some(option) = key.strip_prefix(OPTION) {
            options.put(option, value);
        }
    }
    options
}

struct Pen<'p> {
    quirks: &'p Quirks,
    options: &'p mut Object,
    losses: &'p mut Losses,
}

impl Pen<'_> {
    /// Puts an option, unless the provider refuses what the quirks and the canonical request call by these names.
    fn put(&mut self, key: &str, (name, canonical): (&str, &'static str), value: Option<impl Serialize>) {
        match value {
            Some(_) if self.quirks.refuses(name) => self.losses.add(canonical, REFUSED),
            value => self.options.put_some(key, value.as_ref()),
        }
    }
}

/// The request's fields of this dialect, in whichever of its shapes they were read.
fn own(shape: Shape, request: &Request) -> impl Iterator<Item = (&String, &serde_json::Value)> {
    let fields = request.extra.of(CHAT).or_else(|| request.extra.of(GENERATE));
    fields.into_iter().flatten().filter(move |(key, _)| fits(shape, key))
}

fn fits(shape: Shape, key: &str) -> bool {
    shape == Shape::Generate || !OF_A_PROMPT.contains(&key)
}

fn write_extra(shape: Shape, request: &Request, body: &mut Object, losses: &mut Losses) {
    if !matches!(request.extra.from, CHAT | GENERATE) {
        return losses.add_foreign("", &request.extra, shape.name());
    }
    for (key, value) in own(shape, request) {
        if !key.starts_with(OPTION) {
            body.put(key, value);
        }
    }
    for key in request.extra.fields.keys().filter(|key| !fits(shape, key)) {
        losses.add(key.clone(), "a conversation has no such thing");
    }
}

/// What neither shape can ask for.
fn lose_rest(request: &Request, losses: &mut Losses) {
    const WHY: &str = "ollama has no such thing";
    losses.add_if_some(&request.sampling.logit_bias, "sampling.logit_bias", WHY);
    if request.n.is_some_and(|n| n > 1) {
        losses.add("n", WHY);
    }
    losses.add_if_some(&request.speech, "speech", WHY);
    losses.add_if_some(&request.user, "user", WHY);
    losses.add_if_some(&request.service_tier, "service_tier", WHY);
    losses.add_if_some(&request.verbosity, "verbosity", WHY);
    losses.add_if_some(&request.cache_key, "cache_key", WHY);
    losses.add_if_some(&request.cache, "cache", "the provider caches by itself");
    if !request.metadata.is_empty() {
        losses.add("metadata", WHY);
    }
}
