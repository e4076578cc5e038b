//! What is recorded of calls, and that no call suffers where it cannot be.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use trunkline::Client;
use trunkline::config::{Config, Environment};
use trunkline_gateway::Record;
use trunkline_store::{CallRow, Ledger, Opening, Options, Store, Wanted};
use trunkline_testkit::provider::{Ending, LocalProvider};

use crate::gateway::{CREDENTIAL, Gateway, providers};
use crate::speech;
use crate::wire::Ask;

pub(crate) const CONFIG: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[models.fast]\ntargets = [\"sim/echo\"]\n[tasks]\nplain = \"fast\"\n\
                      [prices.\"sim/echo\"]\ninput = \"1000000\"\noutput = \"2000000\"\ndate = \"2026-11-20\"\n";

pub(crate) struct House {
    pub(crate) gateway: Gateway,
    pub(crate) record: Arc<Record>,
    pub(crate) folder: PathBuf,
    /// What the operator was told of the ledger.
    pub(crate) told: Arc<Mutex<Vec<String>>>,
}

impl House {
    fn new(name: &str) -> Self {
        House::with(name, CONFIG)
    }

    fn with(name: &str, config: &str) -> Self {
        House::opened(name, config, |opening| opening)
    }

    /// A house whose store is opened like this.
    pub(crate) fn opened(name: &str, config: &str, opened: fn(Opening) -> Opening) -> Self {
        let folder = std::env::temp_dir().join(format!("trunkline-record-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let client = Client::builder()
            .config(Config::parse(config, "test.toml").unwrap())
            .environment(Environment::of([("HOUSE_KEY", CREDENTIAL), ("GATE_KEY", "gate-key-1")]));
        let record = Arc::new(Record::default());
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let teller = Arc::clone(&told);
        record.keep_in(Ledger::new(
            Options { opening: opened(Opening::at(folder.join("data/trunkline.db"))), ..options(&folder) },
            Arc::new(move |line: &str| teller.lock().unwrap().push(line.to_owned())),
        ));
        House { gateway: Gateway::recording(client.build().unwrap(), Arc::clone(&record)), record, folder, told }
    }

    pub(crate) fn rows(&self) -> Vec<CallRow> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut store = Store::open(&Opening::existing(self.folder.join("data/trunkline.db"))).await.unwrap();
            store.calls(&Wanted { limit: u32::MAX, ..Wanted::default() }).await.unwrap()
        })
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn options(folder: &Path) -> Options {
    Options { pause: Duration::from_millis(100), ..Options::at(folder.join("data/trunkline.db")) }
}

pub(crate) fn ask(model: &str, stream: bool, prompt: &str) -> Ask {
    let message = json!({"role": "user", "content": prompt});
    Ask::post("/v1/chat/completions", json!({"model": model, "stream": stream, "messages": [message]}).to_string())
}

#[test]
fn a_call_leaves_a_row_that_says_all_but_its_words() {
    let house = House::new("row");
    let whole =
        ask("fast", false, "zucchini soup").header("x-trunkline-user", "王小明").header("x-trunkline-tags", "team = a, b,");
    let whole = house.gateway.ask(&whole);
    let streamed = house.gateway.ask(&ask("task:plain", true, "one two three"));
    let nowhere = house.gateway.ask(&ask("nowhere", false, "x"));
    let embedded = house.gateway.ask(&Ask::post("/v1/embeddings", r#"{"model":"fast","input":"a b c"}"#));
    assert_eq!([&whole, &streamed, &nowhere, &embedded].map(|reply| reply.status()), [200, 200, 404, 200]);
    house.record.close();
    let rows = house.rows();
    let ids = [&whole, &streamed, &nowhere, &embedded].map(|reply| reply.header("x-trunkline-request-id").to_owned());
    assert_eq!(rows.iter().map(|row| row.request_id.clone()).collect::<Vec<_>>(), ids);
    let [first, second, third, fourth] = rows.as_slice() else { panic!("{rows:#?}") };

    assert_eq!((first.user_id.as_deref(), first.tags.as_deref()), (Some("王小明"), Some("team=a,b")));
    assert_eq!((first.operation.as_ref(), first.dialect.as_deref()), ("chat", Some("openai-chat")));
    assert_eq!((first.model.as_str(), first.target.as_deref()), ("fast", Some("sim/echo")));
    assert_eq!((first.status, &first.error, first.streamed), (200, &None, false));
    // A token costs 1 to read and 2 to write: whole millions of micro-units.
    let tokens = first.input.unwrap() + 2 * first.output.unwrap();
    assert_eq!((first.cost_micros, first.currency.as_deref()), (Some(tokens * 1_000_000), Some("USD")));
    assert_eq!(first.price_date.as_deref(), Some("2026-11-20"));
    assert!(first.bytes_in.unwrap() > 50 && first.elapsed_us > 0 && first.first_us.is_none());
    for (row, reply) in rows.iter().zip([&whole, &streamed, &nowhere, &embedded]) {
        assert_eq!(row.bytes_out, Some(reply.text().len() as u64), "{row:?}");
    }
    let exchange = &first.exchanges[0];
    assert_eq!(exchange.dialect.as_deref(), Some("openai-chat"));
    assert_eq!((first.exchanges.len(), exchange.target.as_ref(), exchange.output), (1, "sim/echo", first.output));
    assert_eq!(exchange.cost_micros, first.cost_micros);
    let age = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64 - first.begun_us;
    assert!(age < 60_000_000, "{age}");

    assert_eq!((second.task.as_deref(), second.streamed), (Some("plain"), true));
    assert!(second.first_us.is_some_and(|first| first <= second.elapsed_us) && second.output.is_some());
    assert_eq!((third.model.as_str(), third.status, third.error.as_deref()), ("nowhere", 404, Some("not_found")));
    assert_eq!((third.blame.as_deref(), &third.target, third.exchanges.len()), (Some("caller"), &None, 0));
    assert_eq!((fourth.operation.as_ref(), fourth.bytes_in), ("embed", Some(32)));
    for file in ["trunkline.db", "trunkline.db-wal"] {
        let bytes = std::fs::read(house.folder.join("data").join(file)).unwrap_or_default();
        assert!(!bytes.windows(8).any(|window| window == b"zucchini"), "a word of the caller's is in {file}");
    }
}

#[test]
fn every_byte_of_an_answer_counts_whoever_writes_it() {
    let house = House::new("bytes");
    let message = json!([{"role": "user", "content": "one two three"}]);
    let translated = json!({"model": "fast", "max_tokens": 9, "stream": true, "messages": message}).to_string();
    let asks = [
        Ask::post("/v1/messages", translated),
        Ask::post("/v1/responses", json!({"model": "fast", "input": "one two"}).to_string()),
        Ask::post("/passthrough/sim/chat/completions", json!({"model": "echo", "messages": message}).to_string()),
    ];
    let lengths: Vec<_> = asks.iter().map(|ask| Some(house.gateway.ask(ask).text().len() as u64)).collect();
    house.record.close();
    let rows = house.rows();
    assert_eq!(rows.iter().map(|row| row.bytes_out).collect::<Vec<_>>(), lengths, "{rows:#?}");
    for row in &rows[..2] {
        assert!(row.exchanges.iter().any(|exchange| exchange.dialect.is_some()), "{row:#?}");
    }
}

#[test]
fn the_user_that_a_body_names_is_in_the_row_and_so_is_the_key() {
    let house = House::with("user", &CONFIG.replacen("[server]", "[server]\nkey = \"env:GATE_KEY\"", 1));
    let message = json!([{"role": "user", "content": "hi"}]);
    let asks = [
        ("/v1/chat/completions", json!({"model": "fast", "messages": message, "user": "chat-user"})),
        ("/v1/responses", json!({"model": "fast", "input": "hi", "safety_identifier": "response-user"})),
        ("/v1/messages", json!({"model": "fast", "max_tokens": 9, "messages": message, "metadata": {"user_id": "message-user"}})),
        ("/v1/embeddings", json!({"model": "fast", "input": "hi", "user": "embed-user"})),
        ("/v1/chat/completions", json!({"model": "fast", "messages": message, "user": 3})),
    ];
    for (path, body) in asks {
        let reply = house.gateway.ask(&Ask::post(path, body.to_string()).header("authorization", "Bearer gate-key-1"));
        assert!(reply.status() == 200 || body["user"] == 3, "{}", reply.text());
    }
    house.record.close();
    let rows = house.rows();
    let users: Vec<_> = rows.iter().filter_map(|row| row.user_id.as_deref()).collect();
    assert_eq!(users, ["chat-user", "response-user", "message-user", "embed-user"]);
    // The first digits of the key's SHA-256.
    assert!(rows.iter().all(|row| row.key_id.as_deref() == Some(trunkline::Secret::new("gate-key-1").fingerprint().as_str())));
    assert_eq!(rows[0].key_id.as_ref().unwrap().len(), 8);
}

#[test]
fn while_the_store_is_gone_calls_go_on_and_health_tells() {
    let house = House::new("gone");
    let (home, away) = (house.folder.join("data"), house.folder.join("away"));
    let call = |number: u64| {
        assert_eq!(house.gateway.ask(&ask("fast", false, &number.to_string())).status(), 200);
    };
    let state = || house.gateway.ask(&Ask::get("/health/ready")).json()["ledger"]["state"].as_str().unwrap().to_owned();
    let wait = |wanted: &str| {
        let begun = Instant::now();
        while state() != wanted {
            assert!(begun.elapsed() < Duration::from_secs(20), "the ledger is {}", state());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    (0..5).for_each(call);
    let written = || house.gateway.ask(&Ask::get("/stats")).json()["ledger"]["written"].as_u64().unwrap();
    while written() < 5 {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::create_dir(&away).unwrap();
    let files = ["trunkline.db", "trunkline.db-wal", "trunkline.db-shm"];
    let shift = |from: &Path, to: &Path| files.iter().for_each(|name| _ = std::fs::rename(from.join(name), to.join(name)));
    shift(&home, &away);
    (5..15).for_each(call);
    wait("waiting");
    (15..40).for_each(call);
    let ready = house.gateway.ask(&Ask::get("/health/ready"));
    assert_eq!((ready.status(), ready.json()["status"].as_str()), (200, Some("ok")));
    assert!(!ready.text().contains("trunkline.db"), "anybody may ask, and a path is nobody's business: {}", ready.text());
    let stats = house.gateway.ask(&Ask::get("/stats")).json();
    assert!(stats["ledger"]["why"].as_str().unwrap().contains("is not where it was"), "{stats}");
    shift(&away, &home);
    wait("ok");
    (40..45).for_each(call);
    house.record.close();
    let rows = house.rows();
    let ids: std::collections::HashSet<_> = rows.iter().map(|row| row.request_id.as_str()).collect();
    assert_eq!((rows.len(), ids.len()), (45, 45));
}

#[test]
fn an_answer_that_was_gone_on_with_leaves_a_row_of_each_who_gave_a_part() {
    let speech = speech::all().find(|speech| speech.name == "openai-chat").unwrap();
    let first = LocalProvider::start(speech.framed(speech.begun().iter().copied()).ending(Ending::Cut));
    let second = LocalProvider::start(speech.stream());
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[models.any]\ncontinue_cut = true\ntargets = [\"at-openai-chat/tiny-1\", \"b-openai-chat/tiny-1\"]\n{}{}",
        providers(&first.url()),
        providers(&second.url()).replace("providers.at-", "providers.b-"),
    );
    let house = House::with("continued", &config);
    let reply = house.gateway.ask(&speech.ask("any", true));
    assert_eq!(reply.status(), 200, "{}", reply.text());
    house.record.close();
    let rows = house.rows();
    let [row] = rows.as_slice() else { panic!("{rows:#?}") };
    let tried: Vec<_> =
        row.exchanges.iter().map(|one| (one.target.as_ref(), one.error.as_deref(), one.output.is_some())).collect();
    assert_eq!(tried, [("at-openai-chat/tiny-1", Some("truncated"), true), ("b-openai-chat/tiny-1", None, true)], "{row:#?}");
    assert!(row.usage_estimated && row.error.is_none(), "{row:#?}");
    assert_eq!(row.bytes_out, Some(reply.text().len() as u64));
}
