//! A provider on loopback that does as it is told: answers well, slowly, by halves or not at all.
//!
//! ```
//! use trunkline_testkit::provider::{Answer, LocalProvider};
//! let provider = LocalProvider::start([Answer::json(429, "{}").header("retry-after", "1"), Answer::json(200, "{}")]);
//! let base_url = provider.url(); // http://127.0.0.1:PORT
//! ```

mod answer;
pub mod batch;
mod serve;

pub use answer::{Answer, Ending, Script, Step};

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::oneshot;

/// A request as it came off the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection brought it, counted from 1 in the order of their arrival.
    pub connection: usize,
    /// `POST`, as sent.
    pub method: String,
    /// The request target with its query, as sent (absolute when the caller takes us for a proxy).
    pub path: String,
    /// Names in lower case.
    pub headers: HeaderMap,
    /// Without its transfer encoding.
    pub body: Bytes,
}

impl Seen {
    /// The first value of a header, or `""`.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Callers who left before their answer was complete.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hangups {
    /// How many.
    pub count: usize,
    /// When the latest was noticed.
    pub last: Option<Instant>,
}

#[derive(Default)]
struct Log {
    seen: Vec<Seen>,
    hangups: Hangups,
    connections: usize,
    open: usize,
}

/// The server. It lives in a thread and a runtime of its own, so that blocking and async tests can use it alike,
/// and stops when dropped.
pub struct LocalProvider {
    addr: SocketAddr,
    log: Arc<Mutex<Log>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LocalProvider {
    /// Listens on a free loopback port and answers as the script says: one [`Answer`] for ever, a list of them in order
    /// (the last one repeats), or a closure `|seen: &Seen| -> Answer`.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn start(script: impl Script) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = serve::Shared { script: Arc::new(script), log: Arc::clone(&log) };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve::accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { addr, log, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.log.lock().unwrap().seen.clone()
    }

    /// Callers who left before their answer was complete.
    #[must_use]
    pub fn hangups(&self) -> Hangups {
        self.log.lock().unwrap().hangups
    }

    /// How many connections were ever accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.log.lock().unwrap().open
    }
}

impl Drop for LocalProvider {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
