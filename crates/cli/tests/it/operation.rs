//! `trunkline embed`, `rerank`, `image`, `speak`, `transcribe`, against the simulator.

use serde_json::Value;

use crate::terminal::{Folder, run, text};

fn well(folder: &Folder, arguments: &[&str], input: &str) -> Vec<u8> {
    let output = run(folder, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output.stdout
}

#[test]
fn vectors_and_orders_come_as_lines_and_as_json() {
    let folder = Folder::new();
    let lines = text(&well(&folder, &["embed", "-m", "sim/echo", "--dimensions", "4"], "one\ntwo\n\n"));
    let vectors: Vec<Vec<f64>> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(vectors.len() == 2 && vectors.iter().all(|vector| vector.len() == 4), "{lines}");
    let json: Value = serde_json::from_slice(&well(&folder, &["embed", "--json", "one"], "")).unwrap();
    assert_eq!((json["target"].as_str(), json["vectors"][0].as_array().map(Vec::len)), (Some("sim/echo"), Some(256)));
    let listed = text(&well(&folder, &["models", "--provider", "sim", "--live"], ""));
    assert_eq!(listed, "sim/echo\nsim/lorem\n");
    let ranked = text(&well(&folder, &["rerank", "--top", "1", "red fox", "blue whale", "a red fox"], ""));
    assert!(ranked.ends_with("  a red fox\n") && ranked.lines().count() == 1, "{ranked}");
}

#[test]
fn pictures_and_sounds_go_to_files_and_what_was_said_comes_back() {
    let folder = Folder::new();
    well(&folder, &["image", "-n", "2", "-o", "fox.png", "a fox"], "");
    for name in ["fox-1.png", "fox-2.png"] {
        assert!(std::fs::read(folder.0.join(name)).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
    well(&folder, &["image", "--from", "fox-1.png", "-q", "redder"], "");
    assert!(folder.0.join("image.png").exists());
    well(&folder, &["speak", "-o", "hello.wav", "--voice", "nova"], "Hello there\n");
    assert_eq!(text(&well(&folder, &["transcribe", "hello.wav"], "")), "Hello there\n");
    assert!(text(&well(&folder, &["transcribe", "--format", "vtt", "--english", "hello.wav"], "")).starts_with("WEBVTT"));
    assert!(well(&folder, &["speak", "-o", "-", "Hello"], "").starts_with(b"RIFF"));
    let failed = run(&folder, &["transcribe", "missing.wav"], "");
    assert!(!failed.status.success() && text(&failed.stderr).contains("missing.wav"));
}
