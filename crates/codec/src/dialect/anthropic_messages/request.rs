//! Requests: read from a caller here, written to a provider in the modules below.

use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::block::{missing, need, read_cache, read_extra, read_list};
use super::error::THREAD_UNSUPPORTED;
use super::{NAME, wire};
use crate::dialect::Operation;
use crate::dialect::fault::read_json;
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{
    Content, Effort, Extra, Format, Message, Part, Raw, Reasoning, Request, Role, Sampling, Tool, ToolChoice, ToolKind,
};

mod field;
mod forward;
mod part;
mod tool;
mod turn;
mod write;

pub(super) use forward::{forward, peek};
pub(super) use write::write_request;

/// Reads a caller's request.
pub(super) fn read_request(body: &[u8], operation: Operation) -> Result<Request> {
    let body: wire::RequestBody<'_> = read_json(body, "")?;
    let mut extra = body.extra;
    refuse_thread(&extra)?;
    let model = need(body.model, "", "model")?;
    if operation == Operation::Chat && body.max_tokens.is_none() {
        return Err(missing("", "max_tokens"));
    }
    let mut messages = Vec::new();
    if let Some(system) = body.system {
        messages.push(Message {
            role: Role::System,
            name: None,
            parts: read_blocks(system, "system")?,
            extra: Default::default(),
        });
    }
    for (at, message) in need(body.messages, "", "messages")?.into_iter().enumerate() {
        messages.push(read_message(message, &format!("messages[{at}]"))?);
    }
    name_results(&mut messages);
    let tools = body.tools.unwrap_or_default();
    let tools = tools.iter().enumerate().map(|(at, tool)| read_tool(tool, &format!("tools[{at}]"))).collect::<Result<_>>()?;
    let (tool_choice, parallel_tools) = read_tool_choice(body.tool_choice)?;
    let (format, effort) = read_output(body.output_config, &mut extra);
    let metadata = body.metadata.unwrap_or_default();
    if !metadata.extra.is_empty() {
        extra.insert("metadata".to_owned(), Value::Object(metadata.extra));
    }
    Ok(Request {
        model,
        messages,
        tools,
        tool_choice,
        parallel_tools,
        format,
        reasoning: read_reasoning(body.thinking, effort, &mut extra)?,
        sampling: Sampling { temperature: body.temperature, top_p: body.top_p, top_k: body.top_k, ..Sampling::default() },
        max_tokens: body.max_tokens,
        stop: body.stop_sequences.unwrap_or_default(),
        stream: body.stream.unwrap_or(false),
        // A stream of this dialect always tells its usage.
        stream_usage: body.stream.unwrap_or(false).then_some(true),
        user: metadata.user_id,
        service_tier: body.service_tier.map(|tier| if tier == "standard_only" { "default".to_owned() } else { tier }),
        cache: body.cache_control.map(read_cache),
        // The name stands there even without fields: it says who asked (see `decide_thinking`).
        extra: Extra::new(NAME, extra),
        ..Request::default()
    })
}

/// A thread's history is with the one who opened it; here it would be lost without a word.
fn refuse_thread(extra: &Map<String, Value>) -> Result<()> {
    match extra.get("thread") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => {
            let what = "thread: this model is not served by one who keeps threads; send the whole conversation";
            let error = Error::new(Kind::Unsupported, Origin::Caller, what).at("thread");
            Err(Error { code: Some(THREAD_UNSUPPORTED.to_owned()), ..error })
        }
    }
}

fn read_message(message: wire::Message<'_>, path: &str) -> Result<Message> {
    let role = match message.role.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(other) => {
            let path = format!("{path}.role");
            return Err(Error::bad_request(format!("{path}: expected user, assistant or system, found `{other}`")).at(path));
        }
        None => return Err(missing(path, "role")),
    };
    let content = need(message.content, path, "content")?;
    let mut parts = read_blocks(content, &format!("{path}.content"))?;
    // Results stand first by the law of the canonical form; callers mostly write them so.
    parts.sort_by_key(|part| !matches!(part.content, Content::ToolResult { .. }));
    Ok(Message { role, name: None, parts, extra: read_extra(message.extra) })
}

fn read_blocks(content: wire::Blocks<'_>, path: &str) -> Result<Vec<Part>> {
    match content {
        wire::Blocks::Text(text) => Ok(vec![Part::text(text)]),
        wire::Blocks::List(blocks) => read_list(&blocks, path),
    }
}

