//! The tools of a request as a provider is sent them.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::super::NAME;
use super::write::{Draft, REFUSED, cache_control};
use crate::catalog::Quirks;
use crate::ir::{Raw, Request, Tool, ToolChoice, ToolKind};
use crate::loss::Losses;

#[derive(Serialize)]
#[serde(untagged)]
enum ToolOut<'a> {
    Known(KnownOut<'a>),
    Own(&'a RawValue),
}

#[derive(Serialize)]
struct KnownOut<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<CustomOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Value>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct FunctionOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Cow<'a, Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct CustomOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a Raw>,
}

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
    let mut tools: Vec<ToolOut<'_>> = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        if only.is_none_or(|names| names.contains(&tool.name)) {
            tools.extend(write_tool(tool, index, draft.quirks, &mut draft.losses));
        }
    }
    if draft.quirks.refuses("tools") && !tools.is_empty() {
        return draft.losses.add("tools", REFUSED);
    }
    // Without tools none is called either.
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
    draft.put("parallel_tool_calls", "parallel_tools", request.parallel_tools.as_ref());
}

fn write_tool<'a>(tool: &'a Tool, index: usize, quirks: &Quirks, losses: &mut Losses) -> Option<ToolOut<'a>> {
    let (name, description) = (tool.name.as_str(), tool.description.as_deref());
    let mut out = KnownOut { r#type: "function", function: None, custom: None, cache_control: None, extra: tool.extra.of(NAME) };
    match &tool.kind {
        ToolKind::Function { schema, strict } => {
            let parameters = match schema {
                Some(schema) => Cow::Borrowed(schema),
                None => Cow::Owned(Raw::of(&no_arguments(*strict == Some(true)))),
            };
            let strict = strict.filter(|strict| {
                let refused = quirks.refuses("tools.strict");
                if refused && *strict {
                    losses.add(format!("tools[{index}].strict"), REFUSED);
                }
                !refused
            });
            out.function = Some(FunctionOut { name, description, parameters, strict });
        }
        ToolKind::Custom { format } if quirks.refuses("tools.custom") => {
            if format.is_some() {
                losses.add(format!("tools[{index}].format"), "sent as a function that takes one text");
            }
            let text = json!({ "type": "object", "properties": { "input": { "type": "string" } }, "required": ["input"] });
            let parameters = Cow::Owned(Raw::of(&text));
            out.function = Some(FunctionOut { name, description, parameters, strict: None });
        }
        ToolKind::Custom { format } => {
            out.r#type = "custom";
            out.custom = Some(CustomOut { name, description, format: format.as_ref() });
        }
        ToolKind::Foreign { from, value } if *from == NAME => return Some(ToolOut::Own(&value.0)),
        ToolKind::Foreign { from, .. } => {
            losses.add(format!("tools[{index}]"), format!("a tool of {from} that {NAME} does not have"));
            return None;
        }
    }
    match &tool.cache {
        Some(mark) if quirks.accepts("cache_control") => out.cache_control = Some(cache_control(mark)),
        Some(_) => losses.add(format!("tools[{index}].cache"), "the provider caches by itself"),
        None => {}
    }
    losses.add_foreign(&format!("tools[{index}]"), &tool.extra, NAME);
    Some(ToolOut::Known(out))
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
    let kind_of = |name: &str| {
        let tool = request.tools.iter().find(|tool| tool.name == name);
        if tool.is_some_and(|tool| matches!(tool.kind, ToolKind::Custom { .. })) { "custom" } else { "function" }
    };
    let named = |name: &str| {
        let kind = kind_of(name);
        json!({ "type": kind, kind: { "name": name } })
    };
    let (word, value) = match choice {
        ToolChoice::None => ("tool_choice.none", Value::from("none")),
        ToolChoice::Auto => ("tool_choice.auto", Value::from("auto")),
        ToolChoice::Required => ("tool_choice.required", Value::from(draft.quirks.required_word.as_str())),
        ToolChoice::Tool(name) => ("tool_choice.named", named(name)),
        ToolChoice::Allowed { names, required } => {
            let tools: Vec<Value> = names.iter().map(|name| named(name)).collect();
            let mode = if *required { "required" } else { "auto" };
            let allowed = json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": tools } });
            ("tool_choice.allowed", allowed)
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
