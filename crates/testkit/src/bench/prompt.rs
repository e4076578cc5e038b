//! Requests of a chosen size, ready to be written to a socket.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// The dialect that the load generator speaks to a contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// `POST /v1/chat/completions`: what the local provider speaks too.
    Chat,
    /// `POST /v1/messages`: has to be translated on the way.
    Messages,
}

impl Speech {
    /// The path of the operation.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
        }
    }

    /// What the end of a complete stream contains.
    #[must_use]
    pub fn terminator(self) -> &'static [u8] {
        match self {
            Self::Chat => b"data: [DONE]",
            Self::Messages => b"message_stop",
        }
    }
}

/// Longest single message, in bytes: a long prompt is a conversation, not one giant string.
const MESSAGE: usize = 4096;

/// Prose with what real prompts have in them: line breaks, quotes, a backslash, letters beyond ASCII.
const SENTENCES: [&str; 4] = [
    r#"The lighthouse keeper wrote \"calm, wind from the west\" into the log and trimmed the lamp.\n"#,
    r"Nobody had asked him for figures since spring, yet he kept them: 14, 15, 17, 16, 12.\n",
    r"A path such as C:\\logs\\1904 would have meant nothing to him; the café by the harbour meant a lot. ",
    r"He counted the ships, and the hours between the ships, and thought the second number the better one. ",
];

/// JSON-escaped prose of `size` bytes or a little more.
fn write_prose(size: usize, out: &mut String) {
    let goal = out.len() + size;
    for sentence in SENTENCES.iter().cycle() {
        if out.len() >= goal {
            break;
        }
        out.push_str(sentence);
    }
}

/// The `messages` array: user and assistant in turn, first and last from the user, `size` bytes of text in all.
fn write_conversation(size: usize, out: &mut String) {
    let turns = (size.div_ceil(MESSAGE)) | 1;
    let each = (size / turns).max(1);
    out.push('[');
    for turn in 0..turns {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        let comma = if turn == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{{\"role\":\"{role}\",\"content\":\"");
        write_prose(each, out);
        out.push_str("\"}");
    }
    out.push(']');
}

/// A request body: `size` bytes of prompt for `model`, whole or streamed. `max_tokens` is sent because one of the
/// two dialects requires it.
#[must_use]
pub fn write_body(model: &str, size: usize, stream: bool) -> String {
    let mut out = String::with_capacity(size + size / 4 + 256);
    let _ = write!(out, "{{\"model\":\"{model}\",\"max_tokens\":256,");
    if stream {
        out.push_str("\"stream\":true,");
    }
    out.push_str("\"messages\":");
    write_conversation(size, &mut out);
    out.push('}');
    out
}

/// A whole HTTP/1.1 request: head and body. `path` is written as it is; `bearer` becomes an `authorization` header.
#[must_use]
pub fn write_post(addr: SocketAddr, path: &str, bearer: Option<&str>, body: &str) -> Vec<u8> {
    let mut out = String::with_capacity(body.len() + 256);
    let _ = write!(
        out,
        "POST {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-type: application/json\r\naccept: */*\r\n\
         anthropic-version: 2023-06-01\r\ncontent-length: {}\r\n",
        body.len()
    );
    if let Some(bearer) = bearer {
        let _ = write!(out, "authorization: Bearer {bearer}\r\n");
    }
    out.push_str("\r\n");
    out.push_str(body);
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_the_size_that_was_asked_for() {
        for kilobytes in [1, 16, 100, 150] {
            let body = write_body("m", kilobytes * 1024, true);
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            let messages = value["messages"].as_array().unwrap();
            assert_eq!(messages.last().unwrap()["role"], "user");
            let text: usize = messages.iter().map(|m| m["content"].as_str().unwrap().len()).sum();
            assert!(text.abs_diff(kilobytes * 1024) < kilobytes * 160, "{kilobytes} KB came out as {text} bytes");
            assert_eq!(value["stream"], true);
        }
    }
}
