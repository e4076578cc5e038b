//! HTTP message signatures (RFC 9421) with a content digest (RFC 9530), for endpoints of one's own: method, address, body
//! and its type cannot be changed on the way, and a request is good for a short time and only once.
//!
//! The profile: `@method @authority @path @query content-type content-digest` are covered, in this order (a request
//! without `content-type` leaves that out); `created`, `expires`, `nonce`, `keyid`, `alg` and `tag` are parameters.

mod base;
mod key;
mod nonce;
mod verify;

pub use key::MessageKey;
pub use nonce::{Nonces, SeenNonces};
pub use verify::{Message, Verifier};

use std::time::Duration;

use http::header::CONTENT_TYPE;

use super::canonical::put;
use super::content_digest;
use super::date::Utc;
use super::digest::{base64, base64_url, sha256_of};
use super::sign::{Draft, Moment, Sign, refuse};
use super::structured::write_text;
use crate::codec::Result;
use base::{Parts, authority};

/// What a signature of this profile calls itself, unless told otherwise.
pub const TAG: &str = "gw-v1";

/// Longest that a signature is good for.
const LIFETIME: Duration = Duration::from_secs(300);

/// What must be covered.
const COVERED: [&str; 6] = ["@method", "@authority", "@path", "@query", "content-type", "content-digest"];

/// The components that a request must cover: all, but for a type that it does not have.
fn covered(has_type: bool) -> impl Iterator<Item = &'static str> {
    COVERED.into_iter().filter(move |name| has_type || *name != "content-type")
}

/// Signs requests with one key.
#[derive(Clone, Debug)]
pub struct MessageSignature {
    key: MessageKey,
    key_id: String,
    tag: String,
    lifetime: Duration,
}

impl MessageSignature {
    /// `key_id` tells the other side which key to check with. Signatures are good for five minutes.
    ///
    /// # Errors
    /// When the id holds anything but printable ASCII, or quotes or backslashes; or the key can only verify.
    pub fn new(key: MessageKey, key_id: &str) -> Result<Self> {
        if !key.can_sign() {
            return Err(refuse("a public key cannot sign"));
        }
        let key_id = write_text(key_id).ok_or_else(|| refuse("a key's id is printable ASCII without quotes and backslashes"))?;
        Ok(Self { key, key_id, tag: format!("\"{TAG}\""), lifetime: LIFETIME })
    }

    /// Another tag than [`TAG`], for an application of one's own.
    ///
    /// # Errors
    /// When it holds anything but printable ASCII, or quotes or backslashes.
    pub fn tagged(mut self, tag: &str) -> Result<Self> {
        self.tag = write_text(tag).ok_or_else(|| refuse("a tag is printable ASCII without quotes and backslashes"))?;
        Ok(self)
    }

    /// How long a signature is good for. Verifiers of this profile allow five minutes.
    #[must_use]
    pub const fn valid_for(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The value of the signature's entry in `Signature-Input`.
    fn params(&self, created: u64, nonce: &str, has_type: bool) -> String {
        let names: Vec<_> = covered(has_type).map(|name| format!("\"{name}\"")).collect();
        let expires = created + self.lifetime.as_secs();
        let (names, key_id, alg, tag) = (names.join(" "), &self.key_id, self.key.algorithm(), &self.tag);
        format!(r#"({names});created={created};expires={expires};nonce="{nonce}";keyid={key_id};alg="{alg}";tag={tag}"#)
    }

    fn sign_with(&self, draft: &mut Draft<'_>, created: u64, nonce: &str) -> Result<()> {
        put(draft.headers, "content-digest", &content_digest::write(sha256_of(draft.body)?))?;
        let has_type = draft.headers.contains_key(CONTENT_TYPE);
        let params = self.params(created, nonce, has_type);
        let parts = Parts {
            method: draft.method.as_str(),
            authority: authority(draft.uri)?,
            path: draft.uri.path(),
            query: draft.uri.query(),
            headers: draft.headers,
        };
        let base = base::write(&parts, covered(has_type), &params)
            .ok_or_else(|| refuse("a header that the signature covers holds characters that cannot be signed"))?;
        let signature = base64(self.key.sign(base.as_bytes())?);
        put(draft.headers, "signature-input", &format!("sig1={params}"))?;
        put(draft.headers, "signature", &format!("sig1=:{signature}:"))
    }
}

impl Sign for MessageSignature {
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()> {
        self.sign_with(draft, Utc::new(moment.now).unix(), &base64_url(moment.nonce))
    }
}

#[cfg(test)]
mod tests;
