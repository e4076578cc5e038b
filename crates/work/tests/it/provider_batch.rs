//! Batches of the provider's, with runs that end at any moment. `ROUNDS=500` for the long form.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use trunkline::Client;
use trunkline::config::{Config, Environment};
use trunkline_testkit::provider::batch::{Batches, Plan};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};
use trunkline_work::batch::{Batch, Halt, InDoubt, Order, Report, Wish};

const LINES: usize = 40;
const DIALECTS: [&str; 3] = ["openai-chat", "anthropic-messages", "gemini"];

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("trunkline-batch-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn client(dialect: &str, url: &str, lines: usize) -> Client {
    let version = if dialect == "openai-chat" { "/v1" } else { "" };
    let config = format!(
        "[providers.house]\nbase_url = \"{url}{version}\"\ndialects = [\"{dialect}\"]\nauth = {{ none = true }}\n\
         quirks = {{ max_tokens_default = 50 }}\nbatch = {{ dialect = \"{dialect}\", lines = {lines}, bytes = 3000 }}\n\
         [prices.\"house/*\"]\ninput = \"1\"\noutput = \"2\"\n"
    );
    let config = Config::parse(&config, "test").unwrap();
    Client::builder().config(config).environment(Environment::default()).own_pace().build().unwrap()
}

/// Dice that fall the same way every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

fn batch(folder: &Folder, order: Order) -> Batch {
    Batch { input: folder.0.join("in.jsonl"), output: folder.0.join("out.jsonl"), order, ..Batch::default() }
}

/// One run, which is ended after so long.
async fn run(client: &Client, batch: Batch, wish: Wish, end: Option<(Halt, Duration)>) -> Report {
    let (sender, halt) = watch::channel(Halt::No);
    let ending = async {
        if let Some((halt, after)) = end {
            tokio::time::sleep(after).await;
            sender.send(halt).unwrap();
        }
        std::future::pending::<()>().await;
    };
    let opened = batch.open(client).unwrap();
    tokio::select! {
        report = opened.run_at_provider(client, wish, halt, |_| {}) => report.unwrap(),
        () = ending => unreachable!(),
    }
}

fn rows(folder: &Folder) -> Vec<Value> {
    let content = std::fs::read_to_string(folder.0.join("out.jsonl")).unwrap();
    content.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn whenever_runs_end_every_line_comes_once_and_none_is_handed_in_twice_unless_it_was_in_doubt() {
    let rounds: u64 = std::env::var("ROUNDS").map_or(9, |text| text.parse().unwrap());
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut ended, mut doubted) = (0, 0);
    for round in 0..rounds {
        let dialect = DIALECTS[usize::try_from(round).unwrap() % 3];
        let order = if round % 2 == 0 { Order::Input } else { Order::Done };
        let in_doubt = if round % 4 < 2 { InDoubt::Retry } else { InDoubt::Skip };
        let plan = Plan {
            polls: usize::try_from(dice.roll(3)).unwrap(),
            delay: Duration::from_millis(dice.roll(30)),
            cut: (dice.roll(2) == 0).then_some(1500),
            ..Plan::default()
        };
        let batches = Batches::new(plan);
        let shared = batches.clone();
        let provider = LocalProvider::start(move |seen: &Seen| shared.answer(seen));
        let client = client(dialect, &provider.url(), 3 + usize::try_from(dice.roll(9)).unwrap());
        let folder = Folder::new(&format!("ends-{round}"));
        // Two models, lines of all lengths.
        let line = |n: usize| {
            let prompt = format!("p{n} {}", "x".repeat(n * 13 % 700));
            json!({ "model": format!("house/m{}", n % 2), "messages": [{ "role": "user", "content": prompt }] })
        };
        let input: String = (0..LINES).map(|n| format!("{}\n", line(n))).collect();
        std::fs::write(folder.0.join("in.jsonl"), input).unwrap();
        let mut doubts: BTreeMap<u64, u64> = BTreeMap::new();
        let mut longest = 30;
        loop {
            let halt = if dice.roll(3) == 0 { Halt::Gently } else { Halt::Now };
            let end = (longest < 600).then(|| (halt, Duration::from_millis(dice.roll(longest))));
            longest += 40;
            let wish = Wish { in_doubt, wait: dice.roll(4) > 0 };
            let report = run(&client, batch(&folder, order), wish, end).await;
            report.in_doubt.iter().for_each(|number| *doubts.entry(*number).or_default() += 1);
            assert!(report.stopped.as_ref().is_none_or(|why| why.starts_with("stopped")), "{report:?}");
            if report.complete {
                break;
            }
            ended += 1;
        }
        doubted += doubts.len();
        assert!(dialect == "anthropic-messages" || doubts.is_empty(), "{dialect}: {doubts:?}");
        let rows = rows(&folder);
        assert_eq!(rows.len(), LINES, "{dialect}");
        let prompts = batches.prompts();
        let mut seen = Vec::new();
        for row in &rows {
            let number: usize = row["id"].as_str().unwrap()["batch_req_".len()..][..8].parse().unwrap();
            seen.push(number);
            let answer = row["response"]["body"]["choices"][0]["message"]["content"].as_str();
            let times = prompts
                .iter()
                .find(|(prompt, _)| prompt.starts_with(&format!("p{} ", number - 1)))
                .map_or(0, |(_, times)| *times);
            let most = if in_doubt == InDoubt::Retry { 1 + doubts.get(&(number as u64)).copied().unwrap_or(0) } else { 1 };
            assert!(times as u64 <= most, "{dialect}: line {number} was handed in {times} times");
            match answer {
                Some(answer) => assert!(answer.starts_with(&format!("re p{} ", number - 1)), "{dialect}: {number} {answer}"),
                None => assert!(row["error"]["code"] == "in_doubt" && in_doubt == InDoubt::Skip, "{dialect}: {row}"),
            }
        }
        if order == Order::Input {
            assert!(seen.is_sorted(), "{dialect}");
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=LINES).collect::<Vec<_>>(), "{dialect}");
    }
    println!("{ended} runs of {rounds} batches were ended; {doubted} lines in doubt");
}

