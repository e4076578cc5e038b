//! A validating scanner: where the members of an object lie, and whether the text is JSON at all.
//!
//! It keeps nothing but spans. Containers are followed with one bit a level, so depth costs no stack.

use std::ops::Range;

use super::{Fault, REPEATED_KEY, text};

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

/// The members of the object that `body` is, in their order.
///
/// The whole text is checked: UTF-8, grammar, nothing but white space around the object, at most [`MAX_DEPTH`] levels,
/// and no key twice at the top level (two parsers may take different ones, so such a body means two things at once).
/// Half a surrogate pair in an escape is grammatical and passes.
///
/// # Errors
/// The first fault, or that a key is repeated.
pub fn members(body: &[u8]) -> Result<Vec<Member>, Fault> {
    let members = members_any(body)?;
    match find_repeated(body, &members) {
        Some(at) => Err(Fault::new(at, REPEATED_KEY)),
        None => Ok(members),
    }
}

/// The same as [`members`], except that a key may come twice: for replies, where a provider's slip must not fail a call.
///
/// # Errors
/// The first fault.
pub fn members_any(body: &[u8]) -> Result<Vec<Member>, Fault> {
    check_text(body)?;
    let mut cursor = Cursor::start(body);
    if cursor.peek() != Some(b'{') {
        return Err(cursor.fault("expected an object, which starts with '{'"));
    }
    let mut members = Vec::with_capacity(16);
    cursor.each_member(|member| {
        members.push(member);
        true
    })?;
    cursor.expect_end()?;
    Ok(members)
}

/// Checks that `body` is one JSON value, and says of which kind.
///
/// # Errors
/// The first fault.
pub fn check(body: &[u8]) -> Result<Kind, Fault> {
    check_text(body)?;
    let mut cursor = Cursor::start(body);
    let kind = cursor.skip_value(0)?;
    cursor.expect_end()?;
    Ok(kind)
}

/// The value of `key` in the object that `object` is: the first, if there are several.
///
/// Looks no further than that value, so the text behind it goes unchecked; nothing is found in what is no object, or
/// is broken before or within the value.
#[must_use]
pub fn member(object: &[u8], key: &str) -> Option<Range<usize>> {
    let mut cursor = Cursor::start(object);
    if cursor.peek() != Some(b'{') {
        return None;
    }
    let mut found = None;
    cursor
        .each_member(|member| {
            if object.get(member.key.clone()).is_some_and(|raw| text::says(raw, key)) {
                found = Some(member.value);
            }
            found.is_none()
        })
        .ok()?;
    found
}

/// The value that a chain of keys leads to, as [`member`] would find each: `path(body, &["stream_options", "include_usage"])`.
#[must_use]
pub fn path(object: &[u8], keys: &[&str]) -> Option<Range<usize>> {
    keys.iter().try_fold(0..object.len(), |outer, key| {
        let inner = member(object.get(outer.clone())?, key)?;
        Some(outer.start + inner.start..outer.start + inner.end)
    })
}

/// The member that `key` names, however it was escaped.
#[must_use]
pub fn find<'m>(body: &[u8], members: &'m [Member], key: &str) -> Option<&'m Member> {
    members.iter().find(|member| body.get(member.key.clone()).is_some_and(|raw| text::says(raw, key)))
}

/// The span of the value that starts at `at`, which must lie in `text` and may be followed by anything.
pub(crate) fn value_at(text: &[u8], at: usize) -> Option<Range<usize>> {
    let mut cursor = Cursor { bytes: text, at };
    cursor.skip_value(0).ok()?;
    Some(at..cursor.at)
}

fn check_text(body: &[u8]) -> Result<(), Fault> {
    if body.starts_with(b"\xEF\xBB\xBF") {
        // Skipping it here would pass it on to a provider that refuses it in less plain words.
        return Err(Fault::new(0, "JSON must not start with a byte order mark"));
    }
    // The standard library takes ten times as long over text that is not English, and alone knows where it went wrong.
    if simdutf8::basic::from_utf8(body).is_ok() {
        return Ok(());
    }
    let at = std::str::from_utf8(body).map_or_else(|error| error.valid_up_to(), str::len);
    Err(Fault::new(at, "the text is not UTF-8"))
}

/// The offset of the opening quote of a key that was there before.
fn find_repeated(body: &[u8], members: &[Member]) -> Option<usize> {
    let raw = |member: &Member| body.get(member.key.clone()).unwrap_or_default();
    // Comparing each with each is cheapest for the few keys of a usual body, and quadratic for a hostile one.
    if members.len() <= 24 && members.iter().all(|member| memchr::memchr(b'\\', raw(member)).is_none()) {
        let mut rest = members;
        let mut repeated: Option<usize> = None;
        while let Some((first, others)) = rest.split_first() {
            let again = others.iter().find(|other| raw(other) == raw(first)).map(|other| other.key.start);
            repeated = repeated.into_iter().chain(again).min();
            rest = others;
        }
        return repeated.map(|at| at.saturating_sub(1));
    }
    let mut keys: Vec<_> = members.iter().map(|member| (text::unescape(raw(member)), member.key.start)).collect();
    keys.sort_unstable();
    let again = keys.iter().zip(keys.iter().skip(1)).filter(|((one, _), (two, _))| one == two);
    again.map(|(_, (_, at))| at.saturating_sub(1)).min()
}

