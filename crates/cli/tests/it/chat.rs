//! `trunkline chat` in a pipe, `trunkline sessions`, and `trunkline ask -c`.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use trunkline_testkit::provider::{Answer, Ending, LocalProvider, Seen};

use crate::kill::write_config;
use crate::terminal::{Folder, Gateway, run, text};

/// Ends well; what it prints.
fn good(folder: &Folder, arguments: &[&str], input: &str) -> String {
    let ran = run(folder, arguments, input);
    assert!(ran.status.success(), "{arguments:?}: {}", text(&ran.stderr));
    text(&ran.stdout)
}

fn json(folder: &Folder, arguments: &[&str], input: &str) -> Value {
    serde_json::from_str(&good(folder, &[arguments, &["--json"]].concat(), input)).unwrap()
}

fn sessions(folder: &Folder) -> Vec<Value> {
    json(folder, &["sessions"], "").as_array().unwrap().clone()
}

fn chunk(delta: &Value, finish: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    format!(
        "data: {}\n\n",
        json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice] })
    )
}

/// A streamed answer of these texts.
fn says(texts: &[&str]) -> Answer {
    let end = [chunk(&json!({}), Some("stop")), "data: [DONE]\n\n".to_owned()];
    Answer::sse(texts.iter().map(|text| chunk(&json!({ "content": text }), None)).chain(end))
}

