//! The file of a workflow as written: TOML whose values know their lines, and whose keys are strict.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use trunkline::codec::catalog::nearest;

/// Collects what is wrong, each with its line.
#[derive(Debug)]
pub(super) struct Page<'t> {
    pub(super) path: String,
    pub(super) text: &'t str,
    pub(super) faults: Vec<String>,
}

/// A table of the file.
pub(super) struct Table<'a, 't> {
    entries: Vec<(&'a str, usize, &'a Spanned<DeValue<'t>>)>,
}

/// A text of the file, and the line on which its first character stands.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Page<'_> {
    pub(super) fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    pub(super) fn complain(&mut self, line: usize, what: impl AsRef<str>) {
        self.faults.push(format!("{}, line {line}: {}", self.path, what.as_ref()));
    }

    /// The entries of a table, in the order of the file; keys that are not known are complained of.
    pub(super) fn table<'a, 't>(&mut self, table: &'a DeTable<'t>, known: Option<&[&str]>, what: &str) -> Table<'a, 't> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut kept = Vec::new();
        for (key, value) in entries {
            let (name, line) = (key.get_ref().as_ref(), self.line(key.span().start));
            if let Some(known) = known.filter(|known| !known.contains(&name)) {
                let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean {near}?"));
                let hint = near.unwrap_or_else(|| format!("there are {}", known.join(", ")));
                self.complain(line, format!("{what} has no {name}; {hint}"));
            }
            kept.push((name, line, value));
        }
        Table { entries: kept }
    }

    /// The text of a value; complained of where it is none.
    pub(super) fn text(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<Text> {
        let span = value.span();
        let line = self.line(span.start);
        let Some(text) = value.get_ref().as_str() else {
            self.complain(line, format!("{name} must be a text in quotes"));
            return None;
        };
        Some(Text { text: text.to_owned(), line: line + usize::from(self.starts_below(&span)) })
    }

    /// Whether a text in three quotes begins on the line after them.
    fn starts_below(&self, span: &Range<usize>) -> bool {
        let written = self.text.get(span.clone()).unwrap_or_default();
        let inner = written.strip_prefix("\"\"\"").or_else(|| written.strip_prefix("'''"));
        inner.is_some_and(|inner| inner.starts_with('\n') || inner.starts_with("\r\n"))
    }
}

impl<'a, 't> Table<'a, 't> {
    pub(super) fn get(&self, name: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.entries.iter().find(|(key, _, _)| *key == name).map(|(_, _, value)| *value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, usize, &'a Spanned<DeValue<'t>>)> + use<'_, 'a, 't> {
        self.entries.iter().copied()
    }
}

/// A value as JSON; times are texts.
pub(super) fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(yes) => Value::from(*yes),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref())));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}
