//! Over sockets, to servers that check every signature for themselves.

use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use http::{HeaderValue, Request, StatusCode};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use trunkline::Secret;
use trunkline::sign::{
    AccessKey, Bce, HmacSha256, Hs256Jwt, Message, MessageKey, MessageSignature, Moment, SdkHmac, ServiceAccount, SigV4, Sign,
    Tc3, UrlHmac, Verifier,
};
use trunkline::transport::{HttpTransport, Options, Payload, Transport};
use trunkline_testkit::guard::{Check, Denial, Guard, Pair, bce, jwt, message, plain, scoped, url};
use trunkline_testkit::provider::{Answer, LocalProvider};

use super::Case;

const ID: &str = "FAKEID0123456789";
const SECRET: &str = "fake-secret/+=-key";
const SESSION: &str = "fake-session-token/+==";
const SHARED: &str = "ZmFrZS1nYXRld2F5LXNoYXJlZC1zZWNyZXQtMzJieXQ=";
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"héllo 你好"}]}"#;

/// One scheme on both sides of the wire.
struct Match {
    sign: fn(AccessKey) -> Box<dyn Sign>,
    guard: fn(Pair) -> LocalProvider,
    path: &'static str,
    /// What the signature covers beside its time and the secret.
    covers: &'static [Part],
    /// The status of a wrong signature; one vendor says no with a 200.
    wrong: u16,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Method,
    Path,
    Query,
    Body,
    Type,
    Session,
}

const ALL: &[Part] = &[Part::Method, Part::Path, Part::Query, Part::Body, Part::Type, Part::Session];
const PATH: &str = "/model/anthropic.claude-x-v1%3A0/a%20b/converse?b=2&a=%C3%A9&a=1+1&c";

