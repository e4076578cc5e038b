//! `trunkline chat`.

mod answer;
mod memory;
mod message;
mod obey;
mod order;
mod reader;

use std::collections::HashSet;
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::Value;
use trunkline::Client;
use trunkline::config::{StoreConfig, Window};
use trunkline::ir::{Message, Part, Role};
use trunkline_work::session::{Session, Start};

use super::input::{read_temperature, tell_simulator};
use super::prompts::{Said, named};
use crate::conversation::{Wanted, begin, check_model, keeps, set_model, turns};
use crate::label::Label;
use crate::ledger::place;
use crate::screen::Screen;
use crate::signal;
use crate::terminal::{columns, complain, has_colour, print_json};
use crate::{End, Global};
use order::{Line, Order};
use reader::{Input, Reader, is_typed};

/// Converse with a model: in a terminal, or line by line from a pipe. The conversation is kept in the store.
///
/// A line is a message; one that ends with `\` goes on in the next, and so does all between two `"""`. What begins with `/`
/// is a command: /help lists them. From a pipe, answers go to standard output and nothing else does.
#[derive(clap::Args)]
pub(crate) struct Chat {
    /// Which model [default: the conversation's, else as `ask`]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Which task: its model is asked; `auto` leaves the task to the rules of the configuration
    #[arg(long, value_name = "TASK", conflicts_with = "model")]
    task: Option<String>,
    /// Instructions for the whole conversation
    #[arg(short, long, value_name = "TEXT")]
    system: Option<String>,
    /// Go on with the conversation of this id, or the begin of it
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Go on with the last conversation
    #[arg(short = 'c', long = "continue", conflicts_with = "session")]
    last: bool,
    /// What of the history is sent: `all`, `3 turns`, `4000 tokens`, `summarise after 6 turns with MODEL`
    #[arg(long, value_name = "WINDOW")]
    window: Option<Window>,
    /// Keep nothing of it
    #[arg(long, conflicts_with_all = ["session", "last"])]
    private: bool,
    /// Most output tokens of an answer
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// How freely tokens are drawn, 0 to 2
    #[arg(long, value_name = "T", value_parser = read_temperature)]
    temperature: Option<f64>,
    /// A variable of the prompt that `-m prompt:NAME` names, NAME=VALUE; @FILE as the value reads a file
    #[arg(long, value_name = "NAME=VALUE")]
    var: Vec<String>,
    #[command(flatten)]
    label: Label,
}

/// A question whose answer did not come to its end.
struct Open {
    asked: Vec<Message>,
    /// Whether the conversation has it, with the part that came.
    kept: bool,
}

/// A conversation as it goes on.
struct Talk<'g> {
    global: &'g Global,
    client: Client,
    session: Session,
    /// Who is asked in a conversation that names nobody.
    usual: String,
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    /// The values of what prompts take.
    var: Vec<String>,
    /// What a prompt says before the first question of a conversation, and what is still to go before the next one.
    opening: Vec<Message>,
    pending: Vec<Message>,
    /// Somebody types.
    typed: bool,
    /// Nothing is kept.
    private: bool,
    /// What goes with the next question.
    attached: Vec<Part>,
    /// A question without an answer, to be asked again.
    open: Option<Open>,
    /// The file that the conversation was saved to.
    saved: Option<PathBuf>,
    /// Why something could not be sent, as far as it was told.
    lost: HashSet<String>,
    /// With `--json`: the turns.
    told: Vec<Value>,
    answered: usize,
    failed: usize,
    /// A signal has ended it.
    stopped: bool,
}

impl Chat {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        self.label.apply(global);
        let client = global.client()?;
        let talk = self.begin(global, client).await?;
        let reader = Reader::start(talk.memory()?);
        talk.greet()?;
        talk.go(&reader).await
    }

    async fn begin(self, global: &Global, client: Client) -> anyhow::Result<Talk<'_>> {
        let wanted = match (self.session, self.last) {
            (Some(id), _) => Wanted::Of(id),
            (None, true) => Wanted::Last,
            (None, false) if self.private || !keeps(&client) => Wanted::Private,
            (None, false) => Wanted::New,
        };
        let asked = self.model.or(self.task.map(|task| format!("task:{task}")));
        let prompt = named(asked.as_deref().unwrap_or_default(), &self.var, global).await?;
        let said = match prompt {
            Some(prompt) => prompt.say(global)?,
            None => Said { model: asked, ..Said::default() },
        };
        let (model, system) = (said.model, self.system.or(said.system));
        model.as_ref().map_or(Ok(()), |model| check_model(&client, model))?;
        let usual = model.clone().unwrap_or_else(|| client.default_model());
        let start = Start {
            model: Some(usual.clone()),
            system: system.clone(),
            window: self.window.clone().unwrap_or_else(|| client.config().sessions.window.clone()),
            ..Start::default()
        };
        let mut session = begin(global, &client, wanted, start).await?;
        if model.is_none() && session.model() == Some(&usual) {
            tell_simulator(&client, global);
        }
        // What is said to one that goes on holds from now on.
        if !session.turns().is_empty() {
            if let Some(model) = &model {
                set_model(&mut session, &client, model).await?;
            }
            if system.is_some() {
                session.set_system(system).await?;
            }
            if let Some(window) = self.window {
                session.set_window(window).await?;
            }
        }
        let private = session.store().is_none();
        Ok(Talk {
            global,
            client,
            session,
            usual,
            max_tokens: self.max_tokens.or(said.max_tokens),
            temperature: self.temperature.or(said.temperature),
            var: self.var,
            opening: said.messages.clone(),
            pending: said.messages,
            typed: is_typed() && !global.json,
            private,
            attached: Vec::new(),
            open: None,
            saved: None,
            lost: HashSet::new(),
            told: Vec::new(),
            answered: 0,
            failed: 0,
            stopped: false,
        })
    }
}

