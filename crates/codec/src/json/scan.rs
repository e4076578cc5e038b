//! A validating scanner: where the members of an object lie, and whether the text is JSON at all.

use std::ops::Range;

use super::cursor::{Cursor, Kind, Member};
use super::{Fault, REPEATED_KEY, text};

/// The members of the object that `body` is, in their order.
///
/// The whole text is checked: UTF-8, grammar, nothing but white space around the object, at most [`MAX_DEPTH`](super::MAX_DEPTH) levels,
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
    let mut cursor = Cursor::at(text, at);
    cursor.skip_value(0).ok()?;
    Some(at..cursor.offset())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::cursor::{END, VALUE};

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
