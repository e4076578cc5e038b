//! Providers that exist in virtual time only: each answers by its script, and keeps count.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Request;
use trunkline::clock::Clock;
use trunkline::config::{Config, Environment};
use trunkline::monitor::{Outcome, Recorder};
use trunkline::transport::{Body, Failure, Payload, Phase, Reply, Sending, Transport};
use trunkline::{Client, Kind};

/// The runtime's clock: it stands still but for waiting.
pub(crate) struct VirtualClock(tokio::time::Instant);

impl Clock for VirtualClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000) + self.ticks()
    }

    fn ticks(&self) -> Duration {
        // Not from 0: nothing is as old as the clock.
        Duration::from_secs(1000) + self.0.elapsed()
    }
}

/// When a provider does what, by its own time: from this moment on, until the next one.
pub(crate) type Weather = Vec<(Duration, Act, Duration)>;

/// What a provider does with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers well.
    Good,
    /// Answers with this status, and when to come back, in seconds.
    Refuse(u16, Option<u64>),
    /// Cannot be reached.
    Unreachable,
    /// Takes the request and breaks the connection.
    Reset,
    /// Says nothing for ever.
    Silence,
    /// Answers well, and tells that nothing is left of its own limits for so many seconds.
    Spent(u64),
    /// Breaks off after this many pieces of its answer.
    Cut(usize),
}

/// One provider.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// What it does with its first requests; after these it starts again.
    pub(crate) acts: Vec<Act>,
    /// To the head of an answer.
    pub(crate) latency: Duration,
    /// From these moments of its life on it does this instead, this fast.
    pub(crate) weather: Weather,
}

impl Script {
    pub(crate) fn new(acts: impl Into<Vec<Act>>, ms: u64) -> Self {
        Script { acts: acts.into(), latency: Duration::from_millis(ms), weather: Vec::new() }
    }

    /// From this second on it does this, this fast.
    pub(crate) fn from(mut self, second: u64, act: Act, ms: u64) -> Self {
        self.weather.push((Duration::from_secs(second), act, Duration::from_millis(ms)));
        self
    }
}

#[derive(Default)]
pub(crate) struct Log {
    /// When each provider was asked, by host.
    pub(crate) asked: HashMap<String, Vec<Duration>>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Copies of calls that were not sent.
    pub(crate) skipped: usize,
    /// How many requests each provider has at once, now and at most, to the heads of their answers.
    pub(crate) at_once: HashMap<String, (usize, usize)>,
}

/// A request on its way.
struct Out<'a>(&'a World, &'a str);

impl<'a> Out<'a> {
    fn new(world: &'a World, host: &'a str) -> Self {
        let mut log = world.log.lock().unwrap();
        let (now, most) = log.at_once.entry(host.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Out(world, host)
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.0.log.lock().unwrap().at_once.get_mut(self.1).unwrap().0 -= 1;
    }
}

/// Carries requests to the scripts.
pub(crate) struct World {
    scripts: HashMap<String, Script>,
    clock: Arc<VirtualClock>,
    pub(crate) log: Mutex<Log>,
}

impl Recorder for World {
    fn record(&self, outcome: Outcome) {
        self.log.lock().unwrap().outcomes.push(outcome);
    }

    fn skip_copy(&self) {
        self.log.lock().unwrap().skipped += 1;
    }
}

/// A world with providers `p0`, `p1`, … and a client in it. `config` may name them.
pub(crate) fn world(scripts: &[Script], config: &str, seed: u64) -> (Arc<World>, Client) {
    let clock = Arc::new(VirtualClock(tokio::time::Instant::now()));
    let scripts = scripts.iter().enumerate().map(|(at, script)| (format!("p{at}"), script.clone())).collect::<HashMap<_, _>>();
    let mut text = config.to_owned();
    for name in scripts.keys() {
        text.push_str(&format!(
            "\n[providers.{name}]\nbase_url = \"http://{name}\"\ndialects = [\"openai-chat\"]\nauth = {{ none = true }}\n"
        ));
    }
    let world = Arc::new(World { scripts, clock: Arc::clone(&clock), log: Mutex::default() });
    let client = Client::builder()
        .config(Config::parse(&text, "test.toml").unwrap())
        .environment(Environment::default())
        .clock(clock)
        .seed(seed)
        .transport(Arc::clone(&world) as _)
        .recorder(Arc::clone(&world) as _)
        .build()
        .unwrap();
    (world, client)
}

impl World {
    pub(crate) fn now(&self) -> Duration {
        self.clock.ticks()
    }

    pub(crate) fn asked(&self, provider: &str) -> usize {
        self.log.lock().unwrap().asked.get(provider).map_or(0, Vec::len)
    }

