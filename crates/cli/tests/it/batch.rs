//! `trunkline batch`, as a person uses it.

use serde_json::{Value, json};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use crate::kill::{provider, write_config};
use crate::terminal::{Folder, command, run, text};

fn write(folder: &Folder, name: &str, content: &str) {
    std::fs::write(folder.0.join(name), content).unwrap();
}

fn rows(folder: &Folder, name: &str) -> Vec<Value> {
    let content = std::fs::read_to_string(folder.0.join(name)).unwrap();
    content.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_of_every_kind_are_answered_in_their_order() {
    let folder = Folder::new();
    let lines = [
        json!({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
               "body": {"model": "sim/echo", "messages": [{"role": "user", "content": "one"}]}}),
        json!({"prompt": "two 二", "system": "x"}),
        json!({"custom_id": "c", "messages": [{"role": "user", "content": "three"}]}),
        json!({"custom_id": "d", "url": "/v1/messages",
               "body": {"model": "sim/echo", "max_tokens": 9, "messages": [{"role": "user", "content": "four"}]}}),
        json!({"custom_id": "e", "nothing": 1}),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n\n")).collect();
    write(&folder, "in.jsonl", &(input + "not json\n"));
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "--json"], "");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["answered"], &report["failed"], &report["complete"]), (&json!(4), &json!(2), &json!(true)));
    let rows = rows(&folder, "out.jsonl");
    let ids: Vec<&str> = rows.iter().map(|row| row["custom_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "line-2", "c", "d", "e", "line-6"]);
    assert_eq!(rows[0]["response"]["body"]["choices"][0]["message"]["content"], "one");
    assert_eq!(rows[1]["response"]["body"]["choices"][0]["message"]["content"], "two 二");
    assert_eq!(rows[3]["response"]["body"]["content"][0]["text"], "four");
    assert_eq!((&rows[4]["response"]["status_code"], rows[4]["error"]["message"].is_string()), (&json!(400), true));
    // Once more: nothing is left to do.
    let before = std::fs::read(folder.0.join("out.jsonl")).unwrap();
    let again = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl"], "");
    assert_eq!(again.status.code(), Some(3), "{}", text(&again.stderr));
    assert_eq!(std::fs::read(folder.0.join("out.jsonl")).unwrap(), before);
    // Another input is not taken for the same.
    write(&folder, "in.jsonl", "{\"prompt\":\"other\"}\n{\"prompt\":\"x\"}\n{}\n{}\n{}\n{}\n");
    let other = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl"], "");
    assert!(text(&other.stderr).contains("line 1 of the input is not what it was"), "{}", text(&other.stderr));
    assert_eq!(other.status.code(), Some(1));
}

#[test]
fn rows_of_a_table_fill_a_template() {
    let folder = Folder::new();
    write(&folder, "in.csv", "id,name,note\n7,Tee,\"grün,\nlose\"\n8,茶,好\n");
    let arguments = ["batch", "in.csv", "-o", "out.jsonl", "-t", "{{ name }}: {{ note }}"];
    let output = run(&folder, &arguments, "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let rows = rows(&folder, "out.jsonl");
    assert_eq!(rows[0]["response"]["body"]["choices"][0]["message"]["content"], "Tee: grün,\nlose");
    assert_eq!((&rows[1]["custom_id"], rows.len()), (&json!("8"), 2));
    for (template, told) in [("{{ nme }}", "did you mean name?"), ("{{ name", "line 1 of the template"), ("", "")] {
        let arguments = ["batch", "in.csv", "-o", "other.jsonl", "-t", template];
        let arguments = if template.is_empty() { &arguments[..4] } else { &arguments[..] };
        let output = run(&folder, arguments, "");
        let stderr = text(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains(told), "{stderr}");
        assert!(!template.is_empty() || stderr.contains("--template"), "{stderr}");
    }
}

#[test]
fn files_of_others_and_of_running_batches_are_left_alone() {
    let (folder, provider) = (Folder::new(), LocalProvider::start(Answer::never()));
    write_config(&folder, &provider);
    write(&folder, "in.jsonl", "{\"prompt\":\"a\"}\n");
    write(&folder, "mine.jsonl", "precious\n");
    let output = run(&folder, &["batch", "in.jsonl", "-o", "mine.jsonl"], "");
    assert!(text(&output.stderr).contains("is there already"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(folder.0.join("mine.jsonl")).unwrap(), "precious\n");
    assert!(!folder.0.join("mine.jsonl.journal").exists());
    let mut first = command(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m"]).spawn().unwrap();
    while provider.requests().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let second = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m"], "");
    assert!(text(&second.stderr).contains("another process works on out.jsonl"), "{}", text(&second.stderr));
    first.kill().unwrap();
    first.wait().unwrap();
    // Without a word about it, what is in doubt is listed and not sent again.
    let third = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m"], "");
    let told = text(&third.stderr);
    assert!(third.status.code() == Some(3) && told.contains("1 line is in doubt") && told.contains("not sent again"), "{told}");
    assert_eq!((provider.requests().len(), &rows(&folder, "out.jsonl")[0]["error"]["code"]), (1, &json!("in_doubt")));
}

#[test]
fn a_budget_is_never_passed() {
    let (folder, provider) = (Folder::new(), provider());
    write_config(&folder, &provider);
    let input: String = (0..200).map(|n| format!("{{\"prompt\":\"p{n}\"}}\n")).collect();
    write(&folder, "in.jsonl", &input);
    // 3 tokens in and 2 out come to 7 millionths; at most, a line is thought to take 100 and 20.
    let arguments = ["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m", "--max-tokens", "20", "--json", "--budget"];
    let run_for = |amount: &str| {
        let output = run(&folder, &[&arguments[..], &[amount]].concat(), "");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report["cost"]["micros"].as_u64().unwrap_or(0), report["answered"].as_u64().unwrap())
    };
    let (code, spent, answered) = run_for("0.0004");
    assert!(code == Some(1) && (200..=400).contains(&spent) && answered == spent / 7, "{code:?} {spent} {answered}");
    let (code, spent, answered) = run_for("1");
    assert_eq!((code, spent, answered), (Some(0), 1400, 200));
    assert_eq!(provider.requests().len(), 200);
    let output = run(&folder, &["batch", "in.jsonl", "-o", "other.jsonl", "-m", "sim/echo", "--budget", "¥1"], "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("budget"), "{told}");
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let (folder, provider) = (Folder::new(), provider());
    write_config(&folder, &provider);
    write(&folder, "in.jsonl", "{\"prompt\":\"aaaa\"}\n{\"prompt\":\"bbbb\"}\n{}\n");
    let output = run(&folder, &["batch", "in.jsonl", "-m", "house/m", "--dry-run"], "");
    let shown = text(&output.stdout);
    assert!(output.status.code() == Some(3) && shown.contains("lines           3") && shown.contains("$0.00"), "{shown}");
    assert!(provider.requests().is_empty());
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2);
}

#[test]
fn passing_failures_are_tried_again_and_lasting_ones_recorded_or_end_the_run() {
    let folder = Folder::new();
    let good = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}]}"#;
    let flaky = LocalProvider::start(vec![
        Answer::json(500, "{}"),
        Answer::json(429, "{}"),
        Answer::json(400, r#"{"error":{"message":"no","type":"invalid_request_error"}}"#),
        Answer::json(200, good),
    ]);
    write_config(&folder, &flaky);
    write(&folder, "in.jsonl", "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n{\"prompt\":\"c\"}\n");
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m", "-c", "1"], "");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let failed: Vec<Value> = rows(&folder, "out.jsonl").into_iter().filter(|row| !row["error"].is_null()).collect();
    assert_eq!((failed.len(), &failed[0]["response"]["status_code"]), (1, &json!(400)));
    // A key that is refused is no fault of the lines: none is spoilt by it.
    let locked = LocalProvider::start(|_: &Seen| Answer::json(401, "{}"));
    write_config(&folder, &locked);
    let output = run(&folder, &["batch", "in.jsonl", "-o", "locked.jsonl", "-m", "house/m"], "");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(rows(&folder, "locked.jsonl").len(), 0);
    write_config(&folder, &flaky);
    let output = run(&folder, &["batch", "in.jsonl", "-o", "locked.jsonl", "-m", "house/m"], "");
    assert_eq!((output.status.code(), rows(&folder, "locked.jsonl").len()), (Some(0), 3), "{}", text(&output.stderr));
}

#[test]
fn an_outage_spoils_no_line() {
    let (folder, down) = (Folder::new(), LocalProvider::start(Answer::json(500, "{}")));
    write_config(&folder, &down);
    let input: String = (0..60).map(|n| format!("{{\"prompt\":\"p{n}\"}}\n")).collect();
    write(&folder, "in.jsonl", &input);
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m"], "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("20 calls in a row failed"), "{told}");
    assert_eq!(rows(&folder, "out.jsonl").len(), 0);
    let up = provider();
    write_config(&folder, &up);
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m"], "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(0) && !told.contains("in doubt"), "{told}");
    assert_eq!((rows(&folder, "out.jsonl").len(), up.requests().len()), (60, 60));
}
