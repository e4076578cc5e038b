//! `SDK-HMAC-SHA256`, the signature of Huawei Cloud: no scope, and no key derived.

use super::access_key::AccessKey;
use super::canonical::{Covered, put, usual};
use super::date::Utc;
use super::digest::{hex, hmac_sha256, sha256, sha256_of};
use super::encode;
use super::sign::{Draft, Moment, Sign};
use crate::codec::Result;

/// Signs for all services.
#[derive(Clone, Debug)]
pub struct SdkHmac {
    key: AccessKey,
}

impl SdkHmac {
    /// The pair is all that it takes.
    #[must_use]
    pub const fn new(key: AccessKey) -> Self {
        Self { key }
    }
}

impl Sign for SdkHmac {
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()> {
        let time = Utc::new(moment.now).basic();
        put(draft.headers, "x-sdk-date", &time)?;
        if let Some(token) = &self.key.session {
            put(draft.headers, "x-security-token", token.expose())?;
        }
        // A hash announced in a header would be taken instead of the body's own.
        draft.headers.remove("x-sdk-content-sha256");
        // Gateways in front drop names with an underscore.
        let covered = Covered::new(draft, |name| usual(name) && !name.contains('_'), str::to_owned)?;
        let mut path = encode::path(encode::decode(draft.uri.path()));
        if !path.ends_with('/') {
            path.push('/');
        }
        let query = encode::query_sorted_decoded(draft.uri.query());
        let request = covered.request(draft, &path, &query, &hex(sha256_of(draft.body)?));
        let text = ["SDK-HMAC-SHA256", &time, &hex(sha256(request))].join("\n");
        let authorization = format!(
            "SDK-HMAC-SHA256 Access={}, SignedHeaders={}, Signature={}",
            self.key.id.expose(),
            covered.names(),
            hex(hmac_sha256(self.key.secret.expose(), text)),
        );
        put(draft.headers, "authorization", &authorization)
    }
}
