//! Credentials are replaced while calls run: none fails for it, and none that begins afterwards carries an old one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use trunkline::config::Environment;
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use super::{ANSWER, World, house};

/// What must be shown with one way of replacing; the others are tried with fewer.
const MANY: usize = 20_000;
const SOME: usize = 2_000;
const SWAPS: usize = 10;
const TASKS: usize = 32;

/// A provider that compares the number in the key with the one in the prompt: how often keys had been replaced when the
/// call began. A smaller one is an old key on a new call.
fn checking() -> (LocalProvider, Arc<AtomicUsize>) {
    let stale = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&stale);
    let provider = LocalProvider::start(move |seen: &Seen| {
        let carried: usize = seen.header("authorization").rsplit('-').next().unwrap().parse().unwrap();
        let body = seen.json();
        let begun: usize = body["messages"][0]["content"].as_str().unwrap().parse().unwrap();
        if carried < begun {
            count.fetch_add(1, Ordering::SeqCst);
        }
        Answer::json(200, ANSWER)
    });
    (provider, stale)
}

/// Makes the calls from many tasks, and `swap`s ten times in between.
async fn under_load(calls: usize, world: World, stale: &AtomicUsize, swap: impl Fn(&World, usize) + Send + 'static) {
    let (swapped, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let world = Arc::new(world);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (client, swapped, done) = (world.client.clone(), Arc::clone(&swapped), Arc::clone(&done));
            tokio::spawn(async move {
                for _ in 0..calls / TASKS {
                    let begun = swapped.load(Ordering::SeqCst).to_string();
                    client.chat("house/m", begun).await.unwrap();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let (its_world, its_swapped, its_done) = (Arc::clone(&world), Arc::clone(&swapped), Arc::clone(&done));
    let swapping = tokio::task::spawn_blocking(move || {
        for number in 1..=SWAPS {
            while its_done.load(Ordering::SeqCst) < number * calls / (SWAPS + 2) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            swap(&its_world, number);
            its_swapped.store(number, Ordering::SeqCst);
        }
    });
    for task in tasks {
        task.await.unwrap();
    }
    swapping.await.unwrap();
    assert_eq!((done.load(Ordering::SeqCst), swapped.load(Ordering::SeqCst)), (calls / TASKS * TASKS, SWAPS));
    assert_eq!(stale.load(Ordering::SeqCst), 0, "new calls with old keys");
}

/// At once, as whoever replaces a secret does: written in place, a file is empty for a moment.
fn replace(file: &Path, number: usize) {
    let next = file.with_extension("next");
    std::fs::write(&next, format!("key-{number}\n")).unwrap();
    std::fs::rename(&next, file).unwrap();
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("trunkline-rotation-{name}-{}", std::process::id()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_is_replaced_and_the_client_told() {
    let (provider, stale) = checking();
    let file = scratch("file");
    std::fs::write(&file, "key-0\n").unwrap();
    let world = World::new(&house(&provider.url(), &format!("api_key = 'file:{}'", file.display())), &[]);
    let path = file.clone();
    under_load(SOME, world, &stale, move |world, number| {
        replace(&path, number);
        world.client.reload().unwrap();
    })
    .await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_is_replaced_and_nobody_told() {
    let (provider, stale) = checking();
    let file = scratch("quiet");
    std::fs::write(&file, "key-0\n").unwrap();
    let world = World::new(&house(&provider.url(), &format!("api_key = 'file:{}'", file.display())), &[]);
    let path = file.clone();
    under_load(SOME, world, &stale, move |world, number| {
        replace(&path, number);
        // Files are looked at once a second.
        world.clock.advance(1);
    })
    .await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_variable_says_something_else() {
    let (provider, stale) = checking();
    let value = Arc::new(Mutex::new("key-0".to_owned()));
    let read = Arc::clone(&value);
    let world = World::changing(&house(&provider.url(), "api_key = 'env:KEY'"), move || {
        Environment::of([("KEY", read.lock().unwrap().clone())])
    });
    under_load(SOME, world, &stale, move |world, number| {
        *value.lock().unwrap() = format!("key-{number}");
        world.client.reload().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_configuration_changes() {
    let (provider, stale) = checking();
    let file = scratch("toml");
    let url = provider.url();
    let text = move |number: usize| house(&url, &format!("api_keys = ['key-{number}', 'other-{number}']"));
    std::fs::write(&file, text(0)).unwrap();
    let world = World::build(trunkline::Client::builder().config_file(&file).environment(Environment::default()));
    let path = file.clone();
    under_load(MANY, world, &stale, move |world, number| {
        // In between, one that is no good: nothing changes.
        std::fs::write(&path, "[providers.house]\nbase_url = 5\n").unwrap();
        let refused = world.client.reload().unwrap_err();
        assert!(refused.message.contains("line 2"), "{refused}");
        std::fs::write(&path, text(number)).unwrap();
        world.client.reload().unwrap();
    })
    .await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn two_changes_that_look_alike_from_outside_are_told_apart() {
    let (provider, _) = checking();
    let file = scratch("alike");
    std::fs::write(&file, "key-0").unwrap();
    let world = World::new(&house(&provider.url(), &format!("api_key = 'file:{}'", file.display())), &[]);
    for number in 1..=20 {
        // Same length, same place, and mostly the same time by the file system's clock.
        std::fs::write(&file, format!("key-{}", number % 10)).unwrap();
        world.clock.advance(1);
        world.client.chat("house/m", "0").await.unwrap();
        let carried = provider.requests().last().unwrap().header("authorization").to_owned();
        assert_eq!(carried, format!("Bearer key-{}", number % 10));
    }
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_written_in_place_is_read_when_it_is_complete() {
    use std::io::Write as _;
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let file = scratch("in-place");
    std::fs::write(&file, "key-0-and-its-end").unwrap();
    let world = World::new(&house(&provider.url(), &format!("api_key = 'file:{}'", file.display())), &[]);
    let path = file.clone();
    let writer = std::thread::spawn(move || {
        for number in 1..=8 {
            let mut file = std::fs::File::create(&path).unwrap();
            for piece in [format!("key-{number}"), "-and-its-end".to_owned()] {
                std::thread::sleep(std::time::Duration::from_millis(10));
                file.write_all(piece.as_bytes()).unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    });
    while !writer.is_finished() {
        world.clock.advance(3);
        world.client.chat("house/m", "0").await.unwrap();
    }
    writer.join().unwrap();
    world.clock.advance(3);
    world.client.chat("house/m", "0").await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let mut carried: Vec<String> = provider.requests().iter().map(|seen| seen.header("authorization").to_owned()).collect();
    carried.dedup();
    assert!(carried.iter().all(|key| key.ends_with("-and-its-end")), "{carried:?}");
    assert!(carried.len() >= 4 && carried.last().unwrap() == "Bearer key-8-and-its-end", "{carried:?}");
    assert!(world.notices().is_empty(), "{:?}", world.notices());
}

#[tokio::test]
async fn a_file_that_is_gone_for_a_while_takes_no_call_along() {
    let (provider, _) = checking();
    let file = scratch("gone");
    std::fs::write(&file, "key-1").unwrap();
    let world = World::new(&house(&provider.url(), &format!("api_key = 'file:{}'", file.display())), &[]);
    let call = || async { world.client.chat("house/m", "0").await.map(|_| ()) };
    call().await.unwrap();
    for broken in [None, Some("")] {
        match broken {
            None => std::fs::remove_file(&file).unwrap(),
            Some(text) => std::fs::write(&file, text).unwrap(),
        }
        for _ in 0..5 {
            world.clock.advance(1);
            call().await.unwrap();
        }
        // Nor does somebody who has everything read again in that moment.
        world.client.reload().unwrap();
        call().await.unwrap();
    }
    assert!(world.notices()[0].contains("cannot read the secret file"), "{:?}", world.notices());
    std::fs::write(&file, "key-2").unwrap();
    world.clock.advance(3);
    call().await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let carried: Vec<String> = provider.requests().iter().map(|seen| seen.header("authorization").to_owned()).collect();
    assert_eq!(carried, [["Bearer key-1"; 13].as_slice(), &["Bearer key-2"]].concat());
}

#[tokio::test]
async fn a_rejected_file_is_read_again_at_once() {
    let provider = LocalProvider::start(|seen: &Seen| match seen.header("authorization") {
        "Bearer key-2" => Answer::json(200, ANSWER),
        _ => Answer::json(401, "{}"),
    });
    let file = scratch("rejected");
    std::fs::write(&file, "key-1").unwrap();
    // One that was written in this moment might be read twice.
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    let world = World::new(&house(&provider.url(), &format!("api_key = 'file:{}'", file.display())), &[]);
    world.call().await.unwrap_err();
    std::fs::write(&file, "key-2").unwrap();
    // Not a moment has passed by the clock.
    world.call().await.unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(provider.requests().len(), 3);
}

#[tokio::test]
async fn what_did_not_change_keeps_its_token_and_running_calls_their_key() {
    let house = super::House::new(3600);
    house.world.call().await.unwrap();
    let before = house.world.client.plan("house/m").unwrap();
    house.world.client.reload().unwrap();
    house.world.call().await.unwrap();
    let after = house.world.client.plan("house/m").unwrap();
    assert!(Arc::ptr_eq(&before[0].service, &after[0].service));
    assert_eq!(house.minted(), 1);
}
