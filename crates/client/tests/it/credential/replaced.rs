//! A key that rests and is replaced: the rest was the old one's.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use super::{ANSWER, World, house};

/// A provider that takes some keys only.
struct Choosy {
    provider: LocalProvider,
    good: Arc<Mutex<HashSet<&'static str>>>,
}

impl Choosy {
    fn new(refusal: u16, good: &[&'static str]) -> Self {
        let good: Arc<Mutex<HashSet<&'static str>>> = Arc::new(Mutex::new(good.iter().copied().collect()));
        let taken = Arc::clone(&good);
        let provider = LocalProvider::start(move |seen: &Seen| {
            let key = seen.header("authorization").trim_start_matches("Bearer ");
            match taken.lock().unwrap().contains(key) {
                true => Answer::json(200, ANSWER),
                false => Answer::json(refusal, r#"{"error":{"message":"no"}}"#).header("retry-after", "600"),
            }
        });
        Choosy { provider, good }
    }

    fn takes(&self, keys: &[&'static str]) {
        *self.good.lock().unwrap() = keys.iter().copied().collect();
    }

    fn carried(&self, key: &str) -> usize {
        let wanted = format!("Bearer {key}");
        self.provider.requests().iter().filter(|seen| seen.header("authorization") == wanted).count()
    }
}

/// A file with a key, old enough to be told from its successor.
fn keep(name: &str, key: &str) -> PathBuf {
    let file = std::env::temp_dir().join(format!("trunkline-replaced-{name}-{}", std::process::id()));
    std::fs::write(&file, key).unwrap();
    std::thread::sleep(Duration::from_millis(120));
    file
}

/// As `mv` does it.
fn replace(file: &Path, key: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, key).unwrap();
    std::thread::sleep(Duration::from_millis(120));
    std::fs::rename(&next, file).unwrap();
}

#[tokio::test]
async fn a_file_with_another_key_is_used_whatever_became_of_the_old_one() {
    for refusal in [401, 403, 429] {
        let choosy = Choosy::new(refusal, &["b1"]);
        let file = keep(&format!("file-{refusal}"), "a1");
        let world = World::new(&house(&choosy.provider.url(), &format!("api_keys = ['file:{}', 'b1']", file.display())), &[]);
        for _ in 0..4 {
            world.call().await.unwrap();
        }
        assert_eq!((choosy.carried("a1"), world.client.health().credentials.len()), (1, 1));
        replace(&file, "a2");
        choosy.takes(&["a2"]);
        world.clock.advance(2);
        assert!(world.client.health().credentials.is_empty(), "it is not known of the new one that it is no good");
        for _ in 0..3 {
            world.call().await.unwrap_or_else(|error| panic!("{refusal}: {error}"));
        }
        assert_eq!(choosy.carried("a1"), 1, "and the old one by nobody");
        // And the new one rests on its own account.
        choosy.takes(&["b1"]);
        world.client.reload().unwrap();
        for _ in 0..4 {
            world.call().await.unwrap();
        }
        assert_eq!((choosy.carried("a2"), world.client.health().credentials.len()), (4, 1));
        std::fs::remove_file(&file).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_says_the_same_as_before_is_no_other_key() {
    let choosy = Choosy::new(401, &["b1"]);
    let file = keep("same", "a1");
    let world = World::new(&house(&choosy.provider.url(), &format!("api_keys = ['file:{}', 'b1']", file.display())), &[]);
    for _ in 0..3 {
        for _ in 0..4 {
            world.call().await.unwrap();
        }
        replace(&file, "a1");
        world.clock.advance(2);
    }
    std::fs::remove_file(&file).unwrap();
    // Nor is one that is gone.
    for _ in 0..4 {
        world.clock.advance(2);
        world.call().await.unwrap();
    }
    assert_eq!(choosy.carried("a1"), 1);
}

#[tokio::test]
async fn what_a_command_prints_is_looked_at_when_it_has_had_its_time() {
    let choosy = Choosy::new(401, &["b1"]);
    let file = keep("command", "a1");
    let key = format!("{{ auth = {{ bearer = {{ cmd = 'cat {}', lifetime_seconds = 20 }} }} }}", file.display());
    let world = World::new(&house(&choosy.provider.url(), &format!("api_keys = [{key}, 'b1']")), &[]);
    for _ in 0..4 {
        world.call().await.unwrap();
    }
    let carried = choosy.carried("a1");
    world.clock.advance(21);
    for _ in 0..4 {
        world.call().await.unwrap();
    }
    assert_eq!(choosy.carried("a1"), carried, "it still printed the same");
    replace(&file, "a2");
    choosy.takes(&["a2"]);
    world.clock.advance(21);
    world.call().await.unwrap();
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn a_target_whose_keys_are_all_used_up_is_open_again_when_one_is_replaced() {
    let choosy = Choosy::new(429, &[]);
    let file = keep("all", "a1");
    let world = World::new(&house(&choosy.provider.url(), &format!("api_keys = ['file:{}', 'b1']", file.display())), &[]);
    for _ in 0..6 {
        world.call().await.unwrap_err();
    }
    let asked = choosy.provider.requests().len();
    world.call().await.unwrap_err();
    assert_eq!(choosy.provider.requests().len(), asked, "it has asked for silence");
    // The same key in a new file is no news.
    replace(&file, "a1");
    world.clock.advance(2);
    for _ in 0..3 {
        world.call().await.unwrap_err();
    }
    replace(&file, "a2");
    choosy.takes(&["a2"]);
    world.clock.advance(2);
    let answered = world.call().await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(answered.unwrap(), "Hello.");
    assert_eq!(choosy.carried("a2"), 1);
}
