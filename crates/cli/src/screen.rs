//! How an answer is shown while it comes.

use std::io::{self, IsTerminal, Write};

use trunkline::Piece;

use crate::Global;
use crate::markdown::{Markdown, harmless};
use crate::terminal::{columns, has_colour};

const THINKING: &str = "thinking…";

/// Writes one answer.
pub(crate) struct Screen {
    face: Face,
    /// Whether the model's thinking is told, or only that it thinks.
    verbose: bool,
    terminal: bool,
    /// What is at the end of standard output.
    end: End,
}

enum Face {
    /// A terminal with colours: Markdown is shown.
    Shown(Box<Markdown>),
    /// One without: the text as it is, but for what a terminal would obey.
    Plain,
    /// A pipe: the text as it is.
    Raw,
    /// JSON follows at the end.
    Silent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A whole line, or nothing.
    Line,
    /// Text.
    Text,
    /// The mark that the model thinks.
    Mark,
    /// What it thinks, on standard error.
    Thought,
}

impl Screen {
    pub(crate) fn new(global: &Global) -> Self {
        let terminal = io::stdout().is_terminal();
        let face = match (global.json, terminal, columns()) {
            (true, ..) => Face::Silent,
            (_, true, Some(columns)) if has_colour() => Face::Shown(Box::new(Markdown::new(columns))),
            (_, true, _) => Face::Plain,
            _ => Face::Raw,
        };
        Screen { face, verbose: global.verbose, terminal: terminal && !global.json, end: End::Line }
    }

    /// Shows a piece.
    ///
    /// # Errors
    /// When standard output is gone.
    pub(crate) fn show(&mut self, piece: &Piece) -> io::Result<()> {
        match piece {
            Piece::Text(text) | Piece::Refusal(text) => self.text(text),
            Piece::Reasoning(text) => self.thought(text),
            Piece::ToolCall { name, arguments, .. } => self.text(&format!("{name}({arguments})\n")),
            Piece::Finish(_) | Piece::Usage(_) => Ok(()),
        }
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let shown = match &mut self.face {
            Face::Shown(markdown) => markdown.push(text),
            Face::Plain => harmless(text),
            Face::Raw => text.to_owned(),
            Face::Silent => return Ok(()),
        };
        self.write(&shown)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.turn_to_text()?;
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        self.end = if text.ends_with('\n') { End::Line } else { End::Text };
        Ok(())
    }

    /// Ends what stands before the text.
    fn turn_to_text(&mut self) -> io::Result<()> {
        match self.end {
            End::Mark => io::stdout().lock().write_all(b"\r\x1b[K")?,
            End::Thought => writeln!(io::stderr().lock(), "\n")?,
            End::Line | End::Text => return Ok(()),
        }
        self.end = End::Line;
        Ok(())
    }

    fn thought(&mut self, text: &str) -> io::Result<()> {
        let colour = has_colour();
        let dim = |text: &str| if colour { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() };
        if self.verbose && !matches!(self.face, Face::Silent) {
            let text = if io::stderr().is_terminal() { harmless(text) } else { text.to_owned() };
            write!(io::stderr().lock(), "{}", dim(&text))?;
            self.end = End::Thought;
        } else if self.terminal && self.end == End::Line {
            let mut out = io::stdout().lock();
            write!(out, "{}", dim(THINKING))?;
            out.flush()?;
            self.end = End::Mark;
        }
        Ok(())
    }

    /// Nothing more comes: ends the last line.
    ///
    /// # Errors
    /// When standard output is gone.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if let Face::Shown(markdown) = &mut self.face {
            let rest = markdown.finish();
            self.write(&rest)?;
        }
        self.turn_to_text()?;
        if self.end == End::Text {
            writeln!(io::stdout().lock())?;
        }
        Ok(())
    }
}
