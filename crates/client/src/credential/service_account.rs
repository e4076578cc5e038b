//! Google's service accounts: a JSON file with a private key, and the RS256 web tokens (RFC 7523) signed with it.

use std::fmt;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use super::canonical::put;
use super::date::Utc;
use super::rs256::Rs256;
use super::sign::{Draft, Moment, Sign, refuse};
use crate::codec::Result;
use crate::secret::Secret;

/// Longest life that a token server allows an assertion.
const LIFETIME: u64 = 3600;

#[derive(Deserialize)]
struct File {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: String,
}

/// An account that can make its own tokens.
pub struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    token_uri: String,
    key: Rs256,
}

impl ServiceAccount {
    /// Reads the JSON file that the console hands out.
    ///
    /// # Errors
    /// When it is none, or its key is no RSA key in PEM form. The message repeats nothing of it.
    pub fn read(json: &Secret) -> Result<Self> {
        let file: File = serde_json::from_str(json.expose())
            .map_err(|e| refuse(format!("this is no service account's JSON file: {}", place(&e))))?;
        let key = Rs256::read(&file.private_key, "the service account")?;
        Ok(Self { email: file.client_email, key_id: file.private_key_id, token_uri: file.token_uri, key })
    }

    /// Where assertions are exchanged for tokens.
    #[must_use]
    pub fn token_uri(&self) -> &str {
        &self.token_uri
    }

    /// An assertion that the token server exchanges for a token with these scopes (separated by spaces), on behalf of
    /// `subject` if there is one. Good for an hour.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn assertion(&self, scope: &str, subject: Option<&str>, now: SystemTime) -> Result<Secret> {
        let issued = Utc::new(now).unix();
        let mut claims = vec![
            ("iat", issued.into()),
            ("exp", (issued + LIFETIME).into()),
            ("iss", self.email.as_str().into()),
            ("aud", self.token_uri.as_str().into()),
            ("scope", scope.into()),
        ];
        claims.extend(subject.map(|subject| ("sub", subject.into())));
        self.token(&claims)
    }

    /// A token that one API takes without a token server: `audience` is its address, `https://HOST/`. Good for an hour.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn self_signed(&self, audience: &str, now: SystemTime) -> Result<Secret> {
        let issued = Utc::new(now).unix();
        self.token(&[
            ("iss", self.email.as_str().into()),
            ("sub", self.email.as_str().into()),
            ("iat", issued.into()),
            ("exp", (issued + LIFETIME).into()),
            ("aud", audience.into()),
        ])
    }

    fn token(&self, claims: &[(&str, Value)]) -> Result<Secret> {
        let mut header: Vec<(&str, Value)> = vec![("typ", "JWT".into()), ("alg", "RS256".into())];
        header.extend(self.key_id.as_deref().map(|id| ("kid", id.into())));
        self.key.token(&header, claims)
    }
}

/// Where JSON goes wrong, without the words found there.
fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("email", &self.email).field("key", &"***").finish_non_exhaustive()
    }
}

/// Signs each request with a token of its own for one API.
#[derive(Debug)]
pub struct SelfSigned {
    /// The account.
    pub account: ServiceAccount,
    /// The API's address, `https://HOST/`.
    pub audience: String,
}

impl Sign for SelfSigned {
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()> {
        let token = self.account.self_signed(&self.audience, moment.now)?;
        put(draft.headers, "authorization", &format!("Bearer {}", token.expose()))
    }
}
