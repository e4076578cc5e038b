//! Models side by side: the same prompts to several, how fast and how dear each is, and what a judge thinks of the answers.

mod judge;
mod page;
mod round;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use trunkline::codec::catalog::Cost;
use trunkline::ir::{Message, Request, Role};
use trunkline::{Client, Result};

use crate::batch::input::{Lines, Shape};
use crate::fault::wrong;

pub use judge::{Judge, Verdict};

/// Most prompts of one comparison.
const MOST: usize = 1000;

/// What is compared.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    /// The models' names.
    pub models: Vec<String>,
    /// The prompts that stand in the place of some models, by the name that these are given here.
    pub prepared: BTreeMap<String, Prepared>,
    /// What each of them is asked.
    pub prompts: Vec<Prompt>,
    /// Who judges the answers.
    pub judge: Option<Judge>,
}

/// A prompt that is compared with others, or with models.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What it says before what is asked.
    pub prompt: Arc<crate::prompt::Prompt>,
    /// The values of what it takes.
    pub given: Map<String, Value>,
    /// Whom it asks.
    pub model: String,
}

/// One thing that all are asked.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Its name: a line's `custom_id`, or its number.
    pub id: String,
    /// The request, whatever its model.
    pub request: Request,
}

/// One model's answer to one prompt, while it comes and after.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    /// The model as asked for.
    pub model: String,
    /// Who answers, `provider/model`.
    pub target: Option<String>,
    /// What it said so far.
    pub text: String,
    /// To the first piece of it.
    #[serde(rename = "first_token_ms", serialize_with = "crate::time::write_some")]
    pub first: Option<Duration>,
    /// To its end, or until now.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::time::write")]
    pub elapsed: Duration,
    /// Tokens of the prompt, if told.
    pub input: Option<u64>,
    /// Tokens of the answer, if told.
    pub output: Option<u64>,
    /// Tokens of the answer a second, from its first piece on.
    pub tokens_per_second: Option<f64>,
    /// What it came to, if the price is known.
    pub cost: Option<Cost>,
    /// Whether it has ended.
    pub over: bool,
    /// Why it failed.
    pub error: Option<String>,
}

/// All answers to one prompt.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// The prompt's name.
    pub id: String,
    /// Its last text.
    pub prompt: String,
    /// By model, in the order in which they were named.
    pub answers: Vec<Answer>,
    /// What the judge thinks, if there is one.
    pub verdict: Option<Verdict>,
}

/// How one model did in all rounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Standing {
    /// The model as asked for.
    pub model: String,
    /// Answers.
    pub answered: usize,
    /// Failures.
    pub failed: usize,
    /// To the first piece, on average.
    #[serde(rename = "first_token_ms", serialize_with = "crate::time::write_some")]
    pub first: Option<Duration>,
    /// Tokens a second, on average.
    pub tokens_per_second: Option<f64>,
    /// All answers together.
    pub cost: Option<Cost>,
    /// The judge's score, 1 to 10, on average.
    pub score: Option<f64>,
    /// Rounds in which the judge liked its answer best.
    pub wins: usize,
}

/// A comparison that is over.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The models, as they did.
    pub models: Vec<Standing>,
    /// Prompt by prompt.
    pub rounds: Vec<Round>,
}

impl Prompt {
    /// A prompt that is a text.
    pub fn text(text: &str, system: Option<&str>) -> Self {
        let system = system.map(|text| Message::text(Role::System, text));
        let messages = system.into_iter().chain([Message::text(Role::User, text)]).collect();
        Prompt { id: "1".to_owned(), request: Request { messages, ..Request::default() } }
    }

    /// The prompts in a file: lines as `trunkline batch` takes them.
    ///
    /// # Errors
    /// When it cannot be read, or a line is none.
    pub fn read(path: &Path, system: Option<&str>) -> Result<Vec<Self>> {
        let shape = Shape { usual_model: Some("any".to_owned()), system: system.map(str::to_owned), ..Shape::default() };
        let mut lines = Lines::open(path)?;
        lines.check(None)?;
        let mut prompts = Vec::new();
        while let Some(line) = lines.next()? {
            if prompts.len() == MOST {
                return Err(wrong(format!("{} has more than {MOST} prompts; that is for `trunkline batch`", path.display())));
            }
            let item = line.prepare(&shape);
            let id = item.custom_id.strip_prefix("line-").unwrap_or(&item.custom_id).to_owned();
            prompts.push(Prompt { id, request: *item.asked? });
        }
        if prompts.is_empty() {
            return Err(wrong(format!("{} has no prompts", path.display())));
        }
        Ok(prompts)
    }

    /// What the user says last.
    fn last(&self) -> String {
        let said = self.request.messages.iter().rev().find(|message| message.role == Role::User);
        said.map(Message::plain_text).unwrap_or_default()
    }
}

impl Contest {
    /// Whether every model can be asked. Contacts nobody.
    ///
    /// # Errors
    /// As [`Client::plan`].
    pub fn check(&self, client: &Client) -> Result<()> {
        let judge = self.judge.as_ref().map(|judge| &judge.model);
        let asked = |model| self.prepared.get(model).map_or(model, |prepared| &prepared.model);
        for prepared in self.prepared.values() {
            prepared.prompt.messages(&prepared.given)?;
        }
        self.models.iter().chain(judge).try_for_each(|model| client.plan(asked(model)).map(drop))
    }

    /// Asks all models prompt by prompt, side by side. `tell` hears of the running round some times a second and whenever a
    /// round is over: then with `true`.
    pub async fn run(&self, client: &Client, mut tell: impl FnMut(&Round, bool)) -> Report {
        let mut rounds = Vec::new();
        for (prompt, number) in self.prompts.iter().zip(0usize..) {
            let mut round = self.ask(client, prompt, &mut tell).await;
            if let Some(judge) = &self.judge {
                tell(&round, false);
                round.verdict = Some(judge.read(client, &round, number).await);
            }
            tell(&round, true);
            rounds.push(round);
        }
        Report { models: self.models.iter().zip(0usize..).map(|(model, at)| standing(model, at, &rounds)).collect(), rounds }
    }
}

fn standing(model: &str, at: usize, rounds: &[Round]) -> Standing {
    let mut standing = Standing { model: model.to_owned(), ..Standing::default() };
    let (mut firsts, mut speeds, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    for round in rounds {
        let Some(answer) = round.answers.get(at) else { continue };
        match answer.error {
            None => standing.answered += 1,
            Some(_) => standing.failed += 1,
        }
        firsts.extend(answer.first.map(|first| first.as_secs_f64()));
        speeds.extend(answer.tokens_per_second);
        if let Some(cost) = answer.cost {
            let sum = standing.cost.filter(|sum| sum.currency == cost.currency).map_or(0, |sum| sum.micros);
            standing.cost = Some(Cost { micros: sum.saturating_add(cost.micros), ..cost });
        }
        if let Some(verdict) = &round.verdict {
            scores.extend(verdict.scores.get(at).copied().flatten().map(f64::from));
            standing.wins += usize::from(verdict.best == Some(at));
        }
    }
    standing.first = average(&firsts).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    (standing.tokens_per_second, standing.score) = (average(&speeds), average(&scores));
    standing
}

#[expect(clippy::cast_precision_loss)]
fn average(figures: &[f64]) -> Option<f64> {
    (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
}
