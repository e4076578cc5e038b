//! Short-lived AWS keys from a container's or a machine's own metadata service. Only where the configuration or a
//! variable names it.

use http::{HeaderValue, Method, header};

use super::super::profile::read_keys;
use super::super::scheme::{Scope, signed_by};
use super::super::sign::refuse;
use super::{Minted, Post, Received, request};
use crate::codec::Result;
use crate::codec::catalog::Pick;
use crate::secret::Secret;
use crate::transport::Payload;

/// A container's credential address.
pub(crate) struct Container {
    url: String,
    token: Option<HeaderValue>,
    scope: Scope,
}

impl Container {
    pub(super) fn new(url: String, token: Option<&Secret>, scope: Scope) -> Result<Self> {
        let token = token.map(|token| HeaderValue::from_str(token.expose())).transpose();
        Ok(Container { url, token: token.map_err(|_| refuse("the container's token cannot stand in a header"))?, scope })
    }

    pub(super) async fn ask(&self, post: &Post<'_>) -> Result<Minted> {
        let mut asked = request(Method::GET, &self.url, Payload::empty())?;
        if let Some(token) = &self.token {
            asked.headers_mut().insert(header::AUTHORIZATION, token.clone());
        }
        read(&post.send(asked, None).await?, &self.scope, post)
    }
}

/// A machine's metadata service, version 2: a session first, then the role's name, then its keys.
pub(crate) struct Instance {
    url: String,
    scope: Scope,
}

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const SESSION: &str = "x-aws-ec2-metadata-token";
const SESSION_LIFE: &str = "x-aws-ec2-metadata-token-ttl-seconds";

impl Instance {
    pub(super) fn new(url: &str, scope: Scope) -> Self {
        Instance { url: url.trim_end_matches('/').to_owned(), scope }
    }

    pub(super) async fn ask(&self, post: &Post<'_>) -> Result<Minted> {
        let mut asked = request(Method::PUT, &format!("{}/latest/api/token", self.url), Payload::empty())?;
        asked.headers_mut().insert(SESSION_LIFE, HeaderValue::from_static("60"));
        let session = post.send(asked, None).await?;
        let session = plain(&session)?;
        let role = plain(&self.get(post, &format!("{}{ROLES}", self.url), &session).await?)?;
        let role = role.lines().next().unwrap_or_default().trim();
        let received = self.get(post, &format!("{}{ROLES}{role}", self.url), &session).await?;
        read(&received, &self.scope, post)
    }

    async fn get(&self, post: &Post<'_>, url: &str, session: &str) -> Result<Received> {
        let mut asked = request(Method::GET, url, Payload::empty())?;
        let session = HeaderValue::from_str(session).map_err(|_| refuse("the metadata service's session is not a word"))?;
        asked.headers_mut().insert(SESSION, session);
        post.send(asked, None).await
    }
}

fn plain(received: &Received) -> Result<String> {
    if !received.status.is_success() {
        received.json()?;
    }
    Ok(String::from_utf8_lossy(&received.body).trim().to_owned())
}

fn read(received: &Received, scope: &Scope, post: &Post<'_>) -> Result<Minted> {
    received.json()?;
    let (key, _) = read_keys(&Secret::new(&String::from_utf8_lossy(&received.body)))?;
    let expires = Pick::Pointer("/Expiration".to_owned());
    let life = received.lifetime(Some(&expires), None, post.client.clock().now());
    let notice = life.odd.map(|odd| format!("the metadata service {} {odd}", received.host));
    Ok(Minted { grant: signed_by(key, scope), lifetime: life.length, notice })
}
