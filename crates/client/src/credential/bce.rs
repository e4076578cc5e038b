//! `bce-auth-v1`, the signature of Baidu's cloud. It covers the address and some headers, not the body.

use std::time::Duration;

use super::access_key::AccessKey;
use super::canonical::{Covered, put};
use super::date::Utc;
use super::digest::{hex, hmac_sha256};
use super::encode;
use super::sign::{Draft, Moment, Sign};
use crate::codec::Result;

/// Signs for all services.
#[derive(Clone, Debug)]
pub struct Bce {
    key: AccessKey,
    lifetime: Duration,
}

impl Bce {
    /// A signature is good for half an hour.
    #[must_use]
    pub const fn new(key: AccessKey) -> Self {
        Self { key, lifetime: Duration::from_secs(1800) }
    }

    /// How long a signature is good for, in whole seconds.
    #[must_use]
    pub const fn valid_for(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }
}

impl Sign for Bce {
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()> {
        let time = Utc::new(moment.now).extended();
        put(draft.headers, "x-bce-date", &time)?;
        if let Some(token) = &self.key.session {
            put(draft.headers, "x-bce-security-token", token.expose())?;
        }
        // An empty value is not signed, and its name must not be listed then.
        let headers = &*draft.headers;
        let wanted =
            |name: &str| is_covered(name) && headers.get(name).is_some_and(|value| !value.as_bytes().trim_ascii().is_empty());
        let covered = Covered::new(draft, wanted, |value| encode::strict(value))?;
        let mut lines: Vec<_> = covered.iter().map(|(name, value)| format!("{}:{value}", encode::strict(name))).collect();
        lines.sort();
        let path = encode::path(encode::decode(draft.uri.path()));
        let request = [draft.method.as_str(), &path, &query(draft.uri.query()), &lines.join("\n")].join("\n");
        let prefix = format!("bce-auth-v1/{}/{time}/{}", self.key.id.expose(), self.lifetime.as_secs());
        // The key of the second step is the text of the first one's result.
        let key = hex(hmac_sha256(self.key.secret.expose(), &prefix));
        let signature = hex(hmac_sha256(key, request));
        put(draft.headers, "authorization", &format!("{prefix}/{}/{signature}", covered.names()))
    }
}

fn is_covered(name: &str) -> bool {
    matches!(name, "content-type" | "content-md5") || name.starts_with("x-bce-")
}

/// Sorted by name and value in one, where other schemes sort by names first: `a%2Bb=` comes before `a=` here. A
/// signature in the query does not cover itself.
fn query(sent: Option<&str>) -> String {
    let pairs = encode::pairs(sent).into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"authorization"));
    let mut parameters: Vec<_> =
        pairs.map(|(name, value)| format!("{}={}", encode::strict(name), encode::strict(value))).collect();
    parameters.sort();
    parameters.join("&")
}

#[cfg(test)]
mod tests {
    use super::query;

    #[test]
    fn parameters_are_sorted_whole_and_a_signature_does_not_cover_itself() {
        assert_eq!(query(Some("b=1&Authorization=x&a&a%2bb=1")), "a%2Bb=1&a=&b=1");
    }
}
