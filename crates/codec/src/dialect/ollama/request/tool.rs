//! Tools, both ways.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::dialect::fields::Fields;
use crate::dialect::object::Object;
use crate::dialect::ollama::CHAT;
use crate::dialect::openai_chat::wire::Str;
use crate::error::Result;
use crate::ir::{Raw, Request, Tool, ToolChoice, ToolKind};
use crate::loss::Losses;

/// Reads what may be called.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Vec<Tool>> {
    let tools: Vec<&RawValue> = fields.take("tools")?.unwrap_or_default();
    tools.into_iter().enumerate().map(|(index, raw)| read_one(raw, &format!("tools[{index}]"))).collect()
}

fn read_one(raw: &RawValue, at: &str) -> Result<Tool> {
    let mut fields = Fields::of(raw, at)?;
    let kind: Option<Str<'_>> = fields.take("type")?;
    if let Some(word) = kind.as_deref().filter(|word| !matches!(*word, "function" | "")) {
        let kind = ToolKind::Foreign { from: CHAT, value: Raw(raw.to_owned()) };
        return Ok(Tool { name: word.to_owned(), description: None, kind, cache: None, extra: Default::default() });
    }
    let mut function = Fields::of(fields.need("function")?, &fields.path("function"))?;
    let schema = function.raw("parameters").map(|raw| Raw(raw.to_owned()));
    Ok(Tool {
        name: function.need("name")?,
        description: function.take("description")?,
        kind: ToolKind::Function { schema, strict: None },
        cache: None,
        extra: fields.rest(CHAT),
    })
}

/// Writes what may be called. There is no way to say what must be.
pub(super) fn write(request: &Request, body: &mut Object, losses: &mut Losses) {
    let mut only: Option<&[String]> = None;
    match &request.tool_choice {
        None | Some(ToolChoice::Auto) => {}
        // Without tools none is called.
        Some(ToolChoice::None) => return,
        Some(ToolChoice::Required) => losses.add("tool_choice", "a call cannot be demanded"),
        Some(ToolChoice::Tool(name)) => {
            only = Some(std::slice::from_ref(name));
            losses.add("tool_choice", "the other tools are left out, but a call cannot be demanded");
        }
        // Those that may not be called are left out.
        Some(ToolChoice::Allowed { names, required }) => {
            only = Some(names);
            if *required {
                losses.add("tool_choice", "a call cannot be demanded");
            }
        }
    }
    if request.parallel_tools == Some(false) {
        losses.add("parallel_tools", format!("{CHAT} may always call several tools at once"));
    }
    let kept = request.tools.iter().enumerate().filter(|(_, tool)| only.is_none_or(|names| names.contains(&tool.name)));
    let tools: Vec<Raw> = kept.filter_map(|(index, tool)| write_one(tool, &format!("tools[{index}]"), losses)).collect();
    if !tools.is_empty() {
        body.put("tools", &tools);
    }
}

fn write_one(tool: &Tool, at: &str, losses: &mut Losses) -> Option<Raw> {
    let mut function = Object::with_capacity(256);
    function.put("name", &tool.name);
    function.put_some("description", tool.description.as_ref());
    match &tool.kind {
        ToolKind::Function { schema, strict } => {
            if *strict == Some(true) {
                losses.add(format!("{at}.strict"), "a schema is a hint here");
            }
            match schema {
                Some(schema) => function.put("parameters", schema),
                None => function.put("parameters", &nothing()),
            }
        }
        ToolKind::Custom { format } => {
            if format.is_some() {
                losses.add(format!("{at}.format"), "sent as a function that takes one text");
            }
            let text = json!({ "type": "object", "properties": { "input": { "type": "string" } }, "required": ["input"] });
            function.put("parameters", &text);
        }
        ToolKind::Foreign { from, value } if *from == CHAT => return Some(value.clone()),
        ToolKind::Foreign { from, .. } => {
            losses.add(at.to_owned(), format!("a tool of {from} that {CHAT} does not have"));
            return None;
        }
    }
    if tool.cache.is_some() {
        losses.add(format!("{at}.cache"), "the provider caches by itself");
    }
    let mut out = Object::with_capacity(256);
    out.put("type", "function");
    out.put("function", &function);
    match tool.extra.of(CHAT) {
        Some(extra) => out.put_all(extra),
        None => losses.add_foreign(at, &tool.extra, CHAT),
    }
    Some(Raw::of(&out))
}

fn nothing() -> Value {
    json!({ "type": "object", "properties": {} })
}