/// What was said in a request: who, and what.
fn told(seen: &Seen) -> Vec<String> {
    let body = seen.json();
    let text = |message: &Value| format!("{}: {}", message["role"].as_str().unwrap(), message["content"].as_str().unwrap());
    body["messages"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn each_line_of_a_pipe_is_a_message() {
    let folder = Folder::new();
    let input = "你好 **bold**\n\nb \\\nc\n\"\"\"\nd\n\n  e\"\"\"\n//undo\n/etc/hosts is what?\n";
    let ran = run(&folder, &["chat", "-m", "sim/echo"], input);
    assert_eq!(text(&ran.stdout), "你好 **bold**\nb \nc\nd\n\n  e\n/undo\n/etc/hosts is what?\n");
    assert_eq!((ran.status.code(), text(&ran.stderr).as_str()), (Some(0), ""));
    assert_eq!(good(&folder, &["chat"], ""), "");
    let turns = json(&folder, &["chat", "-m", "sim/lorem", "--max-tokens", "2"], "a\nb");
    let field = |name: &str| turns.as_array().unwrap().iter().map(|turn| turn[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("prompt"), ["a", "b"]);
    assert_eq!(field("reason"), ["length", "length"]);
    assert_eq!(field("usage")[0]["output"], 2);
    assert_eq!(field("session")[0], field("session")[1]);
    assert_eq!(json(&folder, &["chat"], ""), json!([]));
    // With -v a line for each on standard error, and the answers as they are.
    let ran = run(&folder, &["chat", "-v", "-m", "sim/echo"], "a\nb\n");
    assert_eq!(text(&ran.stdout), "a\nb\n");
    let lines = text(&ran.stderr);
    assert!(lines.lines().count() == 2 && lines.starts_with("sim/echo  1 + 1 tokens  "), "{lines}");
}

#[test]
fn commands_change_the_conversation() {
    let (folder, provider) = (Folder::new(), LocalProvider::start(|_: &Seen| says(&["yes"])));
    write_config(&folder, &provider);
    let input = "one\ntwo\n/undo\n/system Be brief.\nthree\n/retry\n/branch Other\nfour\n/title 标题\n/model sim/echo\nfive\n/tokens\n/window 1 turn\n";
    let ran = run(&folder, &["chat", "-m", "house/m"], input);
    assert_eq!(
        (ran.status.code(), text(&ran.stdout).as_str()),
        (Some(0), "yes\nyes\nyes\nyes\nyes\nfive\n"),
        "{}",
        text(&ran.stderr)
    );
    let requests: Vec<Vec<String>> = provider.requests().iter().map(told).collect();
    let after = ["system: Be brief.", "user: one", "assistant: yes", "user: three"].map(str::to_owned).to_vec();
    assert_eq!(requests[1], ["user: one", "assistant: yes", "user: two"]);
    assert_eq!((&requests[2], &requests[3]), (&after, &after));
    assert_eq!(requests[4], [after, vec!["assistant: yes".to_owned(), "user: four".to_owned()]].concat());
    let notes = text(&ran.stderr);
    for note in ["taken back: two (1 turn left)", "branched off", "标题", "sim/echo", "4 turns: ", "1 turns"] {
        assert!(notes.contains(note), "{note}: {notes}");
    }
    let kept = sessions(&folder);
    assert_eq!((kept.len(), &kept[0]["title"], &kept[0]["turns"]), (2, &json!("标题"), &json!(4)));
    assert_eq!((&kept[0]["branch_of"], &kept[1]["turns"]), (&kept[1]["id"], &json!(2)));
    assert_eq!((&kept[0]["model"], &kept[0]["kept"]), (&json!("sim/echo"), &json!("1 turns")));
    // It goes on with the same model, and as much of the history as was said.
    assert_eq!(good(&folder, &["chat", "-c"], "/window\n/model\nsix\n/new\nseven\n"), "six\nseven\n");
    let kept = sessions(&folder);
    assert_eq!(kept.iter().map(|session| session["turns"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 5, 2]);
    let id = kept[2]["id"].as_str().unwrap();
    let other = kept[1]["id"].as_str().unwrap();
    good(&folder, &["chat", "--session", &id[..5]], &format!("eight\n/open {other}\nnine\n"));
    let kept = sessions(&folder);
    assert_eq!(kept.iter().map(|session| session["turns"].as_u64().unwrap()).collect::<Vec<_>>(), [6, 3, 1]);
}

#[test]
fn what_is_wrong_is_told_and_the_rest_is_done() {
    let folder = Folder::new();
    for (line, told) in [
        ("/modl x", "there is no command /modl; did you mean /model?"),
        ("/weather", "there is no command /weather (/help"),
        ("/model nobody", "nobody"),
        ("/undo", "nothing to take back"),
        ("/retry", "nothing was asked yet"),
        ("/attach nowhere.png", "cannot read nowhere.png"),
        ("/save talk.docx", ".md or .jsonl"),
        ("/open nothing", "no conversation"),
        ("/window some", "`8000 tokens`"),
        ("/branch", "nothing was said yet"),
    ] {
        let ran = run(&folder, &["chat", "-m", "sim/echo"], &format!("{line}\nhello\n"));
        let stderr = text(&ran.stderr);
        assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(3), "hello\n"), "{line}: {stderr}");
        assert!(stderr.contains(told) && stderr.lines().count() == 1, "{line}: {stderr}");
    }
    assert_eq!(run(&folder, &["chat"], "/undo\n").status.code(), Some(1));
    assert_eq!(run(&folder, &["chat", "--window", "3 trns"], "").status.code(), Some(2));
    assert_eq!(run(&folder, &["chat", "-m", "nobody/x"], "a\n").status.code(), Some(1));
    assert_eq!(run(&folder, &["chat", "--session", "none"], "a\n").status.code(), Some(1));
}

#[test]
fn a_window_leaves_older_turns_out() {
    let (folder, provider) = (Folder::new(), LocalProvider::start(|_: &Seen| says(&["yes"])));
    write_config(&folder, &provider);
    good(&folder, &["chat", "-m", "house/m", "-s", "Be brief.", "--window", "3 turns"], "1\n2\n3\n4\n5\n6\n");
    let last = told(provider.requests().last().unwrap());
    let yes = "assistant: yes";
    assert_eq!(last, ["system: Be brief.", "user: 3", yes, "user: 4", yes, "user: 5", yes, "user: 6"]);
}

#[test]
fn files_go_with_the_next_question() {
    let (folder, provider) = (Folder::new(), LocalProvider::start(|_: &Seen| says(&["seen"])));
    write_config(&folder, &provider);
    std::fs::write(folder.0.join("a b.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    std::fs::write(folder.0.join("笔记.txt"), "三").unwrap();
    std::fs::write(folder.0.join("c.pdf"), b"%PDF-1.4").unwrap();
    let input = "/attach a b.png\n/attach 笔记.txt\n/attach c.pdf\nwhat?\nand?\n";
    assert_eq!(good(&folder, &["chat", "-m", "house/m"], input), "seen\nseen\n");
    let requests = provider.requests();
    let body = requests[0].json();
    let parts = body["messages"][0]["content"].as_array().unwrap();
    let kinds: Vec<&str> = parts.iter().map(|part| part["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["image_url", "text", "file", "text"]);
    assert_eq!(parts[1]["text"], "笔记.txt:\n\n```\n三\n```");
    assert_eq!((&parts[3]["text"], &parts[2]["file"]["filename"]), (&json!("what?"), &json!("c.pdf")));
    assert_eq!(requests[1].json()["messages"][2]["content"], "and?");
}

#[test]
fn a_call_that_fails_can_be_made_again() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let provider = LocalProvider::start(|_: &Seen| match COUNT.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::json(400, r#"{"error":{"message":"no such luck","type":"invalid_request_error"}}"#),
        // Breaks off after a part.
        2 => Answer::sse([chunk(&json!({ "content": "half of" }), None)]).ending(Ending::Close),
        _ => says(&["good"]),
    });
    let folder = Folder::new();
    write_config(&folder, &provider);
    let ran = run(&folder, &["chat", "-m", "house/m"], "one\n/retry\ntwo\n/retry\n");
    let stderr = text(&ran.stderr);
    assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(3), "good\nhalf of\ngood\n"), "{stderr}");
    assert!(stderr.lines().count() == 2 && stderr.contains("no such luck"), "{stderr}");
    let requests: Vec<Vec<String>> = provider.requests().iter().map(told).collect();
    assert_eq!((&requests[0], &requests[2]), (&requests[1], &requests[3]));
    let kept = sessions(&folder);
    assert_eq!((kept.len(), &kept[0]["turns"]), (1, &json!(2)));
    // The same question twice: the one that was answered stays.
    COUNT.store(0, Ordering::SeqCst);
    let ran = run(&folder, &["chat", "-m", "sim/echo"], "same\n/model house/m\nsame\n/undo\n/tokens\n");
    assert!(
        text(&ran.stderr).contains("without an answer is taken back\n") && text(&ran.stderr).contains("1 turn: "),
        "{}",
        text(&ran.stderr)
    );
    // A part of an answer is kept, and marked, if nothing comes in its place.
    COUNT.store(2, Ordering::SeqCst);
    assert_eq!(run(&folder, &["chat", "-m", "house/m"], "three\n").status.code(), Some(1));
    let id = sessions(&folder)[0]["id"].as_str().unwrap().to_owned();
    assert!(good(&folder, &["sessions", "show", &id], "").ends_with("half of\n\n*(broken off)*\n"));
}

#[test]
fn what_a_prompt_says_goes_with_the_first_question_that_is_answered() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let provider = LocalProvider::start(|_: &Seen| match COUNT.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Answer::json(400, r#"{"error":{"message":"no such luck","type":"invalid_request_error"}}"#),
        _ => says(&["good"]),
    });
    let folder = Folder::new();
    write_config(&folder, &provider);
    std::fs::write(folder.0.join("p.toml"), "model = \"house/m\"\nprompt = \"Be kind.\"").unwrap();
    good(&folder, &["prompts", "add", "p", "p.toml"], "");
    let input = "one\n/retry\ntwo\nthree\n/undo\n/undo\nfour\n/retry\nfive\n";
    let ran = run(&folder, &["chat", "-m", "prompt:p", "--json"], input);
    let kind = |question: &str| vec!["user: Be kind.".to_owned(), format!("user: {question}")];
    let answer = || "assistant: good".to_owned();
    let requests: Vec<Vec<String>> = provider.requests().iter().map(told).collect();
    let after = |first: &str, next: &str| [kind(first), vec![answer(), format!("user: {next}")]].concat();
    let wanted =
        [kind("one"), kind("one"), kind("two"), after("two", "three"), kind("four"), kind("four"), after("four", "five")];
    assert_eq!(requests, wanted, "{}", text(&ran.stderr));
    // What is asked is told alone.
    let turns: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let prompts: Vec<&Value> = turns.as_array().unwrap().iter().map(|turn| &turn["prompt"]).collect();
    assert_eq!(prompts, ["one", "one", "two", "three", "four", "four", "five"]);
}

#[test]
fn ask_goes_on_with_what_is_kept() {
    let (folder, provider) = (Folder::new(), LocalProvider::start(|_: &Seen| says(&["yes"])));
    write_config(&folder, &provider);
    let config = std::fs::read_to_string(folder.0.join("trunkline.toml")).unwrap();
    // Nothing of what `ask` says is kept unless somebody wants it.
    good(&folder, &["ask", "-m", "house/m", "secret"], "");
    assert!(sessions(&folder).is_empty());
    assert_eq!(good(&folder, &["ask", "--keep", "-m", "house/m", "-s", "Be brief.", "one"], ""), "yes\n");
    let answer = json(&folder, &["ask", "-c", "two"], "");
    assert_eq!((&answer["text"], &answer["target"], &answer["reason"]), (&json!("yes"), &json!("house/m"), &json!("stop")));
    assert_eq!(answer["session"], sessions(&folder)[0]["id"]);
    let requests: Vec<Vec<String>> = provider.requests().iter().map(told).collect();
    assert_eq!(requests[2], ["system: Be brief.", "user: one", "assistant: yes", "user: two"]);
    good(&folder, &["ask", "--keep", "-m", "sim/echo", "new"], "");
    let id = answer["session"].as_str().unwrap();
    assert_eq!(good(&folder, &["ask", "--session", id, "-m", "sim/echo", "--no-stream", "three"], ""), "three\n");
    assert_eq!(sessions(&folder).iter().map(|one| one["turns"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 1]);
    // Who wants it always says so once.
    std::fs::write(folder.0.join("trunkline.toml"), format!("{config}[sessions]\nask = true\n")).unwrap();
    good(&folder, &["ask", "-m", "sim/echo", "a"], "");
    assert_eq!(good(&folder, &["chat", "-c"], "b\n"), "b\n");
    assert_eq!(sessions(&folder)[0]["turns"], 2);
    // The first one of all may be gone on with as well.
    let other = ["--store", "other.db"];
    let ran = run(&folder, &[&["ask", "-c", "-m", "sim/echo", "x"], &other[..]].concat(), "");
    assert!(ran.status.success() && text(&ran.stderr).contains("this is the first"), "{}", text(&ran.stderr));
    assert_eq!(run(&folder, &["ask", "-c", "x", "--store", "none"], "").status.code(), Some(1));
}

#[test]
fn nothing_is_kept_of_what_is_private() {
    let folder = Folder::new();
    for arguments in [&["chat", "--private"][..], &["chat", "--store", "none"]] {
        assert_eq!(good(&folder, arguments, "geheim\nmore\n"), "geheim\nmore\n");
    }
    std::fs::write(folder.0.join("trunkline.toml"), "[sessions]\nkeep = false\n").unwrap();
    assert_eq!(good(&folder, &["chat"], "geheim\n/new\ngeheim\n"), "geheim\ngeheim\n");
    let place = folder.0.join(".local/share/trunkline");
    for entry in std::fs::read_dir(&place).into_iter().flatten().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"geheim"), "{}", entry.path().display());
    }
    assert!(sessions(&folder).is_empty());
}

