//! Summaries of older turns: made when nobody waits, by one at a time, and for whom the conversation is.

use serde_json::json;
use trunkline_store::{Ledger, Options, Store, Wanted};
use trunkline_testkit::provider::{Answer, Seen};

use crate::gateway::{until, until_within};
use crate::session::{House, answer, chat, in_session, user};

const WINDOW: &str = "[sessions]\nwindow = \"summarise after 1 turn with at-openai-chat/small\"";

#[test]
fn older_turns_are_summed_up_when_nobody_waits() {
    let house = House::new("summary", "[sessions]\nwindow = \"summarise after 1 turn with at-openai-chat/small\"");
    for text in ["one", "two"] {
        house.ask(&in_session(chat("openai-chat", true, &user(text))));
    }
    let summaries = || house.provider.requests().iter().filter(|seen| seen.json()["model"] == "small").count();
    assert!(until(|| summaries() == 1));
    assert!(until(|| {
        house.ask(&in_session(chat("anthropic-messages", false, &user("three"))));
        house.sent().contains("They counted.")
    }));
    assert!(!house.sent().contains("You said one."), "{}", house.sent());
}

fn summaries(house: &House) -> usize {
    house.provider.requests().iter().filter(|seen| seen.json()["model"] == "small").count()
}

#[test]
fn a_session_is_summed_up_by_one_at_a_time_and_for_its_user() {
    let slow = |seen: &Seen| {
        let answer = answer(seen);
        if seen.json()["model"] == "small" { answer.delay(std::time::Duration::from_millis(600)) } else { answer }
    };
    let house = House::of("one-summary", &format!("[server]\nkey = \"env:GATE_KEY\"\n{WINDOW}"), slow);
    let path = house.folder.join("ledger.db");
    house.record.keep_in(Ledger::new(Options::at(&path), std::sync::Arc::new(|_: &str| {})));
    for text in ["one", "two", "three", "four", "five"] {
        house.ask(&in_session(chat("openai-chat", false, &user(text))).header("x-api-key", "gate-key-1"));
    }
    assert!(until(|| summaries(&house) > 0));
    // There is time for more of them until the first is over.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(summaries(&house), 1);
    let calls = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut store = Store::open(&trunkline_store::Opening::existing(&path)).await.unwrap();
            store.calls(&Wanted { limit: 99, ..Wanted::default() }).await.unwrap()
        })
    };
    assert!(until_within(std::time::Duration::from_secs(10), || calls().len() == 6), "{}", calls().len());
    let calls = calls();
    let made = calls.iter().find(|call| call.model == "at-openai-chat/small").unwrap();
    assert_eq!((made.user_id.as_deref(), made.key_id.is_some()), (Some("ann"), true));
    assert_eq!(made.key_id, calls.iter().find(|call| call.model != made.model).unwrap().key_id);
}

#[test]
fn a_summary_that_fails_is_not_asked_for_at_once_again() {
    let broken = |seen: &Seen| {
        if seen.json()["model"] == "small" {
            Answer::json(500, json!({"error": {"message": "no"}}).to_string())
        } else {
            answer(seen)
        }
    };
    let house = House::of("no-summary", WINDOW, broken);
    for text in ["one", "two"] {
        house.ask(&in_session(chat("openai-chat", false, &user(text))));
    }
    assert!(until(|| house.told().iter().any(|line| line.contains("is not summed up"))));
    for text in ["three", "four", "five", "six"] {
        house.ask(&in_session(chat("openai-chat", false, &user(text))));
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(summaries(&house), 1);
}
