//! Keys of message signatures.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use super::super::digest::from_base64;
use super::super::sign::refuse;
use crate::codec::{Error, Result};
use crate::secret::Secret;

/// Shortest shared key: as long as the hash.
const SHORTEST: usize = 32;

/// What stands before the 32 bytes of an Ed25519 public key in its usual wrapping.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that signs or verifies. The key says which algorithm is meant; what a request says is only compared with it.
#[derive(Clone)]
pub struct MessageKey(Inner);

#[derive(Clone)]
enum Inner {
    Hmac(Arc<hmac::Key>),
    Ed25519(Arc<Ed25519KeyPair>),
    Ed25519Public([u8; 32]),
}

impl MessageKey {
    /// `hmac-sha256`: both sides have the same key, at least 32 bytes, written in Base64.
    ///
    /// # Errors
    /// When it is no Base64 or too short.
    pub fn hmac_sha256(base64: &Secret) -> Result<Self> {
        let bytes = from_base64(base64.expose()).ok_or_else(|| refuse("the signing key is not in Base64"))?;
        if bytes.len() < SHORTEST {
            return Err(refuse(format!("the signing key has {} bytes; it needs at least {SHORTEST}", bytes.len())));
        }
        Ok(Self(Inner::Hmac(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))))
    }

    /// `ed25519`: the private key that signs, as PKCS #8 in PEM form or in plain Base64.
    ///
    /// # Errors
    /// When it is none.
    pub fn ed25519(private: &Secret) -> Result<Self> {
        let unfit = || refuse("the signing key is no Ed25519 private key (PKCS #8 in PEM form or Base64)");
        let text = private.expose();
        let der = match PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()) {
            Ok(der) => der.secret_pkcs8_der().to_vec(),
            Err(_) => from_base64(text).ok_or_else(unfit)?,
        };
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| unfit())?;
        Ok(Self(Inner::Ed25519(Arc::new(pair))))
    }

    /// `ed25519`: the public key that verifies, as `SubjectPublicKeyInfo` in PEM form or in plain Base64.
    ///
    /// # Errors
    /// When it is none.
    pub fn ed25519_public(public: &str) -> Result<Self> {
        let unfit = || refuse("this is no Ed25519 public key (in PEM form or Base64)");
        let der = match SubjectPublicKeyInfoDer::from_pem_slice(public.as_bytes()) {
            Ok(der) => der.to_vec(),
            Err(_) => from_base64(public.trim()).ok_or_else(unfit)?,
        };
        let key = der.strip_prefix(&ED25519_PREFIX).and_then(|key| key.try_into().ok()).ok_or_else(unfit)?;
        Ok(Self(Inner::Ed25519Public(key)))
    }

    /// As the registry of RFC 9421 calls it.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match &self.0 {
            Inner::Hmac(_) => "hmac-sha256",
            Inner::Ed25519(_) | Inner::Ed25519Public(_) => "ed25519",
        }
    }

    pub(super) const fn can_sign(&self) -> bool {
        !matches!(self.0, Inner::Ed25519Public(_))
    }

    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Error> {
        match &self.0 {
            Inner::Hmac(key) => Ok(hmac::sign(key, text).as_ref().to_vec()),
            Inner::Ed25519(pair) => Ok(pair.sign(text).as_ref().to_vec()),
            Inner::Ed25519Public(_) => Err(refuse("a public key cannot sign")),
        }
    }

    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Inner::Hmac(key) => hmac::verify(key, text, signature).is_ok(),
            Inner::Ed25519(pair) => UnparsedPublicKey::new(&ED25519, pair.public_key()).verify(text, signature).is_ok(),
            Inner::Ed25519Public(key) => UnparsedPublicKey::new(&ED25519, key).verify(text, signature).is_ok(),
        }
    }
}

impl fmt::Debug for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(***)", self.algorithm())
    }
}
