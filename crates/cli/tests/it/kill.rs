//! Runs of a batch are killed (SIGKILL) at random moments until one ends by itself. `KILLS=1000` for the long form.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use crate::terminal::{Folder, command, text};

const LINES: u64 = 300;

/// A provider that counts what it got, and takes a moment for it.
pub(crate) fn provider() -> LocalProvider {
    LocalProvider::start(|seen: &Seen| {
        let prompt = seen.json()["messages"][0]["content"].as_str().unwrap().to_owned();
        let body = serde_json::json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": format!("re {prompt}") }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
        });
        let wait = 5 + u64::from(seen.body.len() as u32 * 7 % 23);
        Answer::json(200, body.to_string()).delay(Duration::from_millis(wait))
    })
}

pub(crate) fn write_config(folder: &Folder, provider: &LocalProvider) {
    let config = format!(
        "[providers.house]\nbase_url = \"{}/v1\"\ndialects = [\"openai-chat\"]\nauth = {{ none = true }}\n\n[prices.\"house/*\"]\ninput = \"1\"\noutput = \"2\"\n",
        provider.url()
    );
    std::fs::write(folder.0.join("trunkline.toml"), config).unwrap();
}

/// The numbers in `…: 3, 7-9`.
fn listed(stderr: &str) -> BTreeSet<u64> {
    let lines = stderr.lines().filter(|line| line.contains("in doubt, begun by"));
    let parts = lines.flat_map(|line| line.rsplit_once(": ").unwrap().1.split(", ").map(str::to_owned));
    let ranges = parts.flat_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((&part, &part));
        first.parse::<u64>().unwrap()..=last.parse().unwrap()
    });
    ranges.collect()
}

#[test]
fn killed_at_any_moment_no_line_is_lost_none_recorded_twice_and_every_doubt_is_listed() {
    let kills: u64 = std::env::var("KILLS").map_or(15, |text| text.parse().unwrap());
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = move |most: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % most
    };
    let (mut killed, mut rounds, mut doubted) = (0, 0, 0);
    while killed < kills {
        rounds += 1;
        let (order, in_doubt) = [("input", "retry"), ("done", "skip"), ("input", "skip"), ("done", "retry")][rounds % 4];
        let (folder, provider) = (Folder::new(), provider());
        write_config(&folder, &provider);
        let input: String = (1..=LINES).map(|n| format!("{{\"custom_id\":\"c{n}\",\"prompt\":\"p{n}\"}}\n")).collect();
        std::fs::write(folder.0.join("in.jsonl"), input).unwrap();
        let mut doubts: BTreeMap<u64, u64> = BTreeMap::new();
        let mut recorded: BTreeMap<String, String> = BTreeMap::new();
        let mut longest = 20;
        loop {
            let arguments =
                ["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m", "--order", order, "--in-doubt", in_doubt, "-c", "16"];
            let mut child = command(&folder, &arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let patience = Duration::from_millis(roll(longest));
            longest = (longest + 40).min(400);
            let kill = killed < kills;
            if kill {
                std::thread::sleep(patience);
                let _ = child.kill();
            }
            let output = child.wait_with_output().unwrap();
            let stderr = text(&output.stderr);
            listed(&stderr).iter().for_each(|number| *doubts.entry(*number).or_default() += 1);
            if output.status.code().is_some() {
                assert!(matches!(output.status.code(), Some(0 | 3)), "{stderr}");
                break;
            }
            killed += 1;
            // What is recorded stays what it is.
            let now = rows(&folder);
            recorded.iter().for_each(|(id, line)| assert_eq!(now.get(id), Some(line), "{id} was recorded"));
            recorded = now;
        }
        doubted += doubts.len();
        check(&folder, &provider, order, in_doubt, &doubts);
    }
    println!("{killed} kills of {rounds} batches of {LINES} lines; {doubted} lines in doubt, all listed");
}

/// The whole lines of the output by id; none comes twice.
fn rows(folder: &Folder) -> BTreeMap<String, String> {
    let out = std::fs::read_to_string(folder.0.join("out.jsonl")).unwrap_or_default();
    let whole = out.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut rows = BTreeMap::new();
    for line in whole.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let before = rows.insert(row["custom_id"].as_str().unwrap().to_owned(), line.to_owned());
        assert!(before.is_none(), "recorded twice: {line}");
    }
    rows
}

fn check(folder: &Folder, provider: &LocalProvider, order: &str, in_doubt: &str, doubts: &BTreeMap<u64, u64>) {
    let out = std::fs::read_to_string(folder.0.join("out.jsonl")).unwrap();
    assert!(out.ends_with('\n'));
    let rows = rows(folder);
    assert_eq!(rows.len() as u64, LINES, "lines lost");
    if order == "input" {
        let ids = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["custom_id"].as_str().unwrap().to_owned());
        assert!(ids.eq((1..=LINES).map(|n| format!("c{n}"))), "out of order");
    }
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for seen in provider.requests() {
        *sent.entry(seen.json()["messages"][0]["content"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    for number in 1..=LINES {
        let row: Value = serde_json::from_str(&rows[&format!("c{number}")]).unwrap();
        let times = sent.get(&format!("p{number}")).copied().unwrap_or(0);
        let doubted = doubts.get(&number).copied().unwrap_or(0);
        let most = if in_doubt == "retry" { 1 + doubted } else { 1 };
        assert!(times <= most, "line {number} was sent {times} times and listed as doubtful {doubted} times");
        if row["error"].is_null() {
            assert_eq!(row["response"]["status_code"], 200);
            let content = &row["response"]["body"]["choices"][0]["message"]["content"];
            assert_eq!(content.as_str().unwrap(), format!("re p{number}"));
            assert!(times >= 1);
        } else {
            assert_eq!((row["error"]["code"].as_str().unwrap(), in_doubt), ("in_doubt", "skip"));
            assert!(doubted > 0, "line {number} is called doubtful and was never listed");
        }
    }
}
