//! A bare HTTP/1.1 client: what it sends is what the test wrote, and it tells a proper end from a broken one.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// A request, as bytes.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len();
        Ask {
            head: format!("POST {path} HTTP/1.1\r\nhost: gate\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"),
            body,
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Ask::method("GET", path)
    }

    pub(crate) fn method(method: &str, path: &str) -> Self {
        Ask { head: format!("{method} {path} HTTP/1.1\r\nhost: gate\r\n"), body: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.head).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub(crate) fn open(&self, address: SocketAddr) -> Line {
        let mut line = Line::connect(address);
        line.write(&self.bytes());
        line
    }

    pub(crate) fn send(&self, address: SocketAddr) -> Reply {
        self.open(address).reply()
    }
}

/// One connection to the gateway.
pub(crate) struct Line {
    pub(crate) socket: TcpStream,
    inbox: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        format!("{:?}", self.headers)
    }
}

/// An answer with a proper end.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.head.get(name).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

impl Line {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Line { socket, inbox: Vec::new() }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// More bytes; false at the end. Panics on a reset.
    fn more(&mut self) -> bool {
        let mut room = [0; 64 * 1024];
        match self.socket.read(&mut room) {
            Ok(read) => {
                self.inbox.extend_from_slice(&room[..read]);
                read > 0
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came for {PATIENCE:?} after: {}", String::from_utf8_lossy(&self.inbox))
            }
            Err(error) => panic!("{error} after: {}", String::from_utf8_lossy(&self.inbox)),
        }
    }

    fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.inbox.windows(mark.len()).position(|window| window == mark) {
                return self.inbox.drain(..at + mark.len()).collect();
            }
            assert!(self.more(), "the connection closed after: {}", String::from_utf8_lossy(&self.inbox));
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.inbox.len() < length {
            assert!(self.more(), "the connection closed in the middle of a body: {}", String::from_utf8_lossy(&self.inbox));
        }
        self.inbox.drain(..length).collect()
    }

    /// The head of the next answer (a `100 Continue` before it is skipped).
    pub(crate) fn head(&mut self) -> Head {
        loop {
            let head = String::from_utf8(self.until(b"\r\n\r\n")).unwrap();
            let mut lines = head.lines();
            let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            let pairs = lines.filter_map(|line| line.split_once(':'));
            let headers = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
            if status != 100 {
                return Head { status, headers };
            }
        }
    }

    /// The next chunk of a chunked body; `None` at its proper end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.until(b"\r\n");
        let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim(), 16).unwrap();
        let mut chunk = self.take(size + 2);
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// The rest of a chunked body.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.chunk()).flatten().collect()
    }

    /// Chunks until their text holds `mark`.
    pub(crate) fn chunks_until(&mut self, mark: &str) -> String {
        let mut text = String::new();
        while !text.contains(mark) {
            let chunk = self.chunk().unwrap_or_else(|| panic!("the stream ended without {mark}: {text}"));
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        text
    }

    /// The next answer, to its proper end.
    pub(crate) fn reply(&mut self) -> Reply {
        let head = self.head();
        let body = match head.get("content-length") {
            Some(length) => self.take(length.parse().unwrap()),
            None if head.get("transfer-encoding") == Some("chunked") => self.rest(),
            None => Vec::new(),
        };
        Reply { head, body }
    }

    /// True when the other side closes and nothing more comes.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.inbox.is_empty() && !self.more()
    }
}
