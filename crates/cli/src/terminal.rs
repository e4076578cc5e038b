//! What people see: lines, tables, colour where a terminal is.

use std::io::{self, IsTerminal, Write};

use unicode_width::UnicodeWidthStr;

use crate::column::{fold, pack};
use crate::markdown::harmless;

/// Prints a line to stderr, on a terminal in as many as it takes, and without anything that the terminal would obey: it may hold
/// a provider's own words. When even that is gone, nobody is left to tell.
pub(crate) fn complain(line: &str) {
    let mut err = io::stderr().lock();
    if !err.is_terminal() {
        let _ = writeln!(err, "{line}");
        return;
    }
    let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
    for line in harmless(line).split('\n').flat_map(|line| wrap_below(line, columns.max(LAST) - 1)) {
        let _ = writeln!(err, "{line}");
    }
}

/// Writes a line, on a terminal in as many as it takes, broken between words.
pub(crate) fn write_line(out: &mut impl Write, line: &str) -> io::Result<()> {
    let room = columns().map_or(usize::MAX, |columns| columns.max(LAST) - 1);
    wrap_below(line, room).iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// Lines of at most `room` columns that all begin where the first one does.
fn wrap_below(line: &str, room: usize) -> Vec<String> {
    if line.width() <= room {
        return vec![line.to_owned()];
    }
    let bare = line.trim_start_matches(' ');
    let indent = " ".repeat((line.len() - bare.len()).min(room / 2));
    wrap(bare, room - indent.len()).into_iter().map(|part| format!("{indent}{part}")).collect()
}

/// Prints a value as JSON to stdout.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Whether stdout shows colours.
pub(crate) fn has_colour() -> bool {
    let wanted = || std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    io::stdout().is_terminal() && wanted() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// How many columns there are; `None` in a pipe, where nothing is cut.
pub(crate) fn columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    told.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))).or(Some(80))
}

/// A mark before a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Good.
    Yes,
    /// Not there.
    No,
    /// Wrong.
    Bad,
    /// Nothing to mark.
    None,
}

impl Mark {
    fn text(self, colour: bool) -> &'static str {
        match (self, colour) {
            (Mark::Yes, true) => "\x1b[32m✓\x1b[0m",
            (Mark::No, true) => "\x1b[2m·\x1b[0m",
            (Mark::Bad, true) => "\x1b[31m✗\x1b[0m",
            (Mark::Yes, false) => "✓",
            (Mark::No, false) => "·",
            (Mark::Bad, false) => "✗",
            (Mark::None, _) => " ",
        }
    }
}

/// One field of a row.
#[derive(Clone)]
pub(crate) struct Cell {
    text: String,
    right: bool,
}

impl Cell {
    /// Text, which begins where its column does.
    pub(crate) fn left(text: String) -> Self {
        Self { text, right: false }
    }

    /// A figure, which ends where its column does.
    pub(crate) fn right(text: String) -> Self {
        Self { text, right: true }
    }

    fn write(&self, out: &mut impl Write, width: usize) -> io::Result<()> {
        let pad = width.saturating_sub(self.text.width());
        if self.right { write!(out, "{:pad$}{}  ", "", self.text) } else { write!(out, "{}{:pad$}  ", self.text, "") }
    }
}

/// Prints rows in columns, aligned also with wide characters; see [`print_rows`].
pub(crate) fn print_table(rows: &[(Mark, Vec<String>)]) -> io::Result<()> {
    let cells = |row: &Vec<String>| row.iter().cloned().map(Cell::left).collect();
    print_rows(None, &rows.iter().map(|(mark, row)| (*mark, cells(row))).collect::<Vec<_>>())
}

/// The least room for the last column.
const LAST: usize = 16;

