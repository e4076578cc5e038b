//! Dialects that only providers speak, over sockets: local servers that play the vendor with the quirks of its streams.

use futures_util::StreamExt;
use serde_json::{Value, json};
use trunkline::config::{Config, Environment};
use trunkline::{Client, Kind, Piece, Retry};
use trunkline_testkit::guard::{Check, Guard, Pair, scoped, url::UrlHmac};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};
use trunkline_testkit::socket::{Ending, LocalSocket, Play};

/// A client of one provider, `house`, that speaks `dialect` at `url`.
fn client(dialect: &str, url: &str, more: &str) -> Client {
    signing(dialect, url, "bearer = \"env:HOUSE\"", more)
}

/// The same with another way of being recognised.
fn signing(dialect: &str, url: &str, auth: &str, more: &str) -> Client {
    let text = format!("[providers.house]\nbase_url = \"{url}\"\ndialects = [\"{dialect}\"]\nauth = {{ {auth} }}\n{more}");
    let config = Config::parse(&text, "trunkline.toml").unwrap();
    let variables = Environment::of([("HOUSE", "sk-house"), ("APP", "app-7")]);
    Client::builder().config(config).environment(variables).build().unwrap()
}

fn fixture(path: &str) -> String {
    let path = format!("{}/../../fixtures/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Everything that a stream gives: thinking, text, calls, and its error.
async fn hear(client: &Client, model: &str) -> (String, String, Vec<(String, String)>, Option<trunkline::Error>) {
    let (mut thought, mut text, mut calls) = (String::new(), String::new(), Vec::new());
    let mut stream = match client.chat(model, "Weather in Bonn?").stream().await {
        Ok(stream) => stream,
        Err(error) => return (thought, text, calls, Some(error)),
    };
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(Piece::Text(more)) => text.push_str(&more),
            Ok(Piece::Reasoning(more)) => thought.push_str(&more),
            Ok(Piece::ToolCall { name, arguments, .. }) => calls.push((name, arguments)),
            Ok(_) => {}
            Err(error) => return (thought, text, calls, Some(error)),
        }
    }
    (thought, text, calls, None)
}

fn sse(body: &str) -> Answer {
    Answer::sse([body.to_owned()])
}

#[tokio::test]
async fn dashscope_is_asked_in_headers_and_heard_in_either_manner() {
    let provider = LocalProvider::start(|seen: &Seen| {
        let body = seen.json();
        assert_eq!(seen.header("authorization"), "Bearer sk-house");
        assert_eq!(seen.path, "/api/v1/services/aigc/text-generation/generation");
        assert!(body.get("stream").is_none(), "a header says so: {body}");
        if seen.header("x-dashscope-sse") != "enable" {
            return Answer::json(200, fixture("dashscope/thinking/reply.json"));
        }
        assert_eq!((seen.header("accept"), &body["parameters"]["incremental_output"]), ("text/event-stream", &json!(true)));
        match body["model"].as_str().unwrap() {
            "thinking" => sse(&fixture("dashscope/thinking/reply.sse")),
            "tools" => sse(&fixture("dashscope/tools-cumulative/reply.sse")),
            "cumulative" => sse(&fixture("dashscope/cumulative/reply.sse")),
            "broken" => sse(&fixture("dashscope/error-midstream/reply.sse")),
            "cut" => sse(&fixture("dashscope/truncated/reply.sse")),
            _ => Answer::json(200, fixture("dashscope/error-200/reply.json")),
        }
    });
    let quirks = "[providers.house.quirks.models]\n\"cumulative\" = { chunks = \"whole\" }\n\"tools\" = { chunks = \"whole\" }\n";
    let client = client("dashscope", &format!("{}/api/v1", provider.url()), quirks);
    let reply = client.chat("house/thinking", "Weather?").await.unwrap();
    assert_eq!(reply.text(), "It rains.");
    assert_eq!(reply.response.usage.unwrap().reasoning, Some(7));
    let (thought, text, _, error) = hear(&client, "house/thinking").await;
    assert_eq!((thought.as_str(), text.as_str(), error), ("Bonn is wet.", "It rains.", None));
    assert_eq!(hear(&client, "house/cumulative").await.1, "It rains.");
    let calls = hear(&client, "house/tools").await.2;
    assert_eq!(calls, [("weather".to_owned(), "{\"city\": \"Bonn\"}".to_owned())]);
    let (_, text, _, error) = hear(&client, "house/broken").await;
    assert_eq!((text.as_str(), error.unwrap().kind), ("It", Kind::RateLimited));
    assert_eq!(hear(&client, "house/cut").await.3.unwrap().kind, Kind::Truncated);
    assert_eq!(hear(&client, "house/wrong").await.3.unwrap().kind, Kind::BadRequest);
}

