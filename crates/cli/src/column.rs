//! Texts side by side on a terminal, in columns that hold also wide characters.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Lines of at most `room` columns: broken at blanks where there are some, between wide characters, else anywhere. What a
/// terminal would obey is made visible.
pub(crate) fn fold(text: &str, room: usize) -> Vec<String> {
    text.trim_end().split('\n').flat_map(|line| fold_line(line.trim_end_matches('\r'), room.max(2))).collect()
}

fn fold_line(line: &str, room: usize) -> Vec<String> {
    let (mut lines, mut now, mut used) = (Vec::new(), String::new(), 0);
    // Where the line may be broken: the bytes before, and their columns.
    let mut last: Option<(usize, usize)> = None;
    for c in line.chars() {
        let c = match c {
            '\t' => ' ',
            c if crate::markdown::is_harmful(c) => '\u{fffd}',
            c => c,
        };
        let width = c.width().unwrap_or(0);
        if used + width > room {
            let (at, columns) = last.take().unwrap_or((now.len(), used));
            let rest = now.split_off(at.min(now.len()));
            lines.push(now.trim_end().to_owned());
            now = rest.trim_start().to_owned();
            used = if columns >= used { 0 } else { now.width() };
            if c == ' ' && now.is_empty() {
                continue;
            }
        }
        now.push(c);
        used += width;
        if c == ' ' || width > 1 {
            last = Some((now.len(), used));
        }
    }
    lines.push(now);
    lines
}

/// Lines of at most `room` columns in which figures stand with two blanks between them; none is broken that fits into a line.
pub(crate) fn pack<'t>(figures: impl IntoIterator<Item = &'t str>, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for figure in figures {
        match lines.last_mut() {
            Some(line) if line.width() + 2 + figure.width() <= room => {
                line.push_str("  ");
                line.push_str(figure);
            }
            _ => lines.extend(fold(figure, room)),
        }
    }
    lines
}

/// Blocks beside each other, `room` columns each, with a gap between them.
pub(crate) fn beside(blocks: &[Vec<String>], room: usize, gap: &str) -> Vec<String> {
    let height = blocks.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| {
        let cells = blocks.iter().map(|block| {
            let text = block.get(at).map_or("", String::as_str);
            format!("{text}{:pad$}", "", pad = room.saturating_sub(visible(text)))
        });
        cells.collect::<Vec<_>>().join(gap).trim_end().to_owned()
    };
    (0..height).map(row).collect()
}

/// The columns of a text whose colours take none.
pub(crate) fn visible(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let first = parts.next().map_or(0, UnicodeWidthStr::width);
    first + parts.map(|part| part.split_once('m').map_or(0, |(_, rest)| rest.width())).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::{beside, fold, pack};

    #[test]
    fn figures_are_not_broken() {
        assert_eq!(pack(["p50 2 ms", "p90 12 ms", "成本 ¥1"], 20), ["p50 2 ms  p90 12 ms", "成本 ¥1"]);
        assert_eq!(pack(["one two three"], 8), ["one two", "three"]);
    }

    #[test]
    fn folds_by_columns() {
        assert_eq!(fold("one two three", 8), ["one two", "three"]);
        assert_eq!(fold("通义千问很好", 5), ["通义", "千问", "很好"]);
        assert_eq!(fold("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(fold("a\n\nb\x1b[31m\n", 20), ["a", "", "b\u{fffd}[31m"]);
        assert_eq!(fold("ab 通义千问", 6), ["ab 通", "义千问"]);
    }

    #[test]
    fn blocks_stand_beside_each_other() {
        let blocks =
            [vec!["通义".to_owned(), "x".to_owned()], vec!["\x1b[1mb\x1b[0m".to_owned()], vec!["c".to_owned(), "d".to_owned()]];
        assert_eq!(beside(&blocks, 5, " | "), ["通义  | \x1b[1mb\x1b[0m     | c", "x     |       | d"]);
    }
}