/// A place in a text.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the first byte that is not white space.
    fn start(bytes: &'a [u8]) -> Self {
        let mut cursor = Self { bytes, at: 0 };
        cursor.skip_space();
        cursor
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn fault(&self, what: &'static str) -> Fault {
        if self.at < self.bytes.len() { Fault::new(self.at, what) } else { Fault::new(self.bytes.len(), END) }
    }

    fn expect_end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.at < self.bytes.len() { Err(self.fault("there is text after the end of the value")) } else { Ok(()) }
    }

    /// Gives each member of the object that starts here to `visit`, until it says `false` or the object is behind us.
    fn each_member(&mut self, mut visit: impl FnMut(Member) -> bool) -> Result<(), Fault> {
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
    fn skip_value(&mut self, outer: u32) -> Result<Kind, Fault> {
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

const END: &str = "the text ends too early";
const VALUE: &str = "expected a value: an object, an array, a string, a number, true, false or null";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_where_they_are() {
        let body = br#" { "model" : "x" , "n":[1,{"a":null}],"t":-0.5e+3,"o":{},"b":false } "#;
        let found = members(body).unwrap();
        let pairs: Vec<_> = found.iter().map(|m| (&body[m.key.clone()], &body[m.value.clone()], m.kind)).collect();
        assert_eq!(
            pairs,
            [
                (&b"model"[..], &b"\"x\""[..], Kind::String),
                (b"n", br#"[1,{"a":null}]"#, Kind::Array),
                (b"t", b"-0.5e+3", Kind::Number),
                (b"o", b"{}", Kind::Object),
                (b"b", b"false", Kind::Bool),
            ]
        );
        assert_eq!(members(b"{}").unwrap(), []);
    }

    #[test]
    fn faults_point_at_the_place() {
        for (body, at, what) in [
            (&b""[..], 0, END),
            (b"  ", 2, END),
            (b"[]", 0, "expected an object, which starts with '{'"),
            (b"{\"a\":1} x", 8, "there is text after the end of the value"),
            (b"{\"a\":1,}", 7, "expected a key in double quotes"),
            (b"{\"a\" 1}", 5, "expected ':' after a key"),
            (b"{\"a\":01}", 6, "expected ',' or '}' after a member"),
            (b"{\"a\":[1 2]}", 8, "expected ',' or ']' after an element"),
            (b"{\"a\":[1}", 7, "expected ',' or ']' after an element"),
            (b"{\"a\":nul", 8, END),
            (b"{\"a\":nil}", 5, VALUE),
            (b"{\"a\":1.}", 7, "expected a digit"),
            (b"{\"a\":\"\n\"}", 6, "a control character in a string must be escaped"),
            (b"{\"a\":\"\\x\"}", 6, "unknown escape sequence in a string"),
            (b"{\"a\":\"\\u12g4\"}", 6, "expected four hexadecimal digits after \\u"),
            (b"{\"a\":\"\\", 7, "the text ends within a string"),
            (b"\xEF\xBB\xBF{}", 0, "JSON must not start with a byte order mark"),
            (b"{\"a\":\"\xFF\"}", 6, "the text is not UTF-8"),
            (b"{\"a\":1,\"b\":2,\"b\":3,\"a\":4}", 13, REPEATED_KEY),
        ] {
            let fault = members(body).unwrap_err();
            assert_eq!((fault.at, fault.what), (at, what), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn depth_is_bounded_and_the_bound_is_exact() {
        let nest = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(members(nest(128).as_bytes()).is_ok());
        assert_eq!(members(nest(129).as_bytes()).unwrap_err().what, "nested deeper than 128 levels");
        assert!(check("[".repeat(128).as_bytes()).unwrap_err().what == END);
        assert_eq!(check("{\"a\":".repeat(129).as_bytes()).unwrap_err().what, "nested deeper than 128 levels");
        assert_eq!(check(b"[[],{},[{}]]"), Ok(Kind::Array));
    }

    #[test]
    fn many_keys_are_compared_too() {
        let mut body: String = (0..1000).map(|n| format!("\"k{n}\":{n},")).collect();
        body.insert(0, '{');
        assert!(members(format!("{body}\"z\":0}}").as_bytes()).is_ok());
        let fault = members(format!("{body}\"k7\":0,\"k3\":0}}").as_bytes()).unwrap_err();
        assert_eq!((fault.at, fault.what), (body.len(), REPEATED_KEY));
    }

    #[test]
    fn nested_members_are_found() {
        let body = br#"{"a":{"b":1},"stream_options":{"x":[{}],"include_usag\u0065": true}}"#;
        let span = path(body, &["stream_options", "include_usage"]).unwrap();
        assert_eq!(&body[span], b"true");
        assert_eq!(path(body, &["stream_options", "none"]), None);
        assert_eq!(path(body, &["a", "b", "c"]), None);
        assert_eq!(member(b"[1]", "a"), None);
        assert_eq!(member(br#"{"a":1,"#, "a"), Some(5..6));
        assert!(find(body, &members(body).unwrap(), "a").is_some());
    }
}
