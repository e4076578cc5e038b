//! The whole client, from its configuration to a server that checks what it signs.

use futures_util::future::join_all;
use serde_json::json;
use trunkline::config::{Config, Environment};
use trunkline::{Client, Kind};
use trunkline_testkit::guard::{Guard, Pair, bce, jwt, message, plain, scoped, url};
use trunkline_testkit::provider::{Answer, LocalProvider, Script};

const ID: &str = "FAKEID0123456789";
const SECRET: &str = "fake-secret/+=-key";
const SHARED: &str = "ZmFrZS1nYXRld2F5LXNoYXJlZC1zZWNyZXQtMzJieXQ=";
// The example key of RFC 9421, B.1.4, its public half, and another one.
const PRIVATE: &str = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF";
const PUBLIC: &str = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";
const STRANGE: &str = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnG";

fn fine() -> Answer {
    let message = json!({"role": "assistant", "content": "fine"});
    let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    Answer::json(200, json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}).to_string())
}

/// Every signing scheme as it is written in a configuration, and the server that checks it.
fn schemes() -> Vec<(String, LocalProvider)> {
    let pair = || Pair::new(ID, SECRET);
    let session = || pair().with_session("fake-session-token");
    let start = |script: Box<dyn Script>| LocalProvider::start(move |seen: &_| script.answer(seen, 0));
    let keys = "access_key = 'env:HOUSE_ID', secret_key = 'env:HOUSE_SECRET'";
    let sigv4 =
        format!("sigv4 = {{ {keys}, session_token = 'env:HOUSE_SESSION', region = 'eu-central-1', service = 'bedrock' }}");
    let checked: Vec<(String, Box<dyn Script>)> = vec![
        (sigv4, Box::new(Guard::new(scoped::SIGV4.check(session(), "eu-central-1", "bedrock"), fine()))),
        (format!("tc3 = {{ {keys}, service = 'house' }}"), Box::new(Guard::new(scoped::TC3.check(pair(), "", "house"), fine()))),
        (
            format!("hmac_sha256 = {{ {keys}, region = 'r', service = 's' }}"),
            Box::new(Guard::new(scoped::HMAC_SHA256.check(pair(), "r", "s"), fine())),
        ),
        (format!("sdk_hmac = {{ {keys} }}"), Box::new(Guard::new(plain::SdkHmac(pair()), fine()))),
        (format!("bce = {{ {keys}, lifetime_seconds = 300 }}"), Box::new(Guard::new(bce::Bce(pair()), fine()))),
        (format!("url_hmac = {{ {keys} }}"), Box::new(Guard::new(url::UrlHmac(pair()), fine()))),
        ("jwt_hs256 = { key = 'env:HOUSE_JWT' }".to_owned(), Box::new(Guard::new(jwt::Hs256(pair()), fine()))),
        (
            "message_signature = { key_id = 'house', key = 'env:HOUSE_SHARED' }".to_owned(),
            Box::new(Guard::new(message::Signature::new(Pair::new("house", SHARED)), fine())),
        ),
        (
            "message_signature = { key_id = 'house', key = 'env:HOUSE_PRIVATE', algorithm = 'ed25519' }".to_owned(),
            Box::new(Guard::new(message::Signature::ed25519(Pair::new("house", PUBLIC)), fine())),
        ),
    ];
    checked.into_iter().map(|(auth, script)| (auth, start(script))).collect()
}

fn client(provider: &LocalProvider, auth: &str, secret: &str) -> Client {
    let url = provider.url();
    let text = format!("[providers.house]\nbase_url = '{url}/v1'\ndialects = ['openai-chat']\nauth = {{ {auth} }}\n");
    let jwt = format!("{ID}.{secret}");
    let shared = if secret == SECRET { SHARED.to_owned() } else { SHARED.replace("ZmFrZS", "ZmFsc2") };
    let variables = [
        ("HOUSE_ID", ID),
        ("HOUSE_SECRET", secret),
        ("HOUSE_SESSION", "fake-session-token"),
        ("HOUSE_JWT", &jwt),
        ("HOUSE_SHARED", &shared),
        ("HOUSE_PRIVATE", if secret == SECRET { PRIVATE } else { STRANGE }),
    ];
    let config = Config::parse(&text, "trunkline.toml").unwrap();
    let environment = Environment::of(variables);
    Client::builder().config(config).environment(environment).build().unwrap()
}

#[tokio::test]
async fn calls_are_signed_as_the_configuration_says() {
    for (auth, provider) in schemes() {
        let client = client(&provider, &auth, SECRET);
        let replies = join_all((0..20).map(|nth| client.chat("house/m", format!("Grüße {nth} 你好")).into_future())).await;
        for reply in replies {
            let reply = reply.unwrap_or_else(|error| panic!("{auth}: {error} {:?}", provider.requests().last()));
            assert_eq!(reply.text(), "fine");
        }
        assert_eq!(provider.requests().len(), 20, "{auth}: at the first try");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_not_shown() {
    for (auth, provider) in schemes() {
        let error = client(&provider, &auth, "another-secret-key").chat("house/m", "Hello").await.err().unwrap();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("another-secret-key"), "{auth}: {shown}");
        // One vendor refuses with a 200, which only its own dialect can know for what it is.
        let kinds = [Kind::Unauthenticated, Kind::Forbidden, Kind::BadRequest, Kind::Malformed];
        assert!(kinds.contains(&error.kind), "{auth}: {shown}");
    }
}
