//! Open connections, kept per server for the next request.
//!
//! An HTTP/1.1 connection serves one request at a time: it is lent out whole and comes back when the reply's body has
//! been read. An HTTP/2 connection is lent out many times at once, up to the number of streams that its server allows;
//! then another one is opened beside it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use ::http::HeaderValue;
use ::http::uri::Authority;
use hyper::client::conn::http2;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Payload;
use super::http1::Connection;

pub(super) struct Pool {
    origins: Mutex<Origins>,
    reaper: Mutex<Option<AbortHandle>>,
    limits: Limits,
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) idle_timeout: Duration,
    pub(super) idle_per_host: usize,
    /// HTTP/2 connections to one server.
    pub(super) shared_per_host: usize,
}

#[derive(Default)]
struct Origins {
    plain: HashMap<Authority, Arc<Origin>, BuildHasherDefault<Fnv>>,
    secure: HashMap<Authority, Arc<Origin>, BuildHasherDefault<Fnv>>,
}

/// FNV-1a. An authority hashes itself byte by byte, which costs the standard library's hasher a thousand instructions on
/// every request; nobody floods this map with chosen keys, because they come from the configuration.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One server under one scheme.
pub(super) struct Origin {
    /// The value of the `host` header.
    pub(super) host: HeaderValue,
    /// Told when those who wait for a connection that may be HTTP/2, and would then serve many, had better look again.
    news: Notify,
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    shared: Vec<Shared>,
    /// The server has shown that it speaks HTTP/1.1 only, so nobody needs to wait at the gate.
    http1_only: bool,
    /// Requests that wait for a connection, and connections that are being opened for them.
    wanting: usize,
    dialing: usize,
    /// Somebody waits for a server to tell how many streams it allows.
    listening: bool,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

struct Shared {
    sender: http2::SendRequest<Payload>,
    load: Arc<Load>,
    idle_since: Option<Instant>,
}

/// How a request comes by a connection.
pub(super) enum Turn<'a> {
    /// By one that is there.
    Take(Line),
    /// It opens one.
    Dial(Dialing<'a>),
}

enum Step {
    Dial,
    Take(Line),
    Listen(Arc<Load>),
    Wait,
}

/// A request that waits for a connection.
struct Wanting<'a>(&'a Origin);

impl<'a> Wanting<'a> {
    fn new(origin: &'a Origin) -> Self {
        lock(&origin.state).wanting += 1;
        Self(origin)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).wanting -= 1;
    }
}

/// A connection is being opened. When that is over, well or not, all who wait look again.
pub(super) struct Dialing<'a>(&'a Origin);

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).dialing -= 1;
        self.0.news.notify_waiters();
    }
}

struct Listening<'a>(&'a Origin);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).listening = false;
        self.0.news.notify_waiters();
    }
}

/// The use of a connection for one request.
pub(super) enum Line {
    Http1(Connection),
    Http2(Http2),
}

/// One stream of a connection.
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<Payload>,
    pub(super) load: Arc<Load>,
}

/// What hyper is told to send before the server has spoken, and reports until then. More than this waits a round trip;
/// a server that allows fewer than the usual would refuse the rest of a burst otherwise.
pub(super) const UNTOLD_STREAMS: usize = 9;

/// What goes out on the first connection before its server has spoken. The others wait a round trip: some servers allow
/// very few, and refuse what is more.
const UNTOLD_ROOM: usize = 1;

/// How long a server may take to say how many streams it allows; then it is thought to allow [`UNTOLD_STREAMS`].
const UNTOLD_PATIENCE: Duration = Duration::from_millis(500);

