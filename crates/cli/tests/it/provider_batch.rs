//! `trunkline batch --provider-batch` against providers that take batches, over real sockets.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trunkline_testkit::provider::batch::{Batches, Plan};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use crate::terminal::{Folder, command, run, text};

const DIALECTS: [&str; 3] = ["openai-chat", "anthropic-messages", "gemini"];
const RUN: [&str; 7] = ["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m", "--provider-batch"];

fn start(batches: &Batches) -> LocalProvider {
    let batches = batches.clone();
    LocalProvider::start(move |seen: &Seen| batches.answer(seen))
}

/// A folder with a provider of this dialect, and lines with these prompts.
fn house(dialect: &str, url: &str, more: &str, prompts: &[&str]) -> Folder {
    let folder = Folder::new();
    let version = if dialect == "openai-chat" { "/v1" } else { "" };
    let config = format!(
        "[providers.house]\nbase_url = \"{url}{version}\"\ndialects = [\"{dialect}\"]\nauth = {{ none = true }}\n\
         quirks = {{ max_tokens_default = 50 }}\n\
         batch = {{ dialect = \"{dialect}\", lines = 4, bytes = 1000000{more} }}\n\n\
         [prices.\"house/*\"]\ninput = \"1\"\noutput = \"2\"\n"
    );
    std::fs::write(folder.0.join("trunkline.toml"), config).unwrap();
    let input =
        prompts.iter().enumerate().map(|(n, prompt)| format!("{}\n", json!({ "custom_id": format!("c{n}"), "prompt": prompt })));
    std::fs::write(folder.0.join("in.jsonl"), input.collect::<String>()).unwrap();
    folder
}

