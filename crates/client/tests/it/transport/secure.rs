//! TLS: whom it trusts, HTTP/2, and how it says no.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use trunkline::transport::{HttpTransport, Options, Phase, Transport};
use trunkline_testkit::provider::{Answer, LocalProvider};

use super::{ask, post, soon};

/// A certificate authority of our own, made once.
pub(crate) struct Authority {
    /// Its certificate, in PEM form.
    pub(crate) file: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = std::env::temp_dir().join(format!("trunkline-test-ca-{}.pem", std::process::id()));
        std::fs::write(&file, issuer.pem()).unwrap();
        Authority { file, issuer }
    })
}

fn acceptor(protocols: &[&str]) -> TlsAcceptor {
    let names = vec!["localhost".to_owned(), "api.example.test".to_owned()];
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority().issuer).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key.serialize_der().try_into().unwrap())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// A secure server that answers `VERSION PATH BODY`; the path `/wait` takes 50 ms, `/never` for ever.
pub(crate) struct Secure {
    pub(crate) addr: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

impl Secure {
    pub(crate) async fn start(protocols: &[&str]) -> Self {
        Self::allowing(protocols, 10).await
    }

    /// One that allows so many streams at once on each connection.
    async fn allowing(protocols: &[&str], streams: u32) -> Self {
        let running = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(&running);
        Self::accept(protocols, running, move |stream| {
            let shared = Arc::clone(&shared);
            async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http2().max_concurrent_streams(streams);
                let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// Passes what it decrypts on to another address.
    pub(crate) async fn relay(to: SocketAddr) -> Self {
        Self::accept(&["http/1.1"], Arc::default(), move |mut stream| async move {
            let mut server = TcpStream::connect(to).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
        })
        .await
    }

    async fn accept<F: Future<Output = ()> + Send + 'static>(
        protocols: &[&str],
        running: Arc<AtomicUsize>,
        serve: impl Fn(tokio_rustls::server::TlsStream<TcpStream>) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, acceptor, serve) = (Arc::clone(&connections), acceptor(protocols), Arc::new(serve));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream).await;
                    }
                });
            }
        });
        Self { addr, connections, running }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.addr.port())
    }
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn answer(request: Request<Incoming>, running: Arc<AtomicUsize>) -> Result<Response<Full<Bytes>>, Infallible> {
    running.fetch_add(1, Ordering::Relaxed);
    let _running = Running(running);
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    match head.uri.path() {
        "/long" => tokio::time::sleep(Duration::from_millis(200)).await,
        "/wait" => tokio::time::sleep(Duration::from_millis(50)).await,
        "/never" => std::future::pending().await,
        _ => {}
    }
    let text = format!("{:?} {} {}", head.version, head.uri.path(), String::from_utf8_lossy(&body));
    Ok(Response::new(Full::from(text)))
}

fn trusting() -> HttpTransport {
    HttpTransport::new(Options { ca_file: Some(authority().file.clone()), ..Options::default() })
}

#[tokio::test]
async fn http2_is_spoken_where_both_sides_can() {
    let both = Secure::start(&["h2", "http/1.1"]).await;
    let old = Secure::start(&["http/1.1"]).await;
    let silent = Secure::start(&[]).await;
    let transport = trusting();
    for _ in 0..3 {
        assert_eq!(ask(&transport, both.url() + "/a").await.unwrap(), "HTTP/2.0 /a {}");
        assert_eq!(ask(&transport, old.url() + "/b").await.unwrap(), "HTTP/1.1 /b {}");
        assert_eq!(ask(&transport, silent.url() + "/c").await.unwrap(), "HTTP/1.1 /c {}");
    }
    for server in [&both, &old, &silent] {
        assert_eq!(server.connections.load(Ordering::Relaxed), 1);
    }
    let modest = Options { http2: false, ca_file: Some(authority().file.clone()), ..Options::default() };
    assert_eq!(ask(&HttpTransport::new(modest), both.url() + "/a").await.unwrap(), "HTTP/1.1 /a {}");
}

