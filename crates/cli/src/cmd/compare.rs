//! `trunkline compare`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;
use trunkline::Client;
use trunkline_work::compare::{Answer, Contest, Judge, Prepared, Prompt, Report, Round};
use trunkline_work::prompt::PREFIX;

use super::batch::time;
use super::input::{may_write, prompt, read_temperature, usual_model};
use super::prompts::{read_variables, seed, shelf};
use crate::column::{beside, fold, pack};
use crate::label::Label;
use crate::terminal::{Cell, Mark, columns, complain, has_colour, print_json, print_rows};
use crate::{End, Global};

/// Ask several models the same, and set them side by side: answers, speed and cost.
#[derive(clap::Args)]
pub(crate) struct Compare {
    /// A model; to be given several times
    #[arg(short, long, value_name = "MODEL", required = true)]
    model: Vec<String>,
    /// Prompts from a file, a line each as `batch` takes them
    #[arg(short, long, value_name = "FILE", conflicts_with = "prompt")]
    file: Option<PathBuf>,
    /// Instructions before each prompt that has none
    #[arg(short, long, value_name = "TEXT")]
    system: Option<String>,
    /// Most output tokens of prompts that do not say
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// How freely tokens are drawn, 0 to 2
    #[arg(long, value_name = "T", value_parser = read_temperature)]
    temperature: Option<f64>,
    /// A model that scores the answers, without knowing whose they are
    #[arg(long, value_name = "MODEL")]
    judge: Option<String>,
    /// What matters to the judge [default: right, complete, clear, no longer than it has to be]
    #[arg(long, value_name = "TEXT", requires = "judge")]
    rubric: Option<String>,
    /// Write the comparison as one page, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Overwrite a file that is there
    #[arg(long, requires = "html")]
    force: bool,
    /// A variable of the prompts that `-m prompt:NAME` names, NAME=VALUE; @FILE as the value reads a file
    #[arg(long, value_name = "NAME=VALUE")]
    var: Vec<String>,
    /// The prompt; `-` or nothing reads a pipe
    prompt: Option<String>,
    #[command(flatten)]
    label: Label,
}

impl Compare {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        self.label.apply(global);
        let client = global.client()?;
        self.html.as_ref().map_or(Ok(()), |path| may_write(path, self.force))?;
        let prepared = prepare(&self.model, &self.var, &client, global).await?;
        let system = self.system.as_deref();
        let mut prompts = match &self.file {
            Some(path) => Prompt::read(path, system)?,
            None => vec![Prompt::text(&prompt(self.prompt)?, system)],
        };
        for Prompt { request, .. } in &mut prompts {
            request.max_tokens = request.max_tokens.or(self.max_tokens);
            request.sampling.temperature = request.sampling.temperature.or(self.temperature);
        }
        let judge = self.judge.map(|model| {
            let usual = Judge::default();
            Judge { model, rubric: self.rubric.unwrap_or(usual.rubric) }
        });
        let several = prompts.len() > 1;
        let contest = Contest { models: self.model, prepared, prompts, judge };
        contest.check(&client)?;
        let mut screen = Screen::new(global, several);
        let report = tokio::select! {
            report = contest.run(&client, |round, over| screen.show(round, over)) => report,
            _ = crate::signal::next() => {
                screen.clear();
                anyhow::bail!("stopped");
            }
        };
        if let Some(path) = &self.html {
            std::fs::write(path, report.page()).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if let Some(error) = screen.failed {
            return Err(error.into());
        }
        finish(&report, contest.judge.is_some(), global)
    }
}

/// The prompts that stand in the place of models, with the values of what each of them takes.
async fn prepare(
    models: &[String],
    variables: &[String],
    client: &Client,
    global: &Global,
) -> anyhow::Result<BTreeMap<String, Prepared>> {
    let asked: Vec<(&String, &str)> = models.iter().filter_map(|model| Some((model, model.strip_prefix(PREFIX)?))).collect();
    let given = read_variables(variables)?;
    anyhow::ensure!(given.is_empty() || !asked.is_empty(), "--var is for prompts: -m prompt:NAME");
    if asked.is_empty() {
        return Ok(BTreeMap::new());
    }
    let shelf = shelf(global).await?;
    let mut all = BTreeMap::new();
    for (model, name) in asked {
        let chosen = shelf.choose(name, None, seed())?;
        let takes = |(name, _): &(&String, &Value)| chosen.prompt.takes(name);
        let own = given.iter().filter(takes).map(|(name, value)| (name.clone(), value.clone())).collect();
        let usual = chosen.prompt.model.clone().unwrap_or_else(|| usual_model(client, global));
        all.insert(model.clone(), Prepared { prompt: chosen.prompt, given: own, model: usual });
    }
    let nobodys = given.keys().find(|name| !all.values().any(|one| one.prompt.takes(name)));
    nobodys.map_or(Ok(all), |name| anyhow::bail!("none of the prompts has a variable {name}"))
}

