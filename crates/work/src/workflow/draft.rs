//! From the file to a workflow: reads tables, templates and expressions.

use std::path::Path;

use trunkline::{Client, Result};

use super::{Each, Expression, Kept, Step, Who, Words, Workflow, check};
use crate::fault::{file, wrong};
use crate::page::{Form, Held, Node, Page, Table, Text};
use crate::prompt::{PREFIX, Prompts, is_name};
use crate::schema;
use crate::template::Template;

/// Calls at once, unless the file says otherwise.
const PARALLEL: usize = 8;
const TOP: &[&str] = &["name", "about", "model", "parallel", "vars", "steps", "output"];
const STEP: &[&str] = &[
    "prompt",
    "with",
    "system",
    "model",
    "task",
    "max_tokens",
    "temperature",
    "schema",
    "each",
    "each_line_of",
    "when",
    "retry",
];

impl Workflow {
    /// Reads a workflow, and finds whatever can be known to be wrong with it. Contacts nobody.
    ///
    /// # Errors
    /// A sentence for each fault, with the line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| file("read", path, error))?;
        Self::parse(&text, &path.display().to_string(), &Prompts::default())
    }

    /// As [`Workflow::read`], from a text. `path` is what errors call it, and `prompts` are those that steps may name.
    ///
    /// # Errors
    /// As there.
    pub fn parse(text: &str, path: &str, prompts: &Prompts) -> Result<Self> {
        Self::draw(text, path, prompts, None)
    }

    /// The same for a client that shall run it, and the model that is asked where the file names none: whether every step's
    /// model can be asked is found out with everything else.
    ///
    /// # Errors
    /// As there.
    pub fn parse_for(text: &str, path: &str, prompts: &Prompts, asked: (&Client, Option<&str>)) -> Result<Self> {
        Self::draw(text, path, prompts, Some(asked))
    }

    fn draw(text: &str, path: &str, prompts: &Prompts, asked: Option<(&Client, Option<&str>)>) -> Result<Self> {
        let (mut page, root) = Page::read(text, Form::of(path), path)?;
        let top = page.table(&root, Some(TOP), "a workflow");
        let variables = page.variables(&top);
        let usual = top.get("model").and_then(|value| page.text("model", value)).map(|text| Who::Model(text.text));
        let names = variables.iter().map(|variable| variable.name.clone()).collect();
        let steps = page.steps(&top, Around { usual: usual.unwrap_or(Who::Usual), names, prompts, asked });
        let named = top.get("steps").into_iter().flat_map(Node::entries).map(|(name, ..)| name.to_owned()).collect();
        let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = top.get("name").and_then(|value| page.text("name", value)).map(|text| text.text);
        let about = top.get("about").and_then(|value| page.text("about", value)).map(|text| text.text);
        let parallel = page.count(&top, "parallel").map_or(PARALLEL, |count| usize::try_from(count).unwrap_or(PARALLEL).max(1));
        if let Some(value) = top.get("parallel").filter(|value| value.to_json() == 0) {
            page.complain(value.line, "parallel must be 1 or more: with 0 calls at once nothing is done");
        }
        let output = top.get("output").and_then(|value| page.template("output", value));
        let name = name.or(stem).unwrap_or_default();
        let mut workflow = Workflow { name, about, variables, steps: Vec::new(), output: None, path: path.to_owned(), parallel };
        check::connect(&mut page, &mut workflow, (steps, named), output);
        if page.faults.is_empty() { Ok(workflow) } else { Err(wrong(page.faults.join("\n"))) }
    }
}

/// A step whose templates have not been looked into yet.
pub(super) struct Draft {
    pub(super) step: Step,
    pub(super) lines: Vec<(String, usize)>,
}

/// What is known around a step.
struct Around<'a> {
    usual: Who,
    /// Of variables and steps.
    names: Vec<String>,
    prompts: &'a Prompts,
    /// Whom the steps' calls are made by, and the model of those that name none.
    asked: Option<(&'a Client, Option<&'a str>)>,
}

impl Page {
    fn expression(&mut self, what: &str, value: &Node) -> Option<(Expression, usize)> {
        let Text { text, line } = self.text(what, value)?;
        let trimmed = text.trim();
        let inner = trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(trimmed).trim();
        match Template::read_expression(inner) {
            Ok(template) => Some((Expression { text: inner.to_owned(), template }, line)),
            Err(fault) => {
                self.complain(line + fault.line - 1, format!("{what} is no expression: {}", fault.why));
                None
            }
        }
    }

    fn steps(&mut self, top: &Table<'_>, mut around: Around<'_>) -> Vec<Draft> {
        let Some(value) = top.get("steps").filter(|value| value.is_table()) else {
            self.complain(1, "a workflow needs steps: [steps.NAME] with a prompt");
            return Vec::new();
        };
        let entries: Vec<_> = self.table(value, None, "steps").iter().collect();
        around.names.extend(entries.iter().map(|(name, ..)| (*name).to_owned()));
        let drafts: Vec<Draft> =
            entries.into_iter().filter_map(|(name, line, value)| self.step(name, line, value, &around)).collect();
        if drafts.is_empty() && self.faults.is_empty() {
            self.complain(1, "a workflow needs steps: [steps.NAME] with a prompt");
        }
        drafts
    }

