//! Text as it reads once its escapes are undone, with the way back to where it stands: whoever repeats a secret may
//! escape any of its characters, and no list of spellings would be complete.

use std::ops::Range;

/// How characters are hidden behind others.
#[derive(Clone, Copy)]
pub(super) enum Escape {
    /// `\u002f`, `\/`, as strings of JSON have it.
    Json,
    /// `%2f`, as addresses have it.
    Percent,
}

/// Bytes without one kind of escapes.
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// From here on, what was read stands there.
struct Mark {
    read: usize,
    stands: usize,
    /// Byte by byte; otherwise all of it is one escape.
    plain: bool,
}

impl View {
    /// Undoes the escapes; nothing where there are none.
    pub(super) fn new(text: &[u8], escape: Escape) -> Option<View> {
        let sign = match escape {
            Escape::Json => b'\\',
            Escape::Percent => b'%',
        };
        let mut view = View { bytes: Vec::new(), marks: vec![Mark { read: 0, stands: 0, plain: true }] };
        let mut at = 0;
        for found in memchr::memchr_iter(sign, text) {
            // It may be the end of the one before.
            if found < at {
                continue;
            }
            let rest = text.get(found..).unwrap_or_default();
            let undone = match escape {
                Escape::Json => json(rest),
                Escape::Percent => percent(rest),
            };
            let Some((bytes, length)) = undone else { continue };
            view.bytes.extend_from_slice(text.get(at..found).unwrap_or_default());
            view.marks.push(Mark { read: view.bytes.len(), stands: found, plain: false });
            view.bytes.extend_from_slice(&bytes);
            at = found + length;
            view.marks.push(Mark { read: view.bytes.len(), stands: at, plain: true });
        }
        view.bytes.extend_from_slice(text.get(at..).unwrap_or_default());
        (at > 0).then_some(view)
    }

    /// Where what was read at `span` stands.
    pub(super) fn place(&self, span: &Range<usize>) -> Range<usize> {
        let first = self.marks.partition_point(|mark| mark.read <= span.start).saturating_sub(1);
        let last = self.marks.partition_point(|mark| mark.read < span.end).saturating_sub(1);
        let start = self.marks.get(first).map_or(0, |mark| mark.stands + if mark.plain { span.start - mark.read } else { 0 });
        let end = match (self.marks.get(last), self.marks.get(last + 1)) {
            (Some(mark), _) if mark.plain => mark.stands + (span.end - mark.read),
            (_, Some(next)) => next.stands,
            _ => start,
        };
        start..end
    }
}

/// What an escape at the front stands for, and its length.
fn json(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let one = |byte: u8| Some((vec![byte], 2));
    match text.get(1)? {
        b'u' => {
            let first = unit(text, 0)?;
            let pair = unit(text, 6).and_then(|second| char::decode_utf16([first, second]).next()?.ok());
            let (found, length) = match char::decode_utf16([first]).next()? {
                Ok(found) => (found, 6),
                Err(_) => (pair?, 12),
            };
            Some((found.to_string().into_bytes(), length))
        }
        b'n' => one(b'\n'),
        b't' => one(b'\t'),
        b'r' => one(b'\r'),
        other @ (b'"' | b'\\' | b'/' | b'\'') => one(*other),
        _ => None,
    }
}

fn unit(text: &[u8], at: usize) -> Option<u16> {
    let escape = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
}

fn percent(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let digits = text.get(1..3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().map(|byte| (vec![byte], 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_found_where_it_stands() {
        let text = br#"a\u0062\/\ud83d\ude00c%2F\q"#;
        let view = View::new(text, Escape::Json).unwrap();
        assert_eq!(view.bytes, "ab/😀c%2F\\q".as_bytes());
        for (span, place) in
            [(0..1, 0..1), (0..2, 0..7), (1..3, 1..9), (2..3, 7..9), (3..8, 9..22), (4..5, 9..21), (7..13, 21..27)]
        {
            assert_eq!(view.place(&span), place, "{span:?}");
        }
        let view = View::new(text, Escape::Percent).unwrap();
        assert_eq!(view.place(&(22..24)), 22..26);
        assert!(View::new(b"100% \\", Escape::Percent).is_none() && View::new(b"100% \\", Escape::Json).is_none());
    }
}
