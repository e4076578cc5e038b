//! Commands that are asked to stop while a provider takes its time: the ledger has their calls, and what came is not lost.
#![cfg(unix)]

use std::process::{Child, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use crate::kill::write_config;
use crate::terminal::{Folder, command, run, signal, text};

/// Begins an answer and does not go on with it.
fn slow() -> LocalProvider {
    LocalProvider::start(|seen: &Seen| {
        let begin = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"begin\"},\"finish_reason\":null}]}\n\n";
        if seen.json()["stream"] == true {
            return Answer::sse([begin.to_owned(), begin.to_owned()]).pause(Duration::from_secs(60));
        }
        Answer::json(200, "{}").delay(Duration::from_secs(60))
    })
}

fn begin(folder: &Folder, arguments: &[&str]) -> Child {
    command(folder, arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Stops it when the provider has the call.
fn stop(child: Child, how: &str, provider: &LocalProvider, calls: usize) -> Output {
    while provider.requests().len() < calls {
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, how);
    child.wait_with_output().unwrap()
}

fn rows(folder: &Folder) -> usize {
    let ran = run(folder, &["logs", "--json"], "");
    serde_json::from_slice::<Value>(&ran.stdout).unwrap_or_else(|_| panic!("{}", text(&ran.stderr))).as_array().unwrap().len()
}

#[test]
fn the_ledger_has_the_calls_of_every_command_whatever_stops_it() {
    let (folder, provider) = (Folder::new(), slow());
    write_config(&folder, &provider);
    std::fs::write(folder.0.join("w.toml"), "[steps.a]\nprompt = \"x\"").unwrap();
    let commands: [&[&str]; 6] = [
        &["ask", "-m", "house/m", "x"],
        &["ask", "-m", "house/m", "--no-stream", "x"],
        &["chat", "-m", "house/m"],
        &["run", "-m", "house/m", "w.toml"],
        &["compare", "-m", "house/m", "x"],
        &["embed", "-m", "house/m", "x"],
    ];
    let mut calls = 0;
    for (arguments, how) in commands.iter().flat_map(|arguments| [(arguments, "-TERM"), (arguments, "-INT")]) {
        calls += 1;
        let mut child = begin(&folder, arguments);
        // The pipe stays open for `chat`, which would end with it.
        let pipe = child.stdin.take().map(|mut pipe| {
            std::io::Write::write_all(&mut pipe, b"hello\n").unwrap();
            pipe
        });
        let pipe = pipe.filter(|_| arguments[0] == "chat");
        let ended = stop(child, how, &provider, calls);
        drop(pipe);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?} {how}: {}", text(&ended.stderr));
        assert!(text(&ended.stderr).contains("stopped"), "{arguments:?} {how}: {}", text(&ended.stderr));
        assert_eq!(rows(&folder), calls, "{arguments:?} {how}");
    }
}

#[test]
fn a_command_that_reads_a_pipe_ends_by_a_signal() {
    let (folder, provider) = (Folder::new(), slow());
    write_config(&folder, &provider);
    std::fs::write(folder.0.join("p.toml"), "prompt = \"x\"").unwrap();
    assert!(run(&folder, &["prompts", "add", "p", "p.toml"], "").status.success());
    let commands: [&[&str]; 3] =
        [&["ask", "-m", "house/m"], &["ask", "-m", "prompt:p"], &["ask", "--keep", "-m", "prompt:p", "more"]];
    for (arguments, how) in commands.iter().flat_map(|arguments| [(arguments, "-TERM"), (arguments, "-INT")]) {
        let mut child = begin(&folder, arguments);
        let mut pipe = child.stdin.take().unwrap();
        // More than a pipe holds: when all is written, it is being read.
        std::io::Write::write_all(&mut pipe, &[b'a'; 1 << 20]).unwrap();
        signal(&child, how);
        let ended = child.wait_with_output().unwrap();
        assert!(!ended.status.success(), "{arguments:?} {how}");
        drop(pipe);
    }
    assert_eq!(provider.requests().len(), 0);
}
