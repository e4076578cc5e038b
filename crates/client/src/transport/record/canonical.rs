//! What makes two requests the same: method, path, the query in one order without credentials, and the body as canonical
//! JSON. Headers do not count.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::hide::{is_credential, pairs};
use crate::credential::digest;

/// A request in its one spelling.
#[derive(Debug)]
pub(super) struct Canonical {
    /// `POST /chat/completions?a=1`
    pub(super) line: String,
    pub(super) body: Body,
}

/// A body, as far as it is looked at.
#[derive(Debug)]
pub(super) enum Body {
    Json(Value),
    /// By its digest.
    Other(String),
}

impl Canonical {
    pub(super) fn new(method: &str, path: &str, media: &str, body: &[u8]) -> Self {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let shown = pairs(query).filter(|(name, value)| !is_credential(name) && *value != "***");
        let mut query: Vec<String> = shown.map(|(name, value)| format!("{name}={value}")).collect();
        query.sort();
        let mark = if query.is_empty() { "" } else { "?" };
        let line = format!("{method} {path}{mark}{}", query.join("&"));
        let body = match serde_json::from_slice(body) {
            Ok(value) => Body::Json(value),
            Err(_) => Body::Other(digest::hex(digest::sha256(unbound(media, body)))),
        };
        Canonical { line, body }
    }

    /// What is the same for the same requests to `provider`.
    pub(super) fn key(&self, provider: &str) -> String {
        let mut text = format!("{provider}\n{}\n", self.line);
        match &self.body {
            Body::Json(value) => write_sorted(value, &mut text),
            Body::Other(digest) => text.push_str(digest),
        }
        digest::hex(digest::sha256(text))
    }

    /// How many places differ, and the first of them.
    pub(super) fn differs(&self, other: &Canonical) -> (usize, Option<String>) {
        let mut places = Vec::new();
        match (&self.body, &other.body) {
            (Body::Json(mine), Body::Json(theirs)) => compare(mine, theirs, "", &mut places),
            (Body::Other(mine), Body::Other(theirs)) if mine == theirs => {}
            _ => places.push(String::new()),
        }
        let named = |place: String| if place.is_empty() { "the body".to_owned() } else { format!("`{place}`") };
        (places.len(), places.into_iter().next().map(named))
    }
}

/// A form's boundary is another one each time.
fn unbound(media: &str, body: &[u8]) -> Vec<u8> {
    let boundary = media.split(';').find_map(|part| part.trim().strip_prefix("boundary=")).map(|text| text.trim_matches('"'));
    let Some(boundary) = boundary.filter(|text| !text.is_empty()) else { return body.to_vec() };
    let mut out = Vec::with_capacity(body.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(body, boundary.as_bytes()) {
        out.extend_from_slice(body.get(from..at).unwrap_or_default());
        out.extend_from_slice(b"boundary");
        from = at + boundary.len();
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    out
}

/// JSON without white space and with its keys in order.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            out.push('{');
            for (key, value) in sorted {
                // Writing to a string does not fail.
                let _ = write!(out, "{}:", Value::String(key.clone()));
                write_sorted(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_sorted(item, out);
                out.push(',');
            }
            out.push(']');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

/// Most places that are looked for.
const PLACES: usize = 1000;

fn compare(mine: &Value, theirs: &Value, place: &str, places: &mut Vec<String>) {
    if places.len() >= PLACES || mine == theirs {
        return;
    }
    match (mine, theirs) {
        (Value::Object(mine), Value::Object(theirs)) => {
            let dot = if place.is_empty() { "" } else { "." };
            for (key, value) in mine {
                compare(value, theirs.get(key).unwrap_or(&Value::Null), &format!("{place}{dot}{key}"), places);
            }
            let more = theirs.keys().filter(|key| !mine.contains_key(*key));
            places.extend(more.map(|key| format!("{place}{dot}{key}")));
        }
        (Value::Array(mine), Value::Array(theirs)) => {
            for at in 0..mine.len().max(theirs.len()) {
                let (mine, theirs) = (mine.get(at).unwrap_or(&Value::Null), theirs.get(at).unwrap_or(&Value::Null));
                compare(mine, theirs, &format!("{place}[{at}]"), places);
            }
        }
        _ => places.push(place.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str, media: &str, body: &str) -> String {
        Canonical::new("POST", path, media, body.as_bytes()).key("p")
    }

    #[test]
    fn order_and_white_space_do_not_count() {
        let json = "application/json";
        let one = key("/x?b=2&a=1", json, r#"{"m":"x","n":{"a":1,"b":[1,2]}}"#);
        assert_eq!(one, key("/x?a=1&key=secret&b=2", json, "{ \"n\": {\"b\": [1, 2], \"a\": 1}, \"m\": \"x\" }"));
        for (path, body) in [
            ("/x?a=1", r#"{"m":"x","n":{"a":1,"b":[1,2]}}"#),
            ("/x?b=2&a=1", r#"{"m":"x","n":{"a":1,"b":[2,1]}}"#),
            ("/x?b=2&a=1", r#"{"m":"x"}"#),
        ] {
            assert_ne!(one, key(path, json, body));
        }
        let form = |boundary: &str, text: &str| {
            key(
                "/f",
                &format!("multipart/form-data; boundary={boundary}"),
                &format!("--{boundary}\r\n\r\n{text}\r\n--{boundary}--\r\n"),
            )
        };
        assert_eq!(form("one", "a"), form("two-three", "a"));
        assert_ne!(form("one", "a"), form("one", "b"));
    }

    #[test]
    fn differences_are_named() {
        let canonical = |body: &str| Canonical::new("POST", "/x", "", body.as_bytes());
        let one = canonical(r#"{"model":"a","messages":[{"content":"hi"}],"n":1}"#);
        let two = canonical(r#"{"model":"a","messages":[{"content":"ho"}],"seed":1,"n":2}"#);
        assert_eq!(one.differs(&two), (3, Some("`messages[0].content`".to_owned())));
        assert_eq!(one.differs(&canonical("no json")), (1, Some("the body".to_owned())));
    }
}
