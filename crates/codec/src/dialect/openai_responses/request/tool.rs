//! The tools of a caller's request.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::NAME;
use crate::dialect::fields::Fields;
use crate::dialect::openai_chat::wire::Str;
use crate::error::Result;
use crate::ir::{Extra, Raw, Tool, ToolChoice, ToolKind};

pub(super) fn read_tool(raw: &RawValue, at: &str) -> Result<Tool> {
    let mut fields = Fields::of(raw, at)?;
    let kind: Str<'_> = fields.need("type")?;
    let kind = match &*kind {
        "function" => {
            let schema = fields.raw("parameters").map(|raw| Raw(raw.to_owned()));
            ToolKind::Function { schema, strict: fields.take("strict")? }
        }
        "custom" => ToolKind::Custom { format: fields.raw("format").map(nest_format) },
        word => {
            let kind = ToolKind::Foreign { from: NAME, value: Raw(raw.to_owned()) };
            return Ok(Tool { name: word.to_owned(), description: None, kind, cache: None, extra: Extra::default() });
        }
    };
    let (name, description) = (fields.need("name")?, fields.take("description")?);
    Ok(Tool { name, description, kind, cache: None, extra: fields.rest(NAME) })
}

/// A grammar stands within an object of its own in canonical form, as in chat, and flat here.
fn nest_format(raw: &RawValue) -> Raw {
    match serde_json::from_str::<Map<String, Value>>(raw.get()) {
        Ok(mut fields) if fields.get("type").is_some_and(|kind| kind == "grammar") && !fields.contains_key("grammar") => {
            fields.remove("type");
            Raw::of(&serde_json::json!({ "type": "grammar", "grammar": fields }))
        }
        _ => Raw(raw.to_owned()),
    }
}

/// The other way round.
pub(super) fn flatten_format(format: &Raw) -> Raw {
    let value = format.value();
    match value.get("grammar") {
        Some(Value::Object(grammar)) => {
            let mut fields = grammar.clone();
            fields.insert("type".to_owned(), "grammar".into());
            Raw::of(&fields)
        }
        _ => format.clone(),
    }
}

/// `None` for a choice that we do not know.
pub(super) fn read_tool_choice(raw: &RawValue) -> Option<ToolChoice> {
    let choice: Value = serde_json::from_str(raw.get()).ok()?;
    match choice.as_str() {
        Some("none") => return Some(ToolChoice::None),
        Some("auto") => return Some(ToolChoice::Auto),
        Some("required") => return Some(ToolChoice::Required),
        _ => {}
    }
    let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    match word(&choice, "type")?.as_str() {
        "function" | "custom" => word(&choice, "name").map(ToolChoice::Tool),
        "allowed_tools" => {
            // Tools that servers run have a type and no name: the type is what we call them, too.
            let name = |tool: &Value| word(tool, "name").or_else(|| word(tool, "type"));
            let names = choice.get("tools")?.as_array()?.iter().filter_map(name).collect();
            let required = choice.get("mode").is_some_and(|mode| mode == "required");
            Some(ToolChoice::Allowed { names, required })
        }
        _ => None,
    }
}
