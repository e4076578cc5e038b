//! What an answer takes, counted while it comes: by the provider's word when all of it has come, else by our own guess.

use crate::ir::{Content, Delta, Event, Part, Response, Usage};

/// A guess of the tokens in so many bytes of text.
pub(crate) fn guess(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// Strings longer than this that look like Base64 are pictures, sounds or documents.
const LONG_STRING: usize = 4096;

/// So much of a string tells whether it does.
const GLANCE: usize = 64;

/// What one of these is counted as: nobody can tell without opening it.
const MEDIUM_TOKENS: u64 = 1000;

/// A guess of the tokens of a request that is not read: one for 4 bytes, and a thousand for a string that cannot be text.
pub fn guess_unread(body: &[u8]) -> u64 {
    let (mut text, mut media, mut at) = (body.len(), 0, 0);
    // A string that is longer than a step is met by one of them: most of the body need not be looked at.
    while let Some((before, after)) = body.split_at_checked(at + LONG_STRING) {
        at = before.len();
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
        if after.len() >= GLANCE && after.iter().take(GLANCE).all(is_base64) {
            let start = memchr::memrchr(b'"', before).map_or(0, |quote| quote + 1);
            let end = memchr::memchr(b'"', after).map_or(body.len(), |quote| before.len() + quote);
            if end - start > LONG_STRING {
                text -= end - start;
                media += MEDIUM_TOKENS;
            }
            at = end;
        }
    }
    guess(text as u64) + media
}

/// What a streamed answer takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    told: Option<Usage>,
    /// Bytes of text, thinking and arguments.
    said: u64,
    complete: bool,
}

impl Tally {
    /// Takes the next event.
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::Delta { delta: Delta::Text(text) | Delta::Arguments(text) | Delta::Transcript(text), .. } => {
                self.said += text.len() as u64;
            }
            Event::Usage { usage } => self.told = Some(*usage),
            Event::End => self.complete = true,
            _ => {}
        }
    }

    /// What it took so far.
    pub fn usage(&self) -> Usage {
        reckon(self.told, self.said, self.complete)
    }

    /// Whether nothing has come that takes tokens.
    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_none() && self.said == 0
    }
}

/// What an answer took that told this and said so many bytes. What was told counts when all of it has come; before that
/// it is the least that it can be. An input of 0 in a guess is not known here.
pub(crate) fn reckon(told: Option<Usage>, said: u64, complete: bool) -> Usage {
    match told {
        Some(told) if complete => told,
        told => {
            let told = told.unwrap_or_default();
            Usage { output: told.output.max(guess(said)), estimated: true, ..told }
        }
    }
}

/// What a whole answer took.
pub fn reckon_whole(response: &Response) -> Usage {
    let said = |part: &Part| match &part.content {
        Content::Text { text, .. } | Content::Reasoning { text, .. } | Content::Refusal { text } => text.len(),
        Content::ToolCall { name, arguments, .. } => name.len() + arguments.len(),
        _ => 0,
    };
    match response.usage {
        Some(told) => told,
        None => reckon(None, response.choices.iter().flat_map(|choice| &choice.parts).map(said).sum::<usize>() as u64, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_not_counted_as_text() {
        let body = |string: &str| format!("{{\"a\":\"hello you\",\"b\":\"{string}\"}}");
        let picture = body(&"iVBORw0KGgo".repeat(100_000));
        assert!((1000..1020).contains(&guess_unread(picture.as_bytes())), "{}", guess_unread(picture.as_bytes()));
        for text in ["to be or not ".repeat(1000), "是".repeat(5000)] {
            let text = body(&text);
            assert_eq!(guess_unread(text.as_bytes()), guess(text.len() as u64));
        }
    }
}
