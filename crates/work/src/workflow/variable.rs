//! What a workflow takes from outside: variables with types and defaults.

use serde::Serialize;
use serde_json::{Map, Value};
use trunkline::Result;
use trunkline::codec::catalog::nearest;

use super::{Values, Workflow};
use crate::fault::{unmarked, wrong};

/// One variable.
#[derive(Clone, Debug, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it may be.
    pub kind: Kind,
    /// What it is when nobody says; without one it has to be given.
    pub default: Option<Value>,
    /// What it is for.
    pub about: Option<String>,
    /// Nothing but one of these. Empty: anything.
    pub choices: Vec<Value>,
    /// Where it stands in the file.
    pub line: usize,
}

/// What a variable may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Any text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A list: JSON, or texts with commas between them.
    List,
    /// Any JSON.
    Json,
}

impl Kind {
    /// The words for them.
    pub(crate) const WORDS: [(&'static str, Kind); 5] =
        [("text", Kind::Text), ("number", Kind::Number), ("bool", Kind::Bool), ("list", Kind::List), ("json", Kind::Json)];

    pub(crate) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("json", |(word, _)| word)
    }

    /// The kind that a value is of.
    pub(crate) const fn of(value: &Value) -> Self {
        match value {
            Value::String(_) => Kind::Text,
            Value::Number(_) => Kind::Number,
            Value::Bool(_) => Kind::Bool,
            Value::Array(_) => Kind::List,
            Value::Null | Value::Object(_) => Kind::Json,
        }
    }

    fn read(self, text: &str) -> Option<Value> {
        let json = || serde_json::from_str::<Value>(text).ok();
        match self {
            Kind::Text => Some(Value::from(text)),
            Kind::Number => json().filter(Value::is_number),
            Kind::Bool => json().filter(Value::is_boolean),
            Kind::List if text.trim_start().starts_with('[') => json().filter(Value::is_array),
            Kind::List => {
                let parts = text.split(['\n', ',']).map(str::trim).filter(|part| !part.is_empty());
                Some(parts.map(Value::from).collect())
            }
            Kind::Json => json(),
        }
    }
}

impl Workflow {
    /// The values of all variables, from `name=value` and the defaults. A value `@FILE` is the file's content.
    ///
    /// # Errors
    /// When one is missing, not known, or not what it should be; with the line that declares it.
    pub fn bind(&self, given: &[(String, String)]) -> Result<Values> {
        fill(&self.variables, &self.path, &read_files(given)?, " with --var NAME=…")
    }

    /// The same of those that are given or have a default; the others may be missing.
    ///
    /// # Errors
    /// When one is not known, or not what it should be.
    pub fn bind_some(&self, given: &[(String, String)]) -> Result<Values> {
        let given = read_files(given)?;
        let has_value = |one: &&Variable| one.default.is_some() || given.contains_key(&one.name);
        let some: Vec<Variable> = self.variables.iter().filter(has_value).cloned().collect();
        fill(&some, &self.path, &given, "")
    }
}

/// `name=value` as they are given to the command: a value `@FILE` is the file's content.
///
/// # Errors
/// When a file cannot be read.
pub fn read_files(given: &[(String, String)]) -> Result<Map<String, Value>> {
    let read = |(name, text): &(String, String)| {
        let content = match text.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file)
                .map(|content| unmarked(&content).trim_end().to_owned())
                .map_err(|error| wrong(format!("--var {name}: cannot read {file}: {error}")))?,
            None => text.clone(),
        };
        Ok((name.clone(), Value::from(content)))
    };
    given.iter().map(read).collect()
}

/// The values of all variables: what is given, else the defaults. A text is read as what its variable is. `how` says how to
/// give one that is missing.
pub(crate) fn fill(variables: &[Variable], path: &str, given: &Map<String, Value>, how: &str) -> Result<Values> {
    let mut values = Values::new();
    let mut faults = Vec::new();
    for (name, value) in given {
        match variables.iter().find(|variable| variable.name == *name) {
            None => faults.push(unknown(variables, path, name)),
            Some(variable) => match take(variable, path, value) {
                Ok(value) => drop(values.insert(name.clone(), value)),
                Err(why) => faults.push(why),
            },
        }
    }
    for variable in variables.iter().filter(|variable| !given.contains_key(&variable.name)) {
        match &variable.default {
            Some(default) => drop(values.insert(variable.name.clone(), default.clone())),
            None => {
                let (line, name) = (variable.line, &variable.name);
                let about = variable.about.as_ref().map(|about| format!(" ({about})")).unwrap_or_default();
                faults.push(format!("{path}, line {line}: {name} is not set{about}; give it{how}"));
            }
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(wrong(faults.join("\n"))) }
}

fn unknown(variables: &[Variable], path: &str, name: &str) -> String {
    let known = variables.iter().map(|variable| variable.name.as_str());
    let near = nearest(name, known.clone()).map(|near| format!("did you mean {near}?"));
    let all = known.collect::<Vec<_>>().join(", ");
    let hint = near.unwrap_or_else(|| if all.is_empty() { "it takes none".to_owned() } else { format!("it takes {all}") });
    format!("{path} has no variable {name}; {hint}")
}

fn take(variable: &Variable, path: &str, given: &Value) -> std::result::Result<Value, String> {
    let (line, name, kind) = (variable.line, &variable.name, variable.kind);
    let value = match given {
        Value::String(text) => kind.read(text),
        other => Some(other.clone()).filter(|other| kind == Kind::Json || Kind::of(other) == kind),
    };
    let shown = || given.as_str().map_or_else(|| given.to_string(), |text| format!("\"{text}\""));
    let value = value.ok_or_else(|| format!("{path}, line {line}: {name} is a {}, and {} is none", kind.word(), shown()))?;
    if variable.choices.is_empty() || variable.choices.contains(&value) {
        return Ok(value);
    }
    let choices = variable.choices.iter().map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned));
    let choices = choices.collect::<Vec<_>>().join(", ");
    Err(format!("{path}, line {line}: {name} is one of {choices}, and not {}", shown()))
}
