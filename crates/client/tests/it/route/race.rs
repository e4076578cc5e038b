//! Two targets at once for one call: what it gains, and what it may not cost.

use std::time::Duration;

use trunkline::monitor::{Exchange, Outcome};
use trunkline::{Kind, Origin};

use super::world::{Act, Ended, Script, World, call, world};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

fn alias(more: &str) -> String {
    format!("[models.any]\ntargets = [\"p0/m\", \"p1/m\"]\n{more}\n")
}

fn outcomes(world: &World) -> Vec<Outcome> {
    world.log.lock().unwrap().outcomes.clone()
}

/// Nobody is still waited for.
fn all_closed(world: &World) {
    let log = world.log.lock().unwrap();
    assert!(log.at_once.values().all(|(now, _)| *now == 0), "{:?}", log.at_once);
}

fn kinds(outcome: &Outcome) -> Vec<(&str, Option<Kind>)> {
    outcome.exchanges.iter().map(|one| (&*one.target, one.error.as_ref().map(|error| error.kind))).collect()
}

/// Calls, each begun whether or not the others are over.
async fn herd(scripts: &[Script], config: &str, number: u64, apart: Duration) -> (std::sync::Arc<World>, Vec<Ended>) {
    let (world, client) = world(scripts, config, 5);
    let calls = (0..number).map(|at| {
        let (world, client) = (&world, &client);
        async move {
            tokio::time::sleep(apart * u32::try_from(at).unwrap()).await;
            call(world, client, "any", at % 2 == 0).await
        }
    });
    let ended = futures_util::future::join_all(calls).await;
    (world, ended)
}

#[test]
fn who_stalls_now_and_then_is_not_waited_for() {
    paused(async {
        let mut acts = vec![Act::Good; 19];
        acts.push(Act::Silence);
        let scripts = [Script::new(acts, 80), Script::new([Act::Good], 100)];
        let p99 = |ended: &[Ended]| {
            let mut took: Vec<_> = ended.iter().map(|ended| ended.took).collect();
            took.sort_unstable();
            took[took.len() * 99 / 100]
        };
        let (_, plain) = herd(&scripts, &alias("first_byte_seconds = 3"), 2000, ms(20)).await;
        let (world, hedged) = herd(&scripts, &alias("first_byte_seconds = 3\nhedge_ms = 200"), 2000, ms(20)).await;
        println!("p99 with a target that stalls 5 % of the time: {:?}, hedged {:?}", p99(&plain), p99(&hedged));
        assert!(p99(&plain) > ms(3000) && p99(&hedged) < ms(400));
        assert!(hedged.iter().all(|ended| ended.error.is_none() && !ended.text.is_empty()));
        assert_eq!((world.asked("p0"), world.asked("p1")), (2000, 100), "each that stalls, and no other");
        all_closed(&world);
        let outcomes = outcomes(&world);
        assert_eq!(outcomes.len(), 2000);
        let twice: Vec<_> = outcomes.iter().filter(|outcome| outcome.exchanges.len() > 1).collect();
        assert_eq!(twice.len(), 100);
        for outcome in twice {
            assert_eq!(kinds(outcome), [("p0/m", Some(Kind::Cancelled)), ("p1/m", None)]);
            assert_eq!(outcome.exchanges[0].error.as_ref().unwrap().origin, Origin::Gateway);
            assert_eq!((outcome.target.as_deref(), outcome.error.is_none()), (Some("p1/m"), true));
        }
    });
}

#[test]
fn an_outage_is_not_multiplied() {
    paused(async {
        let scripts = [Script::new([Act::Good], 2000), Script::new([Act::Good], 2000)];
        let (world, ended) = herd(&scripts, &alias("hedge_ms = 100"), 1000, ms(20)).await;
        assert!(ended.iter().all(|ended| ended.error.is_none()));
        let (first, beside) = (world.asked("p0"), world.asked("p1"));
        println!("1000 calls in 20 s, all of them slow: {beside} asked of another target, too");
        assert_eq!(first, 1000);
        // A fifth of the calls, ten, and one a second.
        assert!((200..=200 + 10 + 22).contains(&beside), "{beside}");
        all_closed(&world);
    });
}

