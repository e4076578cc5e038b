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
        let script = Script::new([Act::Refuse(429, Some(3)), Act::Good], 10);
        let (world, client) = world(&[script], "", 1);
        let ended = call(&world, &client, "p0/m", false).await;
        assert_eq!(ended.error, None);
        assert!(ended.took >= ms(3000) && ended.took < ms(3500), "{ended:?}");
    });
    paused(async {
        let script = Script::new([Act::Refuse(429, Some(30))], 10);
        let (world, client) = world(&[script], "", 1);
        let ended = call(&world, &client, "p0/m", false).await;
        assert!(ended.error.is_some() && ended.took < ms(100), "told at once: {ended:?}");
        assert_eq!(world.asked("p0"), 1);
    });
    paused(async {
        let resting = Script::new([Act::Refuse(429, Some(5))], 10);
        let good = Script::new([Act::Good], 10);
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
fn the_wait_that_is_told_is_true_after_retries_and_beside_other_failures_and_with_our_own_limits() {
    let both = "[models.any]\ntargets = [\"p0/m\", \"p1/m\"]\n";
    let slow = |seconds| Script::new([Act::Refuse(429, Some(seconds))], 10);
    let key = Script::new([Act::Refuse(401, None)], 10);
    let limited = "[limits.p0]\nrequests_per_minute = 2\n[calls]\nattempts = 1\n";
    for (scripts, config, model, (least, most)) in [
        (vec![slow(3), slow(3)], both, "any", (2, 3)),
        // By the time that the first has said no for the third time, the second has kept its silence.
        (vec![slow(5), slow(3)], both, "any", (0, 1)),
        (vec![slow(40), slow(5)], both, "any", (4, 5)),
        (vec![slow(40), key.clone()], both, "any", (39, 40)),
        (vec![key, slow(40)], both, "any", (39, 40)),
        (vec![slow(1)], limited, "p0/m", (20, 30)),
    ] {
        paused(async {
            let (_world, client) = world(&scripts, config, 1);
            let mut error = client.chat(model, "hi").await.unwrap_err();
            if config == limited {
                tokio::time::sleep(ms(1100)).await;
                error = client.chat(model, "hi").await.unwrap_err();
            }
            let told = match error.retry {
                trunkline::codec::Retry::After(wait) => wait,
                other => panic!("{other:?} of {error}: {scripts:?}"),
            };
            assert!(told > ms(least * 1000) && told <= ms(most * 1000 + 500), "{told:?} of {least} to {most}: {error}");
            assert_eq!(error.kind, trunkline::Kind::RateLimited);
        });
    }
}

#[test]
fn streams_that_all_break_off_rest_their_target_as_soon_as_other_failures_do_and_a_broken_trial_is_no_good_one() {
    paused(async {
        let config = "[models.any]\ntargets = [\"p0/m\", \"p1/m\"]\n";
        let (broken, good) = (Script::new([Act::Cut(3)], 10), Script::new([Act::Good], 10));
        let (world, client) = world(&[broken, good], config, 1);
        let mut failed = 0;
        for _ in 0..30 {
            failed += usize::from(call(&world, &client, "any", true).await.error.is_some());
        }
        assert_eq!((failed, world.asked("p0")), (5, 5), "five in a row are enough");
        for (pause, asked) in [(6, 6), (6, 6), (6, 7)] {
            tokio::time::sleep(ms(pause * 1000)).await;
            for _ in 0..10 {
                call(&world, &client, "any", true).await;
            }
            assert_eq!(world.asked("p0"), asked, "one trial each time, and a longer rest after it");
        }
    });
}

#[test]
fn a_request_that_may_have_been_carried_out_is_sent_again_only_if_that_is_safe() {
    for (act, speech, embed) in [(Act::Reset, 1, 2), (Act::Refuse(500, None), 2, 2), (Act::Unreachable, 2, 2)] {
        paused(async {
            let script = Script::new([act, Act::Good], 10);
            let (world, client) = world(std::slice::from_ref(&script), "", 1);
            let _ = client.speak("p0/m", "hello").await;
            assert_eq!(world.asked("p0"), speech, "{act:?}");
            let (world, client) = super::world::world(&[script], "", 1);
            let _ = client.embed("p0/m", ["hello"]).await;
            assert_eq!(world.asked("p0"), embed, "{act:?}");
        });
    }
}

/// 500 callers, each with one call after the other for 20 s, at a provider that allows nothing for the first 10 s and asks
/// for 2 s of silence each time.
#[test]
fn a_thundering_herd_is_held_back_and_let_go() {
    paused(async {
        let script = Script::new([Act::Good], 50).from(0, Act::Refuse(429, Some(2)), 50).from(10, Act::Good, 50);
        let config = "[calls]\ndeadline_seconds = 15\n";
        let (world, client) = world(&[script], config, 3);
        let begin = world.now();
        let callers = (0..500).map(|_| {
            let (world, client) = (&world, &client);
            async move {
                let mut ended = Vec::new();
                while world.now() - begin < ms(20_000) {
                    ended.push(call(world, client, "p0/m", false).await);
                    tokio::time::sleep(ms(450)).await;
                }
                ended
            }
        });
        let ended: Vec<_> = futures_util::future::join_all(callers).await.into_iter().flatten().collect();
        assert!(ended.iter().all(|ended| ended.took <= ms(15_050)), "nobody waits past the deadline");
        let log = world.log.lock().unwrap();
        let asked = |from: u64, to: u64| log.asked["p0"].iter().filter(|at| (ms(from)..ms(to)).contains(&(**at - begin))).count();
        let (first, silence) = (asked(0, 100), asked(100, 10_000));
        println!("{first} requests at once, {silence} more in the 10 s of silence, {} in the 2 s after", asked(10_000, 12_000));
        assert_eq!(first, 500, "nobody knew");
        assert!(silence <= 110, "{silence} requests while silence was asked for; the retry budget is 110");
        let per_second = asked(12_000, 20_000) / 8;
        assert!(per_second >= 800, "{per_second} a second after 2 s; 500 callers make 1,000");
    });
}

/// The last lane stays open: every 100th answer of the only provider is bad.
#[test]
fn a_lone_target_that_fails_now_and_then_gets_every_call() {
    for bad in [Act::Refuse(500, None), Act::Refuse(429, Some(7)), Act::Cut(1), Act::Refuse(503, Some(3))] {
        paused(async {
            let mut acts = vec![Act::Good; 99];
            acts.push(bad);
            let (world, client) = world(&[Script::new(acts, 80)], "[calls]\nattempts = 1\n", 3);
            let calls = (0..4000_u64).map(|number| {
                let (world, client) = (&world, &client);
                async move {
                    tokio::time::sleep(ms(number * 10)).await;
                    call(world, client, "p0/m", number % 2 == 0).await
                }
            });
            let ended = futures_util::future::join_all(calls).await;
            let good = ended.iter().filter(|ended| ended.error.is_none()).count();
            assert_eq!((world.asked("p0"), good), (4000, 3960), "{bad:?}");
        });
    }
}
