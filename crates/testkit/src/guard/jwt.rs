//! Web tokens that callers make themselves.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::text::{from_base64_url, mac};
use super::{Check, Denial, Pair, body, near};
use crate::provider::{Answer, Seen};

/// HS256 over `api_key`, `exp` and `timestamp`, in milliseconds.
pub struct Hs256(pub Pair);

impl Check for Hs256 {
    fn check(&self, seen: &Seen, now: u64) -> Result<(), Denial> {
        let authorization = seen.header("authorization");
        let token = authorization.strip_prefix("Bearer ").unwrap_or(authorization);
        let (text, header, claims, signature) = parse(token).ok_or(Denial::Missing)?;
        if header["alg"] != "HS256" || header["sign_type"] != "SIGN" {
            return Err(Denial::Wrong);
        }
        if claims["api_key"] != self.0.id.as_str() {
            return Err(Denial::Unknown);
        }
        if mac(self.0.secret.as_bytes(), text) != signature {
            return Err(Denial::Wrong);
        }
        let (made, end) = (claims["timestamp"].as_u64().ok_or(Denial::Wrong)?, claims["exp"].as_u64().ok_or(Denial::Wrong)?);
        if near(made, now, 86_400) && now < end && made < now + 60_000 { Ok(()) } else { Err(Denial::Untimely) }
    }

    fn refuse(&self, denial: Denial) -> Answer {
        body::zhipu(denial)
    }
}

/// Checks an RS256 token with a public key (PKCS #1 in DER) at a time, in milliseconds, and returns its claims.
///
/// # Errors
/// When it is not signed with that key, or it is not its time, or it lives longer than an hour.
pub fn read_rs256(token: &str, public: &[u8], now: u64) -> Result<Value, Denial> {
    let (text, header, claims, signature) = parse(token).ok_or(Denial::Missing)?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    if header["alg"] != "RS256" || key.verify(text.as_bytes(), &signature).is_err() {
        return Err(Denial::Wrong);
    }
    let (made, end) = (claims["iat"].as_u64().ok_or(Denial::Wrong)?, claims["exp"].as_u64().ok_or(Denial::Wrong)?);
    let timely = made <= now / 1000 + 60 && now / 1000 < end && end <= made + 3600;
    if timely { Ok(claims) } else { Err(Denial::Untimely) }
}

fn parse(token: &str) -> Option<(&str, Value, Value, Vec<u8>)> {
    let (text, signature) = token.rsplit_once('.')?;
    let (header, claims) = text.split_once('.')?;
    let json = |part: &str| serde_json::from_slice(&from_base64_url(part)?).ok();
    Some((text, json(header)?, json(claims)?, from_base64_url(signature)?))
}
