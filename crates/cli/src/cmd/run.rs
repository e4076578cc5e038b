//! `trunkline run`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Map, Value, json};
use trunkline::Piece;
use trunkline_work::prompt::{PREFIX, Prompts};
use trunkline_work::workflow::{News, Outcome, Sketch, StepOutcome, StepState, Workflow};
use unicode_width::UnicodeWidthStr;

use super::batch::time;
use super::input::tell_simulator;
use crate::label::Label;
use crate::screen::Screen;
use crate::terminal::{complain, fit, print_json};
use crate::{End, Global};

/// Run a workflow: a file of steps whose prompts take variables and each other's outputs.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// The workflow, a TOML or YAML file
    file: PathBuf,
    /// A variable, NAME=VALUE; @FILE as the value reads a file. May be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    var: Vec<String>,
    /// Which model for steps that name none [default: as `ask`]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Look for what is wrong, and say what it takes and does; call nobody
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    label: Label,
}

impl Run {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        self.label.apply(global);
        let client = global.client()?;
        if let Some(named) = self.model.as_ref().filter(|named| named.starts_with(PREFIX)) {
            anyhow::bail!("-m names a model for steps that name none; a step says a prompt by prompt = \"{named}\"");
        }
        let path = self.file.display().to_string();
        let text = std::fs::read_to_string(&self.file).with_context(|| format!("cannot read {path}"))?;
        let prompts = if text.contains(PREFIX) { super::prompts::shelf(global).await? } else { Prompts::default() };
        let workflow = Workflow::parse_for(&text, &path, &prompts, (&client, self.model.as_deref()))?;
        let given = self.var.iter().map(|text| {
            let pair = text.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned()));
            pair.ok_or_else(|| anyhow::anyhow!("--var {text}: write NAME=VALUE"))
        });
        let given = given.collect::<anyhow::Result<Vec<_>>>()?;
        if self.check {
            workflow.check_files(&workflow.bind_some(&given)?)?;
            return describe(&workflow, global);
        }
        let values = workflow.bind(&given)?;
        workflow.check_files(&values)?;
        if self.model.is_none() && workflow.asks_the_usual_model() {
            tell_simulator(&client, global);
        }
        let mut tree = Tree::new(workflow.sketch(), global);
        let mut stopped = false;
        let stop = async {
            crate::signal::next().await;
            stopped = true;
        };
        let outcome = workflow.run(&client, values, self.model.as_deref(), |news| tree.show(news), stop).await;
        print(&workflow, &outcome, stopped, global)
    }
}

fn describe(workflow: &Workflow, global: &Global) -> anyhow::Result<End> {
    let steps = workflow.sketch();
    if global.json {
        print_json(&json!({
            "name": workflow.name, "about": workflow.about, "vars": workflow.variables, "steps": steps,
        }))?;
        return Ok(End::Done);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}{}", workflow.name, workflow.about.as_ref().map(|about| format!(": {about}")).unwrap_or_default())?;
    for variable in &workflow.variables {
        let default = variable.default.as_ref().map_or_else(|| "has to be given".to_owned(), |value| format!("default {value}"));
        let about = variable.about.as_ref().map(|about| format!("  {about}")).unwrap_or_default();
        writeln!(out, "  --var {}=…  {default}{about}", variable.name)?;
    }
    for step in steps {
        let after = if step.after.is_empty() { String::new() } else { format!("  after {}", step.after.join(", ")) };
        writeln!(out, "  step {}{after}", step.name)?;
    }
    Ok(End::Done)
}

/// The steps as they go: a tree that is drawn again and again on a terminal, else a line when one ends.
struct Tree {
    sketch: Vec<Sketch>,
    live: bool,
    quiet: bool,
    colour: bool,
    drawn: usize,
    told: Vec<bool>,
}

impl Tree {
    fn new(sketch: Vec<Sketch>, global: &Global) -> Self {
        let live = io::stderr().is_terminal() && !global.quiet;
        let colour = live && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let told = vec![false; sketch.len()];
        Tree { sketch, live, quiet: global.quiet, colour, drawn: 0, told }
    }

    fn show(&mut self, news: &News<'_>) {
        if self.live {
            self.draw(news.steps);
            return;
        }
        for (step, told) in news.steps.iter().zip(&mut self.told) {
            let over = !matches!(step.state, StepState::Waiting | StepState::Running);
            if over && !std::mem::replace(told, true) && !self.quiet {
                complain(&format!("{}: {}", step.name, figures(step).join(", ")));
            }
        }
    }

    fn draw(&mut self, steps: &[StepOutcome]) {
        let size = terminal_size::terminal_size_of(io::stderr());
        let (columns, rows) = size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
        let names: Vec<String> =
            self.sketch.iter().map(|step| format!("{}{}", "  ".repeat(self.depth(step, 0)), step.name)).collect();
        let width = names.iter().map(|name| name.width()).max().unwrap_or(0).min(columns / 3);
        let mut text = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        let shown = steps.len().min(rows.saturating_sub(2));
        for (step, name) in steps.iter().zip(&names).take(shown) {
            let name = fit(name, width);
            let pad = width.saturating_sub(name.width());
            let line = fit(&format!("{name}{:pad$}  {}", "", figures(step).join("  ")), columns.saturating_sub(3));
            text.push_str(&format!("\r\x1b[K{} {line}\n", self.mark(step.state)));
        }
        let _ = io::stderr().lock().write_all(text.as_bytes());
        self.drawn = shown;
    }

