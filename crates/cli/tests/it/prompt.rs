//! `trunkline prompts`, `ask -m prompt:NAME`, and steps that say a prompt's name.

use serde_json::Value;

use crate::terminal::{Folder, run, text};

const GREET: &str = "system = \"For {{ company }}.\"\nprompt = \"Greet {{ name }} twice.\"\n[vars]\ncompany = \"ACME\"\nname = { type = \"text\", about = \"whom\" }\n";

fn good(folder: &Folder, arguments: &[&str]) -> String {
    let output = run(folder, arguments, "");
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn bad(folder: &Folder, arguments: &[&str]) -> String {
    let output = run(folder, arguments, "");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

fn add(folder: &Folder, file: &str, source: &str) {
    std::fs::write(folder.0.join(file), source).unwrap();
    good(folder, &["prompts", "add", "问候", file]);
}

#[test]
fn prompts_are_kept_shown_and_asked() {
    let folder = Folder::new();
    assert_eq!(good(&folder, &["prompts"]), "");
    add(&folder, "a.toml", GREET);
    add(&folder, "a.toml", GREET);
    add(&folder, "b.yaml", "prompt: |\n  Hail {{ name }}!\nvars:\n  name: you\n");
    good(&folder, &["prompts", "label", "问候", "live", "1"]);
    good(&folder, &["prompts", "share", "问候", "1=90", "2=10"]);
    std::fs::write(folder.0.join("other.toml"), "prompt = \"x\"").unwrap();
    good(&folder, &["prompts", "add", "a-rather-long-name/of-a-prompt", "other.toml", "--label", "live"]);
    let list: Value = serde_json::from_str(&good(&folder, &["prompts", "list", "--json"])).unwrap();
    assert_eq!((&list[1]["name"], list[1]["versions"].as_array().unwrap().len()), (&Value::from("问候"), 2), "{list}");
    assert_eq!((&list[1]["labels"]["live"], &list[1]["shares"]["2"]), (&Value::from(1), &Value::from(10)), "{list}");
    let table = good(&folder, &["prompts"]);
    let column = |line: &str| unicode_columns(line.split("20").next().unwrap());
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(column(lines[1]), column(lines[2]), "{table}");
    assert_eq!(good(&folder, &["prompts", "show", "问候@1"]), GREET);
    assert!(good(&folder, &["prompts", "show", "问候@2"]).starts_with("prompt: |"));
    assert_eq!(good(&folder, &["ask", "-m", "prompt:问候@live", "--var", "name=Ada"]).trim(), "Greet Ada twice.");
    assert_eq!(good(&folder, &["ask", "-m", "prompt:问候@2", "--var", "name=Ada", "and me"]).trim(), "and me");
    for (arguments, told) in [
        (&["ask", "-m", "prompt:问候@live"][..], "name is not set (whom)"),
        (&["ask", "-m", "prompt:问候@lve"], "did you mean `问候@live`?"),
        (&["ask", "-m", "sim/echo", "--var", "a=b", "x"], "--var is for prompts"),
        (&["prompts", "add", "two words", "a.toml"], "cannot be a prompt's name"),
        (&["prompts", "label", "问候", "7", "1"], "cannot be a label"),
        (&["prompts", "label", "问候", "live", "9"], "no version 9"),
        (&["prompts", "share", "问候", "1=x"], "write VERSION=SHARE"),
        (&["prompts", "share", "问候", "1=0"], "every share is 0"),
        (&["prompts", "delete", "nobody"], "there is no prompt `nobody`"),
    ] {
        let stderr = bad(&folder, arguments);
        assert!(stderr.contains(told), "{arguments:?}: {stderr}");
    }
    std::fs::write(folder.0.join("bad.toml"), "prompt = \"\"\"\nx\n{{ nme }}\"\"\"\n[vars]\nname = \"x\"\n").unwrap();
    let stderr = bad(&folder, &["prompts", "add", "bad", "bad.toml"]);
    assert!(stderr.contains("bad.toml, line 3: ") && stderr.contains("did you mean name?"), "{stderr}");
    good(&folder, &["prompts", "delete", "问候"]);
    assert!(bad(&folder, &["ask", "-m", "prompt:问候@1"]).contains("there is no prompt"));
}

/// The columns that a text takes: two for what is not ASCII, here.
fn unicode_columns(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

#[test]
fn a_step_says_what_is_kept_under_a_name() {
    let folder = Folder::new();
    add(&folder, "a.toml", GREET);
    let workflow = "[vars]\nname = \"Bob\"\n[steps.one]\nprompt = \"prompt:问候@1\"\n[steps.two]\nprompt = \"prompt:问候\"\nwith = { name = \"<{{ one }}>\", company = \"us\" }\n";
    std::fs::write(folder.0.join("w.toml"), workflow).unwrap();
    let done: Value = serde_json::from_str(&good(&folder, &["run", "w.toml", "--json"])).unwrap();
    assert_eq!(done["outputs"]["one"], "Greet Bob twice.", "{done}");
    assert_eq!(done["outputs"]["two"], "Greet <Greet Bob twice.> twice.", "{done}");
    for (workflow, line, told) in [
        ("[steps.a]\nprompt = \"prompt:问候@4\"", 2, "it has versions 1"),
        ("[steps.a]\nprompt = \"prompt:问侯\"", 2, "there is no prompt"),
        ("[steps.a]\nprompt = \"x\"\nmodel = \"prompt:问候\"", 3, "a step says a prompt by prompt = \"prompt:问候\""),
        ("[steps.a]\nprompt = \"prompt:问候\"", 2, "takes name; give it by with"),
        ("[steps.a]\nprompt = \"prompt:问候\"\nwith = { nme = \"x\" }", 3, "has no variable nme"),
        ("[steps.a]\nprompt = \"prompt:问候\"\nwith = { name = \"{{ who }}\" }", 3, "with of a asks for who"),
        ("[steps.a]\nprompt = \"hi\"\nwith = { name = \"x\" }", 3, "with is for prompts"),
    ] {
        std::fs::write(folder.0.join("w.toml"), workflow).unwrap();
        let stderr = bad(&folder, &["run", "w.toml"]);
        assert!(stderr.contains(told) && stderr.contains(&format!("w.toml, line {line}: ")), "{workflow}\n{stderr}");
    }
}

#[test]
fn a_workflow_is_the_same_in_toml_and_in_yaml() {
    let folder = Folder::new();
    let example = |ending: &str| {
        let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples/workflows/product-page")
            .with_extension(ending);
        path.to_str().unwrap().to_owned()
    };
    let of = |arguments: &[&str]| ["toml", "yaml"].map(|ending| good(&folder, &[&["run", &example(ending)], arguments].concat()));
    let [toml, yaml] = of(&["--var", "description=茶壶 kettle"]);
    assert_eq!(toml, yaml);
    let [toml, yaml] = of(&["--check"]);
    assert_eq!(toml, yaml);
    for (content, line, told) in [
        ("steps:\n\ta: x\n", 2, "begins with a tab"),
        ("steps:\n  a:\n    prompt: x\n    prompt: y\n", 4, "duplicate mapping key: prompt"),
        ("steps:\n  a:\n    prompt: |\n      fine\n      {{ tome }}\nvars:\n  tone: x\n", 5, "did you mean tone?"),
        ("steps:\n  a:\n    prompt: x\n    modle: y\n", 4, "did you mean model?"),
        ("steps:\n  a:\n    prompt: 7\n", 3, "must be a text"),
        ("vars: &a [*a]\n", 1, "alias"),
    ] {
        std::fs::write(folder.0.join("w.yaml"), content).unwrap();
        let stderr = bad(&folder, &["run", "w.yaml"]);
        assert!(stderr.contains(told) && stderr.contains(&format!("w.yaml, line {line}: ")), "{content}\n{stderr}");
    }
}

#[test]
fn every_command_that_asks_takes_a_prompt_in_the_place_of_a_model() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("trunkline.toml"), "[tasks]\ndefault = \"sim/echo\"\n").unwrap();
    add(&folder, "a.toml", GREET);
    std::fs::write(
        folder.0.join("b.toml"),
        "system = \"Be {{ how }}.\"\nmodel = \"sim/lorem\"\nmax_tokens = 2\n[vars]\nhow = \"brief\"\n",
    )
    .unwrap();
    good(&folder, &["prompts", "add", "brief", "b.toml"]);
    let greet = ["-m", "prompt:问候", "--var", "name=Ada"];
    let with = |front: &[&'static str], back: &[&'static str]| [front, &greet, back].concat();
    // In a conversation its instructions are the conversation's, and its words come before the first question.
    assert_eq!(good(&folder, &with(&["ask", "--keep"], &[])).trim(), "Greet Ada twice.");
    assert_eq!(good(&folder, &["ask", "-c", "and me"]).trim(), "and me");
    let sessions = |folder: &Folder| serde_json::from_str::<Value>(&good(folder, &["sessions", "--json"])).unwrap();
    let first = sessions(&folder)[0].clone();
    assert_eq!((&first["system"], &first["turns"]), (&Value::from("For ACME."), &Value::from(2)), "{first}");
    assert_eq!(good(&folder, &with(&["ask", "-c"], &["once more"])).trim(), "once more");
    let ran = run(&folder, &with(&["chat"], &[]), "one\n/model prompt:brief\ntwo\n/new\n/model prompt:问候\nthree\n");
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let all = sessions(&folder);
    assert_eq!(all.as_array().unwrap().len(), 3, "{all}");
    assert_eq!(
        (&all[1]["system"], &all[1]["model"], &all[1]["turns"]),
        (&Value::from("Be brief."), &Value::from("sim/lorem"), &Value::from(2)),
        "{all}"
    );
    let shown = good(&folder, &["sessions", "show", all[1]["id"].as_str().unwrap()]);
    assert_eq!(shown.matches("## You\n\nGreet Ada twice.").count(), 1, "{shown}");
    let report: Value =
        serde_json::from_str(&good(&folder, &with(&["compare", "--json", "-m", "prompt:brief"], &["hello"]))).unwrap();
    let answers = &report["rounds"][0]["answers"];
    assert_eq!(
        (&answers[0]["target"], &answers[1]["target"]),
        (&Value::from("sim/lorem"), &Value::from("sim/echo")),
        "{answers}"
    );
    assert_eq!((&answers[0]["output"], &answers[1]["text"]), (&Value::from(2), &Value::from("hello")), "{answers}");
    for (arguments, told) in [
        (&["chat", "-m", "prompt:问候"][..], "name is not set (whom)"),
        (&["compare", "-m", "prompt:问候", "x"], "name is not set (whom)"),
        (&["compare", "-m", "prompt:brief", "--var", "nme=x", "x"], "none of the prompts has a variable nme"),
        (&["ask", "--keep", "-m", "prompt:nobody", "x"], "there is no prompt `nobody`"),
        (&["compare", "-m", "nosuch/x", "x"], "there is no provider `nosuch`"),
        (&["chat", "--var", "a=b"], "--var is for prompts"),
        (&["prompts", "share", "brief", "1=10", "1=20"], "named twice"),
    ] {
        let stderr = bad(&folder, arguments);
        assert!(stderr.contains(told), "{arguments:?}: {stderr}");
    }
}