#[test]
fn sessions_are_listed_shown_searched_exported_and_deleted() {
    let folder = Folder::new();
    assert!(text(&run(&folder, &["sessions"], "").stderr).contains("no conversation is kept yet"));
    good(&folder, &["chat", "-m", "sim/echo"], "通义千问 is what?\nAnd then?\n");
    good(&folder, &["chat", "-m", "sim/lorem"], "plain\n");
    let kept = sessions(&folder);
    let id = |at: usize| kept[at]["id"].as_str().unwrap();
    let table = good(&folder, &["sessions"], "");
    assert!(table.lines().count() == 3 && !table.contains('\x1b') && table.contains("通义千问 is what?"), "{table}");
    for arguments in [&["sessions", "-n", "1"][..], &["sessions", "list", "-n", "1"]] {
        assert_eq!(json(&folder, arguments, "").as_array().unwrap().len(), 1);
    }
    let found = json(&folder, &["sessions", "search", "AND THEN"], "");
    assert_eq!((found.as_array().unwrap().len(), &found[0]["id"]), (1, &kept[1]["id"]));
    let shown = good(&folder, &["sessions", "show", &id(1)[..4]], "");
    assert!(shown.starts_with("# 通义千问 is what?\n\n## You\n") && shown.contains("## sim/echo\n\nAnd then?\n"), "{shown}");
    assert_eq!(json(&folder, &["sessions", "show", id(1)], "")["turns"].as_array().unwrap().len(), 2);
    good(&folder, &["sessions", "export", id(1), "-o", "talk.md"], "");
    assert_eq!(std::fs::read_to_string(folder.0.join("talk.md")).unwrap(), shown);
    good(&folder, &["sessions", "export", id(1), "-o", "talk.jsonl"], "");
    assert_eq!(std::fs::read_to_string(folder.0.join("talk.jsonl")).unwrap().lines().count(), 3);
    assert!(!run(&folder, &["sessions", "export", id(1), "-o", "talk.doc"], "").status.success());
    let saved = good(&folder, &["chat", "--session", id(1)], "/save again.md\n/save again.md\n");
    assert_eq!(saved, "");
    assert_eq!(std::fs::read_to_string(folder.0.join("again.md")).unwrap(), shown);
    assert_eq!(run(&folder, &["chat", "--session", id(1)], "/save again.md\n").status.code(), Some(1));
    good(&folder, &["sessions", "title", id(1), "新的"], "");
    let branch = good(&folder, &["sessions", "branch", id(1), "Other"], "");
    assert_eq!(sessions(&folder).len(), 3);
    let ran = run(&folder, &["sessions", "delete", id(1), "none"], "");
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran.stderr));
    let left: Vec<String> = sessions(&folder).iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left, ["Other", "plain"]);
    assert!(good(&folder, &["sessions", "show", branch.trim()], "").contains("And then?"));
}

