//! Who may come in, by which path and method; connections that carry many calls.

use std::time::Duration;

use crate::gateway::{Gateway, House, until};
use crate::lane::well;
use crate::speech;
use crate::wire::{Ask, Line};

const KEYED: &str = "[server]\nkey = \"env:GATE_KEY\"";

#[test]
fn the_key_is_taken_wherever_an_sdk_puts_it() {
    let house = House::with(well, KEYED);
    for speech in speech::all() {
        for (name, value) in [
            ("authorization", "Bearer gate-key-1"),
            ("Authorization", "bearer  gate-key-1"),
            ("x-api-key", "gate-key-1"),
            ("x-goog-api-key", "gate-key-1"),
        ] {
            let reply = house.gateway.ask(&speech.ask(&speech.model(), false).header(name, value));
            assert_eq!(reply.status(), 200, "{} {name}: {}", speech.name, reply.text());
            let seen = house.provider.requests().pop().unwrap();
            assert!(!format!("{:?}", seen.headers).contains("gate-key-1"), "{} {name}", speech.name);
        }
        for pair in ["key=gate-key-1", "x=1&key=gate-key-1"] {
            let path = format!("{}?{pair}", speech.path(&speech.model(), false));
            assert_eq!(
                house.gateway.ask(&Ask::post(&path, speech.body(&speech.model(), false))).status(),
                200,
                "{}",
                speech.name
            );
        }
    }
}

#[test]
fn a_missing_or_wrong_key_is_401_in_the_callers_dialect() {
    let house = House::with(well, KEYED);
    for speech in speech::all() {
        let ask = || speech.ask(&speech.model(), false);
        let query = format!("{}?key=wrong-key-2", speech.path(&speech.model(), false));
        let asks = [
            ask(),
            ask().header("authorization", "Bearer wrong-key-2"),
            ask().header("authorization", "Basic gate-key-1"),
            ask().header("authorization", "gate-key-1"),
            ask().header("authorization", "Bearer "),
            ask().header("authorization", "Bearer gate-key-12"),
            ask().header("authorization", "Bearer gate-key-"),
            ask().header("x-api-key", "wrong-key-2"),
            ask().header("x-goog-api-key", "wrong-key-2"),
            ask().header("x-api-key", ""),
            Ask::post(&query, speech.body(&speech.model(), false)),
        ];
        for ask in asks {
            let reply = house.gateway.ask(&ask);
            let (status, message) = speech.refusal(&reply);
            assert_eq!(status, 401, "{} {}", speech.name, ask.head);
            assert!(message.contains("key"), "{message}");
            assert!(!reply.text().contains("key-2") && !reply.text().contains("gate-key"), "{}", reply.text());
            let error = &reply.json()["error"];
            match speech.name {
                "gemini" => assert_eq!((error["code"].as_u64(), error["status"].as_str()), (Some(401), Some("UNAUTHENTICATED"))),
                "anthropic-messages" => assert_eq!(error["type"], "authentication_error"),
                "cohere-chat" | "ollama" | "ollama-generate" => {}
                _ => assert_eq!(error["code"], "invalid_api_key"),
            }
        }
    }
    for path in ["/v1/models", "/v1beta/models", "/v1/models/x", "/stats"] {
        assert_eq!(house.gateway.ask(&Ask::get(path)).status(), 401, "{path}");
        assert_eq!(
            house.gateway.ask(&Ask::get(path).header("authorization", "Bearer gate-key-1")).status() / 200,
            if path.ends_with('x') { 2 } else { 1 },
            "{path}"
        );
    }
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(house.gateway.ask(&Ask::get(path)).status(), 200, "{path}: load balancers have no key");
    }
    assert!(house.provider.requests().is_empty());
}

#[test]
fn a_refused_caller_with_a_long_body_reads_the_answer() {
    let house = House::with(well, KEYED);
    for speech in speech::all() {
        let body = speech.body(&speech.model(), false).replace("hi", &"x".repeat(8 << 20));
        assert_eq!(house.gateway.ask(&Ask::post(&speech.path(&speech.model(), false), body)).status(), 401, "{}", speech.name);
    }
    let reply = house.gateway.ask(&Ask::post("/nowhere", "x".repeat(8 << 20)));
    assert_eq!(reply.status(), 404);
}

#[test]
fn a_wrong_method_is_405_and_says_which_is_right() {
    let house = House::new(well);
    for speech in speech::all() {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let reply = house.gateway.ask(&Ask::method(method, &speech.path(&speech.model(), false)));
            let (status, message) = speech.refusal(&reply);
            assert_eq!((status, reply.header("allow")), (405, "POST"), "{} {method}: {message}", speech.name);
            assert!(message.contains("POST") && message.contains(method), "{message}");
        }
    }
    for path in ["/v1/models", "/v1beta/models", "/health/live", "/stats"] {
        let reply = house.gateway.ask(&Ask::post(path, "{}"));
        assert_eq!((reply.status(), reply.header("allow")), (405, "GET"), "{path}");
    }
}

