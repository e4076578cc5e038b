//! Runs the steps: side by side as far as none waits for another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use trunkline::codec::catalog::Cost;
use trunkline::ir::{Format, Message, Raw, Request, Role, Usage};
use trunkline::{Client, Error, Result, Retry};

use super::{Each, Expression, Kept, Step, Values, Words, Workflow};
use crate::fault::{file, wrong};
use crate::schema;
use crate::template::Template;

/// Most elements that a step is done for.
const MOST: usize = 100_000;

/// How a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Others come first.
    #[default]
    Waiting,
    /// It runs.
    Running,
    /// It is done.
    Done,
    /// Its condition did not hold; its output is nothing.
    Skipped,
    /// It failed.
    Failed,
    /// One that it needs failed.
    Blocked,
}

/// What is known of a step, while it runs and after.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StepOutcome {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: StepState,
    /// Who answered, `provider/model`.
    pub target: Option<String>,
    /// Calls that were made, and of these answers that were sent back for not following the schema.
    pub calls: u32,
    /// Of these: second tries after an answer that did not follow the schema.
    pub repairs: u32,
    /// For how many elements it is done, of how many; nothing for a step that is done once.
    pub of_each: Option<(usize, usize)>,
    /// Tokens of prompts.
    pub input: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What it came to, as far as prices are known.
    pub cost: Option<Cost>,
    /// From its begin to its end, or until now.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::time::write")]
    pub elapsed: Duration,
    /// What went wrong.
    pub error: Option<String>,
    /// What came out: a text, or JSON by the schema; a list for a step that is done for each of many.
    pub output: Option<Value>,
}

/// Something has happened to a step.
pub struct News<'a> {
    /// All steps, in the order of the file.
    pub steps: &'a [StepOutcome],
    /// The step that it is about; `None`: time has passed.
    pub at: Option<usize>,
}

/// How a workflow ended.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// The steps, in the order of the file.
    pub steps: Vec<StepOutcome>,
    /// The text that it makes of them, if it makes one.
    pub output: Option<String>,
    /// From its begin to its end.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::time::write")]
    pub elapsed: Duration,
}

impl Outcome {
    /// Whether every step is done or was skipped.
    pub fn is_whole(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.state, StepState::Done | StepState::Skipped))
    }

    /// What all steps came to together, as far as prices are known and in one currency.
    pub fn cost(&self) -> Option<Cost> {
        self.steps.iter().filter_map(|step| step.cost).reduce(add)
    }
}

/// The sum, in the currency of the first.
fn add(sum: Cost, more: Cost) -> Cost {
    if sum.currency == more.currency { Cost { micros: sum.micros.saturating_add(more.micros), ..sum } } else { sum }
}

/// One call of a step is over.
struct Called {
    at: usize,
    target: String,
    usage: Usage,
    cost: Option<Cost>,
    repair: bool,
}

/// What a running step tells.
enum Word {
    Size(usize, usize),
    Called(Called),
    Element(usize),
}

/// What the calls of a run have in common.
struct Desk<'a> {
    client: &'a Client,
    usual: Option<&'a str>,
    seats: Arc<Semaphore>,
    words: mpsc::UnboundedSender<Word>,
}

impl Workflow {
    /// Runs it with these values. `usual` is asked where the file names no model. `tell` hears of every change, and ten times
    /// a second while something runs.
    ///
    /// # Errors
    /// When the text at the end cannot be made. A step that fails is an outcome.
    pub async fn run(
        &self,
        client: &Client,
        values: Values,
        usual: Option<&str>,
        mut tell: impl FnMut(&News<'_>),
    ) -> Result<Outcome> {
        let (words, mut heard) = mpsc::unbounded_channel();
        let desk = Desk { client, usual, seats: Arc::new(Semaphore::new(self.parallel)), words };
        let mut outcomes: Vec<StepOutcome> =
            self.steps.iter().map(|step| StepOutcome { name: step.name.clone(), ..StepOutcome::default() }).collect();
        let (mut begun, mut values) = (BTreeMap::new(), values);
        let mut running = FuturesUnordered::new();
        let started = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            for at in self.settle(&mut outcomes) {
                begun.insert(at, Instant::now());
                let Some(step) = self.steps.get(at) else { continue };
                let (desk, values) = (&desk, values.clone());
                running.push(async move { (at, step.run(at, desk, &values).await) });
                tell(&News { steps: &outcomes, at: Some(at) });
            }
            if running.is_empty() {
                break;
            }
            let about = tokio::select! {
                Some((at, ended)) = running.next() => {
                    while let Ok(word) = heard.try_recv() {
                        note(&mut outcomes, word);
                    }
                    self.end(at, ended, &mut outcomes, &mut values);
                    Some(at)
                }
                Some(word) = heard.recv() => note(&mut outcomes, word),
                _ = ticks.tick() => None,
            };
            for (at, since) in &begun {
                if let Some(outcome) = outcomes.get_mut(*at).filter(|step| step.state == StepState::Running || about == Some(*at))
                {
                    outcome.elapsed = since.elapsed();
                }
            }
            tell(&News { steps: &outcomes, at: about });
        }
        tell(&News { steps: &outcomes, at: None });
        let mut outcome = Outcome { name: self.name.clone(), steps: outcomes, output: None, elapsed: started.elapsed() };
        if let Some(template) = self.output.as_ref().filter(|_| outcome.is_whole()) {
            outcome.output = Some(template.render(&context(&values)).map_err(|error| self.fault("output", &error))?);
        }
        Ok(outcome)
    }

