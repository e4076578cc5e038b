//! JSON strings: their end, their text, and how to write one.

use std::borrow::Cow;

use super::Fault;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks (in each byte's top bit) the bytes of `word` that end a plain run: `"`, `\` and control characters.
///
/// Only the lowest mark is exact: a borrow may set marks above it.
const fn mark_special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let slash = slash.wrapping_sub(ONES) & !slash;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | slash | control) & HIGH
}

const fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// How many bytes of `text` come before the first that a JSON string cannot hold as it is: `"`, `\` or a control
/// character.
///
/// Eight bytes at a time for the many short strings, then 64 at a time (a loop that compiles to vector
/// instructions) for the few long ones.
fn plain_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let marks = mark_special(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
        if at == 64 {
            at += plain_blocks_len(text.get(at..).unwrap_or_default());
        }
    }
    let last = text.get(at..).unwrap_or_default();
    at + last.iter().position(|&byte| is_special(byte)).unwrap_or(last.len())
}

/// How many bytes of `text` come before the first block of 64 that is not all plain, or not whole.
fn plain_blocks_len(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<64>();
    let plain = |block: &&[u8; 64]| !block.iter().fold(false, |seen, &byte| seen | is_special(byte));
    blocks.iter().take_while(plain).count() * 64
}

/// The offset of the closing quote of the string whose text starts at `at` (just after the opening quote).
///
/// Checks escapes and control characters; whether the bytes are UTF-8 is the caller's business.
pub(crate) fn string_end(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        at += plain_len(bytes.get(at..).unwrap_or_default());
        match bytes.get(at) {
            Some(b'"') => return Ok(at),
            Some(b'\\') => at = escape_end(bytes, at)?,
            Some(_) => {
                return Err(Fault::new(at, "a control character in a string must be escaped"));
            }
            None => return Err(Fault::new(bytes.len(), "the text ends within a string")),
        }
    }
}

/// The offset after the escape sequence whose backslash is at `at`.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match bytes.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            Some(_) => Err(Fault::new(at, "expected four hexadecimal digits after \\u")),
            None => Err(Fault::new(bytes.len(), "the text ends within a string")),
        },
        Some(_) => Err(Fault::new(at, "unknown escape sequence in a string")),
        None => Err(Fault::new(bytes.len(), "the text ends within a string")),
    }
}

/// Whether `raw` (a key as it stands between its quotes, escapes and all) says `key`.
pub(crate) fn says(raw: &[u8], key: &str) -> bool {
    match memchr::memchr(b'\\', raw) {
        None => raw == key.as_bytes(),
        Some(_) => *unescape(raw) == *key.as_bytes(),
    }
}

/// What `raw` (the bytes between the quotes of a checked string) says.
///
/// A lone surrogate, which the grammar allows and UTF-8 cannot hold, comes out in the three bytes that UTF-8 would
/// use if it could, so that two keys can still be told apart.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', raw) else {
        return Cow::Borrowed(raw);
    };
    let mut out = Vec::with_capacity(raw.len());
    let (mut start, mut at) = (0, first);
    loop {
        out.extend_from_slice(raw.get(start..at).unwrap_or_default());
        start = at + 2;
        match raw.get(at + 1) {
            Some(b'b') => out.push(0x08),
            Some(b'f') => out.push(0x0C),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'u') => {
                let (code, end) = read_code(raw, at);
                push_code(&mut out, code);
                start = end;
            }
            Some(&other) => out.push(other),
            None => return Cow::Owned(out),
        }
        match memchr::memchr(b'\\', raw.get(start..).unwrap_or_default()) {
            Some(next) => at = start + next,
            None => break,
        }
    }
    out.extend_from_slice(raw.get(start..).unwrap_or_default());
    Cow::Owned(out)
}

