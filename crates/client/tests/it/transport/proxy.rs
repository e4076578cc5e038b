//! Proxies: forwarded requests, tunnels, SOCKS, and who goes round them.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use trunkline::transport::{HttpTransport, Options, Phase, Transport};
use trunkline_testkit::provider::{Answer, LocalProvider};

use super::secure::{Secure, authority};
use super::{ask, post, proxies};

/// A proxy that connects everybody to one address, whatever name they ask for.
struct LocalProxy {
    addr: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl LocalProxy {
    async fn start(to: std::net::SocketAddr, socks: bool, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    if socks {
                        let ask = greet_socks(&mut stream).await;
                        log.lock().unwrap().push(ask);
                    } else {
                        let mut head = String::new();
                        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap() > 0 {}
                        log.lock().unwrap().push(head);
                        stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await.unwrap();
                    }
                    let mut server = TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
                });
            }
        });
        Self { addr, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn greet_socks(stream: &mut BufReader<TcpStream>) -> String {
    let mut hello = [0; 2];
    stream.read_exact(&mut hello).await.unwrap();
    let mut methods = vec![0; hello[1].into()];
    stream.read_exact(&mut methods).await.unwrap();
    stream.write_all(&[5, methods[0]]).await.unwrap();
    let mut login = String::new();
    if methods[0] == 2 {
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        for _ in 0..2 {
            let mut word = vec![0; stream.read_u8().await.unwrap().into()];
            stream.read_exact(&mut word).await.unwrap();
            login += &(String::from_utf8(word).unwrap() + " ");
        }
        stream.write_all(&[1, 0]).await.unwrap();
    }
    let mut ask = [0; 5];
    stream.read_exact(&mut ask).await.unwrap();
    assert_eq!(ask[..4], [5, 1, 0, 3]);
    let mut name = vec![0; ask[4].into()];
    stream.read_exact(&mut name).await.unwrap();
    let port = stream.read_u16().await.unwrap();
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    format!("{login}{}:{port}", String::from_utf8(name).unwrap())
}

fn through<const N: usize>(variables: [(&str, String); N]) -> HttpTransport {
    HttpTransport::new(Options { proxy: proxies(variables), ..Options::default() })
}

#[tokio::test]
async fn a_plain_request_is_forwarded_with_its_whole_address() {
    let proxy = LocalProvider::start(Answer::json(200, "{}"));
    let address = proxy.url().replace("//", "//user:p%40ss@");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let transport = through([(name, address.clone())]);
        ask(&transport, "http://api.example.test/v1/x?y=1").await.unwrap();
        let seen = proxy.requests().pop().unwrap();
        assert_eq!(seen.path, "http://api.example.test/v1/x?y=1", "{name}");
        assert_eq!(seen.header("host"), "api.example.test");
        assert_eq!(seen.header("proxy-authorization"), "Basic dXNlcjpwQHNz");
        ask(&transport, "http://api.example.test/").await.unwrap();
    }
    assert_eq!(proxy.connections(), 4);
}

