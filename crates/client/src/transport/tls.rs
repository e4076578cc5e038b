//! Secure connections: which certificates count, and the handshake.
//!
//! Trusted are the operating system's roots (Mozilla's, where a bare container has none) and those in the user's own
//! file. Reading them takes milliseconds, which nobody pays who never calls an `https` address.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::sync::OnceCell;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::connect::Wire;
use super::{Failure, Phase};

/// The TLS side of a transport, built when first needed and shared by all threads.
pub(super) struct Tls {
    ca_file: Option<PathBuf>,
    http2: bool,
    configs: OnceCell<Configs>,
}

struct Configs {
    provider: Arc<ClientConfig>,
    proxy: Arc<ClientConfig>,
}

/// Whom we shake hands with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A provider, with whom HTTP/2 is welcome.
    Provider,
    /// A proxy, whose tunnels are opened by HTTP/1.1.
    Proxy,
}

impl Tls {
    pub(super) const fn new(ca_file: Option<PathBuf>, http2: bool) -> Self {
        Self { ca_file, http2, configs: OnceCell::const_new() }
    }

    /// Secures a connection to `host`. Says in what it returns whether HTTP/2 was agreed on.
    pub(super) async fn secure(&self, wire: Wire, host: &str, peer: Peer) -> Result<(Wire, bool), Failure> {
        let configs = self.configs.get_or_try_init(|| self.load()).await?;
        let config = match peer {
            Peer::Provider => &configs.provider,
            Peer::Proxy => &configs.proxy,
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|error| Failure::from_source(Phase::Tls, &format!("{host} is no name for a certificate"), error))?;
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name, wire)
            .await
            .map_err(|error| Failure::from_source(Phase::Tls, &format!("could not make a secure connection to {host}"), error))?;
        let http2 = agreed(&stream) == Some(b"h2");
        Ok((Wire::Tls(Box::new(stream)), http2))
    }

    async fn load(&self) -> Result<Configs, Failure> {
        let (ca_file, http2) = (self.ca_file.clone(), self.http2);
        // Some systems keep their roots in hundreds of files: not on the thread that serves the calls.
        tokio::task::spawn_blocking(move || configure(ca_file.as_deref(), http2))
            .await
            .map_err(|error| Failure::from_source(Phase::Tls, "loading the certificates was interrupted", error))?
    }
}

fn agreed(stream: &TlsStream<Wire>) -> Option<&[u8]> {
    stream.get_ref().1.alpn_protocol()
}

fn configure(ca_file: Option<&Path>, http2: bool) -> Result<Configs, Failure> {
    let own = ca_file.map(read_certificates).transpose()?.unwrap_or_default();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = trust(own, &provider)
        .map_err(|error| Failure::from_source(Phase::Tls, "could not set up the trusted certificates", error))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::from_source(Phase::Tls, "could not set up TLS", error))?
        .dangerous() // Only the name of the method: the verifier is the platform's or webpki's.
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let proxy = Arc::new(config.clone());
    if http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(Configs { provider: Arc::new(config), proxy })
}

fn trust(
    own: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    // Asked without the user's own first: with them, an empty system store would go unnoticed.
    match Verifier::new(Arc::clone(provider)) {
        Ok(verifier) if own.is_empty() => Ok(Arc::new(verifier)),
        Ok(_) => Ok(Arc::new(Verifier::new_with_extra_roots(own, Arc::clone(provider))?)),
        Err(_) => {
            let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            for certificate in own {
                roots.add(certificate)?;
            }
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            let verifier = builder.build().map_err(|error| rustls::Error::General(error.to_string()))?;
            Ok(verifier)
        }
    }
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            let reason = io::Error::new(io::ErrorKind::InvalidData, "it holds no certificate in PEM form");
            Err(unreadable(file, reason))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable(file, error)),
    }
}

fn unreadable(file: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::from_source(Phase::Tls, &format!("could not read the certificates in {}", file.display()), error)
}
