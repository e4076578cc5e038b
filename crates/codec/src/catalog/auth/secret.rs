//! Where a secret comes from.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds that what a command printed is used for, where nothing else is written.
pub const CMD_LIFETIME: u64 = 300;

/// Where a secret (or any other value that does not belong in a file) comes from. Written as one string:
///
/// - `env:NAME` or `env:NAME|OTHER`: the first of these environment variables that is set and not empty;
///   `env:NAME|=text` is that text where none of them is, for settings that are no secrets
/// - `file:PATH`: the content of a file, without the line end; read again when it changes
/// - `cmd:COMMAND`: what a command prints, without the line end; run again after [`CMD_LIFETIME`], or after what
///   `{ cmd = "COMMAND", lifetime_seconds = 3600 }` says
/// - anything else is the value itself
///
/// `Debug` and `Serialize` show a literal as `***`.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// Environment variables, the first that is set wins. Never empty. The last may be a default, `=` before it.
    Env(Vec<String>),
    /// The path of a file.
    File(String),
    /// A command.
    Cmd {
        /// The command line, for a shell.
        command: String,
        /// Seconds until it is run again; at least 1.
        lifetime: u64,
    },
    /// The value itself.
    Literal(String),
}

impl SecretRef {
    /// The environment variables that this looks at, in order; none for the other kinds.
    pub fn env_names(&self) -> &[String] {
        match self {
            Self::Env(names) => match names.split_last() {
                Some((last, others)) if last.starts_with('=') => others,
                _ => names,
            },
            Self::File(_) | Self::Cmd { .. } | Self::Literal(_) => &[],
        }
    }

    /// What it is where none of its variables is set.
    pub fn default_text(&self) -> Option<&str> {
        match self {
            Self::Env(names) => names.last()?.strip_prefix('='),
            Self::File(_) | Self::Cmd { .. } | Self::Literal(_) => None,
        }
    }

    /// Whether it may say something else without a new configuration: a file or a command.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::File(_) | Self::Cmd { .. })
    }
}

impl TryFrom<String> for SecretRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or(("", ""));
        match kind {
            "env" => {
                let (names, default) = rest.split_once("|=").map_or((rest, None), |(names, text)| (names, Some(text)));
                let names = names.split('|').map(env_name).chain(default.map(|text| Ok(format!("={text}"))));
                Ok(Self::Env(names.collect::<Result<_, _>>()?))
            }
            "file" | "cmd" if rest.trim().is_empty() => Err(format!("nothing follows `{kind}:`")),
            "file" => Ok(Self::File(rest.to_owned())),
            "cmd" => Ok(Self::Cmd { command: rest.to_owned(), lifetime: CMD_LIFETIME }),
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

/// `{ cmd = "…", lifetime_seconds = … }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CmdTable {
    cmd: String,
    #[serde(default = "cmd_lifetime")]
    lifetime_seconds: u64,
}

const fn cmd_lifetime() -> u64 {
    CMD_LIFETIME
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = SecretRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("env:NAME, file:PATH, cmd:COMMAND or the value itself")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretRef, E> {
                SecretRef::try_from(text.to_owned()).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretRef, A::Error> {
                let CmdTable { cmd, lifetime_seconds } = CmdTable::deserialize(MapAccessDeserializer::new(map))?;
                if cmd.trim().is_empty() || lifetime_seconds == 0 {
                    return Err(A::Error::custom("a command needs a text and at least one second of lifetime"));
                }
                Ok(SecretRef::Cmd { command: cmd, lifetime: lifetime_seconds })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(names) => write!(f, "env:{}", names.join("|")),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Cmd { command, .. } => write!(f, "cmd:{command}"),
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
