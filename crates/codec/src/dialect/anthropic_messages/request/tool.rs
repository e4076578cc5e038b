//! Tools on offer, and which of them to call.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use super::super::out::{self, Item};
use super::field::{REFUSED, write_cache};
use crate::catalog::Quirks;
use crate::ir::{Raw, Request, Tool, ToolChoice, ToolKind};
use crate::loss::Losses;

type Written<'a> = (Vec<Item<'a, out::Tool<'a>>>, Option<out::ToolChoice<'a>>);

/// Writes the tools and the choice among them.
pub(super) fn write_tools<'a>(request: &'a Request, thinking: bool, quirks: &Quirks, losses: &mut Losses) -> Written<'a> {
    if !request.tools.is_empty() && quirks.refuses("tools") {
        losses.add("tools", REFUSED);
        return (Vec::new(), None);
    }
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    let mut tools = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        if allowed.is_none_or(|names| names.contains(&tool.name)) {
            tools.extend(write_tool(tool, &format!("tools[{at}]"), quirks, losses));
        }
    }
    let choice = write_choice(request, thinking, quirks, losses);
    if tools.is_empty() {
        if matches!(&choice, Some(choice) if matches!(choice.kind, "any" | "tool")) {
            losses.add("tool_choice", "there is no tool to choose");
        }
        return (tools, None);
    }
    (tools, choice)
}

fn write_tool<'a>(tool: &'a Tool, path: &str, quirks: &Quirks, losses: &mut Losses) -> Option<Item<'a, out::Tool<'a>>> {
    let (input_schema, strict) = match &tool.kind {
        ToolKind::Foreign { from, value } if *from == NAME => return Some(Item::Raw(&value.0)),
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
    let strict = strict.filter(|_| !quirks.refuses("tools.strict"));
    let cache = tool.cache.as_ref().filter(|_| !quirks.refuses("cache_control"));
    if tool.cache.is_some() && cache.is_none() {
        losses.add(format!("{path}.cache"), REFUSED);
    }
    Some(Item::Own(out::Tool {
        name: &tool.name,
        description: tool.description.as_deref(),
        input_schema,
        strict,
        cache_control: cache.map(|mark| write_cache(mark, &format!("{path}.cache"), losses)),
        extra: tool.extra.of(NAME),
    }))
}

fn owned(json: &str) -> Cow<'static, RawValue> {
    Cow::Owned(RawValue::from_string(json.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}

/// A schema must say that it is an object's; elsewhere that goes without saying.
fn write_schema(schema: Option<&Raw>) -> Cow<'_, RawValue> {
    const EMPTY: &str = r#"{"type":"object","properties":{}}"#;
    let Some(schema) = schema else { return owned(EMPTY) };
    #[derive(serde::Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", borrow, default)]
        kind: Option<&'a RawValue>,
    }
    match serde_json::from_str::<Typed<'_>>(schema.get()) {
        Ok(Typed { kind: Some(_) }) => Cow::Borrowed(&schema.0),
        Ok(Typed { kind: None }) => {
            let Ok(fields) = serde_json::from_str::<Map<String, Value>>(schema.get()) else { return owned(EMPTY) };
            let mut typed = Map::new();
            typed.insert("type".to_owned(), Value::from("object"));
            if fields.is_empty() {
                typed.insert("properties".to_owned(), Value::Object(Map::new()));
            }
            typed.extend(fields);
            Cow::Owned(Raw::of(&typed).0)
        }
        Err(_) => owned(EMPTY),
    }
}

fn write_choice<'a>(request: &'a Request, thinking: bool, quirks: &Quirks, losses: &mut Losses) -> Option<out::ToolChoice<'a>> {
    let (kind, name) = match &request.tool_choice {
        None if request.parallel_tools == Some(false) => ("auto", None),
        None => return None,
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => ("auto", None),
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => ("any", None),
        Some(ToolChoice::Tool(name)) => ("tool", Some(name.as_str())),
    };
    let field = match kind {
        "any" => "tool_choice.required",
        "tool" => "tool_choice.named",
        "none" => "tool_choice.none",
        _ => "tool_choice",
    };
    if quirks.refuses("tool_choice") || quirks.refuses(field) {
        losses.add("tool_choice", REFUSED);
        return None;
    }
    let forced = matches!(kind, "any" | "tool");
    if forced && thinking {
        losses.add("tool_choice", "sent as auto: a call cannot be forced together with thinking");
    }
    let (kind, name) = if forced && thinking { ("auto", None) } else { (kind, name) };
    let one = request.parallel_tools == Some(false) && kind != "none";
    let disable_parallel_tool_use = one && !quirks.refuses("parallel_tool_calls");
    if one && !disable_parallel_tool_use {
        losses.add("parallel_tools", REFUSED);
    }
    Some(out::ToolChoice { kind, name, disable_parallel_tool_use })
}
