//! A caller's request, read whole.

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::NAME;
use super::{document, message, tool};
use crate::dialect::fields::Fields;
use crate::dialect::openai_chat::wire::Str;
use crate::error::Result;
use crate::ir::{Format, Reasoning, Request, Role, Sampling};

/// Reads it.
pub(in super::super) fn read(body: &[u8]) -> Result<Request> {
    let mut fields = Fields::read(body, "")?;
    let stream = fields.take("stream")?.unwrap_or(false);
    let mut request = Request {
        model: fields.need("model")?,
        messages: message::read(fields.need("messages")?)?,
        format: read_format(&mut fields)?,
        reasoning: read_thinking(&mut fields)?,
        sampling: Sampling {
            temperature: fields.take("temperature")?,
            top_p: fields.take("p")?,
            // 0 stands for "not at all".
            top_k: fields.take("k")?.filter(|k| *k > 0),
            frequency_penalty: fields.take("frequency_penalty")?,
            presence_penalty: fields.take("presence_penalty")?,
            seed: fields.take("seed")?,
            logprobs: fields.take("logprobs")?,
            ..Sampling::default()
        },
        max_tokens: fields.take("max_tokens")?,
        stop: fields.take("stop_sequences")?.unwrap_or_default(),
        stream,
        stream_usage: Some(true).filter(|_| stream),
        ..Request::default()
    };
    tool::read(&mut fields, &mut request)?;
    read_documents(&mut fields, &mut request)?;
    request.extra = fields.rest(NAME);
    Ok(request)
}

fn read_format(fields: &mut Fields<'_>) -> Result<Format> {
    let Some(raw) = fields.raw("response_format") else { return Ok(Format::Text) };
    let mut format = Fields::of(raw, "response_format")?;
    let kind: Str<'_> = format.need("type")?;
    Ok(match &*kind {
        "text" => Format::Text,
        "json_object" => match format.raw("json_schema").or_else(|| format.raw("schema")) {
            Some(schema) => {
                let schema = crate::ir::Raw(schema.to_owned());
                Format::Schema { name: None, description: None, schema, strict: None }
            }
            None => Format::Json,
        },
        _ => {
            fields.put_back("response_format", raw);
            Format::Text
        }
    })
}

fn read_thinking(fields: &mut Fields<'_>) -> Result<Option<Reasoning>> {
    let Some(raw) = fields.raw("thinking") else { return Ok(None) };
    let mut thinking = Fields::of(raw, "thinking")?;
    let kind: Str<'_> = thinking.need("type")?;
    let budget = thinking.take("token_budget")?;
    Ok(Some(Reasoning { enabled: Some(&*kind != "disabled"), budget, ..Reasoning::default() }))
}

/// Documents are what the last question is asked about.
fn read_documents(fields: &mut Fields<'_>, request: &mut Request) -> Result<()> {
    let documents: Vec<&RawValue> = fields.take("documents")?.unwrap_or_default();
    if documents.is_empty() {
        return Ok(());
    }
    let mode = fields.get("citation_options").and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let mode = mode.as_ref().and_then(|options| options.get("mode")?.as_str());
    let cite = !matches!(mode, Some("OFF" | "DISABLED"));
    let read = |(index, raw): (usize, &&RawValue)| document::read(raw, &format!("documents[{index}]"), Some(cite));
    let parts = documents.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
    let asked = request.messages.iter().rposition(|message| {
        let is_result = |part: &crate::ir::Part| matches!(part.content, crate::ir::Content::ToolResult { .. });
        message.role == Role::User && !message.parts.iter().any(is_result)
    });
    match asked.and_then(|at| request.messages.get_mut(at)) {
        Some(message) => drop(message.parts.splice(0..0, parts)),
        None => request.messages.push(crate::ir::Message { role: Role::User, name: None, parts, extra: Default::default() }),
    }
    Ok(())
}