#[test]
fn both_at_once_and_the_faster_one_counts() {
    for streamed in [false, true] {
        paused(async {
            let scripts = [Script::new([Act::Good], 300), Script::new([Act::Good], 100)];
            let (world, client) = world(&scripts, &alias("hedge_ms = 0"), 1);
            let ended = call(&world, &client, "any", streamed).await;
            assert!(ended.error.is_none() && ended.took < ms(200), "{ended:?}");
            assert_eq!((world.asked("p0"), world.asked("p1")), (1, 1));
            assert!(ended.text.starts_with("p1 says"), "{}", ended.text);
            all_closed(&world);
            assert_eq!(kinds(&outcomes(&world)[0]), [("p0/m", Some(Kind::Cancelled)), ("p1/m", None)]);
        });
        paused(async {
            let scripts = [Script::new([Act::Good], 100), Script::new([Act::Good], 300)];
            let (world, client) = world(&scripts, &alias("hedge_ms = 0"), 1);
            let ended = call(&world, &client, "any", streamed).await;
            assert!(ended.error.is_none() && ended.text.starts_with("p0 says"), "{ended:?}");
            assert!(tokio::time::timeout(ms(1), async { all_closed(&world) }).await.is_ok());
            let outcome = &outcomes(&world)[0];
            assert_eq!(kinds(outcome), [("p0/m", None), ("p1/m", Some(Kind::Cancelled))]);
            assert_eq!(outcome.target.as_deref(), Some("p0/m"), "not who was asked last");
            // These streams tell no usage, nor does who was too slow.
            let estimated = outcome.exchanges.iter().map(|exchange| exchange.usage.map(|usage| usage.estimated));
            assert_eq!(estimated.collect::<Vec<_>>(), [Some(streamed), Some(true)]);
        });
    }
}

#[test]
fn who_fails_beside_another_ends_nothing_and_when_both_fail_it_goes_on() {
    paused(async {
        for status in [400, 401, 500] {
            let scripts = [Script::new([Act::Good], 500), Script::new([Act::Refuse(status, None)], 10)];
            let (world, client) = world(&scripts, &alias("hedge_ms = 100"), 1);
            let ended = call(&world, &client, "any", false).await;
            assert!(ended.error.is_none() && ended.text.starts_with("p0"), "{status}: {ended:?}");
            assert_eq!(outcomes(&world)[0].exchanges.len(), 2);
        }
        let bad = |ms| Script::new([Act::Refuse(500, None)], ms);
        let three = "[models.any]\ntargets = [\"p0/m\", \"p1/m\", \"p2/m\"]\nhedge_ms = 100\nattempts = 1\n";
        let (world, client) = world(&[bad(900), bad(100), Script::new([Act::Good], 100)], three, 1);
        let ended = call(&world, &client, "any", true).await;
        assert!(ended.error.is_none() && ended.took < ms(500), "the third, as soon as the second fails: {ended:?}");
        let expected = [("p0/m", Some(Kind::Cancelled)), ("p1/m", Some(Kind::Server)), ("p2/m", None)];
        assert_eq!(kinds(&outcomes(&world)[0]), expected);
    });
    paused(async {
        let scripts = [Script::new([Act::Refuse(500, None), Act::Good], 300), Script::new([Act::Reset], 100)];
        let (world, client) = world(&scripts, &alias("hedge_ms = 100\nattempts = 2"), 1);
        let ended = call(&world, &client, "any", false).await;
        assert!(ended.error.is_none() && ended.text.starts_with("p0"), "{ended:?}");
        assert!((2..=3).contains(&(outcomes(&world)[0].exchanges.len() - 1)), "{:?}", outcomes(&world)[0]);
    });
}

