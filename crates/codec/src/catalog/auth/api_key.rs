//! One of several credentials of a provider, and what it may be used for.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Auth, SecretRef};
use crate::catalog::matches;

/// One credential of a provider. In TOML an entry of `api_keys`: a secret for the provider's own scheme, or a table
/// `{ key = "…", models = ["gpt-*"], dialects = […], endpoints = ["/embeddings"], share = 2 }` where `auth = {…}` may
/// stand instead of `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// How it travels.
    pub auth: Auth,
    /// What it is good for.
    pub limits: Limits,
    /// How many calls it takes where others take one; at least 1.
    pub share: u32,
}

/// What a credential may be used for. An empty list is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Patterns (`*` only) of the provider's own model names.
    pub models: Vec<String>,
    /// Dialects.
    pub dialects: Vec<String>,
    /// Patterns of paths under the provider's base address, without query: `/chat/completions`, `/models/*`.
    pub endpoints: Vec<String>,
}

impl Limits {
    /// Whether a call of this model, in this dialect, to this path, may be made.
    pub fn allow(&self, model: &str, dialect: &str, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or(path);
        let any = |patterns: &[String], text: &str| patterns.is_empty() || patterns.iter().any(|one| matches(one, text));
        any(&self.models, model) && any(&self.dialects, dialect) && any(&self.endpoints, path)
    }
}

/// An entry of `api_keys` as written: it takes a provider's scheme to become an [`ApiKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyPatch {
    secret: Result<SecretRef, Auth>,
    limits: Limits,
    share: u32,
}

impl ApiKeyPatch {
    /// The credential, for a provider whose scheme is `auth`.
    pub fn build(self, auth: &Auth) -> ApiKey {
        let auth = match self.secret {
            Ok(secret) => auth.clone().with_secret(secret),
            Err(own) => own,
        };
        ApiKey { auth, limits: self.limits, share: self.share }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeyTable {
    key: Option<SecretRef>,
    auth: Option<Auth>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    dialects: Vec<String>,
    #[serde(default)]
    endpoints: Vec<String>,
    share: Option<u32>,
}

/// The largest share: what a list of them sums up to stays a number.
const SHARE_MAX: u32 = 1_000_000;

impl TryFrom<ApiKeyTable> for ApiKeyPatch {
    type Error = String;

    fn try_from(table: ApiKeyTable) -> Result<Self, String> {
        let secret = match (table.key, table.auth) {
            (Some(key), None) => Ok(key),
            (None, Some(auth)) => Err(auth),
            _ => return Err("an entry of `api_keys` has either `key` or `auth`".to_owned()),
        };
        let share = table.share.unwrap_or(1);
        if share == 0 || share > SHARE_MAX {
            return Err(format!("`share` is a whole number from 1 to {SHARE_MAX}; leave the entry out to use it for nothing"));
        }
        let limits = Limits { models: table.models, dialects: table.dialects, endpoints: table.endpoints };
        Ok(ApiKeyPatch { secret, limits, share })
    }
}

impl<'de> Deserialize<'de> for ApiKeyPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = ApiKeyPatch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret (\"env:NAME\") or { key = \"env:NAME\", models = […], share = 1 }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ApiKeyPatch, E> {
                let secret = SecretRef::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(ApiKeyPatch { secret: Ok(secret), limits: Limits::default(), share: 1 })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ApiKeyPatch, A::Error> {
                let table = ApiKeyTable::deserialize(MapAccessDeserializer::new(map))?;
                ApiKeyPatch::try_from(table).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(Written)
    }
}
