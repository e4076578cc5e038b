//! A JSON web token that the caller makes himself from a key `id.secret` (Zhipu). Its times are in milliseconds, which
//! no library for such tokens expects.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::canonical::put;
use super::digest::{base64_url, hmac_sha256};
use super::sign::{Draft, Moment, Sign, refuse};
use crate::codec::Result;
use crate::secret::Secret;

/// As the vendor's own library writes it, byte for byte.
const HEADER: &str = r#"{"alg":"HS256","sign_type":"SIGN","typ":"JWT"}"#;

/// Adds a fresh token to every request. It does not cover the request.
#[derive(Clone, Debug)]
pub struct Hs256Jwt {
    id: Secret,
    secret: Secret,
    lifetime: Duration,
}

impl Hs256Jwt {
    /// From a key of the form `id.secret`. Tokens are good for 210 seconds.
    ///
    /// # Errors
    /// When the key has another form.
    pub fn new(key: &Secret) -> Result<Self> {
        let parts = key.expose().split_once('.').filter(|(id, secret)| !id.is_empty() && !secret.is_empty());
        let (id, secret) = parts.ok_or_else(|| refuse("the key has no dot between its id and its secret"))?;
        Ok(Self { id: Secret::new(id), secret: Secret::new(secret), lifetime: Duration::from_secs(210) })
    }

    /// How long a token is good for.
    #[must_use]
    pub const fn valid_for(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// A token.
    #[must_use]
    pub fn token(&self, now: SystemTime) -> Secret {
        self.with_header(HEADER, now)
    }

    fn with_header(&self, header: &str, now: SystemTime) -> Secret {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let expires = (now + self.lifetime).as_millis();
        let id = serde_json::Value::from(self.id.expose());
        let payload = format!(r#"{{"api_key":{id},"exp":{expires},"timestamp":{}}}"#, now.as_millis());
        let text = format!("{}.{}", base64_url(header), base64_url(payload));
        let signature = base64_url(hmac_sha256(self.secret.expose(), &text));
        Secret::new(&format!("{text}.{signature}"))
    }
}

impl Sign for Hs256Jwt {
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()> {
        put(draft.headers, "authorization", &format!("Bearer {}", self.token(moment.now).expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_without_its_type_is_signed_alike() {
        let jwt = Hs256Jwt::new(&Secret::new("fakeid0123456789.fakeSecretABCDEF")).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let token = jwt.with_header(r#"{"alg":"HS256","sign_type":"SIGN"}"#, now);
        assert!(token.expose().ends_with("MDQ1MDAwfQ.-vBitS2kgvsqnUrH0wOfx6ihPTMr4adgCyU6SeWZ9zA"));
    }

    #[test]
    fn a_key_without_a_dot_is_refused() {
        for key in ["", "a", "a.", ".b"] {
            assert!(Hs256Jwt::new(&Secret::new(key)).is_err(), "{key}");
        }
    }
}
