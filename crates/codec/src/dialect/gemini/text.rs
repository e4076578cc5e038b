//! Writing JSON by hand.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ir::Extra;

use super::NAME;

pub(crate) use crate::dialect::shared::compact;

/// Writes one value.
pub(crate) fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// An object that is being written.
pub(crate) struct Object<'v> {
    out: &'v mut Vec<u8>,
    empty: bool,
}

impl<'v> Object<'v> {
    /// Opens it.
    pub(crate) fn new(out: &'v mut Vec<u8>) -> Self {
        out.push(b'{');
        Object { out, empty: true }
    }

    /// Writes a key; its value must be written next.
    pub(crate) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        put(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// Writes a field.
    pub(crate) fn put(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        put(self.key(key), value);
    }

    /// Writes a field that is there.
    pub(crate) fn put_some(&mut self, key: &str, value: &Option<impl Serialize>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Writes a field that is an object.
    pub(crate) fn object(&mut self, key: &str) -> Object<'_> {
        Object::new(self.key(key))
    }

    /// Writes a field that is a list.
    pub(crate) fn list(&mut self, key: &str) -> List<'_> {
        List::new(self.key(key))
    }

    /// Writes a field that is an object, unless `write` says that there is nothing in it.
    pub(crate) fn object_if(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>) -> bool) {
        let (len, empty) = (self.out.len(), self.empty);
        let mut object = self.object(key);
        let any = write(&mut object);
        object.end();
        if !any {
            self.out.truncate(len);
            self.empty = empty;
        }
    }

    /// Writes more fields.
    pub(crate) fn put_all<'e>(&mut self, fields: impl Iterator<Item = (&'e str, &'e Value)>) {
        for (key, value) in fields {
            self.put(key, value);
        }
    }

    /// True when nothing was written into it.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Closes it.
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// A list that is being written.
pub(crate) struct List<'v> {
    out: &'v mut Vec<u8>,
    empty: bool,
}

impl<'v> List<'v> {
    /// Opens it.
    pub(crate) fn new(out: &'v mut Vec<u8>) -> Self {
        out.push(b'[');
        List { out, empty: true }
    }

    /// Begins an element; it must be written next.
    pub(crate) fn element(&mut self) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out
    }

    /// Begins an element that is an object.
    pub(crate) fn object(&mut self) -> Object<'_> {
        Object::new(self.element())
    }

    /// Writes an element that is an object, unless `write` says that there is nothing in it.
    pub(crate) fn object_if<E>(&mut self, write: impl FnOnce(&mut Object<'_>) -> Result<bool, E>) -> Result<(), E> {
        let (len, empty) = (self.out.len(), self.empty);
        let mut object = self.object();
        let any = write(&mut object)?;
        object.end();
        if !any {
            self.out.truncate(len);
            self.empty = empty;
        }
        Ok(())
    }

    /// True when it has no element.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Closes it.
    pub(crate) fn end(self) {
        self.out.push(b']');
    }
}

/// Our own fields of `extra` whose names start with `path`, without it, and without deeper ones that `but` names.
///
/// Fields from inside an object travel as `generationConfig.imageConfig`, so that a loss can name them.
pub(crate) fn nested<'e>(
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