#[tokio::test]
async fn hunyuan_names_its_action_and_fails_with_status_200() {
    let provider = LocalProvider::start(|seen: &Seen| {
        assert_eq!((seen.path.as_str(), seen.header("x-tc-action")), ("/", "ChatCompletions"));
        assert_eq!(seen.header("x-tc-version"), "2023-09-01");
        let body = seen.json();
        match (body["Model"].as_str().unwrap(), body["Stream"] == true) {
            ("text", false) => Answer::json(200, fixture("hunyuan/text/reply.json")),
            ("text", true) => sse(&fixture("hunyuan/tab-separator/reply.sse")),
            ("tools", _) => sse(&fixture("hunyuan/tools-two/reply.sse")),
            ("broken", _) => sse(&fixture("hunyuan/error-midstream/reply.sse")),
            (name, _) => Answer::json(200, fixture(&format!("hunyuan/error-200-{name}/reply.json"))),
        }
    });
    let client = client("hunyuan", &provider.url(), "");
    let reply = client.chat("house/text", "Weather?").max_tokens(9).await.unwrap();
    assert_eq!(reply.text(), "It rains.");
    assert!(reply.losses.iter().any(|loss| loss.field == "max_tokens"), "{:?}", reply.losses);
    assert_eq!(hear(&client, "house/text").await.1, "It.");
    assert_eq!(hear(&client, "house/tools").await.2.len(), 2);
    assert_eq!(hear(&client, "house/broken").await.3.unwrap().kind, Kind::Server);
    let kinds = [
        ("signature", Kind::Unauthenticated, Retry::Never),
        ("limit", Kind::RateLimited, Retry::Backoff),
        ("arrears", Kind::QuotaExhausted, Retry::Never),
        ("illegal", Kind::Filtered, Retry::Never),
    ];
    for (name, kind, retry) in kinds {
        let error = hear(&client, &format!("house/{name}")).await.3.unwrap();
        assert_eq!((error.kind, error.retry), (kind, retry), "streamed: {error}");
        let error = client.chat(format!("house/{name}"), "Weather?").await.unwrap_err();
        assert_eq!(error.kind, kind, "whole: {error}");
    }
}

