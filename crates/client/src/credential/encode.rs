//! Percent-encoding, as signatures want it: one spelling for each text (RFC 3986, upper-case hex).

use std::fmt::Write as _;

/// All but letters, digits and `-._~` as `%XX`.
pub(crate) fn strict(text: impl AsRef<[u8]>) -> String {
    encode(text.as_ref(), b"")
}

/// As [`strict`], but leaves the slashes of a path.
pub(crate) fn path(text: impl AsRef<[u8]>) -> String {
    encode(text.as_ref(), b"/")
}

/// As HTML forms do it: a space is a plus sign.
pub(crate) fn form(text: &str) -> String {
    encode(text.as_bytes(), b" ").replace(' ', "+")
}

/// An encoded text with small hexadecimal digits.
pub(crate) fn lower(encoded: &str) -> String {
    let mut left = 0_u8;
    let small = |c: char| {
        let digit = left > 0;
        left = if c == '%' { 2 } else { left.saturating_sub(1) };
        if digit { c.to_ascii_lowercase() } else { c }
    };
    encoded.chars().map(small).collect()
}

fn encode(text: &[u8], kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || kept.contains(byte) {
            out.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The bytes that a percent-encoded text stands for. A plus sign is a plus sign; what is no escape stays as it is.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = match (byte, after) {
            (b'%', [high, low, after @ ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*byte, after));
        out.push(byte);
        rest = after;
    }
    out
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The decoded parameters of a query, in its order. One without `=` has an empty value; empty ones do not count.
pub(super) fn pairs(query: Option<&str>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let parameters = query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty());
    parameters
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(k, v)| (decode(k), decode(v)))
        .collect()
}

/// The query in one spelling: every parameter `name=value`, encoded anew, sorted by the encoded text.
pub(super) fn query(query: Option<&str>) -> String {
    let mut encoded: Vec<_> = pairs(query).iter().map(|(name, value)| (strict(name), strict(value))).collect();
    encoded.sort();
    join(encoded)
}

/// As [`query`], sorted before encoding.
pub(super) fn query_sorted_decoded(query: Option<&str>) -> String {
    let mut decoded = pairs(query);
    decoded.sort();
    join(decoded.iter().map(|(name, value)| (strict(name), strict(value))))
}

fn join(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_spelling() {
        assert_eq!(strict("aZ0-._~ /+%é"), "aZ0-._~%20%2F%2B%25%C3%A9");
        assert_eq!(path("/a b/c%3A"), "/a%20b/c%253A");
        assert_eq!(form("Fri, 02 Jan"), "Fri%2C+02+Jan");
        assert_eq!(decode("a%3a%3A%zz%4"), b"a::%zz%4");
    }

    #[test]
    fn parameters_are_sorted_by_what_goes_out_or_by_what_it_means() {
        let odd = Some("b=%32&a&&~=1&%C3%A9=2&b=1");
        assert_eq!(query(odd), "%C3%A9=2&a=&b=1&b=2&~=1");
        assert_eq!(query_sorted_decoded(odd), "a=&b=1&b=2&~=1&%C3%A9=2");
        assert_eq!(query(None), "");
    }
}
