//! The grammar: from one place in a text to the next.
//!
//! Nothing is kept but offsets. Open containers are one bit each, so depth costs no stack.

use std::ops::Range;

use super::{Fault, text};

/// How deep objects and arrays may nest, the outermost one counted.
pub const MAX_DEPTH: u32 = 128;

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `"…"`
    String,
    /// `-1.5e3`
    Number,
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `true`, `false`
    Bool,
    /// `null`
    Null,
}

/// One member of an object, as offsets into the text that was scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The key between its quotes, escapes and all.
    pub key: Range<usize>,
    /// The value, a string with its quotes.
    pub value: Range<usize>,
    /// What kind of value it is.
    pub kind: Kind,
}

/// A place in a text.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the first byte that is not white space.
    pub(super) fn start(bytes: &'a [u8]) -> Self {
        let mut cursor = Self { bytes, at: 0 };
        cursor.skip_space();
        cursor
    }

    /// At byte `at`.
    pub(super) fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How many bytes are behind it.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) fn fault(&self, what: &'static str) -> Fault {
        if self.at < self.bytes.len() { Fault::new(self.at, what) } else { Fault::new(self.bytes.len(), END) }
    }

    pub(super) fn expect_end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.at < self.bytes.len() { Err(self.fault("there is text after the end of the value")) } else { Ok(()) }
    }

    /// Gives each member of the object that starts here to `visit`, until it says `false` or the object is behind us.
    pub(super) fn each_member(&mut self, mut visit: impl FnMut(Member) -> bool) -> Result<(), Fault> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.skip_key()?;
            let start = self.at;
            let kind = self.skip_value(1)?;
            if !visit(Member { key, value: start..self.at, kind }) {
                return Ok(());
            }
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.fault("expected ',' or '}' after a member")),
            }
            self.skip_space();
        }
    }

    /// Goes from a key's opening quote to the first byte of its value.
    fn skip_key(&mut self) -> Result<Range<usize>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected a key in double quotes"));
        }
        let start = self.at + 1;
        let end = text::string_end(self.bytes, start)?;
        self.at = end + 1;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.fault("expected ':' after a key"));
        }
        self.at += 1;
        self.skip_space();
        Ok(start..end)
    }

    /// Goes behind the value that starts here, inside `outer` containers.
    pub(super) fn skip_value(&mut self, outer: u32) -> Result<Kind, Fault> {
        match self.peek() {
            Some(b'{') => self.skip_nested(outer).map(|()| Kind::Object),
            Some(b'[') => self.skip_nested(outer).map(|()| Kind::Array),
            _ => self.skip_scalar(),
        }
    }

    /// Goes behind the object or array that starts here.
    fn skip_nested(&mut self, outer: u32) -> Result<(), Fault> {
        let mut levels = Levels { objects: 0, depth: 0, limit: MAX_DEPTH.saturating_sub(outer) };
        loop {
            // A value starts here.
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    let object = open == b'{';
                    if !levels.enter(object) {
                        return Err(self.fault("nested deeper than 128 levels"));
                    }
                    self.at += 1;
                    self.skip_space();
                    match self.peek() {
                        Some(b'}') if object => {}
                        Some(b']') if !object => {}
                        _ => {
                            if object {
                                self.skip_key()?;
                            }
                            continue;
                        }
                    }
                }
                _ => {
                    self.skip_scalar()?;
                    self.skip_space();
                }
            }
            // A value ended here, or a container has nothing more in it.
            if self.close_or_continue(&mut levels)? {
                return Ok(());
            }
        }
    }

    /// Goes to the next value of the innermost open container, closing all that end before it; true if none is left.
    fn close_or_continue(&mut self, levels: &mut Levels) -> Result<bool, Fault> {
        loop {
            match (self.peek(), levels.in_object()) {
                (Some(b','), object) => {
                    self.at += 1;
                    self.skip_space();
                    if object {
                        self.skip_key()?;
                    }
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.at += 1;
                    if levels.leave() {
                        return Ok(true);
                    }
                    self.skip_space();
                }
                (_, true) => return Err(self.fault("expected ',' or '}' after a member")),
                (_, false) => return Err(self.fault("expected ',' or ']' after an element")),
            }
        }
    }

    fn skip_scalar(&mut self) -> Result<Kind, Fault> {
        match self.peek() {
            Some(b'"') => {
                self.at = text::string_end(self.bytes, self.at + 1)? + 1;
                Ok(Kind::String)
            }
            Some(b'-' | b'0'..=b'9') => self.skip_number().map(|()| Kind::Number),
            Some(b't') => self.skip_word(b"true").map(|()| Kind::Bool),
            Some(b'f') => self.skip_word(b"false").map(|()| Kind::Bool),
            Some(b'n') => self.skip_word(b"null").map(|()| Kind::Null),
            _ => Err(self.fault(VALUE)),
        }
    }

    fn skip_word(&mut self, word: &[u8]) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(())
        } else if word.starts_with(rest) {
            Err(Fault::new(self.bytes.len(), END))
        } else {
            Err(self.fault(VALUE))
        }
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.skip_digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.skip_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.skip_digits()?;
        }
        Ok(())
    }

    fn skip_digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("expected a digit")) } else { Ok(()) }
    }
}

pub(super) const END: &str = "the text ends too early";
pub(super) const VALUE: &str = "expected a value: an object, an array, a string, a number, true, false or null";

/// The open containers: one bit each, set for an object, the innermost lowest.
struct Levels {
    objects: u128,
    depth: u32,
    limit: u32,
}

impl Levels {
    /// False if that would be too deep.
    fn enter(&mut self, object: bool) -> bool {
        self.objects = self.objects << 1 | u128::from(object);
        self.depth += 1;
        self.depth <= self.limit
    }

    /// True if that was the last one.
    fn leave(&mut self) -> bool {
        self.objects >>= 1;
        self.depth = self.depth.saturating_sub(1);
        self.depth == 0
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}
