//! Proxies, as the usual environment variables name them, and the tunnels through them.
//!
//! A variable in lower case comes before its twin in upper case, and an empty one counts as absent, as in curl.
//! `NO_PROXY` takes host names (with all below them), addresses, address ranges and `*`.

use std::collections::BTreeMap;

use ::http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connect::Wire;
use super::{Failure, Phase};

/// The variables that [`Options::proxy`](super::Options::proxy) understands.
pub const VARIABLES: [&str; 9] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    // Set by web servers for CGI programs, which get a caller's `Proxy:` header as `HTTP_PROXY`.
    "REQUEST_METHOD",
];

/// Stands in for a proxy that could not be understood, so that the matcher still applies the exceptions.
const UNREADABLE: &str = "http://unreadable.invalid";

/// The longest head of a proxy's answer that is read.
const HEAD_LIMIT: usize = 8 * 1024;

/// Which addresses are reached through which proxy.
pub(super) struct Proxies {
    matcher: Matcher,
    active: bool,
    unreadable: BTreeMap<&'static str, &'static str>,
}

impl Proxies {
    /// Reads the variables. A proxy that cannot be understood fails the calls it was meant for: going round it could
    /// send them where the user did not want them to go.
    pub(super) fn read(variables: &BTreeMap<String, String>) -> Self {
        let get = |names: &[&'static str]| {
            let set = names.iter().filter_map(|name| Some((*name, variables.get(*name)?.trim())));
            set.into_iter().find(|(_, value)| !value.is_empty())
        };
        let cgi = variables.contains_key("REQUEST_METHOD");
        let plain = if cgi { get(&["http_proxy"]) } else { get(&["http_proxy", "HTTP_PROXY"]) };
        let secure = get(&["https_proxy", "HTTPS_PROXY"]);
        let all = get(&["all_proxy", "ALL_PROXY"]);
        let mut unreadable = BTreeMap::new();
        let mut choose = |scheme: &'static str, own: Option<(&'static str, &str)>| {
            let Some((name, value)) = own.or(all) else {
                return String::new();
            };
            if is_readable(value) {
                return value.to_owned();
            }
            unreadable.insert(scheme, name);
            UNREADABLE.to_owned()
        };
        let (plain, secure) = (choose("http", plain), choose("https", secure));
        let active = !(plain.is_empty() && secure.is_empty());
        let except = get(&["no_proxy", "NO_PROXY"]).map_or("", |(_, value)| value).to_owned();
        Self { matcher: Matcher::builder().http(plain).https(secure).no(except).build(), active, unreadable }
    }

    /// The proxy for this address, if it has one.
    pub(super) fn find(&self, address: &Uri) -> Result<Option<Intercept>, Failure> {
        if !self.active {
            return Ok(None);
        }
        let Some(found) = self.matcher.intercept(address) else {
            return Ok(None);
        };
        match self.unreadable.get(address.scheme_str().unwrap_or_default()) {
            // Not its value: that may hold a password.
            Some(name) => Err(Failure::new(
                Phase::Connect,
                format!("{name} is not the address of a proxy (http, https, socks5 or socks5h)"),
            )),
            None => Ok(Some(found)),
        }
    }
}

fn is_readable(value: &str) -> bool {
    let matcher = Matcher::builder().all(value).build();
    let any = Uri::from_static("http://any.invalid");
    let scheme = matcher.intercept(&any).map(|found| found.uri().scheme_str().unwrap_or_default().to_owned());
    matches!(scheme.as_deref(), Some("http" | "https" | "socks5" | "socks5h"))
}

/// Asks the proxy at the other end to pass everything on to `host:port` from now on.
pub(super) async fn tunnel(wire: &mut Wire, host: &str, port: u16, auth: Option<&HeaderValue>) -> Result<(), Failure> {
    let mut ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(auth) = auth {
        ask.extend_from_slice(b"Proxy-Authorization: ");
        ask.extend_from_slice(auth.as_bytes());
        ask.extend_from_slice(b"\r\n");
    }
    ask.extend_from_slice(b"\r\n");
    let broken = |error| Failure::from_source(Phase::Connect, "the connection to the proxy broke", error);
    wire.write_all(&ask).await.map_err(broken)?;
    wire.flush().await.map_err(broken)?;
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        // Byte by byte, so that nothing of what the provider says behind the head is swallowed.
        let byte = wire.read_u8().await.map_err(broken)?;
        head.push(byte);
        if head.len() > HEAD_LIMIT {
            return Err(Failure::new(Phase::Connect, "the proxy's answer is too long"));
        }
    }
    let head = String::from_utf8_lossy(&head);
    let (version, answer) = head.lines().next().and_then(|line| line.split_once(' ')).unwrap_or_default();
    let status = answer.split(' ').next().filter(|_| version.starts_with("HTTP/1."));
    match status.and_then(|status| status.parse::<u16>().ok()) {
        Some(200..=299) => Ok(()),
        Some(407) => Err(Failure::new(Phase::Connect, "the proxy asks for (another) user name and password")),
        Some(_) => Err(Failure::new(Phase::Connect, format!("the proxy refused to connect to {host}:{port}: {answer}"))),
        None => Err(Failure::new(Phase::Connect, "the proxy's answer is not HTTP/1")),
    }
}
