//! How a provider is told who calls, and where the secrets for it come from. Nothing is read here: a secret is a
//! reference until the client resolves it.

mod api_key;
mod place;
mod scheme;
mod secret;
mod table;

pub use api_key::{ApiKey, ApiKeyPatch, Limits};
pub use place::{Pick, Place};
pub use scheme::{
    AwsKeys, ClientAuth, JwtHs256, KeyPair, KeyScheme, KeySignature, MessageAlgorithm, MessageSignature, Mint, OAuth2,
    ServiceAccount, SigV4,
};
pub use secret::{CMD_LIFETIME, SecretRef};
pub use table::placeholders;

/// How the caller is recognised. In TOML a table with one scheme, `{ bearer = "…" }`, `{ header = "x-api-key", value = "…" }`,
/// `{ query = "key", value = "…" }`, `{ none = true }`, `{ oauth2 = {…} }` and so on; or a list of such tables, of which
/// the first counts whose secrets are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// No credential at all.
    None,
    /// `Authorization: Bearer <secret>`.
    Bearer(SecretRef),
    /// A header of the provider's own.
    Header {
        /// The header's name, lower case.
        name: String,
        /// The secret.
        value: SecretRef,
    },
    /// A query parameter.
    Query {
        /// The parameter's name.
        name: String,
        /// The secret.
        value: SecretRef,
    },
    /// A token from an OAuth 2.0 server.
    OAuth2(Box<OAuth2>),
    /// A token for a service account.
    ServiceAccount(ServiceAccount),
    /// A token from anywhere else.
    Mint(Box<Mint>),
    /// AWS Signature Version 4.
    SigV4(SigV4),
    /// Another signature made of an access key and its secret.
    Signature(KeySignature),
    /// A JWT made of the secret, for a few minutes at a time.
    JwtHs256(JwtHs256),
    /// RFC 9421.
    MessageSignature(MessageSignature),
    /// The first of these whose secrets are there. Never empty.
    FirstOf(Vec<Auth>),
}

