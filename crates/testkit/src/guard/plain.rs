//! `SDK-HMAC-SHA256`: no scope and no derived key.

use super::text::{decoded, encoded, hex, mac, parameters, sha256, time};
use super::{Check, Denial, Pair, body, field, near, target};
use crate::provider::{Answer, Seen};

/// A check for one pair.
pub struct SdkHmac(pub Pair);

impl Check for SdkHmac {
    fn check(&self, seen: &Seen, now: u64) -> Result<(), Denial> {
        let authorization = seen.header("authorization").strip_prefix("SDK-HMAC-SHA256 ").ok_or(Denial::Missing)?;
        let part = |name| field(authorization, name).ok_or(Denial::Missing);
        let (id, names, signature) = (part("Access")?, part("SignedHeaders")?, part("Signature")?);
        let stamp = seen.header("x-sdk-date");
        if !near(time(stamp).ok_or(Denial::Missing)?, now, 900) {
            return Err(Denial::Untimely);
        }
        if id != self.0.id || seen.header("x-security-token") != self.0.session.as_deref().unwrap_or_default() {
            return Err(Denial::Unknown);
        }
        let covers = ["host", "x-sdk-date"].iter().all(|name| names.split(';').any(|covered| covered == *name));
        let text = ["SDK-HMAC-SHA256", stamp, &sha256(request(seen, names).as_bytes())].join("\n");
        let right = hex(&mac(self.0.secret.as_bytes(), &text)) == signature;
        if covers && right { Ok(()) } else { Err(Denial::Wrong) }
    }

    fn refuse(&self, denial: Denial) -> Answer {
        body::huawei(denial)
    }
}

fn request(seen: &Seen, names: &str) -> String {
    let (path, query) = target(seen);
    let mut path = encoded(&decoded(path), '/');
    if !path.ends_with('/') {
        path.push('/');
    }
    let mut pairs = parameters(query);
    pairs.sort();
    let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name, '-'), encoded(value, '-'))).collect();
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", seen.header(name).trim())).collect();
    format!("{}\n{path}\n{}\n{headers}\n{names}\n{}", seen.method, query.join("&"), sha256(&seen.body))
}
