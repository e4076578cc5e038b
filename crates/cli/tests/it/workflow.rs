//! `trunkline run`: the examples against the simulator, and what is found before the first call.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use crate::kill::write_config;
use crate::terminal::{Folder, run, text};

fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/workflows").join(name);
    path.to_str().unwrap().to_owned()
}

fn write(folder: &Folder, content: &str) {
    std::fs::write(folder.0.join("w.toml"), content).unwrap();
}

fn outcome(folder: &Folder, arguments: &[&str]) -> Value {
    let output = run(folder, &[&["run", "--json"], arguments].concat(), "");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

#[test]
fn the_examples_run() {
    let folder = Folder::new();
    let page = outcome(&folder, &[&example("product-page.toml"), "--var", "description=茶壶 kettle"]);
    assert!(page["output"].as_str().unwrap().contains("茶壶 kettle"), "{page}");
    assert_eq!(page["steps"].as_array().unwrap().len(), 3);
    assert!(page["steps"].as_array().unwrap().iter().all(|step| step["state"] == "done"), "{page}");
    std::fs::write(folder.0.join("m.txt"), "It burns!\nHow are you?\n").unwrap();
    let triage = outcome(&folder, &[&example("support-triage.toml"), "--var", "messages=@m.txt"]);
    assert_eq!(triage["outputs"]["sorted"].as_array().unwrap().len(), 2, "{triage}");
    assert!(triage["output"].as_str().unwrap().contains("2. ["), "{triage}");
    let review = outcome(&folder, &[&example("translate-and-review.toml"), "--var", "file=m.txt"]);
    assert_eq!(review["outputs"]["translated"].as_array().unwrap().len(), 2, "{review}");
    assert!(review["output"].as_str().unwrap().contains("It burns!"), "{review}");
    // In a pipe: the text on stdout, a line for each step on stderr.
    let output = run(&folder, &["run", "-m", "sim/echo", &example("product-page.toml"), "--var", "description=x"], "");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("# ") && !text(&output.stdout).contains('\x1b'), "{}", text(&output.stdout));
    assert_eq!(text(&output.stderr).lines().count(), 3, "{}", text(&output.stderr));
}

#[test]
fn what_is_wrong_is_told_with_its_line_before_the_first_call() {
    let (folder, provider) = (Folder::new(), LocalProvider::start(Answer::json(500, "{}")));
    write_config(&folder, &provider);
    for (content, line, told) in [
        ("[steps.a]\nprompt = \"x", 2, "string"),
        ("[steps.a]\nprompt = \"\"\"\nfine\n{% if x %}\n\"\"\"", 4, "no template"),
        ("[vars]\ntone = \"x\"\n[steps.a]\nprompt = \"\"\"\nfine\n{{ tome }}\"\"\"", 6, "did you mean tone?"),
        ("[steps.first]\nprompt = \"x\"\n[steps.b]\nprompt = \"{{ frist }}\"", 4, "did you mean first?"),
        ("[steps.a]\nprompt = \"{{ b }}\"\n[steps.b]\nprompt = \"{{ a }}\"", 1, "a → b → a"),
        ("[steps.a]\nprompt = \"x\"\nmodle = \"y\"", 3, "did you mean model?"),
        ("[steps.a]\nprompt = \"x\"\nmodel = \"nobody/x\"", 1, "the step a"),
        ("[steps.a]\nprompt = \"x\"\nschema = { type = \"objct\" }", 3, "no type"),
        (
            "[steps.a]\nprompt = \"x\"\nschema = { type = \"object\", properties = { title = { type = \"string\" } } }\n[steps.b]\nprompt = \"{{ a.titel }}\"",
            5,
            "did you mean title?",
        ),
        ("[vars]\nn = { type = \"number\", default = \"x\" }\n[steps.a]\nprompt = \"x\"", 2, "is a number"),
        ("[vars]\nn = { type = \"text\", about = \"the name\" }\n[steps.a]\nprompt = \"x\"", 2, "n is not set (the name)"),
        ("[steps.a]\nprompt = \"x\"\nwhen = \"1 +\"", 3, "no expression"),
        ("[steps.a]\nprompt = \"{{ item }}\"", 2, "neither a variable nor a step"),
        ("[steps.a]\nsystem = \"x\"", 1, "has no prompt"),
        ("parallel = 0\n[steps.a]\nprompt = \"x\"", 1, "parallel must be 1 or more"),
        ("[steps.a]\nprompt = \"x\"\ntemperature = \"hot\"", 3, "temperature must be a number from 0 to 2"),
        ("[steps.a]\nprompt = \"x\"\nretry = 50", 3, "retry is 10 at most"),
        ("steps = 1", 1, "needs steps"),
    ] {
        write(&folder, content);
        let output = run(&folder, &["run", "w.toml", "-m", "house/m"], "");
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{content}\n{stderr}");
        assert!(stderr.contains(told) && stderr.contains(&format!("w.toml, line {line}: ")), "{content}\n{stderr}");
    }
    write(&folder, "[vars]\nn = 3\n[steps.a]\nprompt = \"{{ n }}\"");
    for (given, told) in
        [("n=x", "n is a number, and \"x\" is none"), ("N0=1", "has no variable N0; did you mean n?"), ("n", "NAME=VALUE")]
    {
        let output = run(&folder, &["run", "w.toml", "-m", "house/m", "--var", given], "");
        assert!(text(&output.stderr).contains(told), "{}", text(&output.stderr));
    }
    assert!(provider.requests().is_empty());
}