#[tokio::test]
async fn qianfan_has_an_endpoint_a_model_and_ends_with_a_frame() {
    let provider = LocalProvider::start(|seen: &Seen| {
        let streams = seen.json()["stream"] == true;
        match (seen.path.as_str(), streams) {
            ("/rpc/chat/completions_pro", false) => Answer::json(200, fixture("qianfan/text/reply.json")),
            ("/rpc/chat/completions_pro", true) => sse(&fixture("qianfan/text/reply.sse")),
            ("/rpc/chat/function", _) => sse(&fixture("qianfan/function/reply.sse")),
            ("/rpc/chat/cut", _) => sse(&fixture("qianfan/cut/reply.sse")),
            ("/rpc/chat/unsafe", _) => sse(&fixture("qianfan/clear-history/reply.sse")),
            (path, _) => Answer::json(200, fixture(&format!("qianfan/error-200-{}/reply.json", path.replace("/rpc/chat/", "")))),
        }
    });
    let quirks = "[providers.house.quirks]\nendpoints = { \"ERNIE-4.0*\" = \"completions_pro\" }\n";
    let client = client("qianfan", &format!("{}/rpc", provider.url()), quirks);
    let reply = client.chat("house/ERNIE-4.0-8K", "Weather?").system("Be brief.").await.unwrap();
    assert_eq!(reply.text(), "It rains.");
    let sent = provider.requests()[0].json();
    assert_eq!((&sent["system"], &sent["messages"][0]["role"]), (&json!("Be brief."), &json!("user")), "{sent}");
    assert_eq!(hear(&client, "house/ERNIE-4.0-8K").await.1, "It rains.");
    assert_eq!(hear(&client, "house/Function").await.2[0].0, "weather");
    assert_eq!(hear(&client, "house/cut").await.3.unwrap().kind, Kind::Truncated);
    for (code, kind) in
        [(110, Kind::Unauthenticated), (17, Kind::QuotaExhausted), (18, Kind::RateLimited), (336003, Kind::BadRequest)]
    {
        assert_eq!(hear(&client, &format!("house/{code}")).await.3.unwrap().kind, kind, "{code}");
    }
}

const APP: &str = "body_values = { \"/header/app_id\" = \"env:APP\" }\n[providers.house.quirks]\nendpoints = { \"generalv3.5\" = \"v3.5/chat\" }\n";

fn spark(seen: &Seen) -> Play {
    if seen.body.is_empty() {
        let refused = seen.path == "/chat/refused";
        return if refused { Play::refuse(403, "{\"message\":\"HMAC signature does not match\"}") } else { Play::new() };
    }
    let body = seen.json();
    let lines = |name: &str| Play::new().say_lines(&fixture(&format!("spark/{name}/reply.ndjson")));
    match body["parameter"]["chat"]["domain"].as_str().unwrap() {
        "generalv3.5" => lines("text"),
        "pretty" => {
            let all = fixture("spark/thinking/reply.ndjson");
            let pretty = |line: &str| format!("{:#}", serde_json::from_str::<Value>(line).unwrap());
            all.lines().fold(Play::new(), |play, line| play.ping().say(pretty(line)))
        }
        "rude" => lines("function").ending(Ending::Drop),
        "cut" => lines("cut").ending(Ending::Drop),
        "endless" => Play::new().say("x".repeat(9 << 20)),
        "silent" => lines("cut").ending(Ending::Hang),
        name => lines(name),
    }
}

#[tokio::test]
async fn spark_is_spoken_to_over_a_web_socket() {
    let provider = LocalSocket::start(spark);
    let client = client("spark", &provider.url(), APP);
    let reply = client.chat("house/generalv3.5", "Weather?").system("Be brief.").temperature(0.5).await.unwrap();
    assert_eq!(reply.text(), "It rains.");
    assert_eq!(reply.response.usage.unwrap().total(), 7);
    let seen = &provider.requests()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/v3.5/chat"));
    assert_eq!((seen.header("upgrade"), seen.header("authorization")), ("websocket", "Bearer sk-house"));
    assert_eq!(seen.header("host"), provider.url().trim_start_matches("ws://"));
    let sent = seen.json();
    assert_eq!((&sent["header"]["app_id"], &sent["parameter"]["chat"]["temperature"]), (&json!("app-7"), &json!(0.5)));
    assert_eq!(hear(&client, "house/generalv3.5").await.1, "It rains.");
    let (thought, text, _, error) = hear(&client, "house/pretty").await;
    assert_eq!((thought.as_str(), text.as_str(), error), ("Bonn is wet.", "It rains.", None), "pings and line ends between");
    let (_, _, calls, error) = hear(&client, "house/rude").await;
    assert_eq!((calls[0].1.as_str(), error), ("{\"city\": \"Bonn\"}", None), "complete, though nobody said farewell");
}

