//! A canonical request as a provider is sent it.

use http::{HeaderMap, Method};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{NAME, PATH};
use super::{tool, write_message};
use crate::catalog::Quirks;
use crate::dialect::Outgoing;
use crate::dialect::object::Object;
use crate::ir::{Content, Effort, Format, Reasoning, Request};
use crate::loss::Losses;

const REFUSED: &str = "not supported by this provider";

/// As many stop texts are taken.
const MOST_STOPS: usize = 5;

/// Writes it.
pub(in super::super) fn write(request: &Request, quirks: &Quirks) -> Outgoing {
    let mut losses = Losses::default();
    let mut body = Object::with_capacity(1024);
    body.put("model", &request.model);
    let (messages, documents) = write_message::write(request, quirks, &mut losses);
    body.put("messages", &messages);
    body.put("stream", &request.stream);
    if quirks.refuses("tools") && !request.tools.is_empty() {
        losses.add("tools", REFUSED);
    } else {
        tool::write(request, &mut body, &mut losses);
    }
    write_documents(request, documents, &mut body);
    write_format(&request.format, quirks, &mut body, &mut losses);
    if let Some(asked) = &request.reasoning {
        write_thinking(asked, quirks, &mut body, &mut losses);
    }
    write_sampling(request, &mut Pen { quirks, body: &mut body, losses: &mut losses });
    match request.extra.of(NAME) {
        Some(fields) => body.put_all(fields),
        None => losses.add_foreign("", &request.extra, NAME),
    }
    body.put_all(&quirks.body);
    lose_rest(request, &mut losses);
    Outgoing { method: Method::POST, path: PATH.to_owned(), headers: HeaderMap::new(), body: body.finish(), losses }
}

/// Documents are cited unless all callers of them said that they shall not be.
fn write_documents(request: &Request, documents: Vec<Value>, body: &mut Object) {
    if documents.is_empty() {
        return;
    }
    body.put("documents", &documents);
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let says = |wanted| parts().any(|part| matches!(part.content, Content::Document { cite: Some(cite), .. } if cite == wanted));
    let own = request.extra.of(NAME).is_some_and(|extra| extra.contains_key("citation_options"));
    if says(false) && !says(true) && !own {
        body.put("citation_options", &json!({ "mode": "OFF" }));
    }
}

fn write_format(format: &Format, quirks: &Quirks, body: &mut Object, losses: &mut Losses) {
    match format {
        Format::Text => {}
        _ if quirks.refuses("response_format") => losses.add("format", REFUSED),
        Format::Json => body.put("response_format", &json!({ "type": "json_object" })),
        Format::Schema { name, description, schema, strict } => {
            losses.add_if_some(name, "format.name", "a schema has no name here");
            losses.add_if_some(description, "format.description", "a schema has no description here");
            if *strict == Some(false) {
                losses.add("format.strict", "a schema always binds here");
            }
            let mut out = Object::with_capacity(64 + schema.get().len());
            out.put("type", "json_object");
            out.put("json_schema", schema);
            body.put("response_format", &out);
        }
    }
}

fn write_thinking(asked: &Reasoning, quirks: &Quirks, body: &mut Object, losses: &mut Losses) {
    if quirks.refuses("reasoning") {
        return losses.add("reasoning", REFUSED);
    }
    if asked.show == Some(false) {
        losses.add("reasoning.show", "thinking is always shown");
    }
    if asked.enabled == Some(false) || asked.effort == Some(Effort::None) || asked.budget == Some(0) {
        return body.put("thinking", &json!({ "type": "disabled" }));
    }
    match asked.budget.or(asked.effort.map(Effort::budget)) {
        Some(budget) => body.put("thinking", &json!({ "type": "enabled", "token_budget": budget })),
        None if asked.enabled == Some(true) => body.put("thinking", &json!({ "type": "enabled" })),
        None => {}
    }
}

struct Pen<'p> {
    quirks: &'p Quirks,
    body: &'p mut Object,
    losses: &'p mut Losses,
}

impl Pen<'_> {
    /// Puts a field, unless the provider refuses what the quirks and the canonical request call by these names.
    fn put(&mut self, key: &str, (name, canonical): (&str, &'static str), value: Option<impl Serialize>) {
        match value {
            Some(_) if self.quirks.refuses(name) => self.losses.add(canonical, REFUSED),
            value => self.body.put_some(key, value.as_ref()),
        }
    }

    /// A number, or the nearest that is taken.
    fn bound(&mut self, canonical: &'static str, asked: Option<f64>, (least, most): (f64, f64)) -> Option<f64> {
        let asked = asked?;
        let taken = asked.max(least).min(most);
        if taken != asked {
            self.losses.add(canonical, format!("{taken} instead, the nearest that the provider takes"));
        }
        Some(taken)
    }
}

fn write_sampling(request: &Request, pen: &mut Pen<'_>) {
    let sampling = &request.sampling;
    let thousandths = |number: Option<u32>, usual: f64| number.map_or(usual, |number| f64::from(number) / 1000.0);
    let range = (thousandths(pen.quirks.temperature_min, 0.0), thousandths(pen.quirks.temperature_max, 1.0));
    let temperature = pen.bound("sampling.temperature", sampling.temperature, range);
    let top_p = pen.bound("sampling.top_p", sampling.top_p, (0.01, 0.99));
    let frequency = pen.bound("sampling.frequency_penalty", sampling.frequency_penalty, (0.0, 1.0));
    let presence = pen.bound("sampling.presence_penalty", sampling.presence_penalty, (0.0, 1.0));
    pen.put("temperature", ("temperature", "sampling.temperature"), temperature);
    pen.put("p", ("top_p", "sampling.top_p"), top_p);
    pen.put("k", ("top_k", "sampling.top_k"), sampling.top_k);
    pen.put("frequency_penalty", ("frequency_penalty", "sampling.frequency_penalty"), frequency);
    pen.put("presence_penalty", ("presence_penalty", "sampling.presence_penalty"), presence);
    pen.put("seed", ("seed", "sampling.seed"), sampling.seed);
    pen.put("logprobs", ("logprobs", "sampling.logprobs"), sampling.logprobs);
    pen.put("max_tokens", ("max_tokens", "max_tokens"), request.max_tokens);
    let stop: Vec<&String> = request.stop.iter().take(MOST_STOPS).collect();
    if request.stop.len() > MOST_STOPS {
        pen.losses.add("stop", "five are taken; the rest was left out");
    }
    pen.put("stop_sequences", ("stop", "stop"), (!stop.is_empty()).then_some(stop));
}

/// What cannot be asked for.
fn lose_rest(request: &Request, losses: &mut Losses) {
    const WHY: &str = "cohere-chat has no such thing";
    losses.add_if_some(&request.sampling.logit_bias, "sampling.logit_bias", WHY);
    if request.sampling.top_logprobs.is_some_and(|top| top > 0) {
        losses.add("sampling.top_logprobs", WHY);
    }
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