fn says(content: &str) -> Answer {
    let message = json!({ "role": "assistant", "content": content });
    let body = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 } });
    Answer::json(200, body.to_string())
}

#[test]
fn steps_run_side_by_side_or_after_one_another() {
    static OUT: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let provider = LocalProvider::start(|seen: &Seen| {
        let now = OUT.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(now, Ordering::SeqCst);
        std::thread::spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(150));
            OUT.fetch_sub(1, Ordering::SeqCst);
        });
        let prompt = seen.json()["messages"][0]["content"].as_str().unwrap().to_owned();
        if prompt == "bad" {
            Answer::json(400, "{}")
        } else {
            says(&format!("<{prompt}>")).delay(std::time::Duration::from_millis(150))
        }
    });
    let folder = Folder::new();
    write_config(&folder, &provider);
    write(
        &folder,
        "[steps.last]\nprompt = \"{{ one }}{{ two }}{{ off }}\"\n[steps.one]\nprompt = \"1\"\n[steps.two]\nprompt = \"2\"\n[steps.off]\nwhen = \"false\"\nprompt = \"0\"\n",
    );
    let done = outcome(&folder, &["w.toml", "-m", "house/m"]);
    assert_eq!(done["outputs"], json!({ "last": "<<1><2>>", "one": "<1>", "two": "<2>" }), "{done}");
    assert_eq!(
        (MOST.load(Ordering::SeqCst), &done["steps"][3]["state"], &done["cost"]["micros"]),
        (2, &json!("skipped"), &json!(21))
    );
    // What has failed blocks what needs it, and nothing else.
    write(&folder, "[steps.a]\nprompt = \"bad\"\n[steps.b]\nprompt = \"{{ a }}\"\n[steps.c]\nprompt = \"c\"\n");
    let output = run(&folder, &["run", "--json", "w.toml", "-m", "house/m"], "");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    let states: Vec<&str> = done["steps"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["failed", "blocked", "done"]);
}

