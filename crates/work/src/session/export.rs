//! A conversation as a file: lines of JSON, which have everything, or Markdown, which is to be read.

use std::fmt::Write as _;

use trunkline::ir::{Content, Message, Part, Role};
use trunkline_store::{SessionRow, TurnRow};

/// The session, then its turns, each a JSON value in a line of its own.
pub fn write_jsonl(session: &SessionRow, turns: &[TurnRow]) -> String {
    let line = |value: Result<String, serde_json::Error>| value.unwrap_or_default() + "\n";
    let mut out = line(serde_json::to_string(session));
    turns.iter().for_each(|turn| out += &line(serde_json::to_string(turn)));
    out
}

/// The conversation in words: a heading for each who speaks, calls of tools as code.
pub fn write_markdown(session: &SessionRow, turns: &[TurnRow]) -> String {
    let title = if session.title.is_empty() { &session.id } else { &session.title };
    let mut out = format!("# {title}\n");
    if let Some(system) = &session.system {
        let _ = write!(out, "\n## System\n\n{}\n", system.trim_end());
    }
    for turn in turns {
        for message in turn.asked.iter().chain(&turn.answered) {
            let model = turn.target.as_deref().unwrap_or(&turn.model);
            write_message(message, model, &mut out);
        }
        if turn.is_partial() {
            out.push_str("\n*(broken off)*\n");
        }
    }
    out
}

fn write_message(message: &Message, model: &str, out: &mut String) {
    let who = match message.role {
        Role::System => "System",
        Role::User if message.parts.iter().all(|part| matches!(part.content, Content::ToolResult { .. })) => "Tools",
        Role::User => "You",
        Role::Assistant => model,
    };
    let _ = write!(out, "\n## {who}\n");
    for part in &message.parts {
        let text = told(part);
        if !text.trim().is_empty() {
            let _ = write!(out, "\n{}\n", text.trim_end());
        }
    }
}

fn told(part: &Part) -> String {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } => text.clone(),
        Content::Reasoning { text, .. } => quote(text),
        Content::ToolCall { name, arguments, .. } => fence(&format!("{name}({arguments})")),
        Content::ToolResult { parts, .. } => fence(&parts.iter().map(told).collect::<Vec<_>>().join("\n")),
        Content::Image { .. } => "*(image)*".to_owned(),
        Content::Document { title, .. } => format!("*(document {})*", title.as_deref().unwrap_or_default()),
        Content::Audio { transcript, .. } => transcript.clone().unwrap_or_else(|| "*(audio)*".to_owned()),
        Content::Video { .. } => "*(video)*".to_owned(),
        Content::Foreign { .. } => String::new(),
    }
}

fn quote(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

/// A block of code; with more marks around it than it has itself.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let marks = "`".repeat(longest.max(2) + 1);
    format!("{marks}\n{text}\n{marks}")
}
