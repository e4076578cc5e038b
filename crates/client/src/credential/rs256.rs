//! JSON web tokens signed with an RSA key (RFC 7515, RS256).

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::digest::base64_url;
use super::sign::refuse;
use crate::codec::Result;
use crate::secret::Secret;

/// A key that signs tokens.
pub(super) struct Rs256(RsaKeyPair);

impl Rs256 {
    /// Reads a key in PEM form; `whose` is for messages.
    pub(super) fn read(pem: &str, whose: &str) -> Result<Self> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| refuse(format!("{whose}'s private_key is not in PEM form")))?;
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
            _ => None,
        };
        key.map(Self).ok_or_else(|| refuse(format!("{whose}'s private_key is no usable RSA key")))
    }

    /// A token with these fields, in their order.
    pub(super) fn token(&self, header: &[(&str, Value)], claims: &[(&str, Value)]) -> Result<Secret> {
        let text = format!("{}.{}", base64_url(write(header)), base64_url(write(claims)));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| refuse("the RSA key cannot sign"))?;
        Ok(Secret::new(&format!("{text}.{}", base64_url(signature))))
    }
}

impl fmt::Debug for Rs256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An object in the order and with the spaces of a vendor's library, so that both can be compared byte for byte.
fn write(object: &[(&str, Value)]) -> String {
    let fields: Vec<_> = object.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", fields.join(", "))
}