/// How busy an HTTP/2 connection is.
pub(super) struct Load {
    streams: AtomicUsize,
    limit: AtomicUsize,
    /// The limit is the server's own, or that of another connection to it.
    told: AtomicBool,
    /// Wakes the one who [`watch`](Self::watch)es the limit.
    watcher: OnceLock<Waker>,
    woken: AtomicBool,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { origins: Mutex::default(), reaper: Mutex::default(), limits })
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    /// The connections to one server. `host` makes the value of its `host` header.
    pub(super) fn origin(&self, secure: bool, authority: &Authority, host: impl FnOnce() -> HeaderValue) -> Arc<Origin> {
        let mut origins = lock(&self.origins);
        let map = if secure { &mut origins.secure } else { &mut origins.plain };
        if let Some(origin) = map.get(authority) {
            return Arc::clone(origin);
        }
        let origin = Arc::new(Origin { host: host(), news: Notify::new(), limits: self.limits, state: Mutex::default() });
        map.insert(authority.clone(), Arc::clone(&origin));
        origin
    }

    /// Sees to it that connections which nobody uses are closed in time. Called whenever one is opened, because the
    /// runtime that the last reaper lived in may be gone.
    pub(super) fn reap(self: &Arc<Self>) {
        let mut reaper = lock(&self.reaper);
        if reaper.as_ref().is_none_or(AbortHandle::is_finished) {
            *reaper = Some(tokio::spawn(reap(Arc::downgrade(self))).abort_handle());
        }
    }

    /// Closes what has been idle for too long and forgets servers without connections. False when nothing is left.
    fn sweep(&self, now: Instant) -> bool {
        let limit = self.limits.idle_timeout;
        let mut origins = lock(&self.origins);
        let Origins { plain, secure } = &mut *origins;
        for map in [&mut *plain, &mut *secure] {
            // Somebody who holds the origin is about to use it.
            map.retain(|_, origin| origin.sweep(now, limit) || Arc::strong_count(origin) > 1);
        }
        !(plain.is_empty() && secure.is_empty())
    }
}

async fn reap(pool: Weak<Pool>) {
    while let Some(pause) = pool.upgrade().map(|pool| pool.limits.idle_timeout / 2) {
        tokio::time::sleep(pause.max(Duration::from_millis(10))).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep(Instant::now())) {
            return;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(reaper) = lock(&self.reaper).take() {
            reaper.abort();
        }
    }
}

impl Origin {
    /// A connection that is ready for a request now.
    pub(super) fn take(&self) -> Option<Line> {
        let mut state = lock(&self.state);
        // From the end: the one used last is the least likely to be closed by its server in this moment.
        while let Some(Idle { mut connection, .. }) = state.idle.pop() {
            if connection.is_free() {
                return Some(Line::Http1(connection));
            }
        }
        state.shared.retain(|shared| !shared.sender.is_closed());
        let free = state.shared.iter_mut().find(|shared| shared.load.has_room())?;
        free.idle_since = None;
        Some(Line::Http2(Http2::new(free.sender.clone(), Arc::clone(&free.load))))
    }

