//! Signatures as the client sends them: the scheme of the configuration, over what goes out, by the client's clock.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, Method, Uri};
use trunkline::Secret;
use trunkline::sign::{AccessKey, Bce, Draft, HmacSha256, Hs256Jwt, Moment, SdkHmac, SigV4, Sign, Tc3, UrlHmac};
use trunkline::transport::Payload;
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use super::{ANSWER, START, World, house};

fn key() -> AccessKey {
    AccessKey::new(Secret::new("AKFAKE0123456789"), Secret::new("fake-secret-key"))
}

/// What the scheme would have added to the request that came.
fn again(scheme: &dyn Sign, seen: &Seen, url: &str) -> (HeaderMap, String) {
    let path = seen.path.split('?').next().unwrap();
    let mut uri: Uri = format!("{url}{path}").parse().unwrap();
    let mut headers = seen.headers.clone();
    for name in ["authorization", "host", "content-length", "x-amz-date", "x-date", "x-sdk-date", "x-bce-date", "x-tc-timestamp"]
    {
        headers.remove(name);
    }
    let body = Payload::whole(seen.body.clone());
    let moment = Moment { now: UNIX_EPOCH + Duration::from_secs(START), nonce: [0; 16] };
    scheme.sign(&mut Draft { method: &Method::POST, uri: &mut uri, headers: &mut headers, body: &body }, &moment).unwrap();
    (headers, uri.path_and_query().unwrap().to_string())
}

#[tokio::test]
async fn every_scheme_signs_what_goes_out() {
    let keys = "access_key = 'AKFAKE0123456789', secret_key = 'fake-secret-key'";
    let schemes: [(String, Box<dyn Sign>); 8] = [
        (
            format!("sigv4 = {{ {keys}, region = 'us-east-1', service = 'bedrock' }}"),
            Box::new(SigV4::new(key(), "us-east-1", "bedrock")),
        ),
        (format!("tc3 = {{ {keys}, service = 'hunyuan' }}"), Box::new(Tc3::new(key(), "hunyuan"))),
        (
            format!("tc3 = {{ {keys}, service = 'hunyuan', signed_headers = ['User-Agent'] }}"),
            Box::new(Tc3::new(key(), "hunyuan").covering([http::header::USER_AGENT])),
        ),
        (format!("bce = {{ {keys}, lifetime_seconds = 300 }}"), Box::new(Bce::new(key()).valid_for(Duration::from_secs(300)))),
        (format!("hmac_sha256 = {{ {keys}, region = 'r', service = 's' }}"), Box::new(HmacSha256::new(key(), "r", "s"))),
        (format!("sdk_hmac = {{ {keys} }}"), Box::new(SdkHmac::new(key()))),
        (
            format!("url_hmac = {{ {keys} }}"),
            Box::new(UrlHmac::new(Secret::new("AKFAKE0123456789"), Secret::new("fake-secret-key"))),
        ),
        (
            "jwt_hs256 = { key = 'fake-id.fake-secret-key' }".to_owned(),
            Box::new(Hs256Jwt::new(&Secret::new("fake-id.fake-secret-key")).unwrap()),
        ),
    ];
    for (auth, scheme) in schemes {
        let provider = LocalProvider::start(Answer::json(200, ANSWER));
        let world = World::new(&house(&provider.url(), &format!("auth = {{ {auth} }}")), &[]);
        world.call().await.unwrap();
        let seen = &provider.requests()[0];
        let (headers, target) = again(&*scheme, seen, &provider.url());
        let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!((seen.header("authorization"), seen.path.as_str()), (&*text("authorization"), &*target), "{auth}");
        assert!(!seen.header("authorization").is_empty() || target.contains("authorization="), "{auth}");
    }
}

#[tokio::test]
async fn a_message_signature_is_made_anew_for_each_try() {
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let auth = "auth = { message_signature = { key_id = 'gw-test', key = 'ZmFrZS1nYXRld2F5LXNoYXJlZC1zZWNyZXQtMzJieXQ=', tag = 'app' } }";
    let world = World::new(&house(&provider.url(), auth), &[]);
    world.call().await.unwrap();
    world.call().await.unwrap();
    let [first, second] = &provider.requests()[..] else { panic!() };
    assert!(first.header("signature-input").contains("created=1767323045;expires=1767323345"), "{:?}", first.headers);
    assert!(
        first.header("signature-input").contains("keyid=\"gw-test\"") && first.header("content-digest").starts_with("sha-256=:")
    );
    assert_ne!(first.header("signature"), second.header("signature"), "the nonce is the same");
}

