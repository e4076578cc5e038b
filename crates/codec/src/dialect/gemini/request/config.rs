//! `generationConfig`: sampling, limits, the answer's form, thinking and speech, both ways.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::catalog::Quirks;
use crate::ir::{Effort, Format, Raw, Reasoning, Request, Speech};
use crate::loss::Losses;

use super::tool::read_schema;
use crate::dialect::gemini::text::{Object, nested};
use crate::dialect::gemini::wire::{Config, Num, Thinking, value};

const JSON: &str = "application/json";

/// Reads it; what the canonical request has no field for goes to `extra` under its path.
pub(crate) fn read(config: Config<'_>, request: &mut Request, extra: &mut Map<String, Value>) {
    let mut keep = |key: &str, value: Value| drop(extra.insert(format!("generationConfig.{key}"), value));
    let real = |number: Option<Num>| number.map(|number| number.0);
    let count = |number: Option<Num>| number.map(Num::count);
    let small = |number: Option<Num>| number.map(|number| number.0 as u32);
    let sampling = &mut request.sampling;
    sampling.temperature = real(config.temperature);
    sampling.top_p = real(config.top_p);
    sampling.top_k = count(config.top_k);
    sampling.frequency_penalty = real(config.frequency_penalty);
    sampling.presence_penalty = real(config.presence_penalty);
    sampling.seed = config.seed.map(|number| number.0 as i64);
    sampling.logprobs = config.logprobs;
    sampling.top_logprobs = small(config.top_logprobs);
    request.max_tokens = count(config.max_tokens);
    request.n = small(config.n);
    request.stop = config.stop.into_iter().flatten().map(|text| text.0.into_owned()).collect();
    request.reasoning = config.thinking.map(read_thinking);
    let wants_sound = |word: &str| word.eq_ignore_ascii_case("AUDIO");
    let modalities = config.modalities.unwrap_or_default();
    match modalities.as_slice() {
        [] => {}
        [one] if wants_sound(one) || one.eq_ignore_ascii_case("TEXT") => {}
        many => keep("responseModalities", many.iter().map(|word| Value::from(&*word.0)).collect()),
    }
    if modalities.iter().any(|word| wants_sound(word)) {
        request.speech = Some(Speech { voice: config.speech.map(read_voice), format: None });
    } else if let Some(speech) = config.speech {
        keep("speechConfig", value(speech));
    }
    let mut format = None;
    for (key, raw) in config.rest {
        match (&*key, read_response_format(raw)) {
            ("responseFormat" | "response_format", Some(found)) => format = Some(found),
            _ => keep(&key, value(raw)),
        }
    }
    let schema = config.json_schema.map(|schema| Raw(schema.to_owned())).or_else(|| config.schema.map(read_schema));
    request.format = match (config.media_type.as_deref(), schema, format) {
        (_, _, Some(format)) => format,
        (Some(JSON) | None, Some(schema), _) => Format::Schema { name: None, description: None, schema, strict: None },
        (Some(JSON), None, _) => Format::Json,
        (Some("text/plain") | None, _, _) => Format::Text,
        (Some(other), schema, _) => {
            keep("responseMimeType", Value::from(other));
            if let Some(schema) = config.schema.map(value).or_else(|| schema.map(|schema| schema.value())) {
                keep("responseSchema", schema);
            }
            Format::Text
        }
    };
}

/// The newer way to ask for JSON: `{"text": {"mimeType": "APPLICATION_JSON", "schema": …}}`.
fn read_response_format(raw: &RawValue) -> Option<Format> {
    let format = value(raw);
    let fields = format.as_object().filter(|fields| fields.len() == 1)?;
    let text = fields.get("text")?;
    if text.get("mimeType").or_else(|| text.get("mime_type"))?.as_str()? != "APPLICATION_JSON" {
        return None;
    }
    Some(match text.get("schema") {
        Some(schema) => Format::Schema { name: None, description: None, schema: Raw::of(schema), strict: None },
        None => Format::Json,
    })
}

fn read_thinking(thinking: Thinking<'_>) -> Reasoning {
    let effort = thinking.level.as_deref().and_then(Effort::parse);
    let (enabled, budget) = match thinking.budget.map(|number| number.0) {
        None => (None, None),
        Some(0.0) => (Some(false), None),
        // -1 leaves the amount to the model.
        Some(number) if number < 0.0 => (Some(true), None),
        Some(number) => (Some(true), Some(number as u64)),
    };
    Reasoning { enabled, effort, budget, show: thinking.show }
}

/// A prebuilt voice by its name, anything else as the whole object.
fn read_voice(speech: &RawValue) -> Raw {
    let tree = value(speech);
    let name =
        tree.pointer("/voiceConfig/prebuiltVoiceConfig/voiceName").filter(|_| tree.as_object().is_some_and(|o| o.len() == 1));
    name.map_or_else(|| Raw(speech.to_owned()), Raw::of)
}

/// Writes its fields; false when there are none.
pub(crate) fn write(request: &Request, quirks: &Quirks, config: &mut Object<'_>, losses: &mut Losses) -> bool {
    write_sampling(request, quirks, config, losses);
    write_format(request, quirks, config, losses);
    if let Some(reasoning) = &request.reasoning {
        write_thinking(reasoning, &request.model, quirks, config, losses);
    }
    write_speech(request, config, losses);
    config.put_all(nested(&request.extra, "generationConfig.", &[]));
    !config.is_empty()
}

const REFUSED: &str = "this provider does not take it";

