//! Servers that check signatures as the vendors' do: from the raw request, with the secret, and with a clock of their own.
//!
//! Nothing here is shared with the code that signs. A check goes by what the request says of itself (which headers it
//! covers, in which scope) and refuses what the vendor would: a wrong or missing signature, an old one, a used one.
//!
//! ```
//! use trunkline_testkit::guard::{Guard, Pair, scoped};
//! use trunkline_testkit::provider::{Answer, LocalProvider};
//! let check = scoped::SIGV4.check(Pair::new("AKID", "secret"), "us-east-1", "bedrock");
//! let provider = LocalProvider::start(Guard::new(check, Answer::json(200, "{}")));
//! ```

pub mod bce;
mod body;
pub mod jwt;
pub mod message;
pub mod plain;
pub mod scoped;
mod text;
pub mod url;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::provider::{Answer, Script, Seen};

/// What a vendor knows of somebody who signs.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Who.
    pub id: String,
    /// What only he knows.
    pub secret: String,
    /// The token that must come along, if the pair is a temporary one.
    pub session: Option<String>,
}

impl Pair {
    /// A lasting pair.
    #[must_use]
    pub fn new(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: secret.to_owned(), session: None }
    }

    /// A temporary one.
    #[must_use]
    pub fn with_session(mut self, token: &str) -> Self {
        self.session = Some(token.to_owned());
        self
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// There is no signature, or it cannot be read.
    Missing,
    /// Nobody has such a key, or the token of its session is wrong.
    Unknown,
    /// Too old, or from the future.
    Untimely,
    /// Not the signature of this request.
    Wrong,
    /// Seen before.
    Used,
}

/// Looks at a request at a time, in milliseconds since 1970.
pub trait Check: Send + Sync + 'static {
    /// Whether the request may pass.
    ///
    /// # Errors
    /// When it may not.
    fn check(&self, seen: &Seen, now: u64) -> Result<(), Denial>;

    /// The vendor's own words for it.
    fn refuse(&self, denial: Denial) -> Answer;
}

/// Lets pass what is signed as it must be; the rest is refused in the vendor's words.
pub struct Guard<C, S> {
    check: C,
    then: S,
}

impl<C: Check, S: Script> Guard<C, S> {
    /// Stands before a script.
    pub const fn new(check: C, then: S) -> Self {
        Self { check, then }
    }
}

impl<C: Check, S: Script> Script for Guard<C, S> {
    fn answer(&self, seen: &Seen, nth: usize) -> Answer {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        match self.check.check(seen, u64::try_from(now).unwrap()) {
            Ok(()) => self.then.answer(seen, nth),
            Err(denial) => self.check.refuse(denial),
        }
    }
}

/// Whether two times, in milliseconds, are no further apart than so many seconds.
const fn near(a: u64, b: u64, seconds: u64) -> bool {
    a.abs_diff(b) <= seconds * 1000
}

/// `Credential=a/b, SignedHeaders=c, Signature=d` → the value of one.
fn field<'a>(authorization: &'a str, name: &str) -> Option<&'a str> {
    authorization.split(", ").find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Path and query of a request target.
fn target(seen: &Seen) -> (&str, &str) {
    seen.path.split_once('?').unwrap_or((&seen.path, ""))
}
