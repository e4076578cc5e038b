//! JSON by span: read a few fields of a body and change a few bytes of it, without building a tree.
//!
//! A request of 100 KB is mostly one long string that nobody here needs to understand. [`scan`] checks the whole
//! text once against the grammar of [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259) and says where the members of
//! its top-level object lie; [`edit`] replaces some of those spans and leaves every other byte as it was;
//! [`word`] finds a key in a stream's frame without parsing it; [`text`] turns strings into JSON strings and back.

mod cursor;
pub mod edit;
pub mod scan;
pub mod text;
pub mod word;

pub use cursor::{Kind, MAX_DEPTH, Member};
pub use edit::{Edit, Patch, Piece, apply, pieces};
pub use scan::{check, find, member, members, members_any, path};
pub use text::{quote, unquote};
pub use word::KeyFinder;

/// What is wrong with a JSON text, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} (byte {at})")]
pub struct Fault {
    /// Offset in bytes from the start of the text.
    pub at: usize,
    /// What was found or missed there, as half a sentence without a full stop.
    pub what: &'static str,
}

/// The words of the fault for a key that occurs twice; its `at` is the start of the second one.
pub const REPEATED_KEY: &str = "this key is repeated";

/// How much of a key is quoted in [`Fault::describe`], in characters.
const QUOTED: usize = 64;

impl Fault {
    pub(crate) const fn new(at: usize, what: &'static str) -> Self {
        Self { at, what }
    }

    /// One sentence for the person who wrote `body`: what, line and column, and the key's name where one is repeated.
    #[must_use]
    pub fn describe(&self, body: &[u8]) -> String {
        let (line, column) = position(body, self.at);
        let what = self.what;
        match body.get(self.at..).filter(|_| what == REPEATED_KEY).and_then(text::first_string) {
            Some(key) => {
                let key: String = key.chars().take(QUOTED).collect();
                format!("the key {} is repeated at line {line}, column {column}", quote(&key))
            }
            None => format!("{what} at line {line}, column {column}"),
        }
    }
}

/// The line and column of byte `at` of `body`, both counted from 1, columns in characters.
///
/// An offset beyond the end means the end.
#[must_use]
pub fn position(body: &[u8], at: usize) -> (usize, usize) {
    let before = body.get(..at).unwrap_or(body);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    // Continuation bytes of UTF-8 are not characters of their own.
    let column = before.get(start..).unwrap_or_default().iter().filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let body = "{\n  \"é\": x".as_bytes();
        assert_eq!(position(body, 0), (1, 1));
        assert_eq!(position(body, 2), (2, 1));
        assert_eq!(position(body, body.len() - 1), (2, 8));
        assert_eq!(position(body, 1000), (2, 9));
    }

    #[test]
    fn a_repeated_key_is_named() {
        let body = b"{\"model\":1,\n \"mod\\u0065l\":2}";
        let fault = members(body).unwrap_err();
        assert_eq!(fault.what, REPEATED_KEY);
        assert_eq!(fault.describe(body), "the key \"model\" is repeated at line 2, column 2");
    }
}