    async fn act(&self, host: &str, streamed: bool) -> Result<Reply, Failure> {
        let script = &self.scripts[host];
        let _out = Out::new(self, host);
        let number = {
            let mut log = self.log.lock().unwrap();
            let asked = log.asked.entry(host.to_owned()).or_default();
            asked.push(self.clock.ticks());
            asked.len() - 1
        };
        let age = self.clock.0.elapsed();
        let weather = script.weather.iter().rev().find(|(from, ..)| *from <= age);
        let usual = (script.acts[number % script.acts.len()], script.latency);
        let (act, latency) = weather.map_or(usual, |(_, act, latency)| (*act, *latency));
        if act != Act::Unreachable {
            tokio::time::sleep(latency).await;
        }
        match act {
            Act::Unreachable => Err(Failure::new(Phase::Connect, "nobody listens there")),
            Act::Reset => Err(Failure::new(Phase::Head, "the connection broke")),
            Act::Silence => std::future::pending().await,
            Act::Refuse(status, after) => {
                let body = format!(r#"{{"error":{{"message":"no {number} at {host}","type":"x"}}}}"#);
                let mut reply = Reply::new(Body::whole(body));
                *reply.status_mut() = status.try_into().unwrap();
                if let Some(after) = after {
                    reply.headers_mut().insert("retry-after", after.into());
                }
                Ok(reply)
            }
            Act::Spent(seconds) => {
                let mut reply = answer(&text(host, number), streamed, None);
                let told = [("limit-requests", 10), ("remaining-requests", 0), ("reset-requests", seconds)];
                for (name, value) in told {
                    let name = http::HeaderName::try_from(format!("x-ratelimit-{name}")).unwrap();
                    reply.headers_mut().insert(name, value.into());
                }
                Ok(reply)
            }
            Act::Good | Act::Cut(_) => {
                let cut = if let Act::Cut(pieces) = act { Some(pieces) } else { None };
                Ok(answer(&text(host, number), streamed, cut))
            }
        }
    }
}

/// What a provider says to its request of this number: nobody ever says it again.
pub(crate) fn text(host: &str, number: usize) -> String {
    format!("{host} says {number} and no more")
}

fn answer(text: &str, streamed: bool, cut: Option<usize>) -> Reply {
    let mut pieces: Vec<String> = if streamed {
        let chunk = |choice: String| {
            format!(r#"data: {{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{choice}]}}{}"#, "\n\n")
        };
        let words = text.split_inclusive(' ');
        let deltas = words.map(|word| chunk(format!(r#"{{"index":0,"delta":{{"content":"{word}"}},"finish_reason":null}}"#)));
        let end = [chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#.to_owned()), "data: [DONE]\n\n".to_owned()];
        deltas.chain(end).collect()
    } else {
        let whole = format!(
            r#"{{"id":"c","object":"chat.completion","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}}}"#
        );
        let (one, other) = whole.split_at(40);
        vec![one.to_owned(), other.to_owned()]
    };
    if let Some(cut) = cut {
        pieces.truncate(cut.min(pieces.len() - 1));
    }
    let mut steps: Vec<Result<Bytes, Failure>> = pieces.into_iter().map(|piece| Ok(Bytes::from(piece))).collect();
    if cut.is_some() {
        steps.push(Err(Failure::new(Phase::Body, "the answer broke off")));
    }
    let body = futures_util::stream::iter(steps).then(|step| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        step
    });
    let mut reply = Reply::new(Body::stream(body));
    let media = if streamed { "text/event-stream" } else { "application/json" };
    reply.headers_mut().insert("content-type", media.parse().unwrap());
    reply
}

impl Transport for World {
    fn send(&self, request: Request<Payload>) -> Sending<'_> {
        let host = request.uri().host().unwrap().to_owned();
        let body: Vec<u8> = request.body().iter().flat_map(|piece| piece.to_vec()).collect();
        let streamed = String::from_utf8(body).unwrap().contains("\"stream\":true");
        Box::pin(async move { self.act(&host, streamed).await })
    }
}

/// What came of one call.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) text: String,
    pub(crate) error: Option<(Kind, String)>,
    pub(crate) took: Duration,
    /// For streams: to the first piece or the error before it.
    pub(crate) opened: Duration,
}

/// Makes one call to its end.
pub(crate) async fn call(world: &World, client: &Client, model: &str, streamed: bool) -> Ended {
    let start = world.now();
    let took = || world.now() - start;
    let ended = |text: String, error: Option<trunkline::Error>, opened| Ended {
        text,
        error: error.map(|error| (error.kind, error.to_string())),
        took: took(),
        opened,
    };
    if !streamed {
        return match client.chat(model, "hello").await {
            Ok(reply) => ended(reply.text(), None, took()),
            Err(error) => ended(String::new(), Some(error), took()),
        };
    }
    let mut stream = match client.chat(model, "hello").stream().await {
        Ok(stream) => stream,
        Err(error) => return ended(String::new(), Some(error), took()),
    };
    let opened = took();
    let (mut text, mut error) = (String::new(), None);
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(trunkline::Piece::Text(more)) => text.push_str(&more),
            Ok(_) => {}
            Err(fault) => error = Some(fault),
        }
    }
    ended(text, error, opened)
}
