//! Writing JSON by hand.

use serde::Serialize;
use serde_json::{Map, Value};

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
