//! The fields of an object of a caller's request, each read when it is asked for.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fault::{read_json, read_text};
use crate::error::{Error, Result};
use crate::ir::Extra;

/// The fields of one object of a request, each read when it is asked for; what nobody asked for is left over.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    at: String,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// The object that stands at `at` of a caller's request (empty: the whole body).
    pub(crate) fn read(json: &'a [u8], at: &str) -> Result<Self> {
        read_json::<List<'a>>(json, at).map(|list| Fields { at: at.to_owned(), fields: list.0 })
    }

    /// The object that a field kept raw is.
    pub(crate) fn of(raw: &'a RawValue, at: &str) -> Result<Self> {
        read_text::<List<'a>>(raw.get(), at).map(|list| Fields { at: at.to_owned(), fields: list.0 })
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
        self.raw(name).map(|raw| read_text(raw.get(), &self.path(name))).transpose()
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
