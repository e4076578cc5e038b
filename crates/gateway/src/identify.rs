//! Who calls.

use std::borrow::Cow;

use http::{HeaderMap, header};
use trunkline::Secret;
use trunkline::codec::{Error, Kind, Origin, Result};

use crate::edge::reply::percent_decode;

/// Checks the caller's key, wherever the dialects' SDKs put it: `Authorization: Bearer`, `x-api-key`,
/// `x-goog-api-key`, `?key=`, or as the access key's id of an `Authorization: AWS4-HMAC-SHA256`. That signature itself
/// is not checked: who knows the id is the caller, as with the others.
///
/// # Errors
/// `Unauthenticated`, without telling what was sent.
pub fn identify(key: Option<&Secret>, headers: &HeaderMap, query: Option<&str>) -> Result<()> {
    let Some(key) = key else { return Ok(()) };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header(header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let signer = header(header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, fields) = value.split_once(' ')?;
        let credential = fields.split(',').find_map(|field| field.trim().strip_prefix("Credential="));
        // From the end: behind the id stand date, region, service and one word more, and the id may hold slashes itself.
        credential.filter(|_| scheme == "AWS4-HMAC-SHA256")?.rsplitn(5, '/').nth(4)
    });
    let in_query = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("key=")));
    let in_query = in_query.map(percent_decode);
    let sent = [bearer, header("x-api-key"), header("x-goog-api-key"), in_query.as_deref(), signer];
    if sent.into_iter().flatten().any(|sent| key.matches(sent)) {
        return Ok(());
    }
    let what = if sent.iter().all(Option::is_none) {
        "no key was sent; send the gateway's key as `Authorization: Bearer …`"
    } else {
        "the key is not the gateway's; check the key that your program sends"
    };
    Err(Error::new(Kind::Unauthenticated, Origin::Caller, what))
}

/// A caller's query without its key, which is for the gateway and for nobody behind it.
pub fn without_key(query: Option<&str>) -> Option<Cow<'_, str>> {
    let query = query?;
    let is_key = |pair: &&str| pair.starts_with("key=");
    if !query.split('&').any(|pair| is_key(&pair)) {
        return Some(Cow::Borrowed(query));
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_key(pair)).collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join("&")))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_known_whatever_characters_it_has() {
        let key = Secret::new("ab/cd+e=");
        let mut headers = HeaderMap::new();
        let signed =
            "AWS4-HMAC-SHA256 Credential=ab/cd+e=/20260102/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0";
        for sent in ["Bearer ab/cd+e=", signed] {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(sent));
            assert!(identify(Some(&key), &headers, None).is_ok(), "{sent}");
        }
        for (query, known) in [("key=ab%2Fcd%2Be%3D", true), ("a=b&key=ab/cd+e=", true), ("key=ab", false)] {
            assert_eq!(identify(Some(&key), &HeaderMap::new(), Some(query)).is_ok(), known, "{query}");
        }
    }
}
