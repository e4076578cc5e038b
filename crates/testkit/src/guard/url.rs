//! Signatures in the address.

use super::text::{base64, decoded, from_base64, http_time, mac};
use super::{Check, Denial, Pair, body, near, target};
use crate::provider::{Answer, Seen};

/// HMAC-SHA256 over host, date and request line.
pub struct UrlHmac(pub Pair);

impl Check for UrlHmac {
    fn check(&self, seen: &Seen, now: u64) -> Result<(), Denial> {
        let (path, query) = target(seen);
        let parameter = |name: &str| {
            let value = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
            String::from_utf8(decoded(&value.replace('+', " "))).ok()
        };
        let (authorization, date, host) =
            (parameter("authorization").ok_or(Denial::Missing)?, parameter("date").ok_or(Denial::Untimely)?, parameter("host"));
        let told = from_base64(&authorization).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Denial::Missing)?;
        let word =
            |name: &str| told.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'));
        if word("api_key") != Some(&self.0.id) {
            return Err(Denial::Unknown);
        }
        if !near(http_time(&date).ok_or(Denial::Untimely)?, now, 300) {
            return Err(Denial::Untimely);
        }
        let text = format!("host: {}\ndate: {date}\n{} {path} HTTP/1.1", seen.header("host"), seen.method);
        let right = word("algorithm") == Some("hmac-sha256")
            && word("headers") == Some("host date request-line")
            && word("signature") == Some(&base64(&mac(self.0.secret.as_bytes(), &text)))
            && host.as_deref() == Some(seen.header("host"));
        if right { Ok(()) } else { Err(Denial::Wrong) }
    }

    fn refuse(&self, denial: Denial) -> Answer {
        body::kong(denial)
    }
}
