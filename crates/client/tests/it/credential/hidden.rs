//! Refusals that come with status 200.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use trunkline::codec::dialect::{self, Head, Operation};
use trunkline::exchange::{Ask, exchange};
use trunkline::relay::{Whole, whole};
use trunkline::{Error, Kind, Piece};
use trunkline_testkit::provider::{Answer, Ending, LocalProvider, Seen};

use super::{ANSWER, World, house};

fn fixture(path: &str) -> String {
    let path = format!("{}/../../fixtures/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A dialect, its refusal of a key, its code in there, and a good answer with what it says.
struct Manner {
    dialect: &'static str,
    refusal: fn(&str) -> String,
    code: &'static str,
    answer: fn() -> String,
    text: &'static str,
}

const MANNERS: [Manner; 4] = [
    Manner {
        dialect: "qianfan",
        refusal: |key| format!(r#"{{"error_code":110,"error_msg":"Access token invalid: {key}"}}"#),
        code: "110",
        answer: || fixture("qianfan/text/reply.json"),
        text: "It rains.",
    },
    Manner {
        dialect: "hunyuan",
        refusal: |key| {
            format!(
                r#"{{"Response":{{"Error":{{"Code":"AuthFailure.SecretIdNotFound","Message":"no {key}"}},"RequestId":"r"}}}}"#
            )
        },
        code: "AuthFailure.SecretIdNotFound",
        answer: || fixture("hunyuan/text/reply.json"),
        text: "It rains.",
    },
    Manner {
        dialect: "dashscope",
        refusal: |key| format!(r#"{{"code":"InvalidApiKey","message":"Invalid API-key {key}","request_id":"r"}}"#),
        code: "InvalidApiKey",
        answer: || fixture("dashscope/thinking/reply.json"),
        text: "It rains.",
    },
    Manner {
        dialect: "openai-chat",
        refusal: |key| format!(r#"{{"choices":null,"base_resp":{{"status_code":1004,"status_msg":"login fail: {key}"}}}}"#),
        code: "1004",
        answer: || ANSWER.to_owned(),
        text: "Hello.",
    },
];

fn key_of(seen: &Seen) -> String {
    seen.header("authorization").trim_start_matches("Bearer ").to_owned()
}

fn world(dialect: &str, url: &str, auth: &str) -> World {
    let quirks = if dialect == "openai-chat" { "\n[providers.house.quirks]\nerrors_in_success = true" } else { "" };
    World::new(
        &format!("[providers.house]\nbase_url = \"{url}\"\ndialects = [\"{dialect}\"]\n{auth}\n{quirks}\n"),
        &[("SK", "s-secret")],
    )
}

async fn stream(world: &World) -> Result<String, Error> {
    let mut stream = world.client.chat("house/m", "hi").stream().await?;
    let mut text = String::new();
    while let Some(piece) = stream.next().await {
        if let Piece::Text(more) = piece? {
            text.push_str(&more);
        }
    }
    Ok(text)
}

/// The first 8 digits of `printf key-bravo | sha256sum`.
const BRAVO: &str = "3c9ab181";

#[tokio::test]
async fn a_key_refused_with_status_200_rests_and_the_other_carries_on() {
    for Manner { dialect, refusal, code, answer, text } in MANNERS {
        for streams in [false, true] {
            // A whole answer is given to those who asked for a stream, too.
            let provider = LocalProvider::start(move |seen: &Seen| {
                Answer::json(200, if key_of(seen) == "key-bravo" { refusal("key-bravo") } else { answer() })
            });
            let world = world(dialect, &provider.url(), "api_keys = ['key-alpha', 'key-bravo']");
            for _ in 0..6 {
                let said = if streams { stream(&world).await } else { world.call().await };
                assert_eq!(said.unwrap_or_else(|error| panic!("{dialect} {streams}: {error}")), text);
            }
            let bravo = provider.requests().iter().filter(|seen| key_of(seen) == "key-bravo").count();
            assert_eq!((bravo, provider.requests().len()), (1, 7), "{dialect}: tried once, then at rest");
            let wanted = format!(
                "house: the credential {BRAVO} was rejected (error {code} with HTTP 200); it rests for 60 s and the others carry on"
            );
            assert_eq!(world.notices(), [wanted]);
        }
    }
}

#[tokio::test]
async fn when_it_is_the_only_one_the_error_names_it_and_hides_it() {
    for Manner { dialect, refusal, .. } in MANNERS {
        let provider = LocalProvider::start(move |_: &Seen| Answer::json(200, refusal("key-bravo")));
        let world = world(dialect, &provider.url(), "api_key = 'key-bravo'");
        for error in [world.call().await.unwrap_err(), stream(&world).await.unwrap_err()] {
            assert_eq!((error.kind, error.provider.as_deref()), (Kind::Unauthenticated, Some("house")), "{dialect}: {error:?}");
            assert!(error.message.ends_with(&format!("*** (credential {BRAVO})")), "{dialect}: {error}");
            assert!(!format!("{error:?}").contains("key-bravo"), "{error:?}");
        }
        assert_eq!((world.notices().len(), provider.requests().len()), (1, 2), "{dialect}");
    }
}

/// A token server whose tokens go into the address, and a provider that forgets all but the last of them.
fn by_query(code: u32, forgets: Arc<Mutex<bool>>) -> (LocalProvider, LocalProvider) {
    let (minted, good) = (AtomicUsize::new(0), Arc::new(Mutex::new(String::new())));
    let known = Arc::clone(&good);
    let server = LocalProvider::start(move |_: &Seen| {
        let token = format!("24.token-{}", minted.fetch_add(1, Ordering::SeqCst) + 1);
        known.lock().unwrap().clone_from(&token);
        Answer::json(200, format!(r#"{{"access_token":"{token}","expires_in":2592000}}"#))
    });
    let provider = LocalProvider::start(move |seen: &Seen| {
        let carried = seen.path.split_once("access_token=").map(|(_, token)| token.to_owned()).unwrap_or_default();
        let good = good.lock().unwrap().clone();
        if std::mem::take(&mut *forgets.lock().unwrap()) || carried != good {
            return Answer::json(200, format!(r#"{{"error_code":{code},"error_msg":"Access token {carried} is no good"}}"#));
        }
        Answer::json(200, fixture("qianfan/text/reply.json"))
    });
    (server, provider)
}

#[tokio::test]
async fn a_token_refused_with_status_200_is_renewed_once_and_the_call_repeated() {
    for code in [110, 111] {
        let forgets = Arc::new(Mutex::new(false));
        let (server, provider) = by_query(code, Arc::clone(&forgets));
        let auth = format!(
            "auth = {{ oauth2 = {{ token_url = \"{}/token\", client_id = \"me\", client_secret = \"env:SK\", \
             client_auth = \"query\", token_in = \"query:access_token\" }} }}",
            server.url()
        );
        let world = world("qianfan", &provider.url(), &auth);
        for round in 0..3 {
            assert_eq!(world.call().await.unwrap(), "It rains.");
            *forgets.lock().unwrap() = true;
            assert_eq!(stream(&world).await.unwrap(), "It rains.", "{code}, round {round}");
        }
        assert_eq!((server.requests().len(), provider.requests().len()), (4, 9), "one renewal a time");
        assert!(world.notices().is_empty(), "{:?}", world.notices());
    }
}

#[tokio::test]
async fn a_token_that_is_refused_for_ever_is_not_asked_for_for_ever() {
    let server = LocalProvider::start(|_: &Seen| Answer::json(200, r#"{"access_token":"24.the-token","expires_in":2592000}"#));
    let provider = LocalProvider::start(|seen: &Seen| {
        Answer::json(200, format!(r#"{{"error_code":110,"error_msg":"bad: {}"}}"#, seen.path))
    });
    let auth = format!(
        "auth = {{ oauth2 = {{ token_url = \"{}\", client_id = \"me\", client_secret = \"env:SK\", token_in = \"query:t\" }} }}",
        server.url()
    );
    let world = world("qianfan", &provider.url(), &auth);
    for _ in 0..10 {
        let error = world.call().await.unwrap_err();
        assert_eq!(error.kind, Kind::Unauthenticated);
        assert!(!format!("{error:?}").contains("24.the-token"), "{error:?}");
    }
    assert!(server.requests().len() <= 4, "{} tokens for calls that fail anyway", server.requests().len());
    assert!(world.notices()[0].contains("was rejected (error 110 with HTTP 200); it is the only one"), "{:?}", world.notices());
}

#[tokio::test]
async fn other_errors_with_status_200_are_what_they_are_and_no_key_is_rejected_for_them() {
    let told = [
        ("qianfan", r#"{"error_code":18,"error_msg":"qps limit"}"#, Kind::RateLimited),
        ("qianfan", r#"{"error_code":17,"error_msg":"daily limit"}"#, Kind::QuotaExhausted),
        ("qianfan", r#"{"error_code":336100,"error_msg":"busy"}"#, Kind::Overloaded),
        ("hunyuan", r#"{"Response":{"Error":{"Code":"LimitExceeded","Message":"slow down"}}}"#, Kind::RateLimited),
        ("hunyuan", r#"{"Response":{"Error":{"Code":"OperationDenied.TextIllegalDetected","Message":"no"}}}"#, Kind::Filtered),
        ("dashscope", r#"{"code":"Throttling.RateQuota","message":"slow down"}"#, Kind::RateLimited),
        ("dashscope", r#"{"code":"InvalidParameter","message":"no"}"#, Kind::BadRequest),
        ("openai-chat", r#"{"base_resp":{"status_code":1002,"status_msg":"slow down"}}"#, Kind::RateLimited),
        ("openai-chat", r#"{"base_resp":{"status_code":1008,"status_msg":"no balance"}}"#, Kind::QuotaExhausted),
    ];
    for (dialect, body, kind) in told {
        let provider = LocalProvider::start(move |_: &Seen| Answer::json(200, body));
        let world = world(dialect, &provider.url(), "api_keys = ['key-alpha', 'key-bravo']");
        let error = if kind == Kind::RateLimited { stream(&world).await.map(|_| ()) } else { world.call().await.map(|_| ()) };
        let error = error.unwrap_err();
        assert_eq!((error.kind, error.provider.as_deref()), (kind, Some("house")), "{dialect} {body}: {error:?}");
        assert!(!error.message.contains("credential"), "{error}");
        // Where one has had its share, the other may not.
        let is_spent = [Kind::RateLimited, Kind::QuotaExhausted].contains(&kind);
        assert_eq!((provider.requests().len(), world.notices().len()), (1 + usize::from(is_spent), 0), "{dialect} {body}");
    }
}

/// A caller's own request, in the lane that passes bytes on.
async fn pass(world: &World, body: &'static str) -> trunkline::exchange::Answer {
    let openai = dialect::find("openai-chat").unwrap();
    let (headers, body) = (http::HeaderMap::new(), bytes::Bytes::from_static(body.as_bytes()));
    let head = Head { path: "/v1/chat/completions", query: None, headers: &headers };
    let peek = openai.downstream().peek(&head, &body, Operation::Chat).unwrap();
    let target = world.client.plan("house/m").unwrap().remove(0);
    let ask = Ask::Forward { head, peek: &peek, body: &body };
    exchange(&world.client, &target, openai, ask).await.unwrap_or_else(|failed| panic!("{}", failed.error))
}

#[tokio::test]
async fn good_answers_stay_as_they_came() {
    let odd = format!(" \n{}\n", ANSWER.replace("Hello.", &format!("error_code 110 \\u00e9 {}", "long ".repeat(20_000))));
    for body in [ANSWER.to_owned(), odd] {
        let sent = body.clone();
        let provider = LocalProvider::start(move |_: &Seen| Answer::json(200, sent.clone()));
        let world = world("openai-chat", &provider.url(), "api_key = 'key-bravo'");
        let answer = pass(&world, r#"{"model":"house/m","messages":[]}"#).await;
        let Whole::Same { body: came, .. } = whole(answer, 1 << 20).await.unwrap() else { panic!("another lane") };
        assert!(came == body.as_bytes());
    }
    // A stream is handed on as it comes: this one never ends.
    let chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"It\"}}]}\n\n";
    let provider = LocalProvider::start(Answer::sse([chunk.to_owned()]).ending(Ending::Hang));
    let world = world("openai-chat", &provider.url(), "api_key = 'key-bravo'");
    let mut answer = pass(&world, r#"{"model":"house/m","messages":[],"stream":true}"#).await;
    let first = tokio::time::timeout(std::time::Duration::from_secs(5), answer.body.chunk()).await.unwrap();
    assert_eq!(first.unwrap().unwrap(), chunk);
}

/// A plain id that a variable holds may be named in an error; what is called a secret, or kept apart as one, may not.
#[tokio::test]
async fn ids_in_errors_stay_and_secrets_in_headers_do_not() {
    let file = std::env::temp_dir().join(format!("trunkline-plain-{}", std::process::id()));
    std::fs::write(&file, "from-a-file-0123").unwrap();
    let said = r#"{"error":{"message":"org-of-mine-0123 has no access","code":"from-a-file-0123","param":"a-team-token-0123"}}"#;
    for header in ["openai-organization = 'env:ORG'", "openai-organization = 'org-of-mine-0123'"] {
        let config = format!("headers = {{ {header} }}\napi_key = 'sk-house-0123456789'");
        let provider = LocalProvider::start(move |_: &Seen| Answer::json(400, said));
        let world = World::new(&house(&provider.url(), &config), &[("ORG", "org-of-mine-0123")]);
        let failed = refused(&world).await;
        assert_eq!(failed.reply.map(|reply| reply.body), Some(bytes::Bytes::from(said)), "it passes as it came");
        assert!(failed.error.message.contains("org-of-mine-0123"));
    }
    let file_header = format!("x-own = 'file:{}'", file.display());
    for (header, secret) in [
        ("x-team-Token = 'env:TEAM'", "a-team-token-0123"),
        ("x-team-key = 'a-team-token-0123'", "a-team-token-0123"),
        (file_header.as_str(), "from-a-file-0123"),
        ("x-own = 'cmd:echo from-a-file-0123'", "from-a-file-0123"),
    ] {
        let provider = LocalProvider::start(move |_: &Seen| Answer::json(400, said));
        let config = format!("headers = {{ {header} }}\napi_key = 'sk-house-0123456789'");
        let world = World::new(&house(&provider.url(), &config), &[("TEAM", "a-team-token-0123")]);
        let failed = refused(&world).await;
        assert!(failed.reply.is_none() && !format!("{:?}", failed.error).contains(secret), "{header}: {:?}", failed.error);
    }
    std::fs::remove_file(&file).unwrap();
}

/// What came of a caller's own request, in the lane that passes bytes on.
async fn refused(world: &World) -> trunkline::exchange::Failed {
    let openai = dialect::find("openai-chat").unwrap();
    let (headers, body) = (http::HeaderMap::new(), bytes::Bytes::from_static(br#"{"model":"m","messages":[]}"#));
    let head = Head { path: "/v1/chat/completions", query: None, headers: &headers };
    let peek = openai.downstream().peek(&head, &body, Operation::Chat).unwrap();
    let target = world.client.plan("house/m").unwrap().remove(0);
    match exchange(&world.client, &target, openai, Ask::Forward { head, peek: &peek, body: &body }).await {
        Ok(_) => panic!("it is refused"),
        Err(failed) => failed,
    }
}
