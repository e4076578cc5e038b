//! A caller's request, read whole.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::Shape;
use super::{OF_A_PROMPT, OPTION, message, prompt, tool, untag};
use crate::dialect::fields::Fields;
use crate::dialect::openai_chat::wire::Many;
use crate::error::{Error, Result};
use crate::ir::{Effort, Extra, Format, Raw, Reasoning, Request, Sampling};

/// Reads it in the shape that its path stands for.
pub(in super::super) fn read(shape: Shape, body: &[u8]) -> Result<Request> {
    let mut fields = Fields::read(body, "")?;
    let model: String = fields.need("model")?;
    let stream = fields.take("stream")?.unwrap_or(true);
    let mut request = Request {
        model: untag(&model).to_owned(),
        stream,
        stream_usage: Some(true).filter(|_| stream),
        format: read_format(fields.raw("format"))?,
        reasoning: read_think(fields.raw("think"))?,
        ..Request::default()
    };
    let options = read_options(&mut fields, shape, &mut request)?;
    match shape {
        Shape::Chat => {
            request.messages = message::read(fields.need("messages")?)?;
            request.tools = tool::read(&mut fields)?;
        }
        Shape::Generate => request.messages = prompt::read(&mut fields)?,
    }
    let mut extra = fields.rest(shape.name());
    // What the official client sends for what was not given.
    extra.fields.retain(|key, value| !OF_A_PROMPT.contains(&key.as_str()) || !is_default(value));
    extra.fields.extend(options);
    request.extra = extra;
    Ok(request)
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Reads `options`; what the canonical request has no field for is given back.
fn read_options(fields: &mut Fields<'_>, shape: Shape, request: &mut Request) -> Result<Map<String, Value>> {
    request.sampling.logprobs = fields.take("logprobs")?;
    request.sampling.top_logprobs = fields.take("top_logprobs")?;
    let Some(raw) = fields.raw("options") else { return Ok(Map::new()) };
    let mut options = Fields::of(raw, "options")?;
    request.sampling = Sampling {
        temperature: options.take("temperature")?,
        top_p: options.take("top_p")?,
        frequency_penalty: options.take("frequency_penalty")?,
        presence_penalty: options.take("presence_penalty")?,
        seed: options.take("seed")?,
        ..std::mem::take(&mut request.sampling)
    };
    request.stop = options.take::<Many<String>>("stop")?.unwrap_or_default().0;
    // Below zero both mean something else than a number.
    request.sampling.top_k = take_count(&mut options, "top_k")?;
    request.max_tokens = take_count(&mut options, "num_predict")?;
    let Extra { fields: rest, .. } = options.rest(shape.name());
    Ok(rest.into_iter().map(|(key, value)| (format!("{OPTION}{key}"), value)).collect())
}

fn take_count(options: &mut Fields<'_>, name: &'static str) -> Result<Option<u64>> {
    let Some(raw) = options.get(name) else { return Ok(None) };
    let Some(number) = options.take::<i64>(name)? else { return Ok(None) };
    let count = u64::try_from(number).ok();
    if count.is_none() {
        options.put_back(name, raw);
    }
    Ok(count)
}

fn read_format(raw: Option<&RawValue>) -> Result<Format> {
    let Some(raw) = raw else { return Ok(Format::Text) };
    match raw.get() {
        "\"\"" => Ok(Format::Text),
        "\"json\"" => Ok(Format::Json),
        text if text.starts_with('{') => {
            Ok(Format::Schema { name: None, description: None, schema: Raw(raw.to_owned()), strict: None })
        }
        _ => Err(Error::bad_request("format: expected \"json\" or a JSON schema").at("format")),
    }
}

fn read_think(raw: Option<&RawValue>) -> Result<Option<Reasoning>> {
    let Some(raw) = raw else { return Ok(None) };
    let asked = match raw.get() {
        "true" => Reasoning { enabled: Some(true), ..Reasoning::default() },
        "false" => Reasoning { enabled: Some(false), ..Reasoning::default() },
        text => {
            let effort = serde_json::from_str::<String>(text).ok().and_then(|word| Effort::parse(&word));
            if effort.is_none() {
                let what = "think: expected true, false, \"low\", \"medium\", \"high\" or \"max\"";
                return Err(Error::bad_request(what).at("think"));
            }
            Reasoning { effort, ..Reasoning::default() }
        }
    };
    Ok(Some(asked))
}
