//! Requests for tokens, and what calls carry then, beside what the vendors' own SDKs send.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Request};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use trunkline::Client;
use trunkline::clock::Clock;
use trunkline::config::{Config, Environment};
use trunkline::transport::{Body, Payload, Reply, Sending, Transport};

/// A request as it would have gone out.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    url: String,
    headers: HeaderMap,
    body: String,
}

/// Notes what goes out; answers with this token, or as a model does.
#[derive(Default)]
struct Notes {
    token: Mutex<String>,
    sent: Mutex<Vec<Sent>>,
}

const HOUSE: &str = "https://house.example.com/v1";

impl Transport for Notes {
    fn send(&self, request: Request<Payload>) -> Sending<'_> {
        let (head, body) = request.into_parts();
        let body: Vec<u8> = body.iter().flat_map(|piece| piece.to_vec()).collect();
        let (method, url) = (head.method.to_string(), head.uri.to_string());
        let is_call = url.starts_with(HOUSE);
        let sent = Sent { method, url, headers: head.headers, body: String::from_utf8(body).unwrap() };
        self.sent.lock().unwrap().push(sent);
        let message = json!({"role": "assistant", "content": "fine"});
        let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
        let answer = json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}).to_string();
        let answer = if is_call { answer } else { self.token.lock().unwrap().clone() };
        Box::pin(async {
            let mut reply = Reply::new(Body::whole(answer));
            reply.headers_mut().insert("content-type", "application/json".parse().unwrap());
            Ok(reply)
        })
    }
}

#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn ticks(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// How each way is written in a configuration; the variables are the case's own.
fn auth(way: &str, number: usize, settings: &Value) -> String {
    let env = |name: &str| format!("\"env:V{number}_{name}\"");
    let scope = json!(settings["scope"]);
    let azure = |client_auth: &str, more: &str| {
        format!(
            "{{ oauth2 = {{ token_url = \"https://login.example.com/{{tenant}}/oauth2/v2.0/token\", values = {{ tenant = {} }}, \
             client_id = {}, client_secret = {}, scope = {scope}, client_auth = \"{client_auth}\"{more} }} }}",
            env("TENANT"),
            env("CLIENT"),
            env("SECRET")
        )
    };
    let marked = ", extra = { client_info = \"1\" }";
    let google = |more: &str| format!("{{ service_account = {{ json = {}, scope = {scope}{more} }} }}", env("FILE"));
    match way {
        "azure-secret" => azure("body", marked),
        "azure-certificate" => azure("certificate", marked),
        "azure-workload" => azure("assertion", ""),
        "azure-machine" => {
            let resource = settings["scope"].as_str().unwrap().trim_end_matches("/.default");
            let client = settings["client"].as_str().map_or(String::new(), |client| format!("&client_id={client}"));
            let (base, header, value) = match settings["url"].as_str() {
                Some(url) => (format!("{url}?api-version=2019-08-01"), "X-IDENTITY-HEADER", env("HEADER")),
                None => {
                    let url = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01";
                    (url.to_owned(), "Metadata", "\"true\"".to_owned())
                }
            };
            format!(
                "{{ mint = {{ url = \"{base}&resource={{resource}}{client}\", values = {{ resource = {} }}, \
                 headers = {{ {header} = {value} }}, token = \"/access_token\", expires = \"/expires_in\" }} }}",
                json!(resource)
            )
        }
        "google-account" => match settings["subject"].as_str() {
            Some(subject) => google(&format!(", subject = \"{subject}\"")),
            None => google(""),
        },
        "google-workload" => google(""),
        "google-person" => google(", token_url = \"https://oauth2.googleapis.com/token\""),
        "google-machine" => {
            let url =
                "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token?scopes={scopes}";
            format!(
                "{{ mint = {{ url = \"{url}\", values = {{ scopes = {scope} }}, headers = {{ Metadata-Flavor = \"Google\" }}, \
                 token = \"/access_token\", expires = \"/expires_in\" }} }}"
            )
        }
        "aws-web-identity" | "aws-role" => format!(
            "{{ sigv4 = {{ profile = \"p{number}\", region = {}, service = \"bedrock\", sts_url = \"https://sts.{{region}}.amazonaws.com\" }} }}",
            env("REGION")
        ),
        other => panic!("no such way: {other}"),
    }
}

