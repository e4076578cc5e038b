//! `HMAC-SHA256`, the signature of Volcengine's control plane.

use super::access_key::AccessKey;
use super::canonical::{Covered, put, usual};
use super::date::Utc;
use super::digest::{derive, hex, hmac_sha256, sha256, sha256_of};
use super::encode;
use super::sign::{Draft, Moment, Sign};
use crate::codec::Result;

/// Signs for one service in one region.
#[derive(Clone, Debug)]
pub struct HmacSha256 {
    key: AccessKey,
    region: String,
    service: String,
}

impl HmacSha256 {
    /// `region` as in `cn-beijing`; `service` by its short name.
    pub fn new(key: AccessKey, region: impl Into<String>, service: impl Into<String>) -> Self {
        Self { key, region: region.into(), service: service.into() }
    }
}

impl Sign for HmacSha256 {
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()> {
        let now = Utc::new(moment.now);
        let (time, day) = (now.basic(), now.day());
        let body_hash = hex(sha256_of(draft.body)?);
        put(draft.headers, "x-date", &time)?;
        put(draft.headers, "x-content-sha256", &body_hash)?;
        if let Some(token) = &self.key.session {
            put(draft.headers, "x-security-token", token.expose())?;
        }
        let covered = Covered::new(draft, usual, str::to_owned)?;
        let request = covered.request(draft, draft.uri.path(), &encode::query(draft.uri.query()), &body_hash);
        let scope = [&day, &self.region, &self.service, "request"];
        let text = ["HMAC-SHA256", &time, &scope.join("/"), &hex(sha256(request))].join("\n");
        let key = derive(self.key.secret.expose(), scope);
        let authorization = format!(
            "HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
            self.key.id.expose(),
            scope.join("/"),
            covered.names(),
            hex(hmac_sha256(key, text)),
        );
        put(draft.headers, "authorization", &authorization)
    }
}
