//! The tools of a request as a provider is sent them.

use serde_json::{Value, json};

use super::super::NAME;
use super::tool::flatten_format;
use crate::catalog::Quirks;
use crate::dialect::object::Object;
use crate::dialect::openai_chat::request::{Draft, REFUSED};
use crate::ir::{Raw, Request, Tool, ToolChoice, ToolKind};
use crate::loss::Losses;

/// Writes the tools and which of them to call.
pub(super) fn write_tools(request: &Request, draft: &mut Draft<'_>) {
    let mut only: Option<&[String]> = None;
    let mut choice = request.tool_choice.clone();
    // Where a choice among some cannot be said, the others are left out instead.
    if let Some(ToolChoice::Allowed { names, required }) = &request.tool_choice
        && (draft.quirks.refuses("tool_choice") || draft.quirks.refuses("tool_choice.allowed"))
    {
        only = Some(names);
        choice = Some(if *required { ToolChoice::Required } else { ToolChoice::Auto });
    }
    let mut tools: Vec<Raw> = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        if only.is_none_or(|names| names.contains(&tool.name)) {
            tools.extend(write_tool(tool, index, draft.quirks, &mut draft.losses));
        }
    }
    if draft.quirks.refuses("tools") && !tools.is_empty() {
        return draft.losses.add("tools", REFUSED);
    }
    if choice == Some(ToolChoice::None) && (draft.quirks.refuses("tool_choice.none") || draft.quirks.refuses("tool_choice")) {
        return;
    }
    if tools.is_empty() {
        if let Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { .. }) = choice {
            draft.losses.add("tool_choice", "there are no tools to choose from");
        }
        return;
    }
    draft.body.put("tools", &tools);
    if let Some(choice) = choice {
        write_tool_choice(&choice, request, draft);
    }
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
            if format.is_some() {
                losses.add(format!("tools[{index}].format"), "sent as a function that takes one text");
            }
            let text = json!({ "type": "object", "properties": { "input": { "type": "string" } }, "required": ["input"] });
            function(Some(&Raw::of(&text)), None, losses);
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

/// Some providers demand a schema even where there is nothing to pass.
fn no_arguments(strict: bool) -> Value {
    if strict {
        json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false })
    } else {
        json!({ "type": "object", "properties": {} })
    }
}

fn write_tool_choice(choice: &ToolChoice, request: &Request, draft: &mut Draft<'_>) {
    let named = |name: &str| match request.tools.iter().find(|tool| tool.name == name).map(|tool| &tool.kind) {
        Some(ToolKind::Custom { .. }) if !draft.quirks.refuses("tools.custom") => json!({ "type": "custom", "name": name }),
        Some(ToolKind::Foreign { .. }) => json!({ "type": name }),
        _ => json!({ "type": "function", "name": name }),
    };
    let (word, value) = match choice {
        ToolChoice::None => ("tool_choice.none", Value::from("none")),
        ToolChoice::Auto => ("tool_choice.auto", Value::from("auto")),
        ToolChoice::Required => ("tool_choice.required", Value::from(draft.quirks.required_word.as_str())),
        ToolChoice::Tool(name) => ("tool_choice.named", named(name)),
        ToolChoice::Allowed { names, required } => {
            let tools: Vec<Value> = names.iter().map(|name| named(name)).collect();
            let mode = if *required { "required" } else { "auto" };
            ("tool_choice.allowed", json!({ "type": "allowed_tools", "mode": mode, "tools": tools }))
        }
    };
    if draft.quirks.refuses(word) || draft.quirks.refuses("tool_choice") {
        if *choice != ToolChoice::Auto {
            draft.losses.add("tool_choice", REFUSED);
        }
    } else {
        draft.body.put("tool_choice", &value);
    }
}