#[tokio::test]
async fn streams_share_a_connection_up_to_what_the_server_allows() {
    let server = Secure::start(&["h2"]).await;
    let transport = trusting();
    let calls = |count| futures_util::future::join_all((0..count).map(|_| ask(&transport, server.url() + "/wait")));
    for reply in calls(8).await {
        assert_eq!(reply.unwrap(), "HTTP/2.0 /wait {}");
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_millis(10)).await;
    for reply in calls(25).await {
        reply.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 3);
    calls(25).await;
    assert_eq!(server.connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_burst_does_not_wait_for_the_streams_of_one_connection() {
    let server = Secure::allowing(&["h2"], 8).await;
    let transport = trusting();
    let begun = Instant::now();
    async fn calls(transport: &HttpTransport, server: &Secure, count: usize) {
        let calls = (0..count).map(|_| ask(transport, server.url() + "/long"));
        for reply in futures_util::future::join_all(calls).await {
            assert_eq!(reply.unwrap(), "HTTP/2.0 /long {}");
        }
    }
    calls(&transport, &server, 100).await;
    let took = begun.elapsed();
    let connections = server.connections.load(Ordering::Relaxed);
    assert!(took < Duration::from_millis(800), "one after the other it would be 2.6 s: {took:?}");
    assert!((13..=16).contains(&connections), "{connections}");
    calls(&transport, &server, 100).await;
    assert!(server.connections.load(Ordering::Relaxed) <= connections + 1, "those that are there are used again");

    let bounded = Options { ca_file: Some(authority().file.clone()), shared_per_host: 3, ..Options::default() };
    let before = server.connections.load(Ordering::Relaxed);
    calls(&HttpTransport::new(bounded), &server, 50).await;
    assert_eq!(server.connections.load(Ordering::Relaxed) - before, 3, "no more than may be, and all are answered");
}

#[tokio::test]
async fn many_at_once_open_one_connection_each_to_an_old_server() {
    let server = Secure::start(&["http/1.1"]).await;
    let transport = trusting();
    for _ in 0..2 {
        let calls = (0..5).map(|_| ask(&transport, server.url() + "/wait"));
        for reply in futures_util::future::join_all(calls).await {
            assert_eq!(reply.unwrap(), "HTTP/1.1 /wait {}");
        }
        assert_eq!(server.connections.load(Ordering::Relaxed), 5);
    }
}

#[tokio::test]
async fn leaving_resets_the_stream_and_keeps_the_connection() {
    let server = Secure::start(&["h2"]).await;
    let transport = trusting();
    ask(&transport, server.url() + "/a").await.unwrap();
    let call = transport.send(post(server.url() + "/never", "{}"));
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    assert!(soon(Duration::from_millis(50), || server.running.load(Ordering::Relaxed) == 0).await);
    ask(&transport, server.url() + "/a").await.unwrap();
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn siblings_share_trust_and_not_connections() {
    let server = Secure::start(&["h2"]).await;
    let transport = trusting();
    ask(&transport, server.url() + "/a").await.unwrap();
    ask(&transport.sibling(), server.url() + "/a").await.unwrap();
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_unknown_certificate_is_refused() {
    let server = Secure::start(&["h2"]).await;
    let failure = ask(&HttpTransport::new(Options::default()), server.url()).await.unwrap_err();
    assert_eq!(failure.phase, Phase::Tls);
    assert!(failure.message.contains("localhost") && failure.message.contains("UnknownIssuer"), "{failure}");
}

#[tokio::test]
async fn a_certificate_for_somebody_else_is_refused() {
    let server = Secure::start(&["h2"]).await;
    let url = format!("https://{}", server.addr);
    let failure = ask(&trusting(), url).await.unwrap_err();
    assert_eq!(failure.phase, Phase::Tls);
    assert!(failure.message.contains("not valid for name"), "{failure}");
}

#[tokio::test]
async fn a_server_without_tls_is_no_secure_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    let failure = ask(&trusting(), url).await.unwrap_err();
    assert_eq!(failure.phase, Phase::Tls, "{failure}");
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let patience = Duration::from_millis(80);
    let transport =
        HttpTransport::new(Options { connect_timeout: patience, ca_file: Some(authority().file.clone()), ..Options::default() });
    let calls = (0..3).map(|_| ask(&transport, &url));
    let start = std::time::Instant::now();
    for reply in futures_util::future::join_all(calls).await {
        let failure = reply.unwrap_err();
        assert!(failure.timeout && failure.phase <= Phase::Tls, "{failure}");
    }
    assert!(start.elapsed() < 2 * patience);
}

#[tokio::test]
async fn certificates_must_be_readable() {
    let server = Secure::start(&["h2"]).await;
    let empty = std::env::temp_dir().join(format!("trunkline-test-empty-{}.pem", std::process::id()));
    std::fs::write(&empty, "nothing").unwrap();
    for file in [PathBuf::from("/no/such/file.pem"), empty.clone()] {
        let transport = HttpTransport::new(Options { ca_file: Some(file.clone()), ..Options::default() });
        let failure = ask(&transport, server.url()).await.unwrap_err();
        assert_eq!(failure.phase, Phase::Tls);
        assert!(failure.message.contains(file.to_str().unwrap()), "{failure}");
        // Without `https` nobody reads it.
        let plain = LocalProvider::start(Answer::json(200, "{}"));
        ask(&transport, plain.url()).await.unwrap();
    }
    std::fs::remove_file(empty).unwrap();
}
