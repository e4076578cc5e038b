//! Markdown on a terminal, while it comes: headings, bold, italic, code, lists, quotations, tables.
//!
//! Text in pieces goes in, what the terminal is to write comes out; nothing that was written is taken back, so nothing
//! flickers. A word is held until it is whole, a mark until its other half has come or cannot come any more, a line of code
//! until its end, and a table until it is complete, for only then the columns' widths are known. How the text is cut into
//! pieces makes no difference. No character that a terminal would obey comes through.

mod inline;
mod line;
mod style;
mod table;
mod wrap;

use line::{Fence, Start};
use style::{Run, Style};
use wrap::Wrap;

/// A longer line of code, or of what is not known yet, is written before its end.
const LINE: usize = 4096;
/// A larger table is written as it is.
const TABLE: usize = 128 * 1024;
/// A quotation within so many others is their text.
const QUOTES: usize = 8;

/// Writes Markdown for a terminal.
#[derive(Debug)]
pub(crate) struct Markdown {
    wrap: Wrap,
    room: usize,
    state: State,
    /// What is held of the line.
    held: String,
    /// The character before it.
    before: Option<char>,
    /// The style of the line's text.
    base: Style,
    /// How many quotations the line is in.
    quotes: usize,
    /// What encloses the code that the lines are.
    code: Option<Fence>,
    table: Vec<String>,
    /// Of the table.
    table_quotes: usize,
    /// An empty line is due before what comes next.
    gap: bool,
    begun: bool,
}

/// What is done with the characters of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is not known yet what the line is.
    Open,
    /// They are text.
    Text,
    /// They are held to the end of the line.
    Whole,
    /// They are written as they come: a very long line.
    Raw,
}

impl Markdown {
    /// For a terminal of so many columns.
    pub(crate) fn new(columns: usize) -> Self {
        // Not every terminal waits with its own line break when the last column is full.
        let room = columns.saturating_sub(1).max(10);
        Markdown {
            wrap: Wrap::new(room),
            room,
            state: State::Open,
            held: String::new(),
            before: None,
            base: Style::PLAIN,
            quotes: 0,
            code: None,
            table: Vec::new(),
            table_quotes: 0,
            gap: false,
            begun: false,
        }
    }

    /// Takes more of the text; gives what is to be written now.
    pub(crate) fn push(&mut self, text: &str) -> String {
        for c in text.chars() {
            match c {
                '\r' => {}
                '\n' => self.end_line(),
                '\t' => self.put('\t'),
                c if is_harmful(c) => self.put('\u{fffd}'),
                c => self.put(c),
            }
        }
        self.wrap.take()
    }

    /// The text is over; gives the rest, with the end of its last line.
    pub(crate) fn finish(&mut self) -> String {
        if self.state != State::Open || !self.held.is_empty() {
            self.end_line();
        }
        self.end_table();
        self.wrap.take()
    }

    fn put(&mut self, c: char) {
        if self.state == State::Raw {
            let style = if self.code.is_some() { Style::CODE } else { Style::PLAIN };
            self.wrap.raw(&Run::new(c, style));
            return;
        }
        self.held.push(c);
        match self.state {
            State::Text => self.settle(false),
            State::Open if self.code.is_none() => self.decide(false),
            _ => {}
        }
        if matches!(self.state, State::Open | State::Whole) && self.held.len() > LINE {
            self.give_up();
        }
    }

    /// The line is too long to be held.
    fn give_up(&mut self) {
        self.end_table();
        self.space();
        let text = std::mem::take(&mut self.held);
        let style = if self.code.is_some() { Style::CODE } else { Style::PLAIN };
        let lead = bars(self.quotes);
        self.wrap.begin(&lead, Vec::new());
        self.wrap.raw(&Run::new(text, style));
        self.state = State::Raw;
    }

    fn end_line(&mut self) {
        match self.state {
            State::Raw => self.wrap.line(&[]),
            _ if self.code.is_some() => self.end_code_line(),
            State::Whole => {
                let row = std::mem::take(&mut self.held);
                self.take_row(row);
            }
            State::Open => {
                self.decide(true);
                match self.state {
                    State::Text => self.end_text(),
                    State::Whole => {
                        let row = std::mem::take(&mut self.held);
                        self.take_row(row);
                    }
                    _ => {}
                }
            }
            State::Text => self.end_text(),
        }
        self.state = State::Open;
        self.held.clear();
        self.before = None;
        if self.code.is_none() {
            self.quotes = 0;
        }
    }

    fn end_text(&mut self) {
        self.settle(true);
        self.wrap.end();
    }

    /// Finds out what the line is, if that can be said.
    fn decide(&mut self, last: bool) {
        while let Some(start) = line::start(&self.held, last) {
            match start {
                Start::Quote(bytes) if self.quotes < QUOTES => {
                    self.quotes += 1;
                    self.drop_held(bytes);
                }
                Start::Quote(_) => return self.begin_text(0, 0, &[], Style::PLAIN),
                Start::Blank => return self.blank(),
                Start::Row => {
                    self.state = State::Whole;
                    return;
                }
                Start::Fence(fence) => return self.begin_code(fence),
                Start::Rule => return self.rule(),
                Start::Heading(level, bytes) => {
                    let style = Style { underline: level == 1, ..Style::BOLD };
                    return self.begin_text(bytes, 0, &[], style);
                }
                Start::Item(indent, mark, bytes) => {
                    let mark = if mark.len() == 1 { "•".to_owned() } else { mark };
                    return self.begin_text(bytes, indent, &[Run::new(format!("{mark} "), Style::PLAIN)], Style::PLAIN);
                }
                Start::Text(columns, bytes) => return self.begin_text(bytes, columns, &[], Style::PLAIN),
            }
        }
    }

