//! What is said in calls, where the configuration asks for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::json;
use trunkline::Client;
use trunkline::config::{Config, Environment};
use trunkline_gateway::Record;
use trunkline_store::{CallRow, Ledger, Opening, Options, Store, TextsRow, Wanted};

use crate::gateway::Gateway;
use crate::wire::Ask;

const KEY: &str = "gate-key-of-some-length";

struct House {
    gateway: Gateway,
    record: Arc<Record>,
    folder: PathBuf,
    told: Arc<Mutex<Vec<String>>>,
}

impl House {
    fn new(name: &str, store: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("trunkline-texts-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\nkey = \"env:GATE_KEY\"\n[models.fast]\ntargets = [\"sim/echo\"]\n[store]\n{store}\n"
        );
        let client = Client::builder().config(Config::parse(&config, "test.toml").unwrap());
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let teller = Arc::clone(&told);
        let client = client.on_notice(move |line| teller.lock().unwrap().push(line.to_owned()));
        let client = client.environment(Environment::of([("GATE_KEY", KEY)])).build().unwrap();
        let record = Arc::new(Record::default());
        record.keep_in(Ledger::new(Options::at(folder.join("trunkline.db")), Arc::new(|_: &str| {})));
        House { gateway: Gateway::recording(client, Arc::clone(&record)), record, folder, told }
    }

    fn ask(&self, path: &str, body: serde_json::Value) -> u16 {
        let ask = Ask::post(path, body.to_string()).header("x-api-key", KEY).header("x-trunkline-user", "alice");
        self.gateway.ask(&ask).status()
    }

    fn chat(&self, model: &str, stream: bool, words: &str) -> u16 {
        let message = json!({"role": "user", "content": words});
        self.ask("/v1/chat/completions", json!({"model": model, "stream": stream, "messages": [message]}))
    }

    fn read<T>(&self, work: impl AsyncFnOnce(&mut Store) -> T) -> T {
        self.record.close();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut store = Store::open(&Opening::existing(self.folder.join("trunkline.db"))).await.unwrap();
            work(&mut store).await
        })
    }

    fn texts(&self) -> Vec<Option<TextsRow>> {
        let rows: Vec<CallRow> = self.read(async |store| {
            let mut rows = store.calls(&Wanted { limit: 100, ..Wanted::default() }).await.unwrap();
            store.tell_texts(&mut rows).await.unwrap();
            rows
        });
        rows.into_iter().map(|row| row.texts.map(|texts| *texts)).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.record.close();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn all_is_kept_without_secrets_and_with_an_end() {
    let house = House::new("all", "log_content = \"all\"\ncontent_bytes = 2000\nredact = [\"order \\\\d+\"]");
    let said = format!("zucchini soup, {KEY}, sk-abcdefghijklmnopqrst, order 4711");
    assert_eq!(house.chat("fast", false, &said), 200);
    assert_eq!(house.chat("fast", true, &said), 200);
    assert_eq!(
        house.ask(
            "/v1/messages",
            json!({"model": "fast", "max_tokens": 99, "stream": true, "messages": [{"role": "user", "content": said}]})
        ),
        200
    );
    assert_eq!(house.chat("nowhere", false, "lost words"), 404);
    assert_eq!(house.chat("fast", true, &"long ".repeat(3000)), 200);
    assert_eq!(house.ask("/v1/embeddings", json!({"model": "fast", "input": "embedded words"})), 200);
    let texts: Vec<TextsRow> = house.texts().into_iter().map(Option::unwrap).collect();
    assert_eq!(texts.len(), 6);
    for texts in &texts[..3] {
        let (request, answer) = (texts.request.as_deref().unwrap(), texts.answer.as_deref().unwrap());
        for text in [request, answer] {
            assert!(text.contains("zucchini soup") && text.contains("***"), "{text}");
            assert!(!text.contains(KEY) && !text.contains("sk-abc") && !text.contains("4711"), "{text}");
        }
    }
    // A stream is kept as what it said, and not as its frames.
    assert_eq!(texts[1].answer, texts[2].answer);
    assert!(!texts[1].answer.as_deref().unwrap().contains("data:"), "{texts:?}");
    assert!(texts[3].answer.as_deref().unwrap().contains("nowhere"), "the error that it got");
    let long = &texts[4];
    assert!(
        long.request.as_deref().unwrap().len() < 2100 && long.request.as_deref().unwrap().contains("bytes in all"),
        "{long:?}"
    );
    assert!(long.answer.as_deref().unwrap().len() < 2100);
    assert!(texts[5].request.as_deref().unwrap().contains("embedded words") && texts[5].answer.is_some());
}

#[test]
fn they_are_found_and_forgotten_with_their_calls() {
    let house = House::new("forget", "log_content = \"all\"");
    house.chat("fast", false, "zucchini soup");
    house.chat("fast", true, "plain water");
    house.read(async |store| {
        let grep = |text: &str| Wanted { limit: 9, grep: Some(text.to_owned()), ..Wanted::default() };
        assert_eq!(store.calls(&grep("ZUCCHINI")).await.unwrap().len(), 1);
        assert_eq!(store.calls(&grep("nothing of it")).await.unwrap().len(), 0);
        assert_eq!(store.forget("alice").await.unwrap(), 2);
    });
    let bytes = std::fs::read(house.folder.join("trunkline.db")).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"zucchini"), "traces of what was to be forgotten");
}

