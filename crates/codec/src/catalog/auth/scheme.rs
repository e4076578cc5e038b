//! What each scheme needs to know, as data.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Auth, Pick, Place, SecretRef};

/// OAuth 2.0 client credentials (RFC 6749 §4.4): `{ oauth2 = { token_url = "…", client_id = "…", client_secret = "…" } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2 {
    /// Where tokens are asked for. `{name}` in it stands for a value of `values`.
    pub token_url: String,
    /// What stands for `{name}` in the address: a tenant, a realm.
    pub values: BTreeMap<String, SecretRef>,
    /// Who asks.
    pub client_id: SecretRef,
    /// The proof.
    pub client_secret: SecretRef,
    /// What the token is for, in the server's own words.
    pub scope: Option<String>,
    /// Whom the token is for; a parameter that some servers want.
    pub audience: Option<String>,
    /// More parameters of the token request.
    pub extra: BTreeMap<String, SecretRef>,
    /// How id and secret travel to the token server.
    pub client_auth: ClientAuth,
    /// Where the token stands in calls. `header` by default: `Authorization: Bearer`.
    pub token_in: Place,
}

/// How a client proves to a token server who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// HTTP Basic, id and secret percent-encoded first.
    #[default]
    Basic,
    /// Among the parameters of the body.
    Body,
    /// All parameters in the address, the body empty: an older form that the RFC forbids and some servers want.
    Query,
    /// The secret is an assertion that somebody else has signed (RFC 7523 §2.2): a token that a platform leaves in a file.
    Assertion,
    /// An assertion is signed each time: the secret is an RSA key and its certificate, both in PEM form.
    Certificate,
}

/// A service account's key file, whose assertion is exchanged for a token (RFC 7523), or a person's refresh token in the
/// same kind of file: `{ service_account = { files = ["…"], scope = "…" } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Paths of JSON files, the first that is there counts. `env:NAME` names a variable that holds a path; `~/` is the
    /// home folder.
    pub files: Vec<SecretRef>,
    /// The file's content itself, instead of a path.
    pub json: Option<SecretRef>,
    /// What the token is for.
    pub scope: String,
    /// Where a person's refresh token is exchanged; an account's file names the address itself.
    pub token_url: Option<String>,
    /// On whose behalf, where an account may act for others.
    pub subject: Option<String>,
}

/// Anything that is exchanged for something short-lived by one request: `{ mint = { url = "…", token = "/token" } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mint {
    /// Where it is asked for.
    pub url: String,
    /// `GET` without a body, else `POST`.
    pub method: Option<String>,
    /// A JSON text; `{name}` in it (and in `url`) stands for a value of `values`, escaped, and `{model}` for the model
    /// that is called: then each model has a token of its own.
    pub body: Option<String>,
    /// Headers of that request.
    pub headers: BTreeMap<String, SecretRef>,
    /// What stands for `{name}`.
    pub values: BTreeMap<String, SecretRef>,
    /// How that request itself is authorised.
    pub sign: Option<Box<Auth>>,
    /// Where the answer has the token.
    pub token: Pick,
    /// Where it has the end of its life: seconds from now, Unix time, or a date and time.
    pub expires: Option<Pick>,
    /// How long it lives where the answer does not say, in seconds.
    pub lifetime_seconds: Option<u64>,
    /// Where the token stands in calls.
    pub token_in: Place,
}

/// AWS Signature Version 4: `{ sigv4 = { region = "…", service = "…" } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigV4 {
    /// Where its keys come from.
    pub keys: AwsKeys,
    /// The region; where it is missing, the variables and the profile are asked.
    pub region: Option<SecretRef>,
    /// The service's signing name.
    pub service: String,
    /// Where the keys of a role are asked for, `{region}` in it: only if the variables or a profile name a role.
    pub sts_url: Option<String>,
    /// Where whoever has signed on gets keys, `{region}` in it: only if a profile names a single sign-on.
    pub sso_url: Option<String>,
}

/// Where the keys of [`SigV4`] come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsKeys {
    /// These.
    Given(KeyPair),
    /// The usual chain: `AWS_ACCESS_KEY_ID` and its companions, the token and the role that variables name, the shared
    /// files' profile (this one, else `AWS_PROFILE`, else `default`), the container's and the machine's address where
    /// variables name one. No other address is contacted.
    Chain {
        /// The profile to use.
        profile: Option<String>,
    },
    /// A container's credential address, which answers with short-lived keys.
    Container {
        /// The address.
        url: SecretRef,
        /// What the address wants in `Authorization`.
        token: Option<SecretRef>,
    },
    /// A machine's metadata service (IMDSv2), e.g. `http://169.254.169.254`.
    Instance {
        /// Its address.
        url: String,
    },
}

/// An access key and its secret, and the token that goes with temporary ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The public half.
    pub access_key: SecretRef,
    /// The secret half.
    pub secret_key: SecretRef,
    /// Only with temporary keys.
    pub session_token: Option<SecretRef>,
}

impl KeyPair {
    /// What is looked up, and whether calls can be made without.
    pub fn references(&self) -> Vec<(&SecretRef, bool)> {
        let both = [(&self.access_key, true), (&self.secret_key, true)].into_iter();
        both.chain(self.session_token.iter().map(|token| (token, false))).collect()
    }
}

/// One of the signatures that are made of an access key and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySignature {
    /// Which.
    pub scheme: KeyScheme,
    /// The keys.
    pub keys: KeyPair,
    /// The region, for those that have one.
    pub region: Option<SecretRef>,
    /// The service's signing name, for those that have one.
    pub service: Option<String>,
    /// Seconds that a signature holds, for those that say so.
    pub lifetime_seconds: Option<u64>,
    /// Headers that are signed beside those that must be, for those that leave it open.
    pub signed_headers: Vec<String>,
}

/// The signatures that are made of an access key and its secret, without [`SigV4`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyScheme {
    /// TC3-HMAC-SHA256: `{ tc3 = { access_key, secret_key, service } }`.
    Tc3,
    /// BCE-AUTH-V1: `{ bce = { access_key, secret_key } }`.
    Bce,
    /// An HMAC in the address, for WebSockets: `{ url_hmac = { access_key, secret_key } }`.
    UrlHmac,
    /// HMAC-SHA256, SigV4's sibling: `{ hmac_sha256 = { access_key, secret_key, region, service } }`.
    HmacSha256,
    /// SDK-HMAC-SHA256: `{ sdk_hmac = { access_key, secret_key } }`.
    SdkHmac,
}

/// A JWT made of an API key `id.secret`: `{ jwt_hs256 = { key = "…" } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtHs256 {
    /// `id.secret`.
    pub key: SecretRef,
    /// Seconds that one JWT holds.
    pub lifetime_seconds: u64,
}

/// HTTP message signatures (RFC 9421) with a content digest (RFC 9530), for endpoints of one's own:
/// `{ message_signature = { key_id = "…", key = "…" } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSignature {
    /// The key's name, known to both sides.
    pub key_id: String,
    /// The shared secret in base64, or for ed25519 the private key in PEM or base64 PKCS#8.
    pub key: SecretRef,
    /// `hmac-sha256` or `ed25519`.
    pub algorithm: MessageAlgorithm,
    /// Seconds that a signature holds.
    pub lifetime_seconds: u64,
    /// The application's tag.
    pub tag: Option<String>,
}

/// How messages are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MessageAlgorithm {
    /// A shared secret.
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// A private key.
    #[serde(rename = "ed25519")]
    Ed25519,
}