    fn fault(&self, what: &str, error: &Error) -> Error {
        wrong(format!("{}, {what}: {}", self.path, error.message))
    }

    /// Blocks the steps that cannot be done any more; gives those that may begin, as running.
    fn settle(&self, outcomes: &mut [StepOutcome]) -> Vec<usize> {
        let mut ready = Vec::new();
        // A step that is blocked may block others in turn, whatever their order.
        for _ in 0..=self.steps.len() {
            for (at, step) in self.steps.iter().enumerate() {
                let states: Vec<StepState> =
                    step.after.iter().filter_map(|other| outcomes.get(*other).map(|outcome| outcome.state)).collect();
                let Some(outcome) = outcomes.get_mut(at).filter(|outcome| outcome.state == StepState::Waiting) else { continue };
                if states.iter().any(|state| matches!(state, StepState::Failed | StepState::Blocked)) {
                    outcome.state = StepState::Blocked;
                } else if states.iter().all(|state| matches!(state, StepState::Done | StepState::Skipped)) {
                    outcome.state = StepState::Running;
                    ready.push(at);
                }
            }
        }
        ready
    }

    fn end(&self, at: usize, ended: Result<Option<Value>>, outcomes: &mut [StepOutcome], values: &mut Values) {
        let Some(outcome) = outcomes.get_mut(at) else { return };
        match ended {
            Ok(output) => {
                outcome.state = if output.is_some() { StepState::Done } else { StepState::Skipped };
                values.insert(outcome.name.clone(), output.clone().unwrap_or(Value::Null));
                outcome.output = output;
            }
            Err(error) => {
                outcome.state = StepState::Failed;
                outcome.error = Some(error.to_string());
            }
        }
    }
}

fn note(outcomes: &mut [StepOutcome], word: Word) -> Option<usize> {
    let at = match &word {
        Word::Size(at, _) | Word::Element(at) => *at,
        Word::Called(called) => called.at,
    };
    let outcome = outcomes.get_mut(at)?;
    match word {
        Word::Size(_, size) => outcome.of_each = Some((0, size)),
        Word::Element(_) => outcome.of_each = outcome.of_each.map(|(done, size)| (done + 1, size)),
        Word::Called(called) => {
            outcome.calls += 1;
            outcome.repairs += u32::from(called.repair);
            outcome.target = Some(called.target);
            outcome.input += called.usage.input;
            outcome.output_tokens += called.usage.output;
            outcome.cost = match (outcome.cost, called.cost) {
                (Some(sum), Some(more)) => Some(add(sum, more)),
                (one, other) => one.or(other),
            };
        }
    }
    None
}

fn context(values: &Values) -> minijinja::Value {
    minijinja::Value::from(minijinja::value::Serde(values))
}

impl Expression {
    fn value(&self, values: &Values) -> Result<minijinja::Value> {
        self.template.evaluate(&self.text, &context(values))
    }
}

impl Step {
    /// Its output; nothing when its condition does not hold.
    async fn run(&self, at: usize, desk: &Desk<'_>, values: &Values) -> Result<Option<Value>> {
        if let Some(when) = &self.when
            && !when.value(values)?.is_true()
        {
            return Ok(None);
        }
        let Some(each) = &self.each else { return self.once(at, desk, values).await.map(Some) };
        let items = each.items(values)?;
        let _ = desk.words.send(Word::Size(at, items.len()));
        let calls = items.into_iter().zip(0u64..).map(|(item, index)| {
            let mut values = values.clone();
            values.insert("item".to_owned(), item);
            values.insert("index".to_owned(), Value::from(index));
            async move {
                let done = self.once(at, desk, &values).await;
                let _ = desk.words.send(Word::Element(at));
                done
            }
        });
        let mut calls: FuturesOrdered<_> = calls.collect();
        let mut outputs = Vec::new();
        while let Some(output) = calls.next().await {
            let number = outputs.len() + 1;
            outputs.push(output.map_err(|error| Error { message: format!("element {number}: {}", error.message), ..error })?);
        }
        Ok(Some(Value::from(outputs)))
    }

