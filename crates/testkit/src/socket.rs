//! A provider on loopback that is spoken to over a WebSocket: one message in, then it says what it is told to.
//!
//! ```
//! use trunkline_testkit::socket::{LocalSocket, Play};
//! let provider = LocalSocket::start(|_| Play::new().say("{\"header\":{\"code\":0,\"status\":2}}"));
//! let base_url = provider.url(); // ws://127.0.0.1:PORT
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::provider::Seen;

/// What the provider does with one connection.
#[derive(Clone, Debug, Default)]
pub struct Play {
    refusal: Option<(u16, String)>,
    steps: Vec<Step>,
    ending: Ending,
}

#[derive(Clone, Debug)]
enum Step {
    Say(String),
    Ping,
    Pause(Duration),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// With a farewell.
    #[default]
    Close,
    /// The socket closes without one.
    Drop,
    /// Not at all, until the caller leaves.
    Hang,
}

impl Play {
    /// Nothing but a farewell.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The handshake is refused.
    #[must_use]
    pub fn refuse(status: u16, body: impl Into<String>) -> Self {
        Play { refusal: Some((status, body.into())), ..Self::default() }
    }

    /// A message.
    #[must_use]
    pub fn say(mut self, text: impl Into<String>) -> Self {
        self.steps.push(Step::Say(text.into()));
        self
    }

    /// Each line a message.
    #[must_use]
    pub fn say_lines(self, lines: &str) -> Self {
        lines.lines().fold(self, Self::say)
    }

    /// A ping between two messages.
    #[must_use]
    pub fn ping(mut self) -> Self {
        self.steps.push(Step::Ping);
        self
    }

    /// Nothing for a while.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.steps.push(Step::Pause(pause));
        self
    }

    /// How it ends.
    #[must_use]
    pub const fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }
}

type Script = dyn Fn(&Seen) -> Play + Send + Sync;

#[derive(Default)]
struct Log {
    seen: Vec<Seen>,
    connections: usize,
    hangups: usize,
}

/// The server. It lives in a thread and a runtime of its own and stops when dropped.
pub struct LocalSocket {
    addr: SocketAddr,
    log: Arc<Mutex<Log>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LocalSocket {
    /// Listens on a free loopback port. The script is asked twice a connection: when it opens (the body is empty then, and
    /// only a refusal counts) and when its first message has come.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn start(script: impl Fn(&Seen) -> Play + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let (script, noted): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&log));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, script, noted) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { addr, log, stop: Some(stop), thread: Some(thread) }
    }

    /// `ws://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// Every opening so far with its first message as its body.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.log.lock().unwrap().seen.clone()
    }

    /// Callers who left before the farewell.
    #[must_use]
    pub fn hangups(&self) -> usize {
        self.log.lock().unwrap().hangups
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, script: Arc<Script>, log: Arc<Mutex<Log>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&log)));
    }
}

#[allow(clippy::result_large_err)]
async fn serve(stream: TcpStream, script: Arc<Script>, log: Arc<Mutex<Log>>) -> Option<()> {
    let connection = {
        let mut log = log.lock().unwrap();
        log.connections += 1;
        log.connections
    };
    let mut seen = None;
    let socket = accept_hdr_async(stream, |request: &Request, response: Response| {
        let opened = Seen {
            connection,
            method: request.method().to_string(),
            path: request.uri().to_string(),
            headers: request.headers().clone(),
            body: bytes::Bytes::new(),
        };
        let refusal = script(&opened).refusal;
        seen = Some(opened);
        match refusal {
            None => Ok(response),
            Some((status, body)) => {
                let mut refused = ErrorResponse::new(Some(body));
                *refused.status_mut() = http::StatusCode::from_u16(status).unwrap();
                Err(refused)
            }
        }
    })
    .await;
    let mut seen = seen?;
    let Ok(mut socket) = socket else {
        log.lock().unwrap().seen.push(seen);
        return None;
    };
    let Some(Ok(Message::Text(text))) = socket.next().await else { return None };
    seen.body = text.into();
    log.lock().unwrap().seen.push(seen.clone());
    let play = script(&seen);
    for step in play.steps {
        let sent = match step {
            Step::Say(text) => socket.send(Message::text(text)).await,
            Step::Ping => socket.send(Message::Ping(bytes::Bytes::from_static(b"?"))).await,
            Step::Pause(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
        };
        if sent.is_err() {
            log.lock().unwrap().hangups += 1;
            return None;
        }
    }
    match play.ending {
        Ending::Drop => drop(socket.get_mut().shutdown().await),
        Ending::Close => {
            let _ = socket.close(None).await;
            while let Some(Ok(_)) = socket.next().await {}
        }
        Ending::Hang => {
            while let Some(Ok(_)) = socket.next().await {}
            log.lock().unwrap().hangups += 1;
        }
    }
    None
}