/// A profile of the shared files, for the ways that have one.
fn profile(number: usize, settings: &Value, folder: &Path) -> String {
    let Some(role) = settings["role"].as_str() else { return String::new() };
    let text = |name: &str| settings[name].as_str();
    let line = |name: &str, value: Option<&str>| value.map_or(String::new(), |value| format!("{name} = {value}\n"));
    let mut lines = format!("[profile p{number}]\n{}", line("role_arn", Some(role)));
    lines += &line("role_session_name", text("session"));
    lines += &line("external_id", text("external"));
    lines += &line("duration_seconds", text("seconds"));
    if let Some(token) = text("token") {
        let path = folder.join(number.to_string());
        std::fs::write(&path, token).unwrap();
        return lines + &line("web_identity_token_file", path.to_str());
    }
    let key = &settings["key"];
    lines += &format!("source_profile = s{number}\n[profile s{number}]\n");
    lines += &line("aws_access_key_id", key["id"].as_str());
    lines += &line("aws_secret_access_key", key["secret"].as_str());
    lines + &line("aws_session_token", key["session"].as_str())
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// Parameters in the order of their names.
fn pairs(text: &str) -> Vec<(String, String)> {
    let split = |pair: &str| pair.split_once('=').map(|(name, value)| (decode(name), decode(value))).unwrap();
    let mut pairs: Vec<_> = text.split('&').filter(|pair| !pair.is_empty()).map(split).collect();
    pairs.sort();
    pairs
}

fn told(value: &Value) -> Vec<(String, String)> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Header and claims of a token, without what is made up for each.
fn open(token: &str) -> (Value, Value) {
    let part = |nth: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(nth).unwrap()).unwrap()).unwrap()
    };
    let (mut header, mut claims) = (part(0), part(1));
    assert!(claims["jti"].as_str().unwrap().len() >= 32, "{claims}");
    claims["jti"] = Value::Null;
    // The RFC has it without padding; one library pads.
    header["x5t"] = json!(header["x5t"].as_str().unwrap().trim_end_matches('='));
    (header, claims)
}

/// Both say the same, and ours is signed with the key.
fn compare_assertion(ours: &str, theirs: &str, pem: &str) {
    assert_eq!(open(ours), open(theirs));
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap() {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => panic!("another kind of key"),
    };
    let public = aws_lc_rs::signature::KeyPair::public_key(&key.unwrap()).as_ref().to_vec();
    let (text, signature) = ours.rsplit_once('.').unwrap();
    let check = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    check.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
}

fn compare_form(case: &Value, sent: &Sent) {
    let (ours, theirs) = (pairs(&sent.body), told(&case["expected"]["form"]));
    if case["input"]["way"] != "azure-certificate" {
        assert_eq!(ours, theirs, "{case}");
        return;
    }
    let without = |pairs: &[(String, String)]| -> Vec<(String, String)> {
        pairs.iter().filter(|(name, _)| name != "client_assertion").cloned().collect()
    };
    let assertion = |pairs: &[(String, String)]| pairs.iter().find(|(name, _)| name == "client_assertion").unwrap().1.clone();
    assert_eq!(without(&ours), without(&theirs), "{case}");
    compare_assertion(&assertion(&ours), &assertion(&theirs), case["input"]["settings"]["secret"].as_str().unwrap());
}

