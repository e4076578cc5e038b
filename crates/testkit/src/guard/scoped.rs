//! The family whose signatures name a scope (a day, a region, a service) and derive a key from it.

use super::text::{encoded, hex, mac, parameters, sha256, time};
use super::{Check, Denial, Pair, body, field, near, target};
use crate::provider::{Answer, Seen};

/// What sets one member of the family apart.
#[derive(Clone, Copy)]
pub struct Family {
    label: &'static str,
    /// Before the secret, where the key begins.
    prefix: &'static str,
    /// The end of the scope.
    end: &'static str,
    time_header: &'static str,
    session_header: &'static str,
    region: bool,
    /// The day is written with dashes and the time as seconds.
    unix: bool,
    /// Headers with this beginning must be covered.
    must_cover: &'static str,
    /// Header values are compared in lower case.
    lower: bool,
    /// The path is encoded once more before it is signed.
    encode_path: bool,
    seconds: u64,
    refuse: fn(Denial) -> Answer,
}

/// Amazon's.
pub const SIGV4: Family = Family {
    label: "AWS4-HMAC-SHA256",
    prefix: "AWS4",
    end: "aws4_request",
    time_header: "x-amz-date",
    session_header: "x-amz-security-token",
    region: true,
    unix: false,
    must_cover: "x-amz-",
    lower: false,
    encode_path: true,
    seconds: 300,
    refuse: body::amazon,
};

/// Tencent's.
pub const TC3: Family = Family {
    label: "TC3-HMAC-SHA256",
    prefix: "TC3",
    end: "tc3_request",
    time_header: "x-tc-timestamp",
    session_header: "x-tc-token",
    region: false,
    unix: true,
    must_cover: "content-type",
    lower: true,
    encode_path: false,
    seconds: 300,
    refuse: body::tencent,
};

/// Volcengine's.
pub const HMAC_SHA256: Family = Family {
    label: "HMAC-SHA256",
    prefix: "",
    end: "request",
    time_header: "x-date",
    session_header: "x-security-token",
    region: true,
    unix: false,
    must_cover: "x-",
    lower: false,
    encode_path: false,
    seconds: 900,
    refuse: body::volcengine,
};

impl Family {
    /// A check for one pair, one region (`""` where there is none) and one service.
    #[must_use]
    pub fn check(self, pair: Pair, region: &str, service: &str) -> Scoped {
        Scoped { family: self, pair, region: region.to_owned(), service: service.to_owned() }
    }
}

/// The check.
pub struct Scoped {
    family: Family,
    pair: Pair,
    region: String,
    service: String,
}

impl Check for Scoped {
    fn check(&self, seen: &Seen, now: u64) -> Result<(), Denial> {
        let Family { label, end, time_header, region, unix, .. } = self.family;
        let authorization = seen.header("authorization").strip_prefix(label).ok_or(Denial::Missing)?.trim_start();
        let part = |name| field(authorization, name).ok_or(Denial::Missing);
        let (credential, names, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
        let (id, scope) = credential.split_once('/').ok_or(Denial::Missing)?;
        let stamp = seen.header(time_header);
        let signed_at = if unix { stamp.parse().ok().map(|seconds: u64| seconds * 1000) } else { time(stamp) };
        let signed_at = signed_at.ok_or(Denial::Missing)?;
        if !near(signed_at, now, self.family.seconds) {
            return Err(Denial::Untimely);
        }
        let session = self.pair.session.as_deref().unwrap_or_default();
        if id != self.pair.id || seen.header(self.family.session_header) != session {
            return Err(Denial::Unknown);
        }
        let (day, rest) = scope.split_once('/').ok_or(Denial::Missing)?;
        let of_stamp = time(&format!("{}T000000Z", day.replace('-', "")))
            .is_some_and(|start| (start..start + 86_400_000).contains(&signed_at));
        let mut due = vec![self.service.as_str(), end];
        if region {
            due.insert(0, &self.region);
        }
        if !of_stamp || (day.len() == 10) != unix || rest != due.join("/") || !self.covers(seen, names) {
            return Err(Denial::Wrong);
        }
        let text = [label, stamp, scope, &sha256(self.request(seen, names).as_bytes())].join("\n");
        let start = format!("{}{}", self.family.prefix, self.pair.secret).into_bytes();
        let key = scope.split('/').fold(start, |key, part| mac(&key, part));
        if hex(&mac(&key, &text)) == signature { Ok(()) } else { Err(Denial::Wrong) }
    }

    fn refuse(&self, denial: Denial) -> Answer {
        (self.family.refuse)(denial)
    }
}

impl Scoped {
    fn covers(&self, seen: &Seen, names: &str) -> bool {
        let names: Vec<&str> = names.split(';').collect();
        let due = seen.headers.keys().filter(|name| name.as_str().starts_with(self.family.must_cover));
        names.is_sorted() && names.contains(&"host") && due.into_iter().all(|name| names.contains(&name.as_str()))
    }

    fn request(&self, seen: &Seen, names: &str) -> String {
        let (path, query) = target(seen);
        let path = if self.family.encode_path { encoded(path.as_bytes(), '/') } else { path.to_owned() };
        let query = if self.family.unix {
            query.to_owned()
        } else {
            let mut pairs: Vec<_> = parameters(query).iter().map(|(n, v)| (encoded(n, '-'), encoded(v, '-'))).collect();
            pairs.sort();
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
        };
        let value = |name: &str| {
            let value = seen.header(name).split_whitespace().collect::<Vec<_>>().join(" ");
            if self.family.lower { value.to_lowercase() } else { value }
        };
        let headers: String = names.split(';').map(|name| format!("{name}:{}\n", value(name))).collect();
        format!("{}\n{path}\n{query}\n{headers}\n{names}\n{}", seen.method, sha256(&seen.body))
    }
}
