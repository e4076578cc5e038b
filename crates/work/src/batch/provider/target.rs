//! Which of a model's targets takes batches, and that all lines go to one provider.

use std::collections::HashMap;

use trunkline::batch::BatchTarget;
use trunkline::{Client, Result};

use crate::fault::wrong;

/// The targets that the lines of a batch go to, by the model's name as a line has it.
pub(in super::super) struct Targets<'a> {
    client: &'a Client,
    known: HashMap<String, BatchTarget>,
    provider: Option<String>,
}

impl<'a> Targets<'a> {
    pub(in super::super) fn new(client: &'a Client) -> Self {
        Targets { client, known: HashMap::new(), provider: None }
    }

    /// The target of a model.
    ///
    /// # Errors
    /// When its provider takes no batches, or is another than that of the lines before.
    pub(in super::super) fn find(&mut self, model: &str) -> Result<&BatchTarget> {
        if !self.known.contains_key(model) {
            let found = open(self.client, model)?;
            let provider = self.provider.get_or_insert_with(|| found.provider().to_owned());
            if provider != found.provider() {
                let what = "a provider's batch is for the lines of one; name the model with -m, or split the input";
                return Err(wrong(format!("lines go to {provider} and to {}: {what}", found.provider())));
            }
            self.known.insert(model.to_owned(), found);
        }
        self.known.get(model).ok_or_else(|| wrong(format!("nobody is known for {model}")))
    }
}

/// The target of a model that takes batches.
pub(super) fn open(client: &Client, model: &str) -> Result<BatchTarget> {
    if let Some(found) = client.batch_target(model)? {
        return Ok(found);
    }
    let services = client.services();
    let able = || services.iter().filter(|service| service.takes_batches());
    let ready: Vec<&str> = able().filter(|service| service.is_ready()).map(|service| service.provider.id.as_str()).collect();
    let all = || able().map(|service| service.provider.id.as_str()).collect();
    let others: Vec<&str> = if ready.is_empty() { all() } else { ready };
    let what = format!("leave --provider-batch away, or ask a model of {}", others.join(", "));
    Err(wrong(format!("{model} is not taken in batches by its provider: {what}")))
}
