//! How calls are shared out among targets that answer.

use std::time::Duration;

use super::world::{Act, Script, call, world};

fn good(ms: u64) -> Script {
    Script { acts: vec![Act::Good], latency: Duration::from_millis(ms) }
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
