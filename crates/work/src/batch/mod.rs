//! Thousands of calls from a file: `trunkline batch IN -o OUT`.
//!
//! A run may end at any time, by whatever cause, and is taken up where it was: the journal beside the output (`journal.rs`)
//! knows every line that was begun and the result of every one that is done. A line once recorded is never sent again and
//! never written twice; one that was begun and not recorded is in doubt, is told, and is sent again or not as the caller
//! chooses.

pub(crate) mod input;
mod journal;
mod keeper;
mod open;
mod output;
mod pace;
mod provider;
mod run;
mod spend;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trunkline::codec::catalog::Cost;
use trunkline::ir::Request;
use trunkline::{Client, Result};

use crate::fault::wrong;
use crate::template::Template;
use input::{Lines, Shape};

pub use open::{Again, Opened};
pub use provider::Wish;
pub use run::Halt;
pub use spend::Budget;

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The lines: JSON, one object a line, or a `.csv` file.
    pub input: PathBuf,
    /// Where their results go. The journal is beside it, `OUT.journal`.
    pub output: PathBuf,
    /// Who is asked, whatever a line says.
    pub model: Option<String>,
    /// Makes the prompt from a row's columns or a line's fields.
    pub template: Option<String>,
    /// Instructions for lines that have none.
    pub system: Option<String>,
    /// Most output tokens of lines that do not say.
    pub max_tokens: Option<u64>,
    /// Most calls at once.
    pub concurrency: usize,
    /// What it may cost, all runs together.
    pub budget: Option<Budget>,
    /// In which order results are written.
    pub order: Order,
}

/// In which order results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// That of the input: a result waits in the journal until all before it are there.
    #[default]
    Input,
    /// As they come.
    Done,
}

/// What happens to lines that were begun in an earlier run, and whose results were not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubt {
    /// They are sent again: the provider may do, and charge, them twice.
    Retry,
    /// They are not: their results say `in_doubt`.
    Skip,
}

/// How far it is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Progress {
    /// Lines in all.
    pub total: u64,
    /// Lines with an answer, in all runs.
    pub answered: u64,
    /// Lines that failed, in all runs.
    pub failed: u64,
    /// Lines that were in doubt and were not sent again.
    pub skipped: u64,
    /// Lines that were recorded by this run.
    pub fresh: u64,
    /// Calls that are out.
    pub in_flight: usize,
    /// Calls that may be out at once, as far as is known.
    pub limit: usize,
    /// Refusals for being too fast, in this run.
    pub throttled: u64,
    /// Tokens of prompts.
    pub input: u64,
    /// Tokens of answers.
    pub output: u64,
    /// What it came to, as far as prices are known.
    pub cost: Option<Cost>,
    /// The time of this run.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::time::write")]
    pub elapsed: Duration,
    /// For how long nobody calls yet, because the provider asked for that.
    #[serde(rename = "rest_ms", serialize_with = "crate::time::write_some")]
    pub rest: Option<Duration>,
    /// What is in batches of the provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<AtProvider>,
}

/// What a provider has in its batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AtProvider {
    /// The provider.
    pub provider: String,
    /// Its batches whose results have not been fetched.
    pub batches: usize,
    /// The lines in them.
    pub lines: u64,
    /// Of these: done there, as far as it tells.
    pub done: u64,
}

impl Progress {
    /// Lines that are recorded.
    pub const fn done(&self) -> u64 {
        self.answered + self.failed + self.skipped
    }

    /// Lines a second in this run; 0 before the first.
    #[expect(clippy::cast_precision_loss)]
    pub fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.fresh as f64 / seconds } else { 0.0 }
    }

    /// How long the rest may take at this rate.
    #[expect(clippy::cast_precision_loss)]
    pub fn left(&self) -> Option<Duration> {
        let rate = self.rate();
        let rest = self.total.saturating_sub(self.done()) as f64;
        (rate > 0.0).then(|| Duration::try_from_secs_f64(rest / rate).ok()).flatten()
    }
}

