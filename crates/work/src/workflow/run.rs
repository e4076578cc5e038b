//! Runs the steps: side by side as far as none waits for another.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use trunkline::codec::catalog::Cost;
use trunkline::ir::{Format, Message, Raw, Request, Role, Usage};
use trunkline::{Client, Error, Result, Retry};

use super::{Expression, Kept, Step, Values, Words, Workflow};
use crate::fault::wrong;
use crate::schema;
use crate::template::Template;

/// When nothing has come of so many elements, nothing will of the others.
const HOPELESS: u32 = 20;

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
    /// It ran when everything was stopped.
    Stopped,
}

/// An element of a list that a step could not be done for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// Which, from 1.
    pub element: usize,
    /// Why.
    pub error: String,
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
    /// The elements that it could not be done for, of a step that is done for each of many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Missed>,
    /// What came out: a text, or JSON by the schema; a list for a step that is done for each of many, with nothing where it
    /// could not be done. A step that failed or was stopped may have one as well.
    pub output: Option<Value>,
    /// What came out element by element, while it runs.
    #[serde(skip)]
    parts: Vec<Option<Value>>,
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
    /// The text that it makes of them, if it makes one and every step is done.
    pub output: Option<String>,
    /// Why that text could not be made, with the line.
    pub fault: Option<String>,
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
    /// A call has failed.
    Failed(usize),
    /// What became of an element, by its index.
    Element(usize, usize, std::result::Result<Value, String>),
}

/// How a step ended that did not fail.
enum Ended {
    /// Its condition did not hold.
    Skipped,
    Once(Value),
    /// Element by element; each has been told.
    Each,
}

/// What the calls of a run have in common.
struct Desk<'a> {
    client: &'a Client,
    usual: Option<&'a str>,
    seats: Arc<Semaphore>,
    parallel: usize,
    words: mpsc::UnboundedSender<Word>,
}

impl Workflow {
    /// Runs it with these values. `usual` is asked where the file names no model. `tell` hears of every change, and ten times
    /// a second while something runs. When `stop` is over, what is out is given up, and what there is is the outcome.
    pub async fn run(
        &self,
        client: &Client,
        values: Values,
        usual: Option<&str>,
        mut tell: impl FnMut(&News<'_>),
        stop: impl Future<Output = ()>,
    ) -> Outcome {
        let (words, mut heard) = mpsc::unbounded_channel();
        let desk = Desk { client, usual, seats: Arc::new(Semaphore::new(self.parallel)), parallel: self.parallel, words };
        let mut stop = pin!(stop);
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
                    end(at, ended, &mut outcomes, &mut values);
                    Some(at)
                }
                Some(word) = heard.recv() => note(&mut outcomes, word),
                () = &mut stop => {
                    while let Ok(word) = heard.try_recv() {
                        note(&mut outcomes, word);
                    }
                    outcomes.iter_mut().filter(|step| step.state == StepState::Running).for_each(StepOutcome::stop);
                    break;
                }
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
        let (name, elapsed) = (self.name.clone(), started.elapsed());
        let mut outcome = Outcome { name, steps: outcomes, output: None, fault: None, elapsed };
        if let Some((template, line)) = self.output.as_ref().filter(|_| outcome.is_whole()) {
            match template.make(&context(&values)) {
                Ok(text) => outcome.output = Some(text),
                Err(fault) => {
                    outcome.fault = Some(format!("{}, line {}: output: {}", self.path, line + fault.line - 1, fault.why));
                }
            }
        }
        outcome
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
}

/// Writes down how a step ended; what it gives is for the steps after it.
fn end(at: usize, ended: Result<Ended>, outcomes: &mut [StepOutcome], values: &mut Values) {
    let Some(outcome) = outcomes.get_mut(at) else { return };
    outcome.state = StepState::Done;
    match ended {
        Ok(Ended::Skipped) => outcome.state = StepState::Skipped,
        Ok(Ended::Once(output)) => outcome.output = Some(output),
        Ok(Ended::Each) => outcome.gather(),
        Err(error) => {
            outcome.gather();
            outcome.error = Some(error.to_string());
        }
    }
    if !outcome.failed.is_empty() && outcome.error.is_none() {
        let all = outcome.of_each.map_or(0, |(_, all)| all);
        outcome.error = Some(format!("{} of {all} elements could not be done", outcome.failed.len()));
    }
    if outcome.error.is_some() {
        outcome.state = StepState::Failed;
        return;
    }
    values.insert(outcome.name.clone(), outcome.output.clone().unwrap_or(Value::Null));
}

impl StepOutcome {
    fn stop(&mut self) {
        self.gather();
        self.state = StepState::Stopped;
    }

