//! Whether a value follows a JSON Schema, as far as its basic words go: `type`, `enum`, `const`, `required`, `properties`,
//! `additionalProperties = false`, `items`, and the bounds of lengths, lists and numbers. Other words are left to the model.

use serde_json::Value;

/// Deepest level that is looked at.
const DEPTH: usize = 64;
const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

/// What is wrong with a schema itself, if anything is.
pub(crate) fn fault(schema: &Value, at: &str) -> Option<String> {
    let Some(schema) = schema.as_object() else { return Some(format!("{at} is no table")) };
    let unknown = types(schema.get("type")).find(|name| !TYPES.contains(name));
    if let Some(name) = unknown {
        return Some(format!("{at}: \"{name}\" is no type; there are {}", TYPES.join(", ")));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    if let (Some(required), Some(properties)) = (schema.get("required").and_then(Value::as_array), properties) {
        let missing = required.iter().filter_map(Value::as_str).find(|name| !properties.contains_key(*name));
        if let Some(name) = missing {
            return Some(format!("{at}: {name} is required, and no property"));
        }
    }
    let within = properties.into_iter().flatten().find_map(|(name, schema)| fault(schema, &format!("{at}.{name}")));
    within.or_else(|| fault(schema.get("items").filter(|items| items.is_object())?, &format!("{at}[]")))
}

/// Why an answer does not follow a schema, if it does not: it is no JSON, or not such.
pub fn fault_of(text: &str, schema: &Value) -> Option<String> {
    read_json(text).map_or_else(Some, |value| mismatch(&value, schema))
}

/// Why a value does not follow a schema, if it does not.
pub(crate) fn mismatch(value: &Value, schema: &Value) -> Option<String> {
    look(value, schema, "", DEPTH)
}

fn types(named: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match named {
        Some(Value::String(name)) => (Some(name.as_str()), None),
        Some(Value::Array(names)) => (None, Some(names)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn look(value: &Value, schema: &Value, at: &str, depth: usize) -> Option<String> {
    let (schema, depth) = (schema.as_object()?, depth.checked_sub(1)?);
    let place = if at.is_empty() { "the answer" } else { at };
    let wanted: Vec<&str> = types(schema.get("type")).collect();
    if !wanted.is_empty() && !wanted.iter().any(|name| is_of(value, name)) {
        return Some(format!("{place} must be {}", wanted.join(" or ")));
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array).filter(|choices| !choices.contains(value)) {
        return Some(format!("{place} must be one of {}", Value::from(choices.clone())));
    }
    if let Some(only) = schema.get("const").filter(|only| *only != value) {
        return Some(format!("{place} must be {only}"));
    }
    bounds(value, schema, place).or_else(|| inside(value, schema, at, depth))
}

#[expect(clippy::cast_precision_loss)]
fn bounds(value: &Value, schema: &serde_json::Map<String, Value>, place: &str) -> Option<String> {
    let (least, most, size, what) = match value {
        Value::String(text) => ("minLength", "maxLength", text.chars().count() as f64, " characters"),
        Value::Array(items) => ("minItems", "maxItems", items.len() as f64, " elements"),
        Value::Number(number) => ("minimum", "maximum", number.as_f64()?, ""),
        _ => return None,
    };
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    let has = if what.is_empty() { "must be" } else { "must have" };
    match (bound(least), bound(most)) {
        (Some(bound), _) if size < bound => Some(format!("{place} {has} at least {bound}{what}")),
        (_, Some(bound)) if size > bound => Some(format!("{place} {has} at most {bound}{what}")),
        _ => None,
    }
}

fn inside(value: &Value, schema: &serde_json::Map<String, Value>, at: &str, depth: usize) -> Option<String> {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match value {
        Value::Object(fields) => {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            if let Some(name) = required.into_iter().find(|name| !fields.contains_key(*name)) {
                return Some(format!("{} is missing", below(name)));
            }
            let properties = schema.get("properties").and_then(Value::as_object);
            let declared = |name: &str| properties.and_then(|properties| properties.get(name));
            if schema.get("additionalProperties") == Some(&Value::Bool(false))
                && let Some((name, _)) = fields.iter().find(|(name, _)| declared(name).is_none())
            {
                return Some(format!("{} must not be there", below(name)));
            }
            fields.iter().find_map(|(name, value)| look(value, declared(name)?, &below(name), depth))
        }
        Value::Array(items) => {
            let schema = schema.get("items")?;
            items.iter().zip(0..).find_map(|(item, number)| look(item, schema, &below(&format!("[{number}]")), depth))
        }
        _ => None,
    }
}

/// The JSON in an answer: all of it, or what stands in its only fence.
pub(crate) fn read_json(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = fenced.map_or(text, |rest| rest.split_once('\n').map_or(rest, |(_, json)| json));
    serde_json::from_str(inner.trim()).map_err(|error| format!("the answer is no JSON ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_follow_is_told_with_its_place() {
        let schema = json!({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
            "a": {"type": "array", "minItems": 1, "items": {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}}},
            "b": {"enum": ["x", "y"]},
        }});
        for (value, told) in [
            (json!({"a": [{"n": 3}], "b": "x"}), None),
            (json!([]), Some("the answer must be object")),
            (json!({}), Some("a is missing")),
            (json!({"a": []}), Some("a must have at least 1 elements")),
            (json!({"a": [{"n": 1.5}]}), Some("a.[0].n must be integer")),
            (json!({"a": [{"n": 4}]}), Some("a.[0].n must be at most 3")),
            (json!({"a": [{}], "b": "z"}), Some("b must be one of [\"x\",\"y\"]")),
            (json!({"a": [{}], "c": 1}), Some("c must not be there")),
        ] {
            assert_eq!(mismatch(&value, &schema).as_deref(), told, "{value}");
        }
        assert_eq!(fault(&schema, "schema"), None);
        assert!(fault(&json!({"type": "objct"}), "schema").unwrap().contains("objct"));
        assert_eq!(read_json("```json\n{\"a\": 1}\n```").unwrap(), json!({"a": 1}));
    }
}
