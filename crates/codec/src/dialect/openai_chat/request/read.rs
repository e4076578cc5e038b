//! A caller's request, read whole.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use super::super::wire::{Many, Scalar, Str};
use super::content::read_cache;
use super::message::read_messages;
use crate::dialect::fault::read_text;
use crate::dialect::fields::Fields;
use crate::error::{Error, Result};
use crate::ir::{Effort, Extra, Format, Raw, Reasoning, Request, Sampling, Speech, Tool, ToolChoice, ToolKind};

/// Reads a caller's request.
pub(crate) fn read_request(body: &[u8]) -> Result<Request> {
    let mut fields = Fields::read(body, "")?;
    let mut request = read_settings(&mut fields)?;
    request.messages = read_messages(fields.need("messages")?)?;
    for (index, raw) in fields.take::<Vec<&RawValue>>("tools")?.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(read_tool(raw, &format!("tools[{index}]"))?);
    }
    for (index, raw) in fields.take::<Vec<&RawValue>>("functions")?.unwrap_or_default().into_iter().enumerate() {
        let (name, description, kind) = read_function(raw, &format!("functions[{index}]"))?;
        request.tools.push(Tool { name, description, kind, cache: None, extra: Extra::default() });
    }
    request.parallel_tools = fields.take("parallel_tool_calls")?;
    request.max_tokens = fields.take("max_completion_tokens")?.or(request.max_tokens);
    request.cache = fields.take("cache_control")?.map(read_cache);
    request.cache_key = fields.take("prompt_cache_key")?;
    request.verbosity = fields.take("verbosity")?;
    for name in ["tool_choice", "function_call"] {
        if let Some(raw) = fields.raw(name) {
            match read_tool_choice(raw) {
                Some(choice) => request.tool_choice = Some(choice),
                None => fields.put_back(name, raw),
            }
        }
    }
    if let Some(raw) = fields.raw("response_format") {
        match read_format(raw)? {
            Some(format) => request.format = format,
            None => fields.put_back("response_format", raw),
        }
    }
    request.speech = read_speech(&mut fields)?;
    request.reasoning = read_reasoning(&mut fields)?;
    request.extra = fields.rest(NAME);
    Ok(request)
}

/// Reads the fields that chat shares with plain completions.
pub(crate) fn read_settings(fields: &mut Fields<'_>) -> Result<Request> {
    let mut top_logprobs = fields.take("top_logprobs")?;
    let logprobs = match fields.take::<Scalar<'_>>("logprobs")? {
        None => None,
        Some(Scalar::Flag(on)) => Some(on),
        // Some servers of this dialect take the number of alternatives here, as plain completions do.
        Some(Scalar::Number(top)) => {
            top_logprobs = top_logprobs.or(u32::try_from(top).ok());
            Some(true)
        }
        Some(_) => return Err(Error::bad_request("logprobs: expected true or false").at("logprobs")),
    };
    let user: Option<String> = fields.take("user")?;
    let user = if user.is_some() { user } else { fields.take("safety_identifier")? };
    Ok(Request {
        model: fields.need("model")?,
        sampling: Sampling {
            temperature: fields.take("temperature")?,
            top_p: fields.take("top_p")?,
            top_k: fields.take("top_k")?,
            frequency_penalty: fields.take("frequency_penalty")?,
            presence_penalty: fields.take("presence_penalty")?,
            seed: fields.take("seed")?,
            logit_bias: fields.raw("logit_bias").map(|raw| Raw(raw.to_owned())),
            logprobs,
            top_logprobs,
        },
        max_tokens: fields.take("max_tokens")?,
        stop: fields.take::<Many<String>>("stop")?.unwrap_or_default().0,
        n: fields.take("n")?,
        stream: fields.take("stream")?.unwrap_or(false),
        stream_usage: fields.take::<StreamOptions>("stream_options")?.and_then(|options| options.include_usage),
        user,
        service_tier: fields.take("service_tier")?,
        metadata: read_metadata(fields)?,
        ..Request::default()
    })
}

