//! What one dialect could say and the next cannot: reported, never silent.

use std::borrow::Cow;

use serde::Serialize;

use crate::ir::Extra;

/// One thing that a translation left out or only approximated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Path of the field in canonical words, e.g. `sampling.seed` or `messages[2].parts[0].cache`.
    pub field: Cow<'static, str>,
    /// What became of it, one short clause: `not supported by gemini`.
    pub why: Cow<'static, str>,
}

/// The losses of one translation, in the order in which they were met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Losses(Vec<Loss>);

/// A hostile request could otherwise make the list as long as itself.
const MOST: usize = 64;

impl Losses {
    /// Notes one loss; the same field is noted once, and at most 64 fields are.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) {
        let field = field.into();
        if self.0.len() < MOST && !self.0.iter().any(|loss| loss.field == field) {
            self.0.push(Loss { field, why: why.into() });
        }
    }

    /// Notes `field` when `value` is there.
    pub fn add_if_some<T>(&mut self, value: &Option<T>, field: &'static str, why: &'static str) {
        if value.is_some() {
            self.add(field, why);
        }
    }

    /// Notes every field of `extra` unless `dialect` is where it came from.
    pub fn add_foreign(&mut self, path: &str, extra: &Extra, dialect: &'static str) {
        if extra.from != dialect {
            for name in extra.fields.keys() {
                let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                self.add(field, format!("a field of {} that {dialect} does not have", extra.from));
            }
        }
    }

    /// True when nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The losses, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Loss> {
        self.0.iter()
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Losses) {
        for loss in other.0 {
            self.add(loss.field, loss.why);
        }
    }
}
