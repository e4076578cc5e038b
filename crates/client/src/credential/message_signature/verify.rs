//! The other side: is this request signed by somebody known, now, once, and as it stands?

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};

use super::super::content_digest;
use super::super::date::Utc;
use super::super::structured::{Bare, Member, Value, read_dictionary};
use super::base::{self, Parts};
use super::key::MessageKey;
use super::nonce::{Nonces, SeenNonces};
use super::{LIFETIME, TAG, covered};
use crate::codec::{Error, Kind, Origin, Result};

/// Longest nonce that is remembered.
const NONCE_LIMIT: usize = 256;
/// Shortest: 128 bits, as Base64 writes them, or what comes near.
const NONCE_LEAST: usize = 16;

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `POST`, as sent.
    pub method: &'a str,
    /// The host that the caller asked, with its port if that is not the scheme's own.
    pub authority: &'a str,
    /// The path as sent.
    pub path: &'a str,
    /// The query as sent, without its question mark.
    pub query: Option<&'a str>,
    /// All its headers.
    pub headers: &'a HeaderMap,
    /// Its body as sent, still in its content encoding.
    pub body: &'a [u8],
}

/// Checks requests that were signed with one of the keys it knows.
pub struct Verifier {
    keys: BTreeMap<String, MessageKey>,
    tag: String,
    authority: Option<String>,
    skew: Duration,
    nonces: Box<dyn Nonces>,
}

impl Verifier {
    /// Knows these keys by their ids. Clocks may differ by 30 seconds.
    pub fn new(keys: impl IntoIterator<Item = (String, MessageKey)>) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            tag: TAG.to_owned(),
            authority: None,
            skew: Duration::from_secs(30),
            nonces: Box::<SeenNonces>::default(),
        }
    }

    /// Another tag than [`TAG`].
    #[must_use]
    pub fn tagged(mut self, tag: impl Into<String>) -> Self {
        self.tag = tag.into();
        self
    }

    /// The host under which callers know us, behind a proxy that changes it; lower case, without the usual port.
    #[must_use]
    pub fn known_as(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// Remembers used nonces elsewhere than in this process.
    #[must_use]
    pub fn remembering(mut self, nonces: impl Nonces + 'static) -> Self {
        self.nonces = Box::new(nonces);
        self
    }

    /// Checks a request and takes its nonce. Returns the id of the key that signed it.
    ///
    /// # Errors
    /// When anything is not as it must be. The sentence is for the caller and gives nothing away.
    pub fn verify(&self, message: &Message<'_>, now: SystemTime) -> Result<&str> {
        let inputs = joined(message.headers, "signature-input").ok_or_else(|| deny("the request is not signed"))?;
        let signatures = joined(message.headers, "signature").ok_or_else(|| deny("the request is not signed"))?;
        let inputs = read_dictionary(&inputs).ok_or_else(|| deny("signature-input cannot be read"))?;
        let mut ours = inputs.iter().filter(|input| input.text("tag") == Some(&self.tag));
        let input = ours.next().ok_or_else(|| deny(format!("there is no signature with the tag {}", self.tag)))?;
        if ours.next().is_some() {
            return Err(deny(format!("there are several signatures with the tag {}", self.tag)));
        }
        let key_id = input.text("keyid").ok_or_else(|| deny("the signature names no key"))?;
        let (key_id, key) = self.keys.get_key_value(key_id).ok_or_else(|| deny("the signature's key is not known"))?;
        if input.param("alg").is_some() && input.text("alg") != Some(key.algorithm()) {
            return Err(deny("the signature's algorithm is not that of its key"));
        }
        let has_type = message.headers.contains_key(CONTENT_TYPE);
        if !covers(input, covered(has_type)) {
            let names: Vec<_> = covered(has_type).collect();
            return Err(deny(format!("the signature must cover {}, in this order and nothing else", names.join(" "))));
        }
        let expires = self.timely(input, now)?;
        let nonce = input.text("nonce").filter(|nonce| (NONCE_LEAST..=NONCE_LIMIT).contains(&nonce.len()));
        let nonce = nonce.ok_or_else(|| deny("the signature needs a nonce of 16 to 256 characters"))?;
        let base = self.base(message, input, has_type)?;
        let signature = signature(&signatures, input.key).ok_or_else(|| deny("the signature cannot be read"))?;
        if !key.verifies(base.as_bytes(), &signature) {
            return Err(deny("the signature is not that of this request"));
        }
        if !joined(message.headers, "content-digest").is_some_and(|header| content_digest::matches(&header, message.body)) {
            return Err(deny("the body is not the one that was signed"));
        }
        // Last of all: what is not signed by a known key must not use up memory, nor anybody's nonce.
        if !self.nonces.take(key_id, nonce, expires + self.skew, now) {
            return Err(deny("this signature has been used before"));
        }
        Ok(key_id)
    }

    /// When the signature ends, if now is within its time.
    fn timely(&self, input: &Member<'_>, now: SystemTime) -> Result<SystemTime> {
        let second = |name| input.integer(name).and_then(|second| u64::try_from(second).ok());
        let (Some(created), Some(expires)) = (second("created"), second("expires")) else {
            return Err(deny("the signature does not say when it was created and when it expires"));
        };
        let (now, skew) = (Utc::new(now).unix(), self.skew.as_secs());
        if created > now + skew {
            return Err(deny("the signature is from the future; is the clock right?"));
        }
        if expires.saturating_add(skew) < now {
            return Err(deny("the signature has expired; is the clock right?"));
        }
        if expires < created || expires - created > LIFETIME.as_secs() {
            return Err(deny(format!("a signature is good for {} seconds at most", LIFETIME.as_secs())));
        }
        Ok(UNIX_EPOCH + Duration::from_secs(expires))
    }

    fn base(&self, message: &Message<'_>, input: &Member<'_>, has_type: bool) -> Result<String> {
        let authority = self.authority.clone().unwrap_or_else(|| message.authority.to_ascii_lowercase());
        let Message { method, path, query, headers, .. } = *message;
        let parts = Parts { method, authority, path, query, headers };
        base::write(&parts, covered(has_type), input.raw).ok_or_else(|| deny("what the signature covers cannot be read"))
    }
}

fn covers(input: &Member<'_>, wanted: impl Iterator<Item = &'static str>) -> bool {
    let Value::List(items) = &input.value else { return false };
    let names = items.iter().map(|item| match item {
        (Bare::Text(name), params) if params.is_empty() => name.as_str(),
        _ => "",
    });
    names.eq(wanted)
}

fn signature(header: &str, label: &str) -> Option<Vec<u8>> {
    let found = read_dictionary(header)?.into_iter().find(|member| member.key == label)?;
    match found.value {
        Value::Item(Bare::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}

/// All values of a header as one.
fn joined(headers: &HeaderMap, name: &'static str) -> Option<String> {
    let values = headers.get_all(HeaderName::from_static(name)).iter().map(|value| value.to_str().ok());
    let values = values.collect::<Option<Vec<_>>>()?;
    (!values.is_empty()).then(|| values.join(", "))
}

fn deny(why: impl Into<String>) -> Error {
    Error::new(Kind::Unauthenticated, Origin::Caller, why)
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.keys).field("tag", &self.tag).finish_non_exhaustive()
    }
}
