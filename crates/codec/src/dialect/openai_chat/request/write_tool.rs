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

/// How a dialect says tools and the choice among them.
pub(crate) struct Words<T, C> {
    /// A tool with its place; `None` for one that cannot be said.
    pub(crate) tool: T,
    /// A choice of one tool or of some.
    pub(crate) choice: C,
}

/// Writes the tools and which of them to call, in the words of a dialect; whether there are any.
pub(crate) fn write_tools_as<'a, T: Serialize>(
    request: &'a Request,
    draft: &mut Draft<'_>,
    words: Words<impl Fn(&'a Tool, usize, &Quirks, &mut Losses) -> Option<T>, impl Fn(&ToolChoice, &Quirks) -> Value>,
) -> bool {
    let mut only: Option<&[String]> = None;
    let mut choice = request.tool_choice.clone();
    // Where a choice among some cannot be said, the others are left out instead.
    if let Some(ToolChoice::Allowed { names, required }) = &request.tool_choice
        && (draft.quirks.refuses("tool_choice") || draft.quirks.refuses("tool_choice.allowed"))
    {
        only = Some(names);
        choice = Some(if *required { ToolChoice::Required } else { ToolChoice::Auto });
    }
    let mut tools: Vec<T> = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        if only.is_none_or(|names| names.contains(&tool.name)) {
            tools.extend((words.tool)(tool, index, draft.quirks, &mut draft.losses));
        }
    }
    if draft.quirks.refuses("tools") && !tools.is_empty() {
        draft.losses.add("tools", REFUSED);
        return false;
    }
    // Without tools none is called either.
    if choice == Some(ToolChoice::None) && (draft.quirks.refuses("tool_choice.none") || draft.quirks.refuses("tool_choice")) {
        return false;
    }
    if tools.is_empty() {
        if let Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { .. }) = choice {
            draft.losses.add("tool_choice", "there are no tools to choose from");
        }
        return false;
    }
    draft.body.put("tools", &tools);
    if let Some(choice) = choice {
        write_tool_choice(&choice, draft, words.choice);
    }
    true
}

fn write_tool_choice(choice: &ToolChoice, draft: &mut Draft<'_>, say: impl Fn(&ToolChoice, &Quirks) -> Value) {
    let (word, value) = match choice {
        ToolChoice::None => ("tool_choice.none", Value::from("none")),
        ToolChoice::Auto => ("tool_choice.auto", Value::from("auto")),
        ToolChoice::Required => ("tool_choice.required", Value::from(draft.quirks.required_word.as_str())),
        ToolChoice::Tool(_) => ("tool_choice.named", say(choice, draft.quirks)),
        ToolChoice::Allowed { .. } => ("tool_choice.allowed", say(choice, draft.quirks)),
    };
    if draft.quirks.refuses(word) || draft.quirks.refuses("tool_choice") {
        if *choice != ToolChoice::Auto {
            draft.losses.add("tool_choice", REFUSED);
        }
    } else {
        draft.body.put("tool_choice", &value);
    }
}

/// What a function is sent as in place of a tool that takes free text: one text.
pub(crate) fn free_text_schema(format: Option<&Raw>, index: usize, losses: &mut Losses) -> Raw {
    if format.is_some() {
        losses.add(format!("tools[{index}].format"), "sent as a function that takes one text");
    }
    Raw::of(&json!({ "type": "object", "properties": { "input": { "type": "string" } }, "required": ["input"] }))
}

/// Some providers demand a schema even where there is nothing to pass.
pub(crate) fn no_arguments(strict: bool) -> Raw {
    Raw::of(&if strict {
        json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false })
    } else {
        json!({ "type": "object", "properties": {} })
    })
}

/// Writes the tools and which of them to call.
pub(super) fn write_tools(request: &Request, draft: &mut Draft<'_>) {
    let choice = |choice: &ToolChoice, quirks: &Quirks| write_choice(choice, request, quirks);
    if write_tools_as(request, draft, Words { tool: write_tool, choice }) {
        draft.put("parallel_tool_calls", "parallel_tools", request.parallel_tools.as_ref());
    }
}

fn write_tool<'a>(tool: &'a Tool, index: usize, quirks: &Quirks, losses: &mut Losses) -> Option<ToolOut<'a>> {
    let (name, description) = (tool.name.as_str(), tool.description.as_deref());
    let mut out = KnownOut { r#type: "function", function: None, custom: None, cache_control: None, extra: tool.extra.of(NAME) };
    match &tool.kind {
        ToolKind::Function { schema, strict } => {
            let parameters = match schema {
                Some(schema) => Cow::Borrowed(schema),
                None => Cow::Owned(no_arguments(*strict == Some(true))),
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
            let parameters = Cow::Owned(free_text_schema(format.as_ref(), index, losses));
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

fn write_choice(choice: &ToolChoice, request: &Request, quirks: &Quirks) -> Value {
    let named = |name: &String| {
        let tool = request.tools.iter().find(|tool| tool.name == *name);
        let is_custom = tool.is_some_and(|tool| matches!(tool.kind, ToolKind::Custom { .. }));
        let kind = if is_custom && !quirks.refuses("tools.custom") { "custom" } else { "function" };
        json!({ "type": kind, kind: { "name": name } })
    };
    match choice {
        ToolChoice::Allowed { names, required } => {
            let tools: Vec<Value> = names.iter().map(named).collect();
            let mode = if *required { "required" } else { "auto" };
            json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": tools } })
        }
        ToolChoice::Tool(name) => named(name),
        _ => Value::Null,
    }
}
