//! A JSON object written member by member, straight into bytes.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An object that grows.
#[derive(Debug)]
pub(crate) struct Object {
    out: Vec<u8>,
    keys: Vec<String>,
}

impl Object {
    /// Empty, with room for `capacity` bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.push(b'{');
        Object { out, keys: Vec::new() }
    }

    /// Adds a member, unless it is there already.
    pub(crate) fn put(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        if self.has(key) {
            return;
        }
        let before = self.out.len();
        if !self.keys.is_empty() {
            self.out.push(b',');
        }
        let written = serde_json::to_writer(&mut self.out, key).and_then(|()| {
            self.out.push(b':');
            serde_json::to_writer(&mut self.out, value)
        });
        match written {
            Ok(()) => self.keys.push(key.to_owned()),
            // Only a map with keys that are no strings could get here.
            Err(_) => self.out.truncate(before),
        }
    }

    /// Adds a member if there is a value for it.
    pub(crate) fn put_some(&mut self, key: &str, value: Option<&(impl Serialize + ?Sized)>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Adds the members that are not there yet.
    pub(crate) fn put_all(&mut self, fields: &Map<String, Value>) {
        for (key, value) in fields {
            self.put(key, value);
        }
    }

    /// Whether there are no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether there is such a member.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known == key)
    }

    /// The object as a value of another.
    fn raw(&self) -> Option<Box<RawValue>> {
        let mut text = String::from_utf8(self.out.clone()).ok()?;
        text.push('}');
        RawValue::from_string(text).ok()
    }

    /// The object's JSON.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw().serialize(serializer)
    }
}
