//! What a copy of a call keeps for itself, for the call that it is a copy of may be over first.

use http::HeaderMap;
use trunkline::codec::dialect::Head;

use crate::shed::Held;
use crate::worker::Worker;

/// The head of a caller's request.
pub(crate) struct Kept {
    path: String,
    query: Option<String>,
    headers: HeaderMap,
}

impl Kept {
    pub(crate) fn of(head: &Head<'_>) -> Self {
        Kept { path: head.path.to_owned(), query: head.query.map(str::to_owned), headers: head.headers.clone() }
    }

    pub(crate) fn head(&self) -> Head<'_> {
        Head { path: &self.path, query: self.query.as_deref(), headers: &self.headers }
    }
}

/// The memory that a copy's body takes: calls come first, so it is taken only where there is enough.
pub(crate) struct Room(Held);

impl Room {
    pub(crate) fn take(worker: &Worker, bytes: usize) -> Option<Self> {
        let mut held = Held::new(&worker.shed, &worker.client.config().server);
        held.fits(bytes as u64).then_some(Room(held))
    }

    /// Works on the copy beside everything else, as long as it takes.
    pub(crate) fn spawn(self, work: impl Future<Output = ()> + Send + 'static) {
        let Room(held) = self;
        tokio::spawn(async move {
            work.await;
            drop(held);
        });
    }
}
