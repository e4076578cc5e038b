//! OAuth 2.0 client credentials: one token for all, in time, and never a call the less.

use std::time::Duration;

use base64::Engine as _;
use futures_util::future::join_all;
use trunkline::Retry;
use trunkline_testkit::provider::Answer;

use super::{House, Mood};

fn down() -> Mood {
    Mood::Says(Answer::json(503, r#"{"error":"temporarily_unavailable"}"#))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_calls_at_once_make_one_token_request() {
    let house = House::new(3600);
    let calls = (0..1000).map(|_| {
        let client = house.world.client.clone();
        tokio::spawn(async move { client.chat("house/m", "hi").await.map(|_| ()) })
    });
    for done in join_all(calls).await {
        done.unwrap().unwrap();
    }
    assert_eq!((house.minted(), house.provider.requests().len()), (1, 1000));
}

#[test]
fn threads_with_runtimes_of_their_own_share_one_token() {
    let house = House::new(3600);
    let threads = (0..4).map(|_| {
        let client = house.world.client.with_own_pool();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let calls = (0..50).map(|_| async { client.chat("house/m", "hi").await.map(|_| ()) });
                join_all(calls).await.into_iter().for_each(|done| done.unwrap());
            });
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((house.minted(), house.provider.requests().len()), (1, 200));
}

#[tokio::test]
async fn the_request_is_the_one_of_the_rfc() {
    let house = House::with(3600, ", scope = \"a b\", audience = \"urn:x\", extra = { resource = \"r&s\" }");
    house.world.call().await.unwrap();
    let seen = &house.server.requests()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/token"));
    assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(seen.header("accept"), "application/json");
    let basic = base64::engine::general_purpose::STANDARD.encode("me:the-client-secret");
    assert_eq!(seen.header("authorization"), format!("Basic {basic}"));
    assert_eq!(seen.body, "grant_type=client_credentials&scope=a+b&audience=urn%3Ax&resource=r%26s");

    let house = House::with(3600, ", client_auth = \"body\", scope = \"s\"");
    house.world.call().await.unwrap();
    let seen = &house.server.requests()[0];
    assert_eq!(seen.header("authorization"), "");
    assert_eq!(seen.body, "grant_type=client_credentials&scope=s&client_id=me&client_secret=the-client-secret");

    let house = House::with(3600, ", client_auth = \"query\", token_in = \"query:access_token\"");
    let error = house.world.call().await.unwrap_err();
    assert!(error.message.contains("is not valid"), "this provider wants a header: {error}");
    let seen = &house.server.requests()[0];
    assert_eq!(seen.path, "/token?grant_type=client_credentials&client_id=me&client_secret=the-client-secret");
    assert!(seen.body.is_empty());
    assert_eq!(house.provider.requests()[0].path, "/v1/chat/completions?access_token=token-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn expiry_under_load_drops_no_call() {
    let house = House::new(100);
    for _ in 0..40 {
        let calls = (0..50).map(|_| {
            let client = house.world.client.clone();
            tokio::spawn(async move { client.chat("house/m", "hi").await.map(|_| ()) })
        });
        // Time goes on in the middle of them.
        let calls: Vec<_> = calls.collect();
        house.world.clock.advance(7);
        for done in join_all(calls).await {
            done.unwrap().unwrap();
        }
    }
    // 280 seconds, a token every 50 or so: renewed once it is half gone, never once a call.
    assert!((3..=8).contains(&house.minted()), "{} tokens", house.minted());
    // Past its end in one leap: everybody waits for the next one.
    house.world.clock.advance(1000);
    let before = house.minted();
    for done in join_all((0..100).map(|_| house.world.call())).await {
        done.unwrap();
    }
    assert_eq!(house.minted(), before + 1);
}

#[tokio::test]
async fn a_token_server_that_is_down_takes_no_call_along_while_the_token_is_good() {
    for mood in [down(), Mood::Says(Answer::raw("")), Mood::Says(Answer::html(502))] {
        let house = House::new(3600);
        house.world.call().await.unwrap();
        house.world.clock.advance(3600 - 70);
        house.mood(mood);
        // A minute without it, the last half of which would rather have a new token.
        for _ in 0..60 {
            house.world.call().await.unwrap();
            house.world.clock.advance(1);
        }
        let tries = house.minted();
        assert!((10..=40).contains(&tries), "it is asked again, but not with every call: {tries}");
        let told = house.world.notices();
        assert!(told.len() == 1 && told[0].ends_with("calls go on with the credential that is still good"), "{told:?}");
        // Ten seconds on, the token is over, and the server is there again.
        house.world.clock.advance(20);
        house.world.call().await.unwrap_err();
        house.mood(Mood::Good(3600));
        house.world.clock.advance(3);
        house.world.call().await.unwrap();
    }
}

#[tokio::test]
async fn a_token_is_renewed_behind_the_callers_back() {
    let house = House::new(3600);
    house.world.call().await.unwrap();
    house.world.clock.advance(3600 - 300);
    house.mood(Mood::Says(Answer::never()));
    // Nobody waits for a server that hangs.
    tokio::time::timeout(Duration::from_secs(2), house.world.call()).await.unwrap().unwrap();
    house.world.settle().await;
    assert_eq!(house.minted(), 2);
    assert!(house.provider.requests().iter().all(|seen| seen.header("authorization") == "Bearer token-1"));
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once_and_the_call_repeated() {
    let house = House::new(3600);
    house.world.call().await.unwrap();
    house.revoke_all();
    assert_eq!(house.world.call().await.unwrap(), "Hello.");
    assert_eq!((house.minted(), house.provider.requests().len()), (2, 3));
    // Everybody at once: still one.
    house.revoke_all();
    for done in join_all((0..50).map(|_| house.world.call())).await {
        done.unwrap();
    }
    assert_eq!(house.minted(), 3);
}

#[tokio::test]
async fn a_token_that_is_refused_when_new_is_not_asked_for_for_ever() {
    let house = House::new(0);
    // Zero seconds by the server's word, so the provider refuses each.
    let error = house.world.call().await.unwrap_err();
    assert_eq!((error.status, house.minted()), (Some(401), 2), "{error}");
    assert!(house.world.notices()[0].contains("says that its token lives for 0; it is used for 300 s"));
    for _ in 0..20 {
        house.world.call().await.unwrap_err();
    }
    assert!(house.minted() <= 4, "{} tokens for calls that fail anyway", house.minted());
}

#[tokio::test]
async fn whoever_leaves_does_not_take_the_renewal_along() {
    let house = House::new(3600);
    house.mood(Mood::Says(
        Answer::json(200, r#"{"access_token":"slow-token","expires_in":3600}"#).delay(Duration::from_millis(200)),
    ));
    // The first caller starts it and is gone before it is over.
    assert!(tokio::time::timeout(Duration::from_millis(50), house.world.call()).await.is_err());
    let error = house.world.call().await.unwrap_err();
    assert_eq!(house.minted(), 2, "one for both, one because the provider does not know it: {error}");
    assert_eq!(house.provider.requests()[0].header("authorization"), "Bearer slow-token");
}

#[tokio::test]
async fn no_error_shows_a_secret_or_a_token() {
    let house = House::new(3600);
    let basic = base64::engine::general_purpose::STANDARD.encode("me:the-client-secret");
    house.mood(Mood::Says(Answer::json(
        401,
        format!(r#"{{"error":"invalid_client","error_description":"the-client-secret or {basic} is wrong"}}"#),
    )));
    let error = house.world.call().await.unwrap_err();
    let all = format!("{error:?} {:?}", house.world.notices());
    assert!(error.message.contains("invalid_client: *** or *** is wrong"), "{error}");
    assert!(!all.contains("the-client-secret") && !all.contains(&basic), "{all}");
    house.world.clock.advance(10);
    house.mood(Mood::Says(Answer::json(200, r#"{"access_token":"an-unknown-token","expires_in":3600}"#)));
    let error = house.world.call().await.unwrap_err();
    assert!(error.message.contains("the token *** is not valid"), "{error}");
    assert!(!format!("{error:?}").contains("an-unknown-token"), "{error:?}");
    // Its operator knows it by the first digits of the client secret's hash.
    assert!(error.message.ends_with("(credential f9a45542)"), "{error}");
}

#[tokio::test]
async fn a_token_server_that_asks_for_silence_gets_it_and_its_wait_is_told() {
    for status in [429, 503] {
        let house = House::new(3600);
        let slow = Answer::json(status, r#"{"error":"slow_down"}"#).header("retry-after", "20");
        house.mood(Mood::Says(slow));
        for gone in 0..20 {
            let error = house.world.call().await.unwrap_err();
            assert_eq!(error.retry, Retry::After(Duration::from_secs(20 - gone)), "{error}");
            assert!(error.message.starts_with("the token server 127.0.0.1 refused: slow_down"), "{error}");
            let health = house.world.client.health();
            let why = health.targets.iter().find_map(|target| target.why.as_deref()).unwrap_or_default();
            assert!(!why.contains("asked for fewer calls") && !why.contains("overloaded"), "{why}");
            house.world.clock.advance(1);
        }
        assert_eq!((house.minted(), house.provider.requests().len()), (1, 0));
        house.mood(Mood::Good(3600));
        house.world.call().await.unwrap();
    }
}

#[tokio::test]
async fn no_silence_is_kept_for_longer_than_five_minutes() {
    let house = House::new(3600);
    house.mood(Mood::Says(Answer::json(429, "{}").header("retry-after", "86000")));
    assert_eq!(house.world.call().await.unwrap_err().retry, Retry::After(Duration::from_secs(300)));
    house.mood(Mood::Good(3600));
    house.world.clock.advance(299);
    house.world.call().await.unwrap_err();
    // Whoever mends it need not wait.
    house.world.client.reload().unwrap();
    house.world.call().await.unwrap();
}