#[test]
fn thinking_is_told_beside_the_answer_and_only_if_it_is_wanted() {
    let thinks = |_: &Seen| {
        let thought = chunk(&json!({ "reasoning_content": "hmm" }), None);
        Answer::sse([
            thought,
            chunk(&json!({ "content": "42" }), None),
            chunk(&json!({}), Some("stop")),
            "data: [DONE]\n\n".to_owned(),
        ])
    };
    let (folder, provider) = (Folder::new(), LocalProvider::start(thinks));
    write_config(&folder, &provider);
    for (arguments, told) in [(&["chat", "-m", "house/m"][..], false), (&["chat", "-m", "house/m", "-v"], true)] {
        let ran = run(&folder, arguments, "what?\n");
        assert_eq!(text(&ran.stdout), "42\n");
        assert_eq!(text(&ran.stderr).contains("hmm"), told, "{}", text(&ran.stderr));
    }
}

/// In a pipe, Ctrl-C ends the program; what came of the answer is kept.
#[cfg(unix)]
#[test]
fn a_pipe_that_is_stopped_keeps_what_came() {
    for how in ["-INT", "-TERM"] {
        stop_and_look(how, &["chat", "-m", "house/m"], b"go\nnever asked\n");
        stop_and_look(how, &["ask", "--keep", "-m", "house/m", "go"], b"");
    }
}

