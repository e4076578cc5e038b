//! What is wrong with a caller's request, in the caller's words: the path of the field at fault.

use std::fmt::Write;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::json::{Kind, Member, scan};

/// Reads JSON from a caller. A value of the wrong type is named by its path: `messages[2].content: expected a string, found integer `5``.
/// `base` is the path of `json` itself within the body; empty for the body.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(json: &'a [u8], base: &str) -> Result<T> {
    match std::str::from_utf8(json) {
        // Checked once for all, which is faster than string by string.
        Ok(text) => read_text(text, base),
        Err(_) => serde_json::from_slice(json).map_err(|fault| describe(json, base, &fault)),
    }
}

/// The same for JSON that is known to be text, such as a field kept raw.
pub(crate) fn read_text<'a, T: Deserialize<'a>>(json: &'a str, base: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|fault| describe(json.as_bytes(), base, &fault))
}

/// The members of a caller's body, which must be one JSON object without repeated keys.
pub(crate) fn read_members(body: &[u8]) -> Result<Vec<Member>> {
    scan::members(body).map_err(|fault| match fault.what {
        crate::json::REPEATED_KEY => Error::bad_request(fault.describe(body)),
        _ => Error::bad_request(format!("the body is not valid JSON: {}", fault.describe(body))),
    })
}

/// The error for a value of the wrong type at the top of a body.
pub(crate) fn expected(field: &'static str, what: &str, found: Kind) -> Error {
    let found = match found {
        Kind::String => "a string",
        Kind::Number => "another number",
        Kind::Object => "an object",
        Kind::Array => "a list",
        Kind::Bool => "true or false",
        Kind::Null => "null",
    };
    Error::bad_request(format!("{field}: expected {what}, found {found}")).at(field)
}

fn describe(json: &[u8], base: &str, fault: &serde_json::Error) -> Error {
    let text = fault.to_string();
    if fault.classify() != serde_json::error::Category::Data {
        return Error::bad_request(format!("the body is not valid JSON: {text}"));
    }
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let what = match what.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        Some((found, expected)) => format!("expected {}, found {}", plain(expected), plain(found)),
        None => what.to_owned(),
    };
    let path = join(base, &locate(json, offset(json, fault.line(), fault.column())));
    match path.is_empty() {
        true => Error::bad_request(what),
        false => Error::bad_request(format!("{path}: {what}")).at(path),
    }
}

/// Names of types as people who write JSON know them.
fn plain(name: &str) -> &str {
    match name {
        "f64" => "a number",
        "u64" | "u32" | "i64" | "i32" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" | "sequence" => "a list",
        "a map" | "map" => "an object",
        name if name.starts_with("struct ") => "an object",
        name => name,
    }
}

fn join(base: &str, rest: &str) -> String {
    match (base.is_empty(), rest.is_empty(), rest.starts_with('[')) {
        (true, ..) => rest.to_owned(),
        (_, true, _) => base.to_owned(),
        (.., true) => format!("{base}{rest}"),
        _ => format!("{base}.{rest}"),
    }
}

/// The byte that a line and a column, both counted from 1, stand for.
fn offset(json: &[u8], line: usize, column: usize) -> usize {
    let start = match line {
        0 | 1 => 0,
        _ => memchr::memchr_iter(b'\n', json).nth(line - 2).map_or(0, |newline| newline + 1),
    };
    start + column
}

enum Level {
    Object(Option<String>),
    Array(usize),
}

/// The path of the value that ends or starts at byte `end` of `json`: `tools[0].name`.
fn locate(json: &[u8], end: usize) -> String {
    let mut levels: Vec<Level> = Vec::new();
    let mut at = 0;
    while at < end {
        match json.get(at) {
            None => break,
            Some(b'{') => levels.push(Level::Object(None)),
            Some(b'[') => levels.push(Level::Array(0)),
            Some(b'}' | b']') => {
                levels.pop();
            }
            Some(b',') => match levels.last_mut() {
                Some(Level::Array(index)) => *index += 1,
                Some(Level::Object(key)) => *key = None,
                None => {}
            },
            Some(b'"') => {
                let close = string_end(json, at + 1);
                if let Some(Level::Object(key @ None)) = levels.last_mut() {
                    *key = json.get(at..=close).and_then(|key| serde_json::from_slice(key).ok());
                }
                at = close;
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object(Some(key)) if path.is_empty() => path.push_str(&key),
            Level::Object(Some(key)) => {
                let _ = write!(path, ".{key}");
            }
            Level::Array(index) => {
                let _ = write!(path, "[{index}]");
            }
            Level::Object(None) => {}
        }
    }
    path
}

/// The closing quote of the string whose text starts at `at`; the end of the input when it has none.
fn string_end(json: &[u8], mut at: usize) -> usize {
    loop {
        match json.get(at) {
            None | Some(b'"') => return at,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code)]
    struct Body {
        messages: Vec<Message>,
        #[serde(default)]
        n: u32,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code)]
    struct Message {
        content: String,
    }

    fn says(json: &str) -> (String, Option<String>) {
        let error = read_json::<Body>(json.as_bytes(), "").unwrap_err();
        (error.message, error.param)
    }

    #[test]
    fn a_wrong_type_is_named_by_its_path() {
        let (message, param) = says("{\"messages\":[{\"content\":\"a, {\\\"b\"},\n {\"x\":[1,2],\"content\": 5}]}");
        assert_eq!(message, "messages[1].content: expected a string, found integer `5`");
        assert_eq!(param.as_deref(), Some("messages[1].content"));
        assert_eq!(says("{\"messages\":[{\"content\":{\"a\":1}}]}").1.as_deref(), Some("messages[0].content"));
        assert_eq!(says("{\"messages\":{}}").1.as_deref(), Some("messages"));
        assert_eq!(says("{\"messages\":[],\"n\":\"two\"}").1.as_deref(), Some("n"));
    }

    #[test]
    fn a_missing_field_is_named_by_its_object() {
        let (message, _) = says("{\"messages\":[{}]}");
        assert_eq!(message, "messages[0]: missing field `content`");
    }

    #[test]
    fn broken_json_is_said_to_be_so() {
        assert!(says("{\"messages\":[").0.starts_with("the body is not valid JSON: EOF"));
    }
}
