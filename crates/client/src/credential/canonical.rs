//! The canonical request: the one text that both sides make of a request, for the schemes that share its skeleton.

use std::collections::BTreeMap;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::sign::{Draft, refuse};
use crate::codec::Result;

/// The headers that a signature covers: names in lower case, sorted, each with its value in canonical form.
pub(super) struct Covered(BTreeMap<String, String>);

impl Covered {
    /// The host, and those of the draft's headers that are wanted.
    pub(super) fn new(draft: &Draft<'_>, wanted: impl Fn(&str) -> bool, write: impl Fn(&str) -> String) -> Result<Self> {
        let mut covered = BTreeMap::from([(HOST.as_str().to_owned(), write(host(draft.uri)?))]);
        for name in draft.headers.keys().filter(|name| *name != HOST && wanted(name.as_str())) {
            let values = draft.headers.get_all(name).iter().map(|value| readable(name, value).map(&write));
            covered.insert(name.as_str().to_owned(), values.collect::<Result<Vec<_>>>()?.join(","));
        }
        Ok(Covered(covered))
    }

    /// `content-type;host`
    pub(super) fn names(&self) -> String {
        self.0.keys().map(String::as_str).collect::<Vec<_>>().join(";")
    }

    /// Name and value, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The whole canonical request, for a body with this hash.
    pub(super) fn request(&self, draft: &Draft<'_>, path: &str, query: &str, body_hash: &str) -> String {
        let lines: String = self.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        [draft.method.as_str(), path, query, &lines, &self.names(), body_hash].join("\n")
    }
}

/// What most schemes cover: what says how to read the body, and the extensions.
pub(super) fn usual(name: &str) -> bool {
    matches!(name, "content-type" | "content-md5") || name.starts_with("x-")
}

/// The value of the `host` header, as the transport will send it: without the port if it is the scheme's own.
pub(super) fn host(uri: &Uri) -> Result<&str> {
    let authority = uri.authority().ok_or_else(|| refuse("an address without a host cannot be signed"))?.as_str();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let default = if matches!(uri.scheme_str(), Some("https" | "wss")) { ":443" } else { ":80" };
    Ok(place.strip_suffix(default).unwrap_or(place))
}

/// A header's value as text without white space around it.
pub(super) fn readable<'a>(name: &HeaderName, value: &'a HeaderValue) -> Result<&'a str> {
    let text = value.to_str().map_err(|_| refuse(format!("the header {name} holds characters that cannot be signed")))?;
    Ok(text.trim())
}

/// Sets a header to a text that no log shows.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, text: &str) -> Result<()> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| refuse(format!("the credential holds characters that cannot stand in the header {name}")))?;
    value.set_sensitive(true);
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}