    fn drop_held(&mut self, bytes: usize) {
        self.held = self.held.get(bytes..).unwrap_or_default().to_owned();
    }

    /// Text begins, after an indent and a mark; its further lines begin where it does.
    fn begin_text(&mut self, bytes: usize, indent: usize, mark: &[Run], base: Style) {
        self.end_table();
        self.space();
        let mut lead = bars(self.quotes);
        lead.push(Run::new(" ".repeat(indent.min(self.room / 3)), Style::PLAIN));
        let mut hang = lead.clone();
        hang.extend(mark.iter().map(|run| Run::new(" ".repeat(run.text.chars().count()), Style::PLAIN)));
        lead.extend_from_slice(mark);
        self.wrap.begin(&lead, hang);
        self.base = base;
        self.drop_held(bytes);
        self.state = State::Text;
        self.settle(false);
    }

    /// Writes what is settled of the text that is held.
    fn settle(&mut self, last: bool) {
        loop {
            let full = self.held.len() > inline::HOLD;
            let Some((bytes, runs)) = inline::take(&self.held, self.before, self.base, last || full) else { return };
            runs.iter().for_each(|run| self.wrap.put_all(run));
            self.before = self.held.get(..bytes).and_then(|taken| taken.chars().next_back()).or(self.before);
            self.drop_held(bytes);
        }
    }

    /// Writes the empty line that is due.
    fn space(&mut self) {
        if std::mem::take(&mut self.gap) && self.begun {
            self.wrap.line(&[]);
        }
        self.begun = true;
    }

    fn blank(&mut self) {
        self.end_table();
        if self.quotes > 0 {
            self.space();
            let bars = bars(self.quotes);
            self.wrap.line(&bars);
        } else {
            self.gap = true;
        }
    }

    fn rule(&mut self) {
        self.end_table();
        self.space();
        let mut line = bars(self.quotes);
        line.push(Run::new("─".repeat(self.room.saturating_sub(2 * self.quotes).clamp(1, 40)), Style::DIM));
        self.wrap.line(&line);
    }

    fn begin_code(&mut self, fence: Fence) {
        self.end_table();
        self.space();
        let mut line = bars(self.quotes);
        line.push(Run::new(expand(&self.held), Style::DIM));
        self.wrap.line(&line);
        self.code = Some(fence);
    }

    /// A line of code, or the one that ends it. Lines are not broken: who copies them wants them whole.
    fn end_code_line(&mut self) {
        let Some(fence) = &self.code else { return };
        let mut text = self.held.as_str();
        for _ in 0..self.quotes {
            let bare = text.trim_start();
            text = bare.strip_prefix("> ").or_else(|| bare.strip_prefix('>')).unwrap_or(text);
        }
        let ends = fence.ends(text);
        let style = if ends { Style::DIM } else { Style::CODE };
        let shown = Run::new(expand(text), style);
        let mut line = bars(self.quotes);
        line.push(shown);
        self.wrap.line(&line);
        if ends {
            self.code = None;
        }
    }

    /// A line that may be a row of a table: the second one decides.
    fn take_row(&mut self, row: String) {
        let size: usize = self.table.iter().map(String::len).sum();
        if size > TABLE || self.quotes != self.table_quotes || (self.table.len() == 1 && !table::is_rule(&row)) {
            self.end_table();
        }
        self.table_quotes = self.quotes;
        self.table.push(row);
    }

    /// Writes the table, or the lines that turned out to be none.
    fn end_table(&mut self) {
        let rows = std::mem::take(&mut self.table);
        if rows.is_empty() {
            return;
        }
        self.space();
        let lead = bars(self.table_quotes);
        let room = self.room.saturating_sub(2 * self.table_quotes);
        if rows.get(1).is_some_and(|row| table::is_rule(row)) {
            for line in table::render(&rows, room).lines() {
                self.wrap.begin(&lead, Vec::new());
                self.wrap.done(line);
            }
            return;
        }
        for row in rows {
            self.wrap.begin(&lead, lead.clone());
            inline::runs(&row, Style::PLAIN).iter().for_each(|run| self.wrap.put_all(run));
            self.wrap.end();
        }
    }
}

/// What stands before a line that is quoted so often.
fn bars(quotes: usize) -> Vec<Run> {
    (0..quotes).map(|_| Run::new("│ ", Style::DIM)).collect()
}

/// Tabs as blanks: a terminal's own depend on where the line begins.
fn expand(text: &str) -> String {
    text.replace('\t', "    ")
}

/// What a terminal would obey, what turns the order of letters round, and what stands between them unseen. A joiner within
/// an emoji or a word is none.
pub(crate) fn is_harmful(c: char) -> bool {
    let is_unseen = matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e001f}');
    let is_turn = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_unseen || is_turn
}

/// Text for a terminal that is to show it as it is: what is harmful is made visible.
pub(crate) fn harmless(text: &str) -> String {
    let harmless = |c: char| if is_harmful(c) && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    text.chars().filter(|c| *c != '\r').map(harmless).collect()
}

#[cfg(test)]
mod tests;
