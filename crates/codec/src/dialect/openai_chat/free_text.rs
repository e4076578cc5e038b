//! Tools that take free text. In canonical form a call of one has the arguments `{"input":"…"}`, which every dialect can
//! say; these two dialects tell the text itself.

use std::mem;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::wire::{Str, list_of};
use crate::json::unquote;

/// What arguments begin with, up to their text.
pub(crate) const FRONT: &str = "{\"input\":\"";

/// What they end with.
pub(crate) const BACK: &str = "\"}";

/// Free text as the arguments of a call.
pub(crate) fn wrap_input(input: &str) -> String {
    let mut wrapped = Map::new();
    wrapped.insert("input".to_owned(), input.into());
    Value::Object(wrapped).to_string()
}

/// A piece of free text as it stands between [`FRONT`] and [`BACK`].
pub(crate) fn escape(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// The free text that was wrapped into arguments; what is something else is the text as it stands.
pub(crate) fn unwrap_input(arguments: &str) -> String {
    let mut unwrap = Unwrap::default();
    let mut text = unwrap.push(arguments);
    text.push_str(&unwrap.finish());
    text
}

/// Takes the free text out of arguments that come in pieces, cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Unwrap {
    at: At,
    /// What cannot be told yet: a front or an escape that is not complete.
    held: String,
}

#[derive(Clone, Copy, Debug, Default)]
enum At {
    #[default]
    Front,
    Text,
    Back,
    /// These are no arguments of ours: all is text.
    Bare,
}

impl Unwrap {
    /// The text that the next piece of the arguments tells.
    pub(crate) fn push(&mut self, more: &str) -> String {
        self.held.push_str(more);
        if let At::Front = self.at {
            match after_front(&self.held) {
                Front::Cut => return String::new(),
                Front::Empty => self.at = At::Back,
                Front::Other => self.at = At::Bare,
                Front::Text(rest) => {
                    self.held = rest.to_owned();
                    self.at = At::Text;
                }
            }
        }
        match self.at {
            At::Front | At::Back => {
                self.held.clear();
                String::new()
            }
            At::Bare => mem::take(&mut self.held),
            At::Text => {
                let mut text = String::new();
                let (taken, closed) = decode(&self.held, &mut text);
                self.held.drain(..taken);
                if closed {
                    self.at = At::Back;
                    self.held.clear();
                }
                text
            }
        }
    }

    /// The arguments are over: the rest of the text.
    pub(crate) fn finish(self) -> String {
        self.held
    }
}

enum Front<'a> {
    /// More must come.
    Cut,
    /// An object without members.
    Empty,
    Other,
    /// What follows it.
    Text(&'a str),
}

fn after_front(arguments: &str) -> Front<'_> {
    let mut rest = arguments;
    for token in ["{", "\"input\"", ":", "\""] {
        rest = rest.trim_ascii_start();
        match rest.strip_prefix(token) {
            Some(after) => rest = after,
            None if token.starts_with(rest) => return Front::Cut,
            None if token == "\"input\"" && rest.starts_with('}') => return Front::Empty,
            None => return Front::Other,
        }
    }
    Front::Text(rest)
}

/// Tells what the inside of a string says, up to its quote: how many bytes of it were taken, and whether the quote came.
fn decode(text: &str, out: &mut String) -> (usize, bool) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest.as_bytes())) {
        let (plain, rest) = text.get(at..).and_then(|rest| rest.split_at_checked(found)).unwrap_or_default();
        out.push_str(plain);
        at += found;
        if rest.starts_with('"') {
            return (at + 1, true);
        }
        let Some(length) = escape_length(rest) else { return (at, false) };
        // What a model wrote that is no escape stays as it stands.
        let said = rest.get(..length).and_then(|escape| Some(unquote(format!("\"{escape}\"").as_bytes())?.into_owned()));
        at += match said {
            Some(said) => {
                out.push_str(&said);
                length
            }
            None => {
                out.push('\\');
                1
            }
        };
    }
    out.push_str(text.get(at..).unwrap_or_default());
    (text.len(), false)
}

/// The length of the escape that a text begins with, of both if two make a letter; `None` if more of it must come.
fn escape_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let length = match bytes.get(1)? {
        b'u' => {
            let is_high = matches!(bytes.get(2..4), Some([b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B']));
            let goes_on = bytes.iter().skip(6).zip(b"\\u").all(|(byte, next)| byte == next);
            if is_high && goes_on { 12 } else { 6 }
        }
        _ => 1 + text.chars().nth(1).map_or(1, char::len_utf8),
    };
    (bytes.len() >= length).then_some(length)
}

/// The names of the tools among those that a caller declares that take free text.
pub(crate) fn custom_names(tools: &RawValue) -> Vec<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Declared<'a> {
        #[serde(borrow)]
        r#type: Option<Str<'a>>,
        #[serde(borrow)]
        name: Option<Str<'a>>,
        /// Where its name is in chat.
        #[serde(borrow)]
        custom: Option<Named<'a>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Option<Str<'a>>,
    }
    let declared = list_of::<Declared<'_>>(Some(tools)).into_iter();
    let custom = declared.filter(|tool| tool.r#type.as_deref() == Some("custom"));
    custom.filter_map(|tool| tool.name.or_else(|| tool.custom?.name)).map(|name| name.0.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to cut arguments into three pieces gives the text that they give whole.
    fn in_pieces(arguments: &str, text: &str) {
        assert_eq!(unwrap_input(arguments), text, "{arguments}");
        let cuts: Vec<usize> = (0..=arguments.len()).filter(|at| arguments.is_char_boundary(*at)).collect();
        for first in &cuts {
            for second in cuts.iter().filter(|second| *second >= first) {
                let mut unwrap = Unwrap::default();
                let pieces = [&arguments[..*first], &arguments[*first..*second], &arguments[*second..]];
                let mut told: String = pieces.iter().map(|piece| unwrap.push(piece)).collect();
                told.push_str(&unwrap.finish());
                assert_eq!(told, text, "{pieces:?}");
            }
        }
    }

    #[test]
    fn free_text_does_not_depend_on_cuts() {
        for text in ["", "say \"hi\"\\ \n\t", "é 🌧 \u{1}", "{\"input\":\"x\"}"] {
            in_pieces(&wrap_input(text), text);
        }
        in_pieces(" {\n \"input\" : \"a\\u00e9\\ud83c\\udf27b\\/\" } ", "aé🌧b/");
    }

    #[test]
    fn what_is_no_wrapping_is_text() {
        for text in ["plain", "{\"other\":1}", "{\"input\":5}", "[1]", "{\"inp"] {
            in_pieces(text, text);
        }
        in_pieces("{ }", "");
        in_pieces("{\"input\":\"cut off", "cut off");
        in_pieces("{\"input\":\"a \\q\\é\\u12 \n b\"}", "a \\q\\é\\u12 \n b");
        // Half a pair says nothing.
        in_pieces("{\"input\":\"\\ud83c\"}", "\\ud83c");
        in_pieces("{\"input\":\"\\ud83c\\u0041b\"}", "\\ud83cAb");
    }

    #[test]
    fn pieces_are_told_as_they_come() {
        let mut unwrap = Unwrap::default();
        let told: Vec<String> = ["{\"input\":\"*** Be", "gin\\", "nPatch", "\"}"].map(|piece| unwrap.push(piece)).into();
        assert_eq!(told, ["*** Be", "gin", "\nPatch", ""]);
    }
}