/// The code point of the `\u` escape at `at` (of the pair, if two make one) and the offset after it.
fn read_code(raw: &[u8], at: usize) -> (u32, usize) {
    let unit = |at: usize| -> Option<u32> {
        let escape = raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
        escape.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
    };
    match (unit(at), unit(at + 6)) {
        (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
            (0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00), at + 12)
        }
        (Some(code), _) => (code, at + 6),
        (None, _) => (u32::from(char::REPLACEMENT_CHARACTER), at + 2),
    }
}

fn push_code(out: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(letter) => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        // A lone surrogate: three bytes of six bits each, the first with its marker.
        None => out.extend([0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F].map(|byte| byte as u8)),
    }
}

/// The text of a JSON string given with its quotes; nothing if it is no string, or holds half a surrogate pair.
///
/// Borrows where nothing is escaped.
#[must_use]
pub fn unquote(json: &[u8]) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if string_end(json, 1).ok()? != inner.len() + 1 {
        return None;
    }
    match unescape(inner) {
        Cow::Borrowed(text) => std::str::from_utf8(text).ok().map(Cow::Borrowed),
        Cow::Owned(text) => String::from_utf8(text).ok().map(Cow::Owned),
    }
}

/// The text of the string that starts at the first byte, whatever follows it.
pub(crate) fn first_string(json: &[u8]) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix(b"\"")?;
    match unescape(inner.get(..string_end(inner, 0).ok()?)?) {
        Cow::Borrowed(text) => Some(String::from_utf8_lossy(text)),
        Cow::Owned(text) => Some(Cow::Owned(String::from_utf8_lossy(&text).into_owned())),
    }
}

/// `text` as a JSON string with its quotes.
///
/// Escapes what has to be escaped and nothing else: `"`, `\` and control characters.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_quoted(&mut out, text);
    out
}

fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while !rest.is_empty() {
        // A special byte is ASCII, so the cut always falls between characters.
        let Some((plain, after)) = rest.split_at_checked(plain_len(rest.as_bytes())) else {
            break;
        };
        out.push_str(plain);
        let mut letters = after.chars();
        match letters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(control) => {
                out.push_str("\\u");
                let digit = |shift: u32| char::from_digit(u32::from(control) >> shift & 0xF, 16);
                out.extend([12, 8, 4, 0].into_iter().filter_map(digit));
            }
            None => {}
        }
        rest = letters.as_str();
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_is_found_at_every_offset() {
        for len in 0..200 {
            let mut text = vec![0xC3; len];
            assert_eq!(plain_len(&text), len);
            for at in 0..len {
                for special in [b'"', b'\\', 0, 0x1F] {
                    text[at] = special;
                    // A second one behind it must not matter.
                    let behind = text.get(at + 1).copied();
                    if let Some(byte) = text.get_mut(at + 1) {
                        *byte = b'"';
                    }
                    assert_eq!(plain_len(&text), at);
                    if let (Some(byte), Some(old)) = (text.get_mut(at + 1), behind) {
                        *byte = old;
                    }
                }
                for plain in [0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F, 0x80, 0xA2, 0xDC, 0xFF] {
                    text[at] = plain;
                    assert_eq!(plain_len(&text), len, "{plain:#x} at {at}");
                }
            }
        }
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(unquote(br#""a\n\u00e9\ud83d\ude00\/""#).as_deref(), Some("a\né😀/"));
        assert_eq!(unquote(br#""\ud83d""#), None);
        assert_eq!(unquote(br#""a"b""#), None);
        assert_eq!(unquote(br#""a\""#), None);
        assert_eq!(unquote(b"\""), None);
        assert!(matches!(unquote(b"\"plain\""), Some(Cow::Borrowed("plain"))));
        assert_ne!(unescape(br"\ud83d"), unescape(br"\ud83e"));
    }

    #[test]
    fn quoting_agrees_with_serde() {
        for text in ["", "plain", "\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}é😀", "ends in a quote\""] {
            assert_eq!(quote(text), serde_json::to_string(text).unwrap());
        }
    }
}
