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
    let output = run(&folder, &["run", &example("product-page.toml"), "--var", "description=x"], "");
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