/// The catalogue's own entry, by the variables that its SDK reads.
#[tokio::test]
async fn bedrock_takes_a_bearer_key_or_the_usual_chain() {
    let provider = LocalProvider::start(Answer::json(
        200,
        r#"{"output":{"message":{"role":"assistant","content":[{"text":"Hello."}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}"#,
    ));
    let url = provider.url();
    let moved = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", url.as_str());
    let keys = [("AWS_ACCESS_KEY_ID", "AKFAKE"), ("AWS_SECRET_ACCESS_KEY", "fake-secret-key"), ("AWS_SESSION_TOKEN", "session")];
    let none = ("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file");
    for (more, wanted) in [
        (vec![("AWS_REGION", "eu-west-1")], "AWS4-HMAC-SHA256 Credential=AKFAKE/20260102/eu-west-1/bedrock/aws4_request"),
        (vec![], "AWS4-HMAC-SHA256 Credential=AKFAKE/20260102/us-east-1/bedrock/aws4_request"),
        (vec![("AWS_BEARER_TOKEN_BEDROCK", "a-bearer-key")], "Bearer a-bearer-key"),
    ] {
        let world = World::new("", &[&[moved, none][..], &keys, &more].concat());
        assert_eq!(world.ask("bedrock/amazon.nova-lite-v1:0").await.unwrap(), "Hello.");
        let seen = provider.requests().pop().unwrap();
        assert!(seen.header("authorization").starts_with(wanted), "{wanted}: {:?}", seen.headers);
    }
}

#[tokio::test]
async fn a_refused_signature_blames_a_wrong_clock() {
    let date = Arc::new(Mutex::new("Fri, 02 Jan 2026 03:04:05 GMT"));
    let its_date = Arc::clone(&date);
    let provider = LocalProvider::start(move |_: &Seen| {
        Answer::json(403, r#"{"error":{"message":"Signature expired"}}"#).header("date", *its_date.lock().unwrap())
    });
    let signed = "auth = { sigv4 = { access_key = 'a', secret_key = 'fake-secret-key', region = 'r', service = 's' } }";
    let world = World::new(&house(&provider.url(), signed), &[]);
    let error = world.call().await.unwrap_err();
    assert!(!error.message.contains("clock"), "{error}");
    *date.lock().unwrap() = "Fri, 02 Jan 2026 02:00:00 GMT";
    let error = world.call().await.unwrap_err();
    assert!(error.message.contains("this machine's clock is 3845 s ahead of the server's"), "{error}");
    // A key in a header does not depend on any clock.
    let world = World::new(&house(&provider.url(), "api_key = 'just-a-key'"), &[]);
    let error = world.call().await.unwrap_err();
    assert!(!error.message.contains("clock"), "{error}");
}

#[tokio::test]
async fn no_scheme_lets_its_secret_be_repeated() {
    let keys = "access_key = 'AKFAKE', secret_key = 'fake-secret-key', session_token = 'fake-session-token'";
    for auth in [
        "bearer = 'fake-secret-key'".to_owned(),
        "header = 'x-key', value = 'fake-secret-key'".to_owned(),
        "query = 'key', value = 'fake-secret-key'".to_owned(),
        "query = 'key', value = 'fake-secret/key+'".to_owned(),
        format!("sigv4 = {{ {keys}, region = 'r', service = 's' }}"),
        format!("tc3 = {{ {keys}, service = 's' }}"),
        format!("bce = {{ {keys} }}"),
        format!("hmac_sha256 = {{ {keys}, region = 'r', service = 's' }}"),
        format!("sdk_hmac = {{ {keys} }}"),
        format!("url_hmac = {{ {keys} }}"),
        "jwt_hs256 = { key = 'fake-id.fake-secret-key' }".to_owned(),
    ] {
        for status in [400, 401, 403, 500] {
            let said = "fake-secret-key fake-id.fake-secret-key fake-session-token fake-secret%2Fkey%2B fake-secret/key+";
            let body = format!(r#"{{"error":{{"message":"bad {said}","code":"{said}","param":"{said}"}}}}"#);
            let provider = LocalProvider::start(Answer::json(status, body));
            let world = World::new(&house(&provider.url(), &format!("auth = {{ {auth} }}")), &[]);
            let error = world.call().await.unwrap_err();
            let shown = format!("{error:?} {error} {:?}", world.notices());
            let secret = if auth.contains('+') { ["fake-secret/key+", "fake-secret%2Fkey%2B"] } else { ["fake-secret-key"; 2] };
            assert!(!secret.iter().any(|secret| shown.contains(secret)), "{auth}: {shown}");
            assert!(
                !auth.contains("session_token") || auth.starts_with("url") || !shown.contains("fake-session-token"),
                "{auth}: {shown}"
            );
        }
    }
}
