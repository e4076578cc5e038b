//! The tree as it is on disk, and a reading of Rust that is just good enough to count lines and find words: it knows
//! comments, strings and braces.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The content of a file, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below `folder` (from the root) with this extension, by its path from the root, sorted.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|its| its == extension) {
                found.push(path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// One Rust file.
pub(crate) struct Source {
    pub(crate) path: String,
    /// The code, character by character in its place: comments and inline tests are blanks, texts are `"~~~"`.
    pub(crate) code: Vec<char>,
    /// The texts in it and the lines on which they begin, inline tests left out.
    pub(crate) texts: Vec<(usize, String)>,
}

/// One function.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Lines that hold code, from `fn` to the closing brace.
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn read(path: &str) -> Self {
        Self::parse(path, &read(path))
    }

    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let (mut code, texts) = mask(&text.chars().collect::<Vec<_>>());
        let tests = inline_tests(&code);
        let inside = |at: usize| tests.iter().any(|test| test.contains(&at));
        let texts = texts.into_iter().filter(|(at, _)| !inside(*at));
        let ends = line_ends(&code);
        let texts = texts.map(|(at, text)| (line(&ends, at), text)).collect();
        for at in tests.iter().cloned().flatten() {
            if code[at] != '\n' {
                code[at] = ' ';
            }
        }
        Source { path: path.to_owned(), code, texts }
    }

    /// Lines that hold code.
    pub(crate) fn lines(&self) -> usize {
        lines(&self.code)
    }

    /// The words of the code with their lines: names, keywords, numbers; the name of a macro with its `!`.
    pub(crate) fn words(&self) -> Vec<(usize, String)> {
        let numbered = self.code.split(|c| *c == '\n').enumerate();
        let word = |line: &[char], span: Range<usize>| {
            let mark = line[span.end..].starts_with(&['!']) && !line[span.end..].starts_with(&['!', '=']);
            line[span].iter().chain(mark.then_some(&'!')).collect::<String>()
        };
        let words = |line: &[char]| words(line).into_iter().map(|span| word(line, span)).collect::<Vec<_>>();
        numbered.flat_map(|(at, line)| words(line).into_iter().map(move |word| (at + 1, word))).collect()
    }

    pub(crate) fn functions(&self) -> Vec<Function> {
        let (spans, ends) = (words(&self.code), line_ends(&self.code));
        let pairs = spans.windows(2).filter(|pair| self.code[pair[0].clone()] == ['f', 'n']);
        let functions = pairs.filter_map(|pair| {
            let between = &self.code[pair[0].end..pair[1].start];
            let body = between.iter().all(|c| c.is_whitespace()).then(|| body(&self.code, pair[1].end)).flatten()?;
            Some(Function {
                name: self.code[pair[1].clone()].iter().collect(),
                line: line(&ends, pair[0].start),
                lines: lines(&self.code[pair[0].start..body.end]),
            })
        });
        functions.collect()
    }
}

fn lines(code: &[char]) -> usize {
    code.split(|c| *c == '\n').filter(|line| line.iter().any(|c| !c.is_whitespace())).count()
}

fn line_ends(code: &[char]) -> Vec<usize> {
    code.iter().enumerate().filter(|(_, c)| **c == '\n').map(|(at, _)| at).collect()
}

fn line(ends: &[usize], at: usize) -> usize {
    1 + ends.partition_point(|end| *end < at)
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn words(code: &[char]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.iter().enumerate().filter(|(_, c)| is_word(**c)) {
        match found.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => found.push(at..at + 1),
        }
    }
    found
}

