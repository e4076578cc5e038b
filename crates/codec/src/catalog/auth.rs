//! How a provider is told who calls, and where the secret for it comes from. Nothing is read here: a secret is a
//! reference until the client resolves it.

use std::fmt;

use http::HeaderName;
use serde::{Deserialize, Serialize, Serializer};

/// Where a secret (or any other value that does not belong in a file) comes from. Written as one string:
///
/// - `env:NAME` or `env:NAME|OTHER`: the first of these environment variables that is set and not empty
/// - `file:PATH`: the content of a file, without the line end
/// - `cmd:COMMAND`: what a command prints, without the line end
/// - anything else is the value itself
///
/// `Debug` and `Serialize` show a literal as `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SecretRef {
    /// Environment variables, the first that is set wins. Never empty.
    Env(Vec<String>),
    /// The path of a file.
    File(String),
    /// A command line.
    Cmd(String),
    /// The value itself.
    Literal(String),
}

impl SecretRef {
    /// The environment variables that this looks at, in order; none for the other kinds.
    pub fn env_names(&self) -> &[String] {
        match self {
            Self::Env(names) => names,
            Self::File(_) | Self::Cmd(_) | Self::Literal(_) => &[],
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or(("", ""));
        match kind {
            "env" => Ok(Self::Env(rest.split('|').map(env_name).collect::<Result<_, _>>()?)),
            "file" | "cmd" if rest.trim().is_empty() => Err(format!("nothing follows `{kind}:`")),
            "file" => Ok(Self::File(rest.to_owned())),
            "cmd" => Ok(Self::Cmd(rest.to_owned())),
            _ if text.is_empty() => Err("a secret is empty; write env:NAME, file:PATH, cmd:COMMAND or the value".to_owned()),
            _ => Ok(Self::Literal(text)),
        }
    }
}

fn env_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(name.to_owned());
    }
    // The text is not repeated: it may be a secret that was written after `env:` by mistake.
    Err("what follows `env:` is not the name of an environment variable".to_owned())
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(names) => write!(f, "env:{}", names.join("|")),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Cmd(command) => write!(f, "cmd:{command}"),
            Self::Literal(_) => f.write_str("***"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How the secret travels. In TOML one of `{ bearer = "…" }`, `{ header = "x-api-key", value = "…" }`,
/// `{ query = "key", value = "…" }` and `{ none = true }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "AuthTable")]
pub enum Auth {
    /// No credential at all.
    None,
    /// `Authorization: Bearer <secret>`.
    Bearer(SecretRef),
    /// A header of the provider's own.
    Header {
        /// The header's name, lower case.
        name: String,
        /// The secret.
        value: SecretRef,
    },
    /// A query parameter.
    Query {
        /// The parameter's name.
        name: String,
        /// The secret.
        value: SecretRef,
    },
}

impl Auth {
    /// The secret, if this scheme needs one.
    pub fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::None => None,
            Self::Bearer(value) | Self::Header { value, .. } | Self::Query { value, .. } => Some(value),
        }
    }

    /// The same scheme with another secret; a bearer token where there was no scheme.
    #[must_use]
    pub fn with_secret(self, secret: SecretRef) -> Self {
        match self {
            Self::None | Self::Bearer(_) => Self::Bearer(secret),
            Self::Header { name, .. } => Self::Header { name, value: secret },
            Self::Query { name, .. } => Self::Query { name, value: secret },
        }
    }

    /// The environment variables that may hold the secret, in order.
    pub fn env_names(&self) -> &[String] {
        self.secret().map_or(&[], SecretRef::env_names)
    }
}

/// `auth` as written: which keys stand together is checked when it becomes an [`Auth`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthTable {
    bearer: Option<SecretRef>,
    header: Option<String>,
    query: Option<String>,
    value: Option<SecretRef>,
    none: Option<bool>,
}

impl TryFrom<AuthTable> for Auth {
    type Error = String;

    fn try_from(table: AuthTable) -> Result<Self, String> {
        match table {
            AuthTable { bearer: Some(secret), header: None, query: None, value: None, none: None } => Ok(Self::Bearer(secret)),
            AuthTable { header: Some(name), value: Some(value), bearer: None, query: None, none: None } => {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header's name"))?;
                Ok(Self::Header { name: name.as_str().to_owned(), value })
            }
            AuthTable { query: Some(name), value: Some(value), bearer: None, header: None, none: None } if !name.is_empty() => {
                Ok(Self::Query { name, value })
            }
            AuthTable { none: Some(true), bearer: None, header: None, query: None, value: None } => Ok(Self::None),
            _ => Err("write one of { bearer = \"env:NAME\" }, { header = \"x-api-key\", value = \"env:NAME\" }, \
                      { query = \"key\", value = \"env:NAME\" }, { none = true }"
                .to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(text: &str) -> Result<Auth, String> {
        toml::from_str::<Auth>(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn reads_every_scheme() {
        let env = |names: &[&str]| SecretRef::Env(names.iter().map(|&n| n.to_owned()).collect());
        assert_eq!(auth("bearer = 'env:A_KEY'"), Ok(Auth::Bearer(env(&["A_KEY"]))));
        assert_eq!(auth("none = true"), Ok(Auth::None));
        let header = auth("header = 'X-Goog-Api-Key'\nvalue = 'env:ONE|TWO'").unwrap();
        assert_eq!(header, Auth::Header { name: "x-goog-api-key".to_owned(), value: env(&["ONE", "TWO"]) });
        assert_eq!(header.env_names(), ["ONE", "TWO"]);
        assert!(matches!(auth("query = 'key'\nvalue = 'file:/run/secret'"), Ok(Auth::Query { .. })));
        for wrong in ["none = false", "header = 'x'", "bearer = 'a'\nnone = true", "header = 'a b'\nvalue = 'c'", ""] {
            assert!(auth(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn keeps_secrets_out_of_sight() {
        let literal = SecretRef::try_from("sk-very-secret".to_owned()).unwrap();
        let all =
            format!("{literal:?} {literal} {:?} {}", Auth::Bearer(literal.clone()), serde_json::to_string(&literal).unwrap());
        assert!(!all.contains("very-secret"), "{all}");
        let misplaced = SecretRef::try_from("env:sk-very-secret".to_owned()).unwrap_err();
        assert!(!misplaced.contains("very-secret"), "{misplaced}");
        assert!(SecretRef::try_from("env:".to_owned()).is_err());
        assert!(SecretRef::try_from("cmd: ".to_owned()).is_err());
        assert_eq!(SecretRef::try_from("http://literal".to_owned()), Ok(SecretRef::Literal("http://literal".to_owned())));
    }

    #[test]
    fn a_new_secret_keeps_the_scheme() {
        let new = SecretRef::Literal("x".to_owned());
        let header = auth("header = 'x-api-key'\nvalue = 'env:A'").unwrap().with_secret(new.clone());
        assert_eq!(header, Auth::Header { name: "x-api-key".to_owned(), value: new.clone() });
        assert_eq!(Auth::None.with_secret(new.clone()), Auth::Bearer(new));
    }
}
