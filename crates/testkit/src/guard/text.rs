//! The few operations on texts that checks need.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(super) fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub(super) fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// What a percent-encoded text stands for.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}

/// Percent-encoded, but for what RFC 3986 calls unreserved and what is `safe`.
pub(super) fn encoded(bytes: &[u8], safe: char) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c) || c == safe;
    bytes
        .iter()
        .map(|byte| if keep(char::from(*byte)) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The decoded parameters of a query.
pub(super) fn parameters(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, ""))).map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// `20260102T030405Z` or `2026-01-02T03:04:05Z` → milliseconds since 1970.
pub(super) fn time(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let well_formed = text.ends_with('Z') && text.contains('T') && digits.len() == 14;
    let part = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u64>().ok();
    let clock = part(8..10)? * 3600 + part(10..12)? * 60 + part(12..14)?;
    well_formed.then_some((days(part(0..4)?, part(4..6)?, part(6..8)?) * 86_400 + clock) * 1000)
}

/// `Fri, 02 Jan 2026 03:04:05 GMT` → milliseconds since 1970.
pub(super) fn http_time(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<&str> = text.split_once(", ")?.1.split([' ', ':']).collect();
    let &[day, month, year, hour, minute, second, "GMT"] = words.as_slice() else { return None };
    let month = MONTHS.find(month)? as u64 / 3 + 1;
    let number = |text: &str| text.parse::<u64>().ok();
    let clock = number(hour)? * 3600 + number(minute)? * 60 + number(second)?;
    Some((days(number(year)?, month, number(day)?) * 86_400 + clock) * 1000)
}

/// Counted one by one: slow, and easily seen to be right.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    years + lengths.iter().take(month as usize - 1).sum::<u64>() + day - 1
}
