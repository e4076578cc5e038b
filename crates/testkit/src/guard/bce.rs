//! `bce-auth-v1`: the time and its end stand in the signature itself.

use super::text::{decoded, encoded, hex, mac, parameters, time};
use super::{Check, Denial, Pair, body, target};
use crate::provider::{Answer, Seen};

/// A check for one pair.
pub struct Bce(pub Pair);

impl Check for Bce {
    fn check(&self, seen: &Seen, now: u64) -> Result<(), Denial> {
        let authorization = seen.header("authorization");
        let parts: Vec<&str> = authorization.split('/').collect();
        let &["bce-auth-v1", id, stamp, lifetime, names, signature] = parts.as_slice() else { return Err(Denial::Missing) };
        let start = time(stamp).ok_or(Denial::Missing)?;
        let end = start + lifetime.parse::<u64>().map_err(|_| Denial::Missing)? * 1000;
        // A clock may be five minutes ahead.
        if now > end || start > now + 300_000 || seen.header("x-bce-date") != stamp {
            return Err(Denial::Untimely);
        }
        if id != self.0.id || seen.header("x-bce-security-token") != self.0.session.as_deref().unwrap_or_default() {
            return Err(Denial::Unknown);
        }
        let names: Vec<&str> = if names.is_empty() { usual(seen) } else { names.split(';').collect() };
        let mut headers: Vec<_> = names
            .iter()
            .map(|name| format!("{}:{}", encoded(name.as_bytes(), '-'), encoded(seen.header(name).trim().as_bytes(), '-')))
            .collect();
        headers.sort();
        let (path, query) = target(seen);
        let mut query: Vec<_> =
            parameters(query).iter().map(|(name, value)| format!("{}={}", encoded(name, '-'), encoded(value, '-'))).collect();
        query.sort();
        let request =
            [&seen.method, &encoded(&decoded(path), '/'), &query.join("&"), &headers.join("\n")].map(String::as_str).join("\n");
        let prefix = format!("bce-auth-v1/{id}/{stamp}/{lifetime}");
        let key = hex(&mac(self.0.secret.as_bytes(), &prefix));
        let right = hex(&mac(key.as_bytes(), &request)) == signature;
        if right && names.contains(&"host") { Ok(()) } else { Err(Denial::Wrong) }
    }

    fn refuse(&self, denial: Denial) -> Answer {
        body::baidu(denial)
    }
}

/// What is covered when the signature does not say.
fn usual(seen: &Seen) -> Vec<&str> {
    let fixed = ["host", "content-length", "content-type", "content-md5"];
    let names = seen.headers.keys().map(http::HeaderName::as_str);
    names.filter(|name| fixed.contains(name) || name.starts_with("x-bce-")).collect()
}
