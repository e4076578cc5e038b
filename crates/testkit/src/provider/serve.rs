//! The server's side of the wire: plain HTTP/1.1 by hand, because a proper server would refuse to misbehave.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::{Answer, Ending, Log, Script, Seen, Step};

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) script: Arc<dyn Script>,
    pub(super) log: Arc<Mutex<Log>>,
}

pub(super) async fn accept(listener: std::net::TcpListener, shared: Shared) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let connection = {
            let mut log = shared.log.lock().unwrap();
            log.connections += 1;
            log.open += 1;
            log.connections
        };
        tokio::spawn(async move {
            let _ = serve(stream, connection, &shared).await;
            shared.log.lock().unwrap().open -= 1;
        });
    }
}

async fn serve(mut stream: TcpStream, connection: usize, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut inbox = BytesMut::new();
    loop {
        let (mut reader, mut writer) = stream.split();
        let Some(seen) = read_request(&mut reader, &mut inbox, connection).await? else {
            return Ok(());
        };
        let nth = {
            let mut log = shared.log.lock().unwrap();
            log.seen.push(seen.clone());
            log.seen.len() - 1
        };
        let answer = shared.script.answer(&seen, nth);
        let played = tokio::select! {
            biased;
            () = hangup(&mut reader, &mut inbox) => None,
            played = play(&mut writer, &answer) => played.ok(),
        };
        match played {
            None => {
                let mut log = shared.log.lock().unwrap();
                log.hangups.count += 1;
                log.hangups.last = Some(Instant::now());
                return Ok(());
            }
            Some(Ending::KeepAlive) => {}
            Some(Ending::Reset) => return stream.set_zero_linger(),
            Some(Ending::HalfClose) => {
                writer.shutdown().await?;
                hangup(&mut reader, &mut inbox).await;
                return Ok(());
            }
            Some(_) => return writer.shutdown().await,
        }
    }
}

/// Ends when the caller closes or resets the connection.
async fn hangup(reader: &mut ReadHalf<'_>, inbox: &mut BytesMut) {
    while let Ok(1..) = reader.read_buf(inbox).await {}
}

/// Plays the answer to its end and says how the connection goes on. Fails when the caller is gone.
async fn play(writer: &mut WriteHalf<'_>, answer: &Answer) -> std::io::Result<Ending> {
    if answer.delay > Duration::ZERO {
        tokio::time::sleep(answer.delay).await;
    }
    let chunked = answer.status.is_some() && !answer.whole;
    let mut wire = answer.status.map(|status| head(answer, status)).unwrap_or_default();
    let mut left = answer.cut_after.unwrap_or(usize::MAX);
    for step in &answer.steps {
        match step {
            Step::Pause(pause) => {
                writer.write_all(&std::mem::take(&mut wire)).await?;
                tokio::time::sleep(*pause).await;
            }
            Step::Forever(bytes) => loop {
                frame(&mut wire, bytes, chunked);
                writer.write_all(&std::mem::take(&mut wire)).await?;
            },
            Step::Send(bytes) => {
                let bytes = &bytes[..bytes.len().min(left)];
                left -= bytes.len();
                let size = answer.drip.map_or(bytes.len().max(1), |_| 1);
                for piece in bytes.chunks(size) {
                    if let Some(pause) = answer.drip {
                        tokio::time::sleep(pause).await;
                    }
                    frame(&mut wire, piece, chunked);
                    writer.write_all(&std::mem::take(&mut wire)).await?;
                }
            }
        }
        if left == 0 && answer.cut_after.is_some() {
            break;
        }
    }
    if chunked && matches!(answer.ending, Ending::KeepAlive | Ending::Close) {
        wire.extend_from_slice(b"0\r\n\r\n");
    }
    writer.write_all(&wire).await?;
    if answer.ending == Ending::Hang {
        std::future::pending::<()>().await;
    }
    Ok(answer.ending)
}

fn frame(wire: &mut Vec<u8>, piece: &[u8], chunked: bool) {
    if chunked {
        wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
    }
    wire.extend_from_slice(piece);
    if chunked {
        wire.extend_from_slice(b"\r\n");
    }
}

fn head(answer: &Answer, status: u16) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    let mut framed = false;
    for (name, value) in &answer.headers {
        framed |= name == "content-length" || name == "transfer-encoding";
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = answer.steps.iter().map(|step| match step {
        Step::Send(bytes) => bytes.len(),
        _ => 0,
    });
    if !framed && answer.whole {
        head.push_str(&format!("content-length: {}\r\n", length.sum::<usize>()));
    } else if !framed {
        head.push_str("transfer-encoding: chunked\r\n");
    }
    if answer.ending == Ending::Close {
        head.push_str("connection: close\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// The next request, or nothing when the caller closed the connection between two.
async fn read_request(reader: &mut ReadHalf<'_>, inbox: &mut BytesMut, connection: usize) -> std::io::Result<Option<Seen>> {
    let end = loop {
        if let Some(at) = find(inbox, b"\r\n\r\n") {
            break at;
        }
        if reader.read_buf(inbox).await? == 0 {
            return Ok(None);
        }
    };
    let head = inbox.split_to(end + 4);
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        headers.append(HeaderName::from_bytes(name.trim().as_bytes()).unwrap(), HeaderValue::from_str(value.trim()).unwrap());
    }
    assert!(headers.get("transfer-encoding").is_none(), "requests come with their length");
    let length = headers.get("content-length");
    let length = length.map_or(0, |value| value.to_str().unwrap().parse().unwrap());
    let body = take(reader, inbox, length).await?;
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    Ok(Some(Seen { connection, method, path, headers, body }))
}

async fn take(reader: &mut ReadHalf<'_>, inbox: &mut BytesMut, length: usize) -> std::io::Result<Bytes> {
    while inbox.len() < length {
        if reader.read_buf(inbox).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(inbox.split_to(length).freeze())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
