//! Where messages come from: somebody who types, or a pipe. A thread of its own waits for them, so that connections are
//! looked after meanwhile.

use std::collections::HashSet;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, Config, Context, Editor, Helper};
use tokio::sync::oneshot;

use super::memory::Memory;
use super::message::{Lines, close, ends_open, is_open};
use super::order::ORDERS;
use crate::terminal::has_colour;

/// What came.
pub(super) enum Input {
    /// A message; may be a command.
    Message(String),
    /// Ctrl-C; whether there was nothing to throw away.
    Interrupted { empty: bool },
    /// Ctrl-D, or the end of the pipe.
    End,
    /// A line that cannot be read; others may follow.
    Unreadable(String),
    /// A signal says to leave.
    Stopped,
    /// Standard input cannot be read.
    Failed(String),
}

/// The waiting thread.
pub(super) struct Reader {
    ask: Sender<oneshot::Sender<Input>>,
}

impl Reader {
    /// Reads from the terminal if there is one, else from the pipe.
    pub(super) fn start(memory: Option<PathBuf>) -> Self {
        let (ask, asked) = channel();
        std::thread::spawn(move || match Typed::new(Memory::at(memory)).filter(|_| is_typed()) {
            Some(typed) => answer(&asked, typed),
            None => answer(&asked, Piped::default()),
        });
        Reader { ask }
    }

    /// The next message. To be asked again only after it came.
    pub(super) async fn next(&self) -> Input {
        let (send, receive) = oneshot::channel();
        match self.ask.send(send) {
            Ok(()) => receive.await.unwrap_or(Input::End),
            Err(_) => Input::End,
        }
    }
}

/// Whether somebody types here and sees it.
pub(super) fn is_typed() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

trait Read {
    fn next(&mut self) -> Input;
}

fn answer(asked: &Receiver<oneshot::Sender<Input>>, mut read: impl Read) {
    while let Ok(reply) = asked.recv() {
        if reply.send(read.next()).is_err() {
            return;
        }
    }
}

/// Lines of a pipe, or of a terminal whose output goes elsewhere.
#[derive(Default)]
struct Piped {
    open: Lines,
    /// The last one that was read, from 1.
    line: usize,
    over: bool,
}

impl Read for Piped {
    fn next(&mut self) -> Input {
        let mut bytes = Vec::new();
        while !self.over {
            bytes.clear();
            match std::io::stdin().lock().read_until(b'\n', &mut bytes) {
                Ok(0) => self.over = true,
                Ok(_) => {
                    self.line += 1;
                    let Ok(line) = std::str::from_utf8(&bytes) else {
                        return Input::Unreadable(format!("line {} is no text in UTF-8: it is left out", self.line));
                    };
                    // Some programs put a mark before a text.
                    let line = if self.line == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
                    if let Some(message) = self.open.push(line.trim_end_matches(['\r', '\n'])) {
                        return Input::Message(message);
                    }
                }
                Err(error) => return Input::Failed(format!("cannot read standard input: {error}")),
            }
        }
        self.open.finish().map_or(Input::End, Input::Message)
    }
}

/// A line editor.
struct Typed {
    editor: Editor<Keys, MemHistory>,
    memory: Memory,
    prompt: (String, String),
}

impl Typed {
    fn new(memory: Memory) -> Option<Self> {
        let colour = if has_colour() { ColorMode::Enabled } else { ColorMode::Disabled };
        let config = Config::builder().color_mode(colour).bracketed_paste(true).auto_add_history(false).build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history).ok()?;
        editor.set_helper(Some(Keys::default()));
        for message in memory.read() {
            let _ = editor.add_history_entry(message);
        }
        let styled = if has_colour() { "\x1b[1;32m>\x1b[0m " } else { "> " };
        Some(Typed { editor, memory, prompt: ("> ".to_owned(), styled.to_owned()) })
    }
}

