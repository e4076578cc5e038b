//! The tools of a request as a provider is sent them.

use serde_json::{Value, json};

use super::super::NAME;
use super::tool::flatten_format;
use crate::catalog::Quirks;
use crate::dialect::object::Object;
use crate::dialect::openai_chat::request::{Draft, REFUSED, Words, free_text_schema, no_arguments, write_tools_as};
use crate::ir::{Raw, Request, Tool, ToolChoice, ToolKind};
use crate::loss::Losses;

/// Writes the tools and which of them to call.
pub(super) fn write_tools(request: &Request, draft: &mut Draft<'_>) {
    let choice = |choice: &ToolChoice, quirks: &Quirks| write_choice(choice, request, quirks);
    write_tools_as(request, draft, Words { tool: write_tool, choice });
}

fn write_tool(tool: &Tool, index: usize, quirks: &Quirks, losses: &mut Losses) -> Option<Raw> {
    let mut out = Object::with_capacity(256);
    let mut function = |schema: Option<&Raw>, strict: Option<bool>, losses: &mut Losses| {
        out.put("type", "function");
        out.put("name", &tool.name);
        out.put_some("description", tool.description.as_deref());
        match schema {
            Some(schema) => out.put("parameters", schema),
            None => out.put("parameters", &no_arguments(strict == Some(true))),
        }
        // Not said, it would count as true.
        match strict {
            Some(true) if quirks.refuses("tools.strict") => losses.add(format!("tools[{index}].strict"), REFUSED),
            _ if quirks.refuses("tools.strict") => {}
            strict => out.put("strict", &strict.unwrap_or(false)),
        }
    };
    match &tool.kind {
        ToolKind::Function { schema, strict } => function(schema.as_ref(), *strict, losses),
        ToolKind::Custom { format } if quirks.refuses("tools.custom") => {
            let schema = free_text_schema(format.as_ref(), index, losses);
            function(Some(&schema), None, losses);
        }
        ToolKind::Custom { format } => {
            out.put("type", "custom");
            out.put("name", &tool.name);
            out.put_some("description", tool.description.as_deref());
            out.put_some("format", format.as_ref().map(flatten_format).as_ref());
        }
        ToolKind::Foreign { from, value } if *from == NAME => return Some(value.clone()),
        ToolKind::Foreign { from, .. } => {
            losses.add(format!("tools[{index}]"), format!("a tool of {from} that {NAME} does not have"));
            return None;
        }
    }
    if tool.cache.is_some() {
        losses.add(format!("tools[{index}].cache"), "the provider caches by itself");
    }
    losses.add_foreign(&format!("tools[{index}]"), &tool.extra, NAME);
    if let Some(fields) = tool.extra.of(NAME) {
        out.put_all(fields);
    }
    Some(Raw::of(&out))
}

fn write_choice(choice: &ToolChoice, request: &Request, quirks: &Quirks) -> Value {
    let named = |name: &String| match request.tools.iter().find(|tool| tool.name == *name).map(|tool| &tool.kind) {
        Some(ToolKind::Custom { .. }) if !quirks.refuses("tools.custom") => json!({ "type": "custom", "name": name }),
        Some(ToolKind::Foreign { .. }) => json!({ "type": name }),
        _ => json!({ "type": "function", "name": name }),
    };
    match choice {
        ToolChoice::Allowed { names, required } => {
            let tools: Vec<Value> = names.iter().map(named).collect();
            let mode = if *required { "required" } else { "auto" };
            json!({ "type": "allowed_tools", "mode": mode, "tools": tools })
        }
        ToolChoice::Tool(name) => named(name),
        _ => Value::Null,
    }
}