/// The least room for an answer beside others.
const LEAST: usize = 28;
const GAP: &str = " │ ";

struct Screen {
    json: bool,
    several: bool,
    live: bool,
    colour: bool,
    drawn: usize,
    /// Standard output is gone.
    failed: Option<io::Error>,
}

impl Screen {
    fn new(global: &Global, several: bool) -> Self {
        let live = io::stderr().is_terminal() && io::stdout().is_terminal() && !global.quiet && !global.json;
        Screen { json: global.json, several, live, colour: has_colour(), drawn: 0, failed: None }
    }

    fn show(&mut self, round: &Round, over: bool) {
        if over {
            self.clear();
            if !self.json && self.failed.is_none() {
                self.failed = self.print(round).err();
            }
        } else if self.live {
            self.draw(round);
        }
    }

    fn clear(&mut self) {
        if self.drawn > 0 {
            let _ = write!(io::stderr(), "\x1b[{}A\r\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    /// The answers as they come: of each the end, as much as there is room for.
    fn draw(&mut self, round: &Round) {
        let size = terminal_size::terminal_size_of(io::stderr());
        let (columns, rows) = size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
        let count = round.answers.len();
        let (room, wide) = room(columns, count);
        let height = if wide { rows.saturating_sub(5) } else { (rows.saturating_sub(2) / count.max(1)).saturating_sub(2) };
        let blocks = round.answers.iter().map(|answer| {
            let lines = fold(&answer.text, room);
            let skip = lines.len().saturating_sub(height);
            let head = [self.bold(&fit_to(&answer.model, room)), self.dim(&fit_to(&figures(answer, None), room))];
            head.into_iter().chain(lines.into_iter().skip(skip)).collect::<Vec<_>>()
        });
        let blocks: Vec<Vec<String>> = blocks.collect();
        let lines = if wide { beside(&blocks, room, GAP) } else { blocks.concat() };
        let lines: Vec<String> = lines.into_iter().take(rows.saturating_sub(1)).collect();
        let up = if self.drawn > 0 { format!("\x1b[{}A\r\x1b[J", self.drawn) } else { String::new() };
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let _ = io::stderr().lock().write_all(format!("{up}{text}").as_bytes());
        self.drawn = lines.len();
    }

    /// The answers when they are there.
    fn print(&self, round: &Round) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.several {
            let title = format!("{}: {}", round.id, round.prompt.lines().next().unwrap_or_default());
            writeln!(out, "{}\n", self.bold(&columns().map_or(title.clone(), |columns| fit_to(&title, columns))))?;
        }
        let place = columns().map(|columns| room(columns, round.answers.len()));
        let blocks = round.answers.iter().zip(0..).map(|(answer, at)| self.block(round, answer, at, place));
        let blocks: Vec<Vec<String>> = blocks.collect();
        match place {
            Some((room, true)) => beside(&blocks, room, GAP).iter().try_for_each(|line| writeln!(out, "{line}"))?,
            _ => {
                for (block, number) in blocks.iter().zip(0..) {
                    if number > 0 {
                        writeln!(out)?;
                    }
                    block.iter().try_for_each(|line| writeln!(out, "{line}"))?;
                }
            }
        }
        writeln!(out)?;
        if let Some(verdict) = &round.verdict {
            let best = verdict.best.and_then(|at| round.answers.get(at)).map(|answer| format!("{} is best: ", answer.model));
            let why = verdict.error.as_ref().map_or_else(|| verdict.why.clone(), |error| format!("no verdict: {error}"));
            let text = format!("{}{why}", best.unwrap_or_default());
            let lines = columns().map_or_else(|| vec![text.clone()], |columns| fold(&text, columns));
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn block(&self, round: &Round, answer: &Answer, at: usize, place: Option<(usize, bool)>) -> Vec<String> {
        let score = round.verdict.as_ref().and_then(|verdict| verdict.scores.get(at).copied().flatten());
        let told = figures(answer, score);
        let lines = |text: &str| place.map_or_else(|| plain(text), |(room, _)| fold(text, room));
        let mut block: Vec<String> = lines(&answer.model).iter().map(|line| self.bold(line)).collect();
        let figures = place.map_or_else(|| plain(&told), |(room, _)| pack(told.split("  "), room));
        block.extend(figures.iter().map(|line| self.dim(line)));
        if !answer.text.is_empty() {
            block.extend(lines(&answer.text));
        }
        if let Some(error) = &answer.error {
            block.extend(lines(&format!("failed: {error}")));
        }
        block
    }

    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn dim(&self, text: &str) -> String {
        if self.colour { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn plain(text: &str) -> Vec<String> {
    text.trim_end().lines().map(str::to_owned).collect()
}

fn fit_to(text: &str, room: usize) -> String {
    crate::terminal::fit(&fold(text, usize::MAX / 2).concat(), room)
}

/// The room for one answer, and whether it stands beside the others.
fn room(columns: usize, count: usize) -> (usize, bool) {
    let beside = columns.saturating_sub(GAP.chars().count() * count.saturating_sub(1)) / count.max(1);
    if count > 1 && beside >= LEAST { (beside, true) } else { (columns.saturating_sub(1), false) }
}

/// Time to the first token, speed, tokens, cost, score: what is known of them.
fn figures(answer: &Answer, score: Option<u8>) -> String {
    let mut parts = Vec::new();
    match answer.first {
        Some(first) => parts.push(format!("first {}", short(first))),
        None if !answer.over => parts.push(format!("waits {}", time(answer.elapsed))),
        None => {}
    }
    parts.extend(answer.tokens_per_second.map(|speed| format!("{speed:.1}/s")));
    parts.extend(answer.output.map(|tokens| format!("{tokens} token{}", if tokens == 1 { "" } else { "s" })));
    parts.extend(answer.cost.map(|cost| cost.to_string()));
    parts.extend(score.map(|score| format!("{score}/10")));
    parts.join("  ")
}

fn short(time: std::time::Duration) -> String {
    if time.as_millis() < 10_000 { format!("{} ms", time.as_millis()) } else { super::batch::time(time) }
}

fn finish(report: &Report, judged: bool, global: &Global) -> anyhow::Result<End> {
    if global.json {
        print_json(report)?;
    } else if report.rounds.len() > 1 || judged {
        let heads = ["model", "answers", "first", "tokens/s", "cost", "score", "best"];
        let heads = heads.get(..if judged { 7 } else { 5 }).unwrap_or_default();
        let rows = report.models.iter().map(|model| {
            let known = |text: Option<String>| Cell::right(text.unwrap_or_else(|| "-".to_owned()));
            let mark = if model.failed > 0 { Mark::Bad } else { Mark::Yes };
            let mut cells = vec![
                Cell::left(model.model.clone()),
                Cell::right(format!("{}/{}", model.answered, model.answered + model.failed)),
                known(model.first.map(short)),
                known(model.tokens_per_second.map(|speed| format!("{speed:.1}"))),
                known(model.cost.map(|cost| cost.to_string())),
                known(model.score.map(|score| format!("{score:.1}"))),
                Cell::left(model.score.map(|_| model.wins.to_string()).unwrap_or_default()),
            ];
            cells.truncate(heads.len());
            (mark, cells)
        });
        print_rows(Some(heads), &rows.collect::<Vec<_>>())?;
    }
    let failed = report.models.iter().map(|model| model.failed).sum::<usize>();
    let answered = report.models.iter().map(|model| model.answered).sum::<usize>();
    if answered == 0 {
        anyhow::bail!("nobody answered");
    }
    if failed > 0 {
        complain(&format!("{failed} of {} answers failed", failed + answered));
        return Ok(End::Partly);
    }
    let unjudged = report.rounds.iter().filter(|round| round.verdict.as_ref().is_some_and(|verdict| verdict.error.is_some()));
    match unjudged.count() {
        0 => Ok(End::Done),
        count => {
            complain(&format!("{count} of {} prompts have no verdict", report.rounds.len()));
            Ok(End::Partly)
        }
    }
}
