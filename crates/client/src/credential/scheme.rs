//! From a scheme as data to what adds it to a request, or to what asks for a token first.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;

use super::chain::{self, Found};
use super::grant::{Grant, header_name};
use super::lookup::Lookup;
use super::sign::{
    AccessKey, Bce, HmacSha256, Hs256Jwt, MessageKey, MessageSignature as Message, SdkHmac, SigV4 as SigV4Signer, Tc3, UrlHmac,
    refuse,
};
use super::token::Exchange;
use crate::codec::Result;
use crate::codec::catalog::{
    Auth, AwsKeys, KeyPair, KeyScheme, KeySignature, MessageAlgorithm, MessageSignature, Place, SecretRef, SigV4,
};
use crate::secret::Secret;

/// What a scheme becomes when its secrets are known.
pub(crate) enum Built {
    /// Ready for any number of requests.
    Grant(Grant),
    /// A request has to be made first.
    Exchange(Box<Exchange>),
}

/// Makes it.
///
/// # Errors
/// When a secret is missing, cannot be read, or is not of the kind that the scheme takes.
pub(crate) fn build(auth: &Auth, lookup: &mut Lookup<'_>) -> Result<Built> {
    if let Some(exchange) = exchange(auth, lookup)? {
        return Ok(Built::Exchange(Box::new(exchange)));
    }
    match auth {
        Auth::SigV4(sigv4) => keys_of(sigv4, lookup),
        auth => grant(auth, lookup).map(Built::Grant),
    }
}

/// The provider's own headers, beside the credential.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn find_headers(headers: &BTreeMap<String, SecretRef>, lookup: &mut Lookup<'_>) -> Result<Vec<(HeaderName, Secret)>> {
    let mut found = Vec::new();
    for (name, reference) in headers {
        // An organisation's or a project's id is named in errors about it, which shall stay as they are.
        let value =
            if reference.is_live() || is_secret(name) { lookup.find(reference)? } else { lookup.find_plain(reference)? };
        if let Some(value) = value {
            found.push((header_name(name)?, value));
        }
    }
    Ok(found)
}

/// Whether a header of this name holds a secret, by what such are called.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "token", "secret", "authorization"].iter().any(|word| name.contains(word))
}

/// Adds those headers, and hides whatever was looked up.
///
/// # Errors
/// When one cannot stand in a header.
pub(crate) fn complete(grant: &mut Grant, headers: Vec<(HeaderName, Secret)>, secrets: Vec<Secret>) -> Result<()> {
    for (name, value) in headers {
        grant.add_header(name, value.expose())?;
    }
    grant.hide(secrets);
    Ok(())
}

fn exchange(auth: &Auth, lookup: &mut Lookup<'_>) -> Result<Option<Exchange>> {
    Ok(Some(match auth {
        Auth::OAuth2(oauth) => Exchange::oauth2(oauth, lookup)?,
        Auth::ServiceAccount(account) => Exchange::service_account(account, lookup)?,
        Auth::Mint(mint) => {
            let sign = mint.sign.as_deref().map(|sign| grant(sign, lookup)).transpose()?;
            Exchange::mint(mint, sign, lookup)?
        }
        _ => return Ok(None),
    }))
}

/// Region and service of a signature.
pub(super) type Scope = (String, String);

/// The region is the one that is written, else the variables', else the profile's.
fn scope(sigv4: &SigV4, profile: Option<String>, lookup: &mut Lookup<'_>) -> Result<Scope> {
    let written = sigv4.region.as_ref().map(|region| lookup.find_plain(region)).transpose()?.flatten();
    let region = written.or_else(|| chain::region(lookup)).map(|region| region.expose().to_owned()).or(profile);
    let region = region.ok_or_else(|| refuse("auth: `sigv4` lacks `region`, and neither AWS_REGION nor a profile names one"))?;
    Ok((region, sigv4.service.clone()))
}

/// What needs no request.
fn grant(auth: &Auth, lookup: &mut Lookup<'_>) -> Result<Grant> {
    match auth {
        Auth::Bearer(value) => Grant::placed(&Place::Bearer, &lookup.need(value)?),
        Auth::Header { name, value } => Grant::placed(&Place::Header(name.clone()), &lookup.need(value)?),
        Auth::Query { name, value } => Grant::placed(&Place::Query(name.clone()), &lookup.need(value)?),
        Auth::SigV4(sigv4) => match keys_of(sigv4, lookup)? {
            Built::Grant(grant) => Ok(grant),
            Built::Exchange(_) => Err(refuse("keys that must be asked for cannot sign a request for others")),
        },
        Auth::Signature(signature) => sign_by_key(signature, lookup),
        Auth::JwtHs256(jwt) => {
            let key = lookup.need(&jwt.key)?;
            // The half after the dot signs; it is as secret alone as with the other.
            lookup.secrets.extend(key.expose().split_once('.').map(|(_, secret)| Secret::new(secret)));
            let signer = Hs256Jwt::new(&key)?.valid_for(Duration::from_secs(jwt.lifetime_seconds));
            Ok(Grant::signed(signer, &key))
        }
        Auth::MessageSignature(signature) => sign_message(signature, lookup),
        Auth::None | Auth::OAuth2(_) | Auth::ServiceAccount(_) | Auth::Mint(_) | Auth::FirstOf(_) => Ok(Grant::default()),
    }
}

