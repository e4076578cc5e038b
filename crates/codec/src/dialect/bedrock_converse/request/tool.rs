//! Tools on offer, and which of them to call.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use super::super::out::{Choice, Schema, Tool as Out, ToolConfig, ToolSpec};
use super::field::{REFUSED, write_cache};
use super::turn::Marks;
use crate::catalog::Quirks;
use crate::ir::{Content, Raw, Request, Tool, ToolChoice, ToolKind};
use crate::loss::Losses;

/// Writes the tools and the choice among them.
pub(super) fn write_tools<'a>(
    request: &'a Request,
    quirks: &Quirks,
    marks: &mut Marks,
    losses: &mut Losses,
) -> Option<ToolConfig<'a>> {
    let called = called(request);
    if !request.tools.is_empty() && quirks.refuses("tools") {
        losses.add("tools", REFUSED);
        return None;
    }
    if request.tool_choice == Some(ToolChoice::None) && called.is_empty() {
        // Nothing to call: the same as a choice of none, for which there is no word.
        return None;
    }
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    let mut tools = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        let path = format!("tools[{at}]");
        if allowed.is_none_or(|names| names.contains(&tool.name)) {
            tools.extend(write_tool(tool, &path, quirks, losses));
        }
        if let Some(mark) = tool.cache.as_ref().filter(|_| !tools.is_empty() && marks.take()) {
            tools.push(Out::CachePoint(write_cache(mark, &format!("{path}.cache"), losses)));
        }
    }
    if request.parallel_tools == Some(false) && !tools.is_empty() {
        losses.add("parallel_tools", "several tools may always be called at once here");
    }
    if tools.is_empty() {
        if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_))) {
            losses.add("tool_choice", "there is no tool to choose");
        }
        // A history with calls is refused unless tools are declared.
        tools.extend(called.iter().map(|name| declare(name)));
        return (!tools.is_empty()).then_some(ToolConfig { tools, tool_choice: None, extra: Map::new() });
    }
    let tool_choice = write_choice(request, quirks, losses);
    Some(ToolConfig { tools, tool_choice, extra: Map::new() })
}

/// The tools that the history tells of.
fn called(request: &Request) -> BTreeSet<&str> {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let calls = parts.filter_map(|part| match &part.content {
        Content::ToolCall { name, .. } => Some(name.as_str()),
        _ => None,
    });
    calls.collect()
}

fn declare(name: &str) -> Out<'_> {
    let spec = ToolSpec { name, description: None, input_schema: Schema { json: owned(EMPTY) }, strict: None, extra: None };
    Out::ToolSpec(spec)
}

fn write_tool<'a>(tool: &'a Tool, path: &str, quirks: &Quirks, losses: &mut Losses) -> Option<Out<'a>> {
    let (json, strict) = match &tool.kind {
        ToolKind::Foreign { from, value } if *from == NAME => return Some(Out::Raw(&value.0)),
        ToolKind::Foreign { from, .. } => {
            losses.add(path.to_owned(), format!("a tool that only {from} has"));
            return None;
        }
        ToolKind::Function { schema, strict } => (write_schema(schema.as_ref()), *strict),
        ToolKind::Custom { format } => {
            losses.add(path.to_owned(), "offered as a function of one text, `input`");
            if format.is_some() {
                losses.add(format!("{path}.format"), "no grammars here");
            }
            (owned(r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#), None)
        }
    };
    losses.add_foreign(path, &tool.extra, NAME);
    Some(Out::ToolSpec(ToolSpec {
        name: &tool.name,
        description: tool.description.as_deref().filter(|text| !text.is_empty()),
        input_schema: Schema { json },
        strict: strict.filter(|_| !quirks.refuses("tools.strict")),
        extra: tool.extra.of(NAME),
    }))
}

const EMPTY: &str = r#"{"type":"object","properties":{}}"#;

fn owned(json: &str) -> Cow<'static, RawValue> {
    Cow::Owned(RawValue::from_string(json.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}

/// A schema must say that it is an object's; elsewhere that goes without saying.
fn write_schema(schema: Option<&Raw>) -> Cow<'_, RawValue> {
    let Some(schema) = schema else { return owned(EMPTY) };
    match serde_json::from_str::<Map<String, Value>>(schema.get()) {
        Ok(fields) if fields.contains_key("type") => Cow::Borrowed(&schema.0),
        Ok(fields) => {
            let mut typed = Map::new();
            typed.insert("type".to_owned(), Value::from("object"));
            typed.extend(fields);
            Cow::Owned(Raw::of(&typed).0)
        }
        Err(_) => owned(EMPTY),
    }
}

fn write_choice<'a>(request: &'a Request, quirks: &Quirks, losses: &mut Losses) -> Option<Choice<'a>> {
    let (choice, field) = match &request.tool_choice {
        None => return None,
        Some(ToolChoice::None) => {
            losses.add("tool_choice", "calls cannot be forbidden once there were some");
            return None;
        }
        Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => (Choice::Auto {}, "tool_choice"),
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => (Choice::Any {}, "tool_choice.required"),
        Some(ToolChoice::Tool(name)) => (Choice::Tool { name }, "tool_choice.named"),
    };
    if quirks.refuses("tool_choice") || quirks.refuses(field) {
        losses.add("tool_choice", REFUSED);
        return None;
    }
    Some(choice)
}
