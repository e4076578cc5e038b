//! What the gateway does not take on: calls beyond a number, and bodies beyond an amount of memory. Whoever is refused is
//! told when to come back; those who are being served do not suffer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use trunkline::codec::{Error, Kind, Origin, Retry};
use trunkline::config::Server;
use trunkline::monitor::Counters;

/// When those who are refused may come back.
const COME_BACK: Duration = Duration::from_secs(1);

/// What all threads hold together.
pub struct Shed {
    calls: AtomicUsize,
    bytes: AtomicU64,
    connections: AtomicU64,
    counters: Arc<Counters>,
}

impl Shed {
    pub fn new(counters: Arc<Counters>) -> Self {
        Shed { calls: AtomicUsize::new(0), bytes: AtomicU64::new(0), connections: AtomicU64::new(0), counters }
    }

    /// How much that is now.
    pub fn load(&self) -> Load {
        Load {
            calls: self.calls.load(Relaxed) as u64,
            bytes: self.bytes.load(Relaxed),
            connections: self.connections.load(Relaxed),
        }
    }

    /// One more connection.
    pub fn connect(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Relaxed);
        Connected(Arc::clone(self))
    }

    /// One more call.
    ///
    /// # Errors
    /// `Unavailable` when there are as many as may be.
    pub fn open(self: &Arc<Self>, server: &Server) -> Result<Open, Error> {
        let open = Open(Arc::clone(self));
        if self.calls.fetch_add(1, Relaxed) < server.max_calls {
            return Ok(open);
        }
        Err(self.refuse("the gateway has as many calls as it may ([server] max_calls)"))
    }

    fn refuse(&self, what: &str) -> Error {
        self.counters.shed();
        let error = Error::new(Kind::Unavailable, Origin::Gateway, format!("{what}; send the request again in a moment"));
        Error { retry: Retry::After(COME_BACK), ..error }
    }
}

/// What all threads hold together at one moment.
pub struct Load {
    /// Calls that are open.
    pub calls: u64,
    /// Bytes of requests.
    pub bytes: u64,
    /// Connections of callers.
    pub connections: u64,
}

/// A connection, as long as it lives.
pub struct Connected(Arc<Shed>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

/// A call that is open: from its head to the last byte of its answer.
pub struct Open(Arc<Shed>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

/// The memory that one request's body takes.
pub struct Held {
    shed: Arc<Shed>,
    bytes: u64,
    limit: u64,
}

impl Held {
    /// None yet.
    pub fn new(shed: &Arc<Shed>, server: &Server) -> Self {
        Held { shed: Arc::clone(shed), bytes: 0, limit: server.body_memory }
    }

    /// It takes so many bytes in all. Tells whether all requests together take no more than they may.
    pub fn fits(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let before = self.shed.bytes.fetch_add(more, Relaxed);
        self.bytes += more;
        before.saturating_add(more) <= self.limit
    }

    /// It takes so many bytes in all.
    ///
    /// # Errors
    /// `Unavailable` when all requests together would take more than they may.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Error> {
        if self.fits(bytes) {
            return Ok(());
        }
        Err(self.shed.refuse("the requests that the gateway holds take as much memory as they may ([server] body_memory)"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shed.bytes.fetch_sub(self.bytes, Relaxed);
    }
}
