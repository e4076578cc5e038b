//! The signature base (RFC 9421 §2.5): the text that is signed.

use http::{HeaderMap, Uri};

use super::super::canonical::host;
use crate::codec::Result;

/// What components are taken from.
pub(super) struct Parts<'a> {
    pub(super) method: &'a str,
    /// In lower case, without the scheme's own port.
    pub(super) authority: String,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
}

/// The `@authority` of an address.
pub(super) fn authority(uri: &Uri) -> Result<String> {
    host(uri).map(str::to_ascii_lowercase)
}

/// The base of a signature over these components with these parameters, as `Signature-Input` has them. Nothing if the
/// request lacks one of them.
pub(super) fn write<'n>(parts: &Parts<'_>, names: impl IntoIterator<Item = &'n str>, params: &str) -> Option<String> {
    let mut base = String::new();
    for name in names {
        let value = value(parts, name)?;
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {params}"));
    Some(base)
}

fn value(parts: &Parts<'_>, name: &str) -> Option<String> {
    let field = || {
        let values = parts.headers.get_all(name).iter().map(|value| value.to_str().ok().map(str::trim));
        let values = values.collect::<Option<Vec<_>>>()?;
        (!values.is_empty()).then(|| values.join(", "))
    };
    match name {
        "@method" => Some(parts.method.to_owned()),
        "@authority" => Some(parts.authority.clone()),
        "@path" if parts.path.is_empty() => Some("/".to_owned()),
        "@path" => Some(parts.path.to_owned()),
        "@query" => Some(format!("?{}", parts.query.unwrap_or_default())),
        // Components of the profile only.
        _ if name.starts_with('@') => None,
        _ => field(),
    }
}
