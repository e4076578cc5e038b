//! Whose a conversation is: nobody else's, whichever way its caller says who that is.

use serde_json::{Value, json};
use trunkline::Client;
use trunkline::config::{Config, Environment};
use trunkline_store::{Ledger, Opening, Options, Store, Wanted};
use trunkline_work::session::{Session, Start};

use crate::session::{House, chat, in_order, in_session, respond, user};
use crate::wire::{Ask, Line, Reply};

/// Sends a request in which `RAW` is these bytes.
fn raw(house: &House, ask: &Ask, bytes: &[u8]) -> Reply {
    let sent = ask.bytes();
    let at = sent.windows(3).position(|window| window == b"RAW").unwrap();
    let mut line = Line::connect(house.gateway.address);
    line.write(&[&sent[..at], bytes, &sent[at + 3..]].concat());
    line.reply()
}

#[test]
fn a_name_that_is_no_text_is_refused_and_is_nobody_elses() {
    let house = House::new("raw", "");
    for (name, bytes) in
        [("x-trunkline-session", b"\xe4\xbd".as_slice()), ("x-trunkline-user", b"\xff"), ("x-trunkline-task", b"\xff")]
    {
        for ask in [
            chat("openai-chat", false, &user("one")),
            Ask::post("/v1/embeddings", json!({"model": "at-openai-chat/tiny-1", "input": "x"}).to_string()),
            Ask::get("/v1/responses/resp_x"),
            Ask::get("/passthrough/at-openai-chat/files"),
        ] {
            let reply = raw(&house, &ask.header(name, "RAW"), bytes);
            assert_eq!(reply.status(), 400, "{name}: {}", reply.text());
            assert!(reply.text().contains(name) && reply.text().contains("UTF-8"), "{}", reply.text());
        }
    }
    assert!(house.provider.requests().is_empty());
    let long = chat("openai-chat", false, &user("one")).header("x-trunkline-user", &"a".repeat(257));
    let reply = house.gateway.ask(&long);
    assert!(reply.status() == 400 && reply.text().contains("256 bytes"), "{}", reply.text());
    // What is text in any script is a name like any other.
    for (name, text) in [("订单-4711", "one"), ("订单-4712", "two")] {
        house.ask(&chat("openai-chat", false, &user(text)).header("x-trunkline-session", name).header("x-trunkline-user", "王"));
    }
    assert!(!house.sent().contains("one"), "{}", house.sent());
    // Tags belong to nobody: what is no text in them is told in letters.
    let path = house.folder.join("ledger.db");
    house.record.keep_in(Ledger::new(Options::at(&path), std::sync::Arc::new(|_: &str| {})));
    assert_eq!(
        raw(&house, &chat("openai-chat", false, &user("one")).header("x-trunkline-tags", "RAW"), b"team=f\xfcr").status(),
        200
    );
    house.record.close();
    assert_eq!(rows(&path)[0].tags.as_deref(), Some("team=f%FCr"));
}

fn rows(path: &std::path::Path) -> Vec<trunkline_store::CallRow> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut store = Store::open(&Opening::existing(path)).await.unwrap();
        store.calls(&Wanted { limit: 99, ..Wanted::default() }).await.unwrap()
    })
}

