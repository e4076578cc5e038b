//! What was recorded comes back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use trunkline::codec::dialect::{Operation, find};
use trunkline::exchange::{Ask, exchange};
use trunkline::ir::{Message, Request, Role};
use trunkline::transport::{Body, Payload, Reply, Sending, Transport};
use trunkline::{Client, Kind};
use trunkline_testkit::provider::{Answer, Ending, LocalProvider, Seen};
use trunkline_testkit::socket::{LocalSocket, Play};

use super::{Folder, builder, hear, listen};

const CHUNKS: [&str; 4] = [
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hal",
    "lo\"},\"finish_reason\":null}]}\n\n: a comment\r\n\r\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: [DONE]\n\n",
];

const WHOLE: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
    "message":{"role":"assistant","content":"Hello.","refusal":null},"logprobs":null,"finish_reason":"stop"}]}"#;

fn house(url: &str) -> String {
    format!(
        "[providers.house]\nbase_url = \"{url}/v1\"\ndialects = [\"openai-chat\"]\nauth = {{ bearer = \"env:HOUSE_KEY\" }}\nmodels = [\"tiny-*\"]\n[calls]\nattempts = 1\n"
    )
}

/// Answers by the prompt: a stream with pauses, one with bytes that are no text, a cut one, an error, nothing, all.
fn answer(seen: &Seen) -> Answer {
    let body = seen.json();
    let pause = Duration::from_millis(15);
    match body["messages"][0]["content"].as_str().unwrap() {
        "stream" => CHUNKS[1..].iter().fold(Answer::sse([CHUNKS[0]]), |answer, chunk| answer.pause(pause).chunks([*chunk])),
        "binary" => Answer::sse([&b"data: \xe4\xbd"[..], b"\xa0\xff\x00\n\n"]).header("x-own", "a, b"),
        "cut" => Answer::sse(CHUNKS).cut_after(200).ending(Ending::Reset),
        "limit" => {
            Answer::json(429, r#"{"error":{"message":"Slow down.","type":"rate_limit_error"}}"#).header("retry-after", "7")
        }
        "gone" => Answer::raw(""),
        _ => Answer::json(200, WHOLE),
    }
}

#[tokio::test]
async fn a_session_comes_back_byte_for_byte_without_a_provider_and_without_a_key() {
    let folder = Folder::new();
    let provider = LocalProvider::start(answer);
    let config = house(&provider.url());
    let (recording, told) = builder(&config, &[("HOUSE_KEY", "sk-house-1234567")]);
    let client = recording.record(&folder.0).build().unwrap();
    let asked = [("stream", true), ("binary", true), ("cut", true), ("limit", false), ("gone", false), ("whole", false)];
    let mut heard = Vec::new();
    for (prompt, stream) in asked {
        heard.push(hear(&client, "tiny-1", prompt, stream).await);
    }
    drop(client);
    drop(provider);
    assert_eq!(told.lock().unwrap().as_slice(), [] as [String; 0]);
    assert_eq!(folder.files().len(), asked.len(), "{:?}", folder.files());
    assert!(heard[2].as_ref().unwrap().broke.is_some(), "{heard:?}");
    assert!(heard[4].is_err(), "{heard:?}");

    // Nothing is there any more: no provider, no key. The bare name leads where the recordings do.
    let again = builder(&config, &[]).0.replay(&folder.0, false).build().unwrap();
    for (turn, (prompt, stream)) in asked.into_iter().enumerate() {
        assert_eq!(hear(&again, "tiny-1", prompt, stream).await, heard[turn], "{prompt}");
    }
    let error = again.chat("house/tiny-1", "limit").await.unwrap_err();
    assert_eq!((error.kind, error.status), (Kind::RateLimited, Some(429)));
    assert_eq!(error.retry, trunkline::Retry::After(Duration::from_secs(7)));
}

#[tokio::test]
async fn the_files_can_be_read_and_compared() {
    let folder = Folder::new();
    let provider = LocalProvider::start(answer);
    let client = builder(&house(&provider.url()), &[("HOUSE_KEY", "sk-house-1234567")]).0.record(&folder.0).build().unwrap();
    hear(&client, "tiny-1", "stream", true).await.unwrap();
    drop(client);
    let (name, text) = folder.files().remove(0);
    assert_eq!(name, "000001-house-tiny-1.json");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["trunkline_recording"], &value["target"]), (&1.into(), &"house/tiny-1".into()));
    assert_eq!(value["request"]["path"], "/chat/completions");
    assert_eq!(value["request"]["body"]["json"]["messages"][0]["content"], "stream");
    let headers = value["request"]["headers"].as_array().unwrap();
    assert!(headers.contains(&"authorization: ***".into()) && headers.contains(&"content-type: application/json".into()));
    assert_eq!((&value["reply"]["status"], &value["reply"]["end"]), (&200.into(), &"complete".into()));
    let pieces = value["reply"]["pieces"].as_array().unwrap();
    let text = |piece: &serde_json::Value| match &piece["text"] {
        serde_json::Value::Array(lines) => lines.iter().map(|line| line.as_str().unwrap()).collect::<String>(),
        line => line.as_str().unwrap().to_owned(),
    };
    assert_eq!(pieces.iter().map(text).collect::<String>(), CHUNKS.concat());
    let times: Vec<f64> = pieces.iter().map(|piece| piece["at_ms"].as_f64().unwrap()).collect();
    let end = value["reply"]["end_ms"].as_f64().unwrap();
    assert!(times.is_sorted() && *times.last().unwrap() <= end && end >= 45.0, "{times:?} {end}");
}

