//! Callers' bodies, read into structs; what is wrong with one is said in the words of its own fields.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::ir::Extra;

/// Reads JSON that stands at `at` in a caller's request (empty: the whole body).
///
/// # Errors
/// [`Kind::BadRequest`](crate::Kind::BadRequest) that names the field, as in
/// `messages[2].content: expected a string or a list of parts, not integer 5`.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a [u8], at: &str) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| explain(json, at, &error))
}

/// The fields of one object of a request, each read when it is asked for; what nobody asked for is left over.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    at: String,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// The object that stands at `at` of a caller's request (empty: the whole body).
    pub(crate) fn read(json: &'a [u8], at: &str) -> Result<Self> {
        read::<List<'a>>(json, at).map(|list| Fields { at: at.to_owned(), fields: list.0 })
    }

    /// The path of a field of this object.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// Takes a field unread; null counts as absent.
    pub(crate) fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let position = self.fields.iter().position(|(key, _)| key == name)?;
        let (_, raw) = self.fields.remove(position);
        (raw.get() != "null").then_some(raw)
    }

    /// Takes a field; null counts as absent.
    pub(crate) fn take<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>> {
        self.raw(name).map(|raw| read(raw.get().as_bytes(), &self.path(name))).transpose()
    }

    /// Takes a field that must be there.
    pub(crate) fn need<T: Deserialize<'a>>(&mut self, name: &str) -> Result<T> {
        match self.take(name)? {
            Some(value) => Ok(value),
            None => {
                let path = self.path(name);
                Err(Error::bad_request(format!("{path} is required")).at(path))
            }
        }
    }

    /// Looks at a field and leaves it.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw)
    }

    /// Puts a field back that turned out to be none of ours.
    pub(crate) fn put_back(&mut self, name: &'static str, raw: &'a RawValue) {
        self.fields.push((Cow::Borrowed(name), raw));
    }

    /// What is left, nulls left out, as fields of `dialect`.
    pub(crate) fn rest(self, dialect: &'static str) -> Extra {
        let value = |raw: &RawValue| serde_json::from_str(raw.get()).ok();
        let kept = self.fields.into_iter().filter(|(_, raw)| raw.get() != "null");
        Extra::new(dialect, kept.filter_map(|(key, raw)| Some((key.into_owned(), value(raw)?))).collect())
    }
}

/// An object's members in their order, none of them twice.
struct List<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for List<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = List<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if fields.iter().any(|(known, _)| *known == key) {
                        return Err(serde::de::Error::custom(format_args!("the key {key} is repeated")));
                    }
                    if fields.len() == MOST {
                        return Err(serde::de::Error::custom(format_args!("more than {MOST} fields in one object")));
                    }
                    fields.push((key, map.next_value()?));
                }
                Ok(List(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Looking for repeated keys is quadratic; nobody has this many.
const MOST: usize = 512;

fn explain(json: &[u8], at: &str, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let what = text.rfind(" at line ").and_then(|end| text.get(..end)).unwrap_or(&text);
    if error.classify() != Category::Data {
        return Error::bad_request(format!("the body is not valid JSON: {text}"));
    }
    let path = path_at(json, offset(json, error.line(), error.column()), at);
    let what = match what.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        Some((found, wanted)) => format!("expected {}, not {}", plain(wanted), plain(&found.replace('`', ""))),
        None => what.replace('`', ""),
    };
    if path.is_empty() { Error::bad_request(what) } else { Error::bad_request(format!("{path}: {what}")).at(path) }
}

/// Words of this language's types in words of JSON.
fn plain(word: &str) -> &str {
    match word {
        "f64" => "a number",
        "u64" | "u32" | "i64" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" | "sequence" => "a list",
        "a map" | "map" => "an object",
        "unit value" => "null",
        word if word.starts_with("struct ") => "an object",
        word => word,
    }
}

/// The offset of a line and column as `serde_json` counts them.
fn offset(json: &[u8], line: usize, column: usize) -> usize {
    let start = match line.checked_sub(2) {
        Some(nth) => memchr::memchr_iter(b'\n', json).nth(nth).map_or(0, |newline| newline + 1),
        None => 0,
    };
    start.saturating_add(column).min(json.len())
}

/// Where one is, inside an object or a list.
enum Level {
    Object(String),
    List(usize),
}

/// The path of the value at byte `offset` of JSON that stands at `at`: `messages[2].content`.
fn path_at(json: &[u8], offset: usize, at: &str) -> String {
    let mut levels: Vec<Level> = Vec::new();
    let mut bytes = json.iter().enumerate().take(offset);
    while let Some((start, byte)) = bytes.next() {
        match byte {
            b'{' => levels.push(Level::Object(String::new())),
            b'[' => levels.push(Level::List(0)),
            b'}' | b']' => drop(levels.pop()),
            b',' => match levels.last_mut() {
                Some(Level::List(index)) => *index += 1,
                Some(Level::Object(key)) => key.clear(),
                None => {}
            },
            b'"' => {
                let mut escaped = false;
                let end = bytes.find(|(_, byte)| {
                    let ends = !escaped && **byte == b'"';
                    escaped = !escaped && **byte == b'\\';
                    ends
                });
                if let (Some((end, _)), Some(Level::Object(key))) = (end, levels.last_mut())
                    && key.is_empty()
                {
                    let name = json.get(start + 1..end).unwrap_or_default();
                    *key = String::from_utf8_lossy(name).chars().take(64).collect();
                }
            }
            _ => {}
        }
    }
    let mut path = at.to_owned();
    for level in &levels {
        match level {
            Level::Object(key) if key.is_empty() => {}
            Level::Object(key) if path.is_empty() => path.push_str(key),
            Level::Object(key) => drop(write!(path, ".{key}")),
            Level::List(index) => drop(write!(path, "[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the error matters")]
    struct Outer {
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the error matters")]
    struct Inner {
        text: String,
    }

    #[test]
    fn a_wrong_type_is_named_by_its_path() {
        let say = |json: &str| read::<Outer>(json.as_bytes(), "").unwrap_err().message;
        assert_eq!(say(r#"{"list":[{"text":"a"},{"text":5}]}"#), "list[1].text: expected a string, not integer 5");
        assert_eq!(say("{\n\"x\":\"\\\"{\",\n\"list\":\n[{\"text\":[]}]}"), "list[0].text: expected a string, not a list");
        assert_eq!(say(r#"{"list":[{"text":"a"},{}]}"#), "list[1]: missing field text");
        assert!(say(r#"{"list":["#).starts_with("the body is not valid JSON"));
        let nested = read::<Inner>(br#"{"text":true}"#, "messages[0].content[1]").unwrap_err();
        assert_eq!(nested.param.as_deref(), Some("messages[0].content[1].text"));
    }
}
