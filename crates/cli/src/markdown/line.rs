//! What a line is, by how it begins.

/// How a line begins, as soon as it can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Blank,
    /// A heading; the bytes before its text.
    Heading(usize, usize),
    /// An item of a list: indent, mark, bytes before its text.
    Item(usize, String, usize),
    /// A quotation; the bytes before what is quoted.
    Quote(usize),
    /// A line across.
    Rule,
    /// Code follows.
    Fence(Fence),
    /// A row of a table.
    Row,
    /// Text after an indent, and the bytes of that.
    Text(usize, usize),
}

/// What encloses code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    pub(super) mark: char,
    pub(super) count: usize,
    pub(super) indent: usize,
}

impl Fence {
    /// Whether a line ends the code.
    pub(super) fn ends(&self, line: &str) -> bool {
        let line = line.trim();
        line.chars().count() >= self.count && line.chars().all(|c| c == self.mark)
    }
}

/// The columns of the blanks that a line begins with, and their bytes.
pub(super) fn indent(line: &str) -> (usize, usize) {
    let blanks = line.chars().take_while(|c| *c == ' ' || *c == '\t');
    blanks.fold((0, 0), |(columns, bytes), c| (columns + if c == '\t' { 4 } else { 1 }, bytes + 1))
}

/// What `line` is; `None` while that depends on what follows. `last`: nothing follows.
pub(super) fn start(line: &str, last: bool) -> Option<Start> {
    let (columns, bytes) = indent(line);
    let rest = line.get(bytes..).unwrap_or_default();
    let text = Some(Start::Text(columns, bytes));
    let wait = || if last { Some(Start::Text(columns, bytes)) } else { None };
    let item = |mark: &str| Some(Start::Item(columns, mark.to_owned(), bytes + mark.len() + 1));
    let Some(first) = rest.chars().next() else { return if last { Some(Start::Blank) } else { None } };
    let after = |count: usize| rest.chars().nth(count);
    match first {
        '#' => {
            let level = rest.chars().take_while(|c| *c == '#').count();
            match after(level) {
                Some(' ') if level <= 6 => Some(Start::Heading(level, bytes + level + 1)),
                None if level <= 6 => wait(),
                _ => text,
            }
        }
        '>' => match after(1) {
            Some(' ') => Some(Start::Quote(bytes + 2)),
            None if !last => None,
            _ => Some(Start::Quote(bytes + 1)),
        },
        '-' | '*' | '+' if after(1) == Some(' ') => item(rest.get(..1).unwrap_or("-")),
        '-' | '*' | '_' if rest.chars().all(|c| c == first || c == ' ') => match last {
            true if rest.chars().filter(|c| *c == first).count() >= 3 => Some(Start::Rule),
            true => text,
            false => None,
        },
        '+' if after(1).is_none() => wait(),
        '0'..='9' => {
            let digits = rest.chars().take_while(char::is_ascii_digit).count();
            match (after(digits), after(digits + 1)) {
                _ if digits > 9 => text,
                (Some('.' | ')'), Some(' ')) => item(rest.get(..=digits).unwrap_or_default()),
                (None | Some('.' | ')'), None) => wait(),
                _ => text,
            }
        }
        '`' | '~' => {
            let count = rest.chars().take_while(|c| *c == first).count();
            let info = rest.get(count..).unwrap_or_default();
            match count >= 3 {
                true if first == '`' && info.contains('`') => text,
                true if last => Some(Start::Fence(Fence { mark: first, count, indent: columns })),
                true => None,
                false if info.is_empty() => wait(),
                false => text,
            }
        }
        '|' => Some(Start::Row),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let item = |mark: &str, indent: usize| Start::Item(indent, mark.to_owned(), indent + mark.len() + 1);
        for (line, wanted) in [
            ("", Start::Blank),
            ("  ", Start::Blank),
            ("# a", Start::Heading(1, 2)),
            ("###### a", Start::Heading(6, 7)),
            ("#a", Start::Text(0, 0)),
            ("####### a", Start::Text(0, 0)),
            ("- a", item("-", 0)),
            ("  * a", item("*", 2)),
            ("12. a", item("12.", 0)),
            ("3) a", item("3)", 0)),
            ("3.14", Start::Text(0, 0)),
            ("**a**", Start::Text(0, 0)),
            ("---", Start::Rule),
            ("*****", Start::Rule),
            ("--", Start::Text(0, 0)),
            ("> a", Start::Quote(2)),
            (">", Start::Quote(1)),
            ("```rust", Start::Fence(Fence { mark: '`', count: 3, indent: 0 })),
            ("```a``` b", Start::Text(0, 0)),
            ("``a``", Start::Text(0, 0)),
            ("|a|", Start::Row),
            ("   a", Start::Text(3, 3)),
            ("中文", Start::Text(0, 0)),
        ] {
            assert_eq!(start(line, true), Some(wanted.clone()), "{line}");
            // What is said of the begin holds for the whole.
            for (at, _) in line.char_indices() {
                let early = start(&line[..at], false);
                assert!(early.is_none() || early.as_ref() == Some(&wanted), "{line} at {at}: {early:?}");
            }
        }
    }
}
