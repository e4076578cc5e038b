//! From the file to a prompt.

use trunkline::Result;
use trunkline::codec::catalog::nearest;
use trunkline::ir::Role;

use super::Prompt;
use crate::fault::wrong;
use crate::page::{Form, Held, Page, Placed, Table};

const TOP: &[&str] = &["about", "model", "task", "max_tokens", "temperature", "system", "prompt", "messages", "vars"];
const MESSAGE: &[&str] = &["role", "text"];
const ROLES: [(&str, Role); 3] = [("system", Role::System), ("user", Role::User), ("assistant", Role::Assistant)];

impl Prompt {
    /// Reads a prompt, and finds whatever can be known to be wrong with it. `path` is what errors call it.
    ///
    /// # Errors
    /// A sentence for each fault, with the line.
    pub fn parse(text: &str, form: Form, path: &str) -> Result<Self> {
        let (mut page, root) = Page::read(text, form, path)?;
        let top = page.table(&root, Some(TOP), "a prompt");
        let variables = page.variables(&top);
        let about = top.get("about").and_then(|value| page.text("about", value)).map(|text| text.text);
        let model = page.model(&top);
        let max_tokens = page.count(&top, "max_tokens");
        let temperature = top.get("temperature").and_then(|value| {
            let number = value.to_json().as_f64();
            if number.is_none() {
                page.complain(value.line, "temperature must be a number");
            }
            number
        });
        let mut drafts = Vec::new();
        if let Some(placed) = top.get("system").and_then(|value| page.template("system", value)) {
            drafts.push((Role::System, placed));
        }
        page.messages(&top, &mut drafts);
        if let Some(placed) = top.get("prompt").and_then(|value| page.template("prompt", value)) {
            drafts.push((Role::User, placed));
        }
        if drafts.is_empty() && page.faults.is_empty() {
            page.complain(1, "a prompt needs words: system, prompt or messages");
        }
        let known: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
        for (_, placed) in &drafts {
            page.look(placed, &known);
        }
        if !page.faults.is_empty() {
            return Err(wrong(page.faults.join("\n")));
        }
        let messages = drafts.into_iter().map(|(role, placed)| (role, placed.template)).collect();
        Ok(Prompt { about, model, variables, max_tokens, temperature, messages, path: path.to_owned() })
    }
}

impl Page {
    fn model(&mut self, top: &Table<'_>) -> Option<String> {
        let model = top.get("model").and_then(|value| self.text("model", value));
        let task = top.get("task").and_then(|value| self.text("task", value));
        match (model, task) {
            (Some(_), Some(task)) => {
                self.complain(task.line, "model and task exclude each other");
                None
            }
            (Some(model), None) if model.text.starts_with(super::PREFIX) => {
                self.complain(model.line, "a prompt cannot ask another prompt; name a model");
                None
            }
            (Some(model), None) => Some(model.text),
            (None, task) => task.map(|task| format!("task:{}", task.text)),
        }
    }

    fn messages(&mut self, top: &Table<'_>, drafts: &mut Vec<(Role, Placed)>) {
        let Some(value) = top.get("messages") else { return };
        let Held::List(items) = &value.held else {
            self.complain(value.line, "messages must be a list of tables with role and text");
            return;
        };
        for item in items {
            let table = self.table(item, Some(MESSAGE), "a message");
            let role = table.get("role").and_then(|value| self.text("role", value));
            let found = ROLES.iter().find(|(word, _)| role.as_ref().is_some_and(|role| role.text == *word));
            let placed = table.get("text").and_then(|value| self.template("text", value));
            match (found, placed) {
                (Some((_, role)), Some(placed)) => drafts.push((*role, placed)),
                (None, _) => self.complain(item.line, "a message has a role, one of system, user and assistant"),
                (_, None) => self.complain(item.line, "a message has a text"),
            }
        }
    }

    /// Whether a template says what nobody sets.
    fn look(&mut self, placed: &Placed, known: &[&str]) {
        for name in placed.template.names() {
            let first = name.split('.').next().unwrap_or(name);
            if known.contains(&first) {
                continue;
            }
            let near = nearest(first, known.iter().copied()).map(|near| format!("did you mean {near}?"));
            let hint = near.unwrap_or_else(|| format!("declare it: [vars] {first} = …"));
            let line = placed.line + placed.template.line_of(name) - 1;
            self.complain(line, format!("{} asks for {first}, which is no variable; {hint}", placed.what));
        }
    }
}
