//! An RSA key and its certificate, by which a token server knows a client (RFC 7523 §2.2).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::date::Utc;
use super::digest::{base64_url, hex};
use super::rs256::Rs256;
use super::sign::{Moment, refuse};
use crate::codec::Result;
use crate::secret::Secret;

/// How long an assertion holds, in seconds.
const LIFETIME: u64 = 600;

/// Signs assertions.
pub(super) struct Certificate {
    key: Rs256,
    /// Which certificate it is (RFC 7515 §4.1.7); SHA-1 is what servers look it up by, and proves nothing.
    thumbprint: String,
}

impl Certificate {
    /// Reads both from one text in PEM form.
    pub(super) fn read(pem: &Secret) -> Result<Self> {
        let key = Rs256::read(pem.expose(), "the certificate")?;
        let own = CertificateDer::from_pem_slice(pem.expose().as_bytes())
            .map_err(|_| refuse("auth: `client_secret` of `oauth2` holds no certificate in PEM form beside the key"))?;
        Ok(Certificate { key, thumbprint: base64_url(digest(&SHA1_FOR_LEGACY_USE_ONLY, &own)) })
    }

    /// Says to `audience` that it is this client who asks.
    pub(super) fn assertion(&self, client: &str, audience: &str, moment: &Moment) -> Result<Secret> {
        let issued = Utc::new(moment.now).unix();
        let header = [("alg", "RS256".into()), ("typ", "JWT".into()), ("x5t", self.thumbprint.as_str().into())];
        let claims = [
            ("aud", audience.into()),
            ("iss", client.into()),
            ("sub", client.into()),
            ("exp", (issued + LIFETIME).into()),
            ("iat", issued.into()),
            ("jti", hex(moment.nonce).into()),
        ];
        self.key.token(&header, &claims)
    }
}