fn start(check: impl Check) -> LocalProvider {
    LocalProvider::start(Guard::new(check, Answer::json(200, r#"{"fine":true}"#)))
}

fn matches() -> Vec<(&'static str, Match)> {
    vec![
        (
            "sigv4",
            Match {
                sign: |key| Box::new(SigV4::new(key, "eu-central-1", "bedrock")),
                guard: |pair| start(scoped::SIGV4.check(pair, "eu-central-1", "bedrock")),
                path: PATH,
                covers: ALL,
                wrong: 403,
            },
        ),
        (
            "tc3",
            Match {
                sign: |key| Box::new(Tc3::new(key, "hunyuan")),
                guard: |pair| start(scoped::TC3.check(pair, "", "hunyuan")),
                path: "/",
                covers: &[Part::Method, Part::Body, Part::Type, Part::Session],
                wrong: 200,
            },
        ),
        (
            "hmac-sha256",
            Match {
                sign: |key| Box::new(HmacSha256::new(key, "cn-beijing", "ark")),
                guard: |pair| start(scoped::HMAC_SHA256.check(pair, "cn-beijing", "ark")),
                path: PATH,
                covers: ALL,
                wrong: 403,
            },
        ),
        (
            "sdk-hmac",
            Match {
                sign: |key| Box::new(SdkHmac::new(key)),
                guard: |pair| start(plain::SdkHmac(pair)),
                path: PATH,
                covers: ALL,
                wrong: 401,
            },
        ),
        (
            "bce",
            Match {
                sign: |key| Box::new(Bce::new(key)),
                guard: |pair| start(bce::Bce(pair)),
                path: PATH,
                covers: &[Part::Method, Part::Path, Part::Query, Part::Type, Part::Session],
                wrong: 400,
            },
        ),
    ]
}

fn key() -> AccessKey {
    AccessKey::new(Secret::new(ID), Secret::new(SECRET))
}

fn with_session() -> AccessKey {
    key().with_session(Secret::new(SESSION))
}

fn pair() -> Pair {
    Pair::new(ID, SECRET)
}

fn case(provider: &LocalProvider, path: &str) -> Case {
    Case::new("POST", &(provider.url() + path), &[("content-type", "application/json")], BODY)
}

fn off_by(seconds: i64) -> Moment {
    let mut moment = Moment::take().unwrap();
    let shift = Duration::from_secs(seconds.unsigned_abs());
    moment.now = if seconds < 0 { moment.now - shift } else { moment.now + shift };
    moment
}

/// Sends what was signed, as it is.
async fn send(case: &Case) -> (StatusCode, String) {
    let mut request = Request::new(Payload::pieces(case.body.iter().cloned().collect()));
    *request.method_mut() = case.method.clone();
    *request.uri_mut() = case.uri.clone();
    *request.headers_mut() = case.headers.clone();
    let reply = HttpTransport::new(Options::default()).send(request).await.unwrap();
    let status = reply.status();
    (status, String::from_utf8(reply.into_body().collect(1 << 16).await.unwrap().to_vec()).unwrap())
}

async fn passes(case: &Case) -> bool {
    send(case).await.1.contains("fine")
}

fn change(case: &mut Case, part: Part) {
    let uri = case.uri.to_string();
    match part {
        Part::Method => case.method = http::Method::PUT,
        Part::Path => case.uri = uri.replace("converse", "Converse").parse().unwrap(),
        Part::Query => case.uri = uri.replace("b=2", "b=3").parse().unwrap(),
        Part::Body => case.body = Payload::whole(BODY.replace('m', "n")),
        Part::Type => drop(case.headers.insert("content-type", HeaderValue::from_static("text/plain"))),
        Part::Session => {
            let names = ["x-amz-security-token", "x-tc-token", "x-security-token", "x-bce-security-token"];
            for name in names.into_iter().filter(|name| case.headers.contains_key(*name)).collect::<Vec<_>>() {
                case.headers.insert(name, HeaderValue::from_static("other"));
            }
        }
    }
}

#[tokio::test]
async fn what_is_signed_passes_and_what_was_changed_after_that_does_not() {
    for (name, Match { sign, guard, path, covers, wrong }) in matches() {
        let (lasting, temporary) = (guard(pair()), guard(pair().with_session(SESSION)));
        for (key, provider) in [(key(), &lasting), (with_session(), &temporary)] {
            let mut good = case(provider, path);
            good.sign(&*sign(key), &off_by(0)).unwrap();
            assert!(passes(&good).await, "{name}: {:?} {:?}", send(&good).await, provider.requests().last());
            // A body without bytes, and one of several pieces.
            let mut empty = Case { body: Payload::empty(), ..case(provider, path) };
            empty.sign(&*sign(if provider.addr() == lasting.addr() { self::key() } else { with_session() }), &off_by(0)).unwrap();
            assert!(passes(&empty).await, "{name}");
        }
        for part in covers {
            let mut bad = case(&temporary, path);
            bad.sign(&*sign(with_session()), &off_by(0)).unwrap();
            change(&mut bad, *part);
            let (status, words) = send(&bad).await;
            assert!(!words.contains("fine"), "{name}: {part:?} changed");
            if *part != Part::Session {
                assert_eq!(status, wrong, "{name}: {part:?}: {words}");
            }
        }
        let mut other = case(&lasting, path);
        other.sign(&*sign(AccessKey::new(Secret::new(ID), Secret::new("another"))), &off_by(0)).unwrap();
        assert_eq!(send(&other).await.0, wrong, "{name}");
        let mut stranger = case(&lasting, path);
        stranger.sign(&*sign(AccessKey::new(Secret::new("NOBODY"), Secret::new(SECRET))), &off_by(0)).unwrap();
        assert!(!passes(&stranger).await && !passes(&case(&lasting, path)).await, "{name}");
        for (seconds, good) in [(-3600, false), (3600, false), (-120, true), (120, true)] {
            let mut late = case(&lasting, path);
            late.sign(&*sign(key()), &off_by(seconds)).unwrap();
            assert_eq!(passes(&late).await, good, "{name}: {seconds} s off");
        }
    }
}

#[tokio::test]
async fn a_token_made_from_a_key_passes_in_its_time() {
    let provider = start(jwt::Hs256(pair()));
    let jwt = |secret: &str| Hs256Jwt::new(&Secret::new(&format!("{ID}.{secret}"))).unwrap();
    for (scheme, seconds, status) in [
        (jwt(SECRET), 0, 200),
        (jwt(SECRET), -200, 200),
        (jwt(SECRET), -300, 401),
        (jwt(SECRET), 300, 401),
        (jwt("other"), 0, 401),
    ] {
        let mut case = case(&provider, "/chat/completions");
        case.sign(&scheme, &off_by(seconds)).unwrap();
        let (seen, words) = send(&case).await;
        assert_eq!(seen, status, "{seconds}: {words}");
        assert_eq!(words.contains("1003"), seconds < -200 || words.contains("expired"), "{words}");
    }
}

#[tokio::test]
async fn a_signed_address_passes_in_its_time() {
    let provider = start(url::UrlHmac(pair()));
    let scheme = UrlHmac::new(Secret::new(ID), Secret::new(SECRET));
    for (seconds, status) in [(0, 200), (-290, 200), (-400, 403), (400, 403)] {
        let mut case = Case::new("GET", &(provider.url() + "/v3.5/chat"), &[], "");
        case.sign(&scheme, &off_by(seconds)).unwrap();
        assert_eq!(send(&case).await.0, status, "{seconds}");
        case.uri = case.uri.to_string().replace("/v3.5", "/v4.0").parse().unwrap();
        assert_eq!(send(&case).await.0, 403, "another path");
    }
    assert_eq!(send(&Case::new("GET", &(provider.url() + "/v3.5/chat"), &[], "")).await.0, 401);
}

#[tokio::test]
async fn a_message_signature_passes_once() {
    let provider = start(message::Signature::new(Pair::new("gw-test", SHARED)));
    let scheme = MessageSignature::new(MessageKey::hmac_sha256(&Secret::new(SHARED)).unwrap(), "gw-test").unwrap();
    let signed = |seconds| {
        let mut case = case(&provider, PATH);
        case.sign(&scheme, &off_by(seconds)).unwrap();
        case
    };
    let good = signed(0);
    assert_eq!((send(&good).await.0, send(&good).await.0), (StatusCode::OK, StatusCode::UNAUTHORIZED), "once");
    for part in [Part::Method, Part::Path, Part::Query, Part::Body, Part::Type] {
        let mut bad = signed(0);
        change(&mut bad, part);
        assert!(!passes(&bad).await, "{part:?}");
    }
    assert!(passes(&signed(-300)).await && !passes(&signed(-400)).await && !passes(&signed(60)).await);

    // What arrived is what our own verifier takes, too; the authority has a port here.
    let verifier = Verifier::new([("gw-test".to_owned(), MessageKey::hmac_sha256(&Secret::new(SHARED)).unwrap())]);
    let seen = provider.requests().remove(0);
    let (path, query) = seen.path.split_once('?').unwrap();
    let (method, authority, headers, body) = (seen.method.as_str(), seen.header("host"), &seen.headers, &seen.body);
    let message = Message { method, authority, path, query: Some(query), headers, body };
    assert_eq!(verifier.verify(&message, SystemTime::now()).unwrap(), "gw-test");
}

#[test]
fn a_service_accounts_assertion_verifies_with_its_public_key() {
    let fixture = include_str!("../../../../../fixtures/signing/service-account.jsonl");
    let told: Vec<Value> = fixture.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let files = told.iter().map(|case| case["input"]["settings"]["file"].as_str().unwrap());
    let file = files.into_iter().find(|file| file.contains("BEGIN PRIVATE KEY")).unwrap();
    let pem: Value = serde_json::from_str(file).unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem["private_key"].as_str().unwrap().as_bytes()).unwrap();
    let public = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap().public_key().as_ref().to_vec();
    let account = ServiceAccount::read(&Secret::new(file)).unwrap();
    let now = SystemTime::now();
    let token = account.assertion("a b", Some("s@example.com"), now).unwrap();
    let unix = u64::try_from(now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let claims = jwt::read_rs256(token.expose(), &public, unix).unwrap();
    assert_eq!((claims["scope"].as_str(), claims["sub"].as_str()), (Some("a b"), Some("s@example.com")));
    assert_eq!((claims["aud"].as_str(), claims["iss"].as_str()), (Some(account.token_uri()), pem["client_email"].as_str()));
    assert_eq!(jwt::read_rs256(token.expose(), &public, unix + 3_700_000), Err(Denial::Untimely));
    let mut forged = token.expose().replace('.', ".e");
    forged.truncate(forged.len() - 2);
    assert!(jwt::read_rs256(&forged, &public, unix).is_err());
}
