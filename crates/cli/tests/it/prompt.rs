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
