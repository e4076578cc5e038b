//! The shapes of `generateContent`, tolerant: every field may be missing, names may be camelCase or snake_case,
//! enum words are strings, and fields that we do not know are kept as they were written.
//!
//! Source: the discovery document of `generativelanguage` v1beta.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Fields beyond the known ones, as written.
pub(crate) type Rest<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The value of a piece of JSON; `null` when it cannot be held (a number out of range).
pub(crate) fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or(Value::Null)
}

/// A string, borrowed where nothing is escaped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Str<'a>(pub(crate) Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Visit)
    }
}

/// A number, which proto JSON lets people write as a string too.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Num(pub(crate) f64);

impl Num {
    /// As a count; negative ones are 0.
    pub(crate) fn count(self) -> u64 {
        self.0 as u64
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Num;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Num, E> {
                Ok(Num(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Num, E> {
                Ok(Num(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Num, E> {
                Ok(Num(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Num, E> {
                let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
                number.map(Num).ok_or_else(|| E::invalid_type(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

/// A list; a lone object counts as a list of one, because the service takes it so.
#[derive(Clone, Debug)]
pub(crate) struct Many<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    list.push(element);
                }
                Ok(Many(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
            }
        }
        deserializer.deserialize_any(Visit(PhantomData))
    }
}

/// Defines a struct of optional fields that is read from an object, each field under all its names; the rest is kept raw.
///
/// A derive could do neither: flattened rests do not carry raw JSON, and buffering them costs a tree a frame.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty = $key:literal $(| $alias:literal)*,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name<'a> {
            $($(#[$field_doc])* pub(crate) $field: Option<$ty>,)*
            /// Fields that are not known.
            pub(crate) rest: Rest<'a>,
            /// A known field that came twice.
            pub(crate) repeated: Option<&'static str>,
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visit<'a>(PhantomData<&'a ()>);
                impl<'de: 'a, 'a> Visitor<'de> for Visit<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut object = $name::default();
                        while let Some(key) = map.next_key::<Str<'de>>()? {
                            match &*key {
                                $($key $(| $alias)* => {
                                    if object.$field.is_some() {
                                        object.repeated = Some($key);
                                    }
                                    object.$field = map.next_value()?;
                                })*
                                _ => object.rest.push((key.0, map.next_value::<&'de RawValue>()?)),
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(Visit(PhantomData))
            }
        }
    };
}

mod request;
mod response;

pub(crate) use request::*;
pub(crate) use response::*;
