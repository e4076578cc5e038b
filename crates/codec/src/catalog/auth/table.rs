//! `auth` as written. Keys are strict, and what is missing is named together with the scheme that misses it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::place::header_name;
use super::scheme::{
    AwsKeys, ClientAuth, JwtHs256, KeyPair, KeyScheme, KeySignature, MessageAlgorithm, MessageSignature, Mint, OAuth2,
    ServiceAccount, SigV4,
};
use super::{Auth, Pick, Place, SecretRef};

/// One table; which keys stand together is checked when it becomes an [`Auth`].
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AuthTable {
    bearer: Option<SecretRef>,
    header: Option<String>,
    query: Option<String>,
    value: Option<SecretRef>,
    none: Option<bool>,
    oauth2: Option<OAuth2Table>,
    service_account: Option<ServiceAccountTable>,
    mint: Option<MintTable>,
    sigv4: Option<SigV4Table>,
    tc3: Option<KeyTable>,
    bce: Option<KeyTable>,
    url_hmac: Option<KeyTable>,
    hmac_sha256: Option<KeyTable>,
    sdk_hmac: Option<KeyTable>,
    jwt_hs256: Option<JwtTable>,
    message_signature: Option<MessageTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OAuth2Table {
    token_url: Option<String>,
    values: BTreeMap<String, SecretRef>,
    client_id: Option<SecretRef>,
    client_secret: Option<SecretRef>,
    scope: Option<String>,
    audience: Option<String>,
    extra: BTreeMap<String, SecretRef>,
    client_auth: ClientAuth,
    token_in: Place,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServiceAccountTable {
    files: Vec<SecretRef>,
    file: Option<SecretRef>,
    json: Option<SecretRef>,
    scope: Option<String>,
    token_url: Option<String>,
    subject: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MintTable {
    url: Option<String>,
    method: Option<String>,
    body: Option<String>,
    headers: BTreeMap<String, SecretRef>,
    values: BTreeMap<String, SecretRef>,
    sign: Option<Box<Auth>>,
    token: Option<Pick>,
    expires: Option<Pick>,
    lifetime_seconds: Option<u64>,
    token_in: Place,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SigV4Table {
    access_key: Option<SecretRef>,
    secret_key: Option<SecretRef>,
    session_token: Option<SecretRef>,
    profile: Option<String>,
    container_url: Option<SecretRef>,
    container_token: Option<SecretRef>,
    instance_url: Option<String>,
    region: Option<SecretRef>,
    service: Option<String>,
    sts_url: Option<String>,
    sso_url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct KeyTable {
    access_key: Option<SecretRef>,
    secret_key: Option<SecretRef>,
    session_token: Option<SecretRef>,
    region: Option<SecretRef>,
    service: Option<String>,
    lifetime_seconds: Option<u64>,
    signed_headers: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct JwtTable {
    key: Option<SecretRef>,
    lifetime_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MessageTable {
    key_id: Option<String>,
    key: Option<SecretRef>,
    algorithm: MessageAlgorithm,
    lifetime_seconds: Option<u64>,
    tag: Option<String>,
}

/// What a scheme cannot do without.
fn need<T>(value: Option<T>, scheme: &str, key: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("auth: `{scheme}` lacks `{key}`"))
}

fn web_address(url: String, scheme: &str, key: &str) -> Result<String, String> {
    match url.split_once("://") {
        Some(("http" | "https", rest)) if !rest.is_empty() => Ok(url),
        _ => Err(format!("auth: `{key}` of `{scheme}` is not an http or https address")),
    }
}

impl TryFrom<OAuth2Table> for OAuth2 {
    type Error = String;

    fn try_from(table: OAuth2Table) -> Result<Self, String> {
        let scheme = "oauth2";
        Ok(OAuth2 {
            token_url: web_address(need(table.token_url, scheme, "token_url")?, scheme, "token_url")?,
            values: table.values,
            client_id: need(table.client_id, scheme, "client_id")?,
            client_secret: need(table.client_secret, scheme, "client_secret")?,
            scope: table.scope,
            audience: table.audience,
            extra: table.extra,
            client_auth: table.client_auth,
            token_in: table.token_in,
        })
    }
}

impl TryFrom<ServiceAccountTable> for ServiceAccount {
    type Error = String;

    fn try_from(table: ServiceAccountTable) -> Result<Self, String> {
        let scheme = "service_account";
        let files: Vec<SecretRef> = table.file.into_iter().chain(table.files).collect();
        if files.is_empty() == table.json.is_none() {
            return Err(format!("auth: `{scheme}` needs one of `file`, `files` and `json`"));
        }
        let scope = need(table.scope, scheme, "scope")?;
        let token_url = table.token_url.map(|url| web_address(url, scheme, "token_url")).transpose()?;
        Ok(ServiceAccount { files, json: table.json, scope, token_url, subject: table.subject })
    }
}

impl TryFrom<MintTable> for Mint {
    type Error = String;

    fn try_from(table: MintTable) -> Result<Self, String> {
        let scheme = "mint";
        let known = |name: &str| name == "model" || table.values.contains_key(name);
        let written = [table.url.as_deref(), table.body.as_deref()];
        if let Some(name) = written.into_iter().flatten().flat_map(placeholders).find(|name| !known(name)) {
            return Err(format!("auth: `{{{name}}}` in `{scheme}` stands for nothing; name it in `values`"));
        }
        for name in table.headers.keys() {
            header_name(name)?;
        }
        if let Some(sign) = &table.sign
            && sign.is_minted()
        {
            return Err(format!("auth: `sign` of `{scheme}` must need no token itself"));
        }
        Ok(Mint {
            url: web_address(need(table.url, scheme, "url")?, scheme, "url")?,
            method: table.method,
            body: table.body,
            headers: table.headers,
            values: table.values,
            sign: table.sign,
            token: need(table.token, scheme, "token")?,
            expires: table.expires,
            lifetime_seconds: table.lifetime_seconds,
            token_in: table.token_in,
        })
    }
}

/// The names in braces: only what looks like one, since a JSON text is full of braces.
pub fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        (plain && !name.is_empty()).then_some(name)
    })
}

impl TryFrom<SigV4Table> for SigV4 {
    type Error = String;

    fn try_from(table: SigV4Table) -> Result<Self, String> {
        let scheme = "sigv4";
        let given = table.access_key.is_some() || table.secret_key.is_some() || table.session_token.is_some();
        let ways = [given, table.profile.is_some(), table.container_url.is_some(), table.instance_url.is_some()];
        if ways.into_iter().filter(|&way| way).count() > 1 {
            return Err(format!(
                "auth: `{scheme}` takes its keys from one place: `access_key` and `secret_key`, `profile`, `container_url` or `instance_url`"
            ));
        }
        if table.container_token.is_some() && table.container_url.is_none() {
            return Err(format!("auth: `{scheme}` lacks `container_url`, which `container_token` is for"));
        }
        let keys = match (table.container_url, table.instance_url) {
            (Some(url), _) => AwsKeys::Container { url, token: table.container_token },
            (None, Some(url)) => AwsKeys::Instance { url: web_address(url, scheme, "instance_url")? },
            (None, None) if given => AwsKeys::Given(KeyPair {
                access_key: need(table.access_key, scheme, "access_key")?,
                secret_key: need(table.secret_key, scheme, "secret_key")?,
                session_token: table.session_token,
            }),
            (None, None) => AwsKeys::Chain { profile: table.profile },
        };
        let sts_url = table.sts_url.map(|url| web_address(url, scheme, "sts_url")).transpose()?;
        let sso_url = table.sso_url.map(|url| web_address(url, scheme, "sso_url")).transpose()?;
        Ok(SigV4 { keys, region: table.region, service: need(table.service, scheme, "service")?, sts_url, sso_url })
    }
}

impl KeyTable {
    fn read(self, scheme: KeyScheme) -> Result<KeySignature, String> {
        let name = scheme.name();
        let Takes { region: takes_region, service: takes_service, lifetime: takes_lifetime, headers: takes_headers } =
            scheme.takes();
        let strange = [
            ("region", self.region.is_some() && !takes_region),
            ("service", self.service.is_some() && !takes_service),
            ("lifetime_seconds", self.lifetime_seconds.is_some() && !takes_lifetime),
            ("signed_headers", !self.signed_headers.is_empty() && !takes_headers),
        ];
        if let Some((key, _)) = strange.into_iter().find(|(_, strange)| *strange) {
            return Err(format!("auth: `{name}` has no `{key}`"));
        }
        if takes_region && self.region.is_none() {
            return Err(format!("auth: `{name}` lacks `region`"));
        }
        if takes_service && self.service.is_none() {
            return Err(format!("auth: `{name}` lacks `service`"));
        }
        let keys = KeyPair {
            access_key: need(self.access_key, name, "access_key")?,
            secret_key: need(self.secret_key, name, "secret_key")?,
            session_token: self.session_token,
        };
        let KeyTable { region, service, lifetime_seconds, signed_headers, .. } = self;
        Ok(KeySignature { scheme, keys, region, service, lifetime_seconds, signed_headers })
    }
}

impl KeyScheme {
    /// As it is written in TOML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tc3 => "tc3",
            Self::Bce => "bce",
            Self::UrlHmac => "url_hmac",
            Self::HmacSha256 => "hmac_sha256",
            Self::SdkHmac => "sdk_hmac",
        }
    }

    const fn takes(self) -> Takes {
        let none = Takes { region: false, service: false, lifetime: false, headers: false };
        match self {
            Self::Tc3 => Takes { service: true, headers: true, ..none },
            Self::Bce => Takes { lifetime: true, ..none },
            Self::HmacSha256 => Takes { region: true, service: true, ..none },
            Self::UrlHmac | Self::SdkHmac => none,
        }
    }
}

/// What belongs to a scheme. Region and service are needed where they do.
struct Takes {
    region: bool,
    service: bool,
    lifetime: bool,
    headers: bool,
}

/// A JWT is made anew this often.
const JWT_LIFETIME: u64 = 210;
/// How long a message's signature holds.
const MESSAGE_LIFETIME: u64 = 300;

impl TryFrom<JwtTable> for JwtHs256 {
    type Error = String;

    fn try_from(table: JwtTable) -> Result<Self, String> {
        let key = need(table.key, "jwt_hs256", "key")?;
        Ok(JwtHs256 { key, lifetime_seconds: table.lifetime_seconds.unwrap_or(JWT_LIFETIME).max(1) })
    }
}

impl TryFrom<MessageTable> for MessageSignature {
    type Error = String;

    fn try_from(table: MessageTable) -> Result<Self, String> {
        let scheme = "message_signature";
        Ok(MessageSignature {
            key_id: need(table.key_id, scheme, "key_id")?,
            key: need(table.key, scheme, "key")?,
            algorithm: table.algorithm,
            lifetime_seconds: table.lifetime_seconds.unwrap_or(MESSAGE_LIFETIME).max(1),
            tag: table.tag,
        })
    }
}

impl TryFrom<AuthTable> for Auth {
    type Error = String;

    fn try_from(table: AuthTable) -> Result<Self, String> {
        let signature = |table: Option<KeyTable>, scheme| table.map(|table| table.read(scheme).map(Auth::Signature));
        let header = table.header.map(|name| {
            let value = table.value.clone().ok_or("auth: `header` lacks `value`")?;
            Ok(Auth::Header { name: header_name(&name)?, value })
        });
        let query = table.query.map(|name| {
            let value = table.value.clone().ok_or("auth: `query` lacks `value`")?;
            if name.is_empty() { Err("auth: `query` is empty".to_owned()) } else { Ok(Auth::Query { name, value }) }
        });
        if table.value.is_some() && header.is_none() && query.is_none() {
            return Err("auth: `value` stands with `header` or `query`".to_owned());
        }
        let none =
            table.none.map(|none| if none { Ok(Auth::None) } else { Err("auth: `none` is true or not there at all".to_owned()) });
        let written = [
            table.bearer.map(|secret| Ok(Auth::Bearer(secret))),
            header,
            query,
            none,
            table.oauth2.map(|table| OAuth2::try_from(table).map(Box::new).map(Auth::OAuth2)),
            table.service_account.map(|table| ServiceAccount::try_from(table).map(Auth::ServiceAccount)),
            table.mint.map(|table| Mint::try_from(table).map(Box::new).map(Auth::Mint)),
            table.sigv4.map(|table| SigV4::try_from(table).map(Auth::SigV4)),
            signature(table.tc3, KeyScheme::Tc3),
            signature(table.bce, KeyScheme::Bce),
            signature(table.url_hmac, KeyScheme::UrlHmac),
            signature(table.hmac_sha256, KeyScheme::HmacSha256),
            signature(table.sdk_hmac, KeyScheme::SdkHmac),
            table.jwt_hs256.map(|table| JwtHs256::try_from(table).map(Auth::JwtHs256)),
            table.message_signature.map(|table| MessageSignature::try_from(table).map(Auth::MessageSignature)),
        ];
        let mut written = written.into_iter().flatten();
        match (written.next(), written.next()) {
            (Some(one), None) => one,
            (None, _) => Err(FORMS.to_owned()),
            (Some(_), Some(_)) => Err(format!("auth: two schemes at once; {FORMS}, or a list of them")),
        }
    }
}

const FORMS: &str = "write one of { bearer = \"env:NAME\" }, { header = \"x-api-key\", value = \"env:NAME\" }, \
     { query = \"key\", value = \"env:NAME\" }, { none = true } or another scheme: oauth2, service_account, mint, sigv4, tc3, \
     bce, url_hmac, hmac_sha256, sdk_hmac, jwt_hs256, message_signature";

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Auth;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table such as { bearer = \"env:NAME\" }, or a list of such tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Auth, A::Error> {
                let table = AuthTable::deserialize(MapAccessDeserializer::new(map))?;
                Auth::try_from(table).map_err(A::Error::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Auth, A::Error> {
                let mut all = Vec::<Auth>::deserialize(SeqAccessDeserializer::new(list))?;
                match (all.pop(), all.is_empty()) {
                    (None, _) => Err(A::Error::custom(FORMS)),
                    (Some(only), true) => Ok(only),
                    (Some(last), false) => {
                        all.push(last);
                        Ok(Auth::FirstOf(all))
                    }
                }
            }
        }
        deserializer.deserialize_any(Written)
    }
}
