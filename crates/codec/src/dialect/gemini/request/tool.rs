//! Tools and the choice between them.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::ir::{Extra, Raw, Request, Tool, ToolChoice, ToolKind};
use crate::loss::Losses;

use crate::dialect::gemini::NAME;
use crate::dialect::gemini::text::{List, Object, nested};
use crate::dialect::gemini::wire::{Calling, Function, ToolConfig, ToolSet, value};

/// Reads `tools`.
pub(crate) fn read(sets: Vec<ToolSet<'_>>, request: &mut Request) -> Result<()> {
    for (at, set) in sets.into_iter().enumerate() {
        for (index, function) in set.functions.into_iter().flat_map(|list| list.0).enumerate() {
            let path = format!("tools[{at}].functionDeclarations[{index}].name");
            request.tools.push(read_function(function, path)?);
        }
        for (name, declaration) in set.rest {
            let mut object = Map::new();
            object.insert(name.clone().into_owned(), value(declaration));
            request.tools.push(Tool {
                name: name.into_owned(),
                description: None,
                kind: ToolKind::Foreign { from: NAME, value: Raw::of(&object) },
                cache: None,
                extra: Extra::default(),
            });
        }
    }
    Ok(())
}

fn read_function(function: Function<'_>, path: String) -> Result<Tool> {
    let name = function.name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Error::bad_request(format!("{path} is required")).at(path))?;
    let schema = match (function.json_schema, function.parameters) {
        (Some(schema), _) => Some(Raw(schema.to_owned())),
        (None, Some(schema)) => Some(read_schema(schema)),
        (None, None) => None,
    };
    let extra = function.rest.into_iter().map(|(key, raw)| (key.into_owned(), value(raw))).collect();
    Ok(Tool {
        name: name.0.into_owned(),
        description: function.description.map(|text| text.0.into_owned()),
        kind: ToolKind::Function { schema, strict: None },
        cache: None,
        extra: Extra::new(NAME, extra),
    })
}

/// The service's own `Schema` as JSON Schema.
pub(crate) fn read_schema(schema: &RawValue) -> Raw {
    Raw::of(&translate(value(schema)))
}

/// Types in lower case, `nullable` as a type, counts as numbers.
fn translate(schema: Value) -> Value {
    let Value::Object(fields) = schema else { return schema };
    let mut nullable = false;
    let mut out = Map::new();
    for (key, field) in fields {
        let field = match (key.as_str(), field) {
            ("type", Value::String(word)) => Value::String(word.to_ascii_lowercase()),
            ("nullable", Value::Bool(flag)) => {
                nullable = flag;
                continue;
            }
            ("properties" | "defs" | "$defs", Value::Object(inner)) => {
                Value::Object(inner.into_iter().map(|(name, schema)| (name, translate(schema))).collect())
            }
            ("items" | "additionalProperties" | "not", schema @ Value::Object(_)) => translate(schema),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => {
                Value::Array(list.into_iter().map(translate).collect())
            }
            ("minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties", Value::String(text)) => {
                text.parse::<u64>().map_or(Value::String(text), Value::from)
            }
            (_, field) => field,
        };
        let key = match key.as_str() {
            "ref" => "$ref".to_owned(),
            "defs" => "$defs".to_owned(),
            "any_of" => "anyOf".to_owned(),
            _ => key,
        };
        out.insert(key, field);
    }
    if let (true, Some(word)) = (nullable, out.get_mut("type")) {
        *word = Value::Array(vec![word.take(), Value::from("null")]);
    }
    Value::Object(out)
}

/// Reads `toolConfig`.
pub(crate) fn read_config(config: ToolConfig<'_>, request: &mut Request, extra: &mut Map<String, Value>) {
    for (key, raw) in config.rest {
        extra.insert(format!("toolConfig.{key}"), value(raw));
    }
    let Some(calling) = config.calling else { return };
    request.tool_choice = read_choice(&calling, extra);
    for (key, raw) in calling.rest {
        extra.insert(format!("toolConfig.functionCallingConfig.{key}"), value(raw));
    }
}

