//! `trunkline prompts`, and `ask -m prompt:NAME`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::{Map, Value, json};
use trunkline::Client;
use trunkline::ir::{Message, Request, Role};
use trunkline_store::{PromptRow, Store, date};
use trunkline_work::prompt::{Chosen, Form, PREFIX, Prompt, Prompts as Shelf, is_name};
use trunkline_work::workflow::read_files;

use super::input::usual_model;
use crate::ledger::make;
use crate::terminal::{Cell, Mark, complain, print_json, print_rows};
use crate::{End, Global};

/// Keep prompts under names: a version is never edited, a label points at one, shares try several out.
#[derive(clap::Args)]
pub(crate) struct Prompts {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(clap::Subcommand)]
enum What {
    /// List the prompts
    List,
    /// Print a version of a prompt as it was added
    Show {
        /// NAME, NAME@3 or NAME@LABEL
        #[arg(value_name = "NAME[@VERSION]")]
        name: String,
    },
    /// Add a prompt, or a version to one: a TOML or YAML file
    Add {
        /// Its name: letters, digits, `-`, `_`, `.` and `/`
        name: String,
        /// The file
        file: PathBuf,
        /// Point this label at it, too
        #[arg(long, value_name = "LABEL")]
        label: Option<String>,
    },
    /// Have versions share the calls: 1=90 2=10; without any, stop that
    Share {
        /// The prompt
        name: String,
        /// VERSION=SHARE
        shares: Vec<String>,
    },
    /// Point a label at a version. `live` is what NAME alone means
    Label {
        /// The prompt
        name: String,
        /// The label
        label: String,
        /// The version; without one the label is taken away
        version: Option<u32>,
    },
    /// Delete a prompt with all its versions
    Delete {
        /// The prompt
        name: String,
    },
}

impl Prompts {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let mut store = make(global).await?;
        let done = match self.what.unwrap_or(What::List) {
            What::List => list(&store.prompts().await?, global),
            What::Show { name } => show(&store.prompts().await?, &name, global),
            What::Add { name, file, label } => add(&mut store, &name, (&file, label.as_deref()), global).await,
            What::Share { name, shares } => share(&mut store, &name, &shares, global).await,
            What::Label { name, label, version } => {
                check_label(&label)?;
                store.label_prompt(&name, &label, version).await?;
                let said = version.map_or("points at nothing now".to_owned(), |version| format!("is version {version} now"));
                tell(global, json!({ "name": name, "label": label, "version": version }), &format!("{name}@{label} {said}"))
            }
            What::Delete { name } => {
                anyhow::ensure!(store.delete_prompt(&name).await?, "there is no prompt `{name}`");
                tell(global, json!({ "deleted": name }), &format!("{name} is deleted with all its versions"))
            }
        };
        store.close().await;
        done.map(|()| End::Done)
    }
}

/// A sentence for people, or JSON for programs.
fn tell(global: &Global, value: Value, sentence: &str) -> anyhow::Result<()> {
    if global.json {
        return print_json(&value);
    }
    if !global.quiet {
        complain(sentence);
    }
    Ok(())
}

fn pairs(what: impl IntoIterator<Item = (String, u32)>) -> String {
    what.into_iter().map(|(name, number)| format!("{name}={number}")).collect::<Vec<_>>().join(" ")
}

fn list(prompts: &[PromptRow], global: &Global) -> anyhow::Result<()> {
    if global.json {
        let version =
            |row: &trunkline_store::VersionRow| json!({ "version": row.version, "form": row.form, "made": day(row.made_us) });
        let prompt = |row: &PromptRow| {
            let versions: Vec<Value> = row.versions.iter().map(version).collect();
            json!({ "name": row.name, "versions": versions, "labels": row.labels, "shares": row.shares })
        };
        return print_json(&prompts.iter().map(prompt).collect::<Vec<_>>());
    }
    if prompts.is_empty() {
        complain("there are no prompts yet; add one: trunkline prompts add NAME FILE");
        return Ok(());
    }
    let row = |row: &PromptRow| {
        let newest = row.versions.last();
        let shares = pairs(row.shares.iter().map(|(version, share)| (version.to_string(), *share)));
        let cells = vec![
            Cell::left(row.name.clone()),
            Cell::right(newest.map(|version| version.version.to_string()).unwrap_or_default()),
            Cell::left(newest.map(|version| day(version.made_us)).unwrap_or_default()),
            Cell::left(
                [pairs(row.labels.clone()), shares].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; "),
            ),
        ];
        (Mark::None, cells)
    };
    Ok(print_rows(Some(&["name", "newest", "added", "labels; shares"]), &prompts.iter().map(row).collect::<Vec<_>>())?)
}

/// Microseconds.
const DAY: u64 = 86_400_000_000;

fn day(micros: u64) -> String {
    date(micros / DAY)
}

fn show(prompts: &[PromptRow], name: &str, global: &Global) -> anyhow::Result<()> {
    let shelf = Shelf::default().refresh(prompts.to_vec());
    let chosen = shelf.choose(name.strip_prefix(PREFIX).unwrap_or(name), None, 0)?;
    let (plain, number) = chosen.name.rsplit_once('@').unwrap_or((&chosen.name, ""));
    let row = prompts.iter().find(|row| row.name == plain);
    let version = row.and_then(|row| row.versions.iter().find(|version| version.version.to_string() == number));
    let version = version.context("the prompt is gone")?;
    if global.json {
        return print_json(&json!({
            "name": plain, "version": version.version, "form": version.form, "made": day(version.made_us),
            "about": chosen.prompt.about, "model": chosen.prompt.model, "vars": chosen.prompt.variables,
            "source": version.source,
        }));
    }
    writeln!(io::stdout().lock(), "{}", version.source.trim_end())?;
    Ok(())
}

