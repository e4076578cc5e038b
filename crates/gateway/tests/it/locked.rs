//! A store of conversations that somebody holds, that was moved away, or that is none.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::gateway::until_within;
use crate::session::{House, chat, in_order, in_session, respond, user};
use crate::wire::Ask;

/// Another process that writes, and does not end.
struct Lock(tokio::runtime::Runtime, SqliteConnection);

impl Lock {
    fn of(house: &House) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            let options =
                SqliteConnectOptions::new().filename(house.folder.join("trunkline.db")).busy_timeout(Duration::from_secs(9));
            let mut connection = options.connect().await.unwrap();
            connection.execute("BEGIN IMMEDIATE").await.unwrap();
            connection
        });
        Lock(runtime, connection)
    }

    fn release(mut self) {
        self.0.block_on(async {
            self.1.execute("ROLLBACK").await.unwrap();
            self.1.close().await.unwrap();
        });
    }
}

#[test]
fn who_reads_waits_for_no_writer_and_nothing_is_lost() {
    let house = House::new("held", "");
    house.ask(&in_session(chat("openai-chat", false, &user("one"))));
    assert!(until_within(Duration::from_secs(5), || house.turns("s-1").len() == 1));
    let lock = Lock::of(&house);
    let begun = Instant::now();
    // What cannot be written yet is there for the next call, in its session and by its id.
    let words = ["two", "three", "four", "five", "six"];
    let mut known = vec!["one", "You said one."];
    for word in words {
        house.ask(&in_session(chat("openai-chat", true, &user(word))));
        in_order(&house.sent(), &known);
        known.push(word);
    }
    let first = house.ask(&respond("openai-chat", "one", json!({}))).json();
    let second = house.ask(&respond("openai-chat", "two", json!({"previous_response_id": first["id"]}))).json();
    in_order(&house.sent(), &["one", "You said one.", "two"]);
    let again = house.ask(&Ask::get(&format!("/v1/responses/{}", second["id"].as_str().unwrap()))).json();
    assert_eq!((&again["output"], &again["previous_response_id"]), (&second["output"], &first["id"]));
    // A whole session told again goes back in it, written or not.
    let mut said = vec![json!({"role": "user", "content": "one"}), json!({"role": "assistant", "content": "You said one."})];
    said.push(json!({"role": "user", "content": "cut it short"}));
    house.ask(&in_session(chat("openai-chat", false, &json!(said))));
    house.ask(&in_session(chat("openai-chat", false, &user("six"))));
    assert!(!house.sent().contains("three") && house.sent().contains("cut it short"), "{}", house.sent());
    // Nine calls, of which each would have waited for the writer.
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(until_within(Duration::from_secs(10), || !house.told().is_empty()));
    lock.release();
    let all = || house.store(async |store| store.turns_made_in("s-1").await.unwrap().len());
    assert!(until_within(Duration::from_secs(20), || all() == 8), "{}: {:?}", all(), house.told());
    assert_eq!(house.turns("s-1").len(), 3);
    assert!(until_within(Duration::from_secs(10), || house.told().len() == 2), "{:?}", house.told());
    let told = house.told();
    assert!(told[0].contains("their turns wait") && told[1].contains("written again"), "{told:?}");
}

#[test]
fn what_can_never_be_written_holds_nothing_up() {
    let house = House::new("never", "");
    house.ask(&in_session(chat("openai-chat", false, &user("one"))));
    house.record.close();
    let mut lock = Lock::of(&house);
    house.ask(&in_session(chat("openai-chat", false, &user("two"))));
    house.ask(&respond("openai-chat", "three", json!({})));
    assert!(until_within(Duration::from_secs(10), || !house.told().is_empty()));
    // What the first of them goes on from is deleted in the meantime.
    lock.0.block_on(async {
        lock.1.execute("DELETE FROM turns").await.unwrap();
        lock.1.execute("DELETE FROM sessions").await.unwrap();
        lock.1.execute("COMMIT").await.unwrap();
        lock.1.execute("BEGIN").await.unwrap();
    });
    lock.release();
    let told = || house.told().into_iter().filter(|line| line.contains("is not kept")).collect::<Vec<_>>();
    assert!(until_within(Duration::from_secs(10), || !told().is_empty()), "{:?}", house.told());
    house.ask(&in_session(chat("openai-chat", false, &user("four"))));
    assert!(!house.sent().contains("two"), "{}", house.sent());
    assert!(until_within(Duration::from_secs(10), || house.turns("s-1").len() == 1));
    assert!(told().len() == 1 && told()[0].contains("was deleted"), "{:?}", told());
    assert_eq!(house.store(async |store| store.turns_made_in("").await.unwrap().len()), 1);
}

