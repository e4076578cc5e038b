//! `AWS4-HMAC-SHA256`, signature version 4 of Amazon's clouds, in headers, for all services but S3.

use super::access_key::AccessKey;
use super::canonical::{Covered, put};
use super::date::Utc;
use super::digest::{derive, hex, hmac_sha256, sha256, sha256_of};
use super::encode;
use super::sign::{Draft, Moment, Sign};
use crate::codec::Result;

/// Signs for one service in one region.
#[derive(Clone, Debug)]
pub struct SigV4 {
    key: AccessKey,
    region: String,
    service: String,
}

impl SigV4 {
    /// `region` as in `eu-central-1`; `service` by its signing name, which need not be the one in its address.
    pub fn new(key: AccessKey, region: impl Into<String>, service: impl Into<String>) -> Self {
        Self { key, region: region.into(), service: service.into() }
    }
}

impl Sign for SigV4 {
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()> {
        let now = Utc::new(moment.now);
        let (time, day) = (now.basic(), now.day());
        put(draft.headers, "x-amz-date", &time)?;
        if let Some(token) = &self.key.session {
            put(draft.headers, "x-amz-security-token", token.expose())?;
        }
        let covered = Covered::new(draft, is_covered, |value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))?;
        let (path, query) = (path(draft.uri.path()), encode::query(draft.uri.query()));
        let request = covered.request(draft, &path, &query, &hex(sha256_of(draft.body)?));
        let scope = [&day, &self.region, &self.service, "aws4_request"];
        let text = ["AWS4-HMAC-SHA256", &time, &scope.join("/"), &hex(sha256(request))].join("\n");
        let key = derive(&format!("AWS4{}", self.key.secret.expose()), scope);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
            self.key.id.expose(),
            scope.join("/"),
            covered.names(),
            hex(hmac_sha256(key, text)),
        );
        put(draft.headers, "authorization", &authorization)
    }
}

/// The trace's header is rewritten by load balancers.
fn is_covered(name: &str) -> bool {
    matches!(name, "content-type" | "content-md5") || name.starts_with("x-amz") && name != "x-amzn-trace-id"
}

/// The path as it goes out, without `.`, `..` and empty segments, encoded once more.
fn path(sent: &str) -> String {
    let mut segments = Vec::new();
    for segment in sent.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let end = if sent.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", encode::path(segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_is_tidied_and_encoded_once_more() {
        let pairs =
            [("/", "/"), ("/a//b/./c/../d/", "/a/b/d/"), ("/m%3A0/x:y", "/m%253A0/x%3Ay"), ("/..//", "/"), ("/~-_.", "/~-_.")];
        for (sent, signed) in pairs {
            assert_eq!(path(sent), signed);
        }
    }
}