/// The signature, or what its keys are asked for with.
fn keys_of(sigv4: &SigV4, lookup: &mut Lookup<'_>) -> Result<Built> {
    let (found, region) = match &sigv4.keys {
        AwsKeys::Given(pair) => (Found::Keys(access_key(pair, lookup)?), None),
        AwsKeys::Chain { profile } => chain::find(profile.as_deref(), lookup)?,
        AwsKeys::Container { url, token } => {
            let url = lookup.need_plain(url)?.expose().to_owned();
            (Found::Container { url, token: token.as_ref().map(|token| lookup.find(token)).transpose()?.flatten() }, None)
        }
        AwsKeys::Instance { url } => (Found::Instance { url: url.clone() }, None),
    };
    let scope = scope(sigv4, region, lookup)?;
    Ok(Built::Exchange(Box::new(match found {
        Found::Keys(key) => return Ok(Built::Grant(signed_by(key, &scope))),
        Found::Container { url, token } => Exchange::container(url, token.as_ref(), scope)?,
        Found::Instance { url } => Exchange::instance(&url, scope),
        Found::Role(role) => {
            let url = lookup.variable("AWS_ENDPOINT_URL_STS").or(sigv4.sts_url.as_deref());
            let url = url.ok_or_else(|| refuse("auth: `sigv4` lacks `sts_url`, where the keys of a role are asked for"))?;
            Exchange::role(&role, url, scope)
        }
        Found::SignOn(sign_on) => {
            let url = lookup.variable("AWS_ENDPOINT_URL_SSO").or(sigv4.sso_url.as_deref());
            let url = url.ok_or_else(|| refuse("auth: `sigv4` lacks `sso_url`, where whoever has signed on gets keys"))?;
            Exchange::sign_on(&sign_on, url, scope)?
        }
    })))
}

/// A signature with keys that are known.
pub(super) fn signed_by(key: AccessKey, (region, service): &Scope) -> Grant {
    let secret = key.secret.clone();
    let hidden: Vec<Secret> = [Some(key.secret.clone()), key.session.clone()].into_iter().flatten().collect();
    let mut grant = Grant::signed(SigV4Signer::new(key, region.as_str(), service.as_str()), &secret);
    grant.hide(hidden);
    grant
}

fn access_key(pair: &KeyPair, lookup: &mut Lookup<'_>) -> Result<AccessKey> {
    // The public half is no secret: it may be read wherever a provider repeats it.
    let id = lookup.need_plain(&pair.access_key)?;
    let secret = lookup.need(&pair.secret_key)?;
    let session = pair.session_token.as_ref().map(|token| lookup.find(token)).transpose()?.flatten();
    Ok(AccessKey { id, secret, session })
}

fn sign_by_key(signature: &KeySignature, lookup: &mut Lookup<'_>) -> Result<Grant> {
    let key = access_key(&signature.keys, lookup)?;
    let secret = key.secret.clone();
    let service = signature.service.clone().unwrap_or_default();
    Ok(match signature.scheme {
        KeyScheme::Tc3 => {
            let names = signature.signed_headers.iter().map(|name| header_name(name)).collect::<Result<Vec<_>>>()?;
            Grant::signed(Tc3::new(key, service).covering(names), &secret)
        }
        KeyScheme::Bce => {
            let signer = Bce::new(key);
            let signer = match signature.lifetime_seconds {
                Some(seconds) => signer.valid_for(Duration::from_secs(seconds)),
                None => signer,
            };
            Grant::signed(signer, &secret)
        }
        KeyScheme::UrlHmac => Grant::signed(UrlHmac::new(key.id, key.secret), &secret),
        KeyScheme::HmacSha256 => {
            let region = signature.region.as_ref().map(|region| lookup.need_plain(region)).transpose()?;
            let region = region.as_ref().map_or("", Secret::expose);
            Grant::signed(HmacSha256::new(key, region, service), &secret)
        }
        KeyScheme::SdkHmac => Grant::signed(SdkHmac::new(key), &secret),
    })
}

fn sign_message(signature: &MessageSignature, lookup: &mut Lookup<'_>) -> Result<Grant> {
    let secret = lookup.need(&signature.key)?;
    let key = match signature.algorithm {
        MessageAlgorithm::HmacSha256 => MessageKey::hmac_sha256(&secret)?,
        MessageAlgorithm::Ed25519 => MessageKey::ed25519(&secret)?,
    };
    let signer = Message::new(key, &signature.key_id)?;
    let signer = match &signature.tag {
        Some(tag) => signer.tagged(tag)?,
        None => signer,
    };
    Ok(Grant::signed(signer.valid_for(Duration::from_secs(signature.lifetime_seconds)), &secret))
}
