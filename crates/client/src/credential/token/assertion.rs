//! Tokens for a service account (RFC 7523) or a person (RFC 6749 §6), both from a JSON key file. A workload's file is one,
//! too: see [`Federation`].

use http::HeaderName;
use serde_json::Value;

use super::super::lookup::Lookup;
use super::super::sign::{self, refuse};
use super::federation::Federation;
use super::oauth2::{read as read_token, without, write_form};
use super::{Exchange, Minted, Post};
use crate::codec::Result;
use crate::codec::catalog::{Place, ServiceAccount};
use crate::secret::Secret;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A service account that signs for itself.
pub(crate) struct Assertion {
    account: sign::ServiceAccount,
    scope: String,
    subject: Option<String>,
    file: Secret,
}

/// A person who once agreed.
pub(crate) struct Refresh {
    url: String,
    form: Secret,
    token: Secret,
    /// The project that pays, where it is not the person's own.
    payer: Option<String>,
}

/// Names the project that pays.
pub(super) const PAYER: HeaderName = HeaderName::from_static("x-goog-user-project");

/// Reads the key file, whichever of them it is.
pub(super) fn read(account: &ServiceAccount, lookup: &mut Lookup<'_>) -> Result<Exchange> {
    let file = match &account.json {
        Some(json) => lookup.need(json)?,
        None => {
            let path = account.files.iter().find_map(|file| lookup.path(file));
            let path = path.ok_or_else(|| {
                let tried: Vec<String> = account.files.iter().map(name_of).collect();
                refuse(format!("no service account's file is there; tried {}", tried.join(", ")))
            })?;
            lookup.read(&path)?
        }
    };
    let value: Value = serde_json::from_str(file.expose()).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    lookup.secrets.extend(["private_key", "client_secret", "refresh_token"].into_iter().filter_map(text).map(Secret::new));
    match text("type") {
        Some("authorized_user") => {
            let need = |name: &str| text(name).ok_or_else(|| refuse(format!("the credentials file lacks `{name}`")));
            let own = text("token_uri").map(str::to_owned);
            let url = own.or_else(|| account.token_url.clone());
            let url = url.ok_or_else(|| refuse("auth: `service_account` lacks `token_url`, which a person's file needs"))?;
            let form = [("grant_type", "refresh_token")].into_iter().map(Ok);
            let rest =
                ["client_id", "client_secret", "refresh_token"].into_iter().map(|name| need(name).map(|text| (name, text)));
            let form = form.chain(rest).map(|pair| pair.map(|(name, text)| (name.to_owned(), text.to_owned())));
            let mut form: Vec<(String, String)> = form.collect::<Result<_>>()?;
            form.push(("scope".to_owned(), account.scope.clone()));
            let (token, payer) = (Secret::new(need("refresh_token")?), text("quota_project_id").map(str::to_owned));
            Ok(Exchange::Refresh(Refresh { url, form: write_form(&form), token, payer }))
        }
        Some("service_account") | None => Ok(Exchange::Assertion(Assertion {
            account: sign::ServiceAccount::read(&file)?,
            scope: account.scope.clone(),
            subject: account.subject.clone(),
            file,
        })),
        Some("external_account") => {
            let federation = Federation::new(&file, &account.scope, lookup)?;
            Ok(Exchange::Federation(Box::new(federation)))
        }
        Some(other) => Err(refuse(format!("credentials of the type `{other}` are not supported; take a service account's"))),
    }
}

/// A path is no secret.
fn name_of(file: &crate::codec::catalog::SecretRef) -> String {
    match file {
        crate::codec::catalog::SecretRef::Literal(path) => path.clone(),
        other => other.to_string(),
    }
}

impl Assertion {
    pub(super) async fn ask(&self, post: &Post<'_>) -> Result<Minted> {
        let now = post.client.clock().now();
        let assertion = self.account.assertion(&self.scope, self.subject.as_deref(), now)?;
        let form = [("grant_type".to_owned(), GRANT.to_owned()), ("assertion".to_owned(), assertion.expose().to_owned())];
        let received = post.send_form(self.account.token_uri(), write_form(&form).expose(), None).await?;
        let minted = read_token(&received, &Place::Bearer, &self.file, post);
        minted.map_err(|error| received.blame_clock(without(error, &assertion), now))
    }
}

impl Refresh {
    pub(super) async fn ask(&self, post: &Post<'_>) -> Result<Minted> {
        let received = post.send_form(&self.url, self.form.expose(), None).await?;
        let mut minted = read_token(&received, &Place::Bearer, &self.token, post)?;
        if let Some(payer) = &self.payer {
            minted.grant.add_header(PAYER, payer)?;
        }
        Ok(minted)
    }
}
