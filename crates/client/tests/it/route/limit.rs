//! Our own limits: never more than may be at once, in the order of coming, and nothing lost when callers leave.

use std::time::Duration;

use proptest::prelude::*;
use trunkline::config::{Config, Environment};
use trunkline::{Client, Kind, Retry};

use super::world::{Act, Ended, Script, call, world};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

fn good(latency: u64) -> Script {
    Script { acts: vec![Act::Good], latency: ms(latency), weather: Vec::new() }
}

/// One call: when it begins, whether it is streamed, and when its caller leaves, if it does.
type Caller = (u64, bool, Option<u64>);

#[derive(Clone, Debug)]
struct Plan {
    at_once: usize,
    queue: usize,
    latency: u64,
    faults: bool,
    callers: Vec<Caller>,
    seed: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let caller = (0..3000_u64, any::<bool>(), proptest::option::weighted(0.3, 0..2000_u64));
    let callers = proptest::collection::vec(caller, 1..60);
    (1..6_usize, 0..30_usize, 1..800_u64, any::<bool>(), callers, any::<u64>())
        .prop_map(|(at_once, queue, latency, faults, callers, seed)| Plan { at_once, queue, latency, faults, callers, seed })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_is_fair_and_bounded_and_loses_nothing(plan in plan()) {
        paused(run(&plan));
    }
}

async fn run(plan: &Plan) {
    let acts = if plan.faults { vec![Act::Good, Act::Reset, Act::Good, Act::Good, Act::Cut(1)] } else { vec![Act::Good] };
    let script = Script { acts, latency: ms(plan.latency), weather: Vec::new() };
    let config = format!("[calls]\nattempts = 1\n[limits.p0]\nin_flight = {}\nqueue = {}\n", plan.at_once, plan.queue);
    let (world, client) = world(&[script], &config, plan.seed);
    let calls = plan.callers.iter().enumerate().map(|(at, (begin, streamed, leave))| {
        let (world, client) = (&world, &client);
        async move {
            // Nobody comes in the same moment as another: the order is plain.
            tokio::time::sleep(ms(*begin) * 100 + ms(u64::try_from(at).unwrap())).await;
            let call = call(world, client, "p0/m", *streamed);
            match leave {
                Some(leave) => tokio::time::timeout(ms(*leave), call).await.ok(),
                None => Some(call.await),
            }
        }
    });
    let ended: Vec<Option<Ended>> = futures_util::future::join_all(calls).await;
    let log = std::mem::take(&mut *world.log.lock().unwrap());
    let at_most = log.at_once.get("p0").map_or(0, |(_, most)| *most);
    assert!(at_most <= plan.at_once, "{at_most} at once");
    let mut order: Vec<_> = plan.callers.iter().enumerate().zip(&ended).collect();
    order.sort_by_key(|((at, (begin, ..)), _)| (begin * 100 + u64::try_from(*at).unwrap(), *at));
    let served = order.iter().filter_map(|(_, ended)| {
        let text = &ended.as_ref()?.text;
        text.split(' ').nth(2)?.parse::<usize>().ok()
    });
    let served: Vec<_> = served.collect();
    assert!(served.is_sorted(), "not in the order of coming: {served:?}");
    for ended in ended.iter().flatten() {
        match &ended.error {
            Some((Kind::RateLimited, what)) => assert!(what.contains("[limits]"), "{what}"),
            Some((kind, what)) => assert!(plan.faults, "{kind:?} {what}"),
            None => {}
        }
    }
    let refused = ended.iter().flatten().filter(|ended| matches!(ended.error, Some((Kind::RateLimited, _)))).count();
    assert!(refused == 0 || plan.callers.len() > plan.at_once + plan.queue);
    // Nobody is out and nobody waits: all that may be at once can be, at once.
    let [left] = client.health().limits.try_into().unwrap();
    assert_eq!((left.in_flight, left.waiting), (0, 0));
    let begin = world.now();
    let last = futures_util::future::join_all((0..plan.at_once).map(|_| call(&world, &client, "p0/m", false))).await;
    assert!(last.iter().all(|ended| ended.took <= ms(plan.latency) + ms(20)), "{last:?} since {begin:?}");
}

