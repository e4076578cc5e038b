//! Tools and which of them to call, both ways.

use serde_json::json;
use serde_json::value::RawValue;

use super::super::NAME;
use crate::dialect::fields::Fields;
use crate::dialect::object::Object;
use crate::dialect::openai_chat::wire::Str;
use crate::error::{Error, Result};
use crate::ir::{Raw, Request, Tool, ToolChoice, ToolKind};
use crate::loss::Losses;

/// Reads `tools`, `strict_tools` and `tool_choice`.
pub(super) fn read(fields: &mut Fields<'_>, request: &mut Request) -> Result<()> {
    let tools: Vec<&RawValue> = fields.take("tools")?.unwrap_or_default();
    let strict = fields.take("strict_tools")?;
    let read = |(index, raw): (usize, &&RawValue)| read_one(raw, &format!("tools[{index}]"), strict);
    request.tools = tools.iter().enumerate().map(read).collect::<Result<_>>()?;
    let choice: Option<Str<'_>> = fields.take("tool_choice")?;
    request.tool_choice = match choice.as_deref() {
        None => None,
        Some(word) if word.eq_ignore_ascii_case("REQUIRED") => Some(ToolChoice::Required),
        Some(word) if word.eq_ignore_ascii_case("NONE") => Some(ToolChoice::None),
        Some(word) => {
            let what = format!("tool_choice: expected REQUIRED or NONE, found {word:?}");
            return Err(Error::bad_request(what).at("tool_choice"));
        }
    };
    Ok(())
}

fn read_one(raw: &RawValue, at: &str, strict: Option<bool>) -> Result<Tool> {
    let mut fields = Fields::of(raw, at)?;
    fields.raw("type");
    let mut function = Fields::of(fields.need("function")?, &fields.path("function"))?;
    let schema = function.raw("parameters").map(|raw| Raw(raw.to_owned()));
    Ok(Tool {
        name: function.need("name")?,
        description: function.take("description")?,
        kind: ToolKind::Function { schema, strict },
        cache: None,
        extra: fields.rest(NAME),
    })
}

/// Writes them. A choice among some is made by leaving the others out.
pub(super) fn write(request: &Request, body: &mut Object, losses: &mut Losses) {
    let (only, word): (Option<&[String]>, _) = match &request.tool_choice {
        None | Some(ToolChoice::Auto) => (None, None),
        Some(ToolChoice::None) => (None, Some("NONE")),
        Some(ToolChoice::Required) => (None, Some("REQUIRED")),
        Some(ToolChoice::Tool(name)) => (Some(std::slice::from_ref(name)), Some("REQUIRED")),
        Some(ToolChoice::Allowed { names, required }) => (Some(names), required.then_some("REQUIRED")),
    };
    if request.parallel_tools == Some(false) {
        losses.add("parallel_tools", format!("{NAME} may always call several tools at once"));
    }
    let kept = request.tools.iter().enumerate().filter(|(_, tool)| only.is_none_or(|names| names.contains(&tool.name)));
    let tools: Vec<Raw> = kept.filter_map(|(index, tool)| write_one(tool, &format!("tools[{index}]"), losses)).collect();
    if tools.is_empty() {
        if word == Some("REQUIRED") {
            losses.add("tool_choice", "there are no tools to choose from");
        }
        return;
    }
    body.put("tools", &tools);
    write_strict(&request.tools, body, losses);
    body.put_some("tool_choice", word);
}

/// All schemas bind, or none.
fn write_strict(tools: &[Tool], body: &mut Object, losses: &mut Losses) {
    let binds = |tool: &Tool| matches!(tool.kind, ToolKind::Function { strict: Some(true), .. });
    if tools.iter().all(binds) {
        return body.put("strict_tools", &true);
    }
    for (index, _) in tools.iter().enumerate().filter(|(_, tool)| binds(tool)) {
        losses.add(format!("tools[{index}].strict"), "all schemas bind or none does");
    }
}

fn write_one(tool: &Tool, at: &str, losses: &mut Losses) -> Option<Raw> {
    let mut function = Object::with_capacity(256);
    function.put("name", &tool.name);
    function.put_some("description", tool.description.as_ref());
    match &tool.kind {
        ToolKind::Function { schema: Some(schema), .. } => function.put("parameters", schema),
        ToolKind::Function { schema: None, .. } => function.put("parameters", &json!({ "type": "object", "properties": {} })),
        ToolKind::Custom { format } => {
            if format.is_some() {
                losses.add(format!("{at}.format"), "sent as a function that takes one text");
            }
            let text = json!({ "type": "object", "properties": { "input": { "type": "string" } }, "required": ["input"] });
            function.put("parameters", &text);
        }
        ToolKind::Foreign { from, .. } => {
            losses.add(at.to_owned(), format!("a tool of {from} that {NAME} does not have"));
            return None;
        }
    }
    if tool.cache.is_some() {
        losses.add(format!("{at}.cache"), "the provider caches by itself");
    }
    let mut out = Object::with_capacity(256);
    out.put("type", "function");
    out.put("function", &function);
    match tool.extra.of(NAME) {
        Some(extra) => out.put_all(extra),
        None => losses.add_foreign(at, &tool.extra, NAME),
    }
    Some(Raw::of(&out))
}
