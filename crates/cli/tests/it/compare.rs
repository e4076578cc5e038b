//! `trunkline compare`, in a pipe.

use serde_json::{Value, json};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use crate::terminal::{Folder, run, text};

#[test]
fn models_stand_one_below_the_other_in_a_pipe() {
    let folder = Folder::new();
    let output = run(&folder, &["compare", "-m", "sim/echo", "-m", "sim/lorem", "你好 there"], "");
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(shown.starts_with("sim/echo\nfirst ") && shown.contains("\n你好 there\n\nsim/lorem\n"), "{shown}");
    assert!(!shown.contains('\x1b') && output.stderr.is_empty());
    let nobody = run(&folder, &["compare", "-m", "sim/echo", "-m", "nobody/x", "hi"], "");
    assert_eq!((nobody.status.code(), nobody.stdout.len()), (Some(1), 0));
}

#[test]
fn prompts_of_a_file_are_judged_blindly_and_become_a_page() {
    // The judge likes whatever stands first: turned round, each model is first once.
    let judge = LocalProvider::start(|seen: &Seen| {
        let prompt = seen.json()["messages"][0]["content"].as_str().unwrap().to_owned();
        assert!(!prompt.contains("sim/echo") && prompt.contains("by this rubric: only style"));
        let verdict = json!({ "scores": { "A": 9, "B": 4 }, "best": "A", "why": "A <is> first" }).to_string();
        let message = json!({ "role": "assistant", "content": verdict });
        let body = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] });
        Answer::json(200, body.to_string())
    });
    let folder = Folder::new();
    crate::kill::write_config(&folder, &judge);
    std::fs::write(folder.0.join("p.jsonl"), "{\"prompt\":\"one\"}\n{\"custom_id\":\"two\",\"prompt\":\"<b>\"}\n").unwrap();
    let models = ["compare", "-m", "sim/echo", "-m", "sim/lorem", "-f", "p.jsonl"];
    let arguments = [&models[..], &["--judge", "house/m", "--rubric", "only style", "--html", "page.html", "--json"]].concat();
    let output = run(&folder, &arguments, "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let rounds = report["rounds"].as_array().unwrap();
    assert_eq!((&rounds[0]["verdict"]["scores"], &rounds[1]["verdict"]["scores"]), (&json!([9, 4]), &json!([4, 9])), "{report}");
    assert_eq!((&report["models"][0]["score"], &report["models"][1]["wins"]), (&json!(6.5), &json!(1)));
    assert_eq!((&rounds[1]["id"], &rounds[1]["answers"][0]["text"]), (&json!("two"), &json!("<b>")));
    let page = std::fs::read_to_string(folder.0.join("page.html")).unwrap();
    assert!(
        page.contains("<svg") && page.contains("A &lt;is&gt; first") && !page.contains("<script") && !page.contains("<b></b>")
    );
    let output = run(&folder, &models, "");
    let shown = text(&output.stdout);
    assert!(shown.contains("two: <b>") && shown.contains("tokens/s") && shown.contains("2/2"), "{shown}");
}

#[test]
fn who_fails_does_not_keep_the_others_from_answering() {
    let provider = LocalProvider::start(Answer::json(400, r#"{"error":{"message":"not today","type":"invalid_request_error"}}"#));
    let folder = Folder::new();
    crate::kill::write_config(&folder, &provider);
    let output = run(&folder, &["compare", "-m", "house/m", "-m", "sim/echo", "hi"], "");
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3));
    assert!(shown.contains("failed: ") && shown.contains("not today") && shown.contains("\nhi\n"), "{shown}");
}