fn stop_and_look(how: &str, arguments: &[&str], said: &[u8]) {
    let slow = |_: &Seen| says(&["one ", "two ", "three"]).drip(std::time::Duration::from_millis(4));
    let (folder, provider) = (Folder::new(), LocalProvider::start(slow));
    write_config(&folder, &provider);
    let mut child = crate::terminal::command(&folder, arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, said).unwrap();
    // What has all it needs from a pipe waits for its end.
    let input = (arguments[0] == "chat").then_some(input);
    let mut first = [0; 4];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    crate::terminal::signal(&child, how);
    let ran = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!((ran.status.code(), &first), (Some(1), b"one "));
    assert!(text(&ran.stderr).contains("stopped"), "{}", text(&ran.stderr));
    let kept = sessions(&folder);
    assert_eq!((kept.len(), &kept[0]["turns"]), (1, &json!(1)));
    let shown = good(&folder, &["sessions", "show", kept[0]["id"].as_str().unwrap()], "");
    assert!(shown.contains("one") && shown.contains("broken off"), "{shown}");
}

#[test]
fn what_callers_of_the_gateway_say_is_not_gone_on_with_in_a_terminal() {
    let gateway = Gateway::start();
    let body = r#"{"model":"sim/echo","messages":[{"role":"user","content":"theirs"}]}"#;
    for headers in ["x-trunkline-session: anna-1\r\nx-trunkline-user: anna\r\n", "x-trunkline-session: s-2\r\n"] {
        assert_eq!(gateway.post_with("/v1/chat/completions", body, headers).0, 200);
    }
    let folder = &gateway.folder;
    let ran = run(folder, &["ask", "-c", "first"], "");
    assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(0), "first\n"), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("this is the first"), "{}", text(&ran.stderr));
    // They have said something since.
    assert_eq!(gateway.post_with("/v1/chat/completions", body, "x-trunkline-session: s-2\r\n").0, 200);
    assert_eq!(good(folder, &["chat", "-c"], "second\n"), "second\n");
    let kept = sessions(folder);
    let of = |id: &str| kept.iter().find(|session| session["id"] == id).unwrap()["turns"].clone();
    assert_eq!((of("anna-1"), of("s-2"), &kept[0]["turns"], kept.len()), (json!(1), json!(2), &json!(2), 3), "{kept:?}");
    // One that is named is gone on with, and whoever is named is asked: it has no model of its own.
    let third = good(folder, &["chat", "-m", "sim/lorem", "--max-tokens", "2"], "/open s-2\nthird\n");
    assert_eq!(third.split_whitespace().count(), 2, "{third}");
    assert_eq!(good(folder, &["ask", "--session", "anna", "fourth"], ""), "fourth\n");
    assert_eq!(sessions(folder).iter().find(|session| session["id"] == "s-2").unwrap()["model"], Value::Null);
}

