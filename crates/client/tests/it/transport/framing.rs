//! HTTP/1.1 on the wire, spoken by a server that a test writes byte by byte.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use trunkline::transport::{Failure, HttpTransport, Options, Phase, Transport};

use super::{ask, post, soon};

/// Serves every connection with `serve`; counts them.
async fn server<F: Future<Output = ()> + Send>(
    serve: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let serve = Arc::new(serve);
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            stream.set_nodelay(true).unwrap();
            let serve = Arc::clone(&serve);
            tokio::spawn(async move { serve(stream).await });
        }
    });
    (addr, count)
}

/// Reads a request of our own making: a head and a body of `{}`.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n{}") {
        let mut block = [0; 1024];
        match stream.read(&mut block).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => seen.extend_from_slice(&block[..count]),
        }
    }
    true
}

/// Answers each request with these bytes, cut at `cut`.
async fn repeat(mut stream: TcpStream, reply: &[u8], cut: usize) {
    while read_request(&mut stream).await {
        let (first, second) = reply.split_at(cut.min(reply.len()));
        stream.write_all(first).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        if stream.write_all(second).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_reply_is_the_same_however_it_is_cut() {
    for (reply, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nx: y\r\n\r\n", "hello"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ] {
        let at = Arc::new(AtomicUsize::new(0));
        let cut = Arc::clone(&at);
        let (addr, connections) = server(move |stream| {
            let cut = Arc::clone(&cut);
            async move {
                let mut stream = stream;
                while read_request(&mut stream).await {
                    let (first, second) = reply.as_bytes().split_at(cut.fetch_add(1, Ordering::SeqCst));
                    stream.write_all(first).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    stream.write_all(second).await.unwrap();
                }
            }
        })
        .await;
        let transport = HttpTransport::new(Options::default());
        for _ in 0..=reply.len() {
            assert_eq!(ask(&transport, format!("http://{addr}")).await.unwrap(), body);
        }
        assert_eq!((at.load(Ordering::SeqCst), connections.load(Ordering::SeqCst)), (reply.len() + 1, 1), "{reply}");
    }
}

#[tokio::test]
async fn a_connection_is_not_used_again_when_its_state_is_in_doubt() {
    for reply in [
        // Longer than it said.
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        // Two lengths.
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 15\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let (addr, connections) = server(move |stream| repeat(stream, reply.as_bytes(), usize::MAX)).await;
        let transport = HttpTransport::new(Options::default());
        for _ in 0..3 {
            assert_eq!(ask(&transport, format!("http://{addr}")).await.unwrap(), "hello", "{reply}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(connections.load(Ordering::SeqCst), 3, "{reply}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_out_of_turn_is_not_listened_to() {
    let spoken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&spoken);
    let (addr, connections) = server(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            while read_request(&mut stream).await {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let transport = HttpTransport::new(Options::default());
    for round in 1..=3 {
        assert_eq!(ask(&transport, format!("http://{addr}")).await.unwrap(), "hello");
        assert!(soon(Duration::from_secs(10), || spoken.load(Ordering::SeqCst) == round).await);
        // Over the loopback it has arrived by now; the runtime needs a moment to hear of it.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_body_may_end_where_the_connection_does() {
    let (addr, _) = server(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
    })
    .await;
    assert_eq!(ask(&HttpTransport::new(Options::default()), format!("http://{addr}")).await.unwrap(), "hello");
}

/// Reads until as many bytes have come as the head announces; says how many of the body there were.
async fn read_body(stream: &mut TcpStream, length: usize) -> usize {
    let mut count = 0;
    let mut block = vec![0; 64 * 1024];
    while count < length {
        match stream.read(&mut block).await {
            Ok(0) | Err(_) => break,
            Ok(more) => count += more,
        }
    }
    count
}

const LONG: usize = 8 * 1024 * 1024;

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_long_body_is_heard() {
    let (addr, _) = server(|mut stream| async move {
        read_body(&mut stream, 1).await;
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong").await.unwrap();
        stream.shutdown().await.unwrap();
        // Lingers, as servers do so that their answer is not lost to a reset.
        read_body(&mut stream, LONG).await;
    })
    .await;
    let transport = HttpTransport::new(Options::default());
    let reply = transport.send(post(format!("http://{addr}"), vec![b'x'; LONG])).await.unwrap();
    assert_eq!(reply.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reply.into_body().collect(100).await.unwrap(), "long");
}

#[tokio::test]
async fn a_reply_that_begins_early_gets_the_rest_of_its_request() {
    let (addr, connections) = server(|mut stream| async move {
        for _ in 0..2 {
            read_body(&mut stream, 1).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await.unwrap();
            // The first block held some of the body.
            let rest = tokio::time::timeout(Duration::from_secs(5), read_body(&mut stream, LONG - 64 * 1024)).await;
            let words: &[u8] = if rest.is_ok() { b"good" } else { b"late" };
            // What is left of it.
            let _ = tokio::time::timeout(Duration::from_millis(100), read_body(&mut stream, LONG)).await;
            stream.write_all(words).await.unwrap();
        }
    })
    .await;
    let transport = HttpTransport::new(Options::default());
    for _ in 0..2 {
        let reply = transport.send(post(format!("http://{addr}"), vec![b'x'; LONG])).await.unwrap();
        assert_eq!(reply.into_body().collect(100).await.unwrap(), "good");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_not_http_is_said_to_be_so() {
    for reply in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
    ] {
        let (addr, _) = server(move |stream| repeat(stream, reply.as_bytes(), usize::MAX)).await;
        let failure: Failure = ask(&HttpTransport::new(Options::default()), format!("http://{addr}")).await.unwrap_err();
        assert_eq!(failure.phase, Phase::Head, "{reply}");
        assert!(failure.message.contains("is not HTTP"), "{failure}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let (addr, _) = server(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(&[b"x: ".to_vec(), vec![b'y'; 60_000], b"\r\n".to_vec()].concat()).await.is_ok() {}
    })
    .await;
    let failure = ask(&HttpTransport::new(Options::default()), format!("http://{addr}")).await.unwrap_err();
    assert!(failure.message.contains("longer than"), "{failure}");
}

#[tokio::test]
async fn a_body_that_cannot_be_had_does_not_pass_for_whole() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let (addr, _) = server(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            let mut block = [0; 4096];
            let count = stream.read(&mut block).await.unwrap();
            told.lock().unwrap().extend_from_slice(&block[..count]);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await.unwrap();
            while let Ok(count @ 1..) = stream.read(&mut block).await {
                told.lock().unwrap().extend_from_slice(&block[..count]);
            }
        }
    })
    .await;
    let pieces = futures_util::stream::unfold(0, |at| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        match at {
            0 => Some((Ok("half".into()), 1)),
            1 => Some((Err(Failure::new(Phase::Send, "the caller went away")), 2)),
            _ => None,
        }
    });
    let payload = trunkline::transport::Payload::stream(Vec::new(), pieces, None);
    let request = http::Request::post(format!("http://{addr}")).body(payload).unwrap();
    let transport = HttpTransport::new(Options::default());
    if let Ok(reply) = transport.send(request).await {
        let body = tokio::time::timeout(Duration::from_secs(5), reply.into_body().collect(100)).await;
        body.expect("nobody waits for a reply that waits for the rest").unwrap_err();
    }
    assert!(soon(Duration::from_secs(5), || seen.lock().unwrap().ends_with(b"half\r\n")).await);
}

#[tokio::test]
async fn however_many_connections_have_died_a_living_one_is_used() {
    let (addr, _) = server(|mut stream| async move {
        read_request(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        // And closes.
    })
    .await;
    let transport = HttpTransport::new(Options::default());
    let calls = (0..150).map(|_| ask(&transport, format!("http://{addr}")));
    assert!(futures_util::future::join_all(calls).await.into_iter().all(|body| body.unwrap() == "hello"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(ask(&transport, format!("http://{addr}")).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_reply_that_stops_in_its_middle_is_not_waited_for_without_end() {
    let (addr, _) = server(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let transport = HttpTransport::new(Options { piece_timeout: Duration::from_millis(50), ..Options::default() });
    let failure = ask(&transport, format!("http://{addr}")).await.unwrap_err();
    assert_eq!((failure.phase, failure.timeout), (Phase::Body, true), "{failure}");
}
