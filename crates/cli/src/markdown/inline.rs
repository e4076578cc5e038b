//! Bold, italic, code and links within a line. What may become one of them is held until it does or cannot any more.

use super::style::{Run, Style};

/// So much of a line is held at most, in bytes; a mark that has not found its other half by then is a character like others.
pub(super) const HOLD: usize = 1200;
/// Styles within styles.
const DEPTH: usize = 6;

/// What is settled at the begin of a text: how many bytes, and what they show. `None`: the rest of the line may decide.
///
/// `before` is the character before the text; `last` says that no more of the line follows.
pub(super) fn take(text: &str, before: Option<char>, style: Style, last: bool) -> Option<(usize, Vec<Run>)> {
    Reader { last, depth: 0 }.take(text, before, style)
}

/// All of a text that is whole.
pub(super) fn runs(text: &str, style: Style) -> Vec<Run> {
    Reader { last: true, depth: 0 }.all(text, style)
}

#[derive(Clone, Copy)]
struct Reader {
    last: bool,
    depth: usize,
}

/// How a search for the other half of a mark ended.
enum Found {
    /// Where it begins.
    At(usize),
    /// Not yet.
    Wait,
    /// It cannot come.
    Not,
}

fn special(c: char) -> bool {
    matches!(c, '\\' | '`' | '*' | '_' | '~' | '[' | '!')
}

fn run_length(text: &str, mark: char) -> usize {
    text.chars().take_while(|c| *c == mark).count()
}

impl Reader {
    fn all(self, text: &str, style: Style) -> Vec<Run> {
        let (mut runs, mut rest, mut before) = (Vec::new(), text, None);
        while let Some((taken, more)) = self.take(rest, before, style).filter(|(taken, _)| *taken > 0) {
            runs.extend(more);
            let (head, tail) = rest.split_at_checked(taken).unwrap_or((rest, ""));
            before = head.chars().next_back().or(before);
            rest = tail;
        }
        runs
    }

    fn take(self, text: &str, before: Option<char>, style: Style) -> Option<(usize, Vec<Run>)> {
        let first = text.chars().next()?;
        match first {
            '\\' => self.escape(text, style),
            '`' => self.code(text, style),
            '*' | '_' | '~' => self.emphasis(text, first, before, style),
            '[' => self.link(text, 0, style),
            '!' => match text.chars().nth(1) {
                Some('[') => self.link(text, 1, style),
                None if !self.last => None,
                _ => Some(literal("!", style)),
            },
            _ => {
                let end = text.find(special).unwrap_or(text.len());
                Some(literal(text.get(..end).unwrap_or(text), style))
            }
        }
    }

    fn escape(self, text: &str, style: Style) -> Option<(usize, Vec<Run>)> {
        match text.chars().nth(1) {
            Some(c) if c.is_ascii_punctuation() => Some((2, vec![Run::new(c, style)])),
            None if !self.last => None,
            _ => Some(literal("\\", style)),
        }
    }

    /// Between as many backticks as it begins with.
    fn code(self, text: &str, style: Style) -> Option<(usize, Vec<Run>)> {
        let count = run_length(text, '`');
        match self.backticks(text, count) {
            Found::At(at) => {
                let inner = text.get(count..at).unwrap_or_default();
                let bare = inner.strip_prefix(' ').and_then(|inner| inner.strip_suffix(' '));
                let inner = bare.filter(|bare| !bare.trim().is_empty()).unwrap_or(inner);
                Some((at + count, vec![Run::new(inner, Style { code: true, ..style })]))
            }
            Found::Wait => None,
            Found::Not => Some(literal(text.get(..count).unwrap_or("`"), style)),
        }
    }

    /// Where the backticks of the same number begin.
    fn backticks(self, text: &str, count: usize) -> Found {
        let mut at = count;
        while let Some(next) = text.get(at..).and_then(|rest| rest.find('`')).map(|found| at + found) {
            let found = run_length(text.get(next..).unwrap_or_default(), '`');
            let ends = next + found == text.len();
            if ends && !self.last {
                return Found::Wait;
            }
            if found == count {
                return Found::At(next);
            }
            at = next + found;
        }
        if self.last { Found::Not } else { Found::Wait }
    }

    fn emphasis(self, text: &str, mark: char, before: Option<char>, style: Style) -> Option<(usize, Vec<Run>)> {
        let count = run_length(text, mark);
        let as_is = || Some(literal(text.get(..count).unwrap_or_default(), style));
        let rest = text.get(count..).unwrap_or_default();
        let Some(next) = rest.chars().next() else { return if self.last { as_is() } else { None } };
        let within_word = mark == '_' && before.is_some_and(char::is_alphanumeric);
        let counts = if mark == '~' { count == 2 } else { count <= 3 };
        if next.is_whitespace() || within_word || !counts || self.depth >= DEPTH {
            return as_is();
        }
        match self.other_half(rest, mark, count) {
            Found::At(at) => {
                let style = match (mark, count) {
                    ('~', _) => Style { strike: true, ..style },
                    (_, 1) => Style { italic: true, ..style },
                    (_, 2) => Style { bold: true, ..style },
                    _ => Style { bold: true, italic: true, ..style },
                };
                let inner = Reader { last: true, depth: self.depth + 1 };
                Some((count + at + count, inner.all(rest.get(..at).unwrap_or_default(), style)))
            }
            Found::Wait => None,
            Found::Not => as_is(),
        }
    }

