//! Exchanges kept in a folder, and played back from it. `docs/recordings.md` describes the files.

mod canonical;
mod file;
mod hide;
mod keep;
mod replay;
mod tape;
mod view;

pub(crate) use keep::Keeper;
pub(crate) use replay::Replay;
pub(crate) use replay::providers;

use http::{HeaderMap, Method};

use crate::body_values::BodyValues;

/// The longest request or reply that is kept, in bytes.
pub(crate) const EXCHANGE_LIMIT: usize = 64 * 1024 * 1024;

/// A request as it was before it got its credential, and what it is hidden by.
pub(crate) struct Plain {
    /// Path and query under the provider's address.
    pub(crate) path: String,
    /// All headers but the credential's.
    pub(crate) headers: HeaderMap,
    /// Every secret that may be in play.
    pub(crate) secrets: Vec<crate::Secret>,
    /// What stands in the body in place of an account's values, however short they are.
    pub(crate) values: BodyValues,
}

/// Whom an exchange is with.
#[derive(Clone, Debug)]
pub(crate) struct With {
    /// The provider's id.
    pub(crate) provider: String,
    /// `provider/model`.
    pub(crate) target: String,
    pub(crate) dialect: String,
    /// The recording of the same request with another credential, which was not good enough.
    pub(crate) instead_of: Option<u64>,
}

/// The number of a recording: with the reply whose recording it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) u64);

/// A request that is looked for among the recordings.
pub(crate) struct Wanted<'a> {
    pub(crate) with: With,
    pub(crate) method: &'a Method,
    pub(crate) plain: &'a Plain,
    pub(crate) body: &'a [u8],
}