    /// How many steps come before it, one after the other.
    fn depth(&self, step: &Sketch, level: usize) -> usize {
        let before = self.sketch.iter().filter(|other| step.after.contains(&other.name));
        // The sketch has no circles; the bound is for whoever changes that.
        let below = if level > self.sketch.len() { None } else { before.map(|other| self.depth(other, level + 1) + 1).max() };
        below.unwrap_or(0)
    }

    fn mark(&self, state: StepState) -> String {
        let (mark, colour) = match state {
            StepState::Waiting => ("·", 2),
            StepState::Running => ("▸", 36),
            StepState::Done => ("✓", 32),
            StepState::Skipped => ("–", 2),
            StepState::Failed => ("✗", 31),
            StepState::Blocked | StepState::Stopped => ("·", 31),
        };
        if self.colour { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark.to_owned() }
    }
}

/// What a step has come to.
fn figures(step: &StepOutcome) -> Vec<String> {
    let mut parts = Vec::new();
    match step.state {
        StepState::Waiting => return vec!["waits".to_owned()],
        StepState::Skipped => return vec!["skipped: its condition does not hold".to_owned()],
        StepState::Blocked => return vec!["not run: a step that it needs failed".to_owned()],
        StepState::Failed => parts.push(format!("failed: {}", step.error.as_deref().unwrap_or_default())),
        StepState::Stopped => parts.push("stopped".to_owned()),
        StepState::Running | StepState::Done => {}
    }
    parts.extend(step.of_each.map(|(done, all)| format!("{done}/{all}")));
    parts.push(time(step.elapsed));
    if step.input + step.output_tokens > 0 {
        parts.push(format!("{} + {} tokens", step.input, step.output_tokens));
    }
    parts.extend(step.cost.map(|cost| cost.to_string()));
    if step.repairs > 0 {
        parts.push(format!("repaired {}", step.repairs));
    }
    parts.extend(step.target.clone());
    parts
}

/// So many elements that failed are told one by one; `--json` has all.
const TOLD: usize = 20;

fn print(workflow: &Workflow, outcome: &Outcome, stopped: bool, global: &Global) -> anyhow::Result<End> {
    if global.json {
        let outputs: Map<String, Value> =
            outcome.steps.iter().filter_map(|step| Some((step.name.clone(), step.output.clone()?))).collect();
        print_json(&json!({
            "name": outcome.name,
            "output": outcome.output,
            "error": outcome.fault,
            "outputs": outputs,
            "steps": outcome.steps,
            "cost": outcome.cost(),
            "elapsed_ms": u64::try_from(outcome.elapsed.as_millis()).unwrap_or(u64::MAX),
        }))?;
    } else {
        let mut text = Vec::new();
        match &outcome.output {
            Some(output) => text.extend_from_slice(output.trim_end().as_bytes()),
            None => print_ends(&mut text, workflow, outcome)?,
        }
        // What is written is Markdown more often than not.
        let mut screen = Screen::new(global);
        screen.show(&Piece::Text(String::from_utf8(text)?))?;
        screen.finish()?;
        if global.verbose {
            let cost = outcome.cost().map(|cost| format!(", {cost}")).unwrap_or_default();
            complain(&format!("{} steps in {}{cost}", outcome.steps.len(), time(outcome.elapsed)));
        }
    }
    end(outcome, stopped)
}

/// Says what is missing, and gives how it ended.
fn end(outcome: &Outcome, stopped: bool) -> anyhow::Result<End> {
    // The tree cuts what is long; here it is whole.
    for step in outcome.steps.iter().filter(|step| step.state == StepState::Failed) {
        complain(&format!("the step {} failed: {}", step.name, step.error.as_deref().unwrap_or_default()));
        step.failed.iter().take(TOLD).for_each(|missed| complain(&format!("  element {}: {}", missed.element, missed.error)));
        if let Some(more) = step.failed.len().checked_sub(TOLD + 1) {
            complain(&format!("  and {} more (--json lists them all)", more + 1));
        }
    }
    outcome.fault.iter().for_each(|fault| complain(fault));
    if !stopped && outcome.is_whole() && outcome.fault.is_none() {
        return Ok(End::Done);
    }
    let some = outcome.steps.iter().any(|step| step.output.is_some());
    match (stopped, some) {
        (true, false) => anyhow::bail!("stopped"),
        (true, true) => complain("stopped: what was done until then is printed"),
        (false, some) => anyhow::ensure!(some, "no step is done"),
    }
    Ok(End::Partly)
}

/// The outputs that no other step has taken, under their names if there are several.
fn print_ends(out: &mut impl Write, workflow: &Workflow, outcome: &Outcome) -> anyhow::Result<()> {
    let sketch = workflow.sketch();
    let has_output = |name: &String| outcome.steps.iter().any(|step| step.name == *name && step.output.is_some());
    let taken = |name: &String| sketch.iter().any(|step| step.after.contains(name) && has_output(&step.name));
    let ends: Vec<_> = outcome.steps.iter().filter(|step| !taken(&step.name) && step.output.is_some()).collect();
    for (number, step) in ends.iter().enumerate() {
        if ends.len() > 1 {
            writeln!(out, "{}## {}\n", if number > 0 { "\n" } else { "" }, step.name)?;
        }
        match &step.output {
            Some(Value::String(text)) => writeln!(out, "{}", text.trim_end())?,
            Some(value) => writeln!(out, "{}", serde_json::to_string_pretty(value)?)?,
            None => {}
        }
    }
    Ok(())
}