#[test]
fn a_line_that_is_no_text_is_told_and_the_others_are_asked() {
    let folder = Folder::new();
    let run_bytes = |arguments: &[&str], input: &[u8]| {
        let pipe = std::process::Stdio::piped;
        let mut child = crate::terminal::command(&folder, arguments).stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
        child.wait_with_output().unwrap()
    };
    let ran = run_bytes(&["chat", "--json"], b"\xef\xbb\xbfok\n\xff\nafter\n");
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran.stderr));
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&told[0]["text"], &told[1]["text"]), (&json!("ok"), &json!("after")), "{told}");
    assert!(text(&ran.stderr).contains("line 2 is no text"), "{}", text(&ran.stderr));
    assert_eq!(text(&run_bytes(&["ask"], b"\xef\xbb\xbfok\n").stdout), "ok\n");
}

#[test]
fn nothing_is_overwritten_in_silence_and_everything_takes_json() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("note.txt"), "a note").unwrap();
    good(&folder, &["chat", "-m", "sim/echo"], "/attach note.txt\n/new\nwhat is it?\n");
    let kept = sessions(&folder);
    assert_eq!(kept[0]["title"], "what is it?");
    let id = kept[0]["id"].as_str().unwrap().to_owned();
    assert!(good(&folder, &["sessions", "show", &id], "").contains("a note"));
    let export = ["sessions", "export", &id, "-o", "talk.md"];
    assert_eq!(json(&folder, &export, "")["file"], "talk.md");
    let compare = ["compare", "-m", "sim/echo", "hi", "--html", "talk.md"];
    for arguments in [&export[..], &compare] {
        let ran = run(&folder, arguments, "");
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}");
        assert!(text(&ran.stderr).contains("talk.md is there already") && ran.stdout.is_empty(), "{}", text(&ran.stderr));
        good(&folder, &[arguments, &["--force"]].concat(), "");
    }
    assert_eq!(json(&folder, &["sessions", "title", &id, "Other"], "")["title"], "Other");
    assert_eq!(json(&folder, &["store", "backup", "copy.db"], "")["file"], "copy.db");
    let ran = run(&folder, &["chat", "-m", "sim/echo"], "/undo now\nhello\n");
    assert!(ran.status.code() == Some(3) && text(&ran.stderr).contains("takes nothing"), "{}", text(&ran.stderr));
    for wrong in [
        &["ask", "--temperature", "9", "x"][..],
        &["chat", "--temperature", "-1"],
        &["compare", "--temperature", "x", "-m", "sim/echo", "x"],
    ] {
        assert_eq!(run(&folder, wrong, "").status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn an_answer_that_does_not_follow_its_schema_is_a_failure() {
    let folder = Folder::new();
    let schema = r#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}}}"#;
    std::fs::write(folder.0.join("s.json"), schema).unwrap();
    let provider = LocalProvider::start(|seen: &Seen| {
        let answer = if seen.json()["messages"].to_string().contains("good") { "{\"a\": 1}" } else { "{\"a\": \"x\"}" };
        if seen.json()["stream"] == true {
            return says(&[answer]);
        }
        let choice = json!({ "index": 0, "message": { "role": "assistant", "content": answer }, "finish_reason": "stop" });
        Answer::json(
            200,
            json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice] }).to_string(),
        )
    });
    write_config(&folder, &provider);
    for more in [&[][..], &["--no-stream"], &["--json"], &["--keep"], &["--keep", "--json"]] {
        let ask = |text: &str| run(&folder, &[&["ask", "-m", "house/m", "--schema", "s.json", text][..], more].concat(), "");
        let (fine, wrong) = (ask("good"), ask("bad"));
        assert_eq!((fine.status.code(), wrong.status.code()), (Some(0), Some(1)), "{more:?}: {}", text(&wrong.stderr));
        assert!(
            text(&wrong.stderr).contains("the answer does not follow the schema: a must be integer"),
            "{}",
            text(&wrong.stderr)
        );
        assert!(text(&wrong.stdout).contains('x'), "{more:?}");
    }
}
