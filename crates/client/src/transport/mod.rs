//! How a request reaches a provider and its reply comes back: real HTTP and WebSockets here, a simulator or a recording elsewhere.

mod body;
mod connect;
mod fault;
mod http;
mod http1;
mod pool;
mod proxy;
mod record;
mod sim;
mod tls;
mod websocket;

pub use body::{Body, Payload};
pub use fault::FaultPlan;
pub(crate) use fault::Faults;
pub use http::{HttpTransport, Options};
pub use proxy::VARIABLES as PROXY_VARIABLES;
pub(crate) use record::{EXCHANGE_LIMIT, Keeper, Number, Plain, Replay, Wanted, With, providers as recorded_providers};
pub use sim::SimTransport;
pub use websocket::WebSocketTransport;

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// A reply whose head has arrived and whose body is still on its way.
pub type Reply = ::http::Response<Body>;

/// A reply to come. Dropping it abandons the call at once.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send + 'a>>;

/// Something that carries one request to one provider.
pub trait Transport: Send + Sync {
    /// Sends the request and waits for the head of the reply, whatever its status.
    ///
    /// The request's URI is absolute. `host`, `content-length` and the hop-by-hop headers are the transport's business.
    /// Dropping the future, or later the reply's body, tells the provider at once that nobody listens any more.
    fn send(&self, request: ::http::Request<Payload>) -> Sending<'_>;
}

/// How far an exchange had come when it failed. Ordered: the later, the more the provider may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nobody was to be asked: recordings are played back, and there is none of this request.
    Replay,
    /// No connection: name resolution, TCP, or a proxy on the way. The provider knows nothing.
    Connect,
    /// No secure connection: certificates, protocol versions, or our own certificate files.
    Tls,
    /// The request was not sent: it is not a valid one, or its connection closed before it could be used.
    Send,
    /// The request was sent, at least in part, and no head came back. The provider may have done the work.
    Head,
    /// The reply broke off, or grew too long, after its head.
    Body,
}

/// Why an exchange ended without a complete reply. Says nothing about statuses: those are replies.
///
/// The message names the peer by host and port, never by path or query, where some providers expect a secret.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How far it had come.
    pub phase: Phase,
    /// Patience ran out, ours or the system's.
    pub timeout: bool,
    /// The connection had served another request before. If that is so and the phase is [`Phase::Head`], the likely
    /// reason is a server that closed an idle connection in the very moment it was used again.
    pub reused: bool,
    /// What came was more than is taken: it would be the next time, too.
    pub too_long: bool,
    /// One sentence without a full stop.
    pub message: String,
    /// What lay beneath.
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure without a deeper source.
    pub fn new(phase: Phase, message: impl Into<String>) -> Self {
        Self { phase, timeout: false, reused: false, too_long: false, message: message.into(), source: None }
    }

    /// Marks it as a matter of patience.
    #[must_use]
    pub fn timed_out(mut self) -> Self {
        self.timeout = true;
        self
    }

    /// A failure with its source, whose own words end the message.
    pub(crate) fn from_source(phase: Phase, message: &str, source: impl Error + Send + Sync + 'static) -> Self {
        let (mut timeout, mut words) = (false, source.to_string());
        let mut next = source.source();
        while let Some(cause) = next {
            // Libraries differ in whether an error repeats its cause; the innermost is what a person can act on.
            let text = cause.to_string();
            if !words.contains(&text) {
                words = if words.is_empty() { text } else { format!("{words}: {text}") };
            }
            timeout |= is_timeout(cause);
            next = cause.source();
        }
        timeout |= is_timeout(&source);
        Self {
            phase,
            timeout,
            reused: false,
            too_long: false,
            message: format!("{message}: {words}"),
            source: Some(Arc::new(source)),
        }
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
