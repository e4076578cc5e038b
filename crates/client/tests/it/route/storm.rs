//! Providers that ask for silence, and callers who come all at once.

use std::time::Duration;

use super::world::{Act, Script, call, world};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

#[test]
fn a_retry_waits_as_long_as_the_provider_says_and_no_longer_than_the_call_may() {
    paused(async {
        let script = Script { acts: vec![Act::Refuse(429, Some(3)), Act::Good], latency: ms(10) };
        let (world, client) = world(&[script], "", 1);
        let ended = call(&world, &client, "p0/m", false).await;
        assert_eq!(ended.error, None);
        assert!(ended.took >= ms(3000) && ended.took < ms(3500), "{ended:?}");
    });
    paused(async {
        let script = Script { acts: vec![Act::Refuse(429, Some(30))], latency: ms(10) };
        let (world, client) = world(&[script], "", 1);
        let ended = call(&world, &client, "p0/m", false).await;
        assert!(ended.error.is_some() && ended.took < ms(100), "told at once: {ended:?}");
        assert_eq!(world.asked("p0"), 1);
    });
    paused(async {
        let resting = Script { acts: vec![Act::Refuse(429, Some(5))], latency: ms(10) };
        let good = Script { acts: vec![Act::Good], latency: ms(10) };
        let (world, client) = world(&[resting, good], "[models.any]\ntargets = [\"p0/m\", \"p1/m\"]\n", 1);
        let ended = call(&world, &client, "any", true).await;
        assert!(ended.error.is_none() && ended.opened < ms(100), "the next one at once: {ended:?}");
        for _ in 0..20 {
            call(&world, &client, "any", true).await;
        }
        assert_eq!(world.asked("p0"), 1, "its rest is shared by all calls");
        tokio::time::sleep(ms(6000)).await;
        call(&world, &client, "any", true).await;
        assert_eq!(world.asked("p0"), 2, "then it is asked again");
    });
}

#[test]
fn a_request_that_may_have_been_carried_out_is_sent_again_only_if_that_is_safe() {
    for (act, speech, embed) in [(Act::Reset, 1, 2), (Act::Refuse(500, None), 2, 2), (Act::Unreachable, 2, 2)] {
        paused(async {
            let script = Script { acts: vec![act, Act::Good], latency: ms(10) };
            let (world, client) = world(std::slice::from_ref(&script), "", 1);
            let _ = client.speak("p0/m", "hello").await;
            assert_eq!(world.asked("p0"), speech, "{act:?}");
            let (world, client) = super::world::world(&[script], "", 1);
            let _ = client.embed("p0/m", ["hello"]).await;
            assert_eq!(world.asked("p0"), embed, "{act:?}");
        });
    }
}