#[test]
fn ten_thousand_who_leave_leak_nothing() {
    paused(async {
        let (world, client) = world(&[good(1000)], "[limits.p0]\nin_flight = 1\nqueue = 20000\n", 1);
        let calls = (0..10_000_u64).map(|at| {
            let (world, client) = (&world, &client);
            async move { tokio::time::timeout(ms(at % 900), call(world, client, "p0/m", false)).await }
        });
        let all = futures_util::future::join_all(calls).await;
        assert!(all.iter().all(Result::is_err));
        assert!(world.asked("p0") < 1000, "those who leave while they wait are never sent: {}", world.asked("p0"));
        let left = client.health().limits;
        assert_eq!((left[0].in_flight, left[0].waiting), (0, 0));
        let ended = call(&world, &client, "p0/m", false).await;
        assert!(ended.error.is_none() && ended.took < ms(1100), "{ended:?}");
    });
}

#[test]
fn a_full_target_is_passed_over_and_waited_for_when_all_are_full() {
    paused(async {
        let config =
            "[models.any]\ntargets = [\"p0/m\", \"p1/m\"]\n[limits.\"p0/m\"]\nin_flight = 1\n[limits.p1]\nin_flight = 1\n";
        let (world, client) = world(&[good(1000), good(300)], config, 1);
        let calls = (0..4).map(|_| call(&world, &client, "any", false));
        let ended = futures_util::future::join_all(calls).await;
        let took: Vec<_> = ended.iter().map(|ended| ended.took.as_millis() / 100).collect();
        assert_eq!(took, [10, 3, 6, 9], "{ended:?}");
        assert_eq!((world.asked("p0"), world.asked("p1")), (1, 3), "whoever is free first");
    });
}

#[test]
fn a_full_queue_is_told_at_once_with_a_time_to_come_back() {
    paused(async {
        let (world, client) = world(&[good(4000)], "[limits.p0]\nin_flight = 1\nqueue = 1\n", 1);
        call(&world, &client, "p0/m", false).await;
        let (one, other) = (call(&world, &client, "p0/m", false), call(&world, &client, "p0/m", false));
        let third = async {
            tokio::time::sleep(ms(10)).await;
            let begin = world.now();
            let error = client.chat("p0/m", "hello").await.unwrap_err();
            assert_eq!((error.kind, world.now() - begin), (Kind::RateLimited, ms(0)), "{error}");
            let Retry::After(wait) = error.retry else { panic!("{error:?}") };
            assert!(wait >= ms(4000) && wait < ms(9000), "two turns of four seconds: {wait:?}");
        };
        let (one, other, ()) = tokio::join!(one, other, third);
        assert!(one.error.is_none() && other.error.is_none());
    });
}

#[test]
fn waiting_ends_with_the_calls_deadline() {
    paused(async {
        let config = "[calls]\ndeadline_seconds = 5\n[limits.p0]\nin_flight = 1\n";
        let (world, client) = world(&[good(4000)], config, 1);
        let calls = (0..3).map(|_| call(&world, &client, "p0/m", false));
        let ended = futures_util::future::join_all(calls).await;
        assert!(ended[0].error.is_none());
        for late in &ended[1..] {
            assert_eq!(late.error.as_ref().unwrap().0, Kind::Timeout);
            assert!(late.took <= ms(5050), "{late:?}");
        }
    });
}

