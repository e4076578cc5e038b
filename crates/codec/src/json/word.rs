//! Finding a key in a frame without parsing the frame.
//!
//! Of the hundreds of frames of a stream one or two say how many tokens were used. Looking for the word is some fifty
//! times cheaper than parsing each of them.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::scan;

/// Looks for one key at any depth.
///
/// It goes by bytes: the key in quotes, then a colon. Within a string's text both quotes would be escaped, so text
/// that merely talks about the key does not match. A key that is itself written with escapes is not found.
#[derive(Debug, Clone)]
pub struct KeyFinder {
    quoted: Finder<'static>,
}

impl KeyFinder {
    /// A finder for `key`, which must be plain: nothing in it that JSON escapes.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { quoted: Finder::new(&super::quote(key)).into_owned() }
    }

    /// Whether the key is there with a value other than `null`.
    #[must_use]
    pub fn is_set(&self, json: &[u8]) -> bool {
        self.find(json).is_some()
    }

    /// Where the key's first value other than `null` starts.
    #[must_use]
    pub fn find(&self, json: &[u8]) -> Option<usize> {
        let mut from = 0;
        loop {
            let rest = json.get(from..)?;
            let after = from + self.quoted.find(rest)? + self.quoted.needle().len();
            match value_start(json, after) {
                Some(at) if !json.get(at..)?.starts_with(b"null") => return Some(at),
                _ => from = after,
            }
        }
    }

    /// The span of the key's first value other than `null`; nothing if that value is not whole.
    #[must_use]
    pub fn value(&self, json: &[u8]) -> Option<Range<usize>> {
        scan::value_at(json, self.find(json)?)
    }
}

/// The offset of the value, if a colon follows at `at`.
fn value_start(json: &[u8], at: usize) -> Option<usize> {
    let colon = skip_space(json, at);
    let value = skip_space(json, colon + 1);
    (json.get(colon) == Some(&b':') && value < json.len()).then_some(value)
}

fn skip_space(json: &[u8], at: usize) -> usize {
    at + json.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Whether a stream's frame says `"usage"` with a value other than `null`.
#[must_use]
pub fn has_usage(frame: &[u8]) -> bool {
    USAGE.is_set(frame)
}

/// The span of the value of a frame's `"usage"`, `null` not counted.
#[must_use]
pub fn usage(frame: &[u8]) -> Option<Range<usize>> {
    USAGE.value(frame)
}

static USAGE: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("usage"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_found_where_it_is_set() {
        for (frame, expected) in [
            (r#"{"choices":[],"usage":{"total_tokens":3}}"#, Some(r#"{"total_tokens":3}"#)),
            (r#"{"choices":[{"usage" : {"a":1} }],"usage":null}"#, Some(r#"{"a":1}"#)),
            (r#"{"usage":null,"x":{"usage":{"b":2}}}"#, Some(r#"{"b":2}"#)),
            (r#"{"usage":null}"#, None),
            (r#"{"content":"usage"}"#, None),
            (r#"{"content":"\"usage\":{}"}"#, None),
            (r#"{"usage":"#, None),
            (r#"{"usage""#, None),
            ("", None),
        ] {
            assert_eq!(usage(frame.as_bytes()).map(|span| &frame[span]), expected, "{frame}");
            assert_eq!(has_usage(frame.as_bytes()), expected.is_some(), "{frame}");
        }
        assert_eq!(usage(br#"{"usage":{"cut"#), None);
    }
}
