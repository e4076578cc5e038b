//! `/passthrough/{provider}/…`.

use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use crate::gateway::{CREDENTIAL, Gateway, House, until};
use crate::wire::Ask;

#[test]
fn any_method_and_path_reach_the_provider_as_they_are() {
    let house = House::new(|seen: &Seen| {
        Answer::status(201)
            .header("content-type", "application/x-odd")
            .header("x-anything", "theirs")
            .header("set-cookie", "a=b")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .body(format!("{} {}", seen.method, seen.path))
    });
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let ask =
            Ask { body: b"\0any\xff".to_vec(), ..Ask::method(method, "/passthrough/at-openai-chat/files/a%20b?limit=1&x=%2F") };
        let ask = ask.header("content-length", "5").header("content-type", "application/x-mine").header("x-mine", "1");
        let ask =
            ask.header("authorization", "Bearer of-the-caller").header("cookie", "c=d").header("x-forwarded-for", "10.1.1.1");
        let ask = ask.header("connection", "keep-alive, x-private").header("x-private", "1");
        let reply = house.gateway.ask(&ask);
        assert_eq!(reply.status(), 201, "{method}: {}", reply.text());
        assert_eq!(reply.text(), format!("{method} /v1/files/a%20b?limit=1&x=%2F"));
        assert_eq!((reply.header("content-type"), reply.header("x-anything")), ("application/x-odd", "theirs"));
        assert!(["set-cookie", "x-hop"].iter().all(|name| reply.head.get(name).is_none()), "{}", reply.head.text());
        assert_eq!(reply.header("x-trunkline-target"), "at-openai-chat");
        let seen = house.provider.requests().pop().unwrap();
        assert_eq!(&seen.body[..], b"\0any\xff");
        assert_eq!((seen.header("content-type"), seen.header("x-mine")), ("application/x-mine", "1"));
        assert_eq!(seen.header("authorization"), format!("Bearer {CREDENTIAL}"));
        for gone in ["cookie", "x-forwarded-for", "x-private"] {
            assert_eq!(seen.header(gone), "", "{gone}");
        }
    }
    let stats = house.gateway.stats();
    assert_eq!((stats.calls, stats.errors, stats.cancelled), (6, 0, 0));
}

#[test]
fn the_gateways_key_stays_here_wherever_it_was_sent() {
    let provider = LocalProvider::start(|_: &Seen| Answer::json(200, "{}"));
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\nkey = \"env:GATE_KEY\"\n{}",
        crate::gateway::providers(&provider.url())
    );
    let gateway = Gateway::with(&config);
    let path = "/passthrough/at-anthropic-messages/v1/files";
    assert_eq!(gateway.ask(&Ask::get(path)).status(), 401);
    for ask in [
        Ask::get(path).header("authorization", "Bearer gate-key-1"),
        Ask::get(path).header("x-api-key", "gate-key-1"),
        Ask::get(path).header("x-goog-api-key", "gate-key-1"),
        Ask::get(&format!("{path}?key=gate-key-1&a=b")),
    ] {
        assert_eq!(gateway.ask(&ask).status(), 200);
        let seen = provider.requests().pop().unwrap();
        assert!(!format!("{seen:?}").contains("gate-key-1"), "{seen:?}");
        assert_eq!(seen.header("x-api-key"), CREDENTIAL);
        assert!(seen.path.starts_with("/v1/files"), "no version is added that the base address has not");
    }
    assert_eq!(provider.requests().len(), 4);
}

