//! Who calls.

use std::borrow::Cow;

use http::{HeaderMap, header};
use trunkline::Secret;
use trunkline::codec::{Error, Kind, Origin, Result};

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
        credential.filter(|_| scheme == "AWS4-HMAC-SHA256")?.split('/').next()
    });
    let in_query = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("key=")));
    let sent = [bearer, header("x-api-key"), header("x-goog-api-key"), in_query, signer];
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