#[test]
fn the_pace_is_kept_and_what_cannot_come_in_time_is_told_at_once() {
    paused(async {
        let config = "[calls]\ndeadline_seconds = 20\n[limits.p0]\nrequests_per_minute = 60\n";
        let (world, client) = world(&[good(10)], config, 1);
        let calls = (0..90).map(|_| call(&world, &client, "p0/m", false));
        let ended = futures_util::future::join_all(calls).await;
        let at_once = ended.iter().filter(|ended| ended.error.is_none() && ended.took < ms(100)).count();
        let later = ended.iter().filter(|ended| ended.error.is_none() && ended.took > ms(100)).count();
        let told = ended.iter().filter(|ended| ended.error.is_some()).count();
        assert_eq!((at_once, later, told), (60, 19, 11), "one a second for twenty seconds");
        assert!(ended.iter().all(|ended| ended.error.is_none() || ended.took < ms(10)), "without waiting");
    });
    paused(async {
        let config = "[limits.\"p0/m\"]\ntokens_per_minute = 6000\n";
        let (world, client) = world(&[good(10)], config, 1);
        let ask = || client.chat("p0/m", "hello").max_tokens(5990).send();
        let begin = world.now();
        ask().await.unwrap();
        ask().await.unwrap();
        let took = world.now() - begin;
        assert!(took < ms(1000), "7 tokens were used, not 5990: {took:?}");
    });
}

#[test]
fn a_provider_that_tells_that_nothing_is_left_is_asked_when_nobody_else_is_fit() {
    for (learn, asked) in [("", (1, 4)), ("[limits.p0]\nlearn = false\n", (5, 0))] {
        paused(async {
            let spent = Script { acts: vec![Act::Spent(30)], latency: ms(10), weather: Vec::new() };
            let config = format!("[models.any]\ntargets = [\"p0/m\", \"p1/m\"]\n{learn}");
            let (world, client) = world(&[spent, good(10)], &config, 1);
            for _ in 0..5 {
                assert_eq!(call(&world, &client, "any", false).await.error, None);
            }
            assert_eq!((world.asked("p0"), world.asked("p1")), asked);
            tokio::time::sleep(ms(31_000)).await;
            call(&world, &client, "any", false).await;
            assert_eq!(world.asked("p0"), asked.0 + 1, "its time is over");
            let ended = call(&world, &client, "p0/m", false).await;
            assert!(ended.error.is_none() && ended.took < ms(100), "the last lane stays open: {ended:?}");
        });
    }
}

#[test]
fn a_limit_that_is_reset_already_keeps_nobody_away() {
    paused(async {
        let spent = Script { acts: vec![Act::Spent(0)], latency: ms(10), weather: Vec::new() };
        let (world, client) = world(&[spent, good(10)], "[models.any]\ntargets = [\"p0/m\", \"p1/m\"]\n", 1);
        for _ in 0..5 {
            assert_eq!(call(&world, &client, "any", false).await.error, None);
        }
        assert_eq!((world.asked("p0"), world.asked("p1")), (5, 0));
    });
}

#[test]
fn the_roomy_is_preferred_where_room_is_known() {
    paused(async {
        let config = "[models.any]\ntargets = [\"p0/m\", \"p1/m\"]\nstrategy = \"tokens\"\n\
            [limits.p0]\nrequests_per_minute = 100\n[limits.p1]\nrequests_per_minute = 300\n";
        let (world, client) = world(&[good(1), good(1)], config, 1);
        for _ in 0..200 {
            assert_eq!(call(&world, &client, "any", false).await.error, None);
        }
        let share = (world.asked("p0"), world.asked("p1"));
        assert!((45..55).contains(&share.0), "a quarter: {share:?}");
    });
}

#[test]
fn what_is_wrong_with_a_limit_is_said() {
    let parse = |text: &str| Config::parse(text, "t.toml").unwrap_err().to_string();
    assert!(parse("[limits.sim]\nin_fligt = 1\n").contains("in_flight"), "{}", parse("[limits.sim]\nin_fligt = 1\n"));
    assert!(
        parse("[limits.sim]\nin_flight = 0\n").contains("in_flight")
            || parse("[limits.sim]\nin_flight = 0\n").contains("nonzero")
    );
    let config = Config::parse("[limits.\"simm/echo\"]\nin_flight = 1\n", "t.toml").unwrap();
    let built = Client::builder().config(config).environment(Environment::default()).build();
    let error = built.err().unwrap().to_string();
    assert!(error.contains("[limits.\"simm/echo\"]") && error.contains("did you mean `sim`?"), "{error}");
}
