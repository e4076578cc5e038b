//! What is old goes, and nothing else.

use trunkline_store::{Ids, Retention, SessionRow, Trimmed, TurnRow};

use crate::folder::{call, hour};
use crate::world::{World, session};

/// Some hundred kilobytes.
fn long() -> String {
    "much was said ".repeat(20_000)
}

#[tokio::test]
async fn what_fills_the_store_goes_by_its_age_and_not_by_its_kind() {
    let mut world = World::new("trim-kinds").await;
    let ids = Ids::new();
    for hours in [0, 10, 20] {
        world.say(&session(&format!("s{hours}"), hour(hours)), &long(), hour(hours)).await;
        let answer = TurnRow { response_id: Some(format!("r{hours}")), ..world.turn("", None, &long(), hour(hours + 1)) };
        world.store.append_turn(&answer, None).await.unwrap();
        world.store.add(&[call(&ids, hour(hours + 2), hours)]).await.unwrap();
    }
    let all = world.store.size().await.unwrap().bytes;
    // A little more than half of it: what is of the first hours goes, and the second conversation.
    let keep = Retention { days: None, bytes: Some(all / 10 * 6) };
    let trimmed = world.store.trim(keep, hour(100), u64::MAX).await.unwrap();
    assert_eq!(trimmed, Trimmed { rows: 4, over: None });
    let left = [world.texts("s0").await.len(), world.texts("s10").await.len(), world.texts("s20").await.len()];
    assert_eq!((left, world.store.count().await.unwrap()), ([0, 0, 1], 2));
    for (id, is_there) in [("r0", false), ("r10", true), ("r20", true)] {
        assert_eq!(world.store.turn_of_response(id).await.unwrap().is_some(), is_there, "{id}");
    }
    // What is new stays, whatever the limit.
    let keep = Retention { days: None, bytes: Some(1) };
    let trimmed = world.store.trim(keep, hour(21), u64::MAX).await.unwrap();
    assert_eq!((trimmed.rows, trimmed.over.is_some()), (2, true));
    let trimmed = world.store.trim(keep, hour(21), u64::MAX).await.unwrap();
    assert_eq!((trimmed.rows, trimmed.over), (0, Some(world.store.size().await.unwrap().bytes)));
    assert_eq!((world.texts("s20").await.len(), world.store.count().await.unwrap()), (1, 1));
    assert!(world.store.turn_of_response("r20").await.unwrap().is_some());
}

#[tokio::test]
async fn a_turn_that_outlives_its_session_goes_with_what_goes_on_from_it() {
    let mut world = World::new("trim-outlives").await;
    let one = session("one", hour(0));
    let first = world.say(&one, "first", hour(0)).await;
    world.say(&one, "second", hour(0)).await;
    let answer = TurnRow { response_id: Some("r".to_owned()), ..world.turn("", Some(first), "by id", hour(30)) };
    world.store.append_turn(&answer, None).await.unwrap();
    let keep = Retention { days: Some(1), bytes: None };
    world.store.trim(keep, hour(40), u64::MAX).await.unwrap();
    assert!(world.store.session("one").await.unwrap().is_none());
    assert_eq!(world.store.turns(answer.id, 9).await.unwrap().len(), 2, "what an answer goes on from stays with it");
    world.store.trim(keep, hour(60), u64::MAX).await.unwrap();
    assert!(world.store.turns(answer.id, 9).await.unwrap().is_empty());
    assert!(world.store.turns(first, 9).await.unwrap().is_empty(), "a turn that nothing reaches is kept for ever");
}

/// Whichever of its sessions goes first, what the last one says is found by it.
#[tokio::test]
async fn a_branch_of_a_branch_has_its_turns_in_whatever_order_the_others_go() {
    let mut world = World::new("trim-branches").await;
    let first = world.say(&session("one", hour(0)), "begun", hour(0)).await;
    for (id, of) in [("two", "one"), ("three", "two")] {
        let branch = SessionRow { head: Some(first), branch_of: Some(of.to_owned()), ..session(id, hour(1)) };
        world.store.add_session(&branch).await.unwrap();
    }
    world.store.delete_session("two").await.unwrap();
    world.store.delete_session("one").await.unwrap();
    assert_eq!((world.texts("three").await, world.found("begun").await), (vec!["begun".to_owned()], vec!["three".to_owned()]));
    world.store.delete_session("three").await.unwrap();
    assert!(world.store.turns(first, 9).await.unwrap().is_empty());
}