/// How a run ended.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The figures.
    #[serde(flatten)]
    pub progress: Progress,
    /// The numbers of the lines that were in doubt when it began.
    pub in_doubt: Vec<u64>,
    /// Whether all lines are recorded.
    pub complete: bool,
    /// Why it stopped before that.
    pub stopped: Option<String>,
}

/// What a batch may come to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Estimate {
    /// Lines.
    pub lines: u64,
    /// Of these: that cannot be sent, with the first reasons.
    pub bad: u64,
    /// The first reasons for that.
    pub why: Vec<String>,
    /// Tokens of prompts: a guess from their length.
    pub input: u64,
    /// What it probably costs: with answers of 500 tokens, or as many as a line allows. `None`: a price is not known.
    pub likely: Option<Cost>,
    /// What it costs when every answer is as long as it may be.
    pub most: Option<Cost>,
}

/// Reasons that an estimate names.
const REASONS: usize = 5;

impl Batch {
    /// What all lines have in common.
    fn shape(&self, client: &Client) -> Result<Shape> {
        let template = self.template.as_deref().map(Template::read).transpose();
        let template = template.map_err(|fault| wrong(format!("line {} of the template: {}", fault.line, fault.why)))?;
        Ok(Shape {
            model: self.model.clone(),
            usual_model: client.usual_model(),
            template,
            system: self.system.clone(),
            max_tokens: self.max_tokens,
        })
    }

    /// Reads every line and says what it may come to. Contacts nobody, writes nothing.
    ///
    /// # Errors
    /// When the input cannot be read, or the template is wrong.
    pub fn estimate(&self, client: &Client) -> Result<Estimate> {
        self.estimate_by(client, |request| spend::range(client, request))
    }

    /// The same at the prices of the provider's own batches.
    ///
    /// # Errors
    /// As [`Batch::estimate`], and where a provider takes no batches.
    pub fn estimate_at_provider(&self, client: &Client) -> Result<Estimate> {
        let mut targets = provider::Targets::new(client);
        let mut refused = None;
        let estimate = self.estimate_by(client, |request| match targets.find(&request.model) {
            Ok(target) => Ok(spend::batch_range(target, request)),
            Err(error) => {
                refused.get_or_insert_with(|| error.clone());
                Err(error)
            }
        })?;
        refused.map_or(Ok(estimate), Err)
    }

    fn estimate_by(
        &self,
        client: &Client,
        mut range: impl FnMut(&Request) -> Result<(Option<Cost>, Option<Cost>)>,
    ) -> Result<Estimate> {
        let shape = self.shape(client)?;
        let mut lines = Lines::open(&self.input)?;
        lines.check(shape.template.as_ref())?;
        let mut estimate = Estimate::default();
        let (mut likely, mut most) = (Sum::default(), Sum::default());
        while let Some(line) = lines.next()? {
            estimate.lines += 1;
            let priced = line.prepare(&shape).asked.and_then(|request| {
                let range = range(&request)?;
                Ok((trunkline::call::estimate(&request).input, range))
            });
            match priced {
                Ok((input, (one, other))) => {
                    estimate.input += input;
                    likely.add(one);
                    most.add(other);
                }
                Err(error) => {
                    estimate.bad += 1;
                    if estimate.why.len() < REASONS {
                        estimate.why.push(error.message);
                    }
                }
            }
        }
        (estimate.likely, estimate.most) = (likely.cost(), most.cost());
        Ok(estimate)
    }
}

/// A sum of costs, as long as all of them are known and in one currency.
#[derive(Default)]
struct Sum {
    cost: Option<Cost>,
    broken: bool,
}

impl Sum {
    fn add(&mut self, cost: Option<Cost>) {
        match (cost, &mut self.cost) {
            (Some(cost), Some(sum)) if sum.currency == cost.currency => sum.micros = sum.micros.saturating_add(cost.micros),
            (Some(cost), none @ None) => *none = Some(cost),
            _ => self.broken = true,
        }
    }

    fn cost(self) -> Option<Cost> {
        self.cost.filter(|_| !self.broken)
    }
}
