//! No secret in play is shown by any error, however it is spelled by whoever repeats it.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use http::HeaderMap;
use trunkline::codec::dialect::{self, Head, Operation};
use trunkline::exchange::{Ask, exchange};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use super::{World, house};

/// Made up, with everything that is written in more than one way.
const SECRET: &str = "sk/fake+\"secret\\=&%2F";
const HEADER: &str = "x/header+\"value\\=&";
const TOKEN: &str = "tk/fake+\"token\\=&";

/// Ways in which servers write a text.
fn spellings(text: &str) -> Vec<String> {
    let json = serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
    let json = if text.ends_with('"') { format!("{json}\"") } else { json };
    let percent: String = text
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    vec![text.to_owned(), json.replace('/', "\\/"), json, percent]
}

fn secrets() -> Vec<String> {
    [SECRET, HEADER, TOKEN].into_iter().flat_map(spellings).collect()
}

/// All of them in one sentence of JSON.
fn repeated() -> String {
    let all: Vec<String> =
        secrets().iter().map(|secret| serde_json::to_string(secret).unwrap().trim_matches('"').to_owned()).collect();
    all.join(" ")
}

/// Every way in which a provider can fail with words of its own.
fn failures() -> Vec<(&'static str, Answer)> {
    let said = repeated();
    let error = format!(r#"{{"error":{{"message":"bad {said}","code":"{said}","param":"{said}","type":"t"}}}}"#);
    let slashed = error.replace('/', "\\/");
    let mut all = vec![
        ("an error in a stream", Answer::sse([format!("data: {error}\n\n")])),
        ("an error with status 200", Answer::json(200, error.clone())),
        ("something else with status 200", Answer::json(200, format!(r#"{{"hint":"{said}"}}"#))),
        ("a text with status 200", Answer::json(200, secrets().join(" "))),
        ("a page", Answer::html(502).body(format!("<html>{}</html>", secrets().join(" ")))),
        ("a text", Answer::status(500).body(secrets().join(" "))),
    ];
    all.extend([400, 401, 403, 404, 413, 429, 500, 503].map(|status| ("an error", Answer::json(status, error.clone()))));
    all.extend([400, 401, 500].map(|status| ("an error with slashes", Answer::json(status, slashed.clone()))));
    all
}

/// How credentials are written; `{server}` hands out tokens. A header that is called one is a secret, too.
const AUTHS: [&str; 8] = [
    "auth = { bearer = 'env:SECRET' }",
    "auth = { header = 'x-key', value = 'env:SECRET' }",
    "auth = { query = 'key', value = 'env:SECRET' }",
    "headers.x-more-secret = 'env:SECRET'\nauth = { bearer = 'env:OTHER' }",
    "headers.x-more-secret = 'env:SECRET'\nauth = { bearer = 'cmd:echo fake-command-key' }",
    "api_keys = ['env:SECRET', 'env:OTHER']",
    "auth = { oauth2 = { token_url = '{server}', client_id = 'id', client_secret = 'env:SECRET' } }",
    "auth = { mint = { url = '{server}', values = { key = 'env:SECRET' }, body = '{\"k\":\"{key}\"}', token = '/access_token', token_in = 'query:t' } }",
];

fn world(url: &str, server: &str, auth: &str) -> World {
    let variables = [("SECRET", SECRET), ("HEADER", HEADER), ("OTHER", "another-fake-key")];
    World::new(&house(url, &format!("headers.x-other-key = 'env:HEADER'\n{}", auth.replace("{server}", server))), &variables)
}

/// What anybody gets to see of a call that fails.
async fn shown(world: &World) -> Vec<String> {
    let mut shown = Vec::new();
    let mut note = |error: &trunkline::Error| {
        shown.push(format!("{error} {error:?} {}", serde_json::to_string(error).unwrap()));
    };
    // Targets that failed rest, and so do keys: by a clock that has to be moved on.
    let later = || world.clock.advance(7200);
    later();
    note(&world.call().await.unwrap_err());
    later();
    match world.client.chat("house/m", "hi").stream().await {
        Err(error) => note(&error),
        Ok(mut stream) => {
            while let Some(piece) = stream.next().await {
                piece.err().iter().for_each(&mut note);
            }
        }
    }
    later();
    note(&world.client.embed("house/m", ["hi"]).await.map(|_| ()).unwrap_err());
    let openai = dialect::find("openai-chat").unwrap();
    let (headers, body) = (HeaderMap::new(), bytes::Bytes::from_static(br#"{"model":"house/m","messages":[]}"#));
    let head = Head { path: "/v1/chat/completions", query: None, headers: &headers };
    let peek = openai.downstream().peek(&head, &body, Operation::Chat).unwrap();
    let target = world.client.plan("house/m").unwrap().remove(0);
    later();
    if let Err(failed) = exchange(&world.client, &target, openai, Ask::Forward { head, peek: &peek, body: &body }).await {
        note(&failed.error);
        shown.extend(failed.reply.map(|reply| format!("{reply:?} {}", String::from_utf8_lossy(&reply.body))));
    }
    shown.extend(world.notices());
    shown
}

#[tokio::test]
async fn no_error_shows_a_secret_in_any_spelling() {
    let token = serde_json::json!({ "access_token": TOKEN, "expires_in": 3600 }).to_string();
    let server = LocalProvider::start(Answer::json(200, token));
    let current = Arc::new(Mutex::new(Answer::status(500)));
    let answers = Arc::clone(&current);
    let provider = LocalProvider::start(move |_: &Seen| answers.lock().unwrap().clone());
    for auth in AUTHS {
        // What is in play: the words of the others are anybody's.
        let minted = auth.contains("{server}");
        let mut hidden = spellings(HEADER);
        hidden.extend(if auth.contains("SECRET") && !minted { spellings(SECRET) } else { Vec::new() });
        hidden.extend(if minted { [spellings(TOKEN), spellings(SECRET)].concat() } else { Vec::new() });
        let world = world(&provider.url(), &server.url(), auth);
        for (what, answer) in failures() {
            *current.lock().unwrap() = answer;
            for text in shown(&world).await {
                let twice = text.replace("\\\\", "\\").replace("\\\"", "\"");
                for secret in &hidden {
                    assert!(!text.contains(secret) && !twice.contains(secret), "{auth}, {what}: {secret} in {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_token_server_that_repeats_what_it_is_sent_shows_nothing() {
    let said = repeated();
    for body in [
        format!(r#"{{"error":"invalid_client","error_description":"no {said}"}}"#),
        format!(r#"{{"error":{{"code":"{said}","message":"{said}"}}}}"#).replace('/', "\\/"),
        secrets().join(" "),
    ] {
        let server = LocalProvider::start(Answer::json(401, body));
        for auth in AUTHS.into_iter().filter(|auth| auth.contains("{server}")) {
            let world = world("http://127.0.0.1:1", &server.url(), auth);
            let error = world.call().await.unwrap_err();
            let text = format!("{error} {error:?} {:?}", world.notices());
            let twice = text.replace("\\\\", "\\").replace("\\\"", "\"");
            for secret in spellings(SECRET) {
                assert!(!text.contains(&secret) && !twice.contains(&secret), "{auth}: {secret} in {text}");
            }
        }
    }
}

/// A call that carries the token before the last is not a stranger's.
#[tokio::test]
async fn a_token_that_was_renewed_meanwhile_is_hidden_still() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = LocalProvider::start(move |_: &Seen| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        Answer::json(200, format!(r#"{{"access_token":"fake-token-{number}","expires_in":3600}}"#))
    });
    let provider = LocalProvider::start(|seen: &Seen| {
        let token = seen.header("authorization").trim_start_matches("Bearer ").to_owned();
        let first = r#"data: {"choices":[{"index":0,"delta":{"content":"It"}}]}"#;
        let last = format!(r#"data: {{"error":{{"message":"the token {token} is over"}}}}"#);
        Answer::sse([format!("{first}\n\n"), format!("{last}\n\n")]).pause(std::time::Duration::from_millis(300))
    });
    let world = world(&provider.url(), &server.url(), AUTHS[6]);
    let mut stream = world.client.chat("house/m", "hi").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    world.clock.advance(3600);
    let _ = world.client.chat("house/m", "hi").stream().await.unwrap();
    let error = loop {
        if let Err(error) = stream.next().await.unwrap() {
            break error;
        }
    };
    assert_eq!(server.requests().len(), 2);
    assert!(error.message.contains("the token *** is over"), "{error}");
}
