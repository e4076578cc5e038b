//! What begins with `/`: commands within a conversation.

use trunkline::codec::catalog::nearest;

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Something for the model.
    Say(String),
    /// Something for us; what stands behind the word may be empty.
    Do(Order, String),
    /// No command is called like that; perhaps this one.
    Unknown(String, Option<&'static str>),
}

/// The commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Model,
    System,
    Undo,
    Retry,
    Branch,
    Save,
    Tokens,
    Attach,
    Title,
    New,
    Sessions,
    Open,
    Window,
    Help,
    Quit,
}

/// Each with its word, what may stand behind it, and what it does.
pub(super) const ORDERS: [(Order, &str, &str, &str); 15] = [
    (Order::Model, "model", "[NAME]", "ask this model from now on; who is asked"),
    (Order::System, "system", "[TEXT]", "instructions for the whole conversation; - for none"),
    (Order::Undo, "undo", "", "take the last question and its answer back"),
    (Order::Retry, "retry", "", "ask the last question again"),
    (Order::Branch, "branch", "[TITLE]", "go on as another session; this one stays as it is"),
    (Order::Save, "save", "FILE", "write the conversation as Markdown (.md) or lines of JSON (.jsonl)"),
    (Order::Tokens, "tokens", "", "how long the next prompt is, and what it came to so far"),
    (Order::Attach, "attach", "FILE", "send a picture, a PDF or a text with the next question"),
    (Order::Title, "title", "[TEXT]", "what the conversation is called"),
    (Order::New, "new", "", "begin another conversation"),
    (Order::Sessions, "sessions", "", "the conversations that are kept"),
    (Order::Open, "open", "ID", "go on with one of them"),
    (
        Order::Window,
        "window",
        "[WINDOW]",
        "what of the history is sent: all, 3 turns, 4000 tokens, summarise after 6 turns with MODEL",
    ),
    (Order::Help, "help", "", "this list"),
    (Order::Quit, "quit", "", "leave; so does Ctrl-D"),
];

impl Order {
    /// Whether anything may stand behind it.
    pub(super) fn takes_something(self) -> bool {
        ORDERS.iter().any(|(order, _, argument, _)| *order == self && !argument.is_empty())
    }
}

/// Words that mean the same.
const OTHERS: [(&str, &str); 3] = [("exit", "quit"), ("q", "quit"), ("?", "help")];

/// Reads a message. `//` begins one that begins with `/`; a path is no command.
pub(super) fn read(text: &str) -> Line {
    let Some(rest) = text.strip_prefix('/') else { return Line::Say(text.to_owned()) };
    if rest.starts_with('/') {
        return Line::Say(rest.to_owned());
    }
    let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '?' || c == '-' || c == '_');
    if !is_word {
        return Line::Say(text.to_owned());
    }
    let wanted = OTHERS.iter().find(|(other, _)| *other == word).map_or(word, |(_, word)| word);
    match ORDERS.iter().find(|(_, name, ..)| *name == wanted) {
        Some((order, ..)) => Line::Do(*order, argument.trim().to_owned()),
        None => Line::Unknown(word.to_owned(), nearest(word, ORDERS.iter().map(|(_, name, ..)| *name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let say = |text: &str| Line::Say(text.to_owned());
        let order = |order, argument: &str| Line::Do(order, argument.to_owned());
        for (text, wanted) in [
            ("hello", say("hello")),
            ("/undo", order(Order::Undo, "")),
            ("/model  sim/lorem ", order(Order::Model, "sim/lorem")),
            ("/system Be brief.\nAnd kind.", order(Order::System, "Be brief.\nAnd kind.")),
            ("/exit", order(Order::Quit, "")),
            ("//undo", say("/undo")),
            ("/etc/passwd is what?", say("/etc/passwd is what?")),
            ("/", say("/")),
            ("/模型", say("/模型")),
            ("/modl x", Line::Unknown("modl".to_owned(), Some("model"))),
            ("/weather", Line::Unknown("weather".to_owned(), None)),
        ] {
            assert_eq!(read(text), wanted, "{text}");
        }
    }
}