#[test]
fn what_may_not_be_done_twice_is_asked_once_and_so_is_whose_answer_has_begun() {
    paused(async {
        let scripts = [Script::new([Act::Good], 500), Script::new([Act::Good], 10)];
        let (world, client) = world(&scripts, &alias("hedge_ms = 50"), 1);
        let _ = client.speak("any", "hello").await;
        assert_eq!((world.asked("p0"), world.asked("p1")), (1, 0));
        let _ = client.embed("any", ["hello"]).await;
        assert_eq!(world.asked("p1"), 1, "this one may");
        // The head comes after 50 ms, the rest 10 ms later.
        let scripts = [Script::new([Act::Good], 50), Script::new([Act::Good], 1)];
        let (world, client) = super::world::world(&scripts, &alias("hedge_ms = 55"), 1);
        assert_eq!(call(&world, &client, "any", false).await.error, None);
        assert_eq!((world.asked("p0"), world.asked("p1")), (1, 0));
    });
}

#[test]
fn who_is_not_fit_is_not_asked_beside_another() {
    paused(async {
        let scripts = [Script::new([Act::Good], 500), Script::new([Act::Refuse(429, Some(60)), Act::Good], 10)];
        let (world, client) = world(&scripts, &alias("hedge_ms = 100"), 1);
        for _ in 0..5 {
            assert!(call(&world, &client, "any", false).await.text.starts_with("p0"));
        }
        assert_eq!((world.asked("p0"), world.asked("p1")), (5, 1), "it asked for silence");
    });
    paused(async {
        let config = format!("{}[limits.p1]\nin_flight = 1\nqueue = 10\n", alias("hedge_ms = 100"));
        let scripts = [Script::new([Act::Good], 400), Script::new([Act::Good], 400)];
        let (world, ended) = herd(&scripts, &config, 8, ms(1)).await;
        assert!(ended.iter().all(|ended| ended.error.is_none()));
        assert_eq!((world.asked("p0"), world.asked("p1")), (8, 1), "nobody waits for a turn with a second target");
    });
}

#[test]
fn who_is_known_to_be_unable_is_not_asked_beside_another() {
    paused(async {
        let scripts = [Script::new([Act::Good], 500), Script::new([Act::Good], 10)];
        let able = "[prices.\"p0/m\"]\nable = [\"chat\", \"tools\"]\ncontext = 100000\n[prices.\"p1/m\"]\ncontext = 500\n";
        let (world, client) = world(&scripts, &format!("{}{able}", alias("hedge_ms = 100")), 1);
        let long = client.chat("any", "word ".repeat(1000)).await.unwrap();
        assert_eq!((long.target.as_str(), world.asked("p1")), ("p0/m", 0), "it is too long for the second");
        let short = client.chat("any", "word").await.unwrap();
        assert_eq!((short.target.as_str(), world.asked("p1")), ("p1/m", 1));
    });
}

#[test]
fn who_leaves_in_the_middle_of_a_race_leaves_nothing_behind() {
    paused(async {
        let scripts = [Script::new([Act::Silence], 10), Script::new([Act::Silence], 10)];
        let (world, client) = world(&scripts, &alias("hedge_ms = 100"), 1);
        for at in [50, 99, 101, 150, 400] {
            assert!(tokio::time::timeout(ms(at), call(&world, &client, "any", at % 2 == 0)).await.is_err());
            all_closed(&world);
        }
        let outcomes = outcomes(&world);
        assert_eq!(outcomes.iter().map(|outcome| outcome.exchanges.len()).collect::<Vec<_>>(), [1, 1, 2, 2, 2]);
        for outcome in &outcomes {
            assert!(kinds(outcome).iter().all(|(_, kind)| *kind == Some(Kind::Cancelled)), "{outcome:?}");
            assert_eq!(outcome.error.as_ref().unwrap().origin, Origin::Caller);
        }
        assert!(client.health().targets.iter().all(|target| target.in_flight == 0));
    });
}

#[test]
fn the_deadline_holds_for_both() {
    paused(async {
        let scripts = [Script::new([Act::Silence], 10), Script::new([Act::Silence], 10)];
        let (world, client) = world(&scripts, &alias("hedge_ms = 400\ndeadline_seconds = 2"), 1);
        let ended = call(&world, &client, "any", false).await;
        assert!(matches!(ended.error, Some((Kind::Timeout, _))), "{ended:?}");
        assert!(ended.took <= ms(2050), "{ended:?}");
        assert_eq!(kinds(&outcomes(&world)[0]).len(), 2);
        all_closed(&world);
    });
}
