//! Tokens for a workload that another identity provider knows
//! ([workload identity federation](https://google.aip.dev/auth/4117)): the token that it has is exchanged (RFC 8693) for
//! another, and that one, where the file says so, for a service account's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::super::lookup::Lookup;
use super::super::sign::refuse;
use super::assertion::PAYER;
use super::oauth2::{read as read_token, without, write_form};
use super::{Minted, Post, Received, request};
use crate::codec::Result;
use crate::codec::catalog::{Pick, Place};
use crate::secret::Secret;
use crate::transport::Payload;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const WANTED: &str = "urn:ietf:params:oauth:token-type:access_token";
/// What a token must be good for that is exchanged for a service account's.
const ALL: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The file, as far as it matters.
#[derive(Deserialize)]
struct File {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: Source,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: Impersonation,
    client_id: Option<String>,
    client_secret: Option<String>,
    quota_project_id: Option<String>,
}

/// Where the workload's own token is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    file: Option<String>,
    url: Option<String>,
    headers: BTreeMap<String, String>,
    format: Format,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    r#type: Option<String>,
    subject_token_field_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Impersonation {
    token_lifetime_seconds: Option<u64>,
}

/// A workload's way to a token.
pub(crate) struct Federation {
    file: File,
    scope: String,
    authorization: Option<HeaderValue>,
    /// The token that its file held.
    told: Option<Secret>,
    /// By what it is known to the operator.
    known: Secret,
}

impl Federation {
    pub(super) fn new(json: &Secret, scope: &str, lookup: &mut Lookup<'_>) -> Result<Self> {
        let file: File = serde_json::from_str(json.expose())
            .map_err(|e| refuse(format!("this is no workload's credentials file: line {}, column {}", e.line(), e.column())))?;
        let source = &file.credential_source;
        let told = match (&source.file, &source.url) {
            // Whoever runs the workload writes a new one now and then: read each time.
            (Some(path), _) => Some(source.format.pick(lookup.read(&lookup.expand(path))?.expose())?),
            (None, Some(_)) => None,
            (None, None) => {
                let what =
                    "the credentials file names neither a `file` nor a `url` for the workload's token; others are not supported";
                return Err(refuse(what));
            }
        };
        lookup.secrets.extend(told.clone());
        lookup.secrets.extend(file.client_secret.as_deref().map(Secret::new));
        let authorization = match (&file.client_id, &file.client_secret) {
            (Some(id), Some(secret)) => {
                let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
                Some(HeaderValue::from_str(&basic).map_err(|_| refuse("`client_id` cannot stand in a header"))?)
            }
            _ => None,
        };
        Ok(Federation { file, scope: scope.to_owned(), authorization, told, known: json.clone() })
    }

    pub(super) async fn ask(&self, post: &Post<'_>) -> Result<Minted> {
        let own = match &self.told {
            Some(token) => token.clone(),
            None => self.fetch(post).await?,
        };
        let File { audience, subject_token_type, token_url, service_account_impersonation_url: account, .. } = &self.file;
        let scope = if account.is_some() { ALL } else { &self.scope };
        let fields = [
            ("grant_type", GRANT),
            ("audience", audience),
            ("scope", scope),
            ("requested_token_type", WANTED),
            ("subject_token", own.expose()),
            ("subject_token_type", subject_token_type),
        ];
        let form = write_form(&fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let received = post.send_form(token_url, form.expose(), self.authorization.clone()).await?;
        let minted = match account {
            None => read_token(&received, &Place::Bearer, &self.known, post),
            Some(url) => self.impersonate(url, &received, post).await,
        };
        let mut minted = minted.map_err(|error| without(error, &own))?;
        if let Some(payer) = &self.file.quota_project_id {
            minted.grant.add_header(PAYER, payer)?;
        }
        Ok(minted)
    }

    async fn fetch(&self, post: &Post<'_>) -> Result<Secret> {
        let source = &self.file.credential_source;
        let mut asked = request(Method::GET, source.url.as_deref().unwrap_or_default(), Payload::empty())?;
        for (name, value) in &source.headers {
            let odd = |_| refuse("a header of `credential_source` cannot be sent");
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| odd(()))?;
            asked.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|_| odd(()))?);
        }
        let received = post.send(asked, None).await?;
        if !received.status.is_success() {
            received.json()?;
            return Err(refuse(format!("{} gave no token of the workload", received.host)));
        }
        source.format.pick(&String::from_utf8_lossy(&received.body))
    }

    /// The service account's token, for the one that was received.
    async fn impersonate(&self, url: &str, received: &Received, post: &Post<'_>) -> Result<Minted> {
        let token = received.token(&Pick::Pointer("/access_token".to_owned()))?;
        let seconds = self.file.service_account_impersonation.token_lifetime_seconds.unwrap_or(3600);
        let scopes: Vec<&str> = self.scope.split(' ').collect();
        let body = json!({ "delegates": [], "scope": scopes, "lifetime": format!("{seconds}s") });
        let mut asked = request(Method::POST, url, Payload::whole(body.to_string()))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
        let bearer = bearer.map_err(|_| refuse("the exchanged token cannot stand in a header"))?;
        asked.headers_mut().insert(header::AUTHORIZATION, bearer);
        asked.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let received = post.send(asked, None).await?;
        let theirs = received.token(&Pick::Pointer("/accessToken".to_owned())).map_err(|error| without(error, &token))?;
        let expires = Pick::Pointer("/expireTime".to_owned());
        let life = received.lifetime(Some(&expires), Some(seconds), post.client.clock().now());
        let notice = life.odd.map(|odd| format!("the token server {} {odd}", received.host));
        let grant = super::super::grant::Grant::placed(&Place::Bearer, &theirs)?.known_by(&self.known);
        Ok(Minted { grant, lifetime: life.length, notice })
    }
}

impl Format {
    /// The token in a text: the whole of it, or a member of the JSON that it is.
    fn pick(&self, text: &str) -> Result<Secret> {
        let token = match self.r#type.as_deref() {
            Some("json") => {
                let name = self.subject_token_field_name.as_deref().unwrap_or("access_token");
                let json: Value = serde_json::from_str(text).unwrap_or_default();
                json.get(name).and_then(Value::as_str).map(str::to_owned)
            }
            _ => Some(text.trim().to_owned()),
        };
        let token = token.filter(|token| !token.is_empty());
        token.map(|token| Secret::new(&token)).ok_or_else(|| refuse("the workload's token is not where `credential_source` says"))
    }
}
