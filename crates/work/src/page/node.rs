//! The values of a file, whichever way it is written, with their lines; and how TOML is read into them.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value, and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) held: Held,
    /// Its line, from 1.
    pub(crate) line: usize,
    /// The line of a text's first character: a long text may begin below its quotes.
    pub(crate) text_line: usize,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Held {
    Text(String),
    /// A number, `true` or `false`, or nothing.
    Plain(Value),
    List(Vec<Node>),
    /// In the order of the file: key, its line, value.
    Table(Vec<(String, usize, Node)>),
}

impl Node {
    pub(crate) fn new(held: Held, line: usize) -> Self {
        Node { held, line, text_line: line }
    }

    pub(crate) const fn is_text(&self) -> bool {
        matches!(self.held, Held::Text(_))
    }

    pub(crate) const fn is_table(&self) -> bool {
        matches!(self.held, Held::Table(_))
    }

    /// The entries of a table; none where it is no table.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, usize, &Node)> {
        let entries = if let Held::Table(entries) = &self.held { entries.as_slice() } else { &[] };
        entries.iter().map(|(key, line, value)| (key.as_str(), *line, value))
    }

    /// As JSON; times are texts.
    pub(crate) fn to_json(&self) -> Value {
        match &self.held {
            Held::Text(text) => Value::from(text.as_str()),
            Held::Plain(value) => value.clone(),
            Held::List(items) => items.iter().map(Node::to_json).collect(),
            Held::Table(entries) => {
                Value::Object(entries.iter().map(|(key, _, value)| (key.clone(), value.to_json())).collect::<Map<_, _>>())
            }
        }
    }
}

/// Reads TOML.
pub(super) fn read(text: &str) -> Result<Node, (usize, String)> {
    let source = Source(text);
    let root = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| source.line(span.start));
        (line, error.message().to_owned())
    })?;
    Ok(Node::new(source.table(root.get_ref()), 1))
}

struct Source<'t>(&'t str);

impl Source<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.0.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn table(&self, table: &DeTable<'_>) -> Held {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &std::borrow::Cow<'_, str> = key.get_ref();
            (name.to_string(), self.line(key.span().start), self.value(value))
        };
        Held::Table(entries.into_iter().map(entry).collect())
    }

    fn value(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let held = match value.get_ref() {
            DeValue::String(text) => Held::Text(text.to_string()),
            DeValue::Integer(number) => {
                Held::Plain(i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from))
            }
            DeValue::Float(number) => Held::Plain(number.as_str().parse::<f64>().map_or(Value::Null, Value::from)),
            DeValue::Boolean(yes) => Held::Plain(Value::from(*yes)),
            DeValue::Datetime(time) => Held::Text(time.to_string()),
            DeValue::Array(items) => Held::List(items.iter().map(|item| self.value(item)).collect()),
            DeValue::Table(table) => self.table(table),
        };
        let line = self.line(span.start);
        Node { held, line, text_line: line + usize::from(self.starts_below(&span)) }
    }

    /// Whether a text in three quotes begins on the line after them.
    fn starts_below(&self, span: &Range<usize>) -> bool {
        let written = self.0.get(span.clone()).unwrap_or_default();
        let inner = written.strip_prefix("\"\"\"").or_else(|| written.strip_prefix("'''"));
        inner.is_some_and(|inner| inner.starts_with('\n') || inner.starts_with("\r\n"))
    }
}
