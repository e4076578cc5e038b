//! Listening, threads, and stopping gracefully.
//!
//! One thread accepts and hands connections round to the workers, each a single-threaded runtime with a pool of its
//! own: no lock and no work stealing on the way of a call, and connections are spread evenly however few there are.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use trunkline::Client;
use trunkline::codec::{Error, Kind, Origin, Result};
use trunkline::config::LogLevel;

use crate::door::Door;
use crate::prompt::Shelf;
use crate::record::Record;
use crate::shed::Shed;
use crate::worker::Worker;
use crate::{pipeline, reload};

/// After running streams were cut, their last bytes have this long to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A caller may not take for ever to send its headers.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// Connections that wait for a worker.
const WAITING: usize = 1024;

/// A gateway that listens.
pub struct Server {
    listener: TcpListener,
    client: Client,
    door: Door,
    record: Arc<Record>,
    shelf: Shelf,
    /// What its user should know, in sentences.
    pub notices: Vec<String>,
}

/// Stops a [`Server`].
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// A switch, and what [`Server::run`] watches.
    pub fn new() -> (Self, watch::Receiver<bool>) {
        let (sender, receiver) = watch::channel(false);
        (Stop(sender), receiver)
    }

    /// No new calls; running ones may finish.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Binds the address of the client's configuration. Without a key: loopback only.
    ///
    /// # Errors
    /// When the address is not one, or is taken, or the key's variable is not set.
    pub async fn bind(client: Client) -> Result<Self> {
        let listen = client.config().server.listen.clone();
        Server::bind_at(client, &listen).await
    }

    /// As [`Server::bind`], at another address.
    ///
    /// # Errors
    /// As there.
    pub async fn bind_at(client: Client, listen: &str) -> Result<Self> {
        let wrong = |what: String| Error::new(Kind::Internal, Origin::Gateway, what);
        let mut notices = Vec::new();
        let door = Door::open(&client.config(), &client.environment())?;
        let named = tokio::net::lookup_host(listen).await.ok().and_then(|mut found| found.next());
        let mut address: SocketAddr =
            named.ok_or_else(|| wrong(format!("[server] listen: `{}` is not an address like 127.0.0.1:4000", listen)))?;
        if door.is_open() && !address.ip().is_loopback() {
            let loopback: IpAddr =
                if address.is_ipv6() { std::net::Ipv6Addr::LOCALHOST.into() } else { std::net::Ipv4Addr::LOCALHOST.into() };
            address.set_ip(loopback);
            notices.push(format!(
                "no [server] key is set, so only this machine may call: listening on {address} instead of {}",
                listen
            ));
        } else if door.is_open() {
            notices.push("no [server] key is set, so only this machine may call".to_owned());
        }
        let listener = TcpListener::bind(address).await.map_err(|error| wrong(format!("cannot listen on {address}: {error}")))?;
        Ok(Server { listener, client, door, record: Arc::default(), shelf: Shelf::default(), notices })
    }

    /// Has every call counted and recorded there.
    #[must_use]
    pub fn record(self, record: Arc<Record>) -> Self {
        Server { record, ..self }
    }

    /// Has calls name the prompts that are there.
    #[must_use]
    pub fn prompts(self, shelf: Shelf) -> Self {
        Server { shelf, ..self }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| Error::new(Kind::Internal, Origin::Gateway, error.to_string()))
    }

    /// Serves until `stop` turns true and running calls are over, or cut after the configured time.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let Server { listener, client, door, record, notices, shelf } = self;
        shelf.begin(client.clone(), stop.clone()).await?;
        record.meter().know(&client.config());
        record.open(&client, &door)?;
        let place = listener.local_addr().map_or_else(|_| client.config().server.listen.clone(), |address| address.to_string());
        record.say(LogLevel::Info, &format!("trunkline {} listens on {place}", env!("CARGO_PKG_VERSION")));
        notices.iter().for_each(|notice| record.notice(notice));
        let drain = Duration::from_secs(client.config().server.drain_seconds);
        let (cut, cut_watch) = watch::channel(false);
        let shed = Arc::new(Shed::new(Arc::clone(record.counters())));
        let mut workers = Vec::new();
        for _ in 0..threads(&client) {
            let (sender, receiver) = mpsc::channel(WAITING);
            let worker = Seed {
                client: client.clone(),
                door: door.clone(),
                record: Arc::clone(&record),
                shelf: shelf.clone(),
                shed: Arc::clone(&shed),
                cut: cut_watch.clone(),
                draining: stop.clone(),
            };
            workers.push((sender, start(worker, receiver)?));
        }
        let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
        tokio::spawn(reload::watch(client, door, Arc::clone(&record), loopback, stop.clone()));
        accept(&listener, &workers, &mut stop).await;
        drop(listener);
        record.say(LogLevel::Info, "stopping: no new calls");
        let (senders, handles): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
        drop(senders);
        let mut joined = tokio::task::spawn_blocking(move || handles.into_iter().for_each(|handle| _ = handle.join()));
        if tokio::time::timeout(drain, &mut joined).await.is_err() {
            cut.send_replace(true);
            let _ = tokio::time::timeout(LAST_WORDS, joined).await;
        }
        Ok(())
    }
}

