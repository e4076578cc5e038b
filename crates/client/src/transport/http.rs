//! The transport that does what the others pretend to do: HTTP/1.1 and HTTP/2 over pooled connections.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{HOST, PROXY_AUTHORIZATION};
use ::http::uri::{Authority, PathAndQuery, Scheme};
use ::http::{HeaderValue, Request, Uri, Version};
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{timeout, timeout_at};

use super::connect::{Dialed, Dialer, Wire, place};
use super::http1::{Connection, Fault};
use super::pool::{Limits, Line, Load, Origin, Pool, Turn, UNTOLD_STREAMS};
use super::{Body, Failure, Payload, Phase, Reply, Sending, Transport};

/// What an HTTP/2 stream may send ahead of its reader. Kept small, because it is what a caller who has stopped reading
/// costs; the connection's own window is large enough for all its streams, or one such caller would stop the others.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// How the transport connects and how long it waits.
#[derive(Clone, Debug)]
pub struct Options {
    /// For name resolution, TCP, proxy and TLS together. 10 seconds.
    pub connect_timeout: Duration,
    /// From the request's first byte to the reply's head. 10 minutes: a model may think for long before it says a word.
    pub head_timeout: Duration,
    /// Between two pieces of a reply that is collected whole. 5 minutes.
    pub piece_timeout: Duration,
    /// Connections unused for this long are closed. 60 seconds.
    pub idle_timeout: Duration,
    /// How many unused connections to one server are kept. 256.
    pub idle_per_host: usize,
    /// How many HTTP/2 connections to one server there may be at once. 256; beyond that, requests wait for a stream.
    pub shared_per_host: usize,
    /// The pause before and between TCP (and HTTP/2) keep-alive probes; `None` for none. 30 seconds.
    pub keep_alive: Option<Duration>,
    /// Whether to offer HTTP/2 over TLS. Yes by default; plain `http` is always HTTP/1.1.
    pub http2: bool,
    /// A file with certificates in PEM form to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Values of the environment variables in [`PROXY_VARIABLES`](super::PROXY_VARIABLES). None by default: the
    /// transport does not look at the environment.
    pub proxy: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(600),
            piece_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(60),
            idle_per_host: 256,
            shared_per_host: 256,
            keep_alive: Some(Duration::from_secs(30)),
            http2: true,
            ca_file: None,
            proxy: BTreeMap::new(),
        }
    }
}

/// Sends requests over real sockets. Belongs to one Tokio runtime at a time; for one runtime a thread, give each a
/// [`sibling`](Self::sibling).
pub struct HttpTransport {
    pool: Arc<Pool>,
    dialer: Dialer,
    /// `None`: not offered.
    http2: Option<http2::Builder<TokioExecutor>>,
    head_timeout: Duration,
    piece_timeout: Duration,
}

