//! Prompts: messages with variables, kept under a name and a version.
//!
//! A prompt is a file, TOML or YAML: templates, what they take, and whom to ask with which settings. Callers name it
//! `prompt:NAME`, `prompt:NAME@3` or `prompt:NAME@LABEL`; which version that is, [`Prompts`] knows.

mod draft;
mod shelf;

use serde_json::{Map, Value};
use trunkline::Result;
use trunkline::ir::{Message, Request, Role};

use crate::template::Template;
use crate::workflow::Variable;

pub use crate::page::Form;
pub use shelf::{Chosen, PREFIX, Prompts, is_name};

/// A prompt that has been read and found right.
#[derive(Debug)]
pub struct Prompt {
    /// What it is for.
    pub about: Option<String>,
    /// The model's name that is asked, or `task:NAME`.
    pub model: Option<String>,
    /// What it takes, in the order of the file.
    pub variables: Vec<Variable>,
    /// Most output tokens.
    pub max_tokens: Option<u64>,
    /// How tokens are drawn.
    pub temperature: Option<f64>,
    messages: Vec<(Role, Template)>,
    path: String,
}

impl Prompt {
    /// Its messages with these values; a text is read as what the variable is. No value reads a file.
    ///
    /// # Errors
    /// When a variable is not set, not known, or not what it should be, or a template fails.
    pub fn messages(&self, given: &Map<String, Value>) -> Result<Vec<Message>> {
        let values = crate::workflow::fill(&self.variables, &self.path, given, " among the variables")?;
        let context = minijinja::Value::from(minijinja::value::Serde(&values));
        let message = |(role, template): &(Role, Template)| Ok(Message::text(*role, template.render(&context)?));
        self.messages.iter().map(message).collect()
    }

    /// Puts its messages before those of a request, and its settings where the request says nothing.
    ///
    /// # Errors
    /// As [`Prompt::messages`].
    pub fn extend(&self, request: &mut Request, given: &Map<String, Value>) -> Result<()> {
        let mut messages = self.messages(given)?;
        messages.append(&mut request.messages);
        request.messages = messages;
        request.max_tokens = request.max_tokens.or(self.max_tokens);
        request.sampling.temperature = request.sampling.temperature.or(self.temperature);
        if let Some(model) = &self.model {
            request.model.clone_from(model);
        }
        Ok(())
    }

    /// Whether it takes a variable of this name.
    pub fn takes(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable.name == name)
    }
}
