//! Connections: name, TCP, proxy and TLS, in this order and within one deadline.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::uri::{Authority, Scheme};
use ::http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::proxy::{Proxies, tunnel};
use super::tls::{Peer, Tls};
use super::{Failure, Options, Phase};

/// How many keep-alive probes may stay unanswered.
const PROBES: u32 = 4;

/// Makes connections.
pub(super) struct Dialer {
    tcp: HttpConnector,
    proxies: Arc<Proxies>,
    tls: Arc<Tls>,
    patience: Duration,
}

/// A connection that is ready for its first request.
pub(super) struct Dialed {
    pub(super) wire: Wire,
    pub(super) http2: bool,
    /// A proxy at the other end that wants to be told whole addresses, not paths.
    pub(super) forward: Option<Forward>,
}

/// What a request needs when a proxy forwards it.
#[derive(Clone)]
pub(super) struct Forward {
    pub(super) auth: Option<HeaderValue>,
}

impl Dialer {
    pub(super) fn new(options: &Options) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A model may think for minutes without a byte; many routers forget a silent connection sooner.
        tcp.set_keepalive(options.keep_alive);
        tcp.set_keepalive_interval(options.keep_alive);
        tcp.set_keepalive_retries(Some(PROBES));
        tcp.set_connect_timeout(Some(options.connect_timeout));
        Self {
            tcp,
            proxies: Arc::new(Proxies::read(&options.proxy)),
            tls: Arc::new(Tls::new(options.ca_file.clone(), options.http2)),
            patience: options.connect_timeout,
        }
    }

    /// Another one with the same trust and proxies.
    pub(super) fn sibling(&self) -> Self {
        Self { tcp: self.tcp.clone(), proxies: Arc::clone(&self.proxies), tls: Arc::clone(&self.tls), patience: self.patience }
    }

    /// When a connection begun now must be ready.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// Connects to the server of an address of this scheme.
    pub(super) async fn dial(&self, secure: bool, authority: &Authority, deadline: Instant) -> Result<Dialed, Failure> {
        let reach = timeout_at(deadline, self.reach(secure, authority));
        let late = |phase| Failure::new(phase, format!("could not connect to {} in time", place(authority))).timed_out();
        let (wire, forward) = reach.await.map_err(|_| late(Phase::Connect))??;
        if !secure {
            return Ok(Dialed { wire, http2: false, forward });
        }
        let handshake = timeout_at(deadline, self.tls.secure(wire, authority.host(), Peer::Provider));
        let (wire, http2) = handshake.await.map_err(|_| late(Phase::Tls))??;
        Ok(Dialed { wire, http2, forward: None })
    }

    /// Up to the point where the provider, or a forwarding proxy, listens.
    async fn reach(&self, secure: bool, authority: &Authority) -> Result<(Wire, Option<Forward>), Failure> {
        let (host, port) = (authority.host(), authority.port_u16().unwrap_or(if secure { 443 } else { 80 }));
        let address = address(if secure { Scheme::HTTPS } else { Scheme::HTTP }, host, port)?;
        let Some(proxy) = self.proxies.find(&address)? else {
            return Ok((self.tcp(address, "").await?, None));
        };
        let mut wire = self.tcp(entrance(&proxy)?, "the proxy ").await?;
        if is_socks(&proxy) {
            return Ok((socks(wire, &proxy, address).await?, None));
        }
        if proxy.uri().scheme() == Some(&Scheme::HTTPS) {
            let name = proxy.uri().host().unwrap_or_default();
            (wire, _) = self.tls.secure(wire, name, Peer::Proxy).await?;
        }
        if !secure {
            let auth = proxy.basic_auth().cloned();
            return Ok((wire, Some(Forward { auth })));
        }
        tunnel(&mut wire, host, port, proxy.basic_auth()).await?;
        Ok((wire, None))
    }

    async fn tcp(&self, address: Uri, whose: &str) -> Result<Wire, Failure> {
        let place = address.authority().map_or("nowhere", place);
        let message = format!("could not connect to {whose}{place}");
        let connected = self.tcp.clone().call(address).await;
        let failed = |error| Failure::from_source(Phase::Connect, &message, error);
        Ok(Wire::Plain(connected.map_err(failed)?.into_inner()))
    }
}

fn is_socks(proxy: &Intercept) -> bool {
    let scheme = proxy.uri().scheme_str();
    scheme.is_some_and(|scheme| scheme.starts_with("socks"))
}

/// The proxy's own address, with the port that its kind usually has if it names none.
fn entrance(proxy: &Intercept) -> Result<Uri, Failure> {
    match proxy.uri().host() {
        Some(host) if is_socks(proxy) && proxy.uri().port().is_none() => address(Scheme::HTTP, host, 1080),
        _ => Ok(proxy.uri().clone()),
    }
}

/// The proxy resolves the name, for `socks5` as for `socks5h`: it may know names that are unknown here.
async fn socks(wire: Wire, proxy: &Intercept, address: Uri) -> Result<Wire, Failure> {
    let place = address.authority().map_or("nowhere", place);
    let message = format!("the proxy did not connect to {place}");
    let mut socks = SocksV5::new(proxy.uri().clone(), Connected(Some(wire)));
    if let Some((user, password)) = proxy.raw_auth() {
        socks = socks.with_auth(user.to_owned(), password.to_owned());
    }
    let connected = socks.call(address).await;
    let failed = |error| Failure::from_source(Phase::Connect, &message, error);
    Ok(connected.map_err(failed)?.into_inner())
}

/// A connector that has connected already.
struct Connected(Option<Wire>);

impl Service<Uri> for Connected {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<Wire>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let wire = self.0.take().map(TokioIo::new);
        ready(wire.ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

fn address(scheme: Scheme, host: &str, port: u16) -> Result<Uri, Failure> {
    let authority = format!("{host}:{port}");
    Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query("/")
        .build()
        .map_err(|error| Failure::from_source(Phase::Send, "the address is not valid", error))
}

/// Host and port, without a user name and password before them.
pub(super) fn place(authority: &Authority) -> &str {
    let whole = authority.as_str();
    whole.rsplit_once('@').map_or(whole, |(_, place)| place)
}

/// The bytes' way out, secured once, twice (behind a proxy that is itself secured) or not at all.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<Wire>>),
}

impl Wire {
    /// Whether there may be something to read. Cheaper than a try; a secure connection cannot know and says yes.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_read_ready(cx),
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