#[test]
fn tricks_with_the_path_are_refused_and_reach_nobody() {
    let house = House::new(|_: &Seen| Answer::json(200, "{}"));
    for trick in [
        "/passthrough/at-openai-chat/../../etc/passwd",
        "/passthrough/at-openai-chat/%2e%2e/x",
        "/passthrough/at-openai-chat/a%2f..%2fb",
        "/passthrough/at-openai-chat//evil.example/x",
        "/passthrough/at-openai-chat/http://evil.example/x",
        "/passthrough/at-openai-chat/%252e%252e/x",
        "/passthrough/at-openai-chat/a%0d%0ahost:%20evil",
        "/passthrough/at-openai-chat/a%5c..%5cb",
    ] {
        let reply = house.gateway.ask(&Ask::get(trick));
        assert_eq!(reply.status(), 400, "{trick}: {}", reply.text());
        assert!(reply.text().contains("the path to pass through"), "{trick}: {}", reply.text());
    }
    // An absolute address as the request's target is read for its path alone.
    let reply = house.gateway.ask(&Ask::get("http://evil.example/passthrough/at-openai-chat/models"));
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!(house.provider.requests().len(), 1);
    for (path, status, says) in [
        ("/passthrough/at-openai-cat/models", 404, "did you mean `at-openai-chat`?"),
        ("/passthrough/", 404, "there is no provider"),
        ("/passthrough/at-openai-chat%2F..%2Fx/y", 404, "there is no provider"),
    ] {
        let reply = house.gateway.ask(&Ask::get(path));
        assert_eq!(reply.status(), status, "{path}: {}", reply.text());
        assert!(reply.text().contains(says), "{path}: {}", reply.text());
    }
    let reply = house.gateway.ask(&Ask::method("TRACE", "/passthrough/at-openai-chat/x"));
    assert_eq!(reply.status(), 405);
    let upgrade = Ask::get("/passthrough/at-openai-chat/realtime").header("upgrade", "websocket").header("connection", "upgrade");
    assert_eq!(house.gateway.ask(&upgrade).status(), 400);
    assert_eq!(house.provider.requests().len(), 1);
}

#[test]
fn errors_pass_as_they_came_unless_they_tell_our_credential() {
    let house = House::new([
        Answer::status(418).header("content-type", "text/plain").body("I'm a teapot"),
        Answer::json(401, format!(r#"{{"error":{{"message":"wrong key {CREDENTIAL}"}}}}"#)),
        Answer::status(302).header("location", &format!("https://elsewhere.example/?key={CREDENTIAL}")).body(""),
        Answer::status(301).body(format!("<a href=\"/files/?key={CREDENTIAL}\">")),
        Answer::status(500).header("content-encoding", "gzip").body("who knows"),
        Answer::status(302).header("location", "https://elsewhere.example/").body(""),
    ]);
    let ask = || house.gateway.ask(&Ask::get("/passthrough/at-openai-chat/x"));
    let reply = ask();
    assert_eq!((reply.status(), reply.text()), (418, "I'm a teapot"));
    let reply = ask();
    assert_eq!(reply.status(), 502);
    assert!(!reply.text().contains(CREDENTIAL) && reply.text().contains("wrong key ***"), "{}", reply.text());
    let reply = ask();
    assert!(reply.status() == 302 && reply.head.get("location").is_none(), "{}", reply.head.text());
    for _ in 0..2 {
        let reply = ask();
        assert!(reply.status() >= 500 && !reply.text().contains(CREDENTIAL), "{}", reply.text());
    }
    assert_eq!(ask().header("location"), "https://elsewhere.example/");
    assert!(house.provider.requests().iter().all(|seen| seen.header("accept-encoding") == "identity"));
}

#[test]
fn it_can_be_forbidden() {
    let house = House::with(|_: &Seen| Answer::json(200, "{}"), "[server]\npassthrough = false\n");
    let reply = house.gateway.ask(&Ask::get("/passthrough/at-openai-chat/files"));
    assert!(reply.status() == 403 && reply.text().contains("passthrough = false"), "{}", reply.text());
    assert!(house.provider.requests().is_empty());
}

#[test]
fn a_stream_passes_as_it_comes_and_its_usage_is_counted() {
    let house = House::new(|_: &Seen| {
        Answer::sse(["data: {\"a\":1}\n\n", "data: {\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n"])
    });
    let reply = house.gateway.ask(&Ask::post("/passthrough/at-openai-chat/odd", "{}"));
    assert!(reply.text().starts_with("data: {\"a\":1}\n\n"));
    assert!(until(|| house.gateway.stats().all["output_tokens"] == 2));
}
