//! The deltas that nearly every frame is, read without a general parser when they are written as the API writes them.

use crate::json::{text, unquote};

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grows {
    Text,
    Thinking,
    Input,
}

/// The block's number, what grows, and by what; `None` for every other frame and every other spelling.
pub(super) fn read_delta(data: &[u8]) -> Option<(u64, Grows, String)> {
    let rest = data.strip_prefix(br#"{"type":"content_block_delta","index":"#)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (index, rest) = rest.split_at_checked(digits)?;
    let index = std::str::from_utf8(index).ok()?.parse().ok()?;
    let rest = rest.strip_prefix(br#","delta":{"type":""#)?;
    let (grows, rest) = if let Some(rest) = rest.strip_prefix(br#"text_delta","text":"#) {
        (Grows::Text, rest)
    } else if let Some(rest) = rest.strip_prefix(br#"input_json_delta","partial_json":"#) {
        (Grows::Input, rest)
    } else {
        (Grows::Thinking, rest.strip_prefix(br#"thinking_delta","thinking":"#)?)
    };
    if rest.first() != Some(&b'"') {
        return None;
    }
    let end = text::string_end(rest, 1).ok()?;
    let (string, rest) = rest.split_at_checked(end + 1)?;
    let braces = rest.iter().filter(|byte| **byte != b' ');
    braces.eq(b"}}").then_some(())?;
    Some((index, grows, unquote(string)?.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spelling_is_read_and_no_other() {
        let read = |data: &str| read_delta(data.as_bytes());
        let usual = r#"{"type":"content_block_delta","index":12,"delta":{"type":"text_delta","text":"a\n\u00e9\"}"}   }"#;
        assert_eq!(read(usual), Some((12, Grows::Text, "a\né\"}".to_owned())));
        let input = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#;
        assert_eq!(read(input), Some((0, Grows::Input, String::new())));
        for other in [
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a","more":1}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\ud800"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":null}}"#,
            r#"{"type":"content_block_delta","index":-1,"delta":{"type":"text_delta","text":"a"}}"#,
            r#"{"type": "content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