#[test]
fn a_store_that_was_moved_away_is_not_made_anew() {
    let house = House::new("moved", "");
    house.ask(&in_session(chat("openai-chat", false, &user("one"))));
    house.record.close();
    let (place, away) = (house.folder.join("trunkline.db"), house.folder.join("away.db"));
    std::fs::rename(&place, &away).unwrap();
    let sent = house.provider.requests().len();
    for ask in
        [in_session(chat("openai-chat", false, &user("two"))), Ask::get("/v1/responses/resp_0192aaaaaaaa7aaaaaaaaaaaaaaaaaaa")]
    {
        let reply = house.gateway.ask(&ask);
        assert_eq!(reply.status(), 503, "{}", reply.text());
        assert!(reply.text().contains("cannot be read at the moment"), "{}", reply.text());
        assert!(!reply.text().contains("trunkline.db") && !reply.text().contains('/'), "{}", reply.text());
    }
    assert_eq!(house.provider.requests().len(), sent);
    assert!(!place.exists());
    assert!(house.told().iter().any(|line| line.contains("trunkline.db")), "{:?}", house.told());
    // Who only begins is answered, and kept once the store is back.
    house.ask(&respond("openai-chat", "three", json!({})));
    std::fs::rename(&away, &place).unwrap();
    house.ask(&in_session(chat("openai-chat", false, &user("two"))));
    in_order(&house.sent(), &["one", "You said one.", "two"]);
    assert!(until_within(Duration::from_secs(10), || house.turns("s-1").len() == 2));
    // As it is where it was moved away before anything was kept in it.
    let (gateway, record) = House::open(&house.provider, &house.folder, "", &house.told);
    house.record.close();
    std::fs::rename(&place, &away).unwrap();
    assert_eq!(gateway.ask(&in_session(chat("openai-chat", false, &user("six")))).status(), 503);
    assert!(!place.exists());
    drop((gateway, record));
}

#[test]
fn a_store_that_is_none_is_the_operators_affair() {
    let house = House::new("none", "");
    std::fs::create_dir_all(&house.folder).unwrap();
    std::fs::write(house.folder.join("trunkline.db"), "no database at all, by no means".repeat(99)).unwrap();
    let reply = house.gateway.ask(&in_session(chat("openai-chat", false, &user("one"))));
    assert_eq!(reply.status(), 503, "{}", reply.text());
    assert!(!reply.text().contains("database") && !reply.text().contains("trunkline.db"), "{}", reply.text());
    assert_eq!(reply.header("retry-after"), "1");
    assert!(house.told().iter().any(|line| line.contains("not a database")), "{:?}", house.told());
}

#[test]
fn a_history_counts_as_the_memory_that_it_takes() {
    let house = House::new("memory", "[server]\nbody_memory = 3000000");
    let long = "word ".repeat(200_000);
    house.ask(&in_session(chat("openai-chat", false, &user(&format!("{long} one")))));
    let reply = house.gateway.ask(&in_session(chat("openai-chat", false, &user("two"))));
    assert_eq!(reply.status(), 503, "{}", reply.text());
    assert!(reply.text().contains("body_memory"), "{}", reply.text());
    assert_eq!(reply.header("retry-after"), "1");
    // Nobody else suffers, and what was counted is given back.
    house.ask(&chat("openai-chat", false, &user("two")));
    let page = crate::metric::Page::of(&house.gateway);
    assert_eq!(page.sum("trunkline_body_bytes_held", &[]), 0.0);
    house.record.close();
    // Where the window leaves it out it is not read.
    let (gateway, _record) = House::open(
        &house.provider,
        &house.folder,
        "[server]\nbody_memory = 3000000\n[sessions]\nwindow = \"1 turns\"",
        &house.told,
    );
    house.store(async |store| {
        let session = store.session("s-1").await.unwrap().unwrap();
        let mut parent = session.head;
        let ids = trunkline_store::Ids::new();
        for _ in 0..12 {
            let id = ids.next(std::time::SystemTime::now());
            let asked = vec![trunkline::ir::Message::text(trunkline::ir::Role::User, "short")];
            let turn = trunkline_store::TurnRow {
                parent,
                session: "s-1".to_owned(),
                asked,
                user_id: session.user_id.clone(),
                ..trunkline_store::TurnRow::new(id)
            };
            store.append_turn(&turn, Some(&session)).await.unwrap();
            parent = Some(id);
        }
    });
    assert_eq!(gateway.ask(&in_session(chat("openai-chat", false, &user("three")))).status(), 200);
}