impl HttpTransport {
    /// A transport without connections. Opens and reads nothing until the first request.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let limits = Limits {
            idle_timeout: options.idle_timeout,
            idle_per_host: options.idle_per_host,
            shared_per_host: options.shared_per_host.max(1),
        };
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(UNTOLD_STREAMS)
            .keep_alive_interval(options.keep_alive);
        Self {
            pool: Pool::new(limits),
            dialer: Dialer::new(&options),
            http2: options.http2.then_some(http2),
            head_timeout: options.head_timeout,
            piece_timeout: options.piece_timeout,
        }
    }

    /// A transport with connections of its own that shares trusted certificates and TLS sessions with this one.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self {
            pool: Pool::new(self.pool.limits()),
            dialer: self.dialer.sibling(),
            http2: self.http2.clone(),
            head_timeout: self.head_timeout,
            piece_timeout: self.piece_timeout,
        }
    }

    async fn exchange(&self, mut request: Request<Payload>) -> Result<Reply, Failure> {
        let target = Target::take(&mut request)?;
        let origin = self.pool.origin(target.secure, &target.authority, || target.host());
        let mut fresh = false;
        loop {
            let (line, reused) = self.line(&origin, &target, fresh).await?;
            target.address(&mut request, &line, &origin.host)?;
            let (unsent, mut failure) = match self.send_by(line, request, &origin, &target, reused).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            match unsent {
                // The server closed a connection that had been idle, and nothing had gone out by it.
                Some(unsent) if reused => request = *unsent,
                _ => {
                    failure.reused = reused;
                    return Err(failure);
                }
            }
            fresh = true;
        }
    }

    /// A connection to send by, and whether it has been used before.
    async fn line(&self, origin: &Origin, target: &Target, fresh: bool) -> Result<(Line, bool), Failure> {
        if !fresh && let Some(line) = origin.take() {
            return Ok((line, true));
        }
        self.pool.reap();
        let deadline = self.dialer.deadline();
        if target.secure && self.http2.is_some() && !origin.is_http1_only() {
            let late = |_| target.late(Phase::Connect);
            let turn = timeout_at(deadline, origin.turn(fresh)).await.map_err(late)?;
            return match turn {
                Turn::Take(line) => Ok((line, true)),
                Turn::Dial(_dialing) => {
                    let dialed = self.dialer.dial(target.secure, &target.authority, deadline).await?;
                    Ok((self.greet(origin, target, dialed).await?, false))
                }
            };
        }
        let dialed = self.dialer.dial(target.secure, &target.authority, deadline).await?;
        Ok((self.greet(origin, target, dialed).await?, false))
    }

    /// Starts to speak HTTP on a new connection.
    async fn greet(&self, origin: &Origin, target: &Target, dialed: Dialed) -> Result<Line, Failure> {
        let Dialed { wire, http2, forward } = dialed;
        if target.secure {
            origin.set_http1_only(!http2);
        }
        match &self.http2 {
            Some(builder) if http2 => {
                let (sender, connection) = builder.handshake(TokioIo::new(wire)).await.map_err(|error| {
                    let message = format!("{} accepted the connection, but not HTTP", target.place());
                    Failure::from_source(Phase::Connect, &message, error)
                })?;
                let stream = origin.share(sender);
                tokio::spawn(watch(connection, Arc::clone(&stream.load)));
                Ok(Line::Http2(stream))
            }
            _ => Ok(Line::Http1(Connection::new(wire, forward))),
        }
    }

    /// Sends by this connection and waits for the head. Gives the request back when nothing of it went out.
    async fn send_by(
        &self,
        line: Line,
        request: Request<Payload>,
        origin: &Arc<Origin>,
        target: &Target,
        reused: bool,
    ) -> Result<Reply, Unsent> {
        let sending = async {
            match line {
                Line::Http1(connection) => {
                    let reply = connection.send(request, reused).await.map_err(|fault| target.explain(fault))?;
                    Ok(reply.map(|incoming| Body::http1(incoming.lend(Arc::clone(origin), reused)).within(self.piece_timeout)))
                }
                Line::Http2(mut stream) => {
                    let sent = stream.sender.try_send_request(request).await;
                    Ok(sent
                        .map_err(|error| target.explain_stream(error))?
                        .map(|incoming| Body::http2(incoming, stream).within(self.piece_timeout)))
                }
            }
        };
        let patience = self.head_timeout;
        timeout(patience, sending).await.map_err(|_| {
            let message = format!("{} sent no reply within {patience:?}", target.place());
            (None, Failure::new(Phase::Head, message).timed_out())
        })?
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request<Payload>) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}

/// The request, if nothing of it went out, and why.
type Unsent = (Option<Box<Request<Payload>>>, Failure);

/// Runs an HTTP/2 connection and keeps an eye on how many streams its server allows.
async fn watch(connection: http2::Connection<TokioIo<Wire>, Payload, TokioExecutor>, load: Arc<Load>) {
    let mut connection = pin!(connection);
    // How it ends is told to every stream on it.
    let _ = std::future::poll_fn(|cx| {
        let state = connection.as_mut().poll(cx);
        load.watch(connection.current_max_send_streams(), cx);
        state
    })
    .await;
}

