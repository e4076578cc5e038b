//! Chains of calls from a file: `trunkline run FILE`.
//!
//! A workflow is TOML or YAML: variables, and steps whose prompts are templates. A template that says the name of another step gets
//! that step's output and runs after it; steps that do not know of each other run side by side. Whatever can be known to be
//! wrong is found before the first call, and told with its line.

mod check;
mod draft;
mod each;
mod plan;
mod run;
mod variable;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::prompt::Prompt;
use crate::template::Template;

pub use run::{Missed, News, Outcome, StepOutcome, StepState};
pub(crate) use variable::fill;
pub use variable::{Kind, Variable, read_files};

/// A workflow that has been read and found right.
#[derive(Debug)]
pub struct Workflow {
    /// Its name; the file's, if it has none.
    pub name: String,
    /// What it is for.
    pub about: Option<String>,
    /// What it takes, in the order of the file.
    pub variables: Vec<Variable>,
    /// Its steps, in the order of the file.
    steps: Vec<Step>,
    /// Makes the text that is printed in the end, and the line on which it begins.
    output: Option<(Template, usize)>,
    path: String,
    parallel: usize,
}

/// Values of variables, and of steps that are done.
pub type Values = BTreeMap<String, Value>;

/// What a step shows of itself before it runs.
#[derive(Clone, Debug, Serialize)]
pub struct Sketch {
    /// Its name.
    pub name: String,
    /// The steps whose outputs it takes.
    pub after: Vec<String>,
}

#[derive(Debug)]
struct Step {
    name: String,
    line: usize,
    words: Words,
    system: Option<Template>,
    who: Who,
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    schema: Option<Value>,
    each: Option<Each>,
    when: Option<Expression>,
    retry: u32,
    /// The steps that it takes something from, by index.
    after: Vec<usize>,
}

/// What a step says.
#[derive(Debug)]
enum Words {
    /// What stands in the file.
    Written(Box<Template>),
    /// What is kept under a name.
    Kept(Kept),
}

/// A prompt, and the values of its variables.
#[derive(Debug)]
struct Kept {
    prompt: Arc<Prompt>,
    with: Vec<(String, Template)>,
}

/// Whom a step asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Usual,
    Model(String),
    Task(String),
}

/// What a step is done for, one by one.
#[derive(Debug)]
enum Each {
    /// The elements of a list.
    List(Expression),
    /// The lines of a file, whose path is a template.
    Lines(Template),
}

#[derive(Debug)]
struct Expression {
    text: String,
    template: Template,
}

impl Workflow {
    /// Whether a step names nobody whom it asks, and neither does the file.
    pub fn asks_the_usual_model(&self) -> bool {
        self.steps.iter().any(|step| step.who == Who::Usual)
    }

    /// The steps in the order of the file.
    pub fn sketch(&self) -> Vec<Sketch> {
        let name = |at: &usize| self.steps.get(*at).map(|step| step.name.clone());
        let sketch = |step: &Step| Sketch { name: step.name.clone(), after: step.after.iter().filter_map(name).collect() };
        self.steps.iter().map(sketch).collect()
    }
}
