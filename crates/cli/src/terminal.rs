//! What people see: lines, tables, colour where a terminal is.

use std::io::{self, IsTerminal, Write};

use unicode_width::UnicodeWidthStr;

/// Prints a line to stderr; when even that is gone, nobody is left to tell.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
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
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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
        }
    }
}

/// Prints rows in columns, aligned also with wide characters; the last column is cut or wrapped to the terminal.
pub(crate) fn print_table(rows: &[(Mark, Vec<String>)]) -> io::Result<()> {
    let colour = has_colour();
    let count = rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|(_, cells)| Some(cells.get(at)?.width())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let indent = 2 + widths.iter().take(count.saturating_sub(1)).map(|width| width + 2).sum::<usize>();
    let room = columns().map_or(usize::MAX, |columns| columns.saturating_sub(indent + 1).max(16));
    let mut out = io::stdout().lock();
    for (mark, cells) in rows {
        write!(out, "{} ", mark.text(colour))?;
        for (at, cell) in cells.iter().enumerate() {
            if at + 1 == count {
                for (number, line) in wrap(cell, room).iter().enumerate() {
                    let lead = if number == 0 { 0 } else { indent };
                    write!(out, "{:lead$}{line}", "")?;
                    if number + 1 < wrap(cell, room).len() {
                        writeln!(out)?;
                    }
                }
            } else {
                let pad = widths.get(at).copied().unwrap_or(0).saturating_sub(cell.width()) + 2;
                write!(out, "{cell}{:pad$}", "")?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Lines of at most `room` columns, broken at blanks; a longer word stays whole.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
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

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn wraps_at_blanks_by_columns() {
        assert_eq!(wrap("通义 千问 qwen", 5), ["通义", "千问", "qwen"]);
        assert_eq!(wrap("a b c", 3), ["a b", "c"]);
        assert_eq!(wrap("longword x", 4), ["longword", "x"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