/// Where a request goes.
struct Target {
    secure: bool,
    authority: Authority,
    path: PathAndQuery,
}

impl Target {
    /// Takes the address out of the request; `address` puts it back in the form that the connection wants.
    fn take(request: &mut Request<Payload>) -> Result<Self, Failure> {
        let parts = std::mem::take(request.uri_mut()).into_parts();
        let secure = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTPS => true,
            Some(scheme) if scheme == Scheme::HTTP => false,
            _ => {
                let message = "the address begins with neither https:// nor http://";
                return Err(Failure::new(Phase::Send, message));
            }
        };
        let Some(authority) = parts.authority else {
            return Err(Failure::new(Phase::Send, "the address names no host"));
        };
        let path = parts.path_and_query;
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        *request.version_mut() = Version::HTTP_11;
        Ok(Self { secure, authority, path })
    }

    fn place(&self) -> &str {
        place(&self.authority)
    }

    fn host(&self) -> HeaderValue {
        let default = if self.secure { ":443" } else { ":80" };
        let place = self.place();
        // Every byte that an authority may hold, a header's value may hold too.
        HeaderValue::from_str(place.strip_suffix(default).unwrap_or(place)).unwrap_or(HeaderValue::from_static(""))
    }

    fn late(&self, phase: Phase) -> Failure {
        Failure::new(phase, format!("could not connect to {} in time", self.place())).timed_out()
    }

    fn address(&self, request: &mut Request<Payload>, line: &Line, host: &HeaderValue) -> Result<(), Failure> {
        let whole = || {
            let scheme = if self.secure { Scheme::HTTPS } else { Scheme::HTTP };
            // The same place under either protocol: signatures cover it.
            let uri = Uri::builder().scheme(scheme).authority(host.as_bytes());
            uri.path_and_query(self.path.clone())
                .build()
                .map_err(|error| Failure::from_source(Phase::Send, "the address is not valid", error))
        };
        match line {
            Line::Http1(connection) => {
                request.headers_mut().insert(HOST, host.clone());
                *request.uri_mut() = match &connection.forward {
                    None => Uri::from(self.path.clone()),
                    Some(_) => whole()?,
                };
                if let Some(auth) = connection.forward.as_ref().and_then(|forward| forward.auth.as_ref()) {
                    request.headers_mut().insert(PROXY_AUTHORIZATION, auth.clone());
                }
            }
            Line::Http2(_) => {
                request.headers_mut().remove(HOST);
                *request.uri_mut() = whole()?;
            }
        }
        Ok(())
    }

    fn explain(&self, fault: Fault) -> Unsent {
        let place = self.place();
        match fault {
            Fault::Unsent(request, error) => {
                let message = format!("could not send the request to {place}");
                (Some(request), Failure::from_source(Phase::Send, &message, error))
            }
            Fault::Broken(error) => {
                let message = format!("the connection to {place} broke before its reply");
                (None, Failure::from_source(Phase::Head, &message, error))
            }
            Fault::NotHttp(words) => (None, Failure::new(Phase::Head, format!("what {place} replied is not HTTP: {words}"))),
        }
    }

    fn explain_stream(&self, mut error: TrySendError<Request<Payload>>) -> Unsent {
        let unsent = error.take_message().map(Box::new);
        let error = error.into_error();
        let place = self.place();
        let (phase, message) = if unsent.is_some() || error.is_user() || error.is_canceled() || is_refused(&error) {
            (Phase::Send, format!("could not send the request to {place}"))
        } else {
            (Phase::Head, format!("the connection to {place} broke before its reply"))
        };
        (unsent, Failure::from_source(phase, &message, error))
    }
}

/// The server has said that it did nothing for this request.
fn is_refused(error: &hyper::Error) -> bool {
    let error = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    // A server that goes away fails those streams only that it has not looked at.
    error.is_some_and(|error| error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM)))
}