    async fn once(&self, at: usize, desk: &Desk<'_>, values: &Values) -> Result<Value> {
        let mut left = self.retry;
        loop {
            let seat = Arc::clone(&desk.seats).acquire_owned().await;
            let done = self.ask(at, desk, values).await;
            drop(seat);
            match done {
                Err(error) if left > 0 && error.retry != Retry::Never => {
                    left -= 1;
                    let told = if let Retry::After(wait) = error.retry { wait } else { Duration::from_millis(500) };
                    tokio::time::sleep(told.min(Duration::from_secs(60))).await;
                }
                done => return done,
            }
        }
    }

    /// Asks once; and a second time, with what was wrong, when the answer does not follow the schema.
    async fn ask(&self, at: usize, desk: &Desk<'_>, values: &Values) -> Result<Value> {
        let mut request = self.request(desk, values)?;
        let text = self.call(at, desk, &request, false).await?;
        let Some(schema) = &self.schema else { return Ok(Value::from(text)) };
        let why = match read(&text, schema) {
            Ok(value) => return Ok(value),
            Err(why) => why,
        };
        request.messages.push(Message::text(Role::Assistant, text));
        let again = format!("That does not follow the schema: {why}. Answer again, with the corrected JSON and nothing else.");
        request.messages.push(Message::text(Role::User, again));
        let text = self.call(at, desk, &request, true).await?;
        read(&text, schema).map_err(|why| {
            let what = format!("the answer does not follow the schema, the second one neither: {why}");
            // Another try may give another answer.
            Error { retry: Retry::Backoff, ..Error::malformed(what) }
        })
    }

    fn request(&self, desk: &Desk<'_>, values: &Values) -> Result<Request> {
        let context = context(values);
        let mut messages = Vec::new();
        if let Some(system) = &self.system {
            messages.push(Message::text(Role::System, system.render(&context)?));
        }
        let mut request = Request { max_tokens: self.max_tokens, ..Request::default() };
        request.sampling.temperature = self.temperature;
        match &self.words {
            Words::Written(template) => messages.push(Message::text(Role::User, template.render(&context)?)),
            Words::Kept(Kept { prompt, with }) => {
                let value = |(name, template): &(String, Template)| Ok((name.clone(), Value::from(template.render(&context)?)));
                prompt.extend(&mut request, &with.iter().map(value).collect::<Result<_>>()?)?;
            }
        }
        messages.append(&mut request.messages);
        request.messages = messages;
        request.model = self.who.name(desk.client, desk.usual);
        if let Some(schema) = &self.schema {
            let name = self.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(64).collect();
            request.format = Format::Schema { name: Some(name), description: None, schema: Raw::of(schema), strict: None };
        }
        Ok(request)
    }

    async fn call(&self, at: usize, desk: &Desk<'_>, request: &Request, repair: bool) -> Result<String> {
        let reply = desk.client.call(request.clone()).send().await?;
        let usage = reply.response.usage.unwrap_or_default();
        let called = Called { at, target: reply.target.clone(), usage, cost: reply.cost(), repair };
        let _ = desk.words.send(Word::Called(called));
        Ok(reply.text())
    }
}

fn read(text: &str, schema: &Value) -> std::result::Result<Value, String> {
    let value = schema::read_json(text)?;
    schema::mismatch(&value, schema).map_or(Ok(value), Err)
}

impl Each {
    fn items(&self, values: &Values) -> Result<Vec<Value>> {
        let items = match self {
            Each::List(expression) => {
                let value = serde_json::to_value(expression.value(values)?).unwrap_or(Value::Null);
                match value {
                    Value::Array(items) => items,
                    Value::Null => Vec::new(),
                    other => {
                        let kind = super::variable::Kind::of(&other).word();
                        return Err(wrong(format!("each: {} is no list but a {kind}", expression.text)));
                    }
                }
            }
            Each::Lines(template) => {
                let path = template.render(&context(values))?;
                let path = std::path::Path::new(path.trim());
                let text = std::fs::read_to_string(path).map_err(|error| file("read", path, error))?;
                text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(Value::from).collect()
            }
        };
        if items.len() > MOST {
            return Err(wrong(format!("each: {} elements are more than {MOST}; `trunkline batch` does that", items.len())));
        }
        Ok(items)
    }
}
