//! A credential as it stands now: what it adds to a request, and how it is kept out of sight.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::digest::{hex, sha256};
use super::encode;
use super::sign::{Draft, Moment, Sign, refuse};
use crate::clock::Clock;
use crate::codec::catalog::Place;
use crate::codec::json::quote;
use crate::codec::{Error, Result};
use crate::secret::Secret;
use crate::transport::Payload;

/// What is added to every request. Nothing of it is ever printed.
#[derive(Default)]
pub(crate) struct Grant {
    headers: Vec<(HeaderName, HeaderValue)>,
    query: Option<Secret>,
    sign: Option<Box<dyn Sign>>,
    /// To be recognised where a provider repeats them.
    secrets: Vec<Secret>,
    fingerprint: Option<String>,
}

impl Grant {
    /// A secret or a token in its place.
    pub(crate) fn placed(place: &Place, token: &Secret) -> Result<Self> {
        let mut grant =
            Grant { secrets: spellings(std::slice::from_ref(token)), fingerprint: Some(fingerprint(token)), ..Grant::default() };
        match place {
            Place::Bearer => grant.add_header(header::AUTHORIZATION, &format!("Bearer {}", token.expose()))?,
            Place::Header(name) => grant.add_header(header_name(name)?, token.expose())?,
            Place::Query(name) => {
                let encoded = encode::strict(token.expose());
                grant.query = Some(Secret::new(&format!("{name}={encoded}")));
            }
        }
        Ok(grant)
    }

    /// A signature over each request, proved by `secret`.
    pub(crate) fn signed(sign: impl Sign + 'static, secret: &Secret) -> Self {
        Grant { sign: Some(Box::new(sign)), fingerprint: Some(fingerprint(secret)), ..Grant::default() }
    }

    /// The same, called by the secret that it was made with rather than by itself.
    #[must_use]
    pub(crate) fn known_by(mut self, secret: &Secret) -> Self {
        self.fingerprint = Some(fingerprint(secret));
        self
    }

    /// The fingerprint of that other secret, where it is known already.
    pub(crate) fn name(&mut self, fingerprint: String) {
        self.fingerprint = Some(fingerprint);
    }

    /// One more header, e.g. a project's.
    pub(crate) fn add_header(&mut self, name: HeaderName, text: &str) -> Result<()> {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| refuse("the key holds characters that cannot stand in a header; check for line breaks"))?;
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(())
    }

    /// More texts to recognise.
    pub(crate) fn hide(&mut self, secrets: impl IntoIterator<Item = Secret>) {
        let all: Vec<Secret> = self.secrets.drain(..).chain(secrets).collect();
        self.secrets = spellings(&all);
    }

    /// Adds what does not depend on the rest of the request.
    pub(crate) fn apply(&self, path: &mut String, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(query) = &self.query {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(query.expose());
        }
    }

    /// Signs a finished request, if that is what this credential does. A scheme that covers the body refuses one that is
    /// still on its way.
    pub(crate) fn sign(&self, request: &mut http::Request<Payload>, clock: &dyn Clock) -> Result<()> {
        let Some(sign) = &self.sign else { return Ok(()) };
        let method = request.method().clone();
        let mut uri = std::mem::take(request.uri_mut());
        let mut headers = std::mem::take(request.headers_mut());
        let mut draft = Draft { method: &method, uri: &mut uri, headers: &mut headers, body: request.body() };
        let signed = sign.sign(&mut draft, &moment(clock)?);
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        signed
    }

    /// Whether the clock has a part in it.
    pub(crate) fn is_timed(&self) -> bool {
        self.sign.is_some()
    }

    /// By what the operator can tell it from others: the first 8 hexadecimal digits of the secret's SHA-256.
    pub(crate) fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Somebody's words without our secrets.
    pub(crate) fn redact(&self, error: &mut Error) {
        redact(error, &self.secrets);
    }

    /// A text without our secrets.
    pub(crate) fn clean(&self, mut text: String) -> String {
        redact_text(&mut text, &self.secrets);
        text
    }

    /// What is to be recognised.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Whether these bytes hold one of the secrets.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.secrets.iter().any(|secret| memchr::memmem::find(bytes, secret.expose().as_bytes()).is_some())
    }
}

