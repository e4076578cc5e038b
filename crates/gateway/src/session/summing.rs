//! Which sessions are being summed up: each by one at a time, and not at once again where it failed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a session rests whose summary failed.
const REST: Duration = Duration::from_secs(60);
/// Sessions that rest before those are forgotten that have.
const MOST: usize = 1024;

#[derive(Default)]
pub(crate) struct Summing(Mutex<HashMap<String, State>>);

enum State {
    Running,
    RestsUntil(Instant),
}

/// The right to sum a session up, until it goes.
pub(super) struct Begun {
    all: Arc<Summing>,
    session: String,
    failed: bool,
}

impl Summing {
    /// The right to sum this session up, unless somebody has it, or it rests.
    pub(super) fn begin(self: &Arc<Self>, session: &str) -> Option<Begun> {
        let mut all = self.all();
        match all.get(session) {
            Some(State::Running) => return None,
            Some(State::RestsUntil(end)) if Instant::now() < *end => return None,
            _ => {}
        }
        if all.len() >= MOST {
            let now = Instant::now();
            all.retain(|_, state| !matches!(state, State::RestsUntil(end) if *end <= now));
        }
        all.insert(session.to_owned(), State::Running);
        Some(Begun { all: Arc::clone(self), session: session.to_owned(), failed: false })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// It came to nothing.
    pub(super) fn fail(mut self) {
        self.failed = true;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut all = self.all.all();
        if self.failed {
            all.insert(self.session.clone(), State::RestsUntil(Instant::now() + REST));
        } else {
            all.remove(&self.session);
        }
    }
}