#[test]
fn none_errors_and_samples() {
    let kept = |name: &str, store: &str| {
        let house = House::new(name, store);
        (0..30).for_each(|_| _ = house.chat("fast", false, "good"));
        (0..5).for_each(|_| _ = house.chat("nowhere", false, "bad"));
        let texts = house.texts();
        assert_eq!(texts.len(), 35);
        texts.iter().flatten().count()
    };
    assert_eq!(kept("none", ""), 0);
    assert_eq!(kept("errors", "log_content = \"errors\""), 5);
    let some = kept("some", "log_content = \"sampled\"\ncontent_sample = 0.5");
    assert!((5..31).contains(&some), "{some}");
    let wrong = Client::builder().config(Config::parse("[store]\nredact = [\"(\"]\n", "test.toml").unwrap()).build();
    assert!(wrong.err().unwrap().message.contains("[store] redact"));
}

/// What is kept is what was asked for at the start, however the file has changed since.
#[test]
fn a_reload_keeps_no_more_than_was_asked_for() {
    let folder = std::env::temp_dir().join(format!("trunkline-texts-reload-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let file = folder.join("trunkline.toml");
    let write = |store: &str, model: &str| {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\nkey = \"env:GATE_KEY\"\n[models.{model}]\ntargets = [\"sim/echo\"]\n[store]\n{store}\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    for (before, after, good, bad) in [
        ("log_content = \"sampled\"\ncontent_sample = 0.0", "log_content = \"errors\"", 0, 0),
        ("log_content = \"errors\"", "log_content = \"all\"\ncontent_bytes = 9", 0, 3),
        ("log_content = \"all\"", "log_content = \"none\"", 3, 3),
    ] {
        std::fs::create_dir_all(&folder).unwrap();
        write(before, "fast");
        let client = Client::builder().config_file(&file).environment(Environment::of([("GATE_KEY", KEY)])).build().unwrap();
        let record = Arc::new(Record::default());
        record.keep_in(Ledger::new(Options::at(folder.join("trunkline.db")), Arc::new(|_: &str| {})));
        let house = House {
            gateway: Gateway::recording(client, Arc::clone(&record)),
            record,
            folder: folder.clone(),
            told: Arc::default(),
        };
        write(after, "later");
        let taken = || house.chat("later", false, "is it there?") == 200;
        assert!(crate::gateway::until_within(std::time::Duration::from_secs(10), taken));
        (0..3).for_each(|_| _ = house.chat("later", false, "good words"));
        (0..3).for_each(|_| _ = house.chat("nowhere", false, "bad words"));
        let texts: Vec<String> = house.texts().into_iter().flatten().filter_map(|texts| texts.request).collect();
        let count = |words: &str| texts.iter().filter(|text| text.contains(words)).count();
        assert_eq!((count("good words"), count("bad words")), (good, bad), "{before} -> {after}: {texts:?}");
        let _ = std::fs::remove_file(folder.join("trunkline.db"));
    }
}

#[test]
fn texts_that_come_too_fast_are_counted_and_told() {
    let house = House::new("fast", "log_content = \"all\"\ncontent_bytes = 20000");
    let message = json!({"role": "user", "content": "soup ".repeat(4_000)});
    let body = json!({"model": "fast", "messages": [message]}).to_string();
    let (ask, address) = (&Ask::post("/v1/chat/completions", body).header("x-api-key", KEY), house.gateway.address);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|_| assert_eq!(ask.send(address).status(), 200)));
        }
    });
    let figure = |name: &str| {
        let reply = house.gateway.ask(&Ask::get("/metrics").header("x-api-key", KEY));
        let line = reply.text().lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let tally = || (figure("trunkline_texts_kept_total"), figure("trunkline_texts_left_out_total"));
    let all = || tally().0 + tally().1 == 80;
    assert!(crate::gateway::until_within(std::time::Duration::from_secs(60), all), "{:?}", tally());
    let (kept, left_out) = tally();
    let texts = house.texts();
    assert_eq!((texts.len(), texts.iter().flatten().count()), (80, kept));
    let told = house.told.lock().unwrap().clone();
    let told: Vec<&String> = told.iter().filter(|line| line.contains("are not kept")).collect();
    assert_eq!(told.is_empty(), left_out == 0, "{left_out}: {told:?}");
    assert!(told.len() < 4, "{told:?}");
}
