//! The deltas that nearly every frame is, read without a general parser.
//!
//! No two servers write a frame alike, but each writes its frames alike: one that was read as a single piece of text
//! is kept as a template, and the next one that differs from it only in that text is read by comparing bytes.

use crate::ir::{Delta, Event};
use crate::json::{text, unquote};

/// A frame that was read the long way.
#[derive(Debug)]
struct Template {
    /// Up to and with the opening quote of the text.
    front: Vec<u8>,
    /// From behind its closing quote.
    back: Vec<u8>,
    choice: u32,
    part: u32,
    grows: Grows,
}

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grows {
    Text,
    Arguments,
}

/// What a frame says that is like the one before.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quick {
    pub(super) choice: u32,
    pub(super) part: u32,
    pub(super) grows: Grows,
    pub(super) text: String,
}

/// The last frame that was read the long way, if others may be like it.
#[derive(Debug, Default)]
pub(super) struct Known {
    template: Option<Template>,
    /// How many templates in a row were of no use.
    useless: u8,
}

/// After so many useless templates no more are kept: this server writes every frame differently.
const PATIENCE: u8 = 16;

/// Frames longer than this are not worth keeping.
const LONGEST: usize = 4096;

/// The keys under which text comes.
const KEYS: [&[u8]; 4] = [b"\"content\":", b"\"reasoning_content\":", b"\"reasoning\":", b"\"arguments\":"];

/// Some servers pad every frame to hide how long its text is.
const PADDING: &[u8] = b",\"obfuscation\":\"";

impl Known {
    /// Reads a frame that is like the last one but for its text.
    pub(super) fn read(&mut self, data: &[u8]) -> Option<Quick> {
        let template = self.template.as_ref()?;
        let rest = data.strip_prefix(template.front.as_slice())?;
        let quote = template.front.len().checked_sub(1)?;
        let end = text::string_end(rest, 0).ok().filter(|end| *end > 0)?;
        if unpadded(rest.get(end + 1..)?) != template.back {
            return None;
        }
        let text = unquote(data.get(quote..quote + end + 2)?)?.into_owned();
        self.useless = 0;
        Some(Quick { choice: template.choice, part: template.part, grows: template.grows, text })
    }

    /// Keeps a frame that was read as these events, if it is one piece of text.
    pub(super) fn keep(&mut self, data: &[u8], events: &[Event]) {
        if self.useless >= PATIENCE || data.len() > LONGEST {
            return;
        }
        let (choice, part, grows, said) = match events {
            [Event::Delta { choice, part, delta: Delta::Text(text) }] => (*choice, *part, Grows::Text, text),
            [Event::Delta { choice, part, delta: Delta::Arguments(text) }] => (*choice, *part, Grows::Arguments, text),
            _ => return,
        };
        self.useless += 1;
        self.template = cut(data, said).map(|(front, back)| Template {
            front: front.to_vec(),
            back: unpadded(back).to_vec(),
            choice,
            part,
            grows,
        });
    }
}

/// A frame around the one place where it says `said`.
fn cut<'a>(data: &'a [u8], said: &str) -> Option<(&'a [u8], &'a [u8])> {
    let mut found = None;
    for key in KEYS {
        for at in memchr::memmem::find_iter(data, key) {
            let quote = at + key.len();
            if data.get(quote) != Some(&b'"') {
                continue;
            }
            let end = text::string_end(data, quote + 1).ok()?;
            if unquote(data.get(quote..=end)?).as_deref() == Some(said) && found.replace((quote, end)).is_some() {
                return None;
            }
        }
    }
    let (quote, end) = found?;
    Some((data.get(..=quote)?, data.get(end + 1..)?))
}

/// The end of a frame without its padding.
pub(crate) fn unpadded(back: &[u8]) -> &[u8] {
    let padded = memchr::memmem::find(back, PADDING).and_then(|at| {
        let padding = back.get(at + PADDING.len()..)?.strip_suffix(b"\"}")?;
        padding.iter().all(u8::is_ascii_alphanumeric).then(|| back.get(..at)).flatten()
    });
    padded.unwrap_or(back)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(text: &str) -> Vec<Event> {
        vec![Event::Delta { choice: 0, part: 1, delta: Delta::Text(text.to_owned()) }]
    }

    #[test]
    fn only_frames_that_differ_in_their_text_are_read() {
        let frame = |text: &str, rest: &str| format!(r#"{{"id":"c","choices":[{{"delta":{{"content":{text}}}}}]{rest}}}"#);
        let mut known = Known::default();
        assert_eq!(known.read(frame(r#""a""#, "").as_bytes()), None);
        known.keep(frame(r#""a""#, r#","obfuscation":"x1""#).as_bytes(), &delta("a"));
        let mut read = |text: &str, rest: &str| known.read(frame(text, rest).as_bytes()).map(|quick| quick.text);
        assert_eq!(read(r#""b\n\"c\u00e9""#, r#","obfuscation":"abc""#).as_deref(), Some("b\n\"cé"));
        for (text, rest) in [
            (r#""b""#, ""),
            (r#""b""#, r#","obfuscation":"a","usage":{"x":"1"}"#),
            (r#""b""#, r#","obfuscation":7"#),
            (r#""""#, r#","obfuscation":"abc""#),
            (r#"null"#, r#","obfuscation":"abc""#),
            (r#""\ud800""#, r#","obfuscation":"abc""#),
            ("\"b\u{1}\"", r#","obfuscation":"abc""#),
            (r#""b","refusal":"no""#, r#","obfuscation":"abc""#),
        ] {
            assert_eq!(read(text, rest), None, "{text}{rest}");
        }
    }

    #[test]
    fn a_frame_that_says_the_same_twice_is_no_template() {
        let mut known = Known::default();
        known.keep(br#"{"delta":{"reasoning":"a","reasoning_content":"a"}}"#, &delta("a"));
        assert!(known.template.is_none());
    }
}