impl Talk<'_> {
    /// Where typed lines are remembered: beside the store, if anything is kept at all.
    fn memory(&self) -> anyhow::Result<Option<PathBuf>> {
        if !self.typed || self.private || place(self.global)?.is_none() {
            return Ok(None);
        }
        let folder = StoreConfig::folder(&self.client.environment());
        Ok(folder.filter(|folder| std::fs::create_dir_all(folder).is_ok()).map(|folder| folder.join("chat_history")))
    }

    fn greet(&self) -> anyhow::Result<()> {
        if !self.typed || self.global.quiet {
            return Ok(());
        }
        let model = self.session.model().unwrap_or_default();
        let kept = if self.private { "not kept".to_owned() } else { format!("session {}", self.session.id()) };
        self.note(&format!("{model} · {kept} · /help lists the commands, Ctrl-D leaves"));
        self.recall()
    }

    /// Shows where a conversation stands that is gone on with.
    fn recall(&self) -> anyhow::Result<()> {
        let Some(turn) = self.session.turns().last().filter(|_| self.typed) else { return Ok(()) };
        let count = turns(self.session.turns().len() as u64);
        self.note(&format!("{count} so far: {}", crate::conversation::title(self.session.title())));
        let mut screen = Screen::new(self.global);
        let asked: String = turn.asked.iter().map(Message::plain_text).collect();
        let quoted: String = asked.lines().take(3).map(|line| format!("> {line}\n")).collect();
        let answered = turn.answered.as_ref().map(Message::plain_text).unwrap_or_default();
        screen.show(&trunkline::Piece::Text(format!("{quoted}\n{answered}")))?;
        screen.finish()?;
        complain("");
        Ok(())
    }

    async fn go(mut self, reader: &Reader) -> anyhow::Result<End> {
        let mut hinted = false;
        loop {
            // The editor hears of Ctrl-C by itself.
            let stop = async { if self.typed { signal::termination().await } else { _ = signal::next().await } };
            let input = tokio::select! {
                input = reader.next() => input,
                () = stop => Input::Stopped,
            };
            match input {
                Input::Message(text) => {
                    hinted = false;
                    if !self.take(&text).await? || self.stopped {
                        break;
                    }
                }
                Input::Stopped => {
                    self.stopped = true;
                    break;
                }
                Input::Interrupted { empty } if empty && !hinted => {
                    hinted = true;
                    self.note("Ctrl-D or /quit leaves; Ctrl-C stops an answer");
                }
                Input::Interrupted { .. } => {}
                Input::End => break,
                Input::Unreadable(sentence) => self.fail(&sentence),
                Input::Failed(error) => {
                    self.fail(&error);
                    break;
                }
            }
        }
        self.finish()
    }

    fn finish(self) -> anyhow::Result<End> {
        if self.global.json {
            print_json(&self.told)?;
        }
        anyhow::ensure!(!self.stopped, "stopped");
        if self.typed || self.failed == 0 {
            return Ok(End::Done);
        }
        anyhow::ensure!(self.answered > 0, "nothing was answered");
        Ok(End::Partly)
    }

    /// Takes a message; false when it says to leave.
    async fn take(&mut self, text: &str) -> anyhow::Result<bool> {
        match order::read(text) {
            Line::Say(text) => {
                let mut message = Message::text(Role::User, text);
                // What is looked at comes before what is asked about it.
                let asked = std::mem::replace(&mut message.parts, std::mem::take(&mut self.attached));
                message.parts.extend(asked);
                let mut messages = self.pending.clone();
                messages.push(message);
                self.ask(messages).await?;
            }
            Line::Do(order, argument) if !argument.is_empty() && !order.takes_something() => {
                self.fail(&format!("this command takes nothing behind it, and there is \"{argument}\" (/help lists them)"));
            }
            Line::Do(Order::Quit, _) => return Ok(false),
            Line::Do(Order::Retry, _) => self.retry().await?,
            Line::Do(order, argument) => {
                if let Err(error) = self.obey(order, &argument).await {
                    self.fail(&format!("{error:#}"));
                }
            }
            Line::Unknown(word, nearest) => {
                let meant = nearest.map(|name| format!("; did you mean /{name}?")).unwrap_or_default();
                self.fail(&format!("there is no command /{word}{meant} (/help lists them, // begins a message with /)"));
            }
        }
        Ok(true)
    }

    /// Tells what went wrong; the conversation goes on.
    fn fail(&mut self, sentence: &str) {
        self.failed += 1;
        self.note(sentence);
    }

    /// Tells something beside the answers.
    fn note(&self, text: &str) {
        let width = if self.typed { columns() } else { None };
        let lines = match width {
            Some(columns) => crate::column::fold(text, columns.saturating_sub(1)),
            None => text.lines().map(str::to_owned).collect(),
        };
        let dim = self.typed && has_colour();
        for line in lines {
            if dim {
                let _ = writeln!(std::io::stderr().lock(), "\x1b[2m{line}\x1b[0m");
            } else {
                complain(&line);
            }
        }
    }
}
