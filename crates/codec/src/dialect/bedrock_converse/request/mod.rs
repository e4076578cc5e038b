//! Requests: read from a caller here, written to a provider in the modules below.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::block::read_list;
use super::{NAME, own_extra};
use crate::dialect::fields::Fields;
use crate::dialect::{Head, Operation};
use crate::error::{Error, Result};
use crate::ir::{
    CacheMark, Content, Effort, Extra, Format, Message, Part, Raw, Reasoning, Request, Role, Tool, ToolChoice, ToolKind,
};

mod field;
mod part;
pub(super) mod path;
mod tool;
mod turn;
mod write;

pub(super) use write::write_request;

use path::Verb;

/// Reads a caller's request.
pub(super) fn read_request(head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Request> {
    let (model, verb) = path::read(head.path)?;
    let mut fields = Fields::read(body, "")?;
    if operation == Operation::CountTokens {
        fields = read_input(fields)?;
    }
    let mut request = Request { model, stream: verb == Verb::Stream, ..Request::default() };
    request.stream_usage = request.stream.then_some(true);
    if let Some(system) = fields.take::<Vec<&RawValue>>("system")? {
        let parts = read_list(&system, &fields.path("system"))?;
        request.messages.push(Message { role: Role::System, name: None, parts, extra: Extra::default() });
    }
    let messages: Vec<&RawValue> = fields.need("messages")?;
    let path = fields.path("messages");
    for (at, raw) in messages.into_iter().enumerate() {
        request.messages.push(read_message(Fields::of(raw, &format!("{path}[{at}]"))?)?);
    }
    name_results(&mut request.messages);
    let mut extra = Map::new();
    if let Some(config) = inner(&mut fields, "toolConfig")? {
        read_tools(config, &mut request, &mut extra)?;
    }
    if let Some(config) = inner(&mut fields, "inferenceConfig")? {
        read_inference(config, &mut request, &mut extra)?;
    }
    if let Some(config) = inner(&mut fields, "outputConfig")? {
        read_output(config, &mut request, &mut extra)?;
    }
    if let Some(more) = inner(&mut fields, "additionalModelRequestFields")? {
        read_additional(more, &mut request, &mut extra)?;
    }
    request.metadata = fields.take::<BTreeMap<String, String>>("requestMetadata")?.unwrap_or_default();
    if let Some(mut tier) = inner(&mut fields, "serviceTier")? {
        request.service_tier = tier.take("type")?;
    }
    extra.extend(fields.rest(NAME).fields);
    // The name stands there even without fields: it says who asked.
    request.extra = Extra::new(NAME, extra);
    Ok(request)
}

/// A field that is an object.
fn inner<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Option<Fields<'a>>> {
    fields.raw(name).map(|raw| Fields::of(raw, &fields.path(name))).transpose()
}

/// What is to be counted stands two levels down.
fn read_input(mut fields: Fields<'_>) -> Result<Fields<'_>> {
    let input: &RawValue = fields.need("input")?;
    let mut input = Fields::of(input, "input")?;
    match inner(&mut input, "converse")? {
        Some(converse) => Ok(converse),
        None => {
            Err(Error::bad_request("input.converse is required; input.invokeModel is not supported here").at("input.converse"))
        }
    }
}

fn read_message(mut fields: Fields<'_>) -> Result<Message> {
    let role = match fields.need::<String>("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        other => {
            let path = fields.path("role");
            return Err(Error::bad_request(format!("{path}: expected user, assistant or system, found `{other}`")).at(path));
        }
    };
    let content: Vec<&RawValue> = fields.need("content")?;
    let mut parts = read_list(&content, &fields.path("content"))?;
    // Results stand first by the law of the canonical form; callers mostly write them so.
    parts.sort_by_key(|part| !matches!(part.content, Content::ToolResult { .. }));
    Ok(Message { role, name: None, parts, extra: own_extra(fields.rest(NAME).fields) })
}

/// Gives every result the name of the tool that was called: other dialects need it, this one does not say it.
fn name_results(messages: &mut [Message]) {
    let mut names: HashMap<String, String> = HashMap::new();
    let mut name = |part: &mut Part| match &mut part.content {
        Content::ToolCall { id, name, .. } => drop(names.insert(id.clone(), name.clone())),
        Content::ToolResult { id, name, .. } => *name = names.get(id).cloned(),
        _ => {}
    };
    messages.iter_mut().flat_map(|message| &mut message.parts).for_each(&mut name);
}

/// Keeps what is left of an object under the object's name.
fn keep(fields: Fields<'_>, name: &str, extra: &mut Map<String, Value>) {
    let rest = fields.rest(NAME).fields;
    if !rest.is_empty() {
        extra.insert(name.to_owned(), Value::Object(rest));
    }
}

