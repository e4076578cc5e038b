//! The outcome as a table in the documents. `UPDATE_DOCS=1` writes it.

use std::fmt::Write;
use std::path::Path;

use super::{Cell, FEATURES, Feature, Row};

struct Words {
    file: &'static str,
    caller: &'static str,
    provider: &'static str,
    loss: &'static str,
    /// The heading of the list of fields.
    lost: &'static str,
    anchor: &'static str,
    /// Whether the reasons, which are English, stand beside the fields.
    reasons: bool,
    columns: [&'static str; 8],
}

const LANGUAGES: [Words; 2] = [
    Words {
        file: "docs/dialects.md",
        caller: "caller speaks",
        provider: "provider speaks",
        loss: "loss",
        lost: "What is lost",
        anchor: "what-is-lost",
        reasons: true,
        columns: ["text", "tools", "images", "structured output", "reasoning", "endings", "usage", "errors"],
    },
    Words {
        file: "docs/dialects.zh-CN.md",
        caller: "调用方",
        provider: "服务商",
        loss: "损失",
        lost: "丢失的字段",
        anchor: "丢失的字段",
        reasons: false,
        columns: ["文本", "工具", "图片", "结构化输出", "推理", "结束原因", "用量", "错误"],
    },
];

/// Compares the documents with what the tests found, or writes them.
pub(crate) fn check(rows: &[Row]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for words in &LANGUAGES {
        let path = root.join(words.file);
        let text = std::fs::read_to_string(&path).unwrap();
        let fresh = replace(&text, &draw(rows, words));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, fresh).unwrap();
        } else {
            assert!(text == fresh, "the table in {} is stale; run this test with UPDATE_DOCS=1", words.file);
        }
    }
}

/// The text with other lines between the markers.
fn replace(text: &str, lines: &str) -> String {
    let begin = text.find("<!-- matrix: begin").expect("where the table begins");
    let begin = begin + text[begin..].find("-->\n").expect("a whole line") + 4;
    let end = text.find("<!-- matrix: end -->").expect("where the table ends");
    format!("{}{lines}{}", &text[..begin], &text[end..])
}

fn draw(rows: &[Row], words: &Words) -> String {
    let _: [Feature; 8] = FEATURES;
    let mut notes: Vec<String> = Vec::new();
    let mut out = format!("\n| {} | {} | {} |\n", words.caller, words.provider, words.columns.join(" | "));
    writeln!(out, "|---|---|{}", ":-:|".repeat(words.columns.len())).unwrap();
    for row in rows {
        write!(out, "| `{}` | `{}` |", row.caller, row.provider).unwrap();
        for cell in &row.cells {
            match cell {
                Cell::Unsayable => out.push_str(" – |"),
                Cell::Carried { lost, .. } if lost.is_empty() => out.push_str(" ✓ |"),
                Cell::Carried { lost, whole } => {
                    let note = |(field, why): &(String, String)| match words.reasons {
                        true => format!("`{field}` ({why})"),
                        false => format!("`{field}`"),
                    };
                    let mut list: Vec<String> = lost.iter().map(note).collect();
                    list.dedup();
                    let text = list.join(", ");
                    let known = notes.iter().position(|note| *note == text);
                    let at = known.unwrap_or_else(|| {
                        notes.push(text);
                        notes.len() - 1
                    });
                    write!(out, " {} [{}](#{}) |", if *whole { "✓" } else { words.loss }, at + 1, words.anchor).unwrap();
                }
            }
        }
        out.push('\n');
    }
    write!(out, "\n## {}\n\n", words.lost).unwrap();
    for (at, note) in notes.iter().enumerate() {
        writeln!(out, "{}. {note}", at + 1).unwrap();
    }
    out.push('\n');
    out
}
