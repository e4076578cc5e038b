//! Writing JSON by hand, and saying where a caller's JSON is wrong.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::ir::Extra;

use super::NAME;

/// Writes one value.
pub(super) fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// An object that is being written.
pub(super) struct Object<'v> {
    out: &'v mut Vec<u8>,
    empty: bool,
}

impl<'v> Object<'v> {
    /// Opens it.
    pub(super) fn new(out: &'v mut Vec<u8>) -> Self {
        out.push(b'{');
        Object { out, empty: true }
    }

    /// Writes a key; its value must be written next.
    pub(super) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        put(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// Writes a field.
    pub(super) fn put(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        put(self.key(key), value);
    }

    /// Writes a field that is there.
    pub(super) fn put_some(&mut self, key: &str, value: &Option<impl Serialize>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Writes a field that is an object.
    pub(super) fn object(&mut self, key: &str) -> Object<'_> {
        Object::new(self.key(key))
    }

    /// Writes a field that is a list.
    pub(super) fn list(&mut self, key: &str) -> List<'_> {
        List::new(self.key(key))
    }

    /// Writes more fields.
    pub(super) fn put_all<'e>(&mut self, fields: impl Iterator<Item = (&'e str, &'e Value)>) {
        for (key, value) in fields {
            self.put(key, value);
        }
    }

    /// True when nothing was written into it.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Closes it.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// A list that is being written.
pub(super) struct List<'v> {
    out: &'v mut Vec<u8>,
    empty: bool,
}

impl<'v> List<'v> {
    /// Opens it.
    pub(super) fn new(out: &'v mut Vec<u8>) -> Self {
        out.push(b'[');
        List { out, empty: true }
    }

    /// Begins an element; it must be written next.
    pub(super) fn element(&mut self) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out
    }

    /// Begins an element that is an object.
    pub(super) fn object(&mut self) -> Object<'_> {
        Object::new(self.element())
    }

    /// True when it has no element.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Closes it.
    pub(super) fn end(self) {
        self.out.push(b']');
    }
}

/// Our own fields of `extra` whose names start with `path`, without it, and without deeper ones that `but` names.
///
/// Fields from inside an object travel as `generationConfig.imageConfig`, so that a loss can name them.
pub(super) fn nested<'e>(
    extra: &'e Extra,
    path: &'static str,
    but: &'static [&'static str],
) -> impl Iterator<Item = (&'e str, &'e Value)> {
    let fields: Option<&Map<String, Value>> = extra.of(NAME);
    fields.into_iter().flatten().filter_map(move |(key, value)| {
        let name = key.strip_prefix(path)?;
        (!but.iter().any(|deeper| name.starts_with(deeper))).then_some((name, value))
    })
}

/// Reads a caller's JSON; an error names the place in the caller's words.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        if !error.is_data() {
            return Error::bad_request(format!("the body is not valid JSON: {error}"));
        }
        let path = path_at(body, offset(body, error.line(), error.column()));
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        let sentence = match words.strip_prefix("invalid type: ").and_then(|words| words.split_once(", expected ")) {
            Some((found, expected)) => format!("expected {expected}, found {found}"),
            None => words.to_owned(),
        };
        if path.is_empty() {
            return Error::bad_request(format!("the body: {sentence}"));
        }
        Error::bad_request(format!("{path}: {sentence}")).at(path)
    })
}

fn offset(body: &[u8], line: usize, column: usize) -> usize {
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum::<usize>() + column
}

enum Step {
    Key(String),
    Index(usize),
}

/// The path of the value that is being read at `end`: the keys and indices that are open there.
fn path_at(body: &[u8], end: usize) -> String {
    let mut steps: Vec<Step> = Vec::new();
    let mut bytes = body.iter().enumerate().take(end);
    let mut expects_key = false;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' => {
                steps.push(Step::Key(String::new()));
                expects_key = true;
            }
            b'[' => {
                steps.push(Step::Index(0));
                expects_key = false;
            }
            b'}' | b']' => {
                steps.pop();
                expects_key = false;
            }
            b',' => match steps.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                _ => expects_key = true,
            },
            b'"' => {
                let mut last = at;
                while let Some((here, byte)) = bytes.next() {
                    last = here;
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
                if let (true, Some(Step::Key(key))) = (expects_key, steps.last_mut()) {
                    let quoted = body.get(at..=last).unwrap_or_default();
                    *key = serde_json::from_slice(quoted).unwrap_or_default();
                    expects_key = false;
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) if path.is_empty() => path = key,
            Step::Key(key) => {
                path.push('.');
                path.push_str(&key);
            }
            Step::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}
