//! OAuth 2.0 client credentials (RFC 6749 §4.4).

use http::{HeaderValue, Method};

use super::super::certificate::Certificate;
use super::super::digest::base64;
use super::super::encode;
use super::super::grant::{Grant, moment, redact};
use super::super::lookup::Lookup;
use super::super::sign::refuse;
use super::mint::fill;
use super::{Minted, Post, Received, request};
use crate::codec::catalog::{ClientAuth, OAuth2, Pick, Place};
use crate::codec::{Error, Result};
use crate::secret::Secret;
use crate::transport::Payload;

/// A token request that can be made again and again.
pub(crate) struct ClientCredentials {
    url: String,
    /// All parameters, encoded.
    form: Secret,
    by_query: bool,
    authorization: Option<HeaderValue>,
    token_in: Place,
    secret: Secret,
    /// Signs an assertion for each request, on behalf of this client.
    certificate: Option<(Certificate, String)>,
}

/// What an assertion is called (RFC 7523 §2.2).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl ClientCredentials {
    pub(super) fn new(oauth: &OAuth2, lookup: &mut Lookup<'_>) -> Result<Self> {
        let values = oauth.values.iter().map(|(name, value)| Ok((name.clone(), lookup.need_plain(value)?)));
        let values: Vec<(String, Secret)> = values.collect::<Result<_>>()?;
        let url = fill(&oauth.token_url, &values, |text| encode::strict(text));
        let id = lookup.need_plain(&oauth.client_id)?;
        let secret = lookup.need(&oauth.client_secret)?;
        let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        let named = [("scope", &oauth.scope), ("audience", &oauth.audience)];
        form.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
        for (name, value) in &oauth.extra {
            form.push((name.clone(), lookup.need(value)?.expose().to_owned()));
        }
        let (mut authorization, mut certificate) = (None, None);
        match oauth.client_auth {
            ClientAuth::Basic => {
                let pair = format!("{}:{}", encode::form(id.expose()), encode::form(secret.expose()));
                let pair = base64(pair);
                let value = HeaderValue::from_str(&format!("Basic {pair}"));
                let mut value = value.map_err(|_| refuse("id and secret cannot stand in a header"))?;
                value.set_sensitive(true);
                lookup.secrets.push(Secret::new(&pair));
                authorization = Some(value);
            }
            ClientAuth::Body | ClientAuth::Query => {
                form.push(("client_id".to_owned(), id.expose().to_owned()));
                form.push(("client_secret".to_owned(), secret.expose().to_owned()));
            }
            ClientAuth::Assertion | ClientAuth::Certificate => {
                form.push(("client_id".to_owned(), id.expose().to_owned()));
                form.push(("client_assertion_type".to_owned(), ASSERTION.to_owned()));
                if oauth.client_auth == ClientAuth::Certificate {
                    certificate = Some((Certificate::read(&secret)?, id.expose().to_owned()));
                } else {
                    form.push(("client_assertion".to_owned(), secret.expose().to_owned()));
                }
            }
        }
        lookup.secrets.push(Secret::new(&encode::form(secret.expose())));
        let by_query = oauth.client_auth == ClientAuth::Query;
        let (form, token_in) = (write_form(&form), oauth.token_in.clone());
        Ok(ClientCredentials { url, form, by_query, authorization, token_in, secret, certificate })
    }

    pub(super) async fn ask(&self, post: &Post<'_>) -> Result<Minted> {
        let (form, assertion) = self.form(post)?;
        let received = if self.by_query {
            let sign = if self.url.contains('?') { '&' } else { '?' };
            let url = format!("{}{sign}{}", self.url, self.form.expose());
            post.send(request(Method::POST, &url, Payload::empty())?, None).await?
        } else {
            post.send_form(&self.url, &form, self.authorization.clone()).await?
        };
        let minted = read(&received, &self.token_in, &self.secret, post);
        minted.map_err(|error| match assertion {
            Some(assertion) => received.blame_clock(without(error, &assertion), post.client.clock().now()),
            None => error,
        })
    }

    /// All parameters, and the assertion among them that was signed for this time.
    fn form(&self, post: &Post<'_>) -> Result<(String, Option<Secret>)> {
        let form = self.form.expose();
        let Some((certificate, client)) = &self.certificate else { return Ok((form.to_owned(), None)) };
        let assertion = certificate.assertion(client, &self.url, &moment(post.client.clock())?)?;
        Ok((format!("{form}&client_assertion={}", assertion.expose()), Some(assertion)))
    }
}

/// An error's words without what was made for one request.
pub(super) fn without(mut error: Error, secret: &Secret) -> Error {
    redact(&mut error, std::slice::from_ref(secret));
    error
}

/// Parameters as a form.
pub(super) fn write_form(pairs: &[(String, String)]) -> Secret {
    let encoded = pairs.iter().map(|(name, value)| format!("{}={}", encode::form(name), encode::form(value)));
    Secret::new(&encoded.collect::<Vec<_>>().join("&"))
}

/// Any OAuth server's good answer (RFC 6749 §5.1).
pub(super) fn read(received: &Received, token_in: &Place, secret: &Secret, post: &Post<'_>) -> Result<Minted> {
    let token = received.token(&Pick::Pointer("/access_token".to_owned()))?;
    let expires = Pick::Pointer("/expires_in".to_owned());
    let life = received.lifetime(Some(&expires), None, post.client.clock().now());
    let notice = life.odd.map(|odd| format!("the token server {} {odd}", received.host));
    Ok(Minted { grant: Grant::placed(token_in, &token)?.known_by(secret), lifetime: life.length, notice })
}
