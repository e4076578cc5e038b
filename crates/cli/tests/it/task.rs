//! `trunkline ask --task`.

use crate::terminal::{Folder, run, text};

const CONFIG: &str = "[tasks]\ndefault = \"sim/echo\"\ncreative = \"sim/lorem\"\n\
                      [[task_rules]]\ntask = \"creative\"\nmatches = \"(?i)poem\"\n";

#[test]
fn a_task_leads_to_its_model() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("trunkline.toml"), CONFIG).unwrap();
    let target = |arguments: &[&str]| {
        let ran = run(&folder, &[&["ask", "--json"], arguments].concat(), "");
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        json["target"].as_str().unwrap().to_owned()
    };
    assert_eq!(target(&["hi"]), "sim/echo");
    assert_eq!(target(&["--task", "creative", "hi"]), "sim/lorem");
    assert_eq!(target(&["--task", "auto", "a Poem"]), "sim/lorem");
    assert_eq!(target(&["--task", "auto", "hi"]), "sim/echo");
    assert_eq!(target(&["-m", "task:creative", "hi"]), "sim/lorem");
    let ran = run(&folder, &["ask", "--task", "creativ", "hi"], "");
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("did you mean `creative`?"), "{}", text(&ran.stderr));
    let ran = run(&folder, &["ask", "--task", "creative", "-m", "sim/echo", "hi"], "");
    assert_eq!(ran.status.code(), Some(2));
    std::fs::write(folder.0.join("trunkline.toml"), format!("{CONFIG}[[task_rules]]\ntask = \"creative\"\nmatches = \"(\"\n"))
        .unwrap();
    let ran = run(&folder, &["check"], "");
    assert!(!ran.status.success() && text(&ran.stderr).contains("[[task_rules]] number 2"), "{}", text(&ran.stderr));
}
