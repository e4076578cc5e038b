//! What the templates refer to: variables and steps that exist, and no step that waits for itself.

use serde_json::Value;
use trunkline::codec::catalog::nearest;
use trunkline::{Client, Result};

use super::draft::Draft;
use super::run::context;
use super::{Each, Step, Values, Who, Words, Workflow};
use crate::fault::wrong;
use crate::page::{Page, Placed};
use crate::template::Template;

/// What a step that is done for each of many has beside variables and steps.
const OF_EACH: [&str; 2] = ["item", "index"];

impl Step {
    /// Its templates in the words of the file.
    fn templates(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let each = self.each.as_ref().map(|each| match each {
            Each::List(expression) => ("each", &expression.template),
            Each::Lines(template) => ("each_line_of", template),
        });
        let system = self.system.as_ref().map(|template| ("system", template));
        let when = self.when.as_ref().map(|expression| ("when", &expression.template));
        let words: Vec<_> = match &self.words {
            Words::Written(template) => vec![("prompt", &**template)],
            Words::Kept(kept) => kept.with.iter().map(|(_, template)| ("with", template)).collect(),
        };
        words.into_iter().chain(system).chain(when).chain(each)
    }
}

/// Puts the steps into the workflow, with the steps that each comes after. `named` are those of the file, also where nothing
/// could be made of one.
pub(super) fn connect(
    page: &mut Page,
    workflow: &mut Workflow,
    (drafts, named): (Vec<Draft>, Vec<String>),
    output: Option<Placed>,
) {
    let names: Vec<String> = drafts.iter().map(|draft| draft.step.name.clone()).collect();
    for draft in &drafts {
        let name = &draft.step.name;
        let taken = workflow.variables.iter().any(|variable| variable.name == *name);
        if taken {
            page.complain(draft.step.line, format!("{name} is the name of a variable already"));
        }
        if !is_name(name) || OF_EACH.contains(&name.as_str()) {
            let what = "cannot be said in a template; a name is letters, digits and _, and neither item nor index";
            page.complain(draft.step.line, format!("the step's name \"{name}\" {what}"));
        }
    }
    let variables: Vec<String> = workflow.variables.iter().map(|variable| variable.name.clone()).collect();
    let schemas: Vec<Option<Value>> =
        drafts.iter().map(|draft| draft.step.schema.clone().filter(|_| draft.step.each.is_none())).collect();
    let scope = Scope { variables: &variables, steps: &names, named: &named, schemas: &schemas };
    for Draft { mut step, lines } in drafts {
        let mut after = Vec::new();
        for (what, template) in step.templates() {
            let line = lines.iter().find(|(its, _)| its == what).map_or(step.line, |(_, line)| *line);
            let has_item = step.each.is_some() && !what.starts_with("each") && what != "when";
            scope.look(page, template, (&format!("{what} of {}", step.name), line), has_item, &mut after);
        }
        after.sort_unstable();
        after.dedup();
        step.after = after;
        workflow.steps.push(step);
    }
    if let Some(Placed { template, line, .. }) = output {
        scope.look(page, &template, ("output", line), false, &mut Vec::new());
        workflow.output = Some((template, line));
    }
    for (at, path) in super::plan::cycles(&workflow.steps) {
        let line = workflow.steps.get(at).map_or(1, |step| step.line);
        page.complain(line, format!("steps wait for each other: {path}"));
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_alphabetic() || c == '_') && letters.all(|c| c.is_alphanumeric() || c == '_')
}

/// The names that a template may say.
struct Scope<'a> {
    variables: &'a [String],
    steps: &'a [String],
    /// And those of which something else was complained.
    named: &'a [String],
    /// Of steps that give one value by a schema.
    schemas: &'a [Option<Value>],
}

impl Scope<'_> {
    fn look(&self, page: &mut Page, template: &Template, (what, line): (&str, usize), has_item: bool, after: &mut Vec<usize>) {
        for name in template.names() {
            let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
            let line = line + template.line_of(name) - 1;
            if let Some(at) = self.steps.iter().position(|step| step == first) {
                after.push(at);
                if let Some(fault) = rest.and_then(|rest| self.misses(at, rest)) {
                    page.complain(line, format!("{what} asks for {name}, and {fault}"));
                }
            } else if self.named.iter().any(|step| step == first) {
                // What is wrong with that one is told there.
            } else if !(self.variables.iter().any(|variable| variable == first) || (has_item && OF_EACH.contains(&first))) {
                let known = self.variables.iter().chain(self.steps).map(String::as_str);
                let known: Vec<&str> = known.chain(OF_EACH.into_iter().filter(|_| has_item)).collect();
                let near = nearest(first, known.iter().copied()).map(|near| format!("did you mean {near}?"));
                let hint = near.unwrap_or_else(|| format!("there are {}", known.join(", ")));
                page.complain(line, format!("{what} asks for {first}, which is neither a variable nor a step; {hint}"));
            }
        }
    }

    /// Why a step's output cannot have a field of this name.
    fn misses(&self, at: usize, field: &str) -> Option<String> {
        let step = self.steps.get(at)?;
        let schema = self.schemas.get(at)?.as_ref()?;
        let properties = schema.get("properties")?.as_object()?;
        let first = field.split('.').next().unwrap_or(field);
        // What can be done with any table.
        if properties.contains_key(first) || matches!(first, "items" | "keys" | "values" | "get") {
            return None;
        }
        let near = nearest(first, properties.keys().map(String::as_str)).map(|near| format!("did you mean {near}?"));
        let all = || format!("it has {}", properties.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
        Some(format!("the schema of {step} has no {first}; {}", near.unwrap_or_else(all)))
    }
}

impl Workflow {
    /// Whether the files are there whose lines steps are done for, as far as these values tell their names.
    ///
    /// # Errors
    /// A sentence for each that is not, with the step's line.
    pub fn check_files(&self, values: &Values) -> Result<()> {
        let context = context(values);
        let missing = |step: &Step| {
            // Whether one with a condition is done at all is not known yet.
            let Some(Each::Lines(template)) = step.each.as_ref().filter(|_| step.when.is_none()) else { return None };
            let known = |name: &str| values.contains_key(name.split('.').next().unwrap_or(name));
            let path = template.names().all(known).then(|| template.render(&context).ok())??;
            let error = std::fs::metadata(path.trim()).err()?;
            let what = format!("cannot read {}: {error}", path.trim());
            Some(format!("{}, line {}: each_line_of of {}: {what}", self.path, step.line, step.name))
        };
        let faults: Vec<String> = self.steps.iter().filter_map(missing).collect();
        if faults.is_empty() { Ok(()) } else { Err(wrong(faults.join("\n"))) }
    }
}

impl Who {
    /// The model's name; `usual` is asked where the file names nobody.
    pub(super) fn name(&self, client: &Client, usual: Option<&str>) -> String {
        match self {
            Who::Model(model) => model.clone(),
            Who::Task(task) => format!("task:{task}"),
            Who::Usual => usual.map_or_else(|| client.default_model(), str::to_owned),
        }
    }
}
