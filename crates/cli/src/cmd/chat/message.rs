//! What is typed, line by line, until it is one message.

/// Encloses a message of several lines.
const MARKS: &str = "\"\"\"";

/// Whether more lines belong to it: it begins with `"""` that are not closed, or ends with a `\`.
pub(super) fn is_open(text: &str) -> bool {
    if let Some(rest) = text.trim_start().strip_prefix(MARKS) {
        return !rest.trim_end().ends_with(MARKS);
    }
    ends_open(text)
}

/// Whether it ends with a `\` of its own, not with one that another stands before.
pub(super) fn ends_open(text: &str) -> bool {
    text.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// The message without what only told that it goes on. `goes_on` says of a text that it is the begin of the message up to a
/// `\` that was such a mark, and not one of the text's own: what is pasted stays as it is.
pub(super) fn close(text: &str, goes_on: impl Fn(&str) -> bool) -> String {
    if let Some(rest) = text.trim_start().strip_prefix(MARKS) {
        let inner = rest.trim_end();
        let inner = inner.strip_suffix(MARKS).unwrap_or(inner);
        return inner.strip_prefix('\n').unwrap_or(inner).trim_end().to_owned();
    }
    let mut out = String::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.strip_suffix('\n').unwrap_or(line);
        let before = text.get(..at + bare.len()).unwrap_or_default();
        match bare.strip_suffix('\\') {
            Some(shorter) if line.len() > bare.len() && goes_on(before) => {
                out.push_str(shorter);
                out.push('\n');
            }
            _ => out.push_str(line),
        }
        at += line.len();
    }
    out.trim_end().to_owned()
}

/// Puts the lines of a pipe together.
#[derive(Debug, Default)]
pub(super) struct Lines(String);

impl Lines {
    /// Takes a line; gives a message when it is whole.
    pub(super) fn push(&mut self, line: &str) -> Option<String> {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(line);
        if is_open(&self.0) { None } else { self.finish() }
    }

    /// What there is when nothing follows.
    pub(super) fn finish(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.0);
        Some(close(&text, ends_open)).filter(|text| !text.trim().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(lines: &[&str]) -> Vec<String> {
        let mut open = Lines::default();
        let mut messages: Vec<String> = lines.iter().filter_map(|line| open.push(line)).collect();
        messages.extend(open.finish());
        messages
    }

    #[test]
    fn a_line_is_a_message_unless_it_goes_on() {
        assert_eq!(messages(&["a", "", "b"]), ["a", "b"]);
        assert_eq!(messages(&["a\\", "b", "c"]), ["a\nb", "c"]);
        assert_eq!(messages(&["a\\\\", "b"]), ["a\\\\", "b"]);
        assert_eq!(messages(&["\"\"\"", "a", "", "b\"\"\"", "c"]), ["a\n\nb", "c"]);
        assert_eq!(messages(&["\"\"\"a\"\"\"", "b"]), ["a", "b"]);
        // The end of a pipe ends everything.
        assert_eq!(messages(&["\"\"\"a", "b\\"]), ["a\nb\\"]);
        assert_eq!(messages(&["a\\"]), ["a\\"]);
    }

    #[test]
    fn what_is_pasted_keeps_its_own_marks() {
        assert_eq!(close("tar \\\n -x", |_| false), "tar \\\n -x");
        assert_eq!(close("a\\\nb \\\nc", |before| before == "a\\"), "a\nb \\\nc");
    }
}
