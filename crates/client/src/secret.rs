//! A text that must not be seen.

use std::fmt;

use serde::{Serialize, Serializer};

/// A credential or key. `Debug`, `Display` and `Serialize` print `***`; it leaves only by [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a text; surrounding white space (a file's last line break) is not part of it.
    pub fn new(text: &str) -> Self {
        Secret(text.trim().into())
    }

    /// The text itself. Call it only where a request is signed or a caller's key is compared.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// By what people can tell it from others: the first 8 hexadecimal digits of its SHA-256.
    pub fn fingerprint(&self) -> String {
        crate::credential::fingerprint(self)
    }

    /// Compares without telling by its duration where the difference is.
    pub fn matches(&self, other: &str) -> bool {
        let (mine, theirs) = (self.0.as_bytes(), other.as_bytes());
        let differing = mine.iter().zip(theirs).fold(0u8, |sum, (a, b)| sum | (a ^ b));
        mine.len() == theirs.len() && differing == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}