#[tokio::test]
async fn lines_of_two_providers_and_lines_that_are_too_long() {
    let batches = Batches::new(Plan::default());
    let shared = batches.clone();
    let provider = LocalProvider::start(move |seen: &Seen| shared.answer(seen));
    let client = client("openai-chat", &provider.url(), 5);
    let folder = Folder::new("two");
    let line = |model: &str, prompt: &str| format!("{}\n", json!({ "model": model, "prompt": prompt }));
    std::fs::write(folder.0.join("in.jsonl"), line("house/a", "p") + &line("sim/echo", "p")).unwrap();
    let (_sender, halt) = watch::channel(Halt::No);
    let wish = Wish { in_doubt: InDoubt::Skip, wait: true };
    let opened = batch(&folder, Order::Input).open(&client).unwrap();
    let error = opened.run_at_provider(&client, wish, halt, |_| {}).await.unwrap_err();
    assert!(error.message.contains("sim/echo is not taken in batches"), "{error}");
    assert!(provider.requests().is_empty());
    std::fs::write(folder.0.join("in.jsonl"), line("house/a", &"x".repeat(3000)) + &line("house/a", "p")).unwrap();
    let report = run(&client, batch(&folder, Order::Input), wish, None).await;
    assert_eq!((report.progress.answered, report.progress.failed), (1, 1));
    assert_eq!(rows(&folder)[0]["error"]["code"], "RequestTooLargeError");
}

/// A folder with lines of these bodies.
fn folder_of(name: &str, lines: impl Iterator<Item = Value>) -> Folder {
    let folder = Folder::new(name);
    std::fs::write(folder.0.join("in.jsonl"), lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    folder
}

#[tokio::test]
async fn no_more_batches_than_the_limit_are_there_at_a_time_however_often_it_is_run() {
    let batches = Batches::new(Plan { polls: 1_000_000, ..Plan::default() });
    let shared = batches.clone();
    let provider = LocalProvider::start(move |seen: &Seen| shared.answer(seen));
    let client = client("gemini", &provider.url(), 1);
    let folder = folder_of("limit", (0..203).map(|n| json!({ "model": "house/m", "prompt": format!("p{n}") })));
    let wish = Wish { in_doubt: InDoubt::Skip, wait: false };
    for _ in 0..2 {
        let report = run(&client, batch(&folder, Order::Input), wish, None).await;
        let told = report.stopped.unwrap_or_default();
        assert!(told.contains("3 lines are with nobody yet"), "{told}");
        assert_eq!(batches.sizes().len(), 200);
    }
    batches.set(Plan::default());
    let report = run(&client, batch(&folder, Order::Input), Wish { wait: true, ..wish }, None).await;
    assert!(report.complete && rows(&folder).len() == 203 && batches.sizes().len() == 203, "{report:?}");
}

#[tokio::test]
async fn answers_that_come_in_one_reply_are_bounded_and_one_that_is_too_long_is_not_asked_for_again_and_again() {
    let batches = Batches::new(Plan::default());
    let shared = batches.clone();
    let provider = LocalProvider::start(move |seen: &Seen| {
        if seen.path.ends_with("/batch_1") { Answer::json(200, " ".repeat(65 << 20)) } else { shared.answer(seen) }
    });
    let client = client("gemini", &provider.url(), 10);
    // Of 24 MB each, as far as can be told.
    let line = |n: usize| json!({ "model": "house/m", "prompt": format!("p{n}"), "max_tokens": 4_000_000 });
    let folder = folder_of("long", (0..5).map(line));
    let wish = Wish { in_doubt: InDoubt::Skip, wait: true };
    let report = run(&client, batch(&folder, Order::Done), wish, None).await;
    assert_eq!((batches.sizes(), report.progress.answered), (vec![2, 2, 1], 3));
    let told = report.stopped.unwrap_or_default();
    assert!(told.contains("(lines 1-2)") && told.contains("raise reply_limit under [network]"), "{told}");
}
