//! How calls are shared out among targets that answer.

use std::time::Duration;

use super::world::{Act, Script, call, world};

fn good(ms: u64) -> Script {
    Script::new([Act::Good], ms)
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

async fn asked(config: &str, scripts: &[Script], calls: usize) -> Vec<usize> {
    let (world, client) = world(scripts, config, 5);
    for _ in 0..calls {
        assert_eq!(call(&world, &client, "any", false).await.error, None);
    }
    (0..scripts.len()).map(|at| world.asked(&format!("p{at}"))).collect()
}

#[test]
fn weights_tiers_and_order() {
    paused(async {
        let all = [good(10), good(10), good(10)];
        let config = "[models.any]\ntargets = [\"p0/m\", \"p1/m\", \"p2/m\"]\n";
        assert_eq!(asked(config, &all, 50).await, [50, 0, 0]);
        let config = "[models.any]\nstrategy = \"weighted\"\ntargets = [\"p0/m\", { target = \"p1/m\", weight = 3 }, { target = \"p2/m\", tier = 1 }]\n";
        let counts = asked(config, &all, 1000).await;
        assert!((200..300).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
    });
}

#[test]
fn the_slow_one_is_left_alone_and_comes_back() {
    paused(async {
        let config = "[models.any]\nstrategy = \"latency\"\ntargets = [\"p0/m\", \"p1/m\", \"p2/m\"]\n";
        let counts = asked(config, &[good(50), good(500), good(60)], 1000).await;
        assert!(counts[1] <= 10, "{counts:?}");
        assert!(counts[0] > 300 && counts[2] > 300, "{counts:?}");
    });
}

/// Of three targets one turns ten times slower for 30 s. Ten calls a second, each begun whether or not the others are over.
#[test]
fn who_turns_slow_is_left_alone_within_a_second_and_gets_its_calls_back() {
    paused(async {
        let slow = good(100).from(20, Act::Good, 1000).from(50, Act::Good, 100);
        let config = "[models.any]\nstrategy = \"latency\"\ntargets = [\"p0/m\", \"p1/m\", \"p2/m\"]\n";
        let (world, client) = world(&[slow, good(100), good(110)], config, 5);
        let begin = world.now();
        let calls = (0..4500_u64).map(|number| {
            let (world, client) = (&world, &client);
            async move {
                tokio::time::sleep(Duration::from_millis(number * 20)).await;
                (world.now() - begin, call(world, client, "any", false).await.took)
            }
        });
        let took = futures_util::future::join_all(calls).await;
        let p99 = |from: u64, to: u64| {
            let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
            let mut these: Vec<_> = took.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, took)| *took).collect();
            these.sort_unstable();
            these[these.len() * 99 / 100]
        };
        let (before, during) = (p99(10, 20), p99(21, 50));
        println!("p99 of all calls: {before:?} before, {during:?} while one of three is slow, {:?} after", p99(60, 90));
        assert!(during <= before * 3 / 2, "{during:?} against {before:?}");
        let log = world.log.lock().unwrap();
        let share = |from: u64, to: u64| {
            let span = begin + Duration::from_secs(from)..begin + Duration::from_secs(to);
            log.asked["p0"].iter().filter(|at| span.contains(*at)).count()
        };
        assert!(share(22, 50) < 28, "{} calls while it was slow", share(22, 50));
        assert!(share(75, 90) > 150, "{} of 750 calls after it had recovered", share(75, 90));
    });
}