/// From the first `{` after `from` to its `}`; none where a `;` comes first, as in a trait.
fn body(code: &[char], from: usize) -> Option<Range<usize>> {
    let (mut start, mut braces, mut others) = (None, 0, 0);
    for (at, c) in code.iter().enumerate().skip(from) {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others -= 1,
            ';' if others == 0 && start.is_none() => return None,
            '{' if others == 0 || start.is_some() => {
                start = start.or(Some(at));
                braces += 1;
            }
            '}' if start.is_some() => {
                braces -= 1;
                if braces == 0 {
                    return Some(start?..at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The items behind `#[cfg(test)]`.
fn inline_tests(code: &[char]) -> Vec<Range<usize>> {
    let mark: Vec<char> = "#[cfg(test)]".chars().collect();
    let starts = (0..code.len()).filter(|at| code[*at..].starts_with(&mark));
    starts.filter_map(|start| Some(start..body(code, start + mark.len())?.end)).collect()
}

/// Blanks comments, fills texts, and gives the texts with their places.
fn mask(text: &[char]) -> (Vec<char>, Vec<(usize, String)>) {
    let (mut code, mut texts) = (text.to_vec(), Vec::new());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let end = if rest.starts_with(&['/', '/']) {
            at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
        } else if rest.starts_with(&['/', '*']) {
            at + comment(rest)
        } else if let Some((quote, hashes)) = opening(text, at) {
            let end = at + quote + closing(&text[at + quote..], hashes);
            texts.push((at, text[at + quote..end].iter().collect()));
            fill(&mut code[at + quote..end], '~');
            at = (end + 1 + hashes.unwrap_or(0)).min(text.len());
            continue;
        } else if rest[0] == '\'' && (rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'')) {
            let end = at
                + 3
                + rest
                    .iter()
                    .skip(3)
                    .position(|c| *c == '\'')
                    .filter(|_| rest[2] != '\'' || rest[1] == '\\')
                    .map_or(0, |n| n + 1);
            fill(&mut code[at + 1..end - 1], '~');
            at = end;
            continue;
        } else {
            at += 1;
            continue;
        };
        fill(&mut code[at..end], ' ');
        at = end;
    }
    (code, texts)
}

fn fill(code: &mut [char], with: char) {
    code.iter_mut().filter(|c| **c != '\n').for_each(|c| *c = with);
}

/// The length of a block comment; they nest.
fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of `"`, `b"`, `r#"`… at this place, and the number of hashes of a raw text.
fn opening(text: &[char], at: usize) -> Option<(usize, Option<usize>)> {
    if at > 0 && is_word(text[at - 1]) {
        // The end of a longer name.
        return (text[at] == '"').then_some((1, None));
    }
    let prefix = text[at..].iter().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    let hashes = text[at + prefix..].iter().take_while(|c| **c == '#').count();
    let raw = text[at..at + prefix].contains(&'r');
    let quoted = text.get(at + prefix + hashes) == Some(&'"') && prefix <= 2 && (raw || hashes == 0);
    quoted.then_some((prefix + hashes + 1, raw.then_some(hashes)))
}

/// Where a text ends.
fn closing(rest: &[char], hashes: Option<usize>) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match (rest[at], hashes) {
            ('\\', None) => at += 2,
            ('"', None) => return at,
            ('"', Some(count)) if rest[at + 1..].iter().take(count).filter(|c| **c == '#').count() == count => return at,
            _ => at += 1,
        }
    }
    rest.len()
}

#[test]
fn the_reading_of_rust_is_good_enough() {
    let text = r##"
// fn no() { "x" }
fn one<'a>(x: &'a str) -> [u8; 2] { /* { */ let y = ("}\"", r#"fn "{"#, '{', '\'', '\u{7d}', b'"', b"\\"); [0; 2] }

trait T { fn none(&self); fn two() {
    one("sim/echo");

} }
#[cfg(test)]
mod tests { fn three() { "hidden" } }
fn four() {}
"##;
    let source = Source::parse("x.rs", text);
    let functions: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    let expected = [("one", 3, 1), ("two", 5, 3), ("four", 11, 1)].map(|(name, line, lines)| (name.to_owned(), line, lines));
    assert_eq!(functions, expected);
    assert_eq!(source.lines(), 5);
    let texts: Vec<&str> = source.texts.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["}\\\"", "fn \"{", "\\\\", "sim/echo"]);
}