#[tokio::test]
async fn the_same_request_is_answered_in_order_and_another_not_at_all() {
    let folder = Folder::new();
    let provider = LocalProvider::start([
        Answer::json(503, "{}"),
        Answer::json(200, WHOLE),
        Answer::json(200, WHOLE.replace("Hello.", "Again.")),
    ]);
    let config = house(&provider.url());
    let client = builder(&config, &[("HOUSE_KEY", "sk-house-1234567")]).0.record(&folder.0).build().unwrap();
    for _ in 0..2 {
        let _ = client.chat("house/tiny-1", "same").await;
    }
    client.chat("house/tiny-1", "other").max_tokens(9).await.unwrap();
    drop(client);
    let requests = provider.requests().len();

    let again = builder(&config, &[]).0.replay(&folder.0, false).build().unwrap();
    let outcomes = || async { again.chat("house/tiny-1", "same").await.map(|reply| reply.text()).map_err(|error| error.status) };
    assert_eq!(outcomes().await, Err(Some(503)));
    assert_eq!(outcomes().await, Ok("Hello.".to_owned()));
    assert_eq!(outcomes().await, Ok("Hello.".to_owned()), "the last one stays");

    let error = again.chat("house/tiny-1", "others").max_tokens(9).await.unwrap_err();
    let expected = "the nearest is 000003-house-tiny-1.json, which differs in `messages[0].content` only";
    assert!(error.message.contains(expected) && error.message.contains("--record"), "{error}");
    assert!(error.message.contains("POST /chat/completions with house/tiny-1"), "{error}");
    assert_eq!((error.kind, error.retry), (Kind::NotFound, trunkline::Retry::Never));
    let error = again.chat("openai/gpt-4o", "same").await.unwrap_err();
    assert!(error.message.contains("no recording of this POST /chat/completions with openai/gpt-4o"), "{error}");
    assert_eq!(provider.requests().len(), requests, "nobody is contacted");
}

/// A provider in process, whose pieces come by the test's own clock.
struct Paced(Vec<(u64, &'static str)>, u64);

impl Transport for Paced {
    fn send(&self, _: http::Request<Payload>) -> Sending<'_> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(self.1)).await;
            let pieces = self.0.clone().into_iter();
            let stream = stream::unfold(pieces, |mut pieces| async {
                let (wait, piece) = pieces.next()?;
                tokio::time::sleep(Duration::from_millis(wait)).await;
                Some((Ok(Bytes::from_static(piece.as_bytes())), pieces))
            });
            let mut reply: Reply = http::Response::new(Body::stream(stream));
            reply.headers_mut().insert("content-type", http::HeaderValue::from_static("text/event-stream"));
            Ok(reply)
        })
    }
}