#[test]
fn an_answer_that_does_not_follow_the_schema_is_sent_back_once() {
    let answers = [says("no JSON"), says("```json\n{\"n\": 1}\n```"), says("{\"n\": \"x\"}"), says("{}"), says("{\"n\": 3}")];
    let provider = LocalProvider::start(answers);
    let folder = Folder::new();
    write_config(&folder, &provider);
    let schema = "schema = { type = \"object\", required = [\"n\"], properties = { n = { type = \"integer\" } } }";
    write(&folder, &format!("[steps.a]\nprompt = \"x\"\n{schema}\n"));
    let done = outcome(&folder, &["w.toml", "-m", "house/m"]);
    assert_eq!((&done["outputs"]["a"], &done["steps"][0]["repairs"]), (&json!({ "n": 1 }), &json!(1)), "{done}");
    let sent = provider.requests()[1].json();
    assert!(sent["messages"][2]["content"].as_str().unwrap().contains("no JSON"), "{sent}");
    // Both wrong: one more try is left to a step that retries.
    write(&folder, &format!("[steps.a]\nprompt = \"x\"\nretry = 1\n{schema}\n"));
    let done = outcome(&folder, &["w.toml", "-m", "house/m"]);
    assert_eq!((&done["outputs"]["a"], &done["steps"][0]["calls"]), (&json!({ "n": 3 }), &json!(3)), "{done}");
}