fn read_choice(calling: &Calling<'_>, extra: &mut Map<String, Value>) -> Option<ToolChoice> {
    let names: Vec<String> = calling.allowed.iter().flatten().map(|name| name.0.clone().into_owned()).collect();
    let mode = calling.mode.as_deref().unwrap_or_default().to_ascii_uppercase();
    match (mode.as_str(), names.as_slice()) {
        ("NONE", _) => Some(ToolChoice::None),
        ("AUTO", _) => Some(ToolChoice::Auto),
        ("ANY", []) => Some(ToolChoice::Required),
        ("ANY", [name]) => Some(ToolChoice::Tool(name.clone())),
        ("ANY", _) => Some(ToolChoice::Allowed { names, required: true }),
        ("VALIDATED", [_, ..]) => Some(ToolChoice::Allowed { names, required: false }),
        ("" | "MODE_UNSPECIFIED", _) => None,
        _ => {
            extra.insert("toolConfig.functionCallingConfig.mode".to_owned(), Value::String(mode));
            Some(ToolChoice::Auto)
        }
    }
}

/// Writes `tools`.
pub(crate) fn write(request: &Request, body: &mut Object<'_>, losses: &mut Losses) {
    if request.tools.is_empty() {
        return;
    }
    let mut declarations = Vec::new();
    let mut functions = List::new(&mut declarations);
    let mut foreign = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        if tool.cache.is_some() {
            losses.add(format!("tools[{index}].cache"), "gemini caches by itself or by a resource of its own");
        }
        losses.add_foreign(&format!("tools[{index}]"), &tool.extra, NAME);
        match &tool.kind {
            ToolKind::Foreign { from: NAME, value } => foreign.push(value),
            ToolKind::Foreign { from, .. } => {
                losses.add(format!("tools[{index}]"), format!("only a provider that speaks {from} can run it"));
            }
            ToolKind::Function { schema, strict } => {
                if *strict == Some(true) {
                    losses.add(format!("tools[{index}].strict"), "not supported by gemini");
                }
                write_function(tool, schema.as_ref(), &mut functions);
            }
            ToolKind::Custom { .. } => {
                losses.add(format!("tools[{index}].kind"), "approximated as a function that takes one text `input`");
                let schema = Raw::parse(r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#);
                write_function(tool, schema.as_ref(), &mut functions);
            }
        }
    }
    let any = !functions.is_empty();
    functions.end();
    if !any && foreign.is_empty() {
        return;
    }
    let mut list = body.list("tools");
    if any {
        let mut set = list.object();
        set.key("functionDeclarations").extend_from_slice(&declarations);
        set.end();
    }
    for value in foreign {
        list.element().extend_from_slice(value.get().as_bytes());
    }
    list.end();
}

fn write_function(tool: &Tool, schema: Option<&Raw>, functions: &mut List<'_>) {
    let mut function = functions.object();
    function.put("name", &tool.name);
    function.put_some("description", &tool.description);
    if let Some(schema) = schema.filter(|schema| !takes_nothing(&schema.value())) {
        function.put("parametersJsonSchema", schema);
    }
    function.put_all(nested(&tool.extra, "", &[]));
    function.end();
}

/// An object schema without any property: some models refuse it, and leaving it out says the same.
fn takes_nothing(schema: &Value) -> bool {
    let Value::Object(fields) = schema else { return false };
    fields.iter().all(|(key, value)| match (key.as_str(), value) {
        ("type", value) => value == "object",
        ("properties", Value::Object(properties)) => properties.is_empty(),
        ("required", Value::Array(names)) => names.is_empty(),
        ("additionalProperties", value) => *value == Value::Bool(false),
        ("$schema" | "title", _) => true,
        _ => false,
    })
}

/// Writes `toolConfig`.
pub(crate) fn write_config(request: &Request, body: &mut Object<'_>) {
    let (mode, names): (_, &[String]) = match &request.tool_choice {
        None => ("", &[]),
        Some(ToolChoice::None) => ("NONE", &[]),
        Some(ToolChoice::Auto) => ("AUTO", &[]),
        Some(ToolChoice::Required) => ("ANY", &[]),
        Some(ToolChoice::Tool(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { names, required: true }) => ("ANY", names),
        Some(ToolChoice::Allowed { names, required: false }) => ("VALIDATED", names),
    };
    let own = || nested(&request.extra, "toolConfig.functionCallingConfig.", &[]);
    let outer = || nested(&request.extra, "toolConfig.", &["functionCallingConfig."]);
    if mode.is_empty() && own().next().is_none() && outer().next().is_none() {
        return;
    }
    let mut config = body.object("toolConfig");
    if !mode.is_empty() || own().next().is_some() {
        let mut calling = config.object("functionCallingConfig");
        if !mode.is_empty() && !own().any(|(key, _)| key == "mode") {
            calling.put("mode", mode);
        }
        if !names.is_empty() {
            calling.put("allowedFunctionNames", names);
        }
        calling.put_all(own());
        calling.end();
    }
    config.put_all(outer());
    config.end();
}
