//! The commands within a conversation.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use trunkline::config::Window;
use trunkline::ir::Request;
use trunkline_store::Sought;
use trunkline_work::prompt::PREFIX;
use trunkline_work::session::{Session, Start};
use unicode_width::UnicodeWidthStr;

use super::super::prompts::named;
use super::Talk;
use super::order::{ORDERS, Order};
use crate::attachment::read_file;
use crate::column::fold;
use crate::conversation::{Wanted, begin, existing_store, line, set_model, title, turns};
use crate::ledger::{money, number};
use crate::terminal::columns;

/// So many conversations are listed.
const LISTED: u32 = 15;

impl Talk<'_> {
    /// Does what a command says.
    ///
    /// # Errors
    /// When it cannot be done; nothing is changed then.
    pub(super) async fn obey(&mut self, order: Order, argument: &str) -> anyhow::Result<()> {
        match order {
            Order::Model => self.model(argument).await,
            Order::System => self.system(argument).await,
            Order::Undo => self.undo().await,
            Order::Branch => self.branch(argument).await,
            Order::Save => self.save(argument),
            Order::Tokens => self.tokens(),
            Order::Attach => self.attach(argument),
            Order::Title => self.title(argument).await,
            Order::New => self.renew().await,
            Order::Sessions => self.list().await,
            Order::Open => self.open(argument).await,
            Order::Window => self.window(argument).await,
            Order::Help => self.help(),
            // What leaves or asks is done elsewhere.
            Order::Retry | Order::Quit => Ok(()),
        }
    }

    async fn model(&mut self, name: &str) -> anyhow::Result<()> {
        if name.starts_with(PREFIX) {
            self.prompt(name).await?;
        } else if !name.is_empty() {
            set_model(&mut self.session, &self.client, name).await?;
        }
        self.note(self.session.model().unwrap_or("no model"));
        Ok(())
    }

    /// Goes on with what a prompt says: its model and instructions from now on, its messages before the next question.
    async fn prompt(&mut self, name: &str) -> anyhow::Result<()> {
        let Some(prompt) = named(name, &self.var, self.global).await? else { return Ok(()) };
        let said = prompt.without_others().say(self.global)?;
        if let Some(model) = &said.model {
            set_model(&mut self.session, &self.client, model).await?;
        }
        if said.system.is_some() {
            self.session.set_system(said.system).await?;
        }
        self.max_tokens = said.max_tokens.or(self.max_tokens);
        self.temperature = said.temperature.or(self.temperature);
        (self.opening, self.pending) = (said.messages.clone(), said.messages);
        Ok(())
    }

    async fn system(&mut self, text: &str) -> anyhow::Result<()> {
        match text {
            "" => {}
            "-" => self.session.set_system(None).await?,
            text => self.session.set_system(Some(text.to_owned())).await?,
        }
        self.note(self.session.system().unwrap_or("no instructions"));
        Ok(())
    }

    async fn undo(&mut self) -> anyhow::Result<()> {
        if self.open.take().is_some_and(|open| !open.kept) {
            self.note("the question without an answer is taken back");
            return Ok(());
        }
        let turn = self.session.undo().await?.context("there is nothing to take back")?;
        self.hold(&turn.asked, true);
        let asked: String = turn.asked.iter().map(trunkline::ir::Message::plain_text).collect();
        let left = turns(self.session.turns().len() as u64);
        self.note(&format!("taken back: {} ({left} left)", short(&asked)));
        Ok(())
    }

    async fn branch(&mut self, name: &str) -> anyhow::Result<()> {
        ensure!(!self.session.turns().is_empty(), "nothing was said yet");
        let from = self.session.id().to_owned();
        self.session.branch(Some(name.to_owned()).filter(|name| !name.is_empty())).await?;
        self.note(&format!("session {}, branched off {from}", self.session.id()));
        Ok(())
    }

    fn save(&mut self, name: &str) -> anyhow::Result<()> {
        ensure!(!name.is_empty(), "name a file: /save talk.md");
        let path = expand(name);
        let text = super::super::sessions::file(&path, self.session.row(), self.session.turns())?;
        if self.saved.as_ref() != Some(&path) {
            ensure!(!path.exists(), "{} is there already: choose another name", path.display());
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        self.note(&format!("{} in {}", turns(self.session.turns().len() as u64), path.display()));
        self.saved = Some(path);
        Ok(())
    }

    fn tokens(&self) -> anyhow::Result<()> {
        let next = self.session.tokens(&Request::default());
        let made = self.session.turns();
        let window = self.session.window();
        self.note(&format!("the next prompt has about {} tokens and what you write (window {window})", number(next)));
        let input: u64 = made.iter().filter_map(|turn| turn.input).sum();
        let output: u64 = made.iter().filter_map(|turn| turn.output).sum();
        let mut costs = std::collections::BTreeMap::<&str, u64>::new();
        for (micros, currency) in made.iter().filter_map(|turn| turn.cost_micros.zip(turn.currency.as_deref())) {
            *costs.entry(currency).or_default() += micros;
        }
        let costs: String = costs.into_iter().map(|(currency, micros)| format!(", {}", money(currency, micros))).collect();
        let count = turns(made.len() as u64);
        self.note(&format!("{count}: {} tokens in, {} out{costs}", number(input), number(output)));
        Ok(())
    }

    fn attach(&mut self, name: &str) -> anyhow::Result<()> {
        if !name.is_empty() {
            self.attached.push(read_file(&expand(name))?);
        }
        self.note(&attached(self.attached.len()));
        Ok(())
    }

    async fn title(&mut self, text: &str) -> anyhow::Result<()> {
        if !text.is_empty() {
            self.session.set_title(text).await?;
        }
        let named = title(self.session.title());
        self.note(if named.is_empty() { "no title yet" } else { &named });
        Ok(())
    }

    async fn renew(&mut self) -> anyhow::Result<()> {
        let start = Start {
            model: self.session.model().map(str::to_owned),
            system: self.session.system().map(str::to_owned),
            window: self.session.window().clone(),
            ..Start::default()
        };
        let wanted = if self.private { Wanted::Private } else { Wanted::New };
        let session = begin(self.global, &self.client, wanted, start).await?;
        self.change(session);
        self.pending = self.opening.clone();
        self.note(&format!("session {}", self.session.id()));
        Ok(())
    }

    fn change(&mut self, session: Session) {
        self.session = session;
        self.open = None;
        self.saved = None;
        self.pending.clear();
        // What is attached goes with the next question, whichever that is.
        if !self.attached.is_empty() {
            self.note(&attached(self.attached.len()));
        }
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let mut store = existing_store(self.global).await?;
        let found = store.sessions(&Sought { limit: LISTED, ..Sought::default() }).await?;
        store.close().await;
        let width = if self.typed { columns() } else { None };
        if found.is_empty() {
            self.note("no conversation is kept yet");
        }
        found.iter().for_each(|listed| self.note(&line(listed, width)));
        Ok(())
    }

    async fn open(&mut self, id: &str) -> anyhow::Result<()> {
        ensure!(!id.is_empty(), "name a session: /sessions lists them");
        let start = Start { model: Some(self.usual.clone()), ..Start::default() };
        let session = begin(self.global, &self.client, Wanted::Of(id.to_owned()), start).await?;
        self.change(session);
        self.private = false;
        self.note(&format!("session {}", self.session.id()));
        self.recall()
    }

    async fn window(&mut self, text: &str) -> anyhow::Result<()> {
        if !text.is_empty() {
            let window: Window = match text.parse() {
                Ok(window) => window,
                Err(wrong) => bail!("{wrong}"),
            };
            if let Window::Summary { model, .. } = &window {
                crate::conversation::check_model(&self.client, model)?;
            }
            self.session.set_window(window).await?;
        }
        self.note(&self.session.window().to_string());
        Ok(())
    }

    fn help(&self) -> anyhow::Result<()> {
        let usage = |name: &str, argument: &str| format!("/{name} {argument}").trim_end().to_owned();
        let widest = ORDERS.iter().map(|(_, name, argument, _)| usage(name, argument).width()).max().unwrap_or(0);
        let room = columns().unwrap_or(100).saturating_sub(widest + 3).max(16);
        for (_, name, argument, about) in ORDERS {
            for (number, part) in fold(about, room).iter().enumerate() {
                let lead = if number == 0 { usage(name, argument) } else { String::new() };
                self.note(&format!("{lead:widest$}  {part}"));
            }
        }
        self.note("A \\ at the end of a line goes on in the next, \"\"\" begins and ends a message of several.");
        Ok(())
    }
}

fn attached(count: usize) -> String {
    format!("{count} file{} with the next question", if count == 1 { "" } else { "s" })
}

/// The begin of a text.
fn short(text: &str) -> String {
    let line = title(text);
    crate::terminal::fit(&line, 40)
}

/// A path as it is typed: `~/` is the user's folder, and quotes around it are not part of it.
fn expand(name: &str) -> PathBuf {
    let bare = |mark: char| name.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    let name = bare('"').or_else(|| bare('\'')).unwrap_or(name);
    match (name.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(name),
    }
}
