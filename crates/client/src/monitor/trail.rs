//! Credentials that were refused on the way to an answer, one after another, within one exchange.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A request that its provider answered by refusing the credential, so that it was sent again with another one, or with a
/// newer form of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The first 8 hexadecimal digits of the secret's SHA-256; `None` where the provider takes none.
    pub credential: Option<String>,
    /// The status of the answer.
    pub status: u16,
}

/// What whoever makes an exchange notes for whoever keeps the outcome. Copies are the same one.
#[derive(Clone, Debug, Default)]
pub struct Trail(Arc<Mutex<Vec<Refused>>>);

impl Trail {
    /// Those that were refused so far, in their order.
    pub fn refused(&self) -> Vec<Refused> {
        self.list().clone()
    }

    /// How many that are.
    pub fn len(&self) -> usize {
        self.list().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn note(&self, refused: Refused) {
        self.list().push(refused);
    }

    fn list(&self) -> MutexGuard<'_, Vec<Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
