//! The local provider: a small, fast HTTP/1.1 server on a thread of its own, on a loopback port.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::sync::oneshot;

use super::reply::{Behaviour, Reply, Stock};

/// Largest request body that is accepted, in bytes.
const MOST_BODY: usize = 16 * 1024 * 1024;

/// A provider that runs until it is dropped.
#[derive(Debug)]
pub struct Provider {
    /// Where it listens.
    pub addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Provider {
    /// Listens on `port` of the loopback address (0: any free one).
    ///
    /// # Errors
    /// When the port is taken or the thread cannot be started.
    pub fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("provider".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = accept(listener) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { addr, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let stock = Stock::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let stock = stock.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &stock));
            // A caller that goes away is no failure of the provider: there is nobody left to tell.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, stock: &Stock) -> Result<Response<Reply>, Infallible> {
    let body = match read_body(request.into_body()).await {
        Ok(body) => body,
        Err(why) => return Ok(refuse(&why)),
    };
    let behaviour = read_string(&body, b"\"model\"").map_or_else(|| Behaviour::read("m"), Behaviour::read);
    if !behaviour.delay.is_zero() {
        tokio::time::sleep(behaviour.delay).await;
    }
    let streamed = is_true(&body, b"\"stream\"");
    let (kind, reply) = if streamed {
        ("text/event-stream", stock.stream(behaviour, is_true(&body, b"\"include_usage\"")))
    } else {
        ("application/json", stock.whole())
    };
    let mut response = Response::new(reply);
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    Ok(response)
}

fn refuse(why: &str) -> Response<Reply> {
    let body = format!("{{\"error\":{{\"message\":\"{why}\",\"type\":\"invalid_request_error\",\"code\":null}}}}");
    let mut response = Response::new(Reply::Whole(Some(body.into())));
    *response.status_mut() = http::StatusCode::BAD_REQUEST;
    response
}

async fn read_body(mut body: Incoming) -> Result<Bytes, String> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|e| e.to_string())?.into_data() else { continue };
        if first.is_none() && rest.is_empty() {
            first = Some(data);
            continue;
        }
        if let Some(first) = first.take() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
        if rest.len() > MOST_BODY {
            return Err("the body is larger than the local provider takes".into());
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

/// What follows `"name":` in `body`, blanks skipped.
fn value_of<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = memmem::find(body, name)? + name.len();
    let rest = body.get(at..)?.trim_ascii_start().strip_prefix(b":")?;
    Some(rest.trim_ascii_start())
}

fn is_true(body: &[u8], name: &[u8]) -> bool {
    value_of(body, name).is_some_and(|value| value.starts_with(b"true"))
}

fn read_string<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let value = value_of(body, name)?.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', value)?;
    std::str::from_utf8(value.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_scanned_with_and_without_blanks() {
        let body = br#"{"stream" : true, "model": "m-50ms","x":1}"#;
        assert!(is_true(body, b"\"stream\""));
        assert!(!is_true(body, b"\"include_usage\""));
        assert_eq!(read_string(body, b"\"model\""), Some("m-50ms"));
    }
}
