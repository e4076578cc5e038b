//! Short-lived AWS keys of whoever has signed on, from the portal of the single sign-on
//! ([GetRoleCredentials](https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html)).

use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::super::chain::SignOn as Wanted;
use super::super::encode::strict;
use super::super::profile::with_token;
use super::super::scheme::{Scope, signed_by};
use super::super::sign::{AccessKey, refuse};
use super::{Minted, Post, request};
use crate::codec::Result;
use crate::codec::catalog::Pick;
use crate::secret::Secret;
use crate::transport::Payload;

/// A request for the keys of an account's role.
pub(crate) struct SignOn {
    profile: String,
    url: String,
    token: HeaderValue,
    scope: Scope,
}

const TOKEN: &str = "x-amz-sso_bearer_token";

impl SignOn {
    /// `url` may have the region of the portal in braces.
    pub(super) fn new(wanted: &Wanted, url: &str, scope: Scope) -> Result<Self> {
        let token = HeaderValue::from_str(wanted.token.expose());
        let token = token.map_err(|_| refuse("the token of the single sign-on cannot stand in a header"))?;
        let base = url.replace("{region}", &wanted.region);
        let (role, account) = (strict(&wanted.role), strict(&wanted.account));
        let base = base.trim_end_matches('/');
        let url = format!("{base}/federation/credentials?role_name={role}&account_id={account}");
        Ok(SignOn { profile: wanted.profile.clone(), url, token, scope })
    }

    pub(super) async fn ask(&self, post: &Post<'_>) -> Result<Minted> {
        let mut asked = request(Method::GET, &self.url, Payload::empty())?;
        asked.headers_mut().insert(TOKEN, self.token.clone());
        let received = post.send(asked, None).await?;
        if received.status == StatusCode::UNAUTHORIZED {
            let profile = &self.profile;
            let what = format!("the single sign-on of the profile `{profile}` is over; run `aws sso login --profile {profile}`");
            return Err(refuse(what));
        }
        let json = received.json()?;
        let text = |name: &str| {
            let text = json.pointer(&format!("/roleCredentials/{name}")).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(Secret::new)
        };
        let (Some(id), Some(secret)) = (text("accessKeyId"), text("secretAccessKey")) else {
            return Err(refuse(format!("the single sign-on at {} answered without keys; check `sso_region`", received.host)));
        };
        let key = with_token(AccessKey::new(id, secret), text("sessionToken"));
        let expires = Pick::Pointer("/roleCredentials/expiration".to_owned());
        let life = received.lifetime(Some(&expires), None, post.client.clock().now());
        let notice = life.odd.map(|odd| format!("the single sign-on at {} {odd}", received.host));
        Ok(Minted { grant: signed_by(key, &self.scope), lifetime: life.length, notice })
    }
}