/// The shortest text that is recognised.
pub(crate) const SHORTEST: usize = 8;

/// Secrets in every spelling in which others may repeat them, the longest first.
pub(crate) fn spellings(secrets: &[Secret]) -> Vec<Secret> {
    let mut all: Vec<Secret> = secrets.iter().flat_map(|secret| spell(secret.expose())).collect();
    // Anything shorter is no secret, and would be found in words that have nothing to do with it.
    all.retain(|secret| secret.expose().len() >= SHORTEST);
    all.sort_by(|a, b| b.expose().len().cmp(&a.expose().len()).then_with(|| a.expose().cmp(b.expose())));
    all.dedup();
    all
}

/// A text as it is, within JSON by either custom, within an address, and within a form.
fn spell(text: &str) -> impl Iterator<Item = Secret> {
    let quoted = quote(text);
    let quoted = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text).to_owned();
    let narrow: String = quoted.encode_utf16().map(escape).collect();
    let slashed = [quoted.replace('/', "\\/"), narrow.replace('/', "\\/")];
    // Some leave the slashes of a path, and some write hexadecimal digits small.
    let encoded = [encode::strict(text), encode::form(text), encode::path(text)];
    let small = encoded.each_ref().map(|text| encode::lower(text));
    let texts = [text.to_owned(), quoted, narrow].into_iter().chain(slashed).chain(encoded).chain(small);
    texts.map(|text| Secret::new(&text))
}

/// What is not ASCII by its number.
fn escape(unit: u16) -> String {
    match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        _ => format!("\\u{unit:04x}"),
    }
}

/// Clock and dice for one signature.
pub(super) fn moment(clock: &dyn Clock) -> Result<Moment> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|e| refuse(format!("the system gives no random bytes: {e}")))?;
    Ok(Moment { now: clock.now(), nonce })
}

/// The first 8 hexadecimal digits of a secret's SHA-256.
pub(crate) fn fingerprint(secret: &Secret) -> String {
    let mut digits = hex(sha256(secret.expose()));
    digits.truncate(8);
    digits
}

/// Takes secrets out of an error's words.
pub(super) fn redact(error: &mut Error, secrets: &[Secret]) {
    for text in [Some(&mut error.message), error.raw.as_mut(), error.code.as_mut(), error.param.as_mut()].into_iter().flatten() {
        redact_text(text, secrets);
    }
}

fn redact_text(text: &mut String, secrets: &[Secret]) {
    for secret in secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SHORTEST) {
        if text.contains(secret) {
            *text = text.replace(secret, "***");
        }
    }
}

pub(super) fn header_name(name: &str) -> Result<HeaderName> {
    HeaderName::try_from(name).map_err(|_| refuse(format!("`{name}` is not a header's name")))
}

/// Until when something may be used, by [`Clock::ticks`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    /// From here on it is worth looking for a successor.
    pub(crate) advisory: Duration,
    /// From here on calls wait for one, for a little while.
    pub(crate) mandatory: Duration,
    /// From here on it is worthless.
    pub(crate) end: Duration,
}

impl Term {
    /// For something that is never too old.
    pub(crate) const ENDLESS: Term = Term { advisory: Duration::MAX, mandatory: Duration::MAX, end: Duration::MAX };

    /// For something asked for at `start` that lives for `lifetime`.
    pub(crate) fn new(start: Duration, lifetime: Duration) -> Self {
        let early = (lifetime / 10).max(Duration::from_secs(60)).min(lifetime / 2);
        let late = Duration::from_secs(30).min(lifetime / 4);
        let end = start.saturating_add(lifetime);
        Term { advisory: end.saturating_sub(early), mandatory: end.saturating_sub(late), end }
    }
}
