//! The local provider, spoken to over a bare socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use trunkline_testkit::provider::{Answer, Ending, LocalProvider, Seen};

const ASK: &[u8] = b"POST /v1/x?y=1 HTTP/1.1\r\nhost: h\r\nContent-Length: 8\r\n\r\n{\"a\": 1}";

fn send(provider: &LocalProvider) -> TcpStream {
    let mut socket = TcpStream::connect(provider.addr()).unwrap();
    socket.write_all(ASK).unwrap();
    socket
}

fn ask(provider: &LocalProvider) -> String {
    let mut reply = Vec::new();
    let _ = send(provider).read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

fn until(mut met: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        if met() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

#[test]
fn answers_in_order_and_remembers_what_it_saw() {
    let first = Answer::json(429, "{}").header("retry-after", "7").ending(Ending::Close);
    let provider = LocalProvider::start([first, Answer::sse(["data: a\n\n", "b"]).ending(Ending::Close)]);
    let reply = ask(&provider);
    assert!(reply.starts_with("HTTP/1.1 429 "), "{reply}");
    assert!(reply.contains("retry-after: 7\r\n") && reply.contains("content-length: 2\r\n"), "{reply}");
    for _ in 0..2 {
        assert!(ask(&provider).ends_with("\r\n\r\n9\r\ndata: a\n\n\r\n1\r\nb\r\n0\r\n\r\n"));
    }
    let seen = &provider.requests()[2];
    assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.connection), ("POST", "/v1/x?y=1", 3));
    assert_eq!(seen.json()["a"], 1);
    assert_eq!(seen.header("host"), "h");
    assert_eq!(provider.hangups().count, 0);
}

#[test]
fn a_closure_sees_the_request_and_one_connection_carries_many() {
    let provider = LocalProvider::start(|seen: &Seen| Answer::json(200, seen.body.clone()));
    let mut socket = send(&provider);
    let mut reply = [0; 1024];
    for _ in 0..3 {
        let read = socket.read(&mut reply).unwrap();
        assert!(reply[..read].ends_with(b"{\"a\": 1}"));
        socket.write_all(ASK).unwrap();
    }
    assert!(until(|| provider.requests().len() == 4));
    assert_eq!(provider.connections(), 1);
    drop(socket);
    assert!(until(|| provider.open_connections() == 0));
}

#[test]
fn cuts_resets_and_half_closes() {
    let cut = LocalProvider::start(Answer::json(200, "0123456789").cut_after(4));
    assert!(ask(&cut).ends_with("content-length: 10\r\n\r\n0123"));
    let half = LocalProvider::start(Answer::sse(["abc"]).ending(Ending::HalfClose));
    assert!(ask(&half).ends_with("3\r\nabc\r\n"));
    let reset = LocalProvider::start(Answer::never().ending(Ending::Reset));
    let mut reply = Vec::new();
    let error = send(&reset).read_to_end(&mut reply).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn notices_who_hangs_up() {
    let silent = Answer::never();
    let endless = Answer::endless_frame();
    let dripping = Answer::json(200, "0123456789").drip(Duration::from_millis(20));
    for answer in [silent, endless, dripping] {
        let provider = LocalProvider::start(answer);
        let socket = send(&provider);
        assert!(until(|| provider.requests().len() == 1));
        assert_eq!(provider.hangups().count, 0);
        drop(socket);
        assert!(until(|| provider.hangups().count == 1));
        assert!(provider.hangups().last.is_some());
    }
}

#[test]
fn takes_its_time() {
    let wait = Duration::from_millis(30);
    let late = Answer::sse(["a"]).pause(wait).chunks(["b"]).delay(wait).ending(Ending::Close);
    let provider = LocalProvider::start(late);
    let start = Instant::now();
    assert!(ask(&provider).ends_with("1\r\na\r\n1\r\nb\r\n0\r\n\r\n"));
    assert!(start.elapsed() >= 2 * wait);
}