/// Fails for every prompt that has this word.
fn fails_for(word: &'static str) -> LocalProvider {
    LocalProvider::start(move |seen: &Seen| {
        let prompt = seen.json()["messages"][0]["content"].as_str().unwrap().to_owned();
        if prompt.contains(word) {
            return Answer::json(400, r#"{"error":{"message":"not that one"}}"#);
        }
        Answer::json(
            200,
            json!({
                "id": "c", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": format!("re {prompt}") }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
            })
            .to_string(),
        )
    })
}

#[test]
fn what_was_answered_is_printed_whatever_fails() {
    let (folder, provider) = (Folder::new(), fails_for("bad"));
    write_config(&folder, &provider);
    // The text at the end cannot be made.
    write(
        &folder,
        "output = \"\"\"\nfine\n{{ j.none }}\"\"\"\nmodel = \"house/m\"\n[vars]\nj = { type = \"json\", default = {} }\n[steps.a]\nprompt = \"x\"",
    );
    let ran = run(&folder, &["run", "w.toml"], "");
    assert_eq!((ran.status.code(), text(&ran.stdout).trim()), (Some(3), "re x"), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("w.toml, line 3: output: `j.none` is not set"), "{}", text(&ran.stderr));
    let told = outcome(&folder, &["w.toml"]);
    assert_eq!((&told["outputs"]["a"], &told["output"]), (&json!("re x"), &Value::Null), "{told}");
    assert!(told["error"].as_str().unwrap().contains("`j.none`"), "{told}");
    // Elements that cannot be done: the others are, and the text of a file may begin with a mark.
    let lines: String = (1..=50).map(|at| if at % 20 == 0 { format!("bad {at}\n") } else { format!("{at}\n") }).collect();
    std::fs::write(folder.0.join("lines.txt"), format!("\u{feff}{lines}")).unwrap();
    write(
        &folder,
        "model = \"house/m\"\n[steps.a]\neach_line_of = \"lines.txt\"\nprompt = \"{{ item }}\"\n[steps.b]\nprompt = \"{{ a }}\"",
    );
    let told = outcome(&folder, &["w.toml"]);
    let answers = told["outputs"]["a"].as_array().unwrap();
    assert_eq!((answers.len(), &answers[0], &answers[19], &answers[49]), (50, &json!("re 1"), &Value::Null, &json!("re 50")));
    let a = &told["steps"][0];
    assert_eq!((&a["state"], &a["of_each"], &a["calls"]), (&json!("failed"), &json!([48, 50]), &json!(50)), "{a}");
    assert_eq!(a["failed"].as_array().unwrap().iter().map(|one| one["element"].clone()).collect::<Vec<_>>(), [20, 40]);
    assert_eq!(told["steps"][1]["state"], "blocked");
    let ran = run(&folder, &["run", "w.toml"], "");
    assert_eq!(ran.status.code(), Some(3));
    assert!(text(&ran.stdout).contains("re 50"), "{}", text(&ran.stdout));
    let told = text(&ran.stderr);
    assert!(told.contains("2 of 50 elements") && told.contains("  element 40: ") && told.contains("not that one"), "{told}");
    // Where nothing comes of anything, not everything is tried.
    std::fs::write(folder.0.join("lines.txt"), "bad\n".repeat(5000)).unwrap();
    let before = provider.requests().len();
    let ran = run(&folder, &["run", "w.toml"], "");
    assert_eq!(ran.status.code(), Some(1));
    assert!(provider.requests().len() - before < 100 && text(&ran.stderr).contains("the others are not tried"));
    // A call that failed is a call.
    write(&folder, "model = \"house/m\"\n[steps.a]\nprompt = \"bad\"");
    assert_eq!(outcome(&folder, &["w.toml"])["steps"][0]["calls"], 1);
}

#[cfg(unix)]
#[test]
fn what_was_answered_is_printed_when_it_is_stopped() {
    let slow = |seen: &Seen| {
        let prompt = seen.json()["messages"][0]["content"].as_str().unwrap().to_owned();
        let body = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": format!("re {prompt}") }, "finish_reason": "stop" }] });
        let wait = if prompt.contains("slow") { 60 } else { 0 };
        Answer::json(200, body.to_string()).delay(std::time::Duration::from_secs(wait))
    };
    let (folder, provider) = (Folder::new(), LocalProvider::start(slow));
    write_config(&folder, &provider);
    write(
        &folder,
        "model = \"house/m\"\nparallel = 1\n[vars]\nl = [\"1\", \"2\", \"slow\"]\n[steps.a]\nprompt = \"a\"\n[steps.b]\neach = \"l\"\nprompt = \"{{ item }} {{ a }}\"\n[steps.c]\nprompt = \"{{ b }}\"",
    );
    let child = crate::terminal::command(&folder, &["run", "--json", "w.toml"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while provider.requests().len() < 4 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    crate::terminal::signal(&child, "-TERM");
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran.stderr));
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(told["outputs"], json!({ "a": "re a", "b": ["re 1 re a", "re 2 re a", null] }), "{told}");
    let states: Vec<&Value> = told["steps"].as_array().unwrap().iter().map(|step| &step["state"]).collect();
    assert_eq!(states, ["done", "stopped", "waiting"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let folder = Folder::new();
    write(
        &folder,
        "[steps.a]\nprompt = \"{{ a. }}\"\nmodel = \"nobody/x\"\n[steps.b]\nprompt = \"{{ a }}\"\nmodel = \"nobody/y\"\n[steps.c]\neach_line_of = \"{{ d }}\"\nprompt = \"{{ e }}\"",
    );
    let told = text(&run(&folder, &["run", "--check", "w.toml"], "").stderr);
    assert!(
        ["line 2: prompt", "line 1: the step a", "line 4: the step b", "asks for e"].iter().all(|word| told.contains(word)),
        "{told}"
    );
    assert!(!told.contains("asks for a"), "{told}");
    write(&folder, "[vars]\nf = { type = \"text\" }\n[steps.c]\neach_line_of = \"{{ f }}\"\nprompt = \"{{ item }}\"");
    for (arguments, code) in [
        (&["run", "--check", "w.toml", "--var", "f=none.txt"][..], 1),
        (&["run", "--check", "w.toml"], 0),
        (&["run", "w.toml", "--var", "f=none.txt"], 1),
    ] {
        let ran = run(&folder, arguments, "");
        assert_eq!(ran.status.code(), Some(code), "{arguments:?}: {}", text(&ran.stderr));
        assert!(
            code == 0 || text(&ran.stderr).contains("line 3: each_line_of of c: cannot read none.txt"),
            "{}",
            text(&ran.stderr)
        );
    }
}