/// Gives every result the name of the tool that was called: other dialects need it, this one does not say it.
fn name_results(messages: &mut [Message]) {
    let mut names: HashMap<String, String> = HashMap::new();
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        match &mut part.content {
            Content::ToolCall { id, name, .. } => {
                names.insert(id.clone(), name.clone());
            }
            Content::ToolResult { id, name, .. } => *name = names.get(id).cloned(),
            _ => {}
        }
    }
}

fn read_tool(raw: &RawValue, path: &str) -> Result<Tool> {
    let tool: wire::Tool<'_> = read_json(raw.get().as_bytes(), path)?;
    let name = need(tool.name.filter(|name| !name.is_empty()), path, "name");
    if let Some(kind) = tool.kind.as_deref().filter(|kind| *kind != "custom") {
        // A toolset has no name of its own.
        let name = name.unwrap_or_else(|_| kind.to_owned());
        let kind = ToolKind::Foreign { from: NAME, value: Raw(raw.to_owned()) };
        return Ok(Tool { name, description: None, kind, cache: None, extra: Default::default() });
    }
    let schema = need(tool.input_schema, path, "input_schema")?;
    let mut extra = tool.extra;
    extra.retain(|_, value| !value.is_null());
    Ok(Tool {
        name: name?,
        description: tool.description,
        kind: ToolKind::Function { schema: Some(Raw(schema.to_owned())), strict: tool.strict },
        cache: tool.cache_control.map(read_cache),
        extra: read_extra(extra),
    })
}

fn read_tool_choice(choice: Option<wire::ToolChoice>) -> Result<(Option<ToolChoice>, Option<bool>)> {
    let Some(choice) = choice else { return Ok((None, None)) };
    let parallel = choice.disable_parallel_tool_use.map(|disabled| !disabled);
    let choice = match choice.kind.as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => ToolChoice::Tool(need(choice.name, "tool_choice", "name")?),
        Some(other) => {
            let message = format!("tool_choice.type: expected auto, any, tool or none, found `{other}`");
            return Err(Error::bad_request(message).at("tool_choice.type"));
        }
        None => return Err(missing("tool_choice", "type")),
    };
    Ok((Some(choice), parallel))
}

/// The answer's form and the effort; what else stands in `output_config` stays in `extra` under that name.
fn read_output(config: Option<wire::OutputConfig>, extra: &mut Map<String, Value>) -> (Format, Option<Effort>) {
    let Some(config) = config else { return (Format::Text, None) };
    let mut rest = config.extra;
    let effort = config.effort.as_deref().and_then(Effort::parse);
    if let (None, Some(word)) = (effort, config.effort) {
        rest.insert("effort".to_owned(), Value::String(word));
    }
    let format = match config.format {
        Some(wire::OutputFormat { kind, schema: Some(schema) }) if kind.as_deref().is_none_or(|kind| kind == "json_schema") => {
            Format::Schema { name: None, description: None, schema: Raw(schema), strict: None }
        }
        _ => Format::Text,
    };
    if !rest.is_empty() {
        extra.insert("output_config".to_owned(), Value::Object(rest));
    }
    (format, effort)
}

/// Thinking; a kind that no other dialect knows stays in `extra` as well.
fn read_reasoning(raw: Option<&RawValue>, effort: Option<Effort>, extra: &mut Map<String, Value>) -> Result<Option<Reasoning>> {
    let Some(raw) = raw else {
        return Ok(effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() }));
    };
    let thinking: wire::Thinking = read_json(raw.get().as_bytes(), "thinking")?;
    let show = match thinking.display.as_deref() {
        Some("omitted") => Some(false),
        Some(_) => Some(true),
        None => None,
    };
    let mut reasoning = Reasoning { enabled: Some(true), effort, budget: None, show };
    match thinking.kind.as_deref() {
        Some("enabled") => reasoning.budget = Some(need(thinking.budget_tokens, "thinking", "budget_tokens")?),
        Some("adaptive") => {}
        Some("disabled") => reasoning.enabled = Some(false),
        Some(other) => {
            reasoning.enabled = (other == "between_tools").then_some(true);
            extra.insert("thinking".to_owned(), serde_json::from_str(raw.get()).unwrap_or_default());
        }
        None => return Err(missing("thinking", "type")),
    }
    Ok(Some(reasoning))
}
