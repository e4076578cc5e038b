//! How YAML is read: strict about keys that are repeated, and bounded in what aliases may make of a small file.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::node::{Held, Node};

/// Most values that a file may have, aliases written out.
const MOST: usize = 100_000;

/// Reads YAML.
pub(super) fn read(text: &str) -> Result<Node, (usize, String)> {
    let options = serde_saphyr::options! { with_snippet: false };
    let one = serde_saphyr::from_str_with_options::<One>(text, options).map_err(|error| explain(text, &error))?;
    let mut left = MOST;
    let node = place(text, one, &mut left).ok_or_else(|| (1, format!("it holds more than {MOST} values")))?;
    if node.is_table() { Ok(node) } else { Err((node.line, "a table is wanted: KEY: VALUE".to_owned())) }
}

/// The reader's own sentence, without the place, which is told before it.
fn explain(text: &str, error: &serde_saphyr::Error) -> (usize, String) {
    let place = error.location();
    let line = place.and_then(|place| usize::try_from(place.line()).ok()).unwrap_or(1).max(1);
    let column = place.map_or(1, |place| place.column());
    let told = error.without_snippet().to_string();
    // It is noticed at the end of the line before, or where the tab stands.
    let mut near = (line..).zip(text.lines().skip(line - 1)).take(2);
    let tab = near.find(|(_, written)| written.trim_start_matches(' ').starts_with('\t'));
    if let Some((line, _)) = tab.filter(|_| told.contains("tab") || told.contains("indent")) {
        return (line, "YAML is indented by spaces, and this line begins with a tab".to_owned());
    }
    let told = told.lines().next().unwrap_or("it cannot be read");
    let told = told.strip_prefix("error: ").unwrap_or(told);
    let told = told.split(" at line ").next().unwrap_or(told).trim_end_matches(':');
    // What follows is for programmers.
    let told = told.split(", set ").next().unwrap_or(told);
    let told =
        if told.contains("from_str_multiple") { "there is more than one document in it; one file holds one" } else { told };
    let told = if told.contains("budget breached") { "it holds more than is taken of one file" } else { told };
    let told = if told.contains("recursive references") { "an alias stands within what it names" } else { told };
    let told = told.rsplit_once(": ").filter(|(front, _)| front.starts_with("line ")).map_or(told, |(_, told)| told);
    (line, format!("{told} (column {column})"))
}

/// A value as it is read.
struct One(Spanned<Raw>);

enum Raw {
    Text(String),
    Plain(Value),
    List(Vec<One>),
    Table(Vec<(Spanned<String>, One)>),
}

fn place(text: &str, one: One, left: &mut usize) -> Option<Node> {
    *left = left.checked_sub(1)?;
    let at = one.0.referenced;
    let line_of = |line: u64| usize::try_from(line).unwrap_or(1).max(1);
    let line = line_of(at.line());
    let held = match one.0.value {
        Raw::Text(words) => {
            // A block begins below the sign that announces it.
            let written = text.lines().nth(line - 1).unwrap_or_default();
            let column = usize::try_from(at.column()).unwrap_or(1);
            let is_block = written.chars().nth(column.saturating_sub(1)).is_some_and(|c| matches!(c, '|' | '>'));
            return Some(Node { held: Held::Text(words), line, text_line: line + usize::from(is_block) });
        }
        Raw::Plain(value) => Held::Plain(value),
        Raw::List(items) => Held::List(items.into_iter().map(|item| place(text, item, left)).collect::<Option<_>>()?),
        Raw::Table(entries) => {
            let entry = |(key, value): (Spanned<String>, One)| {
                Some((key.value, line_of(key.referenced.line()), place(text, value, left)?))
            };
            Held::Table(entries.into_iter().map(entry).collect::<Option<_>>()?)
        }
    };
    Some(Node::new(held, line))
}

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(One)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::from(yes)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::from(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::from(number)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::from(number)))
    }

    fn visit_unit<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Raw::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Raw::Table(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(node: &Node, path: &str, all: &mut Vec<(String, usize, usize)>) {
        for (key, line, value) in node.entries() {
            all.push((format!("{path}{key}"), line, value.text_line));
            lines(value, &format!("{path}{key}."), all);
        }
    }

    #[test]
    fn values_know_their_lines() {
        let text = "# a comment\na: x\nb:\n  c: |\n    one\n    two\n  d: >-\n    folded\n  e: {f: 'y', g: [1, 2.5, true, null]}\nh: \"z\"\n";
        let node = read(text).unwrap();
        let mut all = Vec::new();
        lines(&node, "", &mut all);
        let all: Vec<_> = all.iter().map(|(name, key, value)| (name.as_str(), *key, *value)).collect();
        let wanted = [
            ("a", 2, 2),
            ("b", 3, 4),
            ("b.c", 4, 5),
            ("b.d", 7, 8),
            ("b.e", 9, 9),
            ("b.e.f", 9, 9),
            ("b.e.g", 9, 9),
            ("h", 10, 10),
        ];
        assert_eq!(all, wanted);
        let json = r#"{"a":"x","b":{"c":"one\ntwo\n","d":"folded","e":{"f":"y","g":[1,2.5,true,null]}},"h":"z"}"#;
        assert_eq!(node.to_json().to_string(), json);
    }

    #[test]
    fn what_is_wrong_is_one_sentence_with_its_line() {
        let bomb: String =
            (1..12).map(|at| format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 9].join(", "))).collect();
        let mut bad = Vec::new();
        let bomb = format!("a0: &a0 [x, x]\n{bomb}");
        for (text, line, told) in [
            ("a: 1\n\tb: 2\n", 2, "begins with a tab"),
            ("a: 1\nb: 2\na: 3\n", 3, "duplicate"),
            ("a: [1, 2\n", 1, "unclosed bracket"),
            ("a: 'x\n", 1, ""),
            ("a: b: c\n", 1, ""),
            ("a: *nobody\n", 1, "unknown anchor"),
            ("- 1\n", 1, "a table is wanted"),
            ("", 1, "a table is wanted"),
            (&bomb, 0, ""),
        ] {
            let (at, why) = read(text).unwrap_err();
            let fine = (line == 0 || at == line) && why.contains(told) && !why.contains('\n') && why.len() < 200;
            if !fine {
                bad.push(format!("{text:.60} {at}: {why}"));
            }
        }
        assert!(bad.is_empty(), "{bad:#?}");
    }
}