/// How long the head took, when each piece came after it, and when the end did.
type Times = (Duration, Vec<Duration>, Duration);

fn timed(client: &Client) -> Pin<Box<dyn Future<Output = Times> + '_>> {
    Box::pin(async {
        let target = client.plan("house/tiny-1").unwrap().remove(0);
        let messages = vec![Message::text(Role::User, "stream")];
        let request = Request { model: "tiny-1".to_owned(), messages, stream: true, ..Request::default() };
        let ask = Ask::Write { request: &request, operation: Operation::Chat, headers: None };
        let start = tokio::time::Instant::now();
        let answer = exchange(client, &target, find("openai-chat").unwrap(), ask).await.unwrap();
        let head = start.elapsed();
        let (pieces, broke, end) = listen(answer.body).await;
        assert!(broke.is_none());
        (head, pieces.into_iter().map(|(at, _)| at).collect(), end)
    })
}

#[tokio::test(start_paused = true)]
async fn with_timing_every_piece_comes_when_it_came() {
    let folder = Folder::new();
    let waits = vec![(0, CHUNKS[0]), (123, CHUNKS[1]), (2000, CHUNKS[2]), (7, CHUNKS[3])];
    let (recording, _) = builder(&house("http://127.0.0.1:9"), &[("HOUSE_KEY", "sk-house-1234567")]);
    let client = recording.transport(Arc::new(Paced(waits, 321))).record(&folder.0).build().unwrap();
    let recorded = timed(&client).await;
    drop(client);
    assert!(recorded.0 >= Duration::from_millis(321) && recorded.2 >= Duration::from_millis(2130), "{recorded:?}");

    let with = builder(&house("http://127.0.0.1:9"), &[]).0.replay(&folder.0, true).build().unwrap();
    for _ in 0..3 {
        let played = timed(&with).await;
        let near = |one: Duration, other: Duration| one.abs_diff(other) <= Duration::from_millis(5);
        assert!(near(played.0, recorded.0) && near(played.2, recorded.2), "{played:?} for {recorded:?}");
        assert_eq!(played.1.len(), recorded.1.len());
        for (one, other) in played.1.windows(2).zip(recorded.1.windows(2)) {
            assert!(near(one[1] - one[0], other[1] - other[0]), "{played:?} for {recorded:?}");
        }
    }
    let without = builder(&house("http://127.0.0.1:9"), &[]).0.replay(&folder.0, false).build().unwrap();
    let (head, pieces, end) = timed(&without).await;
    assert!(head + end < Duration::from_millis(5) && pieces.len() == 4, "{head:?} {pieces:?} {end:?}");
}

/// Over real sockets, by a real clock: printed rather than asserted, for a machine may be busy.
#[tokio::test]
async fn the_gaps_of_a_real_session_are_shown() {
    let folder = Folder::new();
    let provider = LocalProvider::start(answer);
    let config = house(&provider.url());
    let client = builder(&config, &[("HOUSE_KEY", "sk-house-1234567")]).0.record(&folder.0).build().unwrap();
    let recorded = timed(&client).await;
    drop(client);
    let again = builder(&config, &[]).0.replay(&folder.0, true).build().unwrap();
    let played = timed(&again).await;
    println!("recorded {:?}\nplayed   {:?}", recorded.1, played.1);
    assert_eq!(recorded.1.len(), played.1.len());
}