impl Read for Typed {
    fn next(&mut self) -> Input {
        let prompt = (self.prompt.0.as_str(), self.prompt.1.as_str());
        loop {
            let read = self.editor.readline(&prompt);
            let keys = self.editor.helper().map(Keys::take);
            let (empty, breaks) = keys.unwrap_or_default();
            match read {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => {
                    let message = close(&text, |before| breaks.contains(before));
                    if !message.trim().is_empty() {
                        if self.editor.add_history_entry(message.as_str()).unwrap_or(false) {
                            self.memory.add(&message);
                        }
                        return Input::Message(message);
                    }
                }
                Err(ReadlineError::Interrupted) => return Input::Interrupted { empty },
                Err(ReadlineError::Eof) => return Input::End,
                Err(ReadlineError::Signal(_)) => {}
                Err(error) => return Input::Failed(format!("cannot read the terminal: {error}")),
            }
        }
    }
}

/// What the editor asks while a message is typed.
#[derive(Default)]
struct Keys {
    empty: Arc<AtomicBool>,
    /// The texts that ended with a mark that they go on when Enter was pressed.
    breaks: std::cell::RefCell<HashSet<String>>,
}

impl Keys {
    /// Whether nothing is typed, and where it was said that more follows; then forgets.
    fn take(&self) -> (bool, HashSet<String>) {
        (self.empty.swap(true, Ordering::Relaxed), self.breaks.take())
    }
}

impl Validator for Keys {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        if !is_open(text) {
            return Ok(ValidationResult::Valid(None));
        }
        if ends_open(text) {
            self.breaks.borrow_mut().insert(text.to_owned());
        }
        Ok(ValidationResult::Incomplete)
    }
}

impl Hinter for Keys {
    type Hint = String;

    /// What may stand behind a command.
    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<String> {
        self.empty.store(line.is_empty(), Ordering::Relaxed);
        let word = line.strip_prefix('/').filter(|_| at == line.len())?;
        let (_, _, argument, _) = ORDERS.iter().find(|(_, name, ..)| *name == word)?;
        (!argument.is_empty()).then(|| format!(" {argument}"))
    }
}

impl Completer for Keys {
    type Candidate = String;

    /// The commands, and after /attach and /save the files.
    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..at).unwrap_or_default();
        let Some(word) = typed.strip_prefix('/') else { return Ok((0, Vec::new())) };
        if let Some((order, path)) = word.split_once(' ') {
            let found = if matches!(order, "attach" | "save") { files(path) } else { Vec::new() };
            return Ok((order.len() + 2, found));
        }
        let names = ORDERS.iter().filter(|(_, name, ..)| name.starts_with(word));
        let with_blank = |(_, name, argument, _): &(_, &str, &str, _)| {
            if argument.is_empty() { (*name).to_owned() } else { format!("{name} ") }
        };
        Ok((1, names.map(with_blank).collect()))
    }
}

/// The files and folders whose path begins like this.
fn files(begin: &str) -> Vec<String> {
    let (folder, name) = begin.rsplit_once('/').map_or(("", begin), |(folder, name)| (folder, name));
    let lead = begin.strip_suffix(name).unwrap_or_default();
    let place = if lead.is_empty() {
        "."
    } else if folder.is_empty() {
        "/"
    } else {
        folder
    };
    let Ok(entries) = std::fs::read_dir(place) else { return Vec::new() };
    let hidden = name.starts_with('.');
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let found = entry.file_name().into_string().ok().filter(|found| found.starts_with(name))?;
            let shown = hidden || !found.starts_with('.');
            let end = if entry.path().is_dir() { "/" } else { "" };
            shown.then(|| format!("{lead}{found}{end}"))
        })
        .take(500)
        .collect();
    found.sort();
    found
}

impl Highlighter for Keys {
    fn highlight_hint<'h>(&self, hint: &'h str) -> std::borrow::Cow<'h, str> {
        format!("\x1b[2m{hint}\x1b[0m").into()
    }
}

impl Helper for Keys {}