/// Prints rows in columns under their heads, aligned also with wide characters; the last column is wrapped to the
/// terminal. In a terminal that is too narrow for the columns each row takes several lines.
pub(crate) fn print_rows(heads: Option<&[&str]>, rows: &[(Mark, Vec<Cell>)]) -> io::Result<()> {
    let count = rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
    let head = |at: usize| heads.and_then(|heads| heads.get(at)).copied().unwrap_or("");
    let widest = |at: usize| rows.iter().filter_map(|(_, cells)| Some(cells.get(at)?.text.width())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(|at| widest(at).max(head(at).width())).collect();
    let indent = 2 + widths.iter().take(count.saturating_sub(1)).map(|width| width + 2).sum::<usize>();
    let mut out = io::stdout().lock();
    match columns() {
        Some(columns) if indent + LAST > columns => {
            rows.iter().try_for_each(|(mark, cells)| stack(&mut out, *mark, cells, &head, columns))
        }
        columns => {
            let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent + 1).max(LAST));
            if heads.is_some() {
                let right = |at: usize| rows.iter().filter_map(|(_, cells)| cells.get(at)).any(|cell| cell.right);
                let cells: Vec<Cell> = (0..count).map(|at| Cell { text: head(at).to_owned(), right: right(at) }).collect();
                line(&mut out, Mark::None, &cells, (&widths, indent, room))?;
            }
            rows.iter().try_for_each(|(mark, cells)| line(&mut out, *mark, cells, (&widths, indent, room)))
        }
    }
}

/// A row in columns. Nothing stands behind its last character.
fn line(out: &mut impl Write, mark: Mark, cells: &[Cell], (widths, indent, room): (&[usize], usize, usize)) -> io::Result<()> {
    let mut text: Vec<u8> = Vec::new();
    write!(text, "{} ", mark.text(has_colour()))?;
    for (at, cell) in cells.iter().enumerate() {
        if at + 1 < widths.len() {
            cell.write(&mut text, widths.get(at).copied().unwrap_or(0))?;
            continue;
        }
        for (number, part) in wrap(&cell.text, room).iter().enumerate() {
            let lead = if number == 0 { 0 } else { indent };
            write!(text, "{}{:lead$}{part}", if number == 0 { "" } else { "\n" }, "")?;
        }
    }
    out.write_all(text.trim_ascii_end())?;
    writeln!(out)
}

/// A row in lines: what it is, its figures with their names, the rest.
fn stack<'h>(
    out: &mut impl Write,
    mark: Mark,
    cells: &[Cell],
    head: &dyn Fn(usize) -> &'h str,
    columns: usize,
) -> io::Result<()> {
    let (Some(first), Some(last)) = (cells.first(), cells.last()) else { return Ok(()) };
    writeln!(out, "{} {}", mark.text(has_colour()), first.text)?;
    let named = cells.iter().enumerate().skip(1).take(cells.len().saturating_sub(2)).filter(|(_, cell)| !cell.text.is_empty());
    let figures: Vec<String> = named.map(|(at, cell)| format!("{} {}", head(at), cell.text).trim_start().to_owned()).collect();
    let room = columns.saturating_sub(5).max(LAST);
    let figures = pack(figures.iter().map(String::as_str), room);
    let rest = if last.text.is_empty() { Vec::new() } else { wrap(&last.text, room) };
    figures.iter().chain(&rest).try_for_each(|part| writeln!(out, "    {part}"))?;
    Ok(())
}

/// Lines of at most `room` columns, broken at blanks; a longer word stays whole unless it may be broken anywhere.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let is_wide = |word: &str| word.width() > word.chars().count();
    let pieces = |word: &str| if is_wide(word) { fold(word, room) } else { vec![word.to_owned()] };
    for word in text.split(' ').flat_map(pieces) {
        let word = word.as_str();
        let fits = lines.last().is_none_or(|line| line.is_empty() || line.width() + 1 + word.width() <= room);
        match lines.last_mut() {
            Some(line) if fits => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// As much of a line as fits, with `…` where something is left out.
pub(crate) fn fit(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
        used <= room
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{fit, wrap};

    #[test]
    fn cuts_by_columns() {
        assert_eq!(fit("通义千问", 8), "通义千问");
        assert_eq!(fit("通义千问", 7), "通义千…");
        assert_eq!(fit("abc", 2), "a…");
    }

    #[test]
    fn wraps_at_blanks_by_columns() {
        assert_eq!(wrap("通义 千问 qwen", 5), ["通义", "千问", "qwen"]);
        assert_eq!(wrap("a b c", 3), ["a b", "c"]);
        assert_eq!(wrap("longword x", 4), ["longword", "x"]);
        assert_eq!(wrap("a 通义千问很好", 6), ["a", "通义千", "问很好"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
