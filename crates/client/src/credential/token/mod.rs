//! Tokens: asked for by one request, used by many.

mod answer;
mod assertion;
mod cloud;
mod federation;
mod mint;
mod oauth2;
mod role;
mod sign_on;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};

use super::grant::Grant;
use super::lookup::Lookup;
use super::scheme::Scope;
use super::sign::refuse;
use crate::client::Client;
use crate::codec::catalog::{Mint, OAuth2, ServiceAccount};
use crate::codec::{Error, Kind, Origin, Result};
use crate::secret::Secret;
use crate::transport::Payload;

/// How long a token server may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest answer that is read.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// One way of getting a token, its secrets resolved.
pub(crate) enum Exchange {
    /// RFC 6749 §4.4.
    OAuth2(oauth2::ClientCredentials),
    /// RFC 7523.
    Assertion(assertion::Assertion),
    /// RFC 6749 §6.
    Refresh(assertion::Refresh),
    /// RFC 8693.
    Federation(Box<federation::Federation>),
    /// Any other request.
    Mint(Box<mint::Request>),
    /// A container's keys.
    Container(cloud::Container),
    /// A machine's keys.
    Instance(cloud::Instance),
    /// A role's keys.
    Role(role::Role),
    /// The keys of whoever has signed on.
    SignOn(sign_on::SignOn),
}

/// What was got.
pub(crate) struct Minted {
    /// The token in its place.
    pub(crate) grant: Grant,
    /// How long it lives.
    pub(crate) lifetime: Duration,
    /// What its user should know, in a sentence.
    pub(crate) notice: Option<String>,
}

impl Exchange {
    pub(super) fn oauth2(oauth: &OAuth2, lookup: &mut Lookup<'_>) -> Result<Self> {
        oauth2::ClientCredentials::new(oauth, lookup).map(Self::OAuth2)
    }

    pub(super) fn service_account(account: &ServiceAccount, lookup: &mut Lookup<'_>) -> Result<Self> {
        assertion::read(account, lookup)
    }

    pub(super) fn mint(mint: &Mint, sign: Option<Grant>, lookup: &mut Lookup<'_>) -> Result<Self> {
        mint::Request::new(mint, sign, lookup).map(Box::new).map(Self::Mint)
    }

    pub(super) fn container(url: String, token: Option<&Secret>, scope: Scope) -> Result<Self> {
        cloud::Container::new(url, token, scope).map(Self::Container)
    }

    pub(super) fn instance(url: &str, scope: Scope) -> Self {
        Self::Instance(cloud::Instance::new(url, scope))
    }

    pub(super) fn role(role: &super::chain::Role, url: &str, scope: Scope) -> Self {
        Self::Role(role::Role::new(role, url, scope))
    }

    pub(super) fn sign_on(wanted: &super::chain::SignOn, url: &str, scope: Scope) -> Result<Self> {
        sign_on::SignOn::new(wanted, url, scope).map(Self::SignOn)
    }

    /// Asks for a token, for `model` where that makes a difference.
    ///
    /// # Errors
    /// One sentence: the server cannot be reached, refuses, or answers with something else.
    pub(crate) async fn run(&self, client: &Client, model: &str) -> Result<Minted> {
        let post = Post { client };
        match self {
            Self::OAuth2(oauth) => oauth.ask(&post).await,
            Self::Assertion(assertion) => assertion.ask(&post).await,
            Self::Refresh(refresh) => refresh.ask(&post).await,
            Self::Federation(federation) => federation.ask(&post).await,
            Self::Mint(mint) => mint.ask(&post, model).await,
            Self::Container(container) => container.ask(&post).await,
            Self::Instance(instance) => instance.ask(&post).await,
            Self::Role(role) => role.ask(&post).await,
            Self::SignOn(sign_on) => sign_on.ask(&post).await,
        }
    }
}

/// Sends requests to token servers, by the client's own transport.
struct Post<'a> {
    client: &'a Client,
}

/// A token server's answer.
struct Received {
    /// Who answered, without path or query, where secrets may stand.
    host: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// When it came: Unix seconds, by our clock.
    now: u64,
}

impl Post<'_> {
    async fn send(&self, mut request: Request<Payload>, sign: Option<&Grant>) -> Result<Received> {
        let headers = request.headers_mut();
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(crate::exchange::USER_AGENT));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(grant) = sign {
            grant.sign(&mut request, self.client.clock())?;
        }
        let host = request.uri().authority().map_or_else(String::new, |authority| authority.host().to_owned());
        let unreachable = |what: String| Error::new(Kind::Network, Origin::Network, format!("no token from {host}: {what}"));
        let transport = self.client.transport(request.uri().scheme_str());
        let exchange = async {
            let reply = transport.send(request).await?;
            let (head, body) = reply.into_parts();
            Ok((head, body.collect(ANSWER_LIMIT).await?))
        };
        let answered = tokio::time::timeout(PATIENCE, exchange).await;
        let answered = answered.map_err(|_| unreachable(format!("it did not answer within {} s", PATIENCE.as_secs())))?;
        let (head, body) = answered.map_err(|failure: crate::transport::Failure| unreachable(failure.message))?;
        Ok(Received { host, status: head.status, headers: head.headers, body, now: self.client.clock().unix() })
    }

    /// Sends a form, as RFC 6749 has it.
    async fn send_form(&self, url: &str, form: &str, authorization: Option<HeaderValue>) -> Result<Received> {
        let mut request = request(Method::POST, url, Payload::whole(form.to_owned()))?;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(authorization) = authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization);
        }
        self.send(request, None).await
    }
}

fn request(method: Method, url: &str, body: Payload) -> Result<Request<Payload>> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(url).map_err(|_| refuse("the token server's address is not a valid one"))?;
    Ok(request)
}
