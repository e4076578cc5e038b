//! `trunkline logs`, `stats`, `store`, and what there is to show.

use serde_json::Value;

use crate::terminal::{Folder, run, text};

const CONFIG: &str = "[models.\"通义千问\"]\ntargets = [\"sim/lorem\"]\n[tasks]\ndefault = \"sim/echo\"\n\
                      [prices.\"sim/echo\"]\ninput = \"2.50\"\noutput = \"10\"\n";

fn house() -> Folder {
    let folder = Folder::new();
    std::fs::write(folder.0.join("trunkline.toml"), CONFIG).unwrap();
    folder
}

fn good(folder: &Folder, arguments: &[&str]) -> String {
    let ran = run(folder, arguments, "");
    assert!(ran.status.success(), "{arguments:?}: {}", text(&ran.stderr));
    text(&ran.stdout)
}

fn json(folder: &Folder, arguments: &[&str]) -> Value {
    serde_json::from_str(&good(folder, &[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn calls_of_the_command_are_recorded_and_shown() {
    let folder = house();
    let none = run(&folder, &["logs"], "");
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("no call is recorded yet"), "{}", text(&none.stderr));

    good(&folder, &["ask", "hello world"]);
    good(&folder, &["ask", "--no-stream", "-m", "通义千问", "hello"]);
    good(&folder, &["embed", "-m", "sim/echo", "a", "b"]);
    assert!(!run(&folder, &["ask", "-m", "sim/nothing-like-this", "hello"], "").status.success());
    good(&folder, &["ask", "--store", "none", "not recorded"]);
    assert!(folder.0.join(".local/share/trunkline/trunkline.db").is_file() || cfg!(not(target_os = "linux")));

    let calls = json(&folder, &["logs"]);
    let calls = calls.as_array().unwrap();
    let field = |name: &str| calls.iter().map(|call| call[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("operation"), ["chat", "chat", "embed", "chat"]);
    assert_eq!(field("target")[..3], ["sim/echo", "sim/lorem", "sim/echo"]);
    assert_eq!(field("streamed"), [true, false, false, true]);
    assert!(field("error")[3].is_string() && calls[0]["cost_micros"].as_u64().is_some());

    assert_eq!(json(&folder, &["logs", "--errors"]).as_array().unwrap().len(), 1);
    assert_eq!(json(&folder, &["logs", "--grep", "千问"]).as_array().unwrap().len(), 1);
    assert_eq!(json(&folder, &["logs", "-n", "2", "--since", "1h"]).as_array().unwrap().len(), 2);
    let id = calls[1]["id"].as_str().unwrap();
    assert_eq!(json(&folder, &["logs", "--id", id])["model"], "通义千问");
    assert!(good(&folder, &["logs", "--id", id]).contains("sim/lorem  after"));
    assert!(!run(&folder, &["logs", "--id", "none"], "").status.success());
    // The table has ids, and their begin will do.
    let table = good(&folder, &["logs"]);
    let short = table.lines().find(|line| line.contains("sim/lorem")).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    assert!(id.starts_with(&short) && short.len() < id.len(), "{table}");
    assert_eq!(json(&folder, &["logs", "--id", &short])["model"], "通义千问");
    assert!(text(&run(&folder, &["logs", "--id", "0"], "").stderr).contains("write more of it"));

    // In a pipe there are neither colours nor pictures, and columns stand below one another.
    let table = good(&folder, &["logs"]);
    assert!(!table.contains('\x1b') && table.lines().count() == 5, "{table}");
    let at = |line: &str| line.find("sim/").map(|at| line[..at].chars().count());
    let lines: Vec<&str> = table.lines().collect();
    assert!(at(lines[1]).is_some() && at(lines[1]) == at(lines[2]) && at(lines[2]) == at(lines[3]), "{table}");
}

#[test]
fn calls_are_summed_up() {
    let folder = house();
    (0..3).for_each(|_| drop(good(&folder, &["ask", "one two three"])));
    good(&folder, &["ask", "-m", "通义千问", "hello"]);
    let stats = json(&folder, &["stats"]);
    assert_eq!((stats["all"]["calls"].as_u64(), stats["all"]["errors"].as_u64()), (Some(4), Some(0)));
    assert_eq!(stats["groups"][0]["name"], "sim/echo");
    assert_eq!(stats["groups"][1]["name"], "通义千问");
    assert!(stats["groups"][0]["p50_us"].as_u64().unwrap() > 0);
    // Three times the price of three tokens in and three out: 37.5 millionths, each rounded by itself.
    let each = json(&folder, &["logs", "-n", "4"])[0]["cost_micros"].as_u64().unwrap();
    assert_eq!(stats["all"]["cost_micros"]["USD"].as_u64(), Some(3 * each));
    for by in ["model", "target", "provider", "task", "error", "day"] {
        let stats = json(&folder, &["stats", "--by", by, "--since", "2h"]);
        assert_eq!(stats["all"]["calls"], 4, "{by}");
        assert!(good(&folder, &["stats", "--by", by]).starts_with("4 calls in 7d, 0 failed\n"));
    }
    assert_eq!(run(&folder, &["stats", "--by", "weather"], "").status.code(), Some(2));
    assert!(!run(&folder, &["stats", "--since", "never"], "").status.success());
}

#[test]
fn the_store_is_copied_exported_and_stands_where_it_is_told() {
    let folder = house();
    let there = ["--store", "calls.db"];
    good(&folder, &[&["ask", "hello"], &there[..]].concat());
    good(&folder, &[&there[..], &["ask", "again"]].concat());
    assert!(folder.0.join("calls.db").is_file() && !folder.0.join(".local").exists());
    good(&folder, &[&["store", "backup", "copy.db"], &there[..]].concat());
    assert!(!run(&folder, &["store", "backup", "copy.db", "--store", "calls.db"], "").status.success());
    let lines = good(&folder, &["store", "export", "--store", "copy.db"]);
    assert_eq!(lines.lines().count(), 2);
    lines.lines().for_each(|line| _ = serde_json::from_str::<Value>(line).unwrap());
    let table = good(&folder, &["store", "export", "--csv", "--store", "copy.db"]);
    let columns: Vec<usize> = table.lines().map(|line| line.split(',').count()).collect();
    assert!(columns.len() == 3 && columns.iter().all(|count| *count == columns[0]), "{table}");
    assert_eq!(json(&folder, &["store", "info", "--store", "calls.db"])["calls"], 2);
    assert_eq!(json(&folder, &["store", "forget", "--user", "nobody", "--store", "calls.db"])["deleted"], 0);
    assert!(!run(&folder, &["stats", "--store", "none"], "").status.success());
}

#[test]
fn calls_have_tags_and_users_and_are_priced_again() {
    let folder = house();
    good(&folder, &["ask", "--tag", "team=red", "--tag", "app=x", "--user", "alice", "one two three"]);
    good(&folder, &["ask", "--tag", "team=绿", "one two three"]);
    assert!(run(&folder, &["chat", "--private", "--tag", "app=y"], "one two three\n").status.success());
    std::fs::write(folder.0.join("lines.jsonl"), "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n").unwrap();
    good(&folder, &["batch", "lines.jsonl", "-o", "out.jsonl", "--tag", "team=red"]);
    let count = |arguments: &[&str]| json(&folder, arguments).as_array().unwrap().len();
    assert_eq!(count(&["logs", "--tag", "team=red"]), 3, "calls of a batch are recorded, too");
    assert_eq!(count(&["logs", "--tag", "team", "--tag", "app=x"]), 1);
    assert_eq!(count(&["logs", "--user", "alice"]), 1);
    assert_eq!(count(&["logs", "--tag", "app=y"]), 1);
    let teams = json(&folder, &["stats", "--by", "tag:team"]);
    assert_eq!((teams["by"].as_str(), teams["all"]["calls"].as_u64()), (Some("tag:team"), Some(5)));
    assert_eq!(teams["groups"][0]["name"], "red");
    assert_eq!(teams["groups"][0]["calls"], 3);
    assert_eq!(json(&folder, &["stats", "--by", "user"])["groups"][0]["name"], "alice");
    assert_eq!(json(&folder, &["stats", "--by", "hour"])["all"]["calls"], 5);
    assert_eq!(run(&folder, &["ask", "--tag", "red", "hello"], "").status.code(), Some(2));
    assert_eq!(run(&folder, &["stats", "--by", "tag:"], "").status.code(), Some(2));

    let same = json(&folder, &["stats", "--reprice"]);
    let echo = |sums: &Value| sums.as_array().unwrap().iter().find(|sum| sum["target"] == "sim/echo").unwrap().clone();
    assert_eq!((&echo(&same)["stored_micros"], &echo(&same)["changed"]), (&echo(&same)["now_micros"], &Value::from(0)));
    let dear = "[prices.\"sim/echo\"]\ninput = \"25\"\noutput = \"100\"\ncurrency = \"USD\"\n";
    std::fs::write(folder.0.join("dear.toml"), dear).unwrap();
    let again = json(&folder, &["stats", "--reprice", "--prices", "dear.toml"]);
    assert_eq!(echo(&again)["stored_micros"], echo(&same)["stored_micros"]);
    assert!(echo(&again)["now_micros"].as_u64().unwrap() > 9 * echo(&same)["now_micros"].as_u64().unwrap());
    assert!(good(&folder, &["stats", "--reprice"]).contains(" as stored, "));
    assert_eq!(echo(&json(&folder, &["stats", "--reprice"])), echo(&same), "no row is changed");
}
