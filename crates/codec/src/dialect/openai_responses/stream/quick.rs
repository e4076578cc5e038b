//! The deltas that nearly every frame is, read without a general parser.
//!
//! Each frame has a number of its own, so that, unlike in chat, two places differ from the frame before: the number and
//! the text. All else is compared byte by byte.

use crate::dialect::openai_chat::stream::unpadded;
use crate::ir::{Delta, Event};
use crate::json::{text, unquote};

/// A frame that was read the long way, in three pieces around its number and its text.
#[derive(Debug)]
struct Template {
    front: Vec<u8>,
    middle: Vec<u8>,
    back: Vec<u8>,
    number_first: bool,
    part: u32,
    arguments: bool,
}

/// What a frame says that is like the one before.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quick {
    pub(super) part: u32,
    /// Whether it is a piece of arguments and not of a text.
    pub(super) arguments: bool,
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

const NUMBER: &[u8] = b"\"sequence_number\":";
const TEXT: &[u8] = b"\"delta\":\"";

impl Known {
    /// Reads a frame that is like the last one but for its number and its text.
    pub(super) fn read(&mut self, data: &[u8]) -> Option<Quick> {
        let template = self.template.as_ref()?;
        let rest = data.strip_prefix(template.front.as_slice())?;
        let (quoted, rest) = if template.number_first {
            let (_, rest) = split_number(rest)?;
            split_text(rest.strip_prefix(template.middle.as_slice())?)?
        } else {
            let (quoted, rest) = split_text(rest)?;
            let (_, rest) = split_number(rest.strip_prefix(template.middle.as_slice())?)?;
            (quoted, rest)
        };
        if unpadded(rest) != template.back {
            return None;
        }
        let text = unquote(quoted)?.into_owned();
        if text.is_empty() {
            return None;
        }
        self.useless = 0;
        Some(Quick { part: template.part, arguments: template.arguments, text })
    }

    /// Keeps a frame that was read as these events, if it is one piece of text.
    pub(super) fn keep(&mut self, data: &[u8], events: &[Event]) {
        if self.useless >= PATIENCE || data.len() > LONGEST {
            return;
        }
        let (part, arguments, said) = match events {
            [Event::Delta { part, delta: Delta::Text(text), .. }] => (*part, false, text),
            [Event::Delta { part, delta: Delta::Arguments(text), .. }] => (*part, true, text),
            _ => return,
        };
        self.useless += 1;
        self.template = cut(data, said).map(|[front, middle, back]| Template {
            number_first: front.ends_with(NUMBER),
            front: front.to_vec(),
            middle: middle.to_vec(),
            back: unpadded(back).to_vec(),
            part,
            arguments,
        });
    }
}

/// The digits at the front, and the rest.
fn split_number(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = data.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { None } else { data.split_at_checked(digits) }
}

/// The string at the front, with its quotes, and the rest.
fn split_text(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text::string_end(data, 1).ok().filter(|_| data.first() == Some(&b'"'))?;
    data.split_at_checked(end + 1)
}

/// A frame around its number and the one place where it says `said`; the quotes belong to the text.
fn cut<'a>(data: &'a [u8], said: &str) -> Option<[&'a [u8]; 3]> {
    let only = |key: &[u8]| {
        let mut found = memchr::memmem::find_iter(data, key);
        found.next().filter(|_| found.next().is_none()).map(|at| at + key.len())
    };
    let (number, quote) = (only(NUMBER)?, only(TEXT)?.checked_sub(1)?);
    let (digits, _) = split_number(data.get(number..)?)?;
    let (quoted, _) = split_text(data.get(quote..)?)?;
    if unquote(quoted)? != said {
        return None;
    }
    let number = number..number + digits.len();
    let text = quote..quote + quoted.len();
    let (first, second) = if number.start < text.start { (number, text) } else { (text, number) };
    Some([data.get(..first.start)?, data.get(first.end..second.start)?, data.get(second.end..)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(text: &str) -> Vec<Event> {
        vec![Event::Delta { choice: 0, part: 1, delta: Delta::Text(text.to_owned()) }]
    }

    #[test]
    fn only_frames_that_differ_in_number_and_text_are_read() {
        let first = |n: &str, text: &str, rest: &str| {
            format!(r#"{{"type":"x","sequence_number":{n},"item_id":"m","delta":{text},"logprobs":[]{rest}}}"#)
        };
        let last = |n: &str, text: &str, rest: &str| {
            format!(r#"{{"delta":{text},"item_id":"m","sequence_number":{n},"type":"x"{rest}}}"#)
        };
        type Frame<'a> = &'a dyn Fn(&str, &str, &str) -> String;
        for frame in [&first as Frame<'_>, &last] {
            let mut known = Known::default();
            assert_eq!(known.read(frame("4", r#""a""#, "").as_bytes()), None);
            known.keep(frame("4", r#""a""#, r#","obfuscation":"x1""#).as_bytes(), &delta("a"));
            let mut read = |n: &str, text: &str, rest: &str| known.read(frame(n, text, rest).as_bytes()).map(|quick| quick.text);
            assert_eq!(read("15", r#""b\n\"c\u00e9""#, r#","obfuscation":"abc""#).as_deref(), Some("b\n\"cé"));
            for (number, text, rest) in [
                ("5", r#""b""#, r#","obfuscation":7"#),
                ("5", r#""b""#, r#","more":1"#),
                ("-5", r#""b""#, ""),
                ("5", r#""""#, ""),
                ("5", "null", ""),
                ("5", r#""\ud800""#, ""),
                ("5", "\"b\u{1}\"", ""),
            ] {
                assert_eq!(read(number, text, rest), None, "{number} {text}{rest}");
            }
        }
    }

    #[test]
    fn a_frame_without_a_number_is_no_template() {
        let mut known = Known::default();
        known.keep(br#"{"delta":"a"}"#, &delta("a"));
        assert!(known.template.is_none());
    }
}