fn read_tools(mut config: Fields<'_>, request: &mut Request, extra: &mut Map<String, Value>) -> Result<()> {
    let tools: Vec<&RawValue> = config.take("tools")?.unwrap_or_default();
    let path = config.path("tools");
    for (at, raw) in tools.into_iter().enumerate() {
        let mut fields = Fields::of(raw, &format!("{path}[{at}]"))?;
        if let Some(mut mark) = inner(&mut fields, "cachePoint")? {
            let mark = CacheMark { ttl: mark.take("ttl")? };
            request.tools.last_mut().into_iter().for_each(|tool| tool.cache = Some(mark.clone()));
        } else if let Some(spec) = inner(&mut fields, "toolSpec")? {
            request.tools.push(read_spec(spec)?);
        } else {
            let name = inner(&mut fields, "systemTool")?.map(|mut tool| tool.take("name")).transpose()?.flatten();
            let kind = ToolKind::Foreign { from: NAME, value: Raw(raw.to_owned()) };
            let name = name.unwrap_or_else(|| format!("tool_{at}"));
            request.tools.push(Tool { name, description: None, kind, cache: None, extra: Extra::default() });
        }
    }
    if let Some(mut choice) = inner(&mut config, "toolChoice")? {
        request.tool_choice = Some(if let Some(mut tool) = inner(&mut choice, "tool")? {
            ToolChoice::Tool(tool.need("name")?)
        } else if choice.raw("any").is_some() {
            ToolChoice::Required
        } else if choice.raw("auto").is_some() {
            ToolChoice::Auto
        } else {
            let path = config.path("toolChoice");
            return Err(Error::bad_request(format!("{path}: expected auto, any or tool")).at(path));
        });
    }
    keep(config, "toolConfig", extra);
    Ok(())
}

fn read_spec(mut spec: Fields<'_>) -> Result<Tool> {
    let mut schema: Fields<'_> = match inner(&mut spec, "inputSchema")? {
        Some(schema) => schema,
        None => return Err(Error::bad_request(format!("{} is required", spec.path("inputSchema"))).at(spec.path("inputSchema"))),
    };
    let schema: Raw = schema.need("json")?;
    Ok(Tool {
        name: spec.need("name")?,
        description: spec.take("description")?,
        kind: ToolKind::Function { schema: Some(schema), strict: spec.take("strict")? },
        cache: None,
        extra: own_extra(spec.rest(NAME).fields),
    })
}

fn read_inference(mut config: Fields<'_>, request: &mut Request, extra: &mut Map<String, Value>) -> Result<()> {
    request.max_tokens = config.take("maxTokens")?;
    request.sampling.temperature = config.take("temperature")?;
    request.sampling.top_p = config.take("topP")?;
    request.stop = config.take("stopSequences")?.unwrap_or_default();
    keep(config, "inferenceConfig", extra);
    Ok(())
}

fn read_output(mut config: Fields<'_>, request: &mut Request, extra: &mut Map<String, Value>) -> Result<()> {
    if let Some(raw) = config.get("effort")
        && let Some(effort) = serde_json::from_str::<String>(raw.get()).ok().and_then(|word| Effort::parse(&word))
    {
        config.raw("effort");
        request.reasoning.get_or_insert_default().effort = Some(effort);
    }
    if let Some(mut format) = inner(&mut config, "textFormat")? {
        let mut structure = match inner(&mut format, "structure")? {
            Some(structure) => structure,
            None => {
                let path = format.path("structure");
                return Err(Error::bad_request(format!("{path} is required")).at(path));
            }
        };
        if let Some(mut form) = inner(&mut structure, "jsonSchema")? {
            let path = form.path("schema");
            let schema = Raw::parse(form.need::<String>("schema")?);
            let wrong = || Error::bad_request(format!("{path}: expected a JSON schema as a string")).at(path.clone());
            request.format = Format::Schema {
                name: form.take("name")?,
                description: form.take("description")?,
                schema: schema.ok_or_else(wrong)?,
                strict: None,
            };
        }
    }
    keep(config, "outputConfig", extra);
    Ok(())
}

/// The model's own fields, as far as several models have them: thinking and top_k. The others stay.
fn read_additional(mut more: Fields<'_>, request: &mut Request, extra: &mut Map<String, Value>) -> Result<()> {
    if let Some(number) = more.get("top_k").and_then(|raw| serde_json::from_str::<u64>(raw.get()).ok()) {
        more.raw("top_k");
        request.sampling.top_k = Some(number);
    }
    if let Some(raw) = more.get("thinking")
        && let Some(thinking) = read_thinking(raw)
    {
        more.raw("thinking");
        let effort = request.reasoning.as_ref().and_then(|reasoning| reasoning.effort);
        request.reasoning = Some(Reasoning { effort, ..thinking });
    }
    keep(more, "additionalModelRequestFields", extra);
    Ok(())
}

/// Thinking as it is asked for by its type; `None` for a form that we do not know.
fn read_thinking(raw: &RawValue) -> Option<Reasoning> {
    let mut fields = Fields::of(raw, "").ok()?;
    let kind: String = fields.take("type").ok()??;
    let budget: Option<u64> = fields.take("budget_tokens").ok()?;
    let display: Option<String> = fields.take("display").ok()?;
    let show = display.map(|display| display != "omitted");
    let known = fields.rest(NAME).is_empty();
    match (kind.as_str(), budget) {
        ("enabled", Some(_)) | ("adaptive", None) if known => Some(Reasoning { enabled: Some(true), effort: None, budget, show }),
        ("disabled", None) if known => Some(Reasoning { enabled: Some(false), effort: None, budget: None, show }),
        _ => None,
    }
}
