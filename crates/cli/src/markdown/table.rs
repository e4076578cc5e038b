//! Tables: rows of cells that stand below one another.

use unicode_width::UnicodeWidthStr;

use super::inline::runs;
use super::style::{Run, Style};
use super::wrap::Wrap;

const GAP: &str = " │ ";
const GAP_COLUMNS: usize = 3;
/// A column is not made narrower than this.
const LEAST: usize = 6;

#[derive(Clone, Copy, Default)]
enum Side {
    #[default]
    Left,
    Right,
    Middle,
}

/// Whether a line is the one below a table's head: `|---|:-:|`.
pub(super) fn is_rule(line: &str) -> bool {
    let cells = cells(line);
    !cells.is_empty() && cells.iter().all(|cell| cell.contains('-') && cell.chars().all(|c| c == '-' || c == ':'))
}

/// The cells of a row; a `|` in code or after a backslash is one of their characters.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut escaped, mut in_code) = (false, false);
    for c in line.strip_prefix('|').unwrap_or(line).chars() {
        match c {
            '|' if escaped => {
                cell.pop();
                cell.push('|');
            }
            '|' if !in_code => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            c => {
                in_code ^= c == '`';
                cell.push(c);
            }
        }
        escaped = c == '\\' && !escaped;
    }
    let rest = cell.trim();
    if !rest.is_empty() {
        cells.push(rest.to_owned());
    }
    cells
}

fn side(cell: &str) -> Side {
    match (cell.starts_with(':'), cell.ends_with(':')) {
        (true, true) => Side::Middle,
        (false, true) => Side::Right,
        _ => Side::Left,
    }
}

/// A piece of a cell: as it is written, and its columns.
struct Line(String, usize);

/// The lines of a table: head, the line below it, rows.
pub(super) fn render(rows: &[String], room: usize) -> String {
    let (Some(head), Some(rule)) = (rows.first(), rows.get(1)) else { return String::new() };
    let head = cells(head);
    let sides: Vec<Side> = cells(rule).iter().map(|cell| side(cell)).collect();
    let body: Vec<Vec<String>> = rows.iter().skip(2).map(|row| cells(row)).collect();
    let count = head.len().max(body.iter().map(Vec::len).max().unwrap_or(0));
    let natural = |at: usize| {
        let texts = std::iter::once(&head).chain(&body).filter_map(|row| row.get(at));
        texts.map(|text| plain(text).width()).max().unwrap_or(0).max(1)
    };
    let mut widths: Vec<usize> = (0..count).map(natural).collect();
    let gaps = GAP_COLUMNS * count.saturating_sub(1);
    if !shrink(&mut widths, room.saturating_sub(gaps)) {
        return stack(&head, &body, room);
    }
    let mut out = String::new();
    write_row(&mut out, &head, &widths, &sides, Style::BOLD);
    let line = widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join("─┼─");
    out.push_str(&format!("\x1b[0;2m{line}\x1b[0m\n"));
    body.iter().for_each(|row| write_row(&mut out, row, &widths, &sides, Style::PLAIN));
    out
}

/// A cell's text without its marks.
fn plain(cell: &str) -> String {
    runs(cell, Style::PLAIN).into_iter().map(|run| run.text).collect()
}

/// Takes columns from the widest until all fit; false when they cannot.
fn shrink(widths: &mut [usize], room: usize) -> bool {
    loop {
        let total: usize = widths.iter().sum();
        if total <= room {
            return true;
        }
        match widths.iter_mut().max() {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => return false,
        }
    }
}

/// A cell in lines of at most `room` columns.
fn fold(cell: &str, room: usize, style: Style) -> Vec<Line> {
    let mut wrap = Wrap::new(room);
    wrap.begin(&[], Vec::new());
    runs(cell, style).iter().for_each(|run| wrap.put_all(run));
    wrap.end();
    let text = wrap.take();
    text.lines().map(|line| Line(line.to_owned(), crate::column::visible(line))).collect()
}

fn write_row(out: &mut String, row: &[String], widths: &[usize], sides: &[Side], style: Style) {
    let folded: Vec<Vec<Line>> =
        widths.iter().enumerate().map(|(at, width)| fold(row.get(at).map_or("", String::as_str), *width, style)).collect();
    let height = folded.iter().map(Vec::len).max().unwrap_or(0);
    for number in 0..height {
        let mut line = String::new();
        for (at, (cell, width)) in folded.iter().zip(widths).enumerate() {
            if at > 0 {
                line.push_str("\x1b[0;2m");
                line.push_str(GAP);
                line.push_str("\x1b[0m");
            }
            let (text, columns) = cell.get(number).map_or(("", 0), |Line(text, columns)| (text.as_str(), *columns));
            let free = width.saturating_sub(columns);
            let left = match sides.get(at).copied().unwrap_or_default() {
                Side::Left => 0,
                Side::Right => free,
                Side::Middle => free / 2,
            };
            line.push_str(&" ".repeat(left));
            line.push_str(text);
            line.push_str(&" ".repeat(free - left));
        }
        out.push_str(line.trim_end_matches(' '));
        out.push('\n');
    }
}

/// Too narrow for columns: each row as lines of head and cell.
fn stack(head: &[String], body: &[Vec<String>], room: usize) -> String {
    let mut wrap = Wrap::new(room);
    for (number, row) in body.iter().enumerate() {
        if number > 0 {
            wrap.line(&[Run::new("─".repeat(room.min(20)), Style::DIM)]);
        }
        for (at, cell) in row.iter().enumerate() {
            wrap.begin(&[], vec![Run::new("  ", Style::PLAIN)]);
            if let Some(name) = head.get(at).filter(|name| !name.is_empty()) {
                runs(name, Style::BOLD).iter().for_each(|run| wrap.put_all(run));
                wrap.put_all(&Run::new(": ", Style::BOLD));
            }
            runs(cell, Style::PLAIN).iter().for_each(|run| wrap.put_all(run));
            wrap.end();
        }
    }
    wrap.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(rows: &[&str], room: usize) -> Vec<String> {
        let rows: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
        render(&rows, room).lines().map(strip).collect()
    }

    fn strip(line: &str) -> String {
        let mut parts = line.split('\x1b');
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |line, part| line + part.split_once('m').unwrap().1)
    }

    #[test]
    fn columns_stand_below_one_another_also_in_chinese() {
        let table = ["| 模型 | price |", "|:--|--:|", "| 通义千问 | **1** |", "| a | 12.50 |"];
        assert_eq!(bare(&table, 40), ["模型     │ price", "─────────┼──────", "通义千问 │     1", "a        │ 12.50"]);
    }

    #[test]
    fn cells_are_folded_where_there_is_no_room() {
        let table = ["| a | b |", "|---|---|", "| one two three | 通义千问很好 |"];
        assert_eq!(bare(&table, 17), ["a       │ b", "────────┼────────", "one two │ 通义千", "three   │ 问很好"]);
        assert_eq!(bare(&table, 8), ["a: one", "  two", "  three", "b: 通义", "  千问很", "  好"]);
    }

    #[test]
    fn bars_in_code_and_escaped_ones_are_characters() {
        assert_eq!(cells("| `a|b` | c\\|d | |"), ["`a|b`", "c|d", ""]);
        assert!(is_rule("| --- | :-: |") && !is_rule("| a | - |") && !is_rule("|"));
    }
}
