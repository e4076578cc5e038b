//! A person's data goes, wherever it is.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use trunkline_store::{CallRow, Ids, Ledger, Opening, Options, SessionRow, State, Store, Summary, TurnRow, Wanted};

use crate::folder::{Folder, call, hour};
use crate::process::Other;
use crate::world::{World, session};

fn of(user: &str, number: u64) -> CallRow {
    CallRow { user_id: Some(user.to_owned()), ..call(&Ids::new(), SystemTime::now(), number) }
}

/// Whether any file of the folder has this text.
fn is_anywhere(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

async fn users(store: &mut Store) -> Vec<String> {
    let calls = store.calls(&Wanted { limit: 1000, ..Wanted::default() }).await.unwrap();
    let mut users: Vec<String> = calls.into_iter().filter_map(|call| call.user_id).collect();
    users.sort();
    users
}

#[tokio::test]
async fn while_somebody_reads_the_store_it_is_told_that_traces_are_left() {
    let folder = Folder::new("forget-read");
    let mut store = Store::open(&Opening::at(folder.store())).await.unwrap();
    store.add(&[of("anna-lena", 0), of("bob", 1)]).await.unwrap();
    let mut other = Other::start("read", &folder.store());
    assert_eq!(other.hear(), "reading");
    let left = store.forget("anna-lena").await.unwrap_err();
    assert!(left.message.contains("1 calls and sessions are deleted") && left.message.contains("traces"), "{left}");
    assert_eq!(users(&mut store).await, ["bob"]);
    drop(other);
    assert_eq!(store.forget("anna-lena").await.unwrap(), 0);
    assert!(!is_anywhere(&folder.0, "anna-lena") && is_anywhere(&folder.0, "bob"));
}

#[tokio::test]
async fn what_a_process_that_is_gone_had_set_aside_does_not_come_back() {
    let folder = Folder::new("forget-gone");
    Store::open(&Opening::at(folder.store())).await.unwrap().close().await;
    let lines = [of("anna", 0), of("bob", 1)].map(|row| serde_json::to_string(&row).unwrap() + "\n").concat();
    std::fs::write(folder.0.join("trunkline.db.spill-x.jsonl"), &lines).unwrap();
    let mut store = Store::open(&Opening::existing(folder.store())).await.unwrap();
    assert_eq!(store.forget("anna").await.unwrap(), 1);
    assert_eq!(users(&mut store).await, ["bob"]);
    assert!(!is_anywhere(&folder.0, "anna"));
    // Out of a copy of that file it does not come back either; what is new of her does.
    std::fs::write(folder.0.join("trunkline.db.spill-y.jsonl"), &lines).unwrap();
    let ledger = Ledger::new(Options::at(folder.store()), Arc::new(|_: &str| ()));
    ledger.start();
    let begun = Instant::now();
    while folder.0.join("trunkline.db.spill-y.jsonl").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(2));
    ledger.record(of("anna", 2));
    ledger.close();
    assert_eq!(users(&mut store).await, ["anna", "bob"]);
}

/// A gateway runs, and has rows in its spill file and in memory when a person is forgotten.
#[tokio::test]
async fn what_a_running_process_has_set_aside_is_not_written_any_more() {
    let folder = Folder::new("forget-running");
    let options = Options { pause: Duration::from_secs(600), ..Options::at(folder.store()) };
    let ledger = Ledger::new(options, Arc::new(|_: &str| ()));
    ledger.record(of("bob", 0));
    let wait = async |what: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !what() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    wait(&|| ledger.status().written == 1).await;
    let other = Other::start("lock", &folder.store());
    ledger.record(of("anna", 1));
    ledger.record(of("bob", 2));
    wait(&|| ledger.status().state == State::Waiting).await;
    drop(other);
    let mut store = Store::open(&Opening::existing(folder.store())).await.unwrap();
    assert_eq!(store.forget("anna").await.unwrap(), 0);
    ledger.close();
    assert_eq!(users(&mut store).await, ["bob", "bob"]);
    assert_eq!(ledger.status().waiting, 0);
}

/// Of what others keep, her words go, too: summaries of turns of hers, and the title that a branch has from her.
#[tokio::test]
async fn nothing_of_hers_is_left_in_the_conversations_of_others() {
    let mut world = World::new("forget-others").await;
    let hers = SessionRow { system: Some("Be her secretary.".to_owned()), ..session("hers", hour(1)) };
    let first = world.say(&hers, "her secret", hour(1)).await;
    let bob = || Some("bob".to_owned());
    let branch = SessionRow {
        id: "his".to_owned(),
        head: Some(first),
        user_id: bob(),
        branch_of: Some("hers".to_owned()),
        ..hers.clone()
    };
    world.store.add_session(&branch).await.unwrap();
    let mut last = first;
    for text in ["his question", "his second"] {
        let turn = TurnRow { user_id: bob(), ..world.turn("his", Some(last), text, hour(2)) };
        world.store.append_turn(&turn, Some(&branch)).await.unwrap();
        last = turn.id;
        let summary = Summary { turn: last, made_us: 1, target: None, text: "They spoke of her secret.".to_owned() };
        world.store.add_summary(&summary).await.unwrap();
    }
    assert_eq!(world.store.forget("ann").await.unwrap(), 1);
    assert_eq!(world.store.summary(last, 100).await.unwrap(), None);
    let his = world.store.session("his").await.unwrap().unwrap();
    assert_eq!((his.title.as_str(), his.system, his.head), ("", None, Some(last)));
    assert_eq!(world.store.turns(last, 9).await.unwrap().len(), 3);
    let folder = world.store.path().parent().unwrap().to_owned();
    for (text, is_left) in [("her secret", false), ("Title of hers", false), ("her secretary", false), ("his question", true)] {
        assert_eq!(is_anywhere(&folder, text), is_left, "{text}");
    }
    // An answer to her was on its way.
    let late = world.turn("hers", None, "her secret", SystemTime::now() - Duration::from_secs(1));
    assert!(world.store.append_turn(&late, Some(&hers)).await.is_err());
    let new = world.turn("hers", None, "hello again", SystemTime::now() + Duration::from_secs(1));
    world.store.append_turn(&new, Some(&hers)).await.unwrap();
}

/// An answer is deleted that another one goes on from: that one stays, and of the first there is nothing but its place.
#[tokio::test]
async fn the_words_of_a_deleted_answer_go_though_others_go_on_from_it() {
    let mut world = World::new("forget-answer").await;
    let named = |id: &str| Some(id.to_owned());
    let first = TurnRow { response_id: named("r1"), ..world.turn("", None, "the first secret", hour(1)) };
    let second = TurnRow { response_id: named("r2"), ..world.turn("", Some(first.id), "the second", hour(1)) };
    for turn in [&first, &second] {
        world.store.append_turn(turn, None).await.unwrap();
    }
    let summary = Summary { turn: second.id, made_us: 1, target: None, text: "It was the first secret.".to_owned() };
    world.store.add_summary(&summary).await.unwrap();
    assert!(world.store.delete_response("r1").await.unwrap());
    assert!(world.store.turn_of_response("r1").await.unwrap().is_none());
    let turns = world.store.turns(second.id, 9).await.unwrap();
    assert_eq!((turns.len(), &turns[1]), (2, &second));
    assert!(turns[0].asked.is_empty() && turns[0].answered.is_none());
    assert_eq!(world.store.summary(second.id, 9).await.unwrap(), None);
    let path = world.store.path().to_owned();
    world.store.close().await;
    let file = std::fs::read(path).unwrap();
    assert!(!file.windows(16).any(|window| window == b"the first secret"));
}
