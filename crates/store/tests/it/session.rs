//! What every store has to do with conversations.

use std::time::Duration;

use trunkline_store::{Ids, Placed, Retention, SessionRow, Sought, Summary, TurnRow};

use crate::folder::{call, hour};
use crate::world::{World, session, us};

#[tokio::test]
async fn keeps_a_conversation_as_it_was() {
    let mut world = World::new("session-keeps").await;
    let (one, at) = (session("one", hour(1)), hour(1));
    let first = world.turn("one", None, "Grüße 你好", at);
    assert_eq!(world.store.append_turn(&first, Some(&one)).await.unwrap(), Placed::Last);
    let second =
        TurnRow { finish: None, answered: None, error: Some("network".into()), ..world.turn("one", Some(first.id), "And?", at) };
    world.store.append_turn(&second, Some(&one)).await.unwrap();
    assert_eq!(world.store.turns(second.id, 100).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(world.store.turns(second.id, 1).await.unwrap(), std::slice::from_ref(&second));
    assert!(second.is_partial());
    let listed = world.store.sessions(&Sought { limit: 10, ..Sought::default() }).await.unwrap();
    assert_eq!((listed.len(), listed[0].turns, listed[0].session.head), (1, 2, Some(second.id)));
    assert_eq!(listed[0].session.updated_us, second.begun_us + 1000);
    let changed =
        SessionRow { title: "Other".to_owned(), model: Some("m".to_owned()), kept: Some("3 turns".to_owned()), ..one.clone() };
    assert!(world.store.set_session(&changed).await.unwrap());
    let read = world.store.session("one").await.unwrap().unwrap();
    assert_eq!((read.title.as_str(), read.head, read.kept.as_deref()), ("Other", Some(second.id), Some("3 turns")));
    assert_eq!(world.store.session("two").await.unwrap(), None);
    let summary = Summary { turn: first.id, made_us: 1, target: None, text: "Hello".to_owned() };
    world.store.add_summary(&summary).await.unwrap();
    assert_eq!(world.store.summary(second.id, 100).await.unwrap(), Some(summary));
}

#[tokio::test]
async fn of_two_who_go_on_from_one_place_nothing_is_lost() {
    let mut world = World::new("session-two").await;
    let one = session("one", hour(1));
    let first = world.say(&one, "first", hour(1)).await;
    let (left, right) = (world.turn("one", Some(first), "left", hour(2)), world.turn("one", Some(first), "right", hour(2)));
    assert_eq!(world.store.append_turn(&left, Some(&one)).await.unwrap(), Placed::Last);
    assert_eq!(world.store.append_turn(&right, Some(&one)).await.unwrap(), Placed::Beside);
    assert_eq!(world.texts("one").await, ["first", "left"]);
    assert_eq!(world.store.turns_made_in("one").await.unwrap().len(), 3);
    // A branch has it.
    let branch = SessionRow { head: Some(right.id), branch_of: Some("one".to_owned()), ..session("two", hour(2)) };
    assert!(world.store.add_session(&branch).await.unwrap());
    assert!(!world.store.add_session(&branch).await.unwrap());
    assert_eq!(world.texts("two").await, ["first", "right"]);
    // Back, and not from where it is no more.
    assert!(world.store.move_session("one", Some(left.id), Some(first), us(hour(3))).await.unwrap());
    assert!(!world.store.move_session("one", Some(left.id), None, us(hour(3))).await.unwrap());
    assert_eq!(world.texts("one").await, ["first"]);
    // A turn after one that is gone is refused.
    let lost = world.turn("one", Some(world.ids.next(hour(1))), "lost", hour(3));
    assert!(world.store.append_turn(&lost, Some(&one)).await.unwrap_err().message.contains("deleted"));
}

#[tokio::test]
async fn what_others_reach_stays_when_a_session_is_deleted() {
    let mut world = World::new("session-delete").await;
    let (one, other) = (session("one", hour(1)), session("other", hour(1)));
    let mut turns = Vec::new();
    for text in ["a", "b", "c"] {
        turns.push(world.say(&one, text, hour(1)).await);
    }
    world.say(&other, "z", hour(1)).await;
    let branch = SessionRow { head: Some(turns[1]), branch_of: Some("one".to_owned()), ..session("branch", hour(2)) };
    world.store.add_session(&branch).await.unwrap();
    world.say(&branch, "d", hour(2)).await;
    assert!(world.store.delete_session("one").await.unwrap());
    assert!(!world.store.delete_session("one").await.unwrap());
    assert_eq!(world.texts("branch").await, ["a", "b", "d"]);
    assert!(world.store.turns(turns[2], 9).await.unwrap().is_empty());
    assert!(world.store.delete_session("branch").await.unwrap());
    assert!(world.store.turns(turns[1], 9).await.unwrap().is_empty());
    assert_eq!(world.texts("other").await, ["z"]);
}

#[tokio::test]
async fn sessions_are_found_by_what_was_said() {
    let mut world = World::new("session-search").await;
    for (id, text, at) in [("one", "Wo ist \"Köln\"", 1), ("two", "text of 100%", 2), ("three", "天气 c:\\temp", 3)] {
        world.say(&session(id, hour(at)), text, hour(at)).await;
    }
    assert_eq!(world.found("title OF").await, ["three", "two", "one"]);
    let named = SessionRow { title: "Über ДОМ".to_owned(), ..session("four", hour(4)) };
    world.say(&named, "Привет, Łódź! ΟΔΌΣ 100% c:\\über", hour(4)).await;
    for text in ["привет", "ПРИВЕТ", "Привет", "łódź", "ŁÓDŹ!", "οδό", "über дом", "ÜBER", "дом", "т, ŁÓDŹ", "C:\\Ü"]
    {
        assert_eq!(world.found(text).await, ["four"], "{text}");
    }
    for text in ["привес", "ёбер", "xдом", "\\ubёr"] {
        assert!(world.found(text).await.is_empty(), "{text}");
    }
    world.store.delete_session("four").await.unwrap();
    assert_eq!(world.found("\"köln\"").await, ["one"]);
    assert_eq!(world.found("天气").await, ["three"]);
    assert_eq!(world.found("c:\\temp").await, ["three"]);
    assert_eq!(world.found("100%").await, ["two"]);
    // What the JSON has beside the words does not count.
    for nothing in ["1000", "role", "reasoning", "%%", "*", "?o", "[w]o"] {
        assert!(world.found(nothing).await.is_empty(), "{nothing}");
    }
    let page = Sought { limit: 1, before_us: Some(us(hour(3))), ..Sought::default() };
    assert_eq!(world.store.sessions(&page).await.unwrap()[0].session.id, "two");
    let nobodys = Sought { limit: 9, user: Some("bob".to_owned()), ..Sought::default() };
    assert!(world.store.sessions(&nobodys).await.unwrap().is_empty());
}

#[tokio::test]
async fn answers_are_named_by_their_ids_until_they_are_deleted() {
    let mut world = World::new("session-response").await;
    let first = TurnRow { response_id: Some("resp_1".to_owned()), ..world.turn("", None, "a", hour(1)) };
    let second = TurnRow { response_id: Some("resp_2".to_owned()), ..world.turn("", Some(first.id), "b", hour(1)) };
    for turn in [&first, &second] {
        assert_eq!(world.store.append_turn(turn, None).await.unwrap(), Placed::Last);
    }
    let again = TurnRow { response_id: Some("resp_2".to_owned()), ..world.turn("", None, "b", hour(1)) };
    assert!(world.store.append_turn(&again, None).await.is_err());
    assert_eq!(world.store.turn_of_response("resp_2").await.unwrap(), Some(second.clone()));
    // The second one goes on from the first, which stays until that is gone.
    assert!(world.store.delete_response("resp_1").await.unwrap());
    assert_eq!(world.store.turn_of_response("resp_1").await.unwrap(), None);
    assert_eq!(world.store.turns(second.id, 9).await.unwrap().len(), 2);
    assert!(world.store.delete_response("resp_2").await.unwrap());
    assert!(!world.store.delete_response("resp_2").await.unwrap());
    assert!(world.store.turns(second.id, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn old_sessions_go_with_old_calls_and_a_persons_data_goes_at_once() {
    let mut world = World::new("session-keep").await;
    world.say(&session("old", hour(0)), "old", hour(0)).await;
    let young = session("young", hour(0));
    let first = world.say(&young, "begun then", hour(0)).await;
    world.say(&young, "and now", hour(40)).await;
    let nameless = TurnRow { response_id: Some("r".to_owned()), ..world.turn("", None, "by id", hour(0)) };
    world.store.append_turn(&nameless, None).await.unwrap();
    let ledger = Ids::new();
    world.store.add(&[call(&ledger, hour(0), 1), call(&ledger, hour(40), 2)]).await.unwrap();
    let keep = Retention { days: Some(1), bytes: None };
    world.store.trim(keep, hour(40), u64::MAX).await.unwrap();
    assert_eq!((world.texts("old").await.len(), world.texts("young").await.len()), (0, 2));
    assert_eq!(world.store.turn_of_response("r").await.unwrap(), None);
    assert_eq!(world.store.count().await.unwrap(), 1);
    // Somebody else went on from what she had said: hers loses its words.
    let theirs = SessionRow { head: Some(first), user_id: Some("bob".to_owned()), ..session("theirs", hour(41)) };
    world.store.add_session(&theirs).await.unwrap();
    let theirs = TurnRow { user_id: Some("bob".to_owned()), ..world.turn("theirs", Some(first), "bob's", hour(41)) };
    let row = world.store.session("theirs").await.unwrap().unwrap();
    world.store.append_turn(&theirs, Some(&row)).await.unwrap();
    assert_eq!(world.store.forget("ann").await.unwrap(), 1);
    assert_eq!(world.texts("young").await.len(), 0);
    let left = world.store.turns(theirs.id, 9).await.unwrap();
    assert_eq!(
        (left.len(), left[0].asked.len(), left[0].answered.as_ref(), left[1].asked[0].plain_text()),
        (2, 0, None, "bob's".to_owned())
    );
    tokio::time::sleep(Duration::from_millis(1)).await;
    let file = std::fs::read(world.store.path()).unwrap();
    let held = |text: &[u8]| file.windows(text.len()).any(|window| window == text);
    assert!(!held(b"begun then") && held(b"bob's"));
}

#[tokio::test]
async fn of_a_conversation_as_large_as_a_disk_only_the_end_is_read() {
    let mut world = World::new("session-large").await;
    let one = session("one", hour(1));
    // As long as that twice: once asked, once answered.
    let large = world.say(&one, &"a picture ".repeat(3_400_000), hour(1)).await;
    assert_eq!(world.store.turns(large, 100).await.unwrap().len(), 1);
    let small = world.say(&one, "small", hour(1)).await;
    assert_eq!(world.store.turns(small, 100).await.unwrap().len(), 1);
    let next = world.say(&one, "next", hour(1)).await;
    assert_eq!(world.store.turns(next, 100).await.unwrap().len(), 2);
}