async fn compare(client: &Client, clock: &Hand, notes: &Notes, number: usize, case: &Value) {
    let (input, expected) = (&case["input"], &case["expected"]);
    clock.0.store(input["now_ms"].as_u64().unwrap(), Ordering::SeqCst);
    let answer = &input["answer"];
    *notes.token.lock().unwrap() = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    notes.sent.lock().unwrap().clear();
    client.chat(format!("h{number}/m"), "hi").await.unwrap_or_else(|error| panic!("{error}: {case}"));
    let sent = notes.sent.lock().unwrap().clone();
    let [asked, called] = sent.as_slice() else { panic!("{sent:?}") };
    let (address, query) = asked.url.split_once('?').unwrap_or((&asked.url, ""));
    assert_eq!((&*asked.method, address), (expected["method"].as_str().unwrap(), expected["address"].as_str().unwrap()));
    assert_eq!(pairs(query), told(&expected["query"]), "{case}");
    compare_form(case, asked);
    for (sent, wanted) in [(asked, &expected["headers"]), (called, &expected["call"])] {
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(sent.headers.get(name).map(|value| value.to_str().unwrap()), value.as_str(), "{name} of {case}");
        }
    }
    assert_eq!(asked.headers.contains_key("authorization"), expected["headers"]["authorization"].is_string(), "{case}");
    assert_eq!(called.headers.contains_key("x-goog-user-project"), !expected["call"]["x-goog-user-project"].is_null());
}

async fn compare_file(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let cases: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let folder = std::env::temp_dir().join(format!("trunkline-minted-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (mut config, mut variables, mut profiles) = (String::new(), Vec::new(), String::new());
    for (number, case) in cases.iter().enumerate() {
        let (way, settings) = (case["input"]["way"].as_str().unwrap(), &case["input"]["settings"]);
        let auth = auth(way, number, settings);
        config.push_str(&format!("[providers.h{number}]\nbase_url = \"{HOUSE}\"\ndialects = [\"openai-chat\"]\nauth = {auth}\n"));
        profiles.push_str(&profile(number, settings, &folder));
        for (name, value) in settings.as_object().unwrap() {
            let mut value = value.as_str().unwrap_or_default().to_owned();
            if way == "google-workload" && name == "file" {
                let path = folder.join(format!("{number}.token"));
                std::fs::write(&path, settings["token"].as_str().unwrap()).unwrap();
                value = value.replace("\"TOKEN\"", &json!(path.to_str().unwrap()).to_string());
            }
            variables.push((format!("V{number}_{}", name.to_ascii_uppercase()), value));
        }
    }
    let shared = folder.join("config");
    std::fs::write(&shared, profiles).unwrap();
    variables.push(("AWS_CONFIG_FILE".to_owned(), shared.to_str().unwrap().to_owned()));
    variables.push(("AWS_SHARED_CREDENTIALS_FILE".to_owned(), "/no/such/file".to_owned()));
    // What was written in this moment is waited for.
    tokio::time::sleep(Duration::from_millis(120)).await;
    let (notes, clock) = (Arc::new(Notes::default()), Arc::new(Hand::default()));
    let builder = Client::builder().config(Config::parse(&config, "test.toml").unwrap_or_else(|error| panic!("{error}")));
    let builder = builder.environment(Environment::of(variables)).transport(Arc::clone(&notes) as _);
    let client = builder.clock(Arc::clone(&clock) as _).build().unwrap();
    for (number, case) in cases.iter().enumerate() {
        compare(&client, &clock, &notes, number, case).await;
    }
    std::fs::remove_dir_all(&folder).unwrap();
    cases.len()
}

/// What was compared is the point of the longer run, so it says so.
#[allow(clippy::print_stdout)]
async fn compare_folder(folder: &Path) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("token")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 10, "a file a way: {files:?}");
    for path in files {
        let (count, name) = (compare_file(&path).await, path.file_stem().unwrap().to_str().unwrap());
        assert!(count >= 10, "{name}");
        println!("{count:4} requests by {name}: every parameter as the SDK has it");
    }
}

#[tokio::test]
async fn what_the_vendors_sdks_ask_for_tokens_is_asked_alike() {
    compare_folder(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/signing"))).await;
    if let Some(folder) = std::env::var_os("TRUNKLINE_SIGNED") {
        compare_folder(Path::new(&folder)).await;
    }
}
