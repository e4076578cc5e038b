//! A transport for providers that are spoken to over a WebSocket: one message out, messages in, a connection a call.
//!
//! The messages come as the lines of a reply's body (`application/x-ndjson`), so that above this nobody need know. A
//! handshake that the provider refuses is a reply with the provider's status and words.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use ::http::uri::Authority;
use ::http::{HeaderValue, Method, Request, Response};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{SinkExt, StreamExt, stream};
use http_body_util::BodyExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::connect::{Dialer, Wire, place};
use super::{Body, Failure, Options, Payload, Phase, Reply, Sending, Transport};

/// The longest message that is taken.
const MESSAGE_LIMIT: usize = 8 * 1024 * 1024;

/// What is read of a socket at once.
const READ_BUFFER: usize = 16 * 1024;

/// Carries requests to `ws` and `wss` addresses.
pub struct WebSocketTransport {
    dialer: Dialer,
    head_timeout: Duration,
}

impl WebSocketTransport {
    /// A transport that connects as these options say.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        // The handshake is one of HTTP/1.1; a server that was offered HTTP/2 as well would choose that.
        let options = Options { http2: false, ..options.clone() };
        Self { dialer: Dialer::new(&options), head_timeout: options.head_timeout }
    }

    async fn exchange(&self, request: Request<Payload>) -> Result<Reply, Failure> {
        let (head, payload) = request.into_parts();
        let secure = head.uri.scheme_str() == Some("wss");
        let Some(authority) = head.uri.authority().cloned() else {
            return Err(Failure::new(Phase::Send, "the address names no host"));
        };
        let message = read_message(payload).await?;
        let mut opening = Request::new(());
        *opening.method_mut() = Method::GET;
        *opening.uri_mut() = head.uri;
        *opening.headers_mut() = head.headers;
        open(&mut opening, &authority, secure)?;
        let dialed = self.dialer.dial(secure, &authority, self.dialer.deadline()).await?;
        if dialed.forward.is_some() {
            return Err(Failure::new(Phase::Connect, "the proxy cannot pass on a ws:// connection; use wss://"));
        }
        let patience = self.head_timeout;
        let late = |_| {
            let message = format!("{} did not open the connection within {patience:?}", place(&authority));
            Failure::new(Phase::Head, message).timed_out()
        };
        timeout(patience, greet(dialed.wire, opening, message, &authority)).await.map_err(late)?
    }
}

impl Transport for WebSocketTransport {
    fn send(&self, request: Request<Payload>) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}

async fn read_message(payload: Payload) -> Result<Utf8Bytes, Failure> {
    let unfit = |message: &str| Failure::new(Phase::Send, message);
    let body = payload.collect().await.map_err(|_| unfit("the message broke off before it was sent"))?.to_bytes();
    Utf8Bytes::try_from(body).map_err(|_| unfit("the message is no text"))
}

/// What makes a request the opening of a WebSocket.
fn open(opening: &mut Request<()>, authority: &Authority, secure: bool) -> Result<(), Failure> {
    let unfit = |error| Failure::from_source(Phase::Send, "the address cannot stand in a header", error);
    let default = if secure { ":443" } else { ":80" };
    let whole = place(authority);
    let host = HeaderValue::from_str(whole.strip_suffix(default).unwrap_or(whole)).map_err(unfit)?;
    let key = HeaderValue::from_str(&generate_key()).map_err(unfit)?;
    let headers = opening.headers_mut();
    // There is no body that these would be about.
    for name in [CONTENT_TYPE, CONTENT_LENGTH, ACCEPT_ENCODING] {
        headers.remove(name);
    }
    headers.insert(HOST, host);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, key);
    Ok(())
}

async fn greet(wire: Wire, opening: Request<()>, message: Utf8Bytes, authority: &Authority) -> Result<Reply, Failure> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MESSAGE_LIMIT))
        .max_frame_size(Some(MESSAGE_LIMIT));
    let place = place(authority);
    let mut socket = match client_async_with_config(opening, wire, Some(config)).await {
        Ok((socket, _)) => socket,
        Err(Error::Http(refusal)) => {
            let (head, body) = refusal.into_parts();
            return Ok(Response::from_parts(head, Body::whole(body.unwrap_or_default())));
        }
        Err(error) => {
            let message = format!("{place} accepted the connection, but opened no WebSocket");
            return Err(Failure::from_source(Phase::Head, &message, error));
        }
    };
    if let Err(error) = socket.send(Message::Text(message)).await {
        let message = format!("the connection to {place} broke before the message was sent");
        return Err(Failure::from_source(Phase::Head, &message, error));
    }
    let mut reply = Response::new(Body::stream(lines(socket)));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(reply)
}

/// The messages, a line each, until the provider closes the connection. Dropping the stream closes it from here.
fn lines(socket: WebSocketStream<Wire>) -> impl Stream<Item = Result<Bytes, Failure>> + Send + 'static {
    stream::unfold(Some(socket), |socket| async move {
        let mut socket = socket?;
        loop {
            let text = match socket.next().await {
                Some(Ok(Message::Text(text))) => Bytes::from(text),
                Some(Ok(Message::Binary(bytes))) => bytes,
                // What is asked by a ping the library answers with the next read.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) | None => {
                    // The other side waits for a farewell; if it has gone already, that is no harm.
                    let _ = timeout(FAREWELL, socket.close(None)).await;
                    return None;
                }
                Some(Err(error)) if is_end(&error) => return None,
                Some(Err(error)) => return Some((Err(broken(error)), None)),
            };
            return Some((Ok(line(&text)), Some(socket)));
        }
    })
}

/// How long a closing connection may hold back the end of a reply.
const FAREWELL: Duration = Duration::from_secs(1);

/// Whether the dialect knows of the answer alone if it was complete: the connection just ended.
fn is_end(error: &Error) -> bool {
    matches!(error, Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))
}

fn broken(error: Error) -> Failure {
    if matches!(error, Error::Capacity(_)) {
        return Failure::new(Phase::Body, format!("a message of the reply is longer than {MESSAGE_LIMIT} bytes"));
    }
    let source = Arc::new(error);
    let message = format!("the connection broke in the middle of the reply: {source}");
    Failure { source: Some(source), ..Failure::new(Phase::Body, message) }
}

/// JSON text on one line: line ends in it are white space between its parts, for in a string they would be escaped.
fn line(text: &[u8]) -> Bytes {
    let mut line: Vec<u8> = text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
    line.push(b'\n');
    line.into()
}
