//! What a terminal gets to write, whole and in pieces.

use proptest::prelude::*;

use super::{Markdown, harmless};
use crate::column::visible;

fn show(text: &str, columns: usize) -> String {
    let mut markdown = Markdown::new(columns);
    let mut out = markdown.push(text);
    out.push_str(&markdown.finish());
    out
}

/// Without the styles.
fn bare(text: &str, columns: usize) -> String {
    let shown = show(text, columns);
    let mut parts = shown.split('\x1b');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |line, part| line + part.split_once('m').unwrap().1)
}

#[test]
fn blocks_are_shown() {
    let text = "# Title\n\n\nSome **bold** and `code`.\n\n- one\n- two\n  - 中文\n\n1. first\n\n> quoted\n> more\n\n---\nend";
    let wanted =
        "Title\n\nSome bold and code.\n\n• one\n• two\n  • 中文\n\n1. first\n\n│ quoted\n│ more\n\n───────────────────\nend\n";
    assert_eq!(bare(text, 20), wanted);
    assert_eq!(show("# a", 20), "\x1b[0;1;4ma\x1b[0m\n");
    assert_eq!(show("**a** b", 20), "\x1b[0;1ma\x1b[0m b\n");
}

#[test]
fn code_is_not_touched() {
    let text = "```rust\nlet a = \"**b**\"; // a long line that is wider than all\n\n\tif x {}\n```\nafter";
    let wanted = "```rust\nlet a = \"**b**\"; // a long line that is wider than all\n\n    if x {}\n```\nafter\n";
    assert_eq!(bare(text, 20), wanted);
    assert_eq!(bare("- a\n  ```\n  x\n  ```\n- b", 20), "• a\n  ```\n  x\n  ```\n• b\n");
    assert_eq!(bare("> ```\n> x\n> ```\n> y", 20), "│ ```\n│ x\n│ ```\n│ y\n");
    // One that is never closed is code to its end.
    assert_eq!(bare("```\nx\n", 20), "```\nx\n");
    let long = "x".repeat(5000);
    assert_eq!(bare(&format!("```\n{long}\n```"), 20), format!("```\n{long}\n```\n"));
}

#[test]
fn long_lines_are_wrapped_below_their_text() {
    assert_eq!(bare("- one two three four", 12), "• one two\n  three\n  four\n");
    assert_eq!(bare("> 通义千问很好用", 12), "│ 通义千问\n│ 很好用\n");
    assert_eq!(bare("10. a b c d e f", 11), "10. a b c\n    d e f\n");
}

#[test]
fn tables_are_shown_when_they_are_complete() {
    let text = "| 名 | b |\n|---|---|\n| 中文 | c |\n\nafter";
    let mut markdown = Markdown::new(40);
    assert_eq!(markdown.push("| 名 | b |\n|---|---|\n| 中文 | c |\n"), "");
    assert!(markdown.push("after ").contains("中文\x1b[0;2m │ \x1b[0mc\n"), "{markdown:?}");
    assert_eq!(bare(text, 40), "名   │ b\n─────┼──\n中文 │ c\n\nafter\n");
    assert_eq!(bare("| no table |\nx", 40), "| no table |\nx\n");
    assert_eq!(bare("> | a |\n> |---|\n> | b |\nx", 40), "│ a\n│ ─\n│ b\nx\n");
}

#[test]
fn words_are_written_as_soon_as_they_are_whole() {
    let mut markdown = Markdown::new(40);
    assert_eq!(markdown.push("Hello wor"), "Hello");
    assert_eq!(markdown.push("ld and **bo"), " world and");
    assert_eq!(markdown.push("ld** x"), " \x1b[0;1mbold");
    assert_eq!(markdown.push("\n你好吗"), "\x1b[0m x\n你好");
    assert_eq!(markdown.finish(), "吗\n");
}

#[test]
fn nothing_that_a_terminal_obeys_comes_through() {
    let evil = "a\x1b[2Jb \u{9b}31m \x07 `\x1b]0;x\x07` | \x1b[1m |\n```\n\x1b[5m\u{8}\n```\n| \x1b[1m |\n|---|\n";
    let shown = show(evil, 40);
    let own = |part: &str| part.starts_with("[0") && part.split_once('m').is_some_and(|(codes, _)| codes.len() < 10);
    assert!(shown.split('\x1b').skip(1).all(own), "{shown:?}");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n' && c != '\x1b'), "{shown:?}");
    assert_eq!(harmless("a\x1b[2J\r\n\tb"), "a\u{fffd}[2J\n\tb");
}

/// Texts in which marks are frequent.
fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "word",
        " ",
        " ",
        "\n",
        "\n\n",
        "**",
        "*",
        "_",
        "`",
        "```",
        "\n```\n",
        "~~",
        "[",
        "](",
        ")",
        "!",
        "# ",
        "\n- ",
        "\n> ",
        "1. ",
        "|",
        "\n|---|---|\n",
        "\n| a | b |\n",
        "中",
        "文字，",
        "（",
        "🙂",
        "❤\u{fe0f}",
        "\\",
        "\t",
        "\x1b[1m",
        "---",
        "  ",
        "\r\n",
        "antidisestablishmentarianism",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn pieces_make_no_difference(text in text(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20), columns in 10..80_usize) {
        let whole = show(&text, columns);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).filter(|at| text.is_char_boundary(*at)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let mut markdown = Markdown::new(columns);
        let mut out = String::new();
        at.windows(2).for_each(|pair| out.push_str(&markdown.push(&text[pair[0]..pair[1]])));
        out.push_str(&markdown.finish());
        prop_assert_eq!(out, whole);
    }

    #[test]
    fn no_line_but_code_is_wider_than_the_terminal(text in text(), columns in 12..80_usize) {
        // In code, lines are as long as they are.
        let text = text.replace('`', "").replace("~~", "");
        for line in show(&text, columns).lines() {
            prop_assert!(visible(line) < columns, "{} columns: {line:?}", visible(line));
        }
    }

    #[test]
    fn no_letter_is_lost(text in text()) {
        let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
        // The information of a fence and a table's head are shown as well.
        let without = |text: &str| text.replace("\x1b[1m", "");
        prop_assert_eq!(letters(&bare(&without(&text), 200)), letters(&without(&text)));
    }
}

#[test]
fn what_cannot_be_seen_is_made_visible() {
    let turned = "a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\x1b[2J\u{9b}";
    assert_eq!(super::harmless(turned), "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}[2J\u{fffd}");
    assert_eq!(show("a\u{202e}b\u{200b}c", 40), "a\u{fffd}b\u{fffd}c\n");
    // An emoji of several, and words whose letters are joined or not.
    for fine in ["👩\u{200d}💻", "می\u{200c}خواهم", "שלום", "☂\u{fe0f}", "a\tb\nc"] {
        assert_eq!(super::harmless(fine), fine);
    }
}
