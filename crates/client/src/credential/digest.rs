//! Hashes and codes, in the few spellings that signatures use.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::codec::{Error, Kind, Origin, Result};
use crate::transport::Payload;

/// SHA-256 of a text.
pub(crate) fn sha256(text: impl AsRef<[u8]>) -> [u8; 32] {
    fixed(digest::digest(&digest::SHA256, text.as_ref()).as_ref())
}

/// SHA-256 of a body, piece by piece.
///
/// # Errors
/// When some of it is still on its way: the hash goes out before the body does.
pub(super) fn sha256_of(body: &Payload) -> Result<[u8; 32]> {
    if body.is_stream() {
        let what = "a body that is still on its way cannot be signed; send one whose length is known and that fits in memory";
        return Err(Error::new(Kind::Unsupported, Origin::Gateway, what));
    }
    let mut context = digest::Context::new(&digest::SHA256);
    for piece in body.iter() {
        context.update(piece);
    }
    Ok(fixed(context.finish().as_ref()))
}

/// SHA-1 of a text, in hexadecimal: where names of files are made so, and for nothing that must be safe.
pub(crate) fn sha1_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// HMAC-SHA256.
pub(super) fn hmac_sha256(key: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
    fixed(hmac::sign(&key, text.as_ref()).as_ref())
}

/// A key derived step by step: each step's result is the key of the next.
pub(super) fn derive<'a>(start: &str, steps: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    steps.into_iter().fold(start.as_bytes().to_vec(), |key, step| hmac_sha256(key, step).to_vec())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Base64 with padding.
pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Base64 for addresses and JSON web tokens: `-` and `_`, no padding.
pub(super) fn base64_url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a text in Base64 with padding, if it is one.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The algorithm says how long its output is; its type does not.
fn fixed(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or_default()
}
