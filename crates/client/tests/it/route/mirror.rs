//! Copies of calls for a target that is tried out: nobody notices them but who is told of outcomes.

use std::time::Duration;

use trunkline::config::{Config, Environment};
use trunkline::monitor::{Counters, Outcome, Recorder as _};
use trunkline::{Client, Kind, Origin};

use super::world::{Act, Script, World, call, world};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

fn alias(percent: u32, more: &str) -> String {
    let mirror = format!("mirror = {{ target = \"p1/m\", percent = {percent} }}");
    format!("[models.any]\ntargets = [\"p0/m\"]\n{mirror}\n{more}\n")
}

fn split(world: &World) -> (Vec<Outcome>, Vec<Outcome>, usize) {
    let log = world.log.lock().unwrap();
    let (copies, real) = log.outcomes.iter().cloned().partition(|outcome| outcome.mirror_of.is_some());
    (real, copies, log.skipped)
}

#[test]
fn the_share_is_sent_and_recorded_apart_whatever_becomes_of_it() {
    for (act, kind) in [
        (Act::Good, None),
        (Act::Refuse(500, None), Some(Kind::Server)),
        (Act::Reset, Some(Kind::Network)),
        (Act::Cut(1), Some(Kind::Truncated)),
        (Act::Refuse(400, None), Some(Kind::BadRequest)),
    ] {
        paused(async {
            let mut acts = vec![act; 3];
            // So that it does not come to rest.
            acts.push(Act::Good);
            acts.extend([Act::Good; 4]);
            let (world, client) = world(&[Script::new([Act::Good], 50), Script::new(acts, 700)], &alias(20, ""), 7);
            for number in 0..600 {
                let ended = call(&world, &client, "any", number % 2 == 0).await;
                assert!(ended.error.is_none() && ended.took < ms(120), "it delays nothing: {ended:?}");
                assert!(ended.text.starts_with("p0 says"), "{}", ended.text);
            }
            tokio::time::sleep(ms(2000)).await;
            let (real, copies, skipped) = split(&world);
            assert_eq!((real.len(), skipped), (600, 0), "{act:?}");
            assert!((90..150).contains(&copies.len()), "{} copies of 600", copies.len());
            assert_eq!(world.asked("p1"), copies.len());
            assert!(real.iter().all(|outcome| outcome.exchanges.len() == 1 && outcome.error.is_none()));
            for copy in &copies {
                assert_eq!((copy.model.as_str(), copy.target.as_deref(), copy.exchanges.len()), ("any", Some("p1/m"), 1));
                assert!(copy.error.as_ref().is_none_or(|error| Some(error.kind) == kind), "{copy:?}");
            }
            let failed = copies.iter().filter(|copy| copy.error.is_some()).count();
            assert_eq!(failed > 0, kind.is_some(), "{act:?}: {failed}");
            assert!(copies.iter().any(|copy| copy.usage.is_some()), "its answers are read");
            let counters = Counters::default();
            real.into_iter().chain(copies.clone()).for_each(|outcome| counters.record(outcome));
            let totals = counters.snapshot();
            // The streams of these scripts tell no usage.
            assert_eq!((totals.calls, totals.errors, totals.estimated), (600, 0, 300));
            assert!(totals.input_tokens > 300 * 3, "{totals:?}");
            assert_eq!((totals.mirror.calls, totals.mirror.errors), (copies.len() as u64, failed as u64));
        });
    }
}

#[test]
fn all_or_none_of_a_hundred_and_always_the_same_of_one_seed() {
    paused(async {
        let good = [Script::new([Act::Good], 10), Script::new([Act::Good], 10)];
        for (percent, copies) in [(0, 0), (100, 50)] {
            let (world, client) = world(&good, &alias(percent, ""), 7);
            for number in 0..50 {
                call(&world, &client, "any", number % 2 == 0).await;
            }
            tokio::time::sleep(ms(500)).await;
            assert_eq!(world.asked("p1"), copies);
        }
        let mut asked = Vec::new();
        for seed in [1, 1, 2] {
            let (world, client) = world(&good, &alias(50, ""), seed);
            let mut drawn = Vec::new();
            for _ in 0..64 {
                let before = world.asked("p1");
                call(&world, &client, "any", false).await;
                tokio::time::sleep(ms(100)).await;
                drawn.push(world.asked("p1") - before);
            }
            asked.push(drawn);
        }
        assert!(asked[0] == asked[1] && asked[0] != asked[2]);
    });
}