    /// Where the mark that ends an emphasis begins.
    fn other_half(self, text: &str, mark: char, count: usize) -> Found {
        let mut at = 0;
        let mut before = None;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = text.get(at..).unwrap_or_default();
            let mut step = c.len_utf8();
            if c == '\\' {
                step += rest.chars().nth(1).map_or(0, char::len_utf8);
            } else if c == '`' {
                let ticks = run_length(rest, '`');
                step = match self.backticks(rest, ticks) {
                    Found::At(end) => end + ticks,
                    Found::Wait => return Found::Wait,
                    Found::Not => ticks,
                };
            } else if c == mark {
                let found = run_length(rest, mark);
                step = found;
                let after = rest.get(found..).and_then(|rest| rest.chars().next());
                if after.is_none() && !self.last {
                    return Found::Wait;
                }
                let closes = before.is_some_and(|before: char| !before.is_whitespace())
                    && !(mark == '_' && after.is_some_and(char::is_alphanumeric));
                if closes && found >= count && (found == count || found == 3) {
                    return Found::At(at + found - count);
                }
            }
            before = Some(c);
            at += step;
        }
        if self.last { Found::Not } else { Found::Wait }
    }

    /// `[text](address)`, after so many characters before the bracket.
    fn link(self, text: &str, lead: usize, style: Style) -> Option<(usize, Vec<Run>)> {
        let wait = |at: Option<usize>| if at.is_none() && !self.last { None } else { Some(at) };
        let as_is = || Some(literal(text.get(..lead + 1).unwrap_or("["), style));
        let begin = lead + 1;
        let close = wait(text.get(begin..).and_then(|rest| rest.find([']', '['])))?;
        let Some(close) = close.map(|at| begin + at) else { return as_is() };
        let mut after = text.get(close..).unwrap_or_default().chars();
        match (after.next(), after.next()) {
            (Some(']'), Some('(')) => {}
            (Some(']'), None) if !self.last => return None,
            _ => return as_is(),
        }
        let address = close + 2;
        let end = wait(text.get(address..).and_then(|rest| rest.find(')')))?;
        let Some(end) = end.map(|at| address + at) else { return as_is() };
        let (name, address) = (text.get(begin..close).unwrap_or_default(), text.get(address..end).unwrap_or_default().trim());
        if address.is_empty() || self.depth >= DEPTH {
            return as_is();
        }
        let inner = Reader { last: true, depth: self.depth + 1 };
        let mut runs = inner.all(name, Style { underline: true, ..style });
        if name.is_empty() {
            runs.push(Run::new(address, Style { underline: true, ..style }));
        } else if name != address {
            runs.push(Run::new(" ", style));
            runs.push(Run::new(format!("({address})"), Style { dim: true, ..style }));
        }
        Some((end + 1, runs))
    }
}

fn literal(text: &str, style: Style) -> (usize, Vec<Run>) {
    (text.len(), vec![Run::new(text, style)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mark = |style: Style| {
            [
                (style.bold, 'b'),
                (style.italic, 'i'),
                (style.code, 'c'),
                (style.strike, 's'),
                (style.underline, 'u'),
                (style.dim, 'd'),
            ]
            .into_iter()
            .filter(|(on, _)| *on)
            .map(|(_, name)| name)
            .collect::<String>()
        };
        let piece = |run: Run| if run.style == Style::PLAIN { run.text } else { format!("<{}:{}>", mark(run.style), run.text) };
        runs(text, Style::PLAIN).into_iter().map(piece).collect()
    }

    #[test]
    fn styles_are_read() {
        for (text, wanted) in [
            ("a **b** c", "a <b:b> c"),
            ("*a* _b_ __c__", "<i:a> <i:b> <b:c>"),
            ("***a***", "<bi:a>"),
            ("**a *b***", "<b:a ><bi:b>"),
            ("**a `**` b**", "<b:a ><bc:**><b: b>"),
            ("`a` ``b`c``", "<c:a> <c:b`c>"),
            ("~~old~~ ~x~", "<s:old> ~x~"),
            ("**中文**后面", "<b:中文>后面"),
            ("[a](b) ![c](d)", "<u:a> <d:(b)> <u:c> <d:(d)>"),
            ("[https://a.b](https://a.b)", "<u:https://a.b>"),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_mark_stays() {
        for text in ["2 * 3 * 4", "snake_case_name", "*args", "a[0]", "[x] y", "`open", "**open", "* a *", "!x", "5 ~ 6", "[a]()"]
        {
            assert_eq!(shown(text), text, "{text}");
        }
        assert_eq!(shown("\\*a\\*"), "*a*");
    }

    #[test]
    fn what_may_become_something_is_held() {
        for text in ["**b", "**b*", "*b*", "`a", "`a`", "[a", "[a]", "[a](b", "!", "\\", "_a_"] {
            assert_eq!(take(text, None, Style::PLAIN, false), None, "{text}");
        }
        assert_eq!(take("ab*c", None, Style::PLAIN, false).unwrap().0, 2);
        assert_eq!(take("[a] ", None, Style::PLAIN, false).unwrap().0, 1);
        assert_eq!(take("*b* ", None, Style::PLAIN, false).unwrap().0, 3);
    }
}