fn write_sampling(request: &Request, quirks: &Quirks, config: &mut Object<'_>, losses: &mut Losses) {
    let sampling = &request.sampling;
    let mut put = |key: &str, name: &'static str, field: &'static str, number: Option<Value>| {
        if let Some(number) = number {
            if quirks.refuses(name) { losses.add(field, REFUSED) } else { config.put(key, &number) }
        }
    };
    let bound = |thousandths: Option<u32>| thousandths.map(|number| f64::from(number) / 1000.0);
    let (lowest, highest) = (bound(quirks.temperature_min), bound(quirks.temperature_max));
    let temperature = sampling.temperature.map(|asked| asked.max(lowest.unwrap_or(asked)).min(highest.unwrap_or(f64::MAX)));
    put("temperature", "temperature", "sampling.temperature", temperature.map(Value::from));
    put("topP", "top_p", "sampling.top_p", sampling.top_p.map(Value::from));
    put("topK", "top_k", "sampling.top_k", sampling.top_k.map(Value::from));
    put("maxOutputTokens", "max_tokens", "max_tokens", request.max_tokens.map(Value::from));
    put("candidateCount", "n", "n", request.n.map(Value::from));
    let stop: Vec<&str> = request.stop.iter().take(MOST_STOPS).map(String::as_str).collect();
    put("stopSequences", "stop", "stop", (!stop.is_empty()).then(|| stop.into()));
    put("seed", "seed", "sampling.seed", sampling.seed.map(Value::from));
    put("presencePenalty", "presence_penalty", "sampling.presence_penalty", sampling.presence_penalty.map(Value::from));
    put("frequencyPenalty", "frequency_penalty", "sampling.frequency_penalty", sampling.frequency_penalty.map(Value::from));
    put("responseLogprobs", "logprobs", "sampling.logprobs", sampling.logprobs.map(Value::from));
    put("logprobs", "logprobs", "sampling.top_logprobs", sampling.top_logprobs.map(Value::from));
    if temperature != sampling.temperature {
        losses.add("sampling.temperature", "moved into the range that this provider takes");
    }
    if request.stop.len() > MOST_STOPS {
        losses.add("stop", "gemini takes five; the rest was left out");
    }
    losses.add_if_some(&sampling.logit_bias, "sampling.logit_bias", "not supported by gemini");
}

const MOST_STOPS: usize = 5;

fn write_format(request: &Request, quirks: &Quirks, config: &mut Object<'_>, losses: &mut Losses) {
    match &request.format {
        Format::Text => {}
        Format::Json => config.put("responseMimeType", JSON),
        Format::Schema { name, description, schema, strict } => {
            losses.add_if_some(name, "format.name", "gemini has no name for a schema");
            losses.add_if_some(description, "format.description", "gemini has no description for a schema");
            if *strict == Some(false) {
                losses.add("format.strict", "a schema always binds in gemini");
            }
            config.put("responseMimeType", JSON);
            if quirks.refuses("response_format.json_schema") {
                losses.add("format.schema", REFUSED);
            } else {
                config.put("responseJsonSchema", schema);
            }
        }
    }
}

/// A budget if there is one, else a level, else the model's own measure.
fn write_thinking(reasoning: &Reasoning, model: &str, quirks: &Quirks, config: &mut Object<'_>, losses: &mut Losses) {
    if quirks.refuses("reasoning") {
        return losses.add("reasoning", REFUSED);
    }
    let mut thinking = config.object("thinkingConfig");
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    match (reasoning.budget, reasoning.effort) {
        _ if off => thinking.put("thinkingBudget", &0),
        (Some(budget), _) => thinking.put("thinkingBudget", &budget),
        (None, Some(effort)) if knows_levels(model) => {
            let nearest = nearest_level(effort, quirks);
            if nearest != effort {
                losses.add("reasoning.effort", format!("{} is the nearest that this provider takes", nearest.word()));
            }
            thinking.put("thinkingLevel", &nearest.word().to_ascii_uppercase());
        }
        (None, Some(effort)) => thinking.put("thinkingBudget", &effort.budget()),
        (None, None) if reasoning.enabled == Some(true) => thinking.put("thinkingBudget", &-1),
        (None, None) => {}
    }
    thinking.put_some("includeThoughts", &reasoning.show);
    thinking.end();
}

/// The levels that every service of this dialect takes.
const LEVELS: [Effort; 4] = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];

fn nearest_level(effort: Effort, quirks: &Quirks) -> Effort {
    let known: Vec<Effort> = quirks.efforts.iter().filter_map(|word| Effort::parse(word)).collect();
    let known = if known.is_empty() { LEVELS.as_slice() } else { &known };
    let distance = |level: &Effort| (*level as i32 - effort as i32).abs();
    known.iter().copied().min_by_key(|level| distance(level)).unwrap_or(effort)
}

/// Whether a model takes `thinkingLevel` and asks for thought signatures: those before the third generation do not.
pub(crate) fn knows_levels(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or_default();
    !["gemini-1", "gemini-2"].iter().any(|old| name.starts_with(old))
}

fn write_speech(request: &Request, config: &mut Object<'_>, losses: &mut Losses) {
    let Some(speech) = &request.speech else { return };
    if nested(&request.extra, "generationConfig.responseModalities", &[]).next().is_none() {
        config.put("responseModalities", &["AUDIO"]);
    }
    if speech.format.is_some() {
        losses.add("speech.format", "gemini answers in PCM");
    }
    match speech.voice.as_ref().map(Raw::value) {
        None => {}
        Some(Value::String(name)) => {
            config.put("speechConfig", &json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}));
        }
        Some(voice) if voice.get("voiceConfig").is_some() || voice.get("multiSpeakerVoiceConfig").is_some() => {
            config.put("speechConfig", &voice);
        }
        Some(_) => losses.add("speech.voice", "not a voice of gemini"),
    }
}
