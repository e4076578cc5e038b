//! Templates in the words of Jinja: strict, bounded, and checked before they are used.

use std::collections::BTreeSet;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use trunkline::Result;

use crate::fault::wrong;

/// Steps that one rendering may take; a template that loops for ever ends here.
const FUEL: u64 = 1_000_000;
/// Longest text that a template may make, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// One template that has been read.
#[derive(Debug)]
pub(crate) struct Template {
    environment: Environment<'static>,
    names: BTreeSet<String>,
    text: String,
}

/// What is wrong with a template: on which of its lines, from 1, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) why: String,
}

/// The only template of each environment.
const NAME: &str = "text";

impl Template {
    /// Reads a template.
    pub(crate) fn read(text: &str) -> std::result::Result<Self, Fault> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // What is not there leaves no word behind in a prompt.
        // A list or a table is JSON: what Python would print of it is nothing that others can read.
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::None => Ok(()),
            ValueKind::Bool | ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => {
                out.write_str(&json(value)?).map_err(Error::from)
            }
            _ => minijinja::escape_formatter(out, state, value),
        });
        environment.add_filter("string", |value: Value| match value.kind() {
            ValueKind::Bool | ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => json(&value),
            _ => Ok(value.to_string()),
        });
        // Errors say which words of the template they are about.
        environment.set_debug(true);
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| fault(&error))?;
        let names = environment.get_template(NAME).map_err(|error| fault(&error))?.undeclared_variables(true);
        let known: BTreeSet<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
        let is_own = |name: &String| !known.contains(name.split('.').next().unwrap_or(name));
        let names = names.into_iter().filter(is_own).collect();
        Ok(Template { environment, names, text: text.to_owned() })
    }

    /// An expression, as in `when`: reads it as the template that prints it.
    pub(crate) fn read_expression(text: &str) -> std::result::Result<Self, Fault> {
        Self::read(&format!("{{{{ {text} }}}}"))
    }

    /// The line, from 1, on which a name stands first.
    pub(crate) fn line_of(&self, name: &str) -> usize {
        let lines = || self.text.lines().zip(1..);
        let word = |line: &str| line.contains(name);
        lines()
            .find(|(line, _)| word(line) && line.contains('{'))
            .or_else(|| lines().find(|(line, _)| word(line)))
            .map_or(1, |(_, at)| at)
    }

    /// The variables that it takes from outside, with what is asked of them: `name`, `name.field`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The text with these values.
    pub(crate) fn render(&self, values: &Value) -> Result<String> {
        self.make(values)
            .map_err(|Fault { line, why }| wrong(if line > 1 { format!("{why} (line {line} of the template)") } else { why }))
    }

    /// The same for whoever knows where the template stands.
    pub(crate) fn make(&self, values: &Value) -> std::result::Result<String, Fault> {
        let template = self.environment.get_template(NAME).map_err(|error| fault(&error))?;
        let text = template.render(values).map_err(|error| fault(&error))?;
        if text.len() > LONGEST {
            let why = format!("the template makes a text of {} bytes; {LONGEST} is the most", text.len());
            return Err(Fault { line: 1, why });
        }
        Ok(text)
    }

    /// The value of the expression that this is.
    pub(crate) fn evaluate(&self, text: &str, values: &Value) -> Result<Value> {
        let expression = self.environment.compile_expression(text).map_err(|error| wrong(fault(&error).why))?;
        expression.eval(values).map_err(|error| wrong(fault(&error).why))
    }
}

fn json(value: &Value) -> std::result::Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::new(ErrorKind::BadSerialization, "a value in it cannot be written as JSON"))
}

fn fault(error: &Error) -> Fault {
    let words = || error.template_source()?.get(error.range()?);
    let kind = match error.kind() {
        ErrorKind::UndefinedError => {
            let what = words().map_or_else(|| "something in it".to_owned(), |words| format!("`{words}`"));
            return Fault { line: error.line().unwrap_or(1), why: format!("{what} is not set") };
        }
        ErrorKind::OutOfFuel => "it goes on for too long".to_owned(),
        kind => kind.to_string(),
    };
    let why = error.detail().map_or(kind.clone(), |detail| format!("{kind}: {detail}"));
    Fault { line: error.line().unwrap_or(1), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_strict_bounded_and_tells_the_line() {
        let template = Template::read("Hello {{ name }}{% for x in items %}{{ x.y }}{% endfor %}").unwrap();
        assert_eq!(template.names().collect::<Vec<_>>(), ["items", "name"]);
        assert!(template.render(&minijinja::context! { name => "a", items => Vec::<u8>::new() }).is_ok());
        assert!(template.render(&minijinja::context! { name => "a" }).is_err());
        assert_eq!(Template::read("a\nb\n{% if %}").unwrap_err().line, 3);
        let fault =
            Template::read("a\n{{ x.y }}").unwrap().make(&minijinja::context! { x => minijinja::context! {} }).unwrap_err();
        assert_eq!((fault.line, fault.why.as_str()), (2, "`x.y` is not set"));
        let endless = Template::read("{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}").unwrap();
        assert!(endless.render(&Value::UNDEFINED).unwrap_err().message.contains("too long"));
    }

    #[test]
    fn lists_and_tables_are_json() {
        let values: serde_json::Value =
            serde_json::from_str(r#"{"j": {"b": [1, true, null, "x\"y"], "a": 1.5}, "t": true, "n": null, "s": "x"}"#).unwrap();
        let values = Value::from(minijinja::value::Serde(&values));
        for (template, text) in [
            ("{{ j }}", r#"{"a":1.5,"b":[1,true,null,"x\"y"]}"#),
            ("{{ j.b }} {{ j | string }}", r#"[1,true,null,"x\"y"] {"a":1.5,"b":[1,true,null,"x\"y"]}"#),
            ("{{ t }} {{ s }} {{ n }}|{{ j.a }}", "true x |1.5"),
            ("{{ [1, 2] | map('string') | list }}", r#"["1","2"]"#),
            ("{{ j.b[:2] }}", "[1,true]"),
        ] {
            let made = Template::read(template).unwrap().render(&values).unwrap();
            assert_eq!(made, text, "{template}");
        }
    }
}
