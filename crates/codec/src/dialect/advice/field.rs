//! Waits in fields of a JSON body, wherever they stand in it: `error.retry_after`, `details[].retryDelay`,
//! `error.metadata.headers`.

use std::time::Duration;

use serde_json::{Map, Value};

use super::wait::{Unit, count, read_wait, settle};

/// Names of fields that hold a wait, compared without case, `_` and `-`.
const FIELDS: &[(&str, Unit)] = &[
    ("retryafter", Unit::Seconds),
    ("retryafters", Unit::Seconds),
    ("retryafterseconds", Unit::Seconds),
    ("retryaftersecs", Unit::Seconds),
    ("retryafterms", Unit::Milliseconds),
    ("retryaftermillis", Unit::Milliseconds),
    ("retryaftermilliseconds", Unit::Milliseconds),
    ("retrydelay", Unit::Seconds),
    ("retryin", Unit::Seconds),
    ("retryinseconds", Unit::Seconds),
    // How long a model that is being loaded will take.
    ("estimatedtime", Unit::Seconds),
    ("waitseconds", Unit::Seconds),
];

/// What the fields of a body say.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The longest wait that is named.
    pub(super) wait: Option<Duration>,
    /// Headers of another service, repeated in the body.
    pub(super) headers: Vec<(String, String)>,
}

/// How often a text may hold JSON in JSON.
const NESTED: u8 = 2;

/// What the fields say; nothing, where the body is not JSON.
pub(super) fn read(body: &[u8], now: Option<u64>) -> Said {
    let mut said = Said::default();
    if let Ok(value) = serde_json::from_slice(body) {
        said.take(&value, now, NESTED);
    }
    said
}

impl Said {
    // As deep as the value is, and a parser gives up at 128.
    fn take(&mut self, value: &Value, now: Option<u64>, nested: u8) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let plain: String = name.chars().filter(|c| !matches!(c, '_' | '-')).collect();
                    let known = FIELDS.iter().find(|(field, _)| field.eq_ignore_ascii_case(&plain));
                    let wait = known.and_then(|(_, unit)| read_value(value, *unit, now));
                    self.wait = self.wait.max(wait);
                    match value {
                        Value::Object(headers) if plain.eq_ignore_ascii_case("headers") => self.take_headers(headers),
                        _ => self.take(value, now, nested),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.take(value, now, nested)),
            Value::String(text) if nested > 0 && text.trim_start().starts_with(['{', '[']) => {
                if let Ok(value) = serde_json::from_str(text) {
                    self.take(&value, now, nested - 1);
                }
            }
            _ => {}
        }
    }

    fn take_headers(&mut self, headers: &Map<String, Value>) {
        for (name, value) in headers {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            self.headers.push((name.to_ascii_lowercase(), value));
        }
    }
}

fn read_value(value: &Value, unit: Unit, now: Option<u64>) -> Option<Duration> {
    match value {
        Value::Number(number) => count(number.as_f64()?, unit, now),
        Value::String(text) => read_wait(text, unit, now),
        // A `google.protobuf.Duration` that was not written the short way.
        Value::Object(parts) => {
            let part = |name: &str| match parts.get(name) {
                Some(Value::String(text)) => text.parse().ok(),
                Some(value) => value.as_f64(),
                None => None,
            };
            settle(part("seconds")? + part("nanos").unwrap_or(0.0) / 1e9)
        }
        _ => None,
    }
}
