//! `Content-Digest` (RFC 9530): the hash of a body as it is sent, in a header.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;

use super::digest::base64;
use super::structured::{Bare, Value, read_dictionary};

/// `sha-256=:…:`
pub(super) fn write(sha256: [u8; 32]) -> String {
    format!("sha-256=:{}:", base64(sha256))
}

/// Whether the header names at least one hash that is still good, and all of those are the body's.
pub(super) fn matches(header: &str, body: &[u8]) -> bool {
    let mut good = 0;
    for member in read_dictionary(header).unwrap_or_default() {
        let algorithm = match member.key {
            "sha-256" => &digest::SHA256,
            "sha-512" => &digest::SHA512,
            _ => continue,
        };
        let Value::Item(Bare::Bytes(claimed)) = member.value else { return false };
        if verify_slices_are_equal(digest::digest(algorithm, body).as_ref(), &claimed).is_err() {
            return false;
        }
        good += 1;
    }
    good > 0
}

#[cfg(test)]
mod tests {
    use super::super::digest::sha256;
    use super::*;

    const BODY: &[u8] = br#"{"hello": "world"}"#;
    const SHA_256: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    const SHA_512: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

    #[test]
    fn the_examples_of_rfc_9530_hold() {
        assert_eq!(write(sha256(BODY)), SHA_256);
        assert_eq!(write(sha256("")), "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
        for header in [SHA_256, SHA_512, &format!("{SHA_512}, {SHA_256}"), &format!("md5=:AA==:, {SHA_256}")] {
            assert!(matches(header, BODY), "{header}");
            assert!(!matches(header, b"{}"), "{header}");
        }
    }

    #[test]
    fn a_digest_without_a_good_hash_says_nothing() {
        let wrong = format!("{SHA_256}, sha-512=:AAAA:");
        for header in ["", "md5=:AA==:", "sha-256=1", "sha-256", "sha-256=:", &wrong] {
            assert!(!matches(header, BODY), "{header}");
        }
    }
}
