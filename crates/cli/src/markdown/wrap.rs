//! Words into lines of a terminal, as they come; what is written is never taken back.

use unicode_width::UnicodeWidthChar;

use super::style::{Run, Style};

/// The columns of a character that stands after another one.
pub(super) fn columns(before: Option<char>, c: char) -> usize {
    match c {
        // Asks for the form as a picture, which is two columns wide.
        '\u{fe0f}' => usize::from(before.is_some_and(|before| !before.is_ascii() && before.width() == Some(1))),
        c => c.width().unwrap_or(0),
    }
}

fn width(text: &str) -> usize {
    let mut before = None;
    text.chars().map(|c| columns(before.replace(c), c)).sum()
}

/// Does not stand at the begin of a line.
fn closes(c: char) -> bool {
    "，。、；：？！…—～·）」』】》〉〕］｝”’,.;:?!)]}%°".contains(c)
}

/// Does not stand at the end of a line.
fn opens(c: char) -> bool {
    "（「『【《〈〔［｛“‘([{".contains(c)
}

/// Whether a line may end between two characters that are no blanks.
fn may_break(a: char, b: char) -> bool {
    let wide = |c: char| c.width() == Some(2);
    (wide(a) || wide(b)) && !closes(b) && !opens(a) && columns(Some(a), b) > 0 && a != '\u{200d}'
}

/// Takes characters, gives lines. A word is held until it is whole.
#[derive(Debug)]
pub(super) struct Wrap {
    room: usize,
    /// The columns that the line has.
    used: usize,
    /// Before every line of the paragraph but the first.
    hang: Vec<Run>,
    blanks: Vec<Style>,
    word: Vec<(char, Style)>,
    word_columns: usize,
    /// As the terminal writes now.
    style: Style,
    out: String,
}

impl Wrap {
    pub(super) fn new(room: usize) -> Self {
        Wrap {
            room: room.max(2),
            used: 0,
            hang: Vec::new(),
            blanks: Vec::new(),
            word: Vec::new(),
            word_columns: 0,
            style: Style::PLAIN,
            out: String::new(),
        }
    }

    /// What there is to write now.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// Begins a paragraph: what stands before its first line and before all others. Too wide to leave room for anything,
    /// it is left out.
    pub(super) fn begin(&mut self, lead: &[Run], hang: Vec<Run>) {
        let room = self.room;
        let fits = |runs: &[Run]| runs.iter().map(|run| width(&run.text)).sum::<usize>() + 4 <= room;
        if fits(lead) {
            lead.iter().for_each(|run| self.write(run));
        }
        self.hang = if fits(&hang) { hang } else { Vec::new() };
    }

    pub(super) fn put(&mut self, c: char, style: Style) {
        if c == ' ' || c == '\t' {
            self.flush();
            self.blanks.push(style);
            return;
        }
        if self.word.last().is_some_and(|(last, _)| may_break(*last, c)) {
            self.flush();
        }
        let more = columns(self.word.last().map(|(last, _)| *last), c);
        let indent = self.indent();
        if self.word_columns + more > self.room.saturating_sub(indent) {
            self.flush();
        }
        self.word.push((c, style));
        self.word_columns += more;
    }

    pub(super) fn put_all(&mut self, run: &Run) {
        run.text.chars().for_each(|c| self.put(c, run.style));
    }

    /// Ends the paragraph.
    pub(super) fn end(&mut self) {
        self.flush();
        self.blanks.clear();
        self.hang.clear();
        self.break_line();
    }

    /// Writes a line that is not to be broken.
    pub(super) fn line(&mut self, runs: &[Run]) {
        runs.iter().for_each(|run| self.write(run));
        self.break_line();
    }

    /// Writes a line that has its styles, and ends it.
    pub(super) fn done(&mut self, line: &str) {
        self.switch(Style::PLAIN);
        self.out.push_str(line);
        self.break_line();
    }

    /// Writes without ending the line, and without breaking it.
    pub(super) fn raw(&mut self, run: &Run) {
        self.write(run);
    }

    fn indent(&self) -> usize {
        self.hang.iter().map(|run| width(&run.text)).sum()
    }

    /// Writes the word that is held: on this line if there is room for it, else on the next.
    fn flush(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let word = std::mem::take(&mut self.word);
        let columns = std::mem::take(&mut self.word_columns);
        let blanks = std::mem::take(&mut self.blanks);
        if self.used > self.indent() && self.used + blanks.len() + columns > self.room {
            self.break_line();
            let hang = std::mem::take(&mut self.hang);
            hang.iter().for_each(|run| self.write(run));
            self.hang = hang;
        } else if self.used + blanks.len() + columns <= self.room {
            blanks.into_iter().for_each(|style| self.write_char(' ', style, 1));
        }
        let mut before = None;
        for (c, style) in word {
            self.write_char(c, style, self::columns(before.replace(c), c));
        }
    }

    fn break_line(&mut self) {
        self.switch(Style::PLAIN);
        self.out.push('\n');
        self.used = 0;
    }

    fn write(&mut self, run: &Run) {
        let mut before = None;
        for c in run.text.chars() {
            self.write_char(c, run.style, columns(before.replace(c), c));
        }
    }

    fn write_char(&mut self, c: char, style: Style, columns: usize) {
        self.switch(style);
        self.out.push(c);
        self.used += columns;
    }

    fn switch(&mut self, style: Style) {
        if self.style != style {
            style.switch(&mut self.out);
            self.style = style;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(room: usize, text: &str, hang: &str) -> Vec<String> {
        let mut wrap = Wrap::new(room);
        wrap.begin(&[Run::new(hang, Style::PLAIN)], vec![Run::new(hang, Style::PLAIN)]);
        wrap.put_all(&Run::new(text, Style::PLAIN));
        wrap.end();
        wrap.take().lines().map(str::to_owned).collect()
    }

    #[test]
    fn breaks_at_blanks_and_between_wide_characters() {
        assert_eq!(wrap(8, "one two three", ""), ["one two", "three"]);
        assert_eq!(wrap(9, "one two three", "  "), ["  one two", "  three"]);
        assert_eq!(wrap(6, "通义千问很好", ""), ["通义千", "问很好"]);
        assert_eq!(wrap(7, "用 Rust 写的命令行", ""), ["用 Rust", "写的命", "令行"]);
        assert_eq!(wrap(5, "abcdefgh ij", ""), ["abcde", "fgh", "ij"]);
        assert_eq!(wrap(8, "a   b", ""), ["a   b"]);
    }

    #[test]
    fn punctuation_stays_with_its_word() {
        assert_eq!(wrap(6, "你好吗，好", ""), ["你好", "吗，好"]);
        assert_eq!(wrap(6, "你好（吗）", ""), ["你好", "（吗）"]);
        assert_eq!(wrap(6, "你好吗。", ""), ["你好", "吗。"]);
    }

    #[test]
    fn pictures_are_two_columns_wide() {
        assert_eq!(width("❤\u{fe0f}"), 2);
        assert_eq!(wrap(6, "🙂🙂🙂🙂", ""), ["🙂🙂🙂", "🙂"]);
        assert_eq!(wrap(4, "❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}", ""), ["❤\u{fe0f}❤\u{fe0f}", "❤\u{fe0f}"]);
    }

    #[test]
    fn a_style_ends_with_its_line() {
        let mut wrap = Wrap::new(5);
        wrap.begin(&[], Vec::new());
        wrap.put_all(&Run::new("ab cdef", Style::BOLD));
        wrap.end();
        assert_eq!(wrap.take(), "\x1b[0;1mab\x1b[0m\n\x1b[0;1mcdef\x1b[0m\n");
    }
}