    /// Makes one list of what came out element by element, if it is one or anything came.
    fn gather(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        self.failed.sort_by_key(|missed| missed.element);
        if self.of_each.is_some_and(|(_, all)| all == 0) || parts.iter().any(Option::is_some) {
            self.output = Some(parts.into_iter().map(Option::unwrap_or_default).collect());
        }
    }
}

fn note(outcomes: &mut [StepOutcome], word: Word) -> Option<usize> {
    let at = match &word {
        Word::Size(at, _) | Word::Element(at, ..) | Word::Failed(at) => *at,
        Word::Called(called) => called.at,
    };
    let outcome = outcomes.get_mut(at)?;
    match word {
        Word::Size(_, size) => {
            outcome.of_each = Some((0, size));
            outcome.parts = vec![None; size];
        }
        Word::Element(_, index, Ok(output)) => {
            outcome.of_each = outcome.of_each.map(|(done, size)| (done + 1, size));
            if let Some(part) = outcome.parts.get_mut(index) {
                *part = Some(output);
            }
        }
        Word::Element(_, index, Err(error)) => outcome.failed.push(Missed { element: index + 1, error }),
        Word::Failed(_) => outcome.calls += 1,
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

pub(super) fn context(values: &Values) -> minijinja::Value {
    minijinja::Value::from(minijinja::value::Serde(values))
}

impl Expression {
    pub(super) fn value(&self, values: &Values) -> Result<minijinja::Value> {
        self.template.evaluate(&self.text, &context(values))
    }
}

impl Step {
    /// How it ended, and what came out.
    async fn run(&self, at: usize, desk: &Desk<'_>, values: &Values) -> Result<Ended> {
        if let Some(when) = &self.when
            && !when.value(values)?.is_true()
        {
            return Ok(Ended::Skipped);
        }
        let Some(each) = &self.each else { return self.once(at, desk, values).await.map(Ended::Once) };
        let items = each.items(values)?;
        let _ = desk.words.send(Word::Size(at, items.len()));
        let calls = items.into_iter().zip(0usize..).map(|(item, index)| {
            let mut values = values.clone();
            values.insert("item".to_owned(), item);
            values.insert("index".to_owned(), Value::from(index));
            async move { (index, self.once(at, desk, &values).await) }
        });
        // Some more than have a seat: those that wait to try again take none.
        let mut calls = futures_util::stream::iter(calls).buffer_unordered(desk.parallel.saturating_mul(2).max(2));
        let (mut done, mut failed) = (0u32, 0u32);
        while let Some((index, ended)) = calls.next().await {
            *(if ended.is_ok() { &mut done } else { &mut failed }) += 1;
            let told = ended.map_err(|error| error.to_string());
            let hopeless = done == 0 && failed >= HOPELESS;
            let why = told.as_ref().err().filter(|_| hopeless).cloned();
            let _ = desk.words.send(Word::Element(at, index, told));
            if let Some(why) = why {
                return Err(wrong(format!("nothing came of {failed} elements, so the others are not tried: {why}")));
            }
        }
        Ok(Ended::Each)
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
        let reply = desk.client.call(request.clone()).send().await.inspect_err(|_| _ = desk.words.send(Word::Failed(at)))?;
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
