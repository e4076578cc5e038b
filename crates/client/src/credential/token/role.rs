//! Short-lived AWS keys of a role, from the Security Token Service: a form that is signed, or not where a token proves who
//! asks, answered in XML.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};

use super::super::chain::{Identity, Role as Wanted};
use super::super::grant::Grant;
use super::super::scheme::{Scope, signed_by};
use super::super::sign::{AccessKey, refuse};
use super::oauth2::write_form;
use super::{Minted, Post, Received, request};
use crate::codec::catalog::Pick;
use crate::codec::{Error, Result};
use crate::secret::Secret;
use crate::transport::Payload;

/// A request for a role's keys.
pub(crate) struct Role {
    url: String,
    form: Secret,
    sign: Option<Grant>,
    scope: Scope,
}

const VERSION: &str = "2011-06-15";

impl Role {
    /// `url` may have the region in braces.
    pub(super) fn new(wanted: &Wanted, url: &str, scope: Scope) -> Self {
        let (action, token, sign) = match &wanted.identity {
            Identity::Token(token) => ("AssumeRoleWithWebIdentity", Some(token.expose()), None),
            Identity::Keys(key) => {
                let place = (scope.0.clone(), "sts".to_owned());
                ("AssumeRole", None, Some(signed_by(key.clone(), &place)))
            }
        };
        // In the order of the vendor's own library, so that both can be compared, signature and all.
        let fields = [
            ("Action", Some(action)),
            ("Version", Some(VERSION)),
            ("RoleSessionName", Some(wanted.session.as_str())),
            ("ExternalId", wanted.external_id.as_deref().filter(|_| token.is_none())),
            ("DurationSeconds", wanted.seconds.as_deref()),
            ("RoleArn", Some(wanted.arn.as_str())),
            ("WebIdentityToken", token),
        ];
        let form: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        Role { url: url.replace("{region}", &scope.0), form: write_form(&form), sign, scope }
    }

    pub(super) async fn ask(&self, post: &Post<'_>) -> Result<Minted> {
        let now = post.client.clock().now();
        let mut asked = request(Method::POST, &self.url, Payload::whole(self.form.expose().to_owned()))?;
        let headers = asked.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/xml"));
        let received = post.send(asked, self.sign.as_ref()).await?;
        let error = |error: Error| if self.sign.is_some() { received.blame_clock(error, now) } else { error };
        let body = Secret::new(&String::from_utf8_lossy(&received.body));
        let key = read(&received, body.expose()).map_err(error)?;
        let expires = element(body.expose(), "Expiration").map(|end| serde_json::json!({ "end": end }).to_string());
        let told = Received { body: expires.unwrap_or_default().into(), ..received };
        let life = told.lifetime(Some(&Pick::Pointer("/end".to_owned())), None, now);
        let notice = life.odd.map(|odd| format!("the token server {} {odd}", told.host));
        Ok(Minted { grant: signed_by(key, &self.scope), lifetime: life.length, notice })
    }
}

/// The keys in a good answer.
fn read(received: &Received, xml: &str) -> Result<AccessKey> {
    if !received.status.is_success() {
        let words = match (element(xml, "Code"), element(xml, "Message")) {
            (Some(code), Some(message)) => Some(format!("{code}: {message}")),
            (code, message) => code.or(message),
        };
        return Err(received.refused(false, words));
    }
    let text = |name: &str| element(xml, name).filter(|text| !text.is_empty()).map(|text| Secret::new(&text));
    match (text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken")) {
        (Some(id), Some(secret), Some(token)) => Ok(AccessKey::new(id, secret).with_session(token)),
        _ => Err(refuse(format!("the token server {} answered without keys; check its address", received.host))),
    }
}

/// The text of the first element of that name, which has no others inside.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    // The last one: what it stands for may look like another.
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(text.replace("&amp;", "&").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found() {
        let xml = "<A xmlns=\"u\"><B>\n <C>a&amp;lt;&quot;+/=</C><D></D></B><C>later</C></A>";
        assert_eq!(element(xml, "C").as_deref(), Some("a&lt;\"+/="));
        assert_eq!((element(xml, "D").as_deref(), element(xml, "E"), element("<C>cut", "C")), (Some(""), None, None));
    }
}