impl Auth {
    /// The secret, if this scheme needs one and only one.
    pub fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Bearer(value) | Self::Header { value, .. } | Self::Query { value, .. } => Some(value),
            Self::JwtHs256(jwt) => Some(&jwt.key),
            Self::MessageSignature(signature) => Some(&signature.key),
            Self::FirstOf(all) => all.iter().find_map(Self::secret),
            _ => None,
        }
    }

    /// The same scheme with another secret; a bearer token where there was no scheme, or one that takes more than a secret.
    #[must_use]
    pub fn with_secret(self, secret: SecretRef) -> Self {
        match self {
            Self::Header { name, .. } => Self::Header { name, value: secret },
            Self::Query { name, .. } => Self::Query { name, value: secret },
            Self::JwtHs256(jwt) => Self::JwtHs256(JwtHs256 { key: secret, ..jwt }),
            Self::MessageSignature(signature) => Self::MessageSignature(MessageSignature { key: secret, ..signature }),
            Self::FirstOf(all) => {
                let takes_one = all.into_iter().find(|auth| auth.secret().is_some());
                takes_one.unwrap_or(Self::None).with_secret(secret)
            }
            _ => Self::Bearer(secret),
        }
    }

    /// Everything that must be known before a call can be made, in order. Of a list, that of its first scheme; see
    /// [`Auth::ways`].
    pub fn secrets(&self) -> Vec<&SecretRef> {
        self.references().into_iter().filter_map(|(reference, needed)| needed.then_some(reference)).collect()
    }

    /// Everything that is looked up, and whether calls can be made without.
    pub fn references(&self) -> Vec<(&SecretRef, bool)> {
        let needed = |reference| (reference, true);
        let optional = |reference| (reference, false);
        match self {
            Self::None => Vec::new(),
            Self::Bearer(value) | Self::Header { value, .. } | Self::Query { value, .. } => vec![needed(value)],
            Self::OAuth2(oauth) => {
                let first = [&oauth.client_id, &oauth.client_secret].into_iter();
                first.chain(oauth.values.values()).chain(oauth.extra.values()).map(needed).collect()
            }
            // One file is enough; which, shows when they are looked for.
            Self::ServiceAccount(account) => account.json.iter().map(needed).chain(account.files.iter().map(optional)).collect(),
            Self::Mint(mint) => {
                let signed = mint.sign.iter().flat_map(|sign| sign.references());
                signed.chain(mint.values.values().chain(mint.headers.values()).map(needed)).collect()
            }
            Self::SigV4(SigV4 { keys, region, .. }) => {
                let own = match keys {
                    AwsKeys::Given(keys) => keys.references(),
                    AwsKeys::Container { url, token } => [needed(url)].into_iter().chain(token.iter().map(optional)).collect(),
                    AwsKeys::Chain { .. } | AwsKeys::Instance { .. } => Vec::new(),
                };
                own.into_iter().chain(region.iter().map(optional)).collect()
            }
            Self::Signature(signature) => {
                signature.keys.references().into_iter().chain(signature.region.iter().map(needed)).collect()
            }
            Self::JwtHs256(jwt) => vec![needed(&jwt.key)],
            Self::MessageSignature(signature) => vec![needed(&signature.key)],
            Self::FirstOf(all) => all.first().map(Self::references).unwrap_or_default(),
        }
    }

    /// The schemes to choose from, in order: the members of a list, else this one.
    pub fn ways(&self) -> &[Auth] {
        match self {
            Self::FirstOf(all) => all,
            one => std::slice::from_ref(one),
        }
    }

    /// Whether calls carry something that is asked for first.
    pub fn is_minted(&self) -> bool {
        match self {
            Self::OAuth2(_) | Self::ServiceAccount(_) | Self::Mint(_) => true,
            Self::SigV4(SigV4 { keys, .. }) => matches!(keys, AwsKeys::Container { .. } | AwsKeys::Instance { .. }),
            Self::FirstOf(all) => all.iter().any(Self::is_minted),
            _ => false,
        }
    }

    /// The environment variables that may hold what it needs, in order.
    pub fn env_names(&self) -> Vec<String> {
        let chain = |auth: &Auth| matches!(auth, Self::SigV4(SigV4 { keys: AwsKeys::Chain { profile: None }, .. }));
        let names = self.ways().iter().flat_map(|way| {
            let files = |auth: &Auth| matches!(auth, Self::ServiceAccount(_));
            let own = way.references().into_iter().filter(|(_, needed)| *needed || files(way));
            let own = own.flat_map(|(reference, _)| reference.env_names().to_vec());
            own.chain(chain(way).then(|| "AWS_ACCESS_KEY_ID".to_owned())).collect::<Vec<_>>()
        });
        let mut seen = Vec::new();
        names.for_each(|name| {
            if !seen.contains(&name) {
                seen.push(name)
            }
        });
        seen
    }

    /// Whether everything it needs is there, as far as variables go: `set` says whether one is set and not empty. A file,
    /// a command or a literal counts as there.
    pub fn is_ready(&self, set: &dyn Fn(&str) -> bool) -> bool {
        let there = |secret: &SecretRef| match secret {
            SecretRef::Env(_) => secret.default_text().is_some() || secret.env_names().iter().any(|name| set(name)),
            _ => true,
        };
        self.ways().iter().any(|way| match way {
            Self::SigV4(SigV4 { keys: AwsKeys::Chain { profile: None }, .. }) => AWS_STARTS.iter().any(|name| set(name)),
            Self::ServiceAccount(account) if account.json.is_none() => account.files.iter().any(there),
            way => way.secrets().into_iter().all(there),
        })
    }
}