    /// A connection as soon as there is one with room, or the right to open one: as many are opened at once as those who
    /// wait need, as soon as it is known how many streams the server allows on each. `fresh`: none that was there before.
    pub(super) async fn turn(&self, fresh: bool) -> Turn<'_> {
        let _wanting = Wanting::new(self);
        loop {
            let news = self.news.notified();
            let mut news = std::pin::pin!(news);
            // From here on nothing is missed.
            news.as_mut().enable();
            if !fresh && let Some(line) = self.take() {
                return Turn::Take(line);
            }
            match self.step(fresh) {
                Step::Dial => return Turn::Dial(Dialing(self)),
                Step::Take(line) => return Turn::Take(line),
                Step::Listen(load) => {
                    let _listening = Listening(self);
                    load.listen().await;
                }
                Step::Wait => news.await,
            }
        }
    }

    fn step(&self, fresh: bool) -> Step {
        let mut state = lock(&self.state);
        let state = &mut *state;
        if !fresh
            && state.shared.len() + state.dialing >= self.limits.shared_per_host
            && let Some(least) = state.shared.iter().min_by_key(|shared| shared.load.streams.load(Ordering::Relaxed))
        {
            return Step::Take(Line::Http2(Http2::new(least.sender.clone(), Arc::clone(&least.load))));
        }
        let untold = state.shared.iter().find(|shared| !shared.load.is_told());
        if let Some(untold) = untold.filter(|_| !fresh) {
            if state.listening {
                return Step::Wait;
            }
            state.listening = true;
            return Step::Listen(Arc::clone(&untold.load));
        }
        let each = state.shared.last().map(|shared| shared.load.limit.load(Ordering::Relaxed));
        let enough = match each {
            Some(each) => state.dialing.saturating_mul(each) >= state.wanting,
            // Nobody knows yet what it speaks; one finds out.
            None => state.dialing > 0,
        };
        if enough && !fresh && !state.http1_only {
            return Step::Wait;
        }
        state.dialing += 1;
        Step::Dial
    }

    pub(super) fn is_http1_only(&self) -> bool {
        lock(&self.state).http1_only
    }

    pub(super) fn set_http1_only(&self, http1_only: bool) {
        lock(&self.state).http1_only = http1_only;
    }

    /// Shares a new HTTP/2 connection and takes its first stream.
    pub(super) fn share(&self, sender: http2::SendRequest<Payload>) -> Http2 {
        let mut state = lock(&self.state);
        let known = state.shared.iter().rev().find(|other| other.load.is_told());
        let load = Arc::new(Load::new(known.map(|other| other.load.limit.load(Ordering::Relaxed))));
        state.shared.push(Shared { sender: sender.clone(), load: Arc::clone(&load), idle_since: None });
        Http2::new(sender, load)
    }

    /// Takes a connection back whose exchange is over.
    pub(super) fn put(&self, connection: Connection) {
        let mut state = lock(&self.state);
        if state.idle.len() < self.limits.idle_per_host {
            state.idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// False when no connection is left.
    fn sweep(&self, now: Instant, limit: Duration) -> bool {
        let mut state = lock(&self.state);
        state.idle.retain_mut(|idle| now.duration_since(idle.since) < limit && idle.connection.is_free());
        state.shared.retain_mut(|shared| {
            if shared.load.streams.load(Ordering::Relaxed) > 0 {
                shared.idle_since = None;
                return !shared.sender.is_closed();
            }
            let since = *shared.idle_since.get_or_insert(now);
            !shared.sender.is_closed() && now.duration_since(since) < limit
        });
        !(state.idle.is_empty() && state.shared.is_empty())
    }
}

impl Http2 {
    fn new(sender: http2::SendRequest<Payload>, load: Arc<Load>) -> Self {
        load.streams.fetch_add(1, Ordering::Relaxed);
        Self { sender, load }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.load.streams.fetch_sub(1, Ordering::Relaxed);
        if !self.load.woken.load(Ordering::Relaxed) && !self.load.woken.swap(true, Ordering::Relaxed) {
            self.load.watcher.get().inspect(|watcher| watcher.wake_by_ref());
        }
    }
}

impl Load {
    fn new(known: Option<usize>) -> Self {
        let (streams, told) = (AtomicUsize::new(0), AtomicBool::new(known.is_some()));
        let limit = AtomicUsize::new(known.unwrap_or(UNTOLD_ROOM));
        Self { streams, limit, told, watcher: OnceLock::new(), woken: AtomicBool::new(false) }
    }

    /// Notes how many streams the server allows now. The task that says so is woken once more when the first stream is
    /// over: the server has told its limit by then, and the task would hear of it only with the next request.
    pub(super) fn watch(&self, limit: usize, cx: &Context<'_>) {
        if limit != UNTOLD_STREAMS {
            // A server that allows none for now gets the next request all the same, which then waits.
            self.limit.store(limit.max(1), Ordering::Relaxed);
            self.told.store(true, Ordering::Relaxed);
        }
        self.watcher.get_or_init(|| cx.waker().clone());
    }

    fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Waits until the server has told its limit, or for as long as it may take.
    async fn listen(&self) {
        let told = async {
            let mut pause = Duration::from_millis(1);
            while !self.is_told() {
                self.watcher.get().inspect(|watcher| watcher.wake_by_ref());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(20));
            }
        };
        if tokio::time::timeout(UNTOLD_PATIENCE, told).await.is_err() {
            self.limit.store(UNTOLD_STREAMS, Ordering::Relaxed);
            self.told.store(true, Ordering::Relaxed);
        }
    }

    fn has_room(&self) -> bool {
        self.streams.load(Ordering::Relaxed) < self.limit.load(Ordering::Relaxed)
    }
}

/// A thread that panicked inside left nothing half done: every change is a single call on a collection.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
