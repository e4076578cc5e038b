//! `TC3-HMAC-SHA256`, version 3 of the signature of Tencent's cloud APIs.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};

use super::access_key::AccessKey;
use super::canonical::{Covered, put};
use super::date::Utc;
use super::digest::{derive, hex, hmac_sha256, sha256, sha256_of};
use super::sign::{Draft, Moment, Sign};
use crate::codec::Result;

/// Signs for one service.
#[derive(Clone, Debug)]
pub struct Tc3 {
    key: AccessKey,
    service: String,
    covered: Vec<HeaderName>,
}

impl Tc3 {
    /// `service` is the first label of its host. The signature covers `content-type` and `host`.
    pub fn new(key: AccessKey, service: impl Into<String>) -> Self {
        Self { key, service: service.into(), covered: Vec::new() }
    }

    /// Covers these headers too, where a request has them.
    #[must_use]
    pub fn covering(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.covered.extend(names);
        self
    }
}

impl Sign for Tc3 {
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()> {
        let now = Utc::new(moment.now);
        let time = now.unix().to_string();
        put(draft.headers, "x-tc-timestamp", &time)?;
        if let Some(token) = &self.key.session {
            put(draft.headers, "x-tc-token", token.expose())?;
        }
        draft.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        let wanted = |name: &str| name == "content-type" || self.covered.iter().any(|covered| covered == name);
        let covered = Covered::new(draft, wanted, str::to_ascii_lowercase)?;
        let body_hash = hex(sha256_of(draft.body)?);
        let request = covered.request(draft, draft.uri.path(), draft.uri.query().unwrap_or_default(), &body_hash);
        // The day in UTC, not in China, where it begins eight hours earlier.
        let scope = [&now.dashed_day(), &self.service, "tc3_request"];
        let text = ["TC3-HMAC-SHA256", &time, &scope.join("/"), &hex(sha256(request))].join("\n");
        let key = derive(&format!("TC3{}", self.key.secret.expose()), scope);
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
            self.key.id.expose(),
            scope.join("/"),
            covered.names(),
            hex(hmac_sha256(key, text)),
        );
        put(draft.headers, "authorization", &authorization)
    }
}
