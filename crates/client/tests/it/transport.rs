//! The HTTP transport: what it does on the wire, and what it says when the wire fails.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use trunkline::transport::{Failure, HttpTransport, Options, Payload, Phase, Reply, Transport};
use trunkline_testkit::provider::{Answer, Ending, LocalProvider, Seen};

mod framing;
mod proxy;
mod secure;

pub(crate) fn post(url: impl AsRef<str>, body: impl Into<Bytes>) -> Request<Payload> {
    Request::post(url.as_ref()).body(Payload::whole(body)).unwrap()
}

fn plain() -> HttpTransport {
    HttpTransport::new(Options::default())
}

pub(crate) async fn ask(transport: &HttpTransport, url: impl AsRef<str>) -> Result<Bytes, Failure> {
    transport.send(post(url, "{}")).await?.into_body().collect(1 << 20).await
}

fn fails(reply: Result<Reply, Failure>) -> Failure {
    reply.expect_err("no reply was due")
}

/// Waits for something that another thread is about to do. True if it came to pass within the time.
pub(crate) async fn soon(patience: Duration, mut met: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !met() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    true
}

#[tokio::test]
async fn sequential_calls_share_one_connection() {
    let provider = LocalProvider::start(|seen: &Seen| match seen.path.as_str() {
        "/chunked" => Answer::sse(["a", "b", "c"]),
        "/late" => Answer::sse(["a"]).pause(Duration::from_millis(5)),
        "/empty" => Answer::status(204),
        _ => Answer::json(200, "whole"),
    });
    let transport = plain();
    for path in ["/whole", "/chunked", "/late", "/empty", "/whole", "/late", "/chunked"] {
        ask(&transport, provider.url() + path).await.unwrap();
    }
    assert_eq!((provider.requests().len(), provider.connections()), (7, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_comes_back_on_several_threads_too() {
    let provider = LocalProvider::start(Answer::json(200, "whole"));
    let transport = plain();
    for _ in 0..50 {
        ask(&transport, provider.url()).await.unwrap();
    }
    assert!(provider.connections() < 5, "{}", provider.connections());
}

#[tokio::test]
async fn what_arrives_is_what_was_sent() {
    let provider = LocalProvider::start(Answer::json(418, "{}").header("x-twice", "a").header("x-twice", "b"));
    let pieces = ["{\"model\":", "", "\"m\"", "}"].map(Bytes::from).to_vec();
    let request = Request::post(provider.url() + "/v1/x?key=1").header("x-a", "b");
    let reply = plain().send(request.body(Payload::pieces(pieces)).unwrap()).await.unwrap();
    assert_eq!(reply.status(), 418);
    assert_eq!(reply.headers().get_all("x-twice").iter().count(), 2);
    let seen = provider.requests().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/x?key=1"));
    assert_eq!(seen.body, "{\"model\":\"m\"}");
    assert_eq!((seen.header("content-length"), seen.header("x-a")), ("13", "b"));
    assert_eq!(seen.header("host"), provider.addr().to_string());
    assert_eq!(seen.headers.len(), 3);
}

#[tokio::test]
async fn a_long_body_goes_out_whole() {
    let provider = LocalProvider::start(|seen: &Seen| Answer::json(200, seen.body.len().to_string()));
    let pieces = vec![Bytes::from(vec![b'a'; 3_000_000]), Bytes::from_static(b"-"), Bytes::from(vec![b'b'; 100_000])];
    let request = Request::post(provider.url()).body(Payload::pieces(pieces)).unwrap();
    let reply = plain().send(request).await.unwrap();
    assert_eq!(reply.into_body().collect(100).await.unwrap(), "3100001");
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_head_is_noticed_at_once() {
    let provider = LocalProvider::start(Answer::never());
    let transport = plain();
    let call = tokio::time::timeout(Duration::from_millis(30), transport.send(post(provider.url(), "{}")));
    assert!(call.await.is_err());
    assert!(soon(Duration::from_millis(50), || provider.hangups().count == 1).await);
}

#[tokio::test]
async fn a_caller_who_leaves_the_body_is_noticed_at_once() {
    let second = Duration::from_secs(1);
    let stalled = Answer::sse(["data: a\n\n"]).ending(Ending::Hang);
    let dripping = Answer::sse(["data: a\n\n"]).pause(second).chunks(["data: b\n\n"]);
    for answer in [stalled, dripping, Answer::endless_frame()] {
        let provider = LocalProvider::start(answer);
        let transport = plain();
        let mut body = transport.send(post(provider.url(), "{}")).await.unwrap().into_body();
        assert!(body.chunk().await.unwrap().unwrap().starts_with(b"data: "));
        drop(body);
        assert!(soon(Duration::from_millis(50), || provider.hangups().count == 1).await);
    }
}

#[tokio::test]
async fn a_body_left_just_before_its_end_costs_no_connection() {
    let provider = LocalProvider::start(Answer::json(200, "whole"));
    let transport = plain();
    for _ in 0..3 {
        let reply = transport.send(post(provider.url(), "{}")).await.unwrap();
        drop(reply);
    }
    assert_eq!(provider.connections(), 1);
}

#[tokio::test]
async fn nobody_listens() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = fails(plain().send(post(format!("http://{closed}/secret?key=s3cret"), "{}")).await);
    assert_eq!((failure.phase, failure.timeout, failure.reused), (Phase::Connect, false, false));
    assert!(failure.message.contains(&closed.to_string()), "{failure}");
    assert!(failure.message.contains("refused") && !failure.message.contains("s3cret"), "{failure}");
}

#[tokio::test]
async fn no_such_host() {
    let failure = fails(plain().send(post("http://no-such-host.invalid/", "{}")).await);
    assert_eq!(failure.phase, Phase::Connect, "{failure}");
    assert!(failure.message.contains("no-such-host.invalid"), "{failure}");
}

#[tokio::test]
async fn nobody_answers_the_connection() {
    // A listener whose queue is full answers no more connections.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    for _ in 0..8 {
        let filler = tokio::time::timeout(Duration::from_millis(20), tokio::net::TcpStream::connect(addr));
        fillers.push(filler.await);
    }
    let options = Options { connect_timeout: Duration::from_millis(60), ..Options::default() };
    let failure = fails(HttpTransport::new(options).send(post(format!("http://{addr}"), "{}")).await);
    assert_eq!((failure.phase, failure.timeout), (Phase::Connect, true), "{failure}");
}

#[tokio::test]
async fn an_address_must_be_whole() {
    for url in ["/v1/chat", "ftp://host/", "example.com"] {
        let failure = fails(plain().send(post(url, "{}")).await);
        assert_eq!(failure.phase, Phase::Send, "{failure}");
    }
}

#[tokio::test]
async fn the_head_takes_too_long() {
    let provider = LocalProvider::start(Answer::never());
    let options = Options { head_timeout: Duration::from_millis(40), ..Options::default() };
    let failure = fails(HttpTransport::new(options).send(post(provider.url(), "{}")).await);
    assert_eq!((failure.phase, failure.timeout), (Phase::Head, true), "{failure}");
    assert!(soon(Duration::from_millis(50), || provider.hangups().count == 1).await);
}

#[tokio::test]
async fn there_is_no_head() {
    let empty = Answer::raw("");
    let half = Answer::raw("HTTP/1.1 200 OK\r\ncontent-le");
    let reset = Answer::never().ending(Ending::Reset);
    for (answer, words) in [
        (empty, "broke before its reply"),
        (half, "broke before its reply"),
        (reset, "broke before its reply"),
        (Answer::garbage(), "is not HTTP"),
    ] {
        let provider = LocalProvider::start(answer);
        let failure = fails(plain().send(post(provider.url(), "{}")).await);
        assert_eq!(failure.phase, Phase::Head, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
}

#[tokio::test]
async fn the_body_breaks_off() {
    let whole = Answer::json(200, "0123456789").cut_after(4);
    let chunked = Answer::sse(["0123", "456789"]).cut_after(4);
    let half = Answer::sse(["0123"]).ending(Ending::HalfClose);
    let reset = Answer::sse(["0123"]).pause(Duration::from_millis(20)).ending(Ending::Reset);
    for answer in [whole, chunked, half, reset] {
        let provider = LocalProvider::start(answer);
        let transport = plain();
        let mut body = transport.send(post(provider.url(), "{}")).await.unwrap().into_body();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "0123");
        let failure = body.chunk().await.unwrap().unwrap_err();
        assert_eq!(failure.phase, Phase::Body, "{failure}");
        assert!(body.chunk().await.is_none());
    }
}

#[tokio::test]
async fn a_body_is_collected_up_to_its_limit() {
    for answer in [Answer::json(200, "0123456789"), Answer::sse(["01234", "56789"])] {
        let provider = LocalProvider::start(answer);
        let transport = plain();
        for (limit, fits) in [(10, true), (11, true), (9, false), (4, false), (0, false)] {
            let reply = transport.send(post(provider.url(), "{}")).await.unwrap();
            match reply.into_body().collect(limit).await {
                Ok(body) => assert!(fits && body == "0123456789", "{limit}"),
                Err(failure) => {
                    assert!(!fits && failure.phase == Phase::Body, "{limit}: {failure}")
                }
            }
        }
    }
    let provider = LocalProvider::start(Answer::endless_frame());
    let reply = plain().send(post(provider.url(), "{}")).await.unwrap();
    assert!(reply.into_body().collect(100_000).await.unwrap_err().message.contains("100000 bytes"));
    assert!(soon(Duration::from_millis(50), || provider.hangups().count == 1).await);
}

#[tokio::test]
async fn a_connection_that_its_server_closed_is_replaced() {
    let provider = LocalProvider::start(Answer::json(200, "{}"));
    let transport = plain();
    ask(&transport, provider.url()).await.unwrap();
    let addr = provider.addr();
    drop(provider);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let failure = ask(&transport, format!("http://{addr}")).await.unwrap_err();
    assert_eq!(failure.phase, Phase::Connect, "{failure}");
    let closing = LocalProvider::start(Answer::json(200, "{}").ending(Ending::Close));
    for _ in 0..3 {
        ask(&transport, closing.url()).await.unwrap();
    }
    assert_eq!(closing.connections(), 3);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let provider = LocalProvider::start(Answer::json(200, "{}"));
    let options = Options { idle_timeout: Duration::from_millis(40), ..Options::default() };
    let transport = HttpTransport::new(options);
    ask(&transport, provider.url()).await.unwrap();
    assert_eq!(provider.open_connections(), 1);
    assert!(soon(Duration::from_millis(300), || provider.open_connections() == 0).await);
    ask(&transport, provider.url()).await.unwrap();
    assert!(soon(Duration::from_millis(300), || provider.open_connections() == 0).await);
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let provider = LocalProvider::start(Answer::json(200, "{}").delay(Duration::from_millis(30)));
    let options = Options { idle_per_host: 2, ..Options::default() };
    let transport = HttpTransport::new(options);
    let calls = (0..6).map(|_| ask(&transport, provider.url()));
    futures_util::future::join_all(calls).await.into_iter().for_each(|reply| drop(reply.unwrap()));
    assert_eq!(provider.connections(), 6);
    assert!(soon(Duration::from_millis(300), || provider.open_connections() == 2).await);
}

#[test]
fn one_transport_serves_one_runtime_after_another() {
    let provider = LocalProvider::start(Answer::json(200, "{}"));
    let transport = plain();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask(&transport, provider.url())).unwrap();
    }
    assert_eq!(provider.requests().len(), 2);
}

#[tokio::test]
async fn a_made_body_is_a_body() {
    use trunkline::transport::Body;
    assert_eq!(Body::empty().collect(0).await.unwrap(), "");
    assert_eq!(Body::whole("abc").collect(3).await.unwrap(), "abc");
    let items = ["ab", "cd"].map(|item| Ok(Bytes::from_static(item.as_bytes())));
    assert_eq!(Body::stream(futures_util::stream::iter(items)).collect(4).await.unwrap(), "abcd");
    let items = [Ok(Bytes::from_static(b"a")), Err(Failure::new(Phase::Body, "gone"))];
    assert_eq!(Body::stream(futures_util::stream::iter(items)).collect(4).await.unwrap_err().message, "gone");
}

pub(crate) fn proxies<const N: usize>(variables: [(&str, String); N]) -> BTreeMap<String, String> {
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