fn rows(folder: &Folder) -> Vec<Value> {
    let content = std::fs::read_to_string(folder.0.join("out.jsonl")).unwrap_or_default();
    content.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn content(row: &Value) -> &str {
    row["response"]["body"]["choices"][0]["message"]["content"].as_str().unwrap_or_default()
}

#[test]
fn every_line_is_answered_once_in_its_order_at_half_the_price() {
    for dialect in DIALECTS {
        let batches = Batches::new(Plan { polls: 1, busy: 1, ..Plan::default() });
        let provider = start(&batches);
        let prompts = ["p0", "refuse 1", "p2", "expire 3", "cancel 4", "lose 5", "p6 茶\n\"x\"", "p7", "p8"];
        let folder = house(dialect, &provider.url(), "", &prompts);
        let output = run(&folder, &[&RUN[..], &["--json"]].concat(), "");
        assert_eq!(output.status.code(), Some(3), "{dialect}: {}", text(&output.stderr));
        assert_eq!(batches.sizes(), [4, 4, 1], "{dialect}: parts within the limit");
        assert!(batches.prompts().values().all(|times| *times == 1), "{dialect}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["answered"], &report["failed"], &report["complete"]), (&json!(5), &json!(4), &json!(true)));
        assert_eq!(report["cost"], json!({ "currency": "USD", "micros": 5 * 600 }), "{dialect}: half the price");
        assert_eq!(report["provider"], json!({ "provider": "house", "batches": 0, "lines": 0, "done": 0 }));
        let rows = rows(&folder);
        let ids: Vec<&str> = rows.iter().map(|row| row["custom_id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"], "{dialect}");
        for (row, prompt) in rows.iter().zip(prompts) {
            let code = row["error"]["code"].as_str();
            match prompt.split(' ').next().unwrap() {
                "refuse" => assert_eq!(code, Some("BadRequestError"), "{dialect}: {row}"),
                "expire" => assert_eq!(code, Some("APITimeoutError"), "{dialect}: {row}"),
                "cancel" => assert_eq!(code, Some("CancelledError"), "{dialect}: {row}"),
                "lose" => assert_eq!(code, Some("MalformedReplyError"), "{dialect}: {row}"),
                _ => assert_eq!((content(row), code), (&*format!("re {prompt}"), None), "{dialect}"),
            }
        }
        let calls = run(&folder, &["logs", "--json"], "");
        let calls: Vec<Value> = serde_json::from_slice(&calls.stdout).unwrap();
        let costs: u64 = calls.iter().filter_map(|call| call["cost_micros"].as_u64()).sum();
        assert_eq!((calls.len(), costs), (9, 3000), "{dialect}: the ledger has every line at its price");
        assert!(calls.iter().all(|call| call["operation"] == "batch" && call["elapsed_us"] == 0), "{calls:#?}");
        let stats = run(&folder, &["stats", "--json"], "");
        let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
        assert!(stats["all"]["calls"] == 9 && stats["all"].get("p50_us") == Some(&Value::Null), "nobody waited: {stats:#}");
        let again = run(&folder, &["stats", "--reprice", "--json"], "");
        let again: Value = serde_json::from_slice(&again.stdout).unwrap();
        assert_eq!((&again[0]["stored_micros"], &again[0]["changed"]), (&again[0]["now_micros"], &Value::from(0)), "{again:#}");
        // Once more: nothing is left to do, and nobody is asked.
        let (before, asked) = (std::fs::read(folder.0.join("out.jsonl")).unwrap(), provider.requests().len());
        let again = run(&folder, &RUN, "");
        assert_eq!(again.status.code(), Some(3), "{}", text(&again.stderr));
        assert_eq!((std::fs::read(folder.0.join("out.jsonl")).unwrap(), provider.requests().len()), (before, asked));
    }
}

/// Waits until it is so.
fn until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killed_while_it_waits_it_goes_on_asking_and_hands_nothing_in_twice() {
    for dialect in DIALECTS {
        let batches = Batches::new(Plan { polls: 1_000_000, ..Plan::default() });
        let provider = start(&batches);
        let prompts: Vec<String> = (0..10).map(|n| format!("p{n}")).collect();
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let folder = house(dialect, &provider.url(), "", &prompts);
        for polls in [1, 4] {
            let mut child = command(&folder, &RUN).stderr(Stdio::null()).spawn().unwrap();
            until("it asks", || batches.polls() >= polls);
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // Meanwhile nobody takes the lines for lines that nobody has.
        let live = run(&folder, &RUN[..6], "");
        assert!(live.status.code() == Some(1) && text(&live.stderr).contains("--provider-batch"), "{}", text(&live.stderr));
        let left = run(&folder, &[&RUN[..], &["--no-wait"]].concat(), "");
        assert!(left.status.success() && text(&left.stderr).contains("10 lines are with house"), "{}", text(&left.stderr));
        batches.set(Plan::default());
        let output = run(&folder, &RUN, "");
        assert_eq!(output.status.code(), Some(0), "{dialect}: {}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("in doubt"), "{}", text(&output.stderr));
        assert_eq!(batches.sizes(), [4, 4, 2], "{dialect}");
        assert!(batches.prompts().values().all(|times| *times == 1), "{dialect}");
        let answers: Vec<String> = rows(&folder).iter().map(|row| content(row).to_owned()).collect();
        assert_eq!(answers, prompts.iter().map(|prompt| format!("re {prompt}")).collect::<Vec<_>>());
    }
}

#[test]
fn killed_at_any_moment_every_line_comes_once_and_none_is_handed_in_twice() {
    let kills: u64 = std::env::var("KILLS").map_or(8, |text| text.parse().unwrap());
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = move |most: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % most
    };
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        let dialect = ["openai-chat", "gemini"][round % 2];
        let batches = Batches::new(Plan { polls: 1, delay: Duration::from_millis(roll(40)), ..Plan::default() });
        let provider = start(&batches);
        let prompts: Vec<String> = (0..30).map(|n| format!("p{n}")).collect();
        let folder = house(dialect, &provider.url(), "", &prompts.iter().map(String::as_str).collect::<Vec<_>>());
        loop {
            let mut child = command(&folder, &RUN).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            if killed < kills {
                std::thread::sleep(Duration::from_millis(20 + roll(300)));
                let _ = child.kill();
            }
            let output = child.wait_with_output().unwrap();
            assert!(!text(&output.stderr).contains("in doubt"), "{}", text(&output.stderr));
            if let Some(code) = output.status.code() {
                assert_eq!(code, 0, "{}", text(&output.stderr));
                break;
            }
            killed += 1;
        }
        let answers: Vec<String> = rows(&folder).iter().map(|row| content(row).to_owned()).collect();
        assert_eq!(answers, prompts.iter().map(|prompt| format!("re {prompt}")).collect::<Vec<_>>(), "{dialect}");
        assert!(batches.prompts().values().all(|times| *times == 1), "{dialect}: {:?}", batches.prompts());
        let stats = run(&folder, &["stats", "--json"], "");
        let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
        assert!(stats["all"]["calls"].as_u64().unwrap() <= 30, "a kill doubles no row of the ledger: {stats:#}");
    }
    println!("{killed} kills of {round} batches");
}

#[test]
fn killed_while_it_hands_in_the_part_is_found_again_or_in_doubt() {
    for dialect in DIALECTS {
        for choice in ["skip", "retry"] {
            let batches = Batches::new(Plan { delay: Duration::from_secs(30), ..Plan::default() });
            let provider = start(&batches);
            let folder = house(dialect, &provider.url(), "", &["p0", "p1", "p2"]);
            let mut child = command(&folder, &RUN).stderr(Stdio::null()).spawn().unwrap();
            until("it is handed in", || batches.sizes() == [3]);
            child.kill().unwrap();
            child.wait().unwrap();
            batches.set(Plan::default());
            let output = run(&folder, &[&RUN[..], &["--in-doubt", choice]].concat(), "");
            let told = text(&output.stderr);
            let rows = rows(&folder);
            assert_eq!(rows.len(), 3, "{dialect} {choice}: {told}");
            if dialect != "anthropic-messages" {
                assert!(output.status.success() && !told.contains("in doubt"), "{dialect} {choice}: {told}");
                assert_eq!(batches.sizes(), [3], "{dialect}: found again by its name");
                continue;
            }
            assert!(told.contains("3 lines are in doubt") && told.contains(": 1-3"), "{told}");
            let doubtful = rows.iter().filter(|row| row["error"]["code"] == "in_doubt").count();
            let expected = if choice == "skip" { (3, Some(3), vec![3]) } else { (0, Some(0), vec![3, 3]) };
            assert_eq!((doubtful, output.status.code(), batches.sizes()), expected, "{choice}: {told}");
        }
    }
}

#[test]
fn killed_before_it_hands_in_the_lines_are_free_again() {
    // The file is there, and the batch was never made: the one request that would have made it did not get an answer.
    let batches = Batches::new(Plan::default());
    let deaf = batches.clone();
    let provider = LocalProvider::start(move |seen: &Seen| match seen.path.as_str() {
        "/v1/batches" => trunkline_testkit::provider::Answer::never(),
        _ => deaf.answer(seen),
    });
    let folder = house("openai-chat", &provider.url(), "", &["p0", "p1"]);
    let mut child = command(&folder, &RUN).stderr(Stdio::null()).spawn().unwrap();
    until("it is about to", || provider.requests().iter().any(|seen| seen.path == "/v1/batches"));
    child.kill().unwrap();
    child.wait().unwrap();
    let well = start(&batches);
    let config = std::fs::read_to_string(folder.0.join("trunkline.toml")).unwrap().replace(&provider.url(), &well.url());
    std::fs::write(folder.0.join("trunkline.toml"), config).unwrap();
    let output = run(&folder, &RUN, "");
    assert!(output.status.success() && !text(&output.stderr).contains("in doubt"), "{}", text(&output.stderr));
    assert_eq!((batches.sizes(), rows(&folder).len()), (vec![2], 2));
}

#[test]
fn a_part_whose_name_was_not_kept_is_found_by_its_file_and_without_a_list_it_is_in_doubt() {
    for (no_list, retry) in [(false, false), (true, false), (true, true)] {
        let batches = Batches::new(Plan { delay: Duration::from_secs(30), forgets: true, ..Plan::default() });
        let provider = start(&batches);
        let folder = house("openai-chat", &provider.url(), "", &["p0", "p1"]);
        let mut child = command(&folder, &RUN).stderr(Stdio::null()).spawn().unwrap();
        until("it is handed in", || batches.sizes() == [2]);
        child.kill().unwrap();
        child.wait().unwrap();
        batches.set(Plan { no_list, ..Plan::default() });
        let output = run(&folder, &[&RUN[..], &["--in-doubt", if retry { "retry" } else { "skip" }]].concat(), "");
        let doubtful = rows(&folder).iter().filter(|row| row["error"]["code"] == "in_doubt").count();
        let expected = if no_list && !retry { (2, Some(3)) } else { (0, Some(0)) };
        assert_eq!((doubtful, output.status.code()), expected, "{}", text(&output.stderr));
        assert_eq!(batches.sizes().len(), if retry { 2 } else { 1 });
    }
}

#[test]
fn what_is_too_much_for_the_provider_at_once_is_handed_in_again_when_there_is_room() {
    let batches = Batches::new(Plan { room: Some(1), polls: 1, ..Plan::default() });
    let provider = start(&batches);
    let prompts: Vec<String> = (0..10).map(|n| format!("p{n}")).collect();
    let folder = house("openai-chat", &provider.url(), "", &prompts.iter().map(String::as_str).collect::<Vec<_>>());
    let output = run(&folder, &RUN, "");
    assert_eq!((output.status.code(), rows(&folder).len()), (Some(0), 10), "{}", text(&output.stderr));
    assert!(batches.sizes().len() > 3 && batches.prompts().values().all(|times| *times == 1), "{:?}", batches.sizes());
    // Alone it is refused for that, too: then waiting does not help.
    batches.set(Plan { room: Some(0), ..Plan::default() });
    let folder = house("openai-chat", &provider.url(), "", &["q0"]);
    let output = run(&folder, &RUN, "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("Enqueued token limit reached"), "{told}");
}

#[test]
fn lines_that_nobody_has_are_told_where_it_does_not_wait() {
    let batches = Batches::new(Plan { room: Some(1), ..Plan::default() });
    let provider = start(&batches);
    let prompts: Vec<String> = (0..10).map(|n| format!("p{n}")).collect();
    let folder = house("openai-chat", &provider.url(), "", &prompts.iter().map(String::as_str).collect::<Vec<_>>());
    let output = run(&folder, &[&RUN[..], &["--no-wait"]].concat(), "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("6 lines are with nobody yet"), "{told}");
    assert_eq!(rows(&folder).len(), 4);
    let output = run(&folder, &RUN, "");
    assert_eq!((output.status.code(), rows(&folder).len()), (Some(0), 10), "{}", text(&output.stderr));
}

#[test]
fn results_that_break_off_are_fetched_again_and_none_is_written_twice() {
    for dialect in ["openai-chat", "anthropic-messages"] {
        let batches = Batches::new(Plan { cut: Some(700), ..Plan::default() });
        let provider = start(&batches);
        let folder = house(dialect, &provider.url(), "", &["p0", "p1", "p2", "p3"]);
        let output = run(&folder, &[&RUN[..], &["--order", "done"]].concat(), "");
        assert_eq!(output.status.code(), Some(0), "{dialect}: {}", text(&output.stderr));
        let mut ids: Vec<String> = rows(&folder).iter().map(|row| row["custom_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        assert_eq!(ids, ["c0", "c1", "c2", "c3"], "{dialect}");
        assert_eq!(batches.sizes(), [4]);
    }
}

#[test]
fn a_batch_that_is_refused_as_a_whole_says_why_once_and_spoils_no_line() {
    for dialect in ["openai-chat", "gemini"] {
        let batches = Batches::new(Plan { refuse: Some(("invalid_model", "this model takes no batches")), ..Plan::default() });
        let provider = start(&batches);
        let folder = house(dialect, &provider.url(), "", &["p0", "p1", "p2", "p3", "p4"]);
        let output = run(&folder, &RUN, "");
        let told = text(&output.stderr);
        assert!(output.status.code() == Some(1) && rows(&folder).is_empty(), "{told}");
        assert_eq!(told.matches("this model takes no batches").count(), 1, "{told}");
        batches.set(Plan::default());
        let output = run(&folder, &RUN, "");
        assert_eq!((output.status.code(), rows(&folder).len()), (Some(0), 5), "{dialect}: {}", text(&output.stderr));
    }
}

#[test]
fn ctrl_c_and_sigterm_leave_at_once_and_say_how_to_go_on() {
    for signal in ["-INT", "-TERM"] {
        let batches = Batches::new(Plan { polls: 1_000_000, ..Plan::default() });
        let provider = start(&batches);
        let folder = house("openai-chat", &provider.url(), "", &["p0", "p1"]);
        let child = command(&folder, &RUN).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        until("it asks", || batches.polls() >= 1);
        assert!(std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let told = text(&output.stderr);
        assert!(told.contains("house goes on with 2 lines, and the same command fetches the results"), "{signal}: {told}");
        assert_eq!(output.status.code(), Some(1), "{signal}");
        batches.set(Plan::default());
        assert!(run(&folder, &RUN, "").status.success());
        assert_eq!(batches.sizes(), [2]);
    }
}

#[test]
fn a_batch_that_the_provider_does_not_know_spoils_no_line() {
    let batches = Batches::new(Plan { polls: 1_000_000, ..Plan::default() });
    let provider = start(&batches);
    let folder = house("anthropic-messages", &provider.url(), "", &["p0", "p1"]);
    assert!(run(&folder, &[&RUN[..], &["--no-wait"]].concat(), "").status.success());
    // As if another account's key had been set meanwhile.
    let other = start(&Batches::default());
    let path = folder.0.join("trunkline.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace(&provider.url(), &other.url())).unwrap();
    let output = run(&folder, &RUN, "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("no such batch") && told.contains("ask with the key"), "{told}");
    assert!(rows(&folder).is_empty());
    std::fs::write(&path, config).unwrap();
    batches.set(Plan::default());
    let output = run(&folder, &RUN, "");
    assert_eq!((output.status.code(), rows(&folder).len(), batches.sizes()), (Some(0), 2, vec![2]), "{}", text(&output.stderr));
}

/// As [`start`], but asking after this batch is answered so, for as long as it is wanted.
fn start_with(batches: &Batches, id: &'static str, answer: fn() -> Answer) -> (LocalProvider, Arc<AtomicBool>) {
    let (batches, wanted) = (batches.clone(), Arc::new(AtomicBool::new(true)));
    let is_wanted = wanted.clone();
    let provider = LocalProvider::start(move |seen: &Seen| {
        let is_it = seen.method == "GET" && seen.path == format!("/v1/batches/{id}");
        if is_it && is_wanted.load(Ordering::SeqCst) { answer() } else { batches.answer(seen) }
    });
    (provider, wanted)
}

#[test]
fn what_is_handed_in_is_recorded_even_where_the_budget_has_no_room_for_lines_before_it() {
    let batches = Batches::new(Plan::default());
    let going = || Answer::json(200, r#"{"id":"batch_2","object":"batch","status":"in_progress"}"#);
    let (provider, is_going) = start_with(&batches, "batch_2", going);
    let prompts = ["refuse 0", "refuse 1", "refuse 2", "refuse 3", "p4", "p5", "p6", "p7"];
    let folder = house("openai-chat", &provider.url(), "", &prompts);
    let output = run(&folder, &[&RUN[..], &["--no-wait"]].concat(), "");
    assert!(text(&output.stderr).contains("4 lines are with house"), "{}", text(&output.stderr));
    is_going.store(false, Ordering::SeqCst);
    let output = run(&folder, &[&RUN[..], &["--retry-failed", "--budget", "0.00001"]].concat(), "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("4 of 8 answered") && told.contains("budget"), "{told}");
    let output = run(&folder, &RUN, "");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let answers: Vec<String> = rows(&folder).iter().map(|row| content(row).to_owned()).collect();
    assert_eq!(answers[4..], ["re p4", "re p5", "re p6", "re p7"]);
    assert!(batches.prompts().iter().all(|(prompt, times)| prompt.contains("refuse") || *times == 1));
}

#[test]
fn a_batch_that_is_gone_keeps_nobody_from_the_results_of_the_others() {
    let batches = Batches::new(Plan { polls: 2, ..Plan::default() });
    let gone = || Answer::json(404, r#"{"error":{"message":"no such batch"}}"#);
    let (provider, is_gone) = start_with(&batches, "batch_1", gone);
    let prompts: Vec<String> = (0..10).map(|n| format!("p{n}")).collect();
    let folder = house("openai-chat", &provider.url(), "", &prompts.iter().map(String::as_str).collect::<Vec<_>>());
    let output = run(&folder, &[&RUN[..], &["--order", "done"]].concat(), "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("6 of 10 answered"), "{told}");
    assert!(
        told.contains("no such batch") && told.contains("batch_1 (lines 1-4)") && told.contains("ask with the key"),
        "{told}"
    );
    assert_eq!(rows(&folder).len(), 6);
    is_gone.store(false, Ordering::SeqCst);
    let output = run(&folder, &[&RUN[..], &["--order", "done"]].concat(), "");
    assert_eq!((output.status.code(), rows(&folder).len(), batches.sizes().len()), (Some(0), 10, 3), "{}", text(&output.stderr));
}

#[test]
fn the_budget_counts_at_the_price_of_batches_and_so_does_a_dry_run() {
    let batches = Batches::new(Plan::default());
    let provider = start(&batches);
    let folder = house("openai-chat", &provider.url(), ", price_percent = 25", &["p0", "p1", "p2", "p3", "p4"]);
    let cost = |arguments: &[&str]| -> u64 {
        let output = run(&folder, &[&["batch", "in.jsonl", "-m", "house/m", "--dry-run", "--json"], arguments].concat(), "");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["most"]["micros"].as_u64().unwrap()
    };
    let (live, there) = (cost(&[]), cost(&["--provider-batch"]));
    assert!(live > 0 && live.abs_diff(4 * there) <= 20, "{live} {there}");
    assert!(batches.sizes().is_empty() && rows(&folder).is_empty());
    // Two lines fit in; when they are paid for, others do.
    let most = there / 5;
    let budget = format!("{:.6}", (2 * most + 100) as f64 / 1e6);
    let output = run(&folder, &[&RUN[..], &["--budget", &budget]].concat(), "");
    assert_eq!(batches.sizes()[0], 2, "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (folder, budget) = (house("openai-chat", &provider.url(), "", &["p0"]), "0.000001");
    let output = run(&folder, &[&RUN[..], &["--budget", budget]].concat(), "");
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("--budget"), "{}", text(&output.stderr));
}

#[test]
fn whoever_takes_no_batches_is_told_before_anything_is_sent() {
    let batches = Batches::new(Plan::default());
    let provider = start(&batches);
    let folder = house("openai-chat", &provider.url(), "", &["p0"]);
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "sim/echo", "--provider-batch"], "");
    let told = text(&output.stderr);
    assert!(told.contains("leave --provider-batch away") && told.contains("house"), "{told}");
    assert_eq!((output.status.code(), provider.requests().len()), (Some(1), 0));
    // Without a key there is an estimate, and no more.
    let arguments = ["batch", "in.jsonl", "-o", "other.jsonl", "-m", "openai/gpt-4o-mini", "--provider-batch"];
    let output = run(&folder, &arguments, "");
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("OPENAI_API_KEY"), "{}", text(&output.stderr));
    let output = run(&folder, &[&arguments[..], &["--dry-run"]].concat(), "");
    let told = text(&output.stdout);
    assert!(output.status.success() && told.contains("at the price of batches"), "{told}{}", text(&output.stderr));
    // Of an alias, the first target that takes batches.
    let path = folder.0.join("trunkline.toml");
    let config = std::fs::read_to_string(&path).unwrap() + "\n[models.both]\ntargets = [\"sim/echo\", \"house/m\"]\n";
    std::fs::write(path, config).unwrap();
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "both", "--provider-batch"], "");
    assert!(output.status.success() && batches.sizes() == [1], "{}", text(&output.stderr));
}

#[test]
fn lines_that_failed_are_handed_in_again_where_that_is_asked_for() {
    let batches = Batches::new(Plan::default());
    let provider = start(&batches);
    let folder = house("gemini", &provider.url(), "", &["p0", "refuse 1", "p2", "p3", "expire 4"]);
    assert_eq!(run(&folder, &RUN, "").status.code(), Some(3));
    let output = run(&folder, &[&RUN[..], &["--retry-failed"]].concat(), "");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!((batches.sizes(), rows(&folder).len()), (vec![4, 1, 2], 5));
    let times = |prompt: &str| batches.prompts()[prompt];
    assert_eq!((times("p0"), times("refuse 1"), times("expire 4")), (1, 2, 2));
}
