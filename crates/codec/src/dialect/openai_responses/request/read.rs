//! A caller's request, read whole.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use super::input::read_input;
use super::tool::{read_tool, read_tool_choice};
use crate::dialect::fields::Fields;
use crate::dialect::openai_chat::request::{read_metadata, required};
use crate::dialect::openai_chat::wire::Str;
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Effort, Extra, Format, Reasoning, Request, Sampling};

/// Asks for state that is always asked for where there is some.
pub(super) const ENCRYPTED: &str = "reasoning.encrypted_content";
/// Asks for probabilities.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a caller's request.
pub(crate) fn read_request(body: &[u8]) -> Result<Request> {
    let mut fields = Fields::read(body, "")?;
    refuse_stored(&mut fields)?;
    let mut request = Request {
        model: fields.need("model")?,
        max_tokens: fields.take("max_output_tokens")?,
        sampling: Sampling {
            temperature: fields.take("temperature")?,
            top_p: fields.take("top_p")?,
            top_logprobs: fields.take("top_logprobs")?,
            top_k: fields.take("top_k")?,
            ..Sampling::default()
        },
        parallel_tools: fields.take("parallel_tool_calls")?,
        stream: fields.take("stream")?.unwrap_or(false),
        service_tier: fields.take("service_tier")?,
        cache_key: fields.take("prompt_cache_key")?,
        metadata: read_metadata(&mut fields)?,
        ..Request::default()
    };
    request.user = match fields.take("user")? {
        Some(user) => Some(user),
        None => fields.take("safety_identifier")?,
    };
    for (index, raw) in fields.take::<Vec<&RawValue>>("tools")?.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(read_tool(raw, &format!("tools[{index}]"))?);
    }
    if let Some(raw) = fields.raw("tool_choice") {
        request.tool_choice = read_tool_choice(raw);
        if request.tool_choice.is_none() {
            fields.put_back("tool_choice", raw);
        }
    }
    read_input(&mut fields, &mut request)?;
    if request.messages.is_empty() {
        return Err(required("input"));
    }
    let mut left = Map::new();
    read_text_settings(&mut fields, &mut request, &mut left)?;
    request.reasoning = read_reasoning(&mut fields, &mut left)?;
    request.sampling.logprobs = read_include(&mut fields, &mut left)?;
    drop_usual(&mut fields);
    let mut extra = fields.rest(NAME);
    extra.fields.extend(left);
    request.extra = extra;
    Ok(request)
}

/// What only the server that stores it can look up: nothing of it is here, and leaving it out would answer another question.
fn refuse_stored(fields: &mut Fields<'_>) -> Result<()> {
    const STORED: [(&str, &str); 4] = [
        (
            "previous_response_id",
            "an earlier answer is stored by its provider and this model's cannot look it up: send the whole conversation in `input` instead",
        ),
        (
            "conversation",
            "a conversation is stored by its provider and this model's cannot look it up: send it whole in `input` instead",
        ),
        ("prompt", "a stored prompt is known to its provider only: send its text in `instructions` or `input` instead"),
        (
            "background",
            "this model's provider cannot answer in the background: leave `background` out, and stream if the answer takes long",
        ),
    ];
    for (name, why) in STORED {
        if fields.raw(name).is_some_and(|raw| raw.get() != "false") {
            let what = format!("{name}: {why}");
            return Err(Error::new(Kind::Unsupported, Origin::Caller, what).at(name));
        }
    }
    Ok(())
}

/// `text`: the answer's form and how much shall be said; its other members are left.
fn read_text_settings(fields: &mut Fields<'_>, request: &mut Request, left: &mut Map<String, Value>) -> Result<()> {
    let Some(raw) = fields.raw("text") else { return Ok(()) };
    let mut text = Fields::of(raw, "text")?;
    if let Some(raw) = text.raw("format") {
        match read_format(raw)? {
            Some(known) => request.format = known,
            None => text.put_back("format", raw),
        }
    }
    request.verbosity = text.take("verbosity")?;
    leave(left, "text", text);
    Ok(())
}

/// `None` for a format that we do not know.
fn read_format(raw: &RawValue) -> Result<Option<Format>> {
    let mut fields = Fields::of(raw, "text.format")?;
    let kind: Str<'_> = fields.need("type")?;
    Ok(match &*kind {
        "text" => Some(Format::Text),
        "json_object" => Some(Format::Json),
        "json_schema" => Some(Format::Schema {
            name: fields.take("name")?,
            description: fields.take("description")?,
            schema: fields.need("schema")?,
            strict: fields.take("strict")?,
        }),
        _ => None,
    })
}

fn read_reasoning(fields: &mut Fields<'_>, left: &mut Map<String, Value>) -> Result<Option<Reasoning>> {
    let Some(raw) = fields.raw("reasoning") else { return Ok(None) };
    let mut object = Fields::of(raw, "reasoning")?;
    let mut asked = Reasoning::default();
    if let Some(raw) = object.raw("effort") {
        let word: Option<Str<'_>> = serde_json::from_str(raw.get()).ok();
        asked.effort = word.as_deref().and_then(Effort::parse);
        if asked.effort.is_none() {
            object.put_back("effort", raw);
        }
    }
    // The second is the older name.
    for name in ["summary", "generate_summary"] {
        if let Some(raw) = object.raw(name) {
            asked.show = Some(true);
            if raw.get() != "\"auto\"" {
                object.put_back(name, raw);
            }
        }
    }
    leave(left, "reasoning", object);
    Ok((asked != Reasoning::default()).then_some(asked))
}

/// `include`: what else the answer shall hold. Whether probabilities are asked for; what we do not know is left.
fn read_include(fields: &mut Fields<'_>, left: &mut Map<String, Value>) -> Result<Option<bool>> {
    let mut words: Vec<String> = fields.take("include")?.unwrap_or_default();
    let asked = words.len();
    words.retain(|word| word != LOGPROBS);
    let logprobs = (words.len() < asked).then_some(true);
    words.retain(|word| word != ENCRYPTED);
    if !words.is_empty() {
        left.insert("include".to_owned(), words.into());
    }
    Ok(logprobs)
}

/// What is left of an object is left under its name.
fn leave(left: &mut Map<String, Value>, name: &str, object: Fields<'_>) {
    let Extra { fields, .. } = object.rest(NAME);
    if !fields.is_empty() {
        left.insert(name.to_owned(), Value::Object(fields));
    }
}

/// Words for what happens anyway: nothing is stored, cut off or padded here, nor done in the background.
fn drop_usual(fields: &mut Fields<'_>) {
    for (name, usual) in [
        ("store", &["false"][..]),
        ("truncation", &["\"disabled\""]),
        ("stream_options", &["{}", "{\"include_obfuscation\":false}"]),
    ] {
        let Some(raw) = fields.raw(name) else { continue };
        let plain: String = raw.get().split_whitespace().collect();
        if !usual.contains(&plain.as_str()) {
            fields.put_back(name, raw);
        }
    }
}