#[tokio::test]
async fn a_folder_that_is_no_good_is_said_at_the_start() {
    let config = house("http://127.0.0.1:9");
    let folder = Folder::new();
    let replay = |folder: &Folder| builder(&config, &[]).0.replay(&folder.0, false).build().map(|_| ()).unwrap_err().message;
    // What a killed process leaves behind is no recording.
    std::fs::write(folder.0.join(".000001-house-m.17.part"), "{\"trunkline_rec").unwrap();
    std::fs::write(folder.0.join("README.md"), "our recordings").unwrap();
    let client = builder(&config, &[]).0.replay(&folder.0, false).build().unwrap();
    let error = client.chat("house/m", "hi").await.unwrap_err();
    assert!(error.message.contains("the folder holds no recordings"), "{error}");
    std::fs::write(folder.0.join("000001-x.json"), "{}").unwrap();
    let said = replay(&folder);
    assert!(said.contains("000001-x.json is not a recording: missing field"), "{said}");
    let said = replay(&Folder(folder.0.join("absent")));
    assert!(said.contains("replay: cannot read the folder") && said.contains("absent"), "{said}");
    let both = builder(&config, &[]).0.replay(&folder.0, false).record(&folder.0).build().map(|_| ()).unwrap_err();
    assert!(both.message.contains("not a recording") || both.message.contains("exclude"), "{both}");
    let file = folder.0.join("README.md");
    let said = builder(&config, &[]).0.record(&file).build().map(|_| ()).unwrap_err().message;
    assert!(said.contains("record: cannot use the folder"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_kept_is_told_and_fails_no_call() {
    let folder = Folder::new();
    let provider = LocalProvider::start(answer);
    let (recording, told) = builder(&house(&provider.url()), &[("HOUSE_KEY", "sk-house-1234567")]);
    let client = recording.record(folder.0.join("in/here")).build().unwrap();
    std::fs::remove_dir_all(&folder.0).unwrap();
    assert_eq!(client.chat("house/tiny-1", "whole").await.unwrap().text(), "Hello.");
    drop(client);
    let told = told.lock().unwrap().join("\n");
    assert!(told.contains("record: exchange 1, with house/tiny-1, is not kept: "), "{told}");
}

#[tokio::test]
async fn more_is_added_behind_what_is_there() {
    let folder = Folder::new();
    let provider = LocalProvider::start(answer);
    for _ in 0..2 {
        let client = builder(&house(&provider.url()), &[("HOUSE_KEY", "sk-house-1234567")]).0.record(&folder.0).build().unwrap();
        client.chat("house/tiny-1", "whole").await.unwrap();
    }
    let names: Vec<String> = folder.files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["000001-house-tiny-1.json", "000002-house-tiny-1.json"]);
}

/// A caller who leaves has heard what is kept.
#[tokio::test]
async fn a_reply_that_was_left_is_kept_as_far_as_it_came() {
    let folder = Folder::new();
    let provider = LocalProvider::start(|_: &Seen| Answer::sse([CHUNKS[0]]).pause(Duration::from_secs(60)).chunks([CHUNKS[1]]));
    let client = builder(&house(&provider.url()), &[("HOUSE_KEY", "sk-house-1234567")]).0.record(&folder.0).build().unwrap();
    let target = client.plan("house/tiny-1").unwrap().remove(0);
    let request = Request { model: "tiny-1".to_owned(), stream: true, ..Request::default() };
    let ask = Ask::Write { request: &request, operation: Operation::Chat, headers: None };
    let mut answer = exchange(&client, &target, find("openai-chat").unwrap(), ask).await.unwrap();
    answer.body.chunk().await.unwrap().unwrap();
    drop(answer);
    drop(client);
    drop(target);
    let (_, text) = folder.files().remove(0);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["reply"]["end"], value["reply"]["pieces"].as_array().unwrap().len()), (&"left".into(), 1));
}