async fn add(store: &mut Store, name: &str, (file, label): (&PathBuf, Option<&str>), global: &Global) -> anyhow::Result<()> {
    anyhow::ensure!(is_name(name), "`{name}` cannot be a prompt's name: letters, digits, `-`, `_`, `.` and `/` can stand in one");
    label.map(check_label).transpose()?;
    let path = file.display().to_string();
    let source = std::fs::read_to_string(file).with_context(|| format!("cannot read {path}"))?;
    let form = Form::of(&path);
    Prompt::parse(&source, form, &path)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0));
    let (version, is_new) = store.add_prompt(name, form.word(), &source, now).await?;
    if let Some(label) = label {
        store.label_prompt(name, label, Some(version)).await?;
    }
    let sentence = if is_new { format!("{name}@{version} is added") } else { format!("{name}@{version} says that already") };
    tell(global, json!({ "name": name, "version": version, "new": is_new }), &sentence)
}

fn check_label(label: &str) -> anyhow::Result<()> {
    let number = label.chars().all(|c| c.is_ascii_digit());
    anyhow::ensure!(is_name(label) && !number, "`{label}` cannot be a label: a word of letters can, and no number");
    Ok(())
}

async fn share(store: &mut Store, name: &str, shares: &[String], global: &Global) -> anyhow::Result<()> {
    let read = |text: &String| {
        let pair = text.split_once('=').and_then(|(version, share)| Some((version.parse().ok()?, share.parse().ok()?)));
        pair.with_context(|| format!("{text}: write VERSION=SHARE, as in 1=90 2=10"))
    };
    let pairs_given: Vec<(u32, u32)> = shares.iter().map(read).collect::<anyhow::Result<_>>()?;
    let shares: BTreeMap<u32, u32> = pairs_given.iter().copied().collect();
    anyhow::ensure!(shares.len() == pairs_given.len(), "a version is named twice; give each one share");
    anyhow::ensure!(shares.is_empty() || shares.values().any(|share| *share > 0), "every share is 0; give one more than that");
    store.share_prompt(name, &shares).await?;
    let told = pairs(shares.iter().map(|(version, share)| (version.to_string(), *share)));
    let sentence = if shares.is_empty() { format!("the versions of {name} share no calls") } else { format!("{name}: {told}") };
    tell(global, json!({ "name": name, "shares": shares }), &sentence)
}

/// All prompts of the store.
pub(super) async fn shelf(global: &Global) -> anyhow::Result<Shelf> {
    let mut store = make(global).await?;
    let prompts = store.prompts().await?;
    store.close().await;
    Ok(Shelf::default().refresh(prompts))
}

/// A prompt of the store that `ask` shall put before what is said.
pub(super) struct Named {
    chosen: Chosen,
    given: Map<String, Value>,
}

/// NAME=VALUE, with what files say.
pub(super) fn read_variables(variables: &[String]) -> anyhow::Result<Map<String, Value>> {
    let pair = |text: &String| {
        let pair = text.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned()));
        pair.with_context(|| format!("--var {text}: write NAME=VALUE"))
    };
    Ok(read_files(&variables.iter().map(pair).collect::<anyhow::Result<Vec<_>>>()?)?)
}

/// Which of the versions that share the calls: whoever asks by hand is as good as a die.
pub(super) fn seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::from(since.subsec_nanos()) / 1000)
}

/// The prompt that a model's name means, if it means one.
pub(super) async fn named(model: &str, variables: &[String], global: &Global) -> anyhow::Result<Option<Named>> {
    let Some(asked) = model.strip_prefix(PREFIX) else {
        anyhow::ensure!(variables.is_empty(), "--var is for prompts: -m prompt:NAME");
        return Ok(None);
    };
    let given = read_variables(variables)?;
    let chosen = shelf(global).await?.choose(asked, None, seed())?;
    Ok(Some(Named { chosen, given }))
}

impl Named {
    /// Without the values that it does not take: they are meant for others.
    pub(super) fn without_others(mut self) -> Self {
        self.given.retain(|name, _| self.chosen.prompt.takes(name));
        self
    }
}

/// What a conversation begins with that a prompt says.
#[derive(Default)]
pub(super) struct Said {
    /// Whom it asks, if it says so.
    pub(super) model: Option<String>,
    /// Instructions for all of it.
    pub(super) system: Option<String>,
    /// What goes before the first question.
    pub(super) messages: Vec<Message>,
    pub(super) max_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
}

impl Named {
    /// What it says, for a conversation.
    pub(super) fn say(self, global: &Global) -> anyhow::Result<Said> {
        let mut request = Request::default();
        self.chosen.prompt.extend(&mut request, &self.given)?;
        let (system, messages): (Vec<_>, Vec<_>) = request.messages.into_iter().partition(|message| message.role == Role::System);
        let system = system.iter().map(Message::plain_text).collect::<Vec<_>>().join("\n\n");
        if global.verbose {
            complain(&format!("prompt {}", self.chosen.name));
        }
        Ok(Said {
            model: Some(request.model).filter(|model| !model.is_empty()),
            system: Some(system).filter(|text| !text.is_empty()),
            messages,
            max_tokens: request.max_tokens,
            temperature: request.sampling.temperature,
        })
    }

    /// Puts the prompt into the request.
    pub(super) fn fill(self, request: &mut Request, client: &Client, global: &Global) -> anyhow::Result<()> {
        self.chosen.prompt.extend(request, &self.given)?;
        if request.model.starts_with(PREFIX) {
            request.model = usual_model(client, global);
        }
        if global.verbose {
            complain(&format!("prompt {}", self.chosen.name));
        }
        Ok(())
    }
}