#[test]
fn no_more_than_so_many_are_out_and_what_is_not_sent_is_counted() {
    paused(async {
        let scripts = [Script::new([Act::Good], 10), Script::new([Act::Silence], 10)];
        let (world, client) = world(&scripts, &alias(100, "deadline_seconds = 30"), 7);
        for number in 0..100 {
            assert_eq!(call(&world, &client, "any", number % 2 == 0).await.error, None);
        }
        let (_, copies, skipped) = split(&world);
        assert_eq!((world.asked("p1"), copies.len(), skipped), (64, 0, 36), "64 at once");
        tokio::time::sleep(ms(31_000)).await;
        let (real, copies, _) = split(&world);
        assert_eq!((real.len(), copies.len()), (100, 64));
        assert!(copies.iter().all(|copy| copy.error.as_ref().is_some_and(|error| error.kind == Kind::Timeout)));
        assert_eq!(world.log.lock().unwrap().at_once["p1"].0, 0, "their connections are closed");
        assert!(client.health().targets.iter().all(|target| target.in_flight == 0));
        call(&world, &client, "any", false).await;
        assert_eq!(world.asked("p1"), 64, "it rests, for it has failed over and over");
        assert_eq!(world.asked("p0"), 101);
    });
}

#[test]
fn our_limits_and_its_silence_are_kept_without_waiting() {
    paused(async {
        let limited = format!("{}[limits.p1]\nin_flight = 2\nqueue = 50\n", alias(100, ""));
        let (world, client) = world(&[Script::new([Act::Good], 10), Script::new([Act::Good], 500)], &limited, 7);
        for _ in 0..20 {
            assert!(call(&world, &client, "any", false).await.took < ms(50));
        }
        assert_eq!(world.log.lock().unwrap().at_once["p1"].1, 2);
        assert_eq!(split(&world).2, 18, "nobody waits in its queue");
    });
    paused(async {
        let scripts = [Script::new([Act::Good], 10), Script::new([Act::Refuse(429, Some(60)), Act::Good], 1)];
        let (world, client) = world(&scripts, &alias(100, ""), 7);
        for _ in 0..20 {
            call(&world, &client, "any", false).await;
        }
        assert_eq!((world.asked("p1"), split(&world).2), (1, 19));
    });
}

#[test]
fn a_copy_outlives_a_caller_who_leaves_and_operations_have_copies_too() {
    paused(async {
        let scripts = [Script::new([Act::Silence], 10), Script::new([Act::Good], 300)];
        let (world, client) = world(&scripts, &alias(100, ""), 7);
        assert!(tokio::time::timeout(ms(50), call(&world, &client, "any", true)).await.is_err());
        assert!(tokio::time::timeout(ms(50), client.embed("any", ["hello"]).send()).await.is_err());
        let _ = tokio::time::timeout(ms(50), client.count_tokens(&trunkline::ir::Request::default())).await;
        tokio::time::sleep(ms(1000)).await;
        let (real, copies, _) = split(&world);
        assert_eq!(copies.len(), 2);
        assert_eq!(copies[0].error.as_ref().map(|error| error.kind), None);
        let left = real.iter().filter(|outcome| outcome.error.as_ref().is_some_and(|error| error.origin == Origin::Caller));
        assert!(left.count() >= 2);
    });
}

#[test]
fn what_cannot_be_meant_is_said() {
    let wrong = [
        ("mirror = { target = \"p1/m\" }", "percent"),
        ("mirror = { target = \"p1/m\", percent = 101 }", "at most 100"),
        ("mirror = { target = \"p1/m\", percent = 0.5 }", "expected"),
        ("mirror = { target = \"p0/m\", percent = 5 }", "one of the targets already"),
        ("mirror = { target = \"nobody/m\", percent = 5 }", "nobody"),
        ("mirror = { target = \"p1/m\", percent = 5, share = 1 }", "share"),
        ("hedge_ms = \"p95\"", "line 3: invalid type: string"),
    ];
    for (line, told) in wrong {
        let house = |name: &str| {
            format!("[providers.{name}]\nbase_url = \"http://{name}\"\ndialects = [\"openai-chat\"]\nauth = {{ none = true }}\n")
        };
        let text = format!("[models.any]\ntargets = [\"p0/m\"]\n{line}\n{}{}", house("p0"), house("p1"));
        let built = Config::parse(&text, "test.toml")
            .and_then(|config| Client::builder().config(config).environment(Environment::default()).build().map(|_| ()));
        let error = built.expect_err(line).to_string();
        assert!(error.contains(told), "{line}: {error}");
    }
}
