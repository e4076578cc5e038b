//! Where secrets come from, and how each scheme adds one to a request.

mod access_key;
mod bce;
mod canonical;
mod content_digest;
mod date;
mod digest;
mod encode;
mod hmac_sha256;
mod hs256_jwt;
mod message_signature;
mod sdk_hmac;
mod service_account;
pub mod sign;
mod sigv4;
mod structured;
mod tc3;
mod url_hmac;

use std::process::Command;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::codec::catalog::{Auth, Provider, SecretRef};
use crate::codec::{Error, Kind, Origin, Result};
use crate::config::Environment;
use crate::secret::Secret;

/// What is added to every request for one provider. Nothing of it is ever printed.
#[derive(Clone)]
pub(crate) struct Credential {
    headers: Vec<(HeaderName, HeaderValue)>,
    query: Option<Secret>,
    /// The secret itself, to be recognised where a provider repeats it.
    secret: Option<Secret>,
}

/// What became of a provider's secret.
pub(crate) enum Found {
    /// It is there, or none is needed.
    Ready(Credential),
    /// These variables would have held it.
    Missing(Vec<String>),
}

impl Credential {
    /// Resolves the secret and the headers of a provider.
    pub(crate) fn find(provider: &Provider, environment: &Environment) -> Result<Found> {
        let mut credential = Credential { headers: Vec::new(), query: None, secret: None };
        if let Some(reference) = provider.auth.secret() {
            match (resolve(reference, environment)?, provider.local) {
                (Some(secret), _) => {
                    credential.add(provider, &secret)?;
                    credential.secret = Some(secret);
                }
                (None, true) => {}
                (None, false) => return Ok(Found::Missing(reference.env_names().to_vec())),
            }
        }
        for (name, reference) in &provider.headers {
            if let (Ok(name), Some(value)) = (HeaderName::try_from(name), resolve(reference, environment)?) {
                credential.headers.push((name, sensitive(value.expose(), provider)?));
            }
        }
        Ok(Found::Ready(credential))
    }

    fn add(&mut self, provider: &Provider, secret: &Secret) -> Result<()> {
        match &provider.auth {
            Auth::None => {}
            Auth::Bearer(_) => {
                let value = sensitive(&format!("Bearer {}", secret.expose()), provider)?;
                self.headers.push((header::AUTHORIZATION, value));
            }
            Auth::Header { name, .. } => {
                if let Ok(name) = HeaderName::try_from(name) {
                    self.headers.push((name, sensitive(secret.expose(), provider)?));
                }
            }
            Auth::Query { name, .. } => {
                self.query = Some(Secret::new(&format!("{name}={}", percent_encode(secret.expose()))));
            }
        }
        Ok(())
    }

    /// Adds the secret to a finished request.
    pub(crate) fn apply(&self, path: &mut String, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(query) = &self.query {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(query.expose());
        }
    }
}

impl Credential {
    /// Some providers repeat a key that they reject: their words without it.
    pub(crate) fn redact(&self, error: &mut Error) {
        let Some(secret) = self.recognisable() else { return };
        for text in
            [Some(&mut error.message), error.raw.as_mut(), error.code.as_mut(), error.param.as_mut()].into_iter().flatten()
        {
            if text.contains(secret) {
                *text = text.replace(secret, "***");
            }
        }
    }

    /// Whether these bytes hold the secret.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.recognisable().is_some_and(|secret| memchr::memmem::find(bytes, secret.as_bytes()).is_some())
    }

    /// Anything shorter is no secret, and would be found in words that have nothing to do with it.
    fn recognisable(&self) -> Option<&str> {
        self.secret.as_ref().map(Secret::expose).filter(|secret| secret.len() >= 8)
    }
}

/// Reads a secret from where it is kept; `None` when its variable is not set.
///
/// # Errors
/// When its file or command cannot be used.
pub fn resolve(reference: &SecretRef, environment: &Environment) -> Result<Option<Secret>> {
    let unusable = |what: String| Error::new(Kind::Internal, Origin::Gateway, what);
    match reference {
        SecretRef::Env(names) => Ok(environment.first(names).map(Secret::new)),
        SecretRef::Literal(text) => Ok(Some(Secret::new(text))),
        SecretRef::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| unusable(format!("cannot read the secret file {path}: {e}")))?;
            Ok(Some(Secret::new(&text)))
        }
        SecretRef::Cmd(command) => {
            let output = Command::new("sh").arg("-c").arg(command).output();
            let output = output.map_err(|e| unusable(format!("cannot run the secret command `{command}`: {e}")))?;
            if !output.status.success() {
                return Err(unusable(format!("the secret command `{command}` failed ({})", output.status)));
            }
            Ok(Some(Secret::new(&String::from_utf8_lossy(&output.stdout))))
        }
    }
}

fn sensitive(text: &str, provider: &Provider) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let what = format!("the key for {} holds characters that cannot stand in a header; check for line breaks", provider.id);
        Error::new(Kind::Internal, Origin::Gateway, what)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn percent_encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