#[test]
fn the_user_of_a_body_is_the_user_of_what_is_kept() {
    let house = House::new("body", "[server]\nkey = \"env:GATE_KEY\"");
    let path = house.folder.join("trunkline.db");
    house.record.keep_in(Ledger::new(Options::at(&path), std::sync::Arc::new(|_: &str| {})));
    let keyed = |ask: Ask| ask.header("x-api-key", "gate-key-1");
    let by = |name: &str, more: Value| {
        let mut body = json!({"user": name});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        keyed(respond("openai-chat", "one", body))
    };
    let first = house.ask(&by("alice", json!({}))).json()["id"].clone();
    // Nobody else goes on from it, reads it or deletes it.
    let next = |name| by(name, json!({"previous_response_id": first}));
    for ask in [next("bob"), next("bob").header("x-trunkline-user", "carol")] {
        assert_eq!(house.gateway.ask(&ask).json()["error"]["code"], "previous_response_not_found");
    }
    for method in ["GET", "DELETE"] {
        let kept = |user| {
            let ask = Ask::method(method, &format!("/v1/responses/{}", first.as_str().unwrap()));
            house.gateway.ask(&keyed(ask).header("x-trunkline-user", user)).status()
        };
        assert_eq!(kept("bob"), 404);
        assert!(method == "DELETE" || kept("alice") == 200);
    }
    house.ask(&next("alice"));
    in_order(&house.sent(), &["one", "You said one.", "one"]);
    // Who names nobody has the id, and what follows is alice's all the same.
    let unnamed = keyed(respond("openai-chat", "four", json!({"previous_response_id": first})));
    let fourth = house.ask(&unnamed).json()["id"].clone();
    in_order(&house.sent(), &["one", "You said one.", "four"]);
    house.ask(&keyed(Ask::get(&format!("/v1/responses/{}", fourth.as_str().unwrap()))));
    assert_eq!(house.gateway.ask(&by("bob", json!({"previous_response_id": fourth}))).status(), 400);
    // So is a session.
    let body = |name: &str| {
        let body = json!({"model": "at-openai-chat/tiny-1", "user": name, "messages": user("two")}).to_string();
        keyed(Ask::post("/v1/chat/completions", body).header("x-trunkline-session", "s-1"))
    };
    house.ask(&body("alice"));
    assert_eq!(house.gateway.ask(&body("bob")).status(), 404);
    house.ask(&keyed(
        chat("openai-chat", false, &user("three")).header("x-trunkline-session", "s-1").header("x-trunkline-user", "alice"),
    ));
    house.record.close();
    // Written with the key that the calls were made with.
    let key = rows(&path)[0].key_id.as_deref().map(str::to_owned);
    assert!(key.is_some());
    let session = house.store(async |store| store.session("s-1").await.unwrap().unwrap());
    assert_eq!((session.key_id, session.user_id.as_deref()), (key.clone(), Some("alice")));
    assert!(house.turns("s-1").iter().all(|turn| turn.key_id == key && turn.user_id.as_deref() == Some("alice")));
    house.store(async |store| assert!(store.forget("alice").await.unwrap() > 0));
    let left = house.store(async |store| {
        (store.session("s-1").await.unwrap(), store.turn_of_response(first.as_str().unwrap()).await.unwrap())
    });
    assert_eq!(left, (None, None));
    assert_eq!(house.store(async |store| store.turn_of_response(fourth.as_str().unwrap()).await.unwrap()), None);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(12).any(|window| window == b"You said one"), "traces of what was to be forgotten");
}

#[test]
fn what_is_said_in_the_terminal_is_for_no_caller() {
    let house = House::new("terminal", "");
    house.ask(&in_session(chat("openai-chat", false, &user("one"))));
    let client = Client::builder().config(Config::parse("[calls]\nattempts = 1\n", "test").unwrap());
    let client = client.environment(Environment::default()).build().unwrap();
    let id = house.store(async |_| {
        let store = Store::open(&Opening::existing(house.folder.join("trunkline.db"))).await.unwrap();
        let mut session = Session::new(client, Some(store), Start { model: Some("sim/echo".to_owned()), ..Start::default() });
        session.ask(session.question("my secret diary")).await.unwrap();
        session.id().to_owned()
    });
    let sent = house.provider.requests().len();
    let reply = house.gateway.ask(&chat("openai-chat", false, &user("two")).header("x-trunkline-session", &id));
    assert_eq!(reply.status(), 404, "{}", reply.text());
    assert_eq!(house.provider.requests().len(), sent);
}

#[test]
fn who_is_forgotten_in_the_middle_of_an_answer_stays_so() {
    let house = House::new("middle", "");
    house.ask(&in_session(chat("openai-chat", false, &user("one"))));
    house.record.close();
    let asked = chat("openai-chat", true, &user("cut")).header("x-trunkline-session", "s-2").header("x-trunkline-user", "ann");
    let mut line = asked.open(house.gateway.address);
    line.head();
    line.chunks_until("You said cut.");
    house.store(async |store| assert!(store.forget("ann").await.unwrap() > 0));
    drop(line);
    let told = || house.told().iter().any(|line| line.contains("was forgotten"));
    assert!(crate::gateway::until_within(std::time::Duration::from_secs(10), told), "{:?}", house.told());
    assert!(house.turns("s-2").is_empty());
    // Who comes again afterwards is somebody new.
    house.ask(&in_session(chat("openai-chat", false, &user("two"))));
    assert!(!house.sent().contains("one"), "{}", house.sent());
    house.record.close();
    assert_eq!(house.turns("s-1").len(), 1);
}