#[test]
fn an_unknown_path_is_404_in_the_dialect_that_the_caller_most_likely_speaks() {
    let house = House::new(well);
    let shape = |name: &str| speech::all().find(|speech| speech.name == name);
    let cases = [
        (Ask::post("/v1/nothing", "{}"), "openai-chat"),
        (Ask::post("/v1/messages/nothing", "{}"), "anthropic-messages"),
        (Ask::post("/v1/other", "{}").header("anthropic-version", "2023-06-01"), "anthropic-messages"),
        (Ask::post("/v1beta/models/x:nothing", "{}"), "gemini"),
        (Ask::post("/v1beta/nothing", "{}"), "gemini"),
        (Ask::get("/nothing"), "openai-chat"),
        (Ask::get("/api/nothing"), "ollama"),
        (Ask::post("/v2/nothing", "{}"), "cohere-chat"),
        (Ask::get("/..%2f..%2fetc/passwd"), "openai-chat"),
        (Ask::post("/v1/chat/completions/", "{}"), "openai-chat"),
        (Ask::post("//v1/chat/completions", "{}"), "openai-chat"),
    ];
    for (ask, name) in cases {
        let Some(speech) = shape(name) else { continue };
        let reply = house.gateway.ask(&ask);
        let (status, message) = speech.refusal(&reply);
        // A method that is not there is "wrong method" to some; never a call.
        assert!(matches!(status, 404 | 405), "{}: {status} {message}", ask.head);
    }
    assert!(house.provider.requests().is_empty());
    assert_eq!(house.gateway.stats().calls, 0);
}

#[test]
fn one_connection_carries_many_calls_also_after_errors() {
    let house = House::new(well);
    let mut line = Line::connect(house.gateway.address);
    for speech in speech::all() {
        for stream in [false, true, false] {
            line.write(&speech.ask(&speech.model(), stream).bytes());
            assert_eq!(line.reply().status(), 200, "{}", speech.name);
            line.write(&Ask::post(&speech.path(&speech.model(), stream), "nope").bytes());
            assert_eq!(line.reply().status(), 400, "{}", speech.name);
            line.write(&Ask::get("/nowhere").bytes());
            assert_eq!(line.reply().status(), 404, "{}", speech.name);
        }
    }
    assert_eq!(house.provider.connections(), 1, "the provider's connection is used again");
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order() {
    let house = House::new(well);
    let mut line = Line::connect(house.gateway.address);
    let mut ahead = Vec::new();
    for speech in speech::all() {
        ahead.extend(speech.ask(&speech.model(), false).bytes());
        ahead.extend(speech.ask(&speech.model(), true).bytes());
        ahead.extend(Ask::post(&speech.path(&speech.model(), false), "{").bytes());
    }
    line.write(&ahead);
    for speech in speech::all() {
        assert_eq!(line.reply().text(), speech.whole, "{}", speech.name);
        assert_eq!(speech.text(line.reply().text()), speech::TEXT, "{}", speech.name);
        assert_eq!(speech.refusal(&line.reply()).0, 400, "{}", speech.name);
    }
}

#[test]
fn a_caller_of_http_1_0_and_one_that_closes_are_served() {
    let house = House::new(well);
    for speech in speech::all() {
        let reply = house.gateway.ask(&speech.ask(&speech.model(), false).header("connection", "close"));
        assert_eq!(reply.text(), speech.whole);
        let mut line = Line::connect(house.gateway.address);
        let body = speech.body(&speech.model(), false);
        line.write(
            format!("POST {} HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}", speech.path(&speech.model(), false), body.len())
                .as_bytes(),
        );
        assert_eq!(line.reply().text(), speech.whole, "{}", speech.name);
        assert!(line.is_closed());
    }
}

#[test]
fn what_is_not_http_harms_nothing() {
    let house = House::new(well);
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\x00\x00\x00\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    ] {
        let mut line = Line::connect(house.gateway.address);
        line.write(bytes);
        line.socket.shutdown(std::net::Shutdown::Write).unwrap();
    }
    assert_eq!(house.gateway.ask(&Ask::get("/health/live")).status(), 200);
    assert!(house.provider.requests().is_empty());
}

#[test]
fn without_a_key_only_this_machine_may_call() {
    let gateway = Gateway::with("[server]\nlisten = \"0.0.0.0:0\"\n");
    assert!(gateway.address.ip().is_loopback(), "{}", gateway.address);
    let notices = gateway.notices.join("\n");
    assert!(notices.contains("key") && notices.contains("0.0.0.0:0"), "{notices}");
    let open = Gateway::with("[server]\nlisten = \"0.0.0.0:0\"\nkey = \"env:GATE_KEY\"\n");
    assert!(open.address.ip().is_unspecified());
    assert!(open.notices.is_empty(), "{:?}", open.notices);
}

#[test]
fn a_caller_who_knocks_and_says_nothing_is_no_call() {
    let house = House::new(well);
    let lines: Vec<Line> = (0..50).map(|_| Line::connect(house.gateway.address)).collect();
    assert_eq!(house.gateway.ask(&Ask::get("/health/ready")).status(), 200);
    drop(lines);
    std::thread::sleep(Duration::from_millis(20));
    assert!(until(|| house.gateway.stats().calls == 0));
}
