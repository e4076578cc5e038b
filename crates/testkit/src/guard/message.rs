//! RFC 9421 with HMAC-SHA256 or Ed25519, over a content digest; a request is good only once.

use std::collections::HashSet;
use std::sync::Mutex;

use super::text::{base64, from_base64, mac};
use super::{Check, Denial, Pair, body, target};
use crate::provider::{Answer, Seen};

/// A check for one key. The pair's id is the key's; its secret is written in Base64, and is the public key where that is
/// what checks.
pub struct Signature {
    pair: Pair,
    is_public: bool,
    used: Mutex<HashSet<String>>,
}

impl Signature {
    /// Nothing has been used yet.
    #[must_use]
    pub fn new(pair: Pair) -> Self {
        Self { pair, is_public: false, used: Mutex::default() }
    }

    /// The same, for an Ed25519 key pair of which the public key (its 32 bytes) is known here.
    #[must_use]
    pub fn ed25519(pair: Pair) -> Self {
        Self { is_public: true, ..Self::new(pair) }
    }

    fn is_right(&self, text: &str, signature: &str) -> bool {
        let key = from_base64(&self.pair.secret).unwrap();
        if !self.is_public {
            return signature == base64(&mac(&key, text));
        }
        let public = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key);
        from_base64(signature).is_some_and(|signature| public.verify(text.as_bytes(), &signature).is_ok())
    }
}

impl Check for Signature {
    fn check(&self, seen: &Seen, now: u64) -> Result<(), Denial> {
        let input = seen.header("signature-input").strip_prefix("sig1=").ok_or(Denial::Missing)?;
        let signature = seen.header("signature").strip_prefix("sig1=:").and_then(|rest| rest.strip_suffix(':'));
        let (names, params) = input.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or(Denial::Missing)?;
        let param =
            |name: &str| params.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
        let names: Vec<&str> = names.split(' ').map(|name| name.trim_matches('"')).collect();
        let due = ["@method", "@authority", "@path", "@query", "content-type", "content-digest"];
        let due = due.into_iter().filter(|name| *name != "content-type" || seen.headers.contains_key("content-type"));
        if !names.iter().copied().eq(due) {
            return Err(Denial::Wrong);
        }
        if param("keyid").trim_matches('"') != self.pair.id {
            return Err(Denial::Unknown);
        }
        let second = |name| param(name).parse::<u64>().map_err(|_| Denial::Missing);
        let (created, expires) = (second("created")?, second("expires")?);
        if created > now / 1000 + 30 || expires + 30 < now / 1000 || expires - created > 300 {
            return Err(Denial::Untimely);
        }
        let (path, query) = target(seen);
        let value = |name: &str| match name {
            "@method" => seen.method.clone(),
            "@authority" => seen.header("host").to_owned(),
            "@path" => path.to_owned(),
            "@query" => format!("?{query}"),
            name => seen.header(name).to_owned(),
        };
        let lines: String = names.iter().map(|name| format!("\"{name}\": {}\n", value(name))).collect();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &seen.body);
        let text = format!("{lines}\"@signature-params\": {input}");
        let right = signature.is_some_and(|signature| self.is_right(&text, signature))
            && seen.header("content-digest") == format!("sha-256=:{}:", base64(digest.as_ref()));
        let algorithm = if self.is_public { "\"ed25519\"" } else { "\"hmac-sha256\"" };
        if !right || param("tag") != "\"gw-v1\"" || param("alg") != algorithm {
            return Err(Denial::Wrong);
        }
        let nonce = param("nonce").trim_matches('"').to_owned();
        if nonce.len() < 22 || !self.used.lock().unwrap().insert(nonce) {
            return Err(Denial::Used);
        }
        Ok(())
    }

    fn refuse(&self, denial: Denial) -> Answer {
        body::own(denial)
    }
}