/// Each of these variables begins a way to AWS keys.
pub const AWS_STARTS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
];

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn auth(text: &str) -> Result<Auth, String> {
        toml::from_str::<Auth>(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn reads_every_scheme() {
        let env = |names: &[&str]| SecretRef::Env(names.iter().map(|&n| n.to_owned()).collect());
        assert_eq!(auth("bearer = 'env:A_KEY'"), Ok(Auth::Bearer(env(&["A_KEY"]))));
        assert_eq!(auth("none = true"), Ok(Auth::None));
        let header = auth("header = 'X-Goog-Api-Key'\nvalue = 'env:ONE|TWO'").unwrap();
        assert_eq!(header, Auth::Header { name: "x-goog-api-key".to_owned(), value: env(&["ONE", "TWO"]) });
        assert_eq!(header.env_names(), ["ONE", "TWO"]);
        assert!(matches!(auth("query = 'key'\nvalue = 'file:/run/secret'"), Ok(Auth::Query { .. })));
        for wrong in ["none = false", "header = 'x'", "bearer = 'a'\nnone = true", "header = 'a b'\nvalue = 'c'", ""] {
            assert!(auth(wrong).is_err(), "{wrong}");
        }
    }

    /// Every word of every scheme.
    const COMPLETE: &[&str] = &[
        "oauth2 = { token_url = 'https://login.example/{tenant}/token', values = { tenant = 'env:T' }, client_id = 'i', client_secret = 'env:S', scope = 'a b', audience = 'x', extra = { resource = 'r' }, client_auth = 'body', token_in = 'query:access_token' }",
        "oauth2 = { token_url = 'http://127.0.0.1/token', client_id = 'i', client_secret = { cmd = 'pass x', lifetime_seconds = 60 } }",
        "service_account = { files = ['env:G', '~/x.json'], scope = 's', subject = 'me' }",
        "service_account = { json = 'file:/run/account.json', scope = 's' }",
        "mint = { url = 'https://x.example/?A=B', method = 'PUT', body = '{\"id\":\"{model}\",\"who\":\"{who}\"}', values = { who = 'env:W' }, headers = { x-a = 'b' }, sign = { hmac_sha256 = { access_key = 'a', secret_key = 's', region = 'r', service = 'v' } }, token = 'header:X-Subject-Token', expires = '/token/expires_at', lifetime_seconds = 60, token_in = 'header:X-Auth-Token' }",
        "sigv4 = { service = 'bedrock' }",
        "sigv4 = { service = 'bedrock', sts_url = 'https://sts.{region}.example.com' }",
        "sigv4 = { service = 'bedrock', profile = 'work', region = 'env:R' }",
        "sigv4 = { service = 'bedrock', access_key = 'a', secret_key = 's', session_token = 't' }",
        "sigv4 = { service = 'bedrock', container_url = 'env:U', container_token = 'file:/run/t' }",
        "sigv4 = { service = 'bedrock', instance_url = 'http://169.254.169.254' }",
        "tc3 = { access_key = 'a', secret_key = 's', service = 'v' }",
        "tc3 = { access_key = 'a', secret_key = 's', service = 'v', signed_headers = ['x-tc-action'] }",
        "bce = { access_key = 'a', secret_key = 's', lifetime_seconds = 300 }",
        "url_hmac = { access_key = 'a', secret_key = 's' }",
        "sdk_hmac = { access_key = 'a', secret_key = 's', session_token = 't' }",
        "jwt_hs256 = { key = 'env:Z' }",
        "message_signature = { key_id = 'k', key = 'env:M', algorithm = 'ed25519', tag = 'app' }",
    ];

    #[test]
    fn reads_every_word_of_every_scheme() {
        for text in COMPLETE {
            let read = auth(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                read.is_minted(),
                ["oauth2", "service", "mint"].iter().any(|name| text.starts_with(name))
                    || text.contains("_url = 'env")
                    || text.contains("instance_url"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_half_written_scheme_is_told_what_it_lacks() {
        for (text, wanted) in [
            ("oauth2 = { client_id = 'a', client_secret = 'b' }", "auth: `oauth2` lacks `token_url`"),
            ("oauth2 = { token_url = 'http://h/t', client_id = 'a' }", "auth: `oauth2` lacks `client_secret`"),
            (
                "oauth2 = { token_url = 'h/t', client_id = 'a', client_secret = 'b' }",
                "auth: `token_url` of `oauth2` is not an http or https address",
            ),
            ("service_account = { scope = 's' }", "auth: `service_account` needs one of `file`, `files` and `json`"),
            ("service_account = { file = 'x' }", "auth: `service_account` lacks `scope`"),
            ("sigv4 = { region = 'r', service = 's', access_key = 'a' }", "auth: `sigv4` lacks `secret_key`"),
            ("sigv4 = { region = 'r' }", "auth: `sigv4` lacks `service`"),
            ("tc3 = { access_key = 'a', secret_key = 's' }", "auth: `tc3` lacks `service`"),
            ("tc3 = { access_key = 'a', secret_key = 's', service = 'v', region = 'r' }", "auth: `tc3` has no `region`"),
            ("bce = { access_key = 'a' }", "auth: `bce` lacks `secret_key`"),
            ("bce = { access_key = 'a', secret_key = 's', signed_headers = ['x'] }", "auth: `bce` has no `signed_headers`"),
            ("jwt_hs256 = { }", "auth: `jwt_hs256` lacks `key`"),
            ("message_signature = { key = 'x' }", "auth: `message_signature` lacks `key_id`"),
            ("mint = { url = 'http://h/' }", "auth: `mint` lacks `token`"),
            (
                "mint = { url = 'http://h/{who}', token = '/t' }",
                "auth: `{who}` in `mint` stands for nothing; name it in `values`",
            ),
            ("header = 'x'", "auth: `header` lacks `value`"),
        ] {
            assert_eq!(auth(text).unwrap_err(), wanted, "{text}");
        }
        assert!(auth("oauth2 = { token_ur = 'x' }").unwrap_err().starts_with("unknown field `token_ur`"));
        assert!(auth("oauth2 = { token_in = 'cookie:x' }").unwrap_err().starts_with("`cookie:x` says not where"));
        assert!(auth("bearer = 'a'\nsigv4 = { service = 's' }").unwrap_err().starts_with("auth: two schemes at once"));
    }

    #[test]
    fn a_list_of_schemes_is_a_choice() {
        #[derive(Deserialize)]
        struct Holder {
            auth: Auth,
        }
        let text = "auth = [{ bearer = 'env:SHORT' }, { sigv4 = { service = 's', access_key = 'env:A', secret_key = 'env:B' } }]";
        let auth = toml::from_str::<Holder>(text).unwrap().auth;
        assert_eq!(auth.env_names(), ["SHORT", "A", "B"]);
        assert!(auth.is_ready(&|name| name == "SHORT") && auth.is_ready(&|name| name != "SHORT"));
        assert!(!auth.is_ready(&|name| name == "A"), "a pair of keys takes both");
        let key = SecretRef::Literal("k".to_owned());
        assert_eq!(auth.with_secret(key.clone()), Auth::Bearer(key));
        assert!(toml::from_str::<Holder>("auth = []").is_err());
    }

    #[test]
    fn keeps_secrets_out_of_sight() {
        let literal = SecretRef::try_from("sk-very-secret".to_owned()).unwrap();
        let all =
            format!("{literal:?} {literal} {:?} {}", Auth::Bearer(literal.clone()), serde_json::to_string(&literal).unwrap());
        assert!(!all.contains("very-secret"), "{all}");
        let misplaced = SecretRef::try_from("env:sk-very-secret".to_owned()).unwrap_err();
        assert!(!misplaced.contains("very-secret"), "{misplaced}");
        assert!(SecretRef::try_from("env:".to_owned()).is_err());
        assert!(SecretRef::try_from("cmd: ".to_owned()).is_err());
        let region = SecretRef::try_from("env:REGION|OTHER|=here".to_owned()).unwrap();
        assert_eq!(
            (region.env_names().len(), region.default_text(), region.to_string().as_str()),
            (2, Some("here"), "env:REGION|OTHER|=here")
        );
        assert!(SecretRef::try_from("env:=here".to_owned()).is_err());
        assert_eq!(SecretRef::try_from("http://literal".to_owned()), Ok(SecretRef::Literal("http://literal".to_owned())));
    }

    #[test]
    fn a_new_secret_keeps_the_scheme() {
        let new = SecretRef::Literal("x".to_owned());
        let header = auth("header = 'x-api-key'\nvalue = 'env:A'").unwrap().with_secret(new.clone());
        assert_eq!(header, Auth::Header { name: "x-api-key".to_owned(), value: new.clone() });
        assert_eq!(Auth::None.with_secret(new.clone()), Auth::Bearer(new));
    }
}