#[tokio::test]
async fn a_web_socket_that_fails_says_how() {
    let provider = LocalSocket::start(spark);
    let client = client("spark", &provider.url(), APP);
    let kinds = [
        ("refused", Kind::Unauthenticated),
        ("cut", Kind::Truncated),
        ("endless", Kind::Truncated),
        ("error-10013", Kind::Filtered),
        ("error-11200", Kind::QuotaExhausted),
        ("error-11202", Kind::RateLimited),
        ("error-midstream", Kind::Filtered),
    ];
    for (model, kind) in kinds {
        let error = hear(&client, &format!("house/{model}")).await.3.unwrap();
        assert_eq!(error.kind, kind, "{model}: {error}");
        let error = client.chat(format!("house/{model}"), "Weather?").await.unwrap_err();
        assert_eq!(error.kind, kind, "{model}, whole: {error}");
    }
    let closed = self::client("spark", "ws://127.0.0.1:1", APP);
    assert_eq!(closed.chat("house/x", "Hello?").await.unwrap_err().kind, Kind::Network);
}

#[tokio::test]
async fn who_leaves_closes_the_web_socket() {
    let provider = LocalSocket::start(spark);
    let client = client("spark", &provider.url(), APP);
    let mut stream = client.chat("house/silent", "Weather?").stream().await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), Piece::Text("It".to_owned()));
    assert_eq!(provider.hangups(), 0);
    drop(stream);
    for _ in 0..200 {
        if provider.hangups() == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the provider still believes that somebody listens");
}

#[tokio::test]
async fn an_account_that_must_be_named_is_asked_for() {
    let text = "[providers.house]\nbase_url = \"ws://127.0.0.1:1\"\ndialects = [\"spark\"]\nauth = { none = true }\nbody_values = { \"/header/app_id\" = \"env:NO_APP\" }\n";
    let config = Config::parse(text, "trunkline.toml").unwrap();
    let client = Client::builder().config(config).environment(Environment::default()).build().unwrap();
    let error = client.chat("house/x", "Hello?").await.unwrap_err();
    assert!(error.message.contains("NO_APP"), "{error}");
}

#[tokio::test]
async fn hunyuan_is_signed_for_and_a_wrong_signature_is_known_for_what_it_is() {
    let check = scoped::TC3.check(Pair::new("AKIDFAKE", "fake-secret"), "", "hunyuan");
    let provider = LocalProvider::start(Guard::new(check, Answer::json(200, fixture("hunyuan/text/reply.json"))));
    let auth = |secret: &str| format!("tc3 = {{ access_key = \"AKIDFAKE\", secret_key = \"{secret}\", service = \"hunyuan\" }}");
    let right = signing("hunyuan", &provider.url(), &auth("fake-secret"), "");
    assert_eq!(right.chat("house/text", "Grüße 你好").await.unwrap().text(), "It rains.");
    let wrong = signing("hunyuan", &provider.url(), &auth("another"), "");
    assert_eq!(wrong.chat("house/text", "Hello").await.unwrap_err().kind, Kind::Unauthenticated);
}

#[tokio::test]
async fn the_address_of_a_web_socket_is_signed() {
    let provider = LocalSocket::start(|seen: &Seen| {
        let check = UrlHmac(Pair::new("fakeApiKey", "fakeApiSecret"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        match check.check(seen, now.try_into().unwrap()) {
            Ok(()) => spark(&Seen { path: "/v3.5/chat".to_owned(), ..seen.clone() }),
            Err(_) => Play::refuse(403, "{\"message\":\"HMAC signature does not match\"}"),
        }
    });
    let auth = |secret: &str| format!("url_hmac = {{ access_key = \"fakeApiKey\", secret_key = \"{secret}\" }}");
    let right = signing("spark", &provider.url(), &auth("fakeApiSecret"), APP);
    assert_eq!(hear(&right, "house/generalv3.5").await.1, "It rains.");
    let seen = &provider.requests()[0];
    assert!(seen.path.starts_with("/v3.5/chat?authorization="), "{}", seen.path);
    let wrong = signing("spark", &provider.url(), &auth("another"), APP);
    assert_eq!(hear(&wrong, "house/generalv3.5").await.3.unwrap().kind, Kind::Unauthenticated);
}