#[tokio::test]
async fn a_secure_request_goes_through_a_tunnel() {
    let server = Secure::start(&["h2", "http/1.1"]).await;
    for answer in ["200 Connection established", "204 No Content"] {
        let proxy = LocalProxy::start(server.addr, false, answer).await;
        let transport = HttpTransport::new(Options {
            proxy: proxies([("https_proxy", format!("http://user:pass@{}", proxy.addr))]),
            ca_file: Some(authority().file.clone()),
            ..Options::default()
        });
        assert_eq!(ask(&transport, "https://api.example.test/v1").await.unwrap(), "HTTP/2.0 /v1 {}");
        assert_eq!(ask(&transport, "https://api.example.test/v2").await.unwrap(), "HTTP/2.0 /v2 {}");
        let asked = proxy.asked();
        assert_eq!(asked.len(), 1);
        assert!(asked[0].starts_with("CONNECT api.example.test:443 HTTP/1.1\r\nHost: api.example.test:443\r\n"));
        assert!(asked[0].contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"));
    }
}

#[tokio::test]
async fn a_proxy_may_itself_be_secure() {
    let server = Secure::start(&["h2"]).await;
    let inner = LocalProxy::start(server.addr, false, "200 OK").await;
    let outer = Secure::relay(inner.addr).await;
    let transport = HttpTransport::new(Options {
        proxy: proxies([("HTTPS_PROXY", format!("https://localhost:{}", outer.addr.port()))]),
        ca_file: Some(authority().file.clone()),
        ..Options::default()
    });
    assert_eq!(ask(&transport, "https://api.example.test/v1").await.unwrap(), "HTTP/2.0 /v1 {}");
    assert!(inner.asked()[0].starts_with("CONNECT api.example.test:443 "));
}

#[tokio::test]
async fn a_proxy_says_no() {
    for (answer, words) in [
        ("407 Proxy Authentication Required", "user name and password"),
        ("403 Not on my network", "api.example.test:443: 403 Not on my network"),
        ("nonsense", "not HTTP/1"),
    ] {
        let proxy = LocalProxy::start("127.0.0.1:1".parse().unwrap(), false, answer).await;
        let transport = through([("HTTPS_PROXY", format!("http://{}", proxy.addr))]);
        let failure = transport.send(post("https://api.example.test/", "{}")).await.unwrap_err();
        assert_eq!(failure.phase, Phase::Connect, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
}

#[tokio::test]
async fn a_socks_proxy_resolves_the_name() {
    let provider = LocalProvider::start(Answer::json(200, "{}"));
    let proxy = LocalProxy::start(provider.addr(), true, "").await;
    for (scheme, login) in [("socks5", ""), ("socks5h", "user:pass@")] {
        let transport = through([("all_proxy", format!("{scheme}://{login}{}", proxy.addr))]);
        ask(&transport, "http://api.example.test/x").await.unwrap();
    }
    assert_eq!(proxy.asked(), ["api.example.test:80", "user pass api.example.test:80"]);
    let seen = provider.requests().remove(0);
    assert_eq!((seen.path.as_str(), seen.header("host")), ("/x", "api.example.test"));
}

#[tokio::test]
async fn exceptions_go_round_the_proxy() {
    let provider = LocalProvider::start(Answer::json(200, "{}"));
    let proxy = LocalProvider::start(Answer::json(502, "{}"));
    for (except, name) in
        [("127.0.0.1", "no_proxy"), ("example.test, 127.0.0.0/8", "NO_PROXY"), ("localhost,127.0.0.1", "NO_PROXY")]
    {
        let transport = through([("HTTP_PROXY", proxy.url()), (name, except.to_owned())]);
        ask(&transport, provider.url()).await.unwrap();
    }
    assert_eq!((provider.connections(), proxy.connections()), (3, 0));
    for except in ["example.test", "", "27.0.0.1"] {
        let transport = through([("HTTP_PROXY", proxy.url()), ("NO_PROXY", except.to_owned())]);
        ask(&transport, provider.url()).await.unwrap();
    }
    assert_eq!((provider.connections(), proxy.connections()), (3, 3));
    let everything = through([("HTTP_PROXY", proxy.url()), ("NO_PROXY", "*".to_owned())]);
    ask(&everything, format!("http://localhost:{}", provider.addr().port())).await.unwrap();
    assert_eq!((provider.connections(), proxy.connections()), (4, 3));
}

#[tokio::test]
async fn an_unreadable_proxy_fails_what_it_was_meant_for_and_nothing_else() {
    let provider = LocalProvider::start(Answer::json(200, "{}"));
    for value in ["socks4://h:1", "ht!tp://s3cret", "ftp://s3cret:1"] {
        let transport = through([("HTTP_PROXY", value.to_owned()), ("NO_PROXY", "localhost".to_owned())]);
        let failure = ask(&transport, provider.url()).await.unwrap_err();
        assert_eq!(failure.phase, Phase::Connect);
        assert!(failure.message.starts_with("HTTP_PROXY ") && !failure.message.contains("s3cret"), "{failure}");
        ask(&transport, format!("http://localhost:{}", provider.addr().port())).await.unwrap();
        let other = through([("HTTPS_PROXY", value.to_owned()), ("HTTP_PROXY", String::new())]);
        ask(&other, provider.url()).await.unwrap();
    }
}

#[tokio::test]
async fn a_callers_header_is_not_taken_for_a_proxy() {
    let provider = LocalProvider::start(Answer::json(200, "{}"));
    let nowhere = "http://127.0.0.1:1".to_owned();
    let transport = through([("HTTP_PROXY", nowhere), ("REQUEST_METHOD", "GET".to_owned())]);
    ask(&transport, provider.url()).await.unwrap();
}

#[tokio::test]
async fn a_proxy_is_not_there() {
    for scheme in ["http", "https", "socks5"] {
        let transport = through([("HTTPS_PROXY", format!("{scheme}://user:s3cret@127.0.0.1:1"))]);
        let failure = ask(&transport, "https://api.example.test/").await.unwrap_err();
        assert_eq!(failure.phase, Phase::Connect, "{failure}");
        let words = "could not connect to the proxy 127.0.0.1:1: ";
        assert!(failure.message.starts_with(words), "{failure}");
        assert!(failure.message.contains("refused"), "{failure}");
    }
}
