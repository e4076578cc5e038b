//! Several credentials of one provider: shares, limits, and rest for those that are rejected.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use trunkline::Kind;
use trunkline::exchange::Parcel;
use trunkline::operate::pass_through;
use trunkline::transport::Payload;
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use super::{ANSWER, World, house};

/// A provider that rejects some keys.
struct Checking {
    provider: LocalProvider,
    bad: Arc<Mutex<HashSet<String>>>,
}

impl Checking {
    fn new(status: u16) -> Self {
        let bad: Arc<Mutex<HashSet<String>>> = Arc::default();
        let rejected = Arc::clone(&bad);
        let provider = LocalProvider::start(move |seen: &Seen| {
            let key = key(seen);
            match rejected.lock().unwrap().contains(&key) {
                true => Answer::json(status, format!(r#"{{"error":{{"message":"Incorrect API key provided: {key}"}}}}"#)),
                false => Answer::json(200, ANSWER),
            }
        });
        Checking { provider, bad }
    }

    fn reject(&self, keys: &[&str]) {
        *self.bad.lock().unwrap() = keys.iter().map(|&key| key.to_owned()).collect();
    }

    /// How often each key came since the last look.
    fn count(&self, seen: &mut usize) -> BTreeMap<String, usize> {
        let all = self.provider.requests();
        let mut counts = BTreeMap::new();
        all[*seen..].iter().for_each(|seen| *counts.entry(key(seen)).or_default() += 1);
        *seen = all.len();
        counts
    }
}

fn key(seen: &Seen) -> String {
    seen.header("authorization").trim_start_matches("Bearer ").to_owned()
}

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
}

#[tokio::test]
async fn calls_are_shared_out() {
    let checking = Checking::new(401);
    let keys = "api_keys = ['key-alpha', { key = 'key-bravo', share = 2 }, { key = 'key-charlie', share = 3 }]";
    let world = World::new(&house(&checking.provider.url(), keys), &[]);
    for _ in 0..60 {
        world.call().await.unwrap();
    }
    assert_eq!(checking.count(&mut 0), counts(&[("key-alpha", 10), ("key-bravo", 20), ("key-charlie", 30)]));
}

#[tokio::test]
async fn a_rejected_one_rests_and_the_others_carry_on() {
    for status in [401, 403] {
        let checking = Checking::new(status);
        let keys = "api_keys = ['key-alpha', 'key-bravo', 'key-charlie']";
        let world = World::new(&house(&checking.provider.url(), keys), &[]);
        checking.reject(&["key-bravo"]);
        let mut seen = 0;
        for _ in 0..30 {
            world.call().await.unwrap();
        }
        let first = checking.count(&mut seen);
        assert_eq!(first["key-bravo"], 1, "tried once, then at rest: {first:?}");
        // sha256("key-bravo")
        let told = world.notices();
        let wanted = format!(
            "house: the credential {} was rejected (HTTP {status}); it rests for 60 s and the others carry on",
            FINGERPRINT
        );
        assert_eq!(told, [wanted]);
        // After its rest it is tried again: still bad, and rests twice as long.
        world.clock.advance(61);
        for _ in 0..30 {
            world.call().await.unwrap();
        }
        assert_eq!(checking.count(&mut seen)["key-bravo"], 1);
        checking.reject(&[]);
        world.clock.advance(119);
        world.call().await.unwrap();
        assert!(!checking.count(&mut seen).contains_key("key-bravo"));
        world.clock.advance(2);
        for _ in 0..30 {
            world.call().await.unwrap();
        }
        assert_eq!(checking.count(&mut seen)["key-bravo"], 10, "well again");
    }
}

/// The first 8 digits of `printf key-bravo | sha256sum`.
const FINGERPRINT: &str = "3c9ab181";

#[tokio::test]
async fn when_all_are_rejected_the_error_names_the_last_by_its_fingerprint() {
    let checking = Checking::new(401);
    let world = World::new(&house(&checking.provider.url(), "api_keys = ['key-alpha', 'key-bravo']"), &[]);
    checking.reject(&["key-alpha", "key-bravo"]);
    let error = world.call().await.unwrap_err();
    assert_eq!(error.kind, Kind::Unauthenticated);
    assert_eq!(error.message, format!("Incorrect API key provided: *** (credential {FINGERPRINT})"));
    let all = format!("{error:?}{:?}", world.notices());
    assert!(!all.contains("key-bravo") && !all.contains("key-alpha"), "{all}");
    // Both rest, but somebody has to try: what the operator mends works at once.
    checking.reject(&[]);
    world.call().await.unwrap();
}

#[tokio::test]
async fn a_key_is_used_for_what_it_is_for() {
    let checking = Checking::new(401);
    let keys = "api_keys = [{ key = 'key-small', models = ['small-*'] }, { key = 'key-large', models = ['large-*'], endpoints = ['/chat/*'] }, \
                { key = 'key-other', dialects = ['openai-completions'] }]";
    let world = World::new(&house(&checking.provider.url(), keys), &[]);
    let mut seen = 0;
    for _ in 0..4 {
        world.ask("house/small-1").await.unwrap();
        world.ask("house/large-1").await.unwrap();
    }
    assert_eq!(checking.count(&mut seen), counts(&[("key-small", 4), ("key-large", 4)]));
    let error = world.ask("house/medium").await.unwrap_err();
    assert_eq!(error.message, "none of its `api_keys` may be used for medium in openai-chat");
    // Nobody may stand in for it, rejected or not.
    checking.reject(&["key-small"]);
    assert_eq!(world.ask("house/small-1").await.unwrap_err().kind, Kind::Unauthenticated);
    assert_eq!(checking.count(&mut seen), counts(&[("key-small", 1)]));
}

#[tokio::test]
async fn one_that_cannot_be_had_makes_room_for_the_next() {
    let checking = Checking::new(401);
    let keys = "api_keys = ['cmd:exit 1', 'file:/no/such/file', 'env:UNSET', 'key-delta']";
    let world = World::new(&house(&checking.provider.url(), keys), &[]);
    for _ in 0..6 {
        world.call().await.unwrap();
    }
    assert_eq!(checking.count(&mut 0), counts(&[("key-delta", 6)]));
    let told = world.notices().join("\n");
    for words in ["cannot read the secret file /no/such/file", "left out: set UNSET", "`exit …` failed"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(world.notices().len(), 3, "each once: {told}");
}

#[tokio::test]
async fn the_only_one_is_never_left_aside() {
    let checking = Checking::new(403);
    let world = World::new(&house(&checking.provider.url(), "api_key = 'key-alpha'"), &[]);
    checking.reject(&["key-alpha"]);
    for _ in 0..3 {
        world.call().await.unwrap_err();
    }
    assert_eq!(checking.count(&mut 0), counts(&[("key-alpha", 3)]));
    assert_eq!(world.notices().len(), 1);
    checking.reject(&[]);
    world.call().await.unwrap();
}

/// What is too much for the service is so for every key: the others are not asked, and none rests for it.
#[tokio::test]
async fn a_status_of_too_much_counts_against_a_key_only_where_its_body_says_so() {
    let keys = "api_keys = ['key-a', 'key-b', 'key-c', 'key-d', 'key-e', 'key-f', 'key-g', 'key-h']";
    for (status, error, tried) in [
        (429, r#"{"error":{"message":"The engine is currently overloaded","code":"overloaded"}}"#, 1),
        (429, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#, 8),
        (429, r#"{"error":{"message":"no credit","code":"insufficient_quota"}}"#, 8),
        (429, "", 8),
        (402, "", 8),
    ] {
        let provider = LocalProvider::start(move |_: &Seen| Answer::json(status, error));
        let world = World::new(&house(&provider.url(), keys), &[]);
        world.call().await.unwrap_err();
        assert_eq!(provider.requests().len(), tried, "{status} {error}");
        let before = provider.requests().len();
        world.call().await.unwrap_err();
        assert_eq!(provider.requests().len(), before + 1, "nobody is left to be asked, or need be: {status} {error}");
    }
}

/// A body that is still on its way goes out once; what it teaches of its key counts for the next call.
#[tokio::test]
async fn an_upload_that_cannot_be_repeated_lets_its_key_rest_all_the_same() {
    let spent = |seen: &Seen| match key(seen).as_str() {
        "key-alpha" => Answer::json(429, r#"{"error":{"message":"slow down"}}"#).header("retry-after", "100"),
        _ => Answer::json(200, ANSWER),
    };
    let provider = LocalProvider::start(spent);
    let world = World::new(&house(&provider.url(), "api_keys = ['key-alpha', 'key-bravo']"), &[]);
    let target = world.client.plan("house/m").unwrap().remove(0);
    for wanted in [429, 200, 200, 200] {
        let late = futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"a long form"))]);
        let parcel = Parcel {
            method: http::Method::POST,
            path: "/files".to_owned(),
            headers: http::HeaderMap::new(),
            payload: Payload::stream(Vec::new(), late, Some(11)),
        };
        let reply = pass_through(&world.client, &target, parcel).await;
        assert_eq!(reply.map(|reply| reply.status().as_u16()).unwrap_or_else(|failed| panic!("{}", failed.error)), wanted);
    }
}

/// Some tell of a bad key or an empty account with the status of a bad request.
#[tokio::test]
async fn a_bad_request_that_is_about_the_key_makes_room_for_the_next() {
    let gemini = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
    let poor = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#;
    let xai = r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: ke***a"}"#;
    for (status, error, is_rejected) in [
        (400, gemini, true),
        (400, poor, false),
        (400, xai, true),
        (422, xai, true),
        (400, r#"{"error":{"message":"no","code":"Arrearage"}}"#, false),
        (401, r#"{"error":{"message":"no credit","code":"insufficient_quota"}}"#, false),
    ] {
        let provider = LocalProvider::start(move |seen: &Seen| match key(seen).as_str() {
            "key-alpha" => Answer::json(status, error),
            _ => Answer::json(200, ANSWER),
        });
        let world = World::new(&house(&provider.url(), "api_keys = ['key-alpha', 'key-bravo']"), &[]);
        for _ in 0..6 {
            world.call().await.unwrap_or_else(|failed| panic!("{status} {error}: {failed}"));
        }
        let asked = provider.requests().iter().filter(|seen| key(seen) == "key-alpha").count();
        assert_eq!(asked, 1, "tried once, then at rest: {status} {error}");
        assert_eq!(world.notices().len(), usize::from(is_rejected), "{status} {error}: {:?}", world.notices());
    }
}

/// What is wrong with the request is so with every key, whatever words the caller has had repeated.
#[tokio::test]
async fn a_bad_request_of_the_caller_puts_no_key_to_rest() {
    let error = r#"{"error":{"message":"Invalid value: 'incorrect api key provided'.","type":"invalid_request_error"}}"#;
    let provider = LocalProvider::start(move |_: &Seen| Answer::json(400, error));
    let world = World::new(&house(&provider.url(), "api_keys = ['key-alpha', 'key-bravo']"), &[]);
    for _ in 0..4 {
        assert_eq!(world.call().await.unwrap_err().kind, Kind::BadRequest);
    }
    let asked = provider.requests().iter().filter(|seen| key(seen) == "key-alpha").count();
    assert_eq!((provider.requests().len(), asked), (4, 2));
    assert!(world.notices().is_empty(), "{:?}", world.notices());
}