/// A conversation over a WebSocket is kept as any other: a message out, messages in. What is put into its body for the
/// account is a secret, and not needed to find it again.
#[tokio::test]
async fn a_web_socket_is_played_back_too() {
    let folder = Folder::new();
    let lines = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/spark/text/reply.ndjson");
    let lines = std::fs::read_to_string(lines).unwrap();
    let provider = LocalSocket::start(move |_: &Seen| Play::new().say_lines(&lines));
    let config = format!(
        "[providers.house]\nbase_url = \"{}\"\ndialects = [\"spark\"]\nbody_values = {{ \"/header/app_id\" = \"env:APP\" }}\n\
         auth = {{ url_hmac = {{ access_key = 'env:ID', secret_key = 'env:SECRET' }} }}\n",
        provider.url()
    );
    let keys = [("APP", "app7"), ("ID", "AKFAKE0123456789"), ("SECRET", "socket-secret-0123456789")];
    let client = builder(&config, &keys).0.record(&folder.0).build().unwrap();
    assert_eq!(client.chat("house/m", "Weather?").await.unwrap().text(), "It rains.");
    drop(client);
    let sent = provider.requests().remove(0);
    assert_eq!(sent.json()["header"]["app_id"], "app7");
    let query = sent.path.split_once('?').unwrap().1.to_owned();
    drop(provider);
    let (_, text) = folder.files().remove(0);
    let secrets = query.split('&').filter_map(|pair| pair.strip_prefix("authorization="));
    for secret in secrets.chain(["\"app7\"", "socket-secret-0123456789"]) {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    let again = builder(&config, &[]).0.replay(&folder.0, false).build().unwrap();
    assert_eq!(again.chat("house/m", "Weather?").await.unwrap().text(), "It rains.");
    let error = again.chat("house/m", "Snow?").await.unwrap_err();
    assert!(error.message.contains("000001-house-m.json, which differs in `payload.message.text[0].content` only"), "{error}");
}

/// A token that was refused, and the request made again with a new one: that is one call, and its answer the second.
#[tokio::test]
async fn a_refused_credential_is_passed_over() {
    let folder = Folder::new();
    let minted = AtomicUsize::new(0);
    let tokens = LocalProvider::start(move |_: &Seen| {
        let turn = minted.fetch_add(1, Ordering::SeqCst);
        Answer::json(200, format!(r#"{{"access_token":"minted-token-{turn}","token_type":"Bearer","expires_in":3600}}"#))
    });
    let provider = LocalProvider::start(|seen: &Seen| match seen.header("authorization") {
        "Bearer minted-token-0" => Answer::json(401, r#"{"error":{"message":"revoked","type":"x"}}"#),
        _ => Answer::json(200, WHOLE),
    });
    let auth = format!("oauth2 = {{ token_url = '{}/token', client_id = 'me', client_secret = 'env:SECRET' }}", tokens.url());
    let config = house(&provider.url()).replace("bearer = \"env:HOUSE_KEY\"", &auth);
    let client = builder(&config, &[("SECRET", "the-client-secret")]).0.record(&folder.0).build().unwrap();
    assert_eq!(client.chat("house/tiny-1", "hi").await.unwrap().text(), "Hello.");
    drop(client);
    assert_eq!(folder.files().len(), 2);
    let again = builder(&config, &[]).0.replay(&folder.0, false).build().unwrap();
    assert_eq!(again.chat("house/tiny-1", "hi").await.unwrap().text(), "Hello.");
    assert_eq!(tokens.requests().len(), 2, "no token is needed");
}

/// However it was that another key was tried; and a refusal that the caller has heard stays one.
#[tokio::test]
async fn a_replay_tells_callers_what_the_session_told_them() {
    let spent = |status, body| {
        move |seen: &Seen| match seen.header("authorization") {
            "Bearer sk-alpha-1234567" => Answer::json(status, body),
            _ => Answer::json(200, WHOLE),
        }
    };
    for (status, body) in [
        (429, r#"{"error":{"message":"slow down"}}"#),
        (402, r#"{"error":{"message":"no credit"}}"#),
        (403, r#"{"error":{"message":"no"}}"#),
        (200, r#"{"base_resp":{"status_code":1002,"status_msg":"slow down"}}"#),
    ] {
        let folder = Folder::new();
        let provider = LocalProvider::start(spent(status, body));
        let keys = "api_keys = [\"sk-alpha-1234567\", \"sk-bravo-1234567\"]\nquirks = { errors_in_success = true }\nauth";
        let config = house(&provider.url()).replace("auth", keys);
        let client = builder(&config, &[("HOUSE_KEY", "unused-1234567")]).0.record(&folder.0).build().unwrap();
        assert_eq!(client.chat("house/tiny-1", "hi").await.unwrap().text(), "Hello.", "{status}");
        drop(client);
        assert_eq!(folder.files().len(), 2);
        let again = builder(&config, &[]).0.replay(&folder.0, false).build().unwrap();
        assert_eq!(again.chat("house/tiny-1", "hi").await.unwrap().text(), "Hello.", "{status}");
    }
    let folder = Folder::new();
    let provider = LocalProvider::start([Answer::json(401, "{}"), Answer::json(200, WHOLE)]);
    let config = house(&provider.url());
    let told = |client: Client| async move {
        let mut told = Vec::new();
        for _ in 0..2 {
            told.push(client.chat("house/tiny-1", "hi").await.map(|reply| reply.text()).map_err(|error| error.status));
        }
        told
    };
    let session = told(builder(&config, &[("HOUSE_KEY", "sk-alpha-1234567")]).0.record(&folder.0).build().unwrap()).await;
    assert_eq!(session, [Err(Some(401)), Ok("Hello.".to_owned())]);
    assert_eq!(told(builder(&config, &[]).0.replay(&folder.0, false).build().unwrap()).await, session);
}

/// Words that we write ourselves are no secrets, even where a key is spelt like one of them.
#[tokio::test]
async fn a_key_may_be_a_word_of_ours() {
    let provider = LocalProvider::start(answer);
    for key in ["trunkline", "openai-chat", "recorded", "house/tiny-1"] {
        let folder = Folder::new();
        let (recording, told) = builder(&house(&provider.url()), &[("HOUSE_KEY", key)]);
        let client = recording.record(&folder.0).build().unwrap();
        client.chat("house/tiny-1", "whole").await.unwrap();
        drop(client);
        assert_eq!((folder.files().len(), told.lock().unwrap().join("")), (1, String::new()), "{key}");
        let text = folder.files().remove(0).1;
        let said = text.split_once("\"request\"").unwrap().1;
        assert!(!said.contains(key), "{said}");
    }
}

#[tokio::test]
async fn two_processes_may_write_into_one_folder_and_numbers_may_grow() {
    let folder = Folder::new();
    let turns = AtomicUsize::new(0);
    let provider = LocalProvider::start(move |_: &Seen| {
        Answer::json(200, WHOLE.replace("Hello.", &turns.fetch_add(1, Ordering::SeqCst).to_string()))
    });
    let config = house(&provider.url());
    let client = || builder(&config, &[("HOUSE_KEY", "sk-house-1234567")]).0.record(&folder.0).build().unwrap();
    let (one, other) = (client(), client());
    for _ in 0..2 {
        one.chat("house/tiny-1", "hi").await.unwrap();
        // The first is written before the second asks for its name.
        tokio::time::sleep(Duration::from_millis(100)).await;
        other.chat("house/tiny-1", "hi").await.unwrap();
    }
    drop((one, other));
    let path = |name: &str| folder.0.join(name);
    std::fs::rename(path("000002-house-tiny-1.json"), path("999999-house-tiny-1.json")).unwrap();
    std::fs::rename(path("000002-house-tiny-1+2.json"), path("1000000-house-tiny-1.json")).unwrap();
    let again = builder(&config, &[]).0.replay(&folder.0, false).build().unwrap();
    for turn in 0..4 {
        assert_eq!(again.chat("house/tiny-1", "hi").await.unwrap().text(), turn.to_string());
    }
}

/// A request that is too long to be held costs its recording and nothing else.
#[tokio::test]
async fn a_long_upload_is_not_held() {
    let folder = Folder::new();
    let provider = LocalProvider::start(Answer::json(200, WHOLE));
    let (recording, told) = builder(&house(&provider.url()), &[("HOUSE_KEY", "sk-house-1234567")]);
    let client = recording.record(&folder.0).build().unwrap();
    let target = client.plan("house/tiny-1").unwrap().remove(0);
    let piece = Bytes::from(vec![b'a'; 1024 * 1024]);
    let pieces = stream::iter((0..65).map(move |_| Ok(piece.clone())));
    let payload = Payload::stream(Vec::new(), pieces, Some(65 * 1024 * 1024));
    let parcel = trunkline::exchange::Parcel {
        method: http::Method::POST,
        path: "/files".to_owned(),
        headers: http::HeaderMap::new(),
        payload,
    };
    let reply =
        trunkline::operate::pass_through(&client, &target, parcel).await.unwrap_or_else(|failed| panic!("{}", failed.error));
    reply.into_body().collect(1024 * 1024).await.unwrap();
    client.chat("house/tiny-1", "hi").await.unwrap();
    drop((client, target));
    assert_eq!(folder.files().len(), 1);
    assert!(told.lock().unwrap().join("").contains("exchange 1, with house/tiny-1, is not kept: its request is too long"));
}
