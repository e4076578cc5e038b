//! Values that workflows and prompts have in common: templates, counts, variables.

use serde_json::Value;

use super::{Held, Node, Page, Table, Text};
use crate::template::Template;
use crate::workflow::{Kind, Variable};

/// A template and where it stands.
pub(crate) struct Placed {
    pub(crate) template: Template,
    pub(crate) what: String,
    pub(crate) line: usize,
}

/// What a variable's table may say.
const VARIABLE: &[&str] = &["type", "default", "about", "choices"];

impl Page {
    pub(crate) fn template(&mut self, what: &str, value: &Node) -> Option<Placed> {
        let Text { text, line } = self.text(what, value)?;
        match Template::read(&text) {
            Ok(template) => Some(Placed { template, what: what.to_owned(), line }),
            Err(fault) => {
                self.complain(line + fault.line - 1, format!("{what} is no template: {}", fault.why));
                None
            }
        }
    }

    /// A value that stays as it is, as the template that says it.
    pub(crate) fn plain(&mut self, what: &str, value: &Node) -> Option<Placed> {
        let template = Template::read(&value.to_json().to_string()).ok()?;
        Some(Placed { template, what: what.to_owned(), line: value.line })
    }

    pub(crate) fn count(&mut self, table: &Table<'_>, name: &str) -> Option<u64> {
        let value = table.get(name)?;
        let count = value.to_json().as_u64();
        if count.is_none() {
            self.complain(value.line, format!("{name} must be a whole number, 0 or more"));
        }
        count
    }

    /// How freely tokens are drawn.
    pub(crate) fn temperature(&mut self, table: &Table<'_>) -> Option<f64> {
        let value = table.get("temperature")?;
        let number = value.to_json().as_f64().filter(|number| (0.0..=2.0).contains(number));
        if number.is_none() {
            self.complain(value.line, "temperature must be a number from 0 to 2");
        }
        number
    }

    pub(crate) fn variables(&mut self, top: &Table<'_>) -> Vec<Variable> {
        let Some(value) = top.get("vars") else { return Vec::new() };
        let Held::Table(_) = &value.held else {
            self.complain(value.line, "vars must be a table: [vars]");
            return Vec::new();
        };
        let entries: Vec<_> = self.table(value, None, "vars").iter().collect();
        entries.into_iter().filter_map(|(name, line, value)| self.variable(name, line, value)).collect()
    }

    fn variable(&mut self, name: &str, line: usize, value: &Node) -> Option<Variable> {
        let Held::Table(_) = &value.held else {
            let default = value.to_json();
            let kind = Kind::of(&default);
            return Some(Variable {
                name: name.to_owned(),
                kind,
                default: Some(default),
                about: None,
                choices: Vec::new(),
                line,
            });
        };
        let table = self.table(value, Some(VARIABLE), &format!("the variable {name}"));
        let default = table.get("default").map(|value| value.to_json());
        let about = table.get("about").and_then(|value| self.text("about", value)).map(|text| text.text);
        let choices = table.get("choices").map(|value| value.to_json());
        let choices = choices.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        let kind = match table.get("type").and_then(|value| self.text("type", value)) {
            None => default.as_ref().or(choices.first()).map_or(Kind::Text, Kind::of),
            Some(Text { text, line }) => match Kind::WORDS.iter().find(|(word, _)| *word == text) {
                Some((_, kind)) => *kind,
                None => {
                    let words = Kind::WORDS.map(|(word, _)| word).join(", ");
                    self.complain(line, format!("\"{text}\" is no type of a variable; there are {words}"));
                    return None;
                }
            },
        };
        if let Some(default) = default.as_ref().filter(|default| kind != Kind::Json && Kind::of(default) != kind) {
            self.complain(line, format!("{name} is a {}, and its default {default} is none", kind.word()));
        }
        if let Some(default) = default.as_ref().filter(|default| !choices.is_empty() && !choices.contains(default)) {
            self.complain(line, format!("the default of {name}, {default}, is not one of its choices"));
        }
        Some(Variable { name: name.to_owned(), kind, default, about, choices, line })
    }
}