fn threads(client: &Client) -> usize {
    match client.config().server.threads {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        threads => threads.min(256),
    }
}

type Connections = mpsc::Sender<std::net::TcpStream>;

async fn accept(listener: &TcpListener, workers: &[(Connections, JoinHandle<()>)], stop: &mut watch::Receiver<bool>) {
    let mut next = workers.iter().cycle();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted.and_then(|(stream, _)| prepare(stream)) {
            Ok(stream) => {
                if let Some((worker, _)) = next.next() {
                    // A worker that is this far behind would only make the caller wait longer.
                    let _ = worker.try_send(stream);
                }
            }
            // Out of file descriptors, mostly: others will be closed soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn prepare(stream: TcpStream) -> std::io::Result<std::net::TcpStream> {
    // Without this, the first delta of a stream waits for an acknowledgement: 40 ms.
    stream.set_nodelay(true)?;
    stream.into_std()
}

/// What a worker is made of; its client's pool belongs to its own runtime.
struct Seed {
    client: Client,
    door: Door,
    record: Arc<Record>,
    shelf: Shelf,
    shed: Arc<Shed>,
    cut: watch::Receiver<bool>,
    draining: watch::Receiver<bool>,
}

fn start(seed: Seed, connections: mpsc::Receiver<std::net::TcpStream>) -> Result<JoinHandle<()>> {
    let wrong = |what: String| Error::new(Kind::Internal, Origin::Gateway, format!("cannot start a thread: {what}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| wrong(error.to_string()))?;
    let body = move || {
        runtime.block_on(async move {
            let Seed { client, door, record, shelf, shed, cut, draining } = seed;
            let ids = trunkline_store::Ids::new();
            let worker = Worker { client: client.with_own_pool(), door, record, cut, draining, ids, shelf, shed };
            work(Arc::new(worker), connections).await;
        });
    };
    std::thread::Builder::new().name("trunkline".to_owned()).spawn(body).map_err(|error| wrong(error.to_string()))
}

/// Serves connections until no more come and all are over.
async fn work(worker: Arc<Worker>, mut connections: mpsc::Receiver<std::net::TcpStream>) {
    let (alive, mut all_over) = mpsc::channel::<()>(1);
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).pipeline_flush(true);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_PATIENCE);
    let server = Arc::new(server);
    while let Some(stream) = connections.recv().await {
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        let (server, worker, alive) = (Arc::clone(&server), Arc::clone(&worker), alive.clone());
        let connected = worker.shed.connect();
        tokio::spawn(async move {
            serve(&server, worker, stream).await;
            drop(connected);
            drop(alive);
        });
    }
    drop(alive);
    all_over.recv().await;
}

async fn serve(server: &auto::Builder<TokioExecutor>, worker: Arc<Worker>, stream: TcpStream) {
    let mut draining = worker.draining.clone();
    let begun = Arc::new(AtomicBool::new(false));
    let was_begun = Arc::clone(&begun);
    let service = service_fn(move |request| {
        begun.store(true, Ordering::Relaxed);
        let worker = Arc::clone(&worker);
        // Boxed: unboxed, a connection would keep room for a call's whole state as long as it lives, streams included.
        Box::pin(async move { Ok::<_, std::convert::Infallible>(pipeline::answer(worker, request).await) })
    });
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    // An error here is the caller's connection breaking: there is nobody left to tell.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = draining.wait_for(|draining| *draining) => connection.as_mut().graceful_shutdown(),
    }
    // Half a head, and nothing before it: the stop would wait for the other half.
    if was_begun.load(Ordering::Relaxed) {
        let _ = connection.await;
    }
}