    fn step(&mut self, name: &str, line: usize, value: &Node, around: &Around<'_>) -> Option<Draft> {
        let Held::Table(_) = &value.held else {
            self.complain(line, format!("the step {name} must be a table: [steps.{name}]"));
            return None;
        };
        let table = self.table(value, Some(STEP), &format!("the step {name}"));
        let mut lines = Vec::new();
        let Some(prompt) = table.get("prompt") else {
            self.complain(line, format!("the step {name} has no prompt"));
            return None;
        };
        let words = self.words(prompt, &table, around, &mut lines);
        let system = table.get("system").and_then(|value| self.template("system", value));
        let when = table.get("when").and_then(|value| self.expression("when", value));
        let each = self.each(&table, line, &mut lines);
        let schema = table.get("schema").map(|value| (value.line, value.to_json()));
        if let Some((at, schema)) = &schema
            && let Some(why) = schema::fault(schema, "schema")
        {
            self.complain(*at, why);
        }
        let own = match &words {
            Some(Words::Kept(kept)) => kept.prompt.model.clone().map(Who::Model),
            _ => None,
        };
        let who = self.who(&table, &own.unwrap_or_else(|| around.usual.clone()));
        if let Some(error) = around.asked.and_then(|(client, usual)| client.plan(&who.name(client, usual)).err()) {
            self.complain(line, format!("the step {name}: {}", error.message));
        }
        let temperature = self.temperature(&table);
        let max_tokens = self.count(&table, "max_tokens");
        if let Some(value) = table.get("retry").filter(|value| value.to_json().as_u64().is_some_and(|count| count > 10)) {
            self.complain(value.line, "retry is 10 at most");
        }
        let retry = self.count(&table, "retry").map_or(0, |count| u32::try_from(count).unwrap_or(10).min(10));
        lines.extend(system.iter().map(|placed| (placed.what.clone(), placed.line)));
        lines.extend(when.iter().map(|(_, line)| ("when".to_owned(), *line)));
        let step = Step {
            name: name.to_owned(),
            line,
            words: words?,
            system: system.map(|placed| placed.template),
            who,
            max_tokens,
            temperature,
            schema: schema.map(|(_, schema)| schema),
            each,
            when: when.map(|(expression, _)| expression),
            retry,
            after: Vec::new(),
        };
        Some(Draft { step, lines })
    }

    /// What a step says: a template, or a prompt that is kept under a name.
    fn words(&mut self, value: &Node, table: &Table<'_>, around: &Around<'_>, lines: &mut Vec<(String, usize)>) -> Option<Words> {
        let placed = self.template("prompt", value)?;
        lines.push((placed.what, placed.line));
        let text = if let Held::Text(text) = &value.held { text.trim() } else { "" };
        let named = text.strip_prefix(PREFIX).filter(|name| is_name(&name.replacen('@', "", 1)));
        let Some(named) = named else {
            if let Some(with) = table.get("with") {
                self.complain(with.line, "with is for prompts that are kept under a name: prompt = \"prompt:NAME\"");
            }
            return Some(Words::Written(Box::new(placed.template)));
        };
        let chosen = match around.prompts.choose(named, None, 0) {
            Ok(chosen) => chosen,
            Err(error) => {
                self.complain(placed.line, error.message);
                return None;
            }
        };
        let given = table.get("with").map(|with| self.table(with, None, "with"));
        let given: Vec<_> = given.iter().flat_map(Table::iter).collect();
        let mut with = Vec::new();
        for (name, line, value) in &given {
            if !chosen.prompt.takes(name) {
                self.complain(*line, format!("the prompt {} has no variable {name}", chosen.name));
            }
            let placed = if value.is_text() { self.template("with", value) } else { self.plain("with", value) };
            lines.extend(placed.iter().map(|placed| (placed.what.clone(), placed.line)));
            with.extend(placed.map(|placed| ((*name).to_owned(), placed.template)));
        }
        for variable in chosen.prompt.variables.iter().filter(|one| !given.iter().any(|(name, ..)| *name == one.name)) {
            let name = &variable.name;
            if around.names.contains(name) {
                with.extend(Template::read_expression(name).ok().map(|template| (name.clone(), template)));
            } else if variable.default.is_none() {
                self.complain(value.line, format!("the prompt {} takes {name}; give it by with = {{ {name} = … }}", chosen.name));
            }
        }
        Some(Words::Kept(Kept { prompt: chosen.prompt, with }))
    }

    fn each(&mut self, table: &Table<'_>, line: usize, lines: &mut Vec<(String, usize)>) -> Option<Each> {
        match (table.get("each"), table.get("each_line_of")) {
            (Some(_), Some(_)) => {
                self.complain(line, "each and each_line_of exclude each other");
                None
            }
            (Some(value), None) => {
                let (expression, line) = self.expression("each", value)?;
                lines.push(("each".to_owned(), line));
                Some(Each::List(expression))
            }
            (None, value) => {
                let placed = self.template("each_line_of", value?)?;
                lines.push((placed.what, placed.line));
                Some(Each::Lines(placed.template))
            }
        }
    }

    fn who(&mut self, table: &Table<'_>, usual: &Who) -> Who {
        let model = table.get("model").and_then(|value| self.text("model", value));
        let task = table.get("task").and_then(|value| self.text("task", value));
        match (model, task) {
            (Some(_), Some(task)) => {
                self.complain(task.line, "model and task exclude each other");
                usual.clone()
            }
            (Some(model), None) if model.text.starts_with(PREFIX) => {
                self.complain(
                    model.line,
                    format!("model names a model, and a step says a prompt by prompt = \"{}\"", model.text),
                );
                usual.clone()
            }
            (Some(model), None) => Who::Model(model.text),
            (None, Some(task)) => Who::Task(task.text),
            (None, None) => usual.clone(),
        }
    }
}
