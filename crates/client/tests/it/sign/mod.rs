//! Signing: worked examples, the vendors' own SDKs, and what happens to requests on the way.

mod client;
mod example;
mod guard;
mod minted;

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::Value;
use trunkline::Secret;
use trunkline::sign::{
    AccessKey, Bce, Draft, HmacSha256, Hs256Jwt, MessageKey, MessageSignature, Moment, SdkHmac, ServiceAccount, SigV4, Sign, Tc3,
    UrlHmac,
};
use trunkline::transport::Payload;

/// A request to sign, whole.
pub(crate) struct Case {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
}

impl Case {
    pub(crate) fn new(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let parsed =
            headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()));
        // In two pieces, as a body with an edit in it would be.
        let half = body.char_indices().nth(body.chars().count() / 2).map_or(0, |(at, _)| at);
        let pieces = [&body[..half], &body[half..]].map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
        Self {
            method: method.parse().unwrap(),
            uri: url.parse().unwrap(),
            headers: parsed.collect(),
            body: Payload::pieces(pieces.to_vec()),
        }
    }

    pub(crate) fn sign(&mut self, scheme: &dyn Sign, moment: &Moment) -> trunkline::Result<()> {
        let Self { method, uri, headers, body } = self;
        scheme.sign(&mut Draft { method, uri, headers, body }, moment)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn at(unix: u64) -> Moment {
    Moment { now: UNIX_EPOCH + Duration::from_secs(unix), nonce: [0; 16] }
}

pub(crate) fn key(id: &str, secret: &str) -> AccessKey {
    AccessKey::new(Secret::new(id), Secret::new(secret))
}

/// The scheme that a recorded request was signed by.
fn scheme(name: &str, settings: &Value) -> Box<dyn Sign> {
    let text = |name: &str| settings[name].as_str().unwrap_or_else(|| panic!("no {name} in {settings}"));
    let secret = |name: &str| Secret::new(text(name));
    let access = || {
        let told = &settings["key"];
        let key = key(told["id"].as_str().unwrap(), told["secret"].as_str().unwrap());
        told["session"].as_str().map_or(key.clone(), |token| key.with_session(Secret::new(token)))
    };
    match name {
        "sigv4" => Box::new(SigV4::new(access(), text("region"), text("service"))),
        "tc3" => Box::new(Tc3::new(access(), text("service"))),
        "bce" => Box::new(Bce::new(access()).valid_for(Duration::from_secs(settings["lifetime"].as_u64().unwrap()))),
        "hmac-sha256" => Box::new(HmacSha256::new(access(), text("region"), text("service"))),
        "sdk-hmac" => Box::new(SdkHmac::new(access())),
        "hs256-jwt" => Box::new(Hs256Jwt::new(&secret("key")).unwrap()),
        "url-hmac" => Box::new(UrlHmac::new(secret("key"), secret("secret"))),
        "message-signature" => {
            let make = if text("algorithm") == "ed25519" { MessageKey::ed25519 } else { MessageKey::hmac_sha256 };
            Box::new(MessageSignature::new(make(&secret("key")).unwrap(), text("key_id")).unwrap())
        }
        other => panic!("no such scheme: {other}"),
    }
}

/// Signs what an SDK signed, and compares every byte that it added.
fn compare(line: &str) {
    let told: Value = serde_json::from_str(line).unwrap();
    let (input, expected) = (&told["input"], &told["expected"]);
    let text = |name: &str| input[name].as_str().unwrap();
    let nonce: Vec<u8> = (0..16).map(|at| u8::from_str_radix(&text("nonce")[2 * at..2 * at + 2], 16).unwrap()).collect();
    let now = UNIX_EPOCH + Duration::from_millis(input["now_ms"].as_u64().unwrap());
    let moment = Moment { now, nonce: nonce.try_into().unwrap() };
    if text("scheme") == "service-account" {
        let settings = &input["settings"];
        let account = ServiceAccount::read(&Secret::new(settings["file"].as_str().unwrap())).unwrap();
        let token = match settings["audience"].as_str() {
            Some(audience) => account.self_signed(audience, now),
            None => account.assertion(settings["scope"].as_str().unwrap(), settings["subject"].as_str(), now),
        };
        assert_eq!(token.unwrap().expose(), expected["token"], "{line}");
        return;
    }
    let headers: Vec<_> =
        input["headers"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let mut case = Case::new(text("method"), text("url"), &headers, text("body"));
    case.sign(&*scheme(text("scheme"), &input["settings"]), &moment).unwrap();
    if let Some(url) = expected["url"].as_str() {
        assert_eq!(case.uri.to_string(), url, "{line}");
        return;
    }
    for (name, value) in expected["headers"].as_object().unwrap() {
        assert_eq!(case.header(name), value, "{name} of {line}");
    }
    let added = case.headers.len() - headers.len();
    assert_eq!(added, expected["headers"].as_object().unwrap().len(), "{:?} of {line}", case.headers);
    assert_eq!(case.uri.to_string(), text("url"));
}

/// What was compared is the point of the longer run, so it says so.
#[allow(clippy::print_stdout)]
fn compare_folder(folder: &Path) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    assert_eq!(files.len(), 9, "a file a scheme: {files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().for_each(compare);
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(text.lines().count() >= 10, "{name}");
        println!("{:4} requests by {name}: every byte as the SDK has it", text.lines().count());
    }
}

#[test]
fn what_the_vendors_sdks_signed_is_signed_alike() {
    compare_folder(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/signing")));
    if let Some(folder) = std::env::var_os("TRUNKLINE_SIGNED") {
        compare_folder(Path::new(&folder));
    }
}
