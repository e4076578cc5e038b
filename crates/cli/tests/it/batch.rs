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
        json!({"custom_id": "f", "url": "/api/chat", "body": {"model": "sim/echo", "messages": [{"role": "user", "content": "six"}]}}),
        json!({"custom_id": "g", "url": "/model/sim%2Fecho/converse",
               "body": {"messages": [{"role": "user", "content": [{"text": "seven"}]}]}}),
        json!({"custom_id": "h", "url": "/v1/embeddings", "body": {"model": "sim/echo", "input": "x"}}),
        json!({"custom_id": "i", "prompt": "a", "messages": []}),
        json!({"custom_id": "j", "prompt": "a", "system": 5}),
        json!({"custom_id": "k", "prompt": "a", "model": 5}),
        json!(["l"]),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n\n")).collect();
    write(&folder, "in.jsonl", &(input + "not json\n"));
    // Nobody is asked whom nobody has named, and certainly not the simulator.
    let unnamed = run(&folder, &["batch", "in.jsonl", "-o", "unnamed.jsonl"], "");
    let failed = rows(&folder, "unnamed.jsonl").iter().filter(|row| !row["error"].is_null()).count();
    assert_eq!((unnamed.status.code(), failed), (Some(3), 9), "{}", text(&unnamed.stderr));
    let message = rows(&folder, "unnamed.jsonl")[1]["error"]["message"].to_string();
    assert!(message.contains("line 2 names no model"), "{message}");
    write(&folder, "trunkline.toml", "[models.any]\ntargets = [\"sim/echo\"]\n");
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "--json"], "");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["answered"], &report["failed"], &report["complete"]), (&json!(6), &json!(7), &json!(true)));
    let rows = rows(&folder, "out.jsonl");
    let ids: Vec<&str> = rows.iter().map(|row| row["custom_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "line-2", "c", "d", "e", "f", "g", "h", "i", "j", "k", "line-12", "line-13"]);
    assert_eq!(rows[0]["response"]["body"]["choices"][0]["message"]["content"], "one");
    assert_eq!(rows[1]["response"]["body"]["choices"][0]["message"]["content"], "two 二");
    assert_eq!(rows[3]["response"]["body"]["content"][0]["text"], "four");
    assert_eq!((&rows[4]["response"]["status_code"], rows[4]["error"]["message"].is_string()), (&json!(400), true));
    assert_eq!(rows[5]["response"]["body"]["message"]["content"], "six");
    assert_eq!(rows[6]["response"]["body"]["output"]["message"]["content"][0]["text"], "seven");
    let reasons =
        ["is no chat", "both \"messages\" and \"prompt\"", "\"system\" is no text", "a model that is no text", "it is a list"];
    for (row, reason) in rows[7..].iter().zip(reasons) {
        assert!(row["error"]["message"].as_str().unwrap().contains(reason), "{row} does not say {reason}");
    }
    // Once more: nothing is left to do.
    let before = std::fs::read(folder.0.join("out.jsonl")).unwrap();
    let again = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl"], "");
    assert_eq!(again.status.code(), Some(3), "{}", text(&again.stderr));
    assert_eq!(std::fs::read(folder.0.join("out.jsonl")).unwrap(), before);
    // Another input is not taken for the same.
    write(&folder, "in.jsonl", &("{\"prompt\":\"other\"}\n".to_owned() + &"{}\n".repeat(12)));
    let other = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl"], "");
    assert!(text(&other.stderr).contains("line 1 of the input is not what it was"), "{}", text(&other.stderr));
    assert_eq!(other.status.code(), Some(1));
}

#[test]
fn rows_of_a_table_fill_a_template() {
    let folder = Folder::new();
    write(&folder, "in.csv", "id,name,note\n7,Tee,\"grün,\nlose\"\n8,茶,好\n");
    let arguments = ["batch", "in.csv", "-o", "out.jsonl", "-m", "sim/echo", "-t", "{{ name }}: {{ note }}"];
    let output = run(&folder, &arguments, "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let rows = rows(&folder, "out.jsonl");
    assert_eq!(rows[0]["response"]["body"]["choices"][0]["message"]["content"], "Tee: grün,\nlose");
    assert_eq!((&rows[1]["custom_id"], rows.len()), (&json!("8"), 2));
    for (template, told) in [("{{ nme }}", "did you mean name?"), ("{{ name", "line 1 of the template"), ("", "")] {
        let arguments = ["batch", "in.csv", "-o", "other.jsonl", "-m", "sim/echo", "-t", template];
        let arguments = if template.is_empty() { &arguments[..6] } else { &arguments[..] };
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

/// Sixty lines, in `in.jsonl`.
fn write_sixty(folder: &Folder) {
    let input: String = (0..60).map(|n| format!("{{\"prompt\":\"p{n}\"}}\n")).collect();
    write(folder, "in.jsonl", &input);
}

/// The provider is well again: then all sixty are answered, each sent once, and none is in doubt.
fn sixty_are_answered(folder: &Folder) {
    let up = provider();
    write_config(folder, &up);
    let output = run(folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m"], "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(0) && !told.contains("in doubt"), "{told}");
    assert_eq!((rows(folder, "out.jsonl").len(), up.requests().len()), (60, 60));
}

#[test]
fn an_outage_spoils_no_line() {
    let (folder, down) = (Folder::new(), LocalProvider::start(Answer::json(500, "{}")));
    write_config(&folder, &down);
    write_sixty(&folder);
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m"], "");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("20 calls in a row failed"), "{told}");
    assert_eq!(rows(&folder, "out.jsonl").len(), 0);
    sixty_are_answered(&folder);
}

#[test]
fn a_row_that_is_spoilt_is_told_in_its_place() {
    let folder = Folder::new();
    let mut table = b"id,note\n1,good\n2,too,many\n3,b\xff\n4,fine\n5,\"never closed\n6,swallowed\n".to_vec();
    std::fs::write(folder.0.join("in.csv"), &table).unwrap();
    let arguments = ["batch", "in.csv", "-o", "out.jsonl", "-m", "sim/echo", "-t", "{{ note }}"];
    let output = run(&folder, &arguments, "");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let told = |name: &str| -> Vec<String> {
        rows(&folder, name).iter().map(|row| row["error"]["message"].as_str().unwrap_or("fine").to_owned()).collect()
    };
    let (list, parts) = (told("out.jsonl"), ["fine", "line 3 of the file) has 3 fields", "not UTF-8", "fine", "never closed"]);
    assert!(list.len() == 5 && list.iter().zip(parts).all(|(told, part)| told.contains(part)), "{list:#?}");
    // Quotes that are closed may hold line ends, in the last row as well.
    table.truncate(table.len() - b"6,swallowed\n".len());
    table.extend(b"6\"\n");
    std::fs::write(folder.0.join("in.csv"), &table).unwrap();
    let output = run(&folder, &["batch", "in.csv", "-o", "closed.jsonl", "-m", "sim/echo", "-t", "{{ note }}"], "");
    assert_eq!(told("closed.jsonl")[4], "fine", "{}", text(&output.stderr));
    let long = format!("{{\"prompt\":\"a\"}}\n{{\"prompt\":\"{}\"}}\n{{\"prompt\":\"c\"}}\n", "x".repeat(33 << 20));
    write(&folder, "long.jsonl", &long);
    let output = run(&folder, &["batch", "long.jsonl", "-o", "long.out", "-m", "sim/echo"], "");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let list = told("long.out");
    assert!(list.len() == 3 && list[1].starts_with("line 2 is longer than"), "{list:#?}");
}

#[test]
fn two_lines_of_one_name_are_refused_before_anything_is_sent() {
    let folder = Folder::new();
    write(
        &folder,
        "in.jsonl",
        "{\"custom_id\":\"a\",\"prompt\":\"x\"}\n{\"prompt\":\"y\"}\n{\"custom_id\":\"a\",\"prompt\":\"z\"}\n",
    );
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "sim/echo"], "");
    let told = text(&output.stderr);
    assert!(
        output.status.code() == Some(1) && told.contains("lines 1 and 3") && told.contains("the same custom_id: a"),
        "{told}"
    );
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "a start that fails leaves nothing behind");
}

#[test]
fn a_mistake_in_the_command_spoils_no_line() {
    let (folder, strict) =
        (Folder::new(), LocalProvider::start(|_: &Seen| Answer::json(404, r#"{"error":{"message":"no such model"}}"#)));
    write_config(&folder, &strict);
    write_sixty(&folder);
    // A name that nobody serves, a provider without a key, a model that the provider does not know.
    for (model, reason) in [("nosuch/m", "nosuch"), ("openai/gpt-4o-mini", "OPENAI_API_KEY"), ("house/typo", "no such model")] {
        let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", model], "");
        let told = text(&output.stderr);
        assert!(output.status.code() == Some(1) && told.contains(reason), "{model}: {told}");
        assert_eq!(std::fs::read(folder.0.join("out.jsonl")).unwrap_or_default().len(), 0, "{model}: {told}");
    }
    sixty_are_answered(&folder);
}

#[test]
fn what_failed_is_sent_again_where_that_is_asked_for() {
    let good = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}]}"#;
    for order in ["input", "done"] {
        let folder = Folder::new();
        let picky = LocalProvider::start(move |seen: &Seen| {
            let is_odd = ["p1\"", "p4\"", "p7\""].iter().any(|odd| String::from_utf8_lossy(&seen.body).contains(odd));
            if is_odd { Answer::json(400, "{}") } else { Answer::json(200, good) }
        });
        write_config(&folder, &picky);
        write(&folder, "in.jsonl", &(0..9).map(|n| format!("{{\"prompt\":\"p{n}\"}}\n")).collect::<String>());
        let batch = ["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m", "--order", order];
        assert_eq!(run(&folder, &batch, "").status.code(), Some(3));
        // Nothing is done about them unasked.
        assert_eq!(run(&folder, &batch, "").status.code(), Some(3));
        assert_eq!((picky.requests().len(), rows(&folder, "out.jsonl").len()), (9, 9));
        let up = provider();
        write_config(&folder, &up);
        let output = run(&folder, &[&batch[..], &["--retry-failed"]].concat(), "");
        let told = text(&output.stderr);
        assert!(output.status.code() == Some(0) && told.contains("3 lines that failed"), "{told}");
        let rows = rows(&folder, "out.jsonl");
        assert!(rows.len() == 9 && rows.iter().all(|row| row["error"].is_null()) && up.requests().len() == 3, "{rows:#?}");
        let names: Vec<_> = rows.iter().map(|row| row["custom_id"].as_str().unwrap().to_owned()).collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert!(
            sorted == (1..=9).map(|n| format!("line-{n}")).collect::<Vec<_>>() && (order == "done" || names == sorted),
            "{names:?}"
        );
    }
}

#[test]
fn failures_that_are_quicker_than_answers_end_nothing() {
    let folder = Folder::new();
    let good = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}]}"#;
    let picky = LocalProvider::start(move |seen: &Seen| match seen.json()["messages"][0]["content"].as_str().unwrap() {
        "good" => Answer::json(200, good).delay(std::time::Duration::from_millis(700)),
        _ => Answer::json(400, r#"{"error":{"message":"no","type":"invalid_request_error"}}"#),
    });
    write_config(&folder, &picky);
    let line = |n: u64| format!("{{\"prompt\":\"{}\"}}\n", if n.is_multiple_of(3) { "good" } else { "bad" });
    write(&folder, "in.jsonl", &(0..90).map(line).collect::<String>());
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m"], "");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let rows = rows(&folder, "out.jsonl");
    let answered = rows.iter().filter(|row| row["error"].is_null()).count();
    assert_eq!((rows.len(), answered, picky.requests().len()), (90, 30, 90));
    // Nothing is taken back before it is known that the lines may be sent.
    write(&folder, "in.jsonl", &(0..90).map(|n| line(n + 1)).collect::<String>());
    let before = std::fs::read(folder.0.join("out.jsonl")).unwrap();
    let output = run(&folder, &["batch", "in.jsonl", "-o", "out.jsonl", "-m", "house/m", "--retry-failed"], "");
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("is not what it was"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read(folder.0.join("out.jsonl")).unwrap(), before);
}