/// Labels; what is no text is kept as the text of its JSON.
pub(crate) fn read_metadata(fields: &mut Fields<'_>) -> Result<BTreeMap<String, String>> {
    let metadata: BTreeMap<String, Value> = fields.take("metadata")?.unwrap_or_default();
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(metadata.into_iter().map(|(key, value)| (key, text(value))).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

fn read_tool(raw: &RawValue, at: &str) -> Result<Tool> {
    let mut fields = Fields::of(raw, at)?;
    let cache = match fields.take("cache_control")? {
        Some(mark) => Some(read_cache(mark)),
        None => fields.take("prompt_cache_breakpoint")?.map(read_cache),
    };
    let kind: Option<Str<'_>> = fields.take("type")?;
    let (name, description, kind) = match kind.as_deref() {
        Some("function") | None => {
            let path = fields.path("function");
            read_function(fields.need("function")?, &path)?
        }
        Some("custom") => {
            let mut custom = Fields::of(fields.need("custom")?, &fields.path("custom"))?;
            let format = custom.raw("format").map(|raw| Raw(raw.to_owned()));
            (custom.need("name")?, custom.take("description")?, ToolKind::Custom { format })
        }
        Some(word) => {
            let kind = ToolKind::Foreign { from: NAME, value: Raw(raw.to_owned()) };
            return Ok(Tool { name: word.to_owned(), description: None, kind, cache: None, extra: Extra::default() });
        }
    };
    Ok(Tool { name, description, kind, cache, extra: fields.rest(NAME) })
}

fn read_function(raw: &RawValue, at: &str) -> Result<(String, Option<String>, ToolKind)> {
    let mut fields = Fields::of(raw, at)?;
    let schema = fields.raw("parameters").map(|raw| Raw(raw.to_owned()));
    let kind = ToolKind::Function { schema, strict: fields.take("strict")? };
    Ok((fields.need("name")?, fields.take("description")?, kind))
}

/// `None` for a choice that we do not know.
fn read_tool_choice(raw: &RawValue) -> Option<ToolChoice> {
    let choice: Value = serde_json::from_str(raw.get()).ok()?;
    let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned);
    match choice.as_str() {
        Some("none") => return Some(ToolChoice::None),
        Some("auto") => return Some(ToolChoice::Auto),
        Some("required" | "any") => return Some(ToolChoice::Required),
        Some(_) => return None,
        None => {}
    }
    if let Some(allowed) = choice.get("allowed_tools") {
        let tools = allowed.get("tools")?.as_array()?;
        let names = tools
            .iter()
            .filter_map(|tool| name(tool).or_else(|| name(tool.get("function")?)).or_else(|| name(tool.get("custom")?)));
        let required = allowed.get("mode").is_some_and(|mode| mode == "required");
        return Some(ToolChoice::Allowed { names: names.collect(), required });
    }
    let named = choice.get("function").or_else(|| choice.get("custom")).unwrap_or(&choice);
    name(named).map(ToolChoice::Tool)
}

/// `None` for a format that we do not know.
fn read_format(raw: &RawValue) -> Result<Option<Format>> {
    let mut fields = Fields::of(raw, "response_format")?;
    let kind: Str<'_> = fields.need("type")?;
    Ok(match &*kind {
        "text" => Some(Format::Text),
        "json_object" if fields.get("schema").is_none() => Some(Format::Json),
        "json_schema" => {
            let path = fields.path("json_schema");
            let mut inner = Fields::of(fields.need("json_schema")?, &path)?;
            Some(Format::Schema {
                name: inner.take("name")?,
                description: inner.take("description")?,
                schema: inner.need("schema")?,
                strict: inner.take("strict")?,
            })
        }
        _ => None,
    })
}

fn read_speech(fields: &mut Fields<'_>) -> Result<Option<Speech>> {
    let Some(raw) = fields.raw("modalities") else { return Ok(None) };
    let words: Vec<Str<'_>> = read_text(raw.get(), "modalities")?;
    if words.iter().any(|word| !matches!(&**word, "text" | "audio")) {
        fields.put_back("modalities", raw);
        return Ok(None);
    }
    if words.iter().all(|word| &**word != "audio") {
        return Ok(None);
    }
    let Some(audio) = fields.raw("audio") else { return Ok(Some(Speech { voice: None, format: None })) };
    let mut audio = Fields::of(audio, "audio")?;
    let voice = audio.raw("voice").map(|raw| Raw(raw.to_owned()));
    Ok(Some(Speech { voice, format: audio.take("format")? }))
}

/// Thinking, asked for in any of the ways that servers of this dialect know.
fn read_reasoning(fields: &mut Fields<'_>) -> Result<Option<Reasoning>> {
    let mut asked = Reasoning::default();
    if let Some(raw) = fields.raw("reasoning") {
        let mut object = Fields::of(raw, "reasoning")?;
        let effort: Option<Str<'_>> = object.take("effort")?;
        asked.effort = effort.as_deref().and_then(Effort::parse);
        asked.budget = object.take("max_tokens")?;
        asked.enabled = object.take("enabled")?;
        asked.show = object.take("exclude")?.map(|exclude: bool| !exclude);
        if !object.rest(NAME).is_empty() {
            fields.put_back("reasoning", raw);
        }
    }
    if let Some(raw) = fields.raw("thinking") {
        let mut object = Fields::of(raw, "thinking")?;
        match object.take::<Str<'_>>("type")?.as_deref() {
            Some("disabled") => asked.enabled = Some(false),
            Some("enabled") => asked.enabled = Some(true),
            _ => {}
        }
        asked.budget = object.take("budget_tokens")?.or(asked.budget);
        if !object.rest(NAME).is_empty() {
            fields.put_back("thinking", raw);
        }
    }
    asked.enabled = fields.take("enable_thinking")?.or(asked.enabled);
    asked.budget = fields.take("thinking_budget")?.or(asked.budget);
    asked.show = fields.take("include_reasoning")?.or(asked.show);
    if let Some(raw) = fields.raw("reasoning_effort") {
        let word: Option<Str<'_>> = serde_json::from_str(raw.get()).ok();
        match word.as_deref().and_then(Effort::parse) {
            Some(effort) => asked.effort = Some(effort),
            None => fields.put_back("reasoning_effort", raw),
        }
    }
    Ok((asked != Reasoning::default()).then_some(asked))
}

/// The fields of an object of the wire that belong to nobody.
pub(super) fn kept(extra: Map<String, Value>) -> Extra {
    Extra::new(NAME, extra.into_iter().filter(|(_, value)| !value.is_null()).collect())
}
