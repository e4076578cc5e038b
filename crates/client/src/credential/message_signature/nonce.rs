//! Nonces that have been used: what makes a request good only once.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Remembers nonces. One machine has [`SeenNonces`]; several behind one address need a store that they share.
pub trait Nonces: Send + Sync {
    /// Takes a nonce of a key, to be remembered until a time after which its signature is too old anyway. False if it
    /// had been taken before, or cannot be remembered. Of two calls at once with one nonce, one gets true.
    fn take(&self, key_id: &str, nonce: &str, until: SystemTime, now: SystemTime) -> bool;
}

/// Nonces in memory, up to a limit. When all of that is taken by nonces that still count, new ones are refused.
#[derive(Debug)]
pub struct SeenNonces {
    limit: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    known: HashSet<Arc<str>>,
    by_end: BTreeSet<(SystemTime, Arc<str>)>,
}

impl SeenNonces {
    /// For as many nonces at a time: what comes in during the lifetime of a signature, twice over.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, seen: Mutex::default() }
    }
}

impl Default for SeenNonces {
    /// A million nonces; some 150 MB when all are in use.
    fn default() -> Self {
        Self::new(1 << 20)
    }
}

impl Nonces for SeenNonces {
    fn take(&self, key_id: &str, nonce: &str, until: SystemTime, now: SystemTime) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while seen.by_end.first().is_some_and(|(end, _)| *end < now) {
            if let Some((_, name)) = seen.by_end.pop_first() {
                seen.known.remove(&name);
            }
        }
        // Neither part can hold the mark that separates them.
        let name: Arc<str> = format!("{key_id}\n{nonce}").into();
        if seen.known.len() >= self.limit || !seen.known.insert(Arc::clone(&name)) {
            return false;
        }
        seen.by_end.insert((until, name));
        true
    }
}
