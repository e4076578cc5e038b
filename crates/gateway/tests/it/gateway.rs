//! A gateway in process.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use trunkline::Client;
use trunkline::config::{Config, Environment};
use trunkline_gateway::{Record, Server, Shelf, Stop};
use trunkline_testkit::provider::{LocalProvider, Script};

use crate::speech;
use crate::wire::{Ask, Reply};

/// What the gateway sends to its providers; must never be seen by a caller.
pub(crate) const CREDENTIAL: &str = "credential-of-the-gateway-7f3a";

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) notices: Vec<String>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    over: mpsc::Receiver<()>,
}

impl Gateway {
    /// A gateway with this configuration and [`CREDENTIAL`] in `HOUSE_KEY`. It asks nobody twice unless it is told to.
    pub(crate) fn with(config: &str) -> Self {
        let calls = if config.contains("[calls]") { "" } else { "[calls]\nattempts = 1\n" };
        let config = &format!("{calls}{config}");
        let environment = Environment::of([("HOUSE_KEY", CREDENTIAL), ("GATE_KEY", "gate-key-1")]);
        let config = Config::parse(config, "test.toml").unwrap();
        Gateway::run(Client::builder().config(config).environment(environment).build().unwrap())
    }

    /// A gateway with this client.
    pub(crate) fn run(client: Client) -> Self {
        Gateway::recording(client, Arc::default())
    }

    /// A gateway with this client, which records its calls there.
    pub(crate) fn recording(client: Client, record: Arc<Record>) -> Self {
        Gateway::start(client, record, Shelf::default())
    }

    /// A gateway with this client, whose calls may name these prompts.
    pub(crate) fn start(client: Client, record: Arc<Record>, shelf: Shelf) -> Self {
        let (stop, watch) = Stop::new();
        let (told, tell) = mpsc::channel();
        let (done, over) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let server = Server::bind(client).await.unwrap().record(record).prompts(shelf);
                told.send((server.address().unwrap(), server.notices.clone())).unwrap();
                server.run(watch).await.unwrap();
            });
            let _ = done.send(());
        });
        let (address, notices) = tell.recv().unwrap();
        Gateway { address, notices, stop, thread: Some(thread), over }
    }

    pub(crate) fn stop(&self) {
        self.stop.stop();
    }

    /// How long it takes to be over; panics when it takes longer than `limit`.
    pub(crate) fn wait(&self, limit: Duration) -> Duration {
        let start = Instant::now();
        self.over.recv_timeout(limit).expect("the gateway did not stop in time");
        start.elapsed()
    }

    pub(crate) fn ask(&self, ask: &Ask) -> Reply {
        ask.send(self.address)
    }

    /// `GET /stats`.
    pub(crate) fn stats(&self) -> Stats {
        let reply = self.ask(&Ask::get("/stats"));
        let number = |name: &str| reply.json()[name].as_u64().unwrap();
        Stats { calls: number("calls"), errors: number("errors"), cancelled: number("cancelled"), all: reply.json() }
    }
}

pub(crate) struct Stats {
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    pub(crate) cancelled: u64,
    pub(crate) all: Value,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.stop();
        // A test that failed half-way may have left a stream open; it is not waited for.
        if !std::thread::panicking()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// A provider, and a gateway with one entry for it in every dialect: `at-openai-chat/tiny-1`, …
pub(crate) struct House {
    pub(crate) gateway: Gateway,
    pub(crate) provider: LocalProvider,
}

impl House {
    pub(crate) fn new(script: impl Script) -> Self {
        House::with(script, "")
    }

    /// `more` stands before the providers: `[server]` and `[network]` tables.
    pub(crate) fn with(script: impl Script, more: &str) -> Self {
        let provider = LocalProvider::start(script);
        let more = if more.contains("[server]") { more.to_owned() } else { format!("[server]\n{more}") };
        let more = more.replace("[server]", "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n");
        let gateway = Gateway::with(&format!("{more}\n{}", providers(&provider.url())));
        House { gateway, provider }
    }
}

/// The providers' tables for one base address.
pub(crate) fn providers(url: &str) -> String {
    let mut config = String::new();
    for speech in speech::all() {
        let base = if speech.base_has_version { format!("{url}/v1") } else { url.to_owned() };
        config.push_str(&format!(
            "[providers.at-{0}]\nbase_url = \"{base}\"\ndialects = [\"{0}\"]\nauth = {1}\n",
            speech.name, speech.auth
        ));
    }
    config
}

/// Waits up to two seconds.
pub(crate) fn until(met: impl FnMut() -> bool) -> bool {
    until_within(Duration::from_secs(2), met)
}

/// Waits up to that long.
pub(crate) fn until_within(limit: Duration, mut met: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if met() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    met()
}
