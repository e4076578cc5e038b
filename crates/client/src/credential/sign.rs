//! Signatures over whole requests, one file a scheme, for providers and for endpoints of one's own.
//!
//! A scheme is made once, from resolved secrets and plain settings, and signs any number of requests. It sees the very
//! method, address and bytes that go out, and adds headers, or parameters to the address. Nothing may change the
//! request after that, and every new try is signed anew: signatures age.
//!
//! [`MessageSignature`] and [`Verifier`] are the two sides of requests to endpoints of one's own:
//!
//! ```
//! use trunkline::sign::{Draft, Message, MessageKey, MessageSignature, Moment, Sign, Verifier};
//! use trunkline::{Secret, transport::Payload};
//! # fn main() -> trunkline::Result<()> {
//! let key = MessageKey::hmac_sha256(&Secret::new("ZmFrZS1nYXRld2F5LXNoYXJlZC1zZWNyZXQtMzJieXQ="))?;
//!
//! let (method, body) = (http::Method::POST, Payload::whole("{}"));
//! let mut uri = http::Uri::from_static("https://models.example.com/v1/chat/completions");
//! let mut headers = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, "application/json".parse().unwrap())]);
//! let mut draft = Draft { method: &method, uri: &mut uri, headers: &mut headers, body: &body };
//! MessageSignature::new(key.clone(), "house")?.sign(&mut draft, &Moment::take()?)?;
//!
//! // On the other side, kept for as long as the server runs: it remembers which requests it has seen.
//! let verifier = Verifier::new([("house".to_owned(), key)]);
//! let (authority, path, query) = ("models.example.com", "/v1/chat/completions", None);
//! let message = Message { method: "POST", authority, path, query, headers: &headers, body: b"{}" };
//! assert_eq!(verifier.verify(&message, std::time::SystemTime::now())?, "house");
//! assert!(verifier.verify(&message, std::time::SystemTime::now()).is_err(), "a request is good only once");
//! # Ok(())
//! # }
//! ```

pub use super::access_key::AccessKey;
pub use super::bce::Bce;
pub use super::hmac_sha256::HmacSha256;
pub use super::hs256_jwt::Hs256Jwt;
pub use super::message_signature::{Message, MessageKey, MessageSignature, Nonces, SeenNonces, TAG, Verifier};
pub use super::sdk_hmac::SdkHmac;
pub use super::service_account::{SelfSigned, ServiceAccount};
pub use super::sigv4::SigV4;
pub use super::tc3::Tc3;
pub use super::url_hmac::UrlHmac;

use std::time::SystemTime;

use http::{HeaderMap, Method, Uri};

use crate::codec::{Error, Kind, Origin, Result};
use crate::transport::Payload;

/// A finished request on its way to be signed.
pub struct Draft<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its address, absolute; path and query exactly as they go out.
    pub uri: &'a mut Uri,
    /// Its headers. `host` and `content-length` are the transport's business; a scheme that covers the host takes it
    /// from the address, as the transport does.
    pub headers: &'a mut HeaderMap,
    /// Its body.
    pub body: &'a Payload,
}

/// Clock and dice, as arguments, so that worked examples are plain tests.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time to put into the signature.
    pub now: SystemTime,
    /// What makes it the only one of its kind; from a random source that cannot be foretold.
    pub nonce: [u8; 16],
}

impl Moment {
    /// The time of this machine and fresh random bytes.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn take() -> Result<Self> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|e| refuse(format!("the system gives no random bytes: {e}")))?;
        Ok(Moment { now: SystemTime::now(), nonce })
    }
}

/// A way of signing requests.
pub trait Sign: Send + Sync {
    /// Adds the signature.
    ///
    /// # Errors
    /// When something that the signature must cover is missing or cannot be written into it.
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()>;
}

/// What keeps a request from being signed lies with its configuration, hence with us.
pub(super) fn refuse(what: impl Into<String>) -> Error {
    Error::new(Kind::Credential, Origin::Gateway, what)
}
