//! Where a token is found in an answer, and where it stands in a call.

use http::HeaderName;
use serde::Deserialize;

/// Where a token stands in a call. In TOML `"header"`, `"header:NAME"` or `"query:NAME"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Place {
    /// `Authorization: Bearer <token>`.
    #[default]
    Bearer,
    /// A header of its own, lower case.
    Header(String),
    /// A parameter of the address.
    Query(String),
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "header" || text == "bearer" => Ok(Self::Bearer),
            Some(("header", name)) => Ok(Self::Header(header_name(name)?)),
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            _ => Err(format!("`{text}` says not where a token stands; write header, header:NAME or query:NAME")),
        }
    }
}

/// Where an answer has a value. In TOML a JSON pointer (`"/token/expires_at"`) or `"header:NAME"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Pick {
    /// In the JSON body, by RFC 6901.
    Pointer(String),
    /// In a header, lower case.
    Header(String),
}

impl TryFrom<String> for Pick {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix("header:") {
            Some(name) => Ok(Self::Header(header_name(name)?)),
            None if text.starts_with('/') => Ok(Self::Pointer(text)),
            None => Err(format!("`{text}` says not where the answer has a value; write /path/in/json or header:NAME")),
        }
    }
}

/// A header's name, lower case.
pub(super) fn header_name(name: &str) -> Result<String, String> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header's name"))?;
    Ok(name.as_str().to_owned())
}
