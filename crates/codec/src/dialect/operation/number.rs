//! Vectors as JSON and as base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// A vector as it is written: numbers, or base64 of little-endian `f32`.
pub(super) enum Vector<'a> {
    Numbers(&'a [f32]),
    Base64(&'a [f32]),
}

impl<'a> Vector<'a> {
    pub(super) fn new(vector: &'a [f32], base64: bool) -> Self {
        if base64 { Vector::Base64(vector) } else { Vector::Numbers(vector) }
    }
}

impl Serialize for Vector<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Vector::Numbers(numbers) => numbers.serialize(serializer),
            Vector::Base64(numbers) => {
                let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                serializer.serialize_str(&STANDARD.encode(bytes))
            }
        }
    }
}

/// Reads a vector in either form.
pub(super) fn read_vector(raw: &RawValue) -> Result<Vec<f32>> {
    let wrong = || Error::malformed("the provider's answer holds a vector that is neither a list of numbers nor base64");
    let text = raw.get();
    if !text.starts_with('"') {
        return serde_json::from_str(text).map_err(|_| wrong());
    }
    let text: String = serde_json::from_str(text).map_err(|_| wrong())?;
    let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(wrong());
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}
