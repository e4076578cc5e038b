//! Keys whose quota is used up: what one of them may not do says nothing of the others, nor of their target.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use trunkline::exchange::Parcel;
use trunkline::monitor::{Outcome, Recorder};
use trunkline::operate::pass_through;
use trunkline::transport::Payload;
use trunkline::{Client, Kind, Retry};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use super::{ANSWER, Hand, World, house};

/// A provider that takes each key from this second of the world's clock on, and says how long that is yet.
struct Metered {
    provider: LocalProvider,
    clock: Arc<Mutex<Option<Arc<Hand>>>>,
}

impl Metered {
    fn new(quotas: &'static [(&'static str, u64)]) -> Self {
        let clock: Arc<Mutex<Option<Arc<Hand>>>> = Arc::default();
        let seen = Arc::clone(&clock);
        let provider = LocalProvider::start(move |asked: &Seen| {
            let now = seen.lock().unwrap().as_ref().map_or(0, |clock| clock.seconds());
            let key = key(asked);
            let (_, from) = quotas.iter().find(|(name, _)| *name == key).unwrap();
            match from.saturating_sub(now) {
                0 if asked.path.contains("embeddings") => Answer::json(200, EMBEDDED),
                0 => Answer::json(200, ANSWER),
                left => Answer::json(429, r#"{"error":{"message":"slow down"}}"#).header("retry-after", &left.to_string()),
            }
        });
        Metered { provider, clock }
    }

    fn world(&self, keys: &str) -> World {
        let world = World::new(&house(&self.provider.url(), keys), &[]);
        *self.clock.lock().unwrap() = Some(Arc::clone(&world.clock));
        world
    }

    fn keys(&self) -> Vec<String> {
        self.provider.requests().iter().map(key).collect()
    }
}

const EMBEDDED: &str = r#"{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.5]}],
    "usage":{"prompt_tokens":1,"total_tokens":1}}"#;

fn key(seen: &Seen) -> String {
    seen.header("authorization").trim_start_matches("Bearer ").to_owned()
}

fn after(seconds: u64) -> Retry {
    Retry::After(Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_call_waits_for_the_key_that_is_fit_first_whichever_was_asked_last() {
    for quotas in [&[("key-a", 3), ("key-b", 40)], &[("key-a", 40), ("key-b", 3)]] {
        let metered = Metered::new(quotas);
        let world = metered.world("api_keys = ['key-a', 'key-b']");
        for left in [3, 2, 1] {
            let error = world.call().await.unwrap_err();
            assert_eq!((error.kind, error.retry), (Kind::RateLimited, after(left)), "{error}");
            world.clock.advance(1);
        }
        // The provider has asked for silence three times, but not of this key, nor for longer.
        let sooner = if quotas[0].1 == 3 { "key-a" } else { "key-b" };
        let before = metered.keys().len();
        for _ in 0..5 {
            world.call().await.unwrap();
            world.clock.advance(1);
        }
        assert_eq!(metered.keys()[before..], [sooner; 5]);
        assert_eq!(metered.keys().iter().filter(|key| *key != sooner).count(), 1, "not asked before its time");
    }
}

#[tokio::test]
async fn a_provider_whose_keys_are_all_used_up_is_left_alone_until_the_first_is_fit() {
    let metered = Metered::new(&[("key-a", 30), ("key-b", 40)]);
    let world = metered.world("api_keys = ['key-a', 'key-b']");
    for _ in 0..10 {
        let error = world.call().await.unwrap_err();
        assert_eq!((error.kind, error.retry), (Kind::RateLimited, after(30)), "{error}");
    }
    assert_eq!(metered.keys().len(), 4, "three calls, the first with both keys");
    world.clock.advance(30);
    world.call().await.unwrap();
}

#[tokio::test]
async fn what_another_key_is_for_goes_on() {
    let metered = Metered::new(&[("key-a", 40), ("key-b", 0)]);
    let keys = "api_keys = [{ key = 'key-a', endpoints = ['/chat/*'] }, { key = 'key-b', endpoints = ['/embeddings'] }]";
    let world = metered.world(keys);
    for _ in 0..6 {
        assert_eq!(world.call().await.unwrap_err().retry, after(40));
        world.client.embed("house/m", ["hi"]).await.unwrap();
    }
}

async fn pass(client: &Client, payload: Payload) -> (u16, String) {
    let target = client.plan("house/m").unwrap().remove(0);
    let (method, headers) = (http::Method::POST, http::HeaderMap::new());
    let reply = pass_through(client, &target, Parcel { method, path: "/files".to_owned(), headers, payload }).await;
    let reply = reply.unwrap_or_else(|failed| panic!("{}", failed.error));
    let told = reply.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (reply.status().as_u16(), told.unwrap_or_default())
}

#[tokio::test]
async fn the_wait_that_is_told_is_that_of_the_key_that_is_fit_first() {
    for quotas in [&[("key-a", 3), ("key-b", 40)], &[("key-a", 40), ("key-b", 3)]] {
        let metered = Metered::new(quotas);
        let world = metered.world("api_keys = ['key-a', 'key-b']");
        assert_eq!(pass(&world.client, Payload::whole("a form")).await, (429, "3".to_owned()));
    }
    // One that cannot be sent again may come at once.
    let metered = Metered::new(&[("key-a", 40), ("key-b", 0)]);
    let world = metered.world("api_keys = ['key-a', 'key-b']");
    let late = futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"a form"))]);
    assert_eq!(pass(&world.client, Payload::stream(Vec::new(), late, Some(6))).await, (429, "0".to_owned()));
}

/// Keeps the outcomes.
#[derive(Default)]
struct Kept(Mutex<Vec<Outcome>>);

impl Recorder for Kept {
    fn record(&self, outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

#[tokio::test]
async fn every_request_of_an_exchange_is_in_the_outcome() {
    let metered = Metered::new(&[("key-a", 40), ("key-bravo", 40), ("key-c", 0)]);
    let kept = Arc::new(Kept::default());
    let config = house(&metered.provider.url(), "api_keys = ['key-a', 'key-bravo', 'key-c']");
    let config = trunkline::config::Config::parse(&config, "test.toml").unwrap();
    let world = World::build(Client::builder().config(config).recorder(Arc::clone(&kept) as _));
    for _ in 0..3 {
        world.call().await.unwrap();
    }
    let outcomes = kept.0.lock().unwrap();
    let exchanges: Vec<_> = outcomes.iter().map(|outcome| outcome.exchanges.as_slice()).collect();
    let [[first], [second], [third]] = exchanges.as_slice() else { panic!("{exchanges:?}") };
    let requests = [first, second, third].map(trunkline::monitor::Exchange::requests);
    assert_eq!((requests.iter().sum::<usize>(), requests[2]), (metered.keys().len(), 1), "{requests:?}");
    let refused: Vec<_> = [first, second].iter().flat_map(|exchange| exchange.trail.as_ref().unwrap().refused()).collect();
    assert!(refused.len() == 2 && refused.iter().all(|refused| refused.status == 429), "{refused:?}");
    // printf key-bravo | sha256sum
    assert!(refused.iter().any(|refused| refused.credential.as_deref() == Some("3c9ab181")), "{refused:?}");
    assert!(first.error.is_none() && first.usage.is_some_and(|usage| usage.total() == 11));
}
